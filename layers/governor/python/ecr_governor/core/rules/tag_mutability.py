"""A repository's tags are as fixed as expected."""

from datetime import datetime
from typing import Final

from ecr_governor.core.origin import Origin
from ecr_governor.core.policy.model import Expectation
from ecr_governor.core.remedy import PutImageTagMutability
from ecr_governor.core.repository import Repository, TagMutability, TagMutabilitySetting, Unreadable
from ecr_governor.core.rule import Rule
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation

_IMMUTABLE: Final = frozenset({TagMutability.IMMUTABLE, TagMutability.IMMUTABLE_WITH_EXCLUSION})


def _applies(expectation: Expectation) -> bool:
    return expectation.settings.tag_mutability is not None


def _check(repository: Repository, expectation: Expectation, _now: datetime) -> Verdict:
    if expectation.settings.tag_mutability is None:
        return Compliant()
    actual, wanted = repository.tag_mutability, expectation.settings.tag_mutability.setting
    if isinstance(actual, Unreadable):
        return Undetermined(f"its tag mutability could not be read: {actual.why}")
    if _satisfies(actual, wanted):
        return Compliant()
    # A cache refreshes its tags from upstream; immutable ones stop that (ECR user guide, pull through cache).
    if wanted.mutability in _IMMUTABLE:
        if repository.provenance.origin is Origin.PULL_THROUGH_CACHE:
            return Compliant()
        if repository.provenance.may_be_cache:
            return Undetermined("it may be a pull through cache: immutable tags would stop its refresh")
    return Violation(f"its tags are {_described(actual)}, expected is {_described(wanted)}", (PutImageTagMutability(actual, wanted),))


def _satisfies(actual: TagMutabilitySetting, wanted: TagMutabilitySetting) -> bool:
    """Whether the setting is the wanted one or fixes more tags than an immutable one that is wanted.

    Who fixed more than was asked did so knowingly, and undoing it would weaken a protection. Where mutable tags are wanted somebody
    needs to move them, so there only the same will do.
    """
    if actual == wanted:
        return True
    if wanted.mutability is not TagMutability.IMMUTABLE_WITH_EXCLUSION:
        return False
    return actual.mutability in _IMMUTABLE and actual.exclusion_filters <= wanted.exclusion_filters


def _described(setting: TagMutabilitySetting) -> str:
    filters = ", ".join(sorted(setting.exclusion_filters))
    return f"{setting.mutability} except {filters}" if filters else str(setting.mutability)


RULE: Final = Rule(
    id="tag-mutability",
    summary="Tags cannot be moved to another image",
    why="If a tag can be overwritten, what was tested and what runs may be two different images.",
    fix="Set image tag mutability as expected and give each build a tag of its own. Existing tags stay as they are.",
    severity=Severity.MEDIUM,
    needs=frozenset(),
    applies=_applies,
    check=_check,
)
