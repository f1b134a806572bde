"""What a look at every repository of a Region at once has found."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ecr_governor.core.severity import Severity


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One violation of one rule, at the time of the audit."""

    rule: str
    severity: Severity
    reason: str
    state: Literal["open", "exempt"]


@dataclass(frozen=True, slots=True)
class AuditedRepository:
    """One repository as the audit saw it. `undetermined` says why, by rule; None is not known, or was not asked for.

    `unused`: whether the rule of that name found that it is. `facts` are all that was read, where they were to be kept.
    """

    name: str
    origin: str
    owner: str | None
    findings: tuple[AuditFinding, ...]
    undetermined: Mapping[str, str]
    images: int | None
    size_bytes: int | None
    last_push: datetime | None
    last_pull: datetime | None
    unused: bool
    facts: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """The audit of one Region as a whole. `calls` are counted by operation."""

    account: str
    region: str
    policy_hash: str
    complete: bool
    incomplete_because: tuple[str, ...]
    repositories: int
    violating: int
    calls: Mapping[str, int]
    seconds: float
