"""A repository as a listing shows it, with its tags: what a sweep hands from the step that lists to the step that reads."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ecr_governor.core.repository import (
    Encryption,
    EncryptionType,
    Repository,
    TagMutability,
    TagMutabilitySetting,
    Unreadable,
)


def as_data(repository: Repository) -> dict[str, Any]:
    """Give what was listed as a JSON object."""
    mutability, encryption, tags = repository.tag_mutability, repository.encryption, repository.tags
    return {
        "name": repository.name,
        "arn": repository.arn,
        "account": repository.account,
        "region": repository.region,
        "created_at": repository.created_at.astimezone(UTC).isoformat(),
        "tag_mutability": _unreadable(mutability)
        if isinstance(mutability, Unreadable)
        else [mutability.mutability.value, sorted(mutability.exclusion_filters)],
        "encryption": _unreadable(encryption) if isinstance(encryption, Unreadable) else [encryption.type.value, encryption.kms_key],
        "scan_on_push": repository.scan_on_push,
        "tags": _unreadable(tags) if isinstance(tags, Unreadable) else list(tags.items()),
    }


def from_data(data: Mapping[str, Any]) -> Repository:
    """Read it back. Raises KeyError or ValueError for what is no such object."""
    mutability, encryption, tags = data["tag_mutability"], data["encryption"], data["tags"]
    return Repository(
        name=data["name"],
        arn=data["arn"],
        account=data["account"],
        region=data["region"],
        created_at=datetime.fromisoformat(data["created_at"]),
        tag_mutability=Unreadable(mutability["unreadable"])
        if isinstance(mutability, dict)
        else TagMutabilitySetting(TagMutability(mutability[0]), frozenset(mutability[1])),
        encryption=Unreadable(encryption["unreadable"])
        if isinstance(encryption, dict)
        else Encryption(EncryptionType(encryption[0]), encryption[1]),
        scan_on_push=data["scan_on_push"],
        tags=Unreadable(tags["unreadable"]) if isinstance(tags, dict) else dict(tags),
    )


def _unreadable(fact: Unreadable) -> dict[str, str]:
    return {"unreadable": fact.why}
