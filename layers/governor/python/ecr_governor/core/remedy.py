"""Remedies: actions as data. Each says what to change, from what, to what; none of them destroys an image."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias, assert_never

from ecr_governor.core.repository import Fact, Repository, TagMutabilitySetting, Unreadable


@dataclass(frozen=True, slots=True)
class PutLifecyclePolicy:
    """Replace the lifecycle policy; `before` is None where there was none."""

    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class SetRepositoryPolicy:
    """Replace the repository policy by one that keeps every foreign statement."""

    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class PutImageTagMutability:
    """Change tag mutability; existing tags stay as they are."""

    before: TagMutabilitySetting
    after: TagMutabilitySetting


@dataclass(frozen=True, slots=True)
class TagResource:
    """Set resource tags. `before` holds the former values of the same keys, where there were any."""

    before: Mapping[str, str]
    after: Mapping[str, str]


Remedy: TypeAlias = PutLifecyclePolicy | SetRepositoryPolicy | PutImageTagMutability | TagResource


def describe(remedy: Remedy) -> str:
    """Say in words what a remedy does."""
    match remedy:
        case PutLifecyclePolicy(before):
            replaced = "" if before is None else " in the place of a weaker one"
            return f"put the lifecycle policy of the namespace{replaced}"
        case SetRepositoryPolicy():
            return "set the missing statements of the repository policy"
        case PutImageTagMutability(before, after):
            return f"set tag mutability from {setting(before)} to {setting(after)}"
        case TagResource(after=after):
            return "set the tags " + ", ".join(f"{key}={value}" for key, value in sorted(after.items()))
        case _:
            assert_never(remedy)


def setting(mutability: TagMutabilitySetting) -> str:
    """Say a tag mutability setting in words: `IMMUTABLE_WITH_EXCLUSION (dev-*, latest)`."""
    filters = f" ({', '.join(sorted(mutability.exclusion_filters))})" if mutability.exclusion_filters else ""
    return f"{mutability.mutability}{filters}"


def as_data(remedy: Remedy) -> dict[str, Any]:
    """Give a remedy as a JSON object with ECR's name of the operation: what the ledger keeps."""
    match remedy:
        case PutImageTagMutability(before, after):
            return {"action": "PutImageTagMutability", "before": setting(before), "after": setting(after)}
        case PutLifecyclePolicy(before, after) | SetRepositoryPolicy(before, after):
            return {"action": type(remedy).__name__, "before": before, "after": after}
        case TagResource(before=former, after=tags):
            return {"action": "TagResource", "before": dict(sorted(former.items())), "after": dict(sorted(tags.items()))}
        case _:
            assert_never(remedy)


def operation_of(remedy: Remedy) -> str:
    """Name the ECR operation that carries out a remedy."""
    return type(remedy).__name__


CHANGES: Mapping[type[Remedy], frozenset[Fact]] = {
    PutLifecyclePolicy: frozenset({Fact.LIFECYCLE_POLICY}),
    SetRepositoryPolicy: frozenset({Fact.REPOSITORY_POLICY}),
    PutImageTagMutability: frozenset(),
    TagResource: frozenset({Fact.TAGS}),
}
"""The facts, besides those that every read brings, that a remedy changes: they are read again after it."""


class OutcomeStatus(StrEnum):
    """What happened to a remedy."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    GONE = "gone"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one remedy, and why if it was not applied."""

    remedy: Remedy
    status: OutcomeStatus
    why: str = ""


def after(repository: Repository, remedy: Remedy) -> Repository:
    """Give the repository as it is when a remedy was applied."""
    match remedy:
        case PutLifecyclePolicy(after=text):
            return replace(repository, lifecycle_policy=text)
        case SetRepositoryPolicy(after=text):
            return replace(repository, repository_policy=text)
        case PutImageTagMutability(after=setting):
            return replace(repository, tag_mutability=setting)
        case TagResource(after=tags):
            known = {} if isinstance(repository.tags, Unreadable) else repository.tags
            return replace(repository, tags={**known, **tags})
