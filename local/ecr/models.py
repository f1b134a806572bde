"""What the registry holds: repositories, images, templates and registry settings of one account and Region.

moto finds a backend's addresses beside the module that defines its class, so this module must be called `models` and have
`urls` as its sibling.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.core.base_backend import BaseBackend

from local.ecr.errors import repository_not_found
from local.ecr.wildcards import matches

if TYPE_CHECKING:
    from local.ecr.manifests import Manifest

# A restore takes up to 20 minutes (user guide, "Restore an image").
RESTORE_TIME = timedelta(minutes=20)
REPOSITORY_ARN = re.compile(r"arn:[^:]+:ecr:[^:]+:(?P<account>[^:]+):repository/(?P<name>.+)")


@dataclass(eq=False, slots=True)
class Image:
    """An image, or another artifact, named by the digest of its manifest."""

    manifest: Manifest
    pushed_at: datetime
    size: int | None
    tags: list[str] = field(default_factory=list)
    status: str = "ACTIVE"
    pulled_at: datetime | None = None
    archived_at: datetime | None = None
    activated_at: datetime | None = None
    ready_at: datetime | None = None

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return self.manifest.digest


@dataclass(eq=False, slots=True)
class Repository:
    """A repository and all that is stored under its name."""

    name: str
    arn: str
    registry_id: str
    uri: str
    created_at: datetime
    mutability: str = "MUTABLE"
    exclusion_filters: list[dict[str, str]] = field(default_factory=list)
    scan_on_push: bool = False
    encryption: dict[str, str] = field(default_factory=lambda: {"encryptionType": "AES256"})
    policy: str | None = None
    lifecycle_policy: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    # The tagging API goes on to list what had a tag once.
    was_tagged: bool = False
    images: dict[str, Image] = field(default_factory=dict)
    tagged: dict[str, str] = field(default_factory=dict)
    layers: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    # How many images name a layer, and which indexes list an image: a repository may hold 100,000 images.
    layer_uses: Counter[str] = field(default_factory=Counter)
    parents: dict[str, set[str]] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """Write the repository as the API's `Repository` structure."""
        document: dict[str, Any] = {
            "repositoryArn": self.arn,
            "registryId": self.registry_id,
            "repositoryName": self.name,
            "repositoryUri": self.uri,
            "createdAt": self.created_at,
            "imageTagMutability": self.mutability,
            "imageScanningConfiguration": {"scanOnPush": self.scan_on_push},
            "encryptionConfiguration": dict(self.encryption),
        }
        if self.exclusion_filters:
            document["imageTagMutabilityExclusionFilters"] = [dict(item) for item in self.exclusion_filters]
        return document

    def is_immutable(self, tag: str) -> bool:
        """Whether the tag, once there, may not move: exclusion filters turn the setting round for the tags they match."""
        excluded = any(matches(item["filter"], tag) for item in self.exclusion_filters)
        return self.mutability.startswith("IMMUTABLE") != excluded

    def find(self, image_id: dict[str, str]) -> Image | None:
        """Find an image by digest, by tag, or by both."""
        digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
        found = self.images.get(digest or self.tagged.get(tag or "", ""))
        return None if found is None or (tag is not None and tag not in found.tags) else found

    def put_tag(self, image: Image, tag: str) -> None:
        """Give the tag to the image; the image that had it stays, perhaps untagged."""
        holder = self.tagged.get(tag)
        if holder is not None and holder != image.digest:
            self.images[holder].tags.remove(tag)
        if tag not in image.tags:
            image.tags.append(tag)
        self.tagged[tag] = image.digest

    def remove_tag(self, tag: str) -> None:
        """Take the tag from its image."""
        self.images[self.tagged.pop(tag)].tags.remove(tag)

    def add_image(self, image: Image) -> None:
        """Store an image."""
        self.images[image.digest] = image
        self.layer_uses.update({digest for digest, _ in image.manifest.blobs})
        for child in image.manifest.children:
            self.parents.setdefault(child, set()).add(image.digest)

    def remove_image(self, image: Image) -> None:
        """Remove an image, its tags, and the layers that no other image names.

        UNCONFIRMED: how soon ECR forgets unnamed layers.
        """
        for tag in image.tags:
            del self.tagged[tag]
        del self.images[image.digest]
        for child in image.manifest.children:
            self.parents[child].discard(image.digest)
        for digest in {digest for digest, _ in image.manifest.blobs}:
            self.layer_uses[digest] -= 1
            if not self.layer_uses[digest]:
                del self.layer_uses[digest]
                self.layers.pop(digest, None)
                self.blobs.pop(digest, None)

    def parents_of(self, digest: str) -> list[str]:
        """Return the digests of the indexes that list an image."""
        return sorted(self.parents.get(digest, ()))

    def size_of(self, manifest: Manifest) -> int | None:
        """Return `imageSizeInBytes`: for a manifest list that of its largest child (botocore model, `ImageDetail`)."""
        if not manifest.is_index:
            return manifest.layer_bytes
        return max((self.images[child].size or 0 for child in manifest.children if child in self.images), default=0)


class TagReader:
    """Reads tags by ARN."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def get_tag_dict_for_resource(self, arn: str) -> dict[str, str]:
        """Return the tags of a repository; none if there is no such repository."""
        repository = self._backend.repositories.get(arn.partition(":repository/")[2])
        return dict(repository.tags) if repository is not None and repository.arn == arn else {}


class Backend(BaseBackend):
    """ECR of one account and Region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.lock = threading.RLock()
        self.repositories: dict[str, Repository] = {}
        self.templates: dict[str, dict[str, Any]] = {}
        self.pull_through_rules: dict[str, dict[str, Any]] = {}
        self.pull_time_exclusions: dict[str, datetime] = {}
        self.account_settings = {"BASIC_SCAN_TYPE_VERSION": "AWS_NATIVE", "REGISTRY_POLICY_SCOPE": "V2", "BLOB_MOUNTING": "DISABLED"}
        self.registry_policy: str | None = None
        self.replication: dict[str, Any] = {"rules": []}
        self.scanning: dict[str, Any] = {"scanType": "BASIC", "rules": []}
        self.activating: list[tuple[str, str]] = []
        # What CloudWatch knows, by name and minute; it outlives the repository.
        self.pulls: dict[str, dict[int, int]] = {}

    def arn_of(self, name: str) -> str:
        """Return the ARN a repository of this name has or would have."""
        return f"arn:{self.partition}:ecr:{self.region_name}:{self.account_id}:repository/{name}"

    def repository(self, name: str, registry_id: str | None = None) -> Repository:
        """Return the repository of this name, or fail as ECR does."""
        found = self.repositories.get(name)
        if found is None or (registry_id and registry_id != self.account_id):
            raise repository_not_found(name, registry_id or self.account_id)
        return found

    def add_repository(self, name: str, *, created_at: datetime | None = None) -> Repository:
        """Put an empty repository with default settings into the registry."""
        repository = Repository(
            name=name,
            arn=self.arn_of(name),
            registry_id=self.account_id,
            uri=f"{self.account_id}.dkr.ecr.{self.region_name}.amazonaws.com/{name}",
            created_at=created_at or datetime.now(UTC),
        )
        self.repositories[name] = repository
        return repository

    def count_pull(self, name: str, at: datetime) -> None:
        """Let CloudWatch count a pull."""
        minutes = self.pulls.setdefault(name, {})
        minute = int(at.timestamp()) // 60
        minutes[minute] = minutes.get(minute, 0) + 1

    @property
    def tagger(self) -> TagReader:
        """The repositories' tags in the way in which moto's backends offer theirs."""
        return TagReader(self)

    def settle(self, now: datetime) -> list[tuple[Repository, Image]]:
        """Finish the restores whose time has come and return their images."""
        done: list[tuple[Repository, Image]] = []
        for name, digest in list(self.activating):
            repository = self.repositories.get(name)
            image = repository.images.get(digest) if repository is not None else None
            if repository is None or image is None or image.ready_at is None:
                self.activating.remove((name, digest))
            elif image.ready_at <= now:
                image.status, image.activated_at, image.ready_at = "ACTIVE", image.ready_at, None
                self.activating.remove((name, digest))
                done.append((repository, image))
        return done
