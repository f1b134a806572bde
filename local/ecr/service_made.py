"""What ECR does without being pushed to: a first pull through the cache, an image that arrives by replication."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local.ecr import creation
from local.ecr.calls import perform, through_ecr
from local.ecr.operations.images import batch_get_image
from local.ecr.seeding import SeedImage, place
from local.ecr.store import REGION, backend_of
from local.ecr.wiring import wiring

if TYPE_CHECKING:
    from local.ecr.models import Backend
    from local.principals import Principal


def simulate_pull_through(
    name: str,
    principal: Principal,
    *,
    tag: str = "latest",
    content: str = "",
    account: str | None = None,
    region: str = REGION,
) -> str:
    """Let a principal pull an image through the cache and return its digest.

    A rule must cover the name. The repository is created if it is missing, with the template that applies or with defaults;
    the image is fetched and its native event published; then comes the pull itself.
    UNCONFIRMED: that the fetch leaves no `PutImage` record (it is authorized as `ecr:BatchImportUpstreamImage`, no API call).
    """
    backend, now = backend_of(account, region), datetime.now(UTC)
    rule = _rule_for(backend, name)
    repository = backend.repositories.get(name) or creation.create_for_pull(backend, name, principal, now)
    with backend.lock:
        digest = place(repository, SeedImage(tags=(tag,), content=content or f"upstream {name}:{tag}", pushed_at=now))
    if wiring.trail is not None:
        detail = {
            "rule-version": "1",
            "sync-status": "SUCCESS",
            "ecr-repository-prefix": rule["ecrRepositoryPrefix"],
            "repository-name": name,
            "upstream-registry-url": rule["upstreamRegistryUrl"],
            "image-tag": tag,
            "image-digest": digest,
        }
        wiring.trail.record_native(
            "ECR Pull Through Cache Action", detail, [repository.arn], account=backend.account_id, region=region, time=now
        )
    parameters = {"registryId": backend.account_id, "repositoryName": name, "imageIds": [{"imageTag": tag}]}
    perform("BatchGetImage", parameters, backend=backend, caller=through_ecr(principal), run=batch_get_image)
    return digest


def simulate_replication(
    name: str,
    source_account: str,
    source_region: str,
    *,
    tag: str = "latest",
    content: str = "",
    account: str | None = None,
    region: str = REGION,
) -> str:
    """Let an image arrive from another registry and return its digest.

    The repository is created if it is missing, with the template that applies or with defaults. Where the tag is taken and
    immutable, the image arrives without it (user guide, "Private image replication").
    UNCONFIRMED: what CloudTrail records of the copy itself; only the native event is published for it.
    """
    backend, now = backend_of(account, region), datetime.now(UTC)
    repository = backend.repositories.get(name) or creation.create_for_replication(backend, name, now)
    with backend.lock:
        taken = tag in repository.tagged and repository.is_immutable(tag)
        digest = place(
            repository, SeedImage(tags=() if taken else (tag,), content=content or f"{source_account} {name}:{tag}", pushed_at=now)
        )
    if wiring.trail is not None:
        detail = {
            "result": "SUCCESS",
            "repository-name": name,
            "image-digest": digest,
            "image-tag": tag,
            "source-account": source_account,
            "source-region": source_region,
            "action-type": "REPLICATE",
        }
        wiring.trail.record_native("ECR Replication Action", detail, [repository.arn], account=backend.account_id, region=region, time=now)
    return digest


def _rule_for(backend: Backend, name: str) -> dict[str, str]:
    fitting = [prefix for prefix in backend.pull_through_rules if prefix == "ROOT" or name.startswith(prefix.rstrip("/") + "/")]
    if not fitting:
        raise LookupError(f"no pull-through cache rule covers {name}")
    return backend.pull_through_rules[max(fitting, key=lambda prefix: 0 if prefix == "ROOT" else len(prefix))]
