"""A repository's facts as one JSON object, and back: so that another policy can be tried on what was read once.

A fact that is not known is left out; `null` is none.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from ecr_governor.core.origin import Origin, Provenance, Signal
from ecr_governor.core.repository import (
    CreationTemplate,
    Encryption,
    EncryptionType,
    Image,
    Repository,
    ScanFrequency,
    TagMutability,
    TagMutabilitySetting,
    Unreadable,
    Usage,
)

NOT_KEPT: Final = Unreadable("it is not in the inventory")
_AS_THEY_ARE: Final = ("lifecycle_policy", "repository_policy", "holds_image")


def facts_as_data(repository: Repository) -> dict[str, Any]:
    """Give all facts that are known."""
    data: dict[str, Any] = {
        "created_at": _text(repository.created_at),
        "scan_on_push": repository.scan_on_push,
        "may_be_cache": repository.provenance.may_be_cache,
    }
    if not isinstance(setting := repository.tag_mutability, Unreadable):
        data["tag_mutability"] = {"mode": setting.mutability.value, "except": sorted(setting.exclusion_filters)}
    if not isinstance(encryption := repository.encryption, Unreadable):
        data["encryption"] = {"type": encryption.type.value, "kms_key": encryption.kms_key}
    if not isinstance(repository.tags, Unreadable):
        data["tags"] = dict(repository.tags)
    if not isinstance(repository.scan_frequency, Unreadable):
        data["scan_frequency"] = repository.scan_frequency.value
    if not isinstance(repository.images, Unreadable):
        data["image_tags"] = sorted({tag for image in repository.images for tag in image.tags})
    if not isinstance(repository.creation_templates, Unreadable):
        data["creation_templates"] = [[each.prefix, sorted(each.applied_for)] for each in repository.creation_templates]
    if not isinstance(usage := repository.usage, Unreadable):
        data["usage"] = [_text(usage.last_push), _text(usage.last_pull), usage.images, usage.size_bytes]
    return data | {fact: value for fact in _AS_THEY_ARE if not isinstance(value := getattr(repository, fact), Unreadable)}


def repository_from_data(name: str, account: str, region: str, origin: Origin, data: Mapping[str, Any]) -> Repository:
    """Make a repository of its facts again. Raises KeyError, TypeError or ValueError for what is no such object."""
    cache = (Signal("the inventory says so", (Origin.PULL_THROUGH_CACHE,), 0, cache_rules=True),) if data["may_be_cache"] else ()
    repository = Repository(
        name=name,
        arn=f"arn:aws:ecr:{region}:{account}:repository/{name}",
        account=account,
        region=region,
        created_at=datetime.fromisoformat(data["created_at"]),
        tag_mutability=NOT_KEPT,
        encryption=NOT_KEPT,
        scan_on_push=bool(data["scan_on_push"]),
        provenance=Provenance(origin, evidence=cache),
    )
    known: dict[str, Any] = {fact: data.get(fact, NOT_KEPT) for fact in (*_AS_THEY_ARE, "tags")}
    if "tag_mutability" in data:
        setting = data["tag_mutability"]
        known["tag_mutability"] = TagMutabilitySetting(TagMutability(setting["mode"]), frozenset(setting["except"]))
    if "encryption" in data:
        known["encryption"] = Encryption(EncryptionType(data["encryption"]["type"]), data["encryption"]["kms_key"])
    known["scan_frequency"] = ScanFrequency(data["scan_frequency"]) if "scan_frequency" in data else NOT_KEPT
    known["images"] = (Image("", tuple(data["image_tags"]), repository.created_at),) if "image_tags" in data else NOT_KEPT
    known["creation_templates"] = (
        tuple(CreationTemplate(prefix, frozenset(applied_for)) for prefix, applied_for in data["creation_templates"])
        if "creation_templates" in data
        else NOT_KEPT
    )
    known["usage"] = Usage(_moment(data["usage"][0]), _moment(data["usage"][1]), *data["usage"][2:]) if "usage" in data else NOT_KEPT
    return replace(repository, **known)


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
