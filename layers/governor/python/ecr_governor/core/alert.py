"""What cannot wait until somebody looks: critical findings, and what a retirement takes away or is about to."""

from dataclasses import dataclass
from typing import Final

from ecr_governor.core.announcement import Told, finding_from_data
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.retirement.reported import STEPS_OF, step
from ecr_governor.core.retirement.state import Stage
from ecr_governor.core.severity import Severity

STAGE_OF: Final = {"marked": Stage.MARKED, "reminder": Stage.MARKED, "quarantined": Stage.QUARANTINED, "deleted": Stage.DELETED}
"""The steps that are alerts, and in which stage a repository must be for that to be true still."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An entry that is an alert, and still is one: the step that it tells of, or the critical findings that are open now."""

    entry: Told
    step: str = ""
    findings: tuple[Finding, ...] = ()


def is_critical(entry: Told) -> bool:
    """Whether an entry is an alert, as it was written."""
    return step(entry.body) in STAGE_OF if entry.kind in STEPS_OF else bool(_critical_in(entry))


def alert_of(entry: Told, record: RepositoryRecord | None) -> Alert | None:
    """Give an entry's alert by what the record says now; None if it is none any more. Without a record what was written counts."""
    if entry.kind in STEPS_OF:
        said = step(entry.body)
        if said not in STAGE_OF:
            return None
        stage = record.retirement.stage if record and record.retirement else Stage.OBSERVED
        # What is gone stays news, whatever has come in its place.
        return Alert(entry, step=said) if record is None or said == "deleted" or stage is STAGE_OF[said] else None
    findings = _critical_in(entry)
    if record is not None:
        now = {finding.rule: finding for finding in record.findings}
        findings = tuple(now[finding.rule] for finding in findings if finding.rule in now and _is_open(now[finding.rule]))
    return Alert(entry, findings=findings) if findings else None


def _critical_in(entry: Told) -> tuple[Finding, ...]:
    if entry.kind not in {"change", "swept"}:
        return ()
    opened = (finding_from_data(data) for data in (*entry.body["opened"], *entry.body.get("changed", ())))
    return tuple({finding.rule: finding for finding in opened if finding.severity is Severity.CRITICAL}.values())


def _is_open(finding: Finding) -> bool:
    return finding.state is FindingState.OPEN and finding.severity is Severity.CRITICAL
