"""What ECR holds under one name, as facts read at one time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from ecr_governor.core.origin import NOTHING_KNOWN, Provenance

Kind = TypeVar("Kind", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A fact that could not be read: neither fine nor guilty."""

    why: str


NOT_FETCHED = Unreadable("not fetched")


class Fact(StrEnum):
    """A fact that costs a call of its own; a rule names those it needs and only those are fetched."""

    TAGS = "tags"
    LIFECYCLE_POLICY = "lifecycle_policy"
    REPOSITORY_POLICY = "repository_policy"
    SCAN_FREQUENCY = "scan_frequency"
    IMAGES = "images"
    HOLDS_IMAGE = "holds_image"
    CREATION_TEMPLATES = "creation_templates"
    USAGE = "usage"


class TagMutability(StrEnum):
    """ECR's four values of `imageTagMutability`."""

    MUTABLE = "MUTABLE"
    IMMUTABLE = "IMMUTABLE"
    MUTABLE_WITH_EXCLUSION = "MUTABLE_WITH_EXCLUSION"
    IMMUTABLE_WITH_EXCLUSION = "IMMUTABLE_WITH_EXCLUSION"


@dataclass(frozen=True, slots=True)
class TagMutabilitySetting:
    """`imageTagMutability` with the wildcard filters that the two `*_WITH_EXCLUSION` values take."""

    mutability: TagMutability
    exclusion_filters: frozenset[str] = frozenset()


class ScanFrequency(StrEnum):
    """The scan frequency that the registry's rules give a repository."""

    SCAN_ON_PUSH = "SCAN_ON_PUSH"
    CONTINUOUS_SCAN = "CONTINUOUS_SCAN"
    MANUAL = "MANUAL"


class EncryptionType(StrEnum):
    """How ECR encrypts a repository at rest; fixed when the repository is created."""

    AES256 = "AES256"
    KMS = "KMS"
    KMS_DSSE = "KMS_DSSE"


@dataclass(frozen=True, slots=True)
class Encryption:
    """`encryptionConfiguration`; `kms_key` is a key ARN, or None for the AWS managed key."""

    type: EncryptionType
    kms_key: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """One image of any status. An index, its children and referrers are images of their own."""

    digest: str
    tags: tuple[str, ...]
    pushed_at: datetime


@dataclass(frozen=True, slots=True)
class Usage:
    """What a repository's images of any status say of its use.

    ECR refreshes the time of the last pull at least once in 24 hours, so it may be a day old; None is no pull on record. `images` and
    `size_bytes` (compressed, layers shared between images counted each time) are None where counting stopped once the use was clear.
    """

    last_push: datetime | None = None
    last_pull: datetime | None = None
    images: int | None = None
    size_bytes: int | None = None

    def with_images(self, images: Iterable[tuple[datetime, datetime | None, int]]) -> "Usage":
        """Count more images, each by the times of its push and of its last recorded pull, and its size."""
        pushes, pulls, sizes = [self.last_push], [self.last_pull], [0]
        for pushed_at, pulled_at, size in images:
            pushes.append(pushed_at)
            pulls.append(pulled_at)
            sizes.append(size)
        return Usage(
            last_push=max((at for at in pushes if at), default=None),
            last_pull=max((at for at in pulls if at), default=None),
            images=(self.images or 0) + len(sizes) - 1,
            size_bytes=(self.size_bytes or 0) + sum(sizes),
        )

    def active_after(self, moment: datetime) -> bool:
        """Whether anything was pushed or pulled after the moment."""
        return any(at > moment for at in (self.last_push, self.last_pull) if at)


@dataclass(frozen=True, slots=True)
class CreationTemplate:
    """A repository creation template: what ECR applies to a repository that it creates itself."""

    prefix: str
    applied_for: frozenset[str]


@dataclass(frozen=True, slots=True)
class Repository:
    """The facts of one repository. Those that cost a call of their own are `Unreadable` until they are fetched.

    `tag_mutability` and `encryption` come with every read, and are `Unreadable` where ECR's value is one that we do not know.
    `scan_on_push` comes with it too: the repository's own, deprecated setting, which the registry's rules may override.
    `lifecycle_policy` and `repository_policy` are the documents' texts as ECR returned them, None where there is none.
    """

    name: str
    arn: str
    account: str
    region: str
    created_at: datetime
    tag_mutability: TagMutabilitySetting | Unreadable
    encryption: Encryption | Unreadable
    scan_on_push: bool = False
    tags: Mapping[str, str] | Unreadable = NOT_FETCHED
    lifecycle_policy: str | Unreadable | None = NOT_FETCHED
    repository_policy: str | Unreadable | None = NOT_FETCHED
    scan_frequency: ScanFrequency | Unreadable = NOT_FETCHED
    images: tuple[Image, ...] | Unreadable = NOT_FETCHED
    holds_image: bool | Unreadable = NOT_FETCHED
    creation_templates: tuple[CreationTemplate, ...] | Unreadable = NOT_FETCHED
    usage: Usage | Unreadable = NOT_FETCHED
    provenance: Provenance = NOTHING_KNOWN


# --- ECR's own values -------------------------------------------------------------------------------------------------------------------


def known(kind: type[Kind], field: str, value: str) -> Kind | Unreadable:
    """Read one of ECR's values. A value that is newer than this release stops one verdict, not every look."""
    try:
        return kind(value)
    except ValueError:
        return Unreadable(f"{field}: unknown value {value!r}")


# A registry has a handful of settings, and a great many repositories that share them.


@lru_cache(maxsize=1024)
def tag_mutability_of(mutability: str, filters: frozenset[str]) -> TagMutabilitySetting | Unreadable:
    """Read `imageTagMutability` with its filters."""
    setting = known(TagMutability, "imageTagMutability", mutability)
    return setting if isinstance(setting, Unreadable) else TagMutabilitySetting(setting, filters)


@lru_cache(maxsize=1024)
def encryption_of(kind: str, kms_key: str | None) -> Encryption | Unreadable:
    """Read `encryptionConfiguration`."""
    read = known(EncryptionType, "encryptionType", kind)
    return read if isinstance(read, Unreadable) else Encryption(read, kms_key)
