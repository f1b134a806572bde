"""A repository that ECR made by itself was meant to be, has an owner, and is used."""

from datetime import datetime
from typing import Final

from ecr_governor.core.origin import Origin, longest_prefix
from ecr_governor.core.policy.model import AutoCreated, Expectation
from ecr_governor.core.repository import Fact, Repository, Unreadable
from ecr_governor.core.rule import Rule
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation

# Each origin in words, and the value of a creation template's `appliedFor` that stands for it.
_WORDS: Final = {
    Origin.CREATE_ON_PUSH: "by a push",
    Origin.PULL_THROUGH_CACHE: "by a pull through the cache",
    Origin.REPLICATION: "by replication",
}
_APPLIED_FOR: Final = {
    Origin.CREATE_ON_PUSH: "CREATE_ON_PUSH",
    Origin.PULL_THROUGH_CACHE: "PULL_THROUGH_CACHE",
    Origin.REPLICATION: "REPLICATION",
}


def due(repository: Repository, expectation: Expectation, now: datetime) -> datetime | None:
    """Tell when the verdict may change by time alone: at the end of the grace period, unless an image and its pusher are known."""
    wanted = expectation.settings.auto_created
    if wanted is None or repository.provenance.origin not in _WORDS:
        return None
    if repository.holds_image is True and repository.provenance.pusher is not None:
        return None
    end = repository.created_at + wanted.grace
    return end if now < end else None


def _applies(expectation: Expectation) -> bool:
    return expectation.settings.auto_created is not None


def _check(repository: Repository, expectation: Expectation, now: datetime) -> Verdict:
    wanted = expectation.settings.auto_created
    origin = repository.provenance.origin
    # An unknown origin is no accusation; most repositories are older than our records.
    if wanted is None or origin not in _WORDS:
        return Compliant()
    violations: list[str] = []
    unknowns: list[str] = []
    if origin not in wanted.allowed:
        violations.append(f"was created {_WORDS[origin]}, which is not allowed in {expectation.namespace}")
    _judge_template(repository, violations, unknowns)
    # The push that made the repository arrives a moment, or a large image, later: owner and image have their grace.
    if now >= repository.created_at + wanted.grace:
        if origin is Origin.CREATE_ON_PUSH:
            _judge_owner(repository, expectation, violations, unknowns)
        _judge_image(repository, wanted, violations, unknowns)
    if violations:
        return Violation("; ".join(violations))
    return Undetermined("; ".join(unknowns)) if unknowns else Compliant()


def _judge_template(repository: Repository, violations: list[str], unknowns: list[str]) -> None:
    templates = repository.creation_templates
    origin = repository.provenance.origin
    if isinstance(templates, Unreadable):
        unknowns.append(f"the creation templates could not be read: {templates.why}")
        return
    prefixes = (template.prefix for template in templates if _APPLIED_FOR[origin] in template.applied_for)
    if longest_prefix(prefixes, repository.name) is None:
        violations.append(f"was created {_WORDS[origin]}, and no creation template for that covers its name")


def _judge_owner(repository: Repository, expectation: Expectation, violations: list[str], unknowns: list[str]) -> None:
    if repository.provenance.pusher is not None:
        return
    tags = repository.tags
    if isinstance(tags, Unreadable):
        unknowns.append(f"its tags could not be read: {tags.why}")
    elif not tags.get(expectation.owner_tag, "").strip():
        violations.append(f"has no owner: no push was seen and the tag {expectation.owner_tag} is missing")


def _judge_image(repository: Repository, wanted: AutoCreated, violations: list[str], unknowns: list[str]) -> None:
    holds_image = repository.holds_image
    if isinstance(holds_image, Unreadable):
        unknowns.append(f"its images could not be read: {holds_image.why}")
    elif not holds_image:
        violations.append(f"holds no image {_hours(wanted)} after it was created")


def _hours(wanted: AutoCreated) -> str:
    minutes = int(wanted.grace.total_seconds()) // 60
    return f"{minutes} minutes" if minutes % 60 else f"{minutes // 60} h"


RULE: Final = Rule(
    id="auto-created",
    summary="Repositories that ECR creates are allowed, owned and used",
    why="Anybody who may push can make ECR create a repository, wanted or not; even a denied push may leave an empty one behind.",
    fix="Push an image, tag the owner, and cover the name by a creation template; or delete the repository if nobody meant it to be.",
    severity=Severity.MEDIUM,
    needs=frozenset({Fact.CREATION_TEMPLATES, Fact.TAGS, Fact.HOLDS_IMAGE}),
    applies=_applies,
    check=_check,
)
