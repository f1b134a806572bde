"""What a report holds. It is also the report as JSON: the schema in `docs/report.schema.json` is made from these classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from ecr_governor.core.report.saving import Saving
from ecr_governor.core.retirement.state import Stage
from ecr_governor.core.severity import Severity

State: TypeAlias = Literal["open", "exempt"]


@dataclass(frozen=True, slots=True)
class ReportedFinding:
    """One violation of one rule. `since` is when it was opened; null where only the ledger's events could tell and did not."""

    rule: str
    severity: Severity
    reason: str
    state: State
    fix: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReportedReason:
    """One thing that was looked at before a repository goes a step further, and what it means for that step."""

    check: str
    seen: str
    weight: str


@dataclass(frozen=True, slots=True)
class ReportedRetirement:
    """How far one repository is on its way out. `next` is due now, `then` comes if nothing speaks against it, not before `not_before`."""

    stage: Stage
    next: Stage | None
    then: Stage | None
    not_before: datetime | None
    reasons: tuple[ReportedReason, ...]


@dataclass(frozen=True, slots=True)
class ReportedRepository:
    """One repository as it was last judged.

    `undetermined` says why, by rule. `images` and `size_bytes` are null where counting stopped once the use was clear, `unused` where no
    rule asks or it is not known. `creator` and `pusher` are the names of the principals that called CreateRepository and that pushed
    first; `evidence` is what the origin rests on.
    """

    name: str
    origin: str
    origin_confidence: str
    owner: str | None
    findings: tuple[ReportedFinding, ...]
    undetermined: Mapping[str, str]
    images: int | None
    size_bytes: int | None
    last_push: datetime | None
    last_pull: datetime | None
    unused: bool | None
    created_at: datetime | None = None
    creator: str | None = None
    pusher: str | None = None
    evidence: tuple[str, ...] = ()
    retirement: ReportedRetirement | None = None

    @property
    def open_findings(self) -> tuple[ReportedFinding, ...]:
        """The findings from which nobody is exempt."""
        return tuple(finding for finding in self.findings if finding.state == "open")


@dataclass(frozen=True, slots=True)
class Step:
    """One step to come of one retirement: not before `at`, if nothing speaks against it until then."""

    repository: str
    to: Stage
    at: datetime
    owner: str | None


@dataclass(frozen=True, slots=True)
class OwnerCount:
    """What one owner has; null stands for repositories without a known owner. `by_severity` counts open findings.

    `size_bytes` is of the repositories whose images were counted, null where none were.
    """

    owner: str | None
    repositories: int
    violating: int
    by_severity: Mapping[str, int]
    unused: int
    size_bytes: int | None
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class RuleCount:
    """What was found by one rule. `opened` and `resolved` are since the sweep before; `severity` is the worst that is open."""

    rule: str
    summary: str
    fix: str
    severity: Severity
    open: int
    exempt: int
    undetermined: int
    opened: int
    resolved: int


@dataclass(frozen=True, slots=True)
class NamespaceCount:
    """How many repositories below one prefix of the policy file violate it."""

    namespace: str
    violating: int


@dataclass(frozen=True, slots=True)
class Point:
    """One sweep of the past."""

    at: datetime
    repositories: int
    violating: int
    unused: int
    size_bytes: int
    complete: bool


@dataclass(frozen=True, slots=True)
class EventLoss:
    """How many changes since the sweep before an event told of, how many none, and what share the latter are; null if nothing changed."""

    announced: int
    unannounced: int
    rate: float | None


@dataclass(frozen=True, slots=True)
class Method:
    """What the report rests on, and what it cannot know.

    `seen_at` is when the repositories were looked at, `source` by what; `planned_at` when the retirements were. `withheld` says why no
    retirement goes forward, `unread` which of them could not be read.
    """

    source: str
    seen_at: datetime
    planned_at: datetime | None
    complete: bool
    incomplete_because: tuple[str, ...]
    undetermined: Mapping[str, int]
    event_loss: EventLoss | None
    calls: int
    withheld: tuple[str, ...]
    unread: Mapping[str, str]
    policy_problem: str | None
    blind_spots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole of it. `needing` are repositories with an open finding, or that go a step further within `horizon_days`.

    `repositories` begin with what is gravest; `steps` are in their order in time.
    """

    version: Literal[1]
    made_at: datetime
    account: str
    region: str
    policy_hash: str
    mode: str
    verdict: str
    needing: int
    total: int
    violating: int
    unused: int
    size_bytes: int
    by_severity: Mapping[str, int]
    opened: int
    resolved: int
    saving: Saving
    horizon_days: int
    steps: tuple[Step, ...]
    owners: tuple[OwnerCount, ...]
    rules: tuple[RuleCount, ...]
    namespaces: tuple[NamespaceCount, ...]
    trend: tuple[Point, ...]
    method: Method
    repositories: tuple[ReportedRepository, ...]
