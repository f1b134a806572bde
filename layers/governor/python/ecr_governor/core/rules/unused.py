"""A repository is used: something was pushed to it or pulled from it lately."""

from datetime import datetime
from typing import Final

from ecr_governor.core.policy.model import Expectation
from ecr_governor.core.repository import Fact, Repository, Unreadable
from ecr_governor.core.rule import Rule
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation


def last_activity(repository: Repository) -> datetime | None:
    """Tell the newest of creation, last push and last pull; None if the images could not be read."""
    usage = repository.usage
    if isinstance(usage, Unreadable):
        return None
    return max(at for at in (repository.created_at, usage.last_push, usage.last_pull) if at)


def due(repository: Repository, expectation: Expectation, now: datetime) -> datetime | None:
    """Tell when the verdict may change by time alone: when the last activity will be long enough ago."""
    wanted, active = expectation.settings.unused, last_activity(repository)
    if wanted is None or active is None:
        return None
    return active + wanted.after if now < active + wanted.after else None


def _applies(expectation: Expectation) -> bool:
    return expectation.settings.unused is not None


def _check(repository: Repository, expectation: Expectation, now: datetime) -> Verdict:
    wanted = expectation.settings.unused
    if wanted is None:
        return Compliant()
    # A young repository cannot be unused yet, whatever its images say.
    if now - repository.created_at < wanted.after:
        return Compliant()
    if isinstance(repository.usage, Unreadable):
        return Undetermined(f"its images could not be read: {repository.usage.why}")
    active = last_activity(repository)
    if active is None or now - active < wanted.after:
        return Compliant()
    idle = (now - active).days
    return Violation(f"nothing was pushed or pulled for {idle} days, since {active:%Y-%m-%d}")


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
