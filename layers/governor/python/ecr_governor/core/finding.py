"""A finding is a violation with a life: opened, still open, resolved; or exempt while somebody answers for it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from ecr_governor.core.evaluate import Evaluation, Judgement
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.remedy import describe
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Violation


class FindingState(StrEnum):
    """Where a finding is in its life."""

    OPEN = "open"
    EXEMPT = "exempt"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation of one rule by one repository. `remedies` are what would mend it, in words."""

    repository: str
    rule: str
    severity: Severity
    state: FindingState
    mode: Mode
    reason: str
    remedies: tuple[str, ...]
    opened_at: datetime
    resolved_at: datetime | None = None
    resolution: str = ""


def follow(findings: Iterable[Finding], evaluation: Evaluation, now: datetime) -> tuple[Finding, ...]:
    """Carry findings on through an evaluation: open what is new, keep what stays, resolve what is gone.

    An `Undetermined` verdict changes nothing: not knowing is no reason to open a finding, and none to call one resolved.
    A resolved finding that comes back is opened anew.
    """
    known = {finding.rule: finding for finding in findings}
    judged = {judgement.rule: judgement for judgement in evaluation.judgements}
    carried = [_carry(known.get(rule), judgement, evaluation.repository, now) for rule, judgement in judged.items()]
    dropped = [_resolve(finding, "the policy no longer asks for it", now) for rule, finding in known.items() if rule not in judged]
    return tuple(sorted((finding for finding in (*carried, *dropped) if finding), key=lambda finding: finding.rule))


def close_all(findings: Iterable[Finding], why: str, now: datetime) -> tuple[Finding, ...]:
    """Resolve every finding: the repository is gone."""
    return tuple(_resolve(finding, why, now) for finding in findings)


def _resolve(finding: Finding, why: str, now: datetime) -> Finding:
    if finding.state is FindingState.RESOLVED:
        return finding
    return replace(finding, state=FindingState.RESOLVED, resolved_at=now, resolution=why)


def _carry(known: Finding | None, judgement: Judgement, repository: str, now: datetime) -> Finding | None:
    match judgement.verdict:
        case Undetermined():
            return known
        case Compliant():
            return _resolve(known, "it is compliant again", now) if known else None
        case Violation(reason, remedies):
            exempt = judgement.exemption
            state = FindingState.EXEMPT if exempt else FindingState.OPEN
            return Finding(
                repository=repository,
                rule=judgement.rule,
                severity=judgement.severity,
                state=state,
                mode=judgement.mode,
                reason=reason,
                remedies=tuple(describe(remedy) for remedy in remedies),
                opened_at=known.opened_at if known and known.state is state else now,
                resolution=f"until {exempt.expires.isoformat()}, {exempt.owner}: {exempt.reason}" if exempt else "",
            )
