"""What a rule is: a pure check of one convention, with the words that explain it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ecr_governor.core.policy.model import Expectation
from ecr_governor.core.repository import Fact, Repository
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Rule:
    """One convention. `check` never acts, logs, reads the time or knows its mode.

    `applies` says whether the policy expects anything under this rule for a repository; where it does not, there is no verdict.
    `needs` are the facts that are fetched for it.
    """

    id: str
    summary: str
    why: str
    fix: str
    severity: Severity
    needs: frozenset[Fact]
    applies: Callable[[Expectation], bool]
    check: Callable[[Repository, Expectation, datetime], Verdict]
