"""A repository as `DescribeRepositories` tells it: read in one way, whoever asked."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from ecr_governor.core.repository import (
    Encryption,
    EncryptionType,
    Repository,
    TagMutability,
    TagMutabilitySetting,
    Unreadable,
)

Kind = TypeVar("Kind", bound=StrEnum)


def repository_of(found: Mapping[str, Any], created_at: datetime, **fetched: Any) -> Repository:
    """Read an item of the answer's `repositories`; `fetched` are facts that were read by other calls, by their fields."""
    arn = found["repositoryArn"]
    encryption = found.get("encryptionConfiguration") or {"encryptionType": "AES256"}
    filters = found.get("imageTagMutabilityExclusionFilters")
    return Repository(
        name=found["repositoryName"],
        arn=arn,
        account=found["registryId"],
        region=arn.split(":", 4)[3],
        created_at=created_at,
        tag_mutability=_tag_mutability(
            found.get("imageTagMutability", "MUTABLE"), frozenset(each["filter"] for each in filters) if filters else frozenset()
        ),
        encryption=_encryption(encryption["encryptionType"], encryption.get("kmsKey")),
        scan_on_push=bool(found.get("imageScanningConfiguration", {}).get("scanOnPush", False)),
        **fetched,
    )


def known(kind: type[Kind], field: str, value: str) -> Kind | Unreadable:
    """Read one of ECR's values. A value that is newer than this release stops one verdict, not every look."""
    try:
        return kind(value)
    except ValueError:
        return Unreadable(f"{field}: unknown value {value!r}")


# A registry has a handful of settings, and a great many repositories that share them.


@lru_cache(maxsize=1024)
def _tag_mutability(mutability: str, filters: frozenset[str]) -> TagMutabilitySetting | Unreadable:
    setting = known(TagMutability, "imageTagMutability", mutability)
    return setting if isinstance(setting, Unreadable) else TagMutabilitySetting(setting, filters)


@lru_cache(maxsize=1024)
def _encryption(kind: str, kms_key: str | None) -> Encryption | Unreadable:
    read = known(EncryptionType, "encryptionType", kind)
    return read if isinstance(read, Unreadable) else Encryption(read, kms_key)
