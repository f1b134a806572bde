"""A registry with a past: repositories and images with chosen times, put in place without calls, events or records."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from local.ecr import manifests, repository_policy
from local.ecr.models import Image
from local.ecr.store import REGION, backend_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from local.ecr.models import Backend, Repository


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedImage:
    """An image to put in place.

    Without `manifest` one is made from `content`; equal contents in one repository are the same image. `size` is the declared
    size of its layer: with it the image cannot be pulled, without it the layer holds `content` and can. `platforms` makes an
    index with one child each. `subject` is the digest of the image that this artifact is about.
    """

    tags: Sequence[str] = ()
    content: str = ""
    pushed_at: datetime | None = None
    pulled_at: datetime | None = None
    archived_at: datetime | None = None
    activated_at: datetime | None = None
    size: int | None = None
    platforms: Sequence[str] = ()
    subject: str | None = None
    artifact_type: str | None = None
    manifest: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedRepository:
    """A repository to put in place, with its images from the oldest to the newest."""

    name: str
    images: Sequence[SeedImage] = ()
    created_at: datetime | None = None
    mutability: str = "MUTABLE"
    exclusion_filters: Sequence[str] = ()
    scan_on_push: bool = False
    kms_key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    lifecycle_policy: str | None = None
    repository_policy: str | None = None


def seed(repositories: Iterable[SeedRepository | str], *, account: str | None = None, region: str = REGION) -> dict[str, list[str]]:
    """Put repositories in place and return the digests of their images, in the order given; a plain name is an empty repository.

    A repository that exists is replaced. No event is published and no call recorded, as if it had happened before the trail;
    CloudWatch counted the pulls.
    """
    backend = backend_of(account, region)
    digests: dict[str, list[str]] = {}
    with backend.lock:
        for wanted in repositories:
            plan = SeedRepository(name=wanted) if isinstance(wanted, str) else wanted
            repository = _repository(backend, plan)
            digests[plan.name] = [place(repository, image, number) for number, image in enumerate(plan.images)]
            for image in plan.images:
                if image.pulled_at is not None:
                    backend.count_pull(plan.name, image.pulled_at)
    return digests


def stock(repository_name: str, manifest: str, *, account: str | None = None, region: str = REGION) -> None:
    """Let a repository have the layers that a manifest names, so that `PutImage` accepts the manifest."""
    repository = backend_of(account, region).repository(repository_name)
    repository.layers.update(manifests.parse(manifest, manifests.OCI_MANIFEST if '"mediaType"' not in manifest else None).blobs)


def _repository(backend: Backend, plan: SeedRepository) -> Repository:
    repository = backend.add_repository(plan.name, created_at=plan.created_at)
    repository.mutability = plan.mutability
    repository.exclusion_filters = [{"filterType": "WILDCARD", "filter": pattern} for pattern in plan.exclusion_filters]
    repository.scan_on_push = plan.scan_on_push
    if plan.kms_key:
        repository.encryption = {"encryptionType": "KMS", "kmsKey": plan.kms_key}
    repository.tags = dict(plan.tags)
    repository.lifecycle_policy = plan.lifecycle_policy
    repository.policy = repository_policy.formatted(plan.repository_policy) if plan.repository_policy else None
    return repository


def place(repository: Repository, plan: SeedImage, number: int = 0) -> str:
    """Put one image into a repository and return its digest."""
    content = plan.content or f"{repository.name} {number}"
    if plan.manifest is not None:
        text = plan.manifest
    elif plan.platforms:
        children = [(_put(repository, plan, _single(repository, plan, f"{content} {platform}")), platform) for platform in plan.platforms]
        text = manifests.index_manifest(
            [(child.digest, len(child.manifest.text), platform) for child, platform in children], annotations={"content": content}
        )
    else:
        text = _single(repository, plan, content)
    image = _put(repository, plan, text)
    for tag in plan.tags:
        repository.put_tag(image, tag)
    return image.digest


def _single(repository: Repository, plan: SeedImage, content: str) -> str:
    config, layer = json.dumps({"rootfs": {"type": "layers"}, "comment": content}).encode(), content.encode()
    digests = manifests.digest_of(config), manifests.digest_of(layer)
    repository.blobs[digests[0]] = config
    if plan.size is None:
        repository.blobs[digests[1]] = layer
    extra = {"subject": {"mediaType": manifests.OCI_MANIFEST, "digest": plan.subject, "size": 0}} if plan.subject else {}
    if plan.artifact_type:
        extra["artifactType"] = plan.artifact_type  # type: ignore[assignment]
    return manifests.image_manifest((digests[0], len(config)), [(digests[1], len(layer) if plan.size is None else plan.size)], **extra)


def _put(repository: Repository, plan: SeedImage, text: str) -> Image:
    manifest = manifests.parse(text)
    repository.layers.update(manifest.blobs)
    pushed_at = plan.pushed_at or max(repository.created_at, datetime.now(UTC) - timedelta(seconds=1))
    archived = plan.archived_at is not None and (plan.activated_at is None or plan.activated_at < plan.archived_at)
    image = repository.images.get(manifest.digest)
    if image is None:
        image = Image(manifest=manifest, pushed_at=pushed_at, size=repository.size_of(manifest))
        repository.add_image(image)
    image.pushed_at, image.pulled_at = pushed_at, plan.pulled_at
    image.archived_at, image.activated_at = plan.archived_at, plan.activated_at
    image.status = "ARCHIVED" if archived else "ACTIVE"
    return image
