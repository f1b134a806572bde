"""A repository is used: something was pushed to it or pulled from it lately."""

from datetime import datetime, timedelta
from typing import Final

from ecr_governor.core.policy.model import Expectation
from ecr_governor.core.repository import Fact, Repository, Unreadable
from ecr_governor.core.rule import Rule
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation

SLACK: Final = timedelta(days=1)
"""How far ECR's time of the last pull may lag behind: it is refreshed at least once in 24 hours (API reference, ImageDetail)."""


def idle_since(expectation: Expectation, now: datetime) -> datetime | None:
    """Tell since when nothing must have happened in a repository that is called unused now; None if the rule asks for nothing."""
    wanted = expectation.settings.unused
    return now - wanted.after - SLACK if wanted else None


def last_activity(repository: Repository) -> datetime | None:
    """Tell the newest of creation, last push and last pull; None if the images could not be read."""
    usage = repository.usage
    if isinstance(usage, Unreadable):
        return None
    return max(at for at in (repository.created_at, usage.last_push, usage.last_pull) if at)


def due(repository: Repository, expectation: Expectation, now: datetime) -> datetime | None:
    """Tell when the verdict may change by time alone: when the last activity will be long enough ago."""
    wanted = expectation.settings.unused
    if wanted is None:
        return None
    ends = (last_activity(repository) or repository.created_at) + wanted.after + SLACK
    return ends if now < ends else None


def _applies(expectation: Expectation) -> bool:
    return expectation.settings.unused is not None


def _check(repository: Repository, expectation: Expectation, now: datetime) -> Verdict:
    since = idle_since(expectation, now)
    # A young repository cannot be unused yet, whatever its images say.
    if since is None or repository.created_at > since:
        return Compliant()
    if isinstance(repository.usage, Unreadable):
        return Undetermined(f"its images could not be read: {repository.usage.why}")
    active = last_activity(repository)
    if active is None or active > since:
        return Compliant()
    # A count of the days would be wrong on the next one, and what has not changed is not judged every day.
    return Violation(f"nothing was pushed or pulled since {active:%Y-%m-%d}")


RULE: Final = Rule(
    id="unused",
    summary="The repository is used",
    why="What nobody pulls still costs storage, is scanned, and keeps old vulnerabilities within reach.",
    fix="Ask the owner whether anything still needs it, for example a function that keeps its own copy; delete it if nothing does.",
    severity=Severity.LOW,
    needs=frozenset({Fact.USAGE}),
    applies=_applies,
    check=_check,
)
