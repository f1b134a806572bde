"""Repositories that ECR creates by itself: on push, for the pull-through cache, by replication."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.ecr import templates
from local.ecr.calls import ECR, Caller, Request, record
from local.ecr.constraints import check
from local.ecr.errors import EcrError, repository_not_found
from local.ecr.wiring import wiring
from local.principals import Principal

if TYPE_CHECKING:
    from datetime import datetime

    from local.ecr.models import Backend, Repository

TEMPLATE_ROLE = "aws-service-role/ecr.amazonaws.com/AWSServiceRoleForECRTemplate"
REPLICATION_ROLE = "aws-service-role/replication.ecr.amazonaws.com/AWSServiceRoleForECRReplication"


def service_role(account: str, role: str, session: str) -> Principal:
    """Return the session of a service-linked role."""
    return Principal(
        kind="AssumedRole", account=account, access_key_id="", role_arn=f"arn:aws:iam::{account}:role/{role}", session_name=session
    )


def custom_role(account: str, template: dict[str, Any] | None, session: str) -> Principal | None:
    """Return the session of the template's own role, if it has one."""
    arn = (template or {}).get("customRoleArn")
    return Principal(kind="AssumedRole", account=account, access_key_id="", role_arn=arn, session_name=session) if arn else None


def create_on_push(backend: Backend, name: str, pusher: Principal, now: datetime) -> Repository:
    """Create the repository of a first push, or fail as without the feature: only a template with CREATE_ON_PUSH opens the door.

    UNCONFIRMED: whom CloudTrail names. The trail says which of the plausible records to write; see `Trail`. A template with
    tags or KMS but without a role fails here, and the client is told no more than that there is no repository (UNCONFIRMED).
    """
    template = templates.applying(backend, name, "CREATE_ON_PUSH")
    if template is None:
        raise repository_not_found(name, backend.account_id)
    variant = wiring.trail.create_on_push_record if wiring.trail is not None else "service_linked_role"
    linked = service_role(backend.account_id, TEMPLATE_ROLE, "ecr-create-on-push")
    creator = {
        "service_linked_role": linked,
        "caller": pusher,
        "custom_role": custom_role(backend.account_id, template, "ECRCreateOnPushWithTemplate") or linked,
    }[variant]
    try:
        return _create(backend, name, template, creator, now, invoked_by=ECR)
    except EcrError as error:
        raise repository_not_found(name, backend.account_id) from error


def create_for_pull(backend: Backend, name: str, puller: Principal, now: datetime) -> Repository:
    """Create the repository of a first pull through the cache; without a template it has the defaults.

    UNCONFIRMED: the record names the puller, or the template's role in the session `ECRPullThroughCacheWithTemplate`.
    """
    template = templates.applying(backend, name, "PULL_THROUGH_CACHE")
    creator = custom_role(backend.account_id, template, "ECRPullThroughCacheWithTemplate") or puller
    return _create(backend, name, template, creator, now, invoked_by=ECR)


def create_for_replication(backend: Backend, name: str, now: datetime) -> Repository:
    """Create the repository of a first replicated image; without a template it has the defaults.

    UNCONFIRMED: the record names the service-linked role of replication, or the template's role.
    """
    template = templates.applying(backend, name, "REPLICATION")
    linked = service_role(backend.account_id, REPLICATION_ROLE, "ecr-replication")
    creator = custom_role(backend.account_id, template, "ECRReplicationWithTemplate") or linked
    return _create(backend, name, template, creator, now, invoked_by="replication.ecr.amazonaws.com")


def _create(
    backend: Backend, name: str, template: dict[str, Any] | None, creator: Principal, now: datetime, *, invoked_by: str
) -> Repository:
    """Create and record. UNCONFIRMED: that the request in the record carries the template's settings."""
    parameters: dict[str, Any] = {"repositoryName": name}
    for source, target in (
        ("imageTagMutability", "imageTagMutability"),
        ("imageTagMutabilityExclusionFilters", "imageTagMutabilityExclusionFilters"),
        ("encryptionConfiguration", "encryptionConfiguration"),
        ("resourceTags", "tags"),
    ):
        if template is not None and template.get(source):
            parameters[target] = template[source]
    caller = Caller(creator, source_ip=invoked_by, user_agent=invoked_by, invoked_by=invoked_by)
    request = Request(backend, parameters, caller, now)
    try:
        check("CreateRepository", {"repositoryName": name})
        with backend.lock:
            # Two layers of one push arrive at the same time: the second finds the repository.
            if name in backend.repositories:
                return backend.repositories[name]
            repository = backend.add_repository(name, created_at=now)
            try:
                if template is not None:
                    templates.apply(template, repository)
            except EcrError:
                del backend.repositories[name]
                raise
    except EcrError as error:
        record("CreateRepository", request, error=error)
        raise
    record("CreateRepository", request, response={"repository": repository.described()})
    return repository
