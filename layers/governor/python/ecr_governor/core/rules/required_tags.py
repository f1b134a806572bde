"""A repository carries the expected resource tags."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from ecr_governor.core.origin import Origin
from ecr_governor.core.policy.model import MAX_TAGS, AutoCreated, Expectation, RequiredTag, is_tag_value, placeholders, render
from ecr_governor.core.remedy import Remedy, TagResource
from ecr_governor.core.repository import Fact, Repository, Unreadable
from ecr_governor.core.rule import Rule
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation


def _applies(expectation: Expectation) -> bool:
    return bool(expectation.settings.required_tags)


def _check(repository: Repository, expectation: Expectation, now: datetime) -> Verdict:
    tags = repository.tags
    if isinstance(tags, Unreadable):
        return Undetermined(f"its tags could not be read: {tags.why}")
    required = expectation.settings.required_tags or {}
    awaited = _awaited(repository, expectation, now)
    missing = {key: tag for key, tag in required.items() if key not in tags and key not in awaited}
    wrong = [
        f"the tag {key} is {tags[key]!r}, it must be {_described(tag)}"
        for key, tag in required.items()
        if key in tags and not _accepts(tag, tags[key])
    ]
    if not missing and not wrong:
        return Compliant()
    reasons = [f"has no {'tag' if len(missing) == 1 else 'tags'} {', '.join(missing)}"] if missing else []
    return Violation("; ".join(reasons + wrong), _remedies(missing, tags, known_values(repository, expectation)))


def known_values(repository: Repository, expectation: Expectation) -> Mapping[str, str]:
    """Tell what the placeholders of a tag to set stand for, as far as it is known."""
    values = dict(expectation.segments)
    provenance = repository.provenance
    if provenance.pusher is not None:
        values["pusher"] = provenance.pusher.name
    # A tag is never overwritten, so a guess would stay for ever.
    if provenance.origin is not Origin.UNKNOWN:
        values["origin"] = provenance.origin.value
    return values


def due(repository: Repository, expectation: Expectation, now: datetime) -> datetime | None:
    """Tell when the verdict may change by time alone: when the push that would name the pusher has had its time."""
    return repository.created_at + _grace(expectation) if _awaited(repository, expectation, now) else None


def _grace(expectation: Expectation) -> timedelta:
    return (expectation.settings.auto_created or AutoCreated.model_construct()).grace


def _awaited(repository: Repository, expectation: Expectation, now: datetime) -> frozenset[str]:
    """Name the tags that are not asked for yet: those that tell the pusher of a repository whose first push has still to be seen."""
    provenance = repository.provenance
    made_by_push = provenance.origin in {Origin.CREATE_ON_PUSH, Origin.UNKNOWN} and provenance.creation is not None
    if provenance.pusher is not None or not made_by_push or now >= repository.created_at + _grace(expectation):
        return frozenset()
    required = expectation.settings.required_tags or {}
    return frozenset(key for key, tag in required.items() if tag.set is not None and "pusher" in placeholders(tag.set))


def _accepts(tag: RequiredTag, value: str) -> bool:
    return bool(value.strip()) and tag.matches(value)


def _described(tag: RequiredTag) -> str:
    described = tag.describe()
    return "filled in" if described == "anything" else described


def _remedies(missing: Mapping[str, RequiredTag], tags: Mapping[str, str], values: Mapping[str, str]) -> tuple[Remedy, ...]:
    """Set what is missing and can be filled in; what somebody wrote is left to them."""
    after: dict[str, str] = {}
    for key, tag in missing.items():
        value = render(tag.set, values) if tag.set is not None else None
        if value is not None and is_tag_value(value) and _accepts(tag, value):
            after[key] = value
    # Tags that begin with aws: are AWS's own and do not count (general reference, tagging).
    present = sum(not key.startswith("aws:") for key in tags)
    # None of the keys had a value before.
    return (TagResource({}, after),) if after and present + len(after) <= MAX_TAGS else ()


RULE: Final = Rule(
    id="required-tags",
    summary="The repository carries the expected tags",
    why="Tags say who answers for a repository and who pays for it; without them nobody can be asked.",
    fix="Tag the repository (aws ecr tag-resource). Missing tags are filled in where their value is known; values are never overwritten.",
    severity=Severity.LOW,
    needs=frozenset({Fact.TAGS}),
    applies=_applies,
    check=_check,
)
