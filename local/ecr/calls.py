"""One way through which every ECR call goes, whoever makes it: trouble, authorization, checks, the operation, the record."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.ecr import constraints, faults, repository_policy
from local.ecr.errors import EcrError, access_denied
from local.ecr.models import REPOSITORY_ARN
from local.ecr.wiring import wiring
from local.trail.calls import ApiCall
from local.trail.records import service_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.ecr.models import Backend, Image, Repository
    from local.principals import Principal
    from local.trail.trail import Trail

ECR = "ecr.amazonaws.com"
# There is no `ecr:ListImageReferrers` action: the call is authorized as BatchGetImage (Service Authorization Reference).
IAM_ACTIONS = {"ListImageReferrers": "BatchGetImage"}
# A layer's bytes are no part of a record: the documented sample of UploadLayerPart has the byte range only.
_UNRECORDED = {"layerPartBlob"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and from where."""

    principal: Principal
    source_ip: str = "127.0.0.1"
    user_agent: str = "embedded"
    invoked_by: str | None = None


def through_ecr(principal: Principal) -> Caller:
    """Return the caller of a call that a registry client caused.

    Address and agent of the client are not visible: both are `ecr.amazonaws.com` (user guide, document history 2024-07-01).
    `invokedBy` is documented for ListImageReferrers; for the other client calls it is UNCONFIRMED.
    """
    return Caller(principal, source_ip=ECR, user_agent=ECR, invoked_by=ECR)


@dataclass(slots=True)
class Request:
    """One call while it is carried out."""

    backend: Backend
    parameters: dict[str, Any]
    caller: Caller
    now: datetime
    native: list[tuple[str, dict[str, Any], list[str]]] = field(default_factory=list)

    @property
    def principal(self) -> Principal:
        """Who calls."""
        return self.caller.principal

    def repository(self) -> Repository:
        """Return the repository that the request names."""
        return self.backend.repository(self.parameters["repositoryName"], self.parameters.get("registryId"))

    def emit(self, detail_type: str, detail: dict[str, Any], resources: list[str] | None = None) -> None:
        """Remember a native event; it is published after the call's own record."""
        self.native.append((detail_type, detail, resources or []))


def repository_named(parameters: dict[str, Any]) -> str | None:
    """Return the name of the repository that a request is about."""
    found = REPOSITORY_ARN.fullmatch(str(parameters.get("resourceArn", "")))
    name = found["name"] if found else parameters.get("repositoryName")
    return name if isinstance(name, str) else None


def perform(
    operation: str,
    parameters: dict[str, Any],
    *,
    backend: Backend,
    caller: Caller,
    run: Callable[[Request], dict[str, Any]],
    authorize: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Carry out one call and record it, also when it fails."""
    now = datetime.now(UTC)
    _settle(backend, now)
    request = Request(backend, parameters, caller, now)
    try:
        faults.strike(operation, caller.principal, repository_named(parameters))
        if authorize is not None:
            authorize()
        constraints.check(operation, parameters)
        with backend.lock:
            _refuse_denied(operation, request)
            response = run(request)
    except EcrError as error:
        record(operation, request, error=error)
        raise
    record(operation, request, response=response)
    return response


def record(operation: str, request: Request, *, response: dict[str, Any] | None = None, error: EcrError | None = None) -> None:
    """Tell the trail of a call and then of the native events it caused."""
    trail = wiring.trail
    if trail is None:
        return
    backend, caller = request.backend, request.caller
    name = repository_named(request.parameters)
    trail.record(
        ApiCall(
            service="ecr",
            operation=operation,
            parameters={key: value for key, value in request.parameters.items() if key not in _UNRECORDED},
            response=response or None,
            error_code=error.code if error else None,
            error_message=error.message if error else None,
            principal=caller.principal,
            region=backend.region_name,
            account=backend.account_id,
            time=request.now,
            source_ip=caller.source_ip,
            user_agent=caller.user_agent,
            invoked_by=caller.invoked_by,
            resources=(backend.arn_of(name),) if name else (),
        )
    )
    if error is None:
        for detail_type, detail, resources in request.native:
            trail.record_native(detail_type, detail, resources, account=backend.account_id, region=backend.region_name, time=request.now)


def _refuse_denied(operation: str, request: Request) -> None:
    name = repository_named(request.parameters)
    repository = request.backend.repositories.get(name or "")
    action = f"ecr:{IAM_ACTIONS.get(operation, operation)}"
    if repository is not None and repository_policy.denies(repository.policy, request.principal, action):
        raise access_denied(request.principal.arn, action, repository.arn, "with an explicit deny in a resource-based policy")


def _settle(backend: Backend, now: datetime) -> None:
    """Finish restores that are due. A restore ends with an `ImageActivationEvent`, seen here with the next call after its time."""
    with backend.lock:
        done = backend.settle(now)
    if wiring.trail is not None:
        for repository, image in done:
            _tell_activated(wiring.trail, backend, repository, image, now)


def _tell_activated(trail: Trail, backend: Backend, repository: Repository, image: Image, now: datetime) -> None:
    at = image.activated_at or now
    details = {
        "repositoryName": repository.name,
        "imageDigest": image.digest,
        "targetStorageClass": "STANDARD",
        "result": "SUCCESS",
        "imageStatus": "ACTIVE",
    }
    detail = service_event(
        "ImageActivationEvent", details, [repository.arn], account=backend.account_id, region=backend.region_name, time=at
    )
    trail.record_native("AWS Service Event via CloudTrail", detail, [], time=at, account=backend.account_id, region=backend.region_name)
    trail.record_native(
        "ECR Image Action",
        storage_class_detail(repository.name, image, "STANDARD") | {"last-activated-at": at.strftime("%Y-%m-%dT%H:%M:%SZ")},
        [],
        time=at,
        account=backend.account_id,
        region=backend.region_name,
    )


def storage_class_detail(name: str, image: Image, target: str) -> dict[str, Any]:
    """Write the detail of the native event of an archived or restored image."""
    return {
        "result": "SUCCESS",
        "repository-name": name,
        "image-digest": image.digest,
        "action-type": "UPDATE_STORAGE_CLASS",
        "target-storage-class": target,
        "manifest-media-type": image.manifest.media_type,
        "artifact-media-type": image.manifest.artifact_media_type or "",
    }
