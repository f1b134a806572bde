"""Make a report of what a sweep, its fellows before it, the retirement's plan and the ledger's records say. The same gives the same."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ecr_governor.core.audit import AuditedRepository, AuditSummary
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.report.model import (
    EventLoss,
    Method,
    NamespaceCount,
    OwnerCount,
    Point,
    Report,
    ReportedFinding,
    ReportedReason,
    ReportedRepository,
    ReportedRetirement,
    RuleCount,
    Step,
)
from ecr_governor.core.report.saving import saving
from ecr_governor.core.report.words import day, plural, repositories
from ecr_governor.core.retirement import calendar
from ecr_governor.core.retirement.state import Stage
from ecr_governor.core.rules import RULES
from ecr_governor.core.severity import Severity
from ecr_governor.core.standing import Standing

HORIZON: Final = timedelta(days=30)
"""How far ahead the next steps are told."""
STALE: Final = timedelta(hours=26)
"""Older than this, what a nightly sweep saw is said to be old."""
ORDER: Final = {severity: rank for rank, severity in enumerate(reversed(Severity))}
BLIND_SPOTS: Final = (
    "ECR records a pull up to 24 hours late, and none by roles on its list of pull time exclusions.",
    "ECR tells what each image weighs, not which layers images share: sizes are upper bounds.",
    "Who created a repository is known only as far as CloudTrail's record of it reached us, or was looked up within 90 days.",
    "A container that started long ago and pulls nothing leaves no trace in ECR.",
    "Pulls from other accounts and clusters are seen by ECR's pull times alone, unless a file of evidence tells of them.",
)
BLIND_SPOTS_OF_AUDITS: Final = (
    *BLIND_SPOTS[:2],
    "An audit knows no events: not who created a repository or pushed to it, nor since when a finding is open.",
    "It sees the registry once: there is no trend, and nothing is retired by it.",
)


@dataclass(frozen=True, slots=True)
class Sources:
    """What a report is made of. `summary` is the last sweep's, `earlier` those before it; `records` are the ledger's, as far as wanted."""

    summary: Mapping[str, Any]
    standings: Iterable[Standing]
    earlier: Sequence[Mapping[str, Any]] = ()
    plan: Mapping[str, Any] | None = None
    records: Mapping[str, RepositoryRecord] = field(default_factory=dict)


def wants_record(standing: Standing) -> bool:
    """Whether the ledger has something to add: nobody looks for the history of what is in good order."""
    return bool(standing.findings or standing.undetermined or standing.unused)


def report_of(sources: Sources, now: datetime) -> Report:
    """Make the report of a deployed system."""
    summary, plan = sources.summary, sources.plan
    items = {item["repository"]: item for item in plan["items"]} if plan else {}
    found = [_of_standing(standing, sources.records.get(standing.name), items.get(standing.name)) for standing in sources.standings]
    steps = tuple(Step(each.repository, each.to, each.at, each.owner) for each in calendar.dates(plan, now + HORIZON)) if plan else ()
    loss = summary["event_loss"]
    method = Method(
        source=f"sweep {summary['run']}",
        seen_at=datetime.fromisoformat(summary["ended_at"]),
        planned_at=datetime.fromisoformat(plan["at"]) if plan else None,
        complete=summary["complete"],
        incomplete_because=tuple(summary["incomplete_because"]),
        undetermined=dict(sorted(summary["undetermined"].items())),
        event_loss=EventLoss(loss["announced"], loss["unannounced"], loss["rate"]),
        calls=sum(summary["calls"].values()),
        withheld=tuple(plan["withheld"]) if plan else (),
        unread=dict(sorted(plan["unread"].items())) if plan else {},
        policy_problem=summary["policy_problem"],
        blind_spots=BLIND_SPOTS,
    )
    return _assembled(
        found,
        steps,
        method,
        now,
        place=(summary["account"], summary["region"]),
        policy=(summary["policy_hash"], summary["mode"]),
        since_last=(Counter(summary["opened"]), Counter(summary["resolved"])),
        namespaces=summary["by_namespace"],
        trend=tuple(sorted((_point(each) for each in (summary, *sources.earlier)), key=lambda point: point.at)),
    )


def report_of_audit(audited: Iterable[AuditedRepository], summary: AuditSummary, namespaces: Mapping[str, int], now: datetime) -> Report:
    """Make the report of an audit. `namespaces` counts violating repositories by the policy's prefixes."""
    found = [_of_audit(each) for each in audited]
    undetermined = Counter(f"{rule}: {why}" for each in found for rule, why in each.undetermined.items())
    method = Method(
        source="an audit from the command line",
        seen_at=now,
        planned_at=None,
        complete=summary.complete,
        incomplete_because=summary.incomplete_because,
        undetermined=dict(sorted(undetermined.items())),
        event_loss=None,
        calls=sum(summary.calls.values()),
        withheld=(),
        unread={},
        policy_problem=None,
        blind_spots=BLIND_SPOTS_OF_AUDITS,
    )
    place, policy = (summary.account, summary.region), (summary.policy_hash, "audit")
    return _assembled(found, (), method, now, place, policy, (Counter(), Counter()), namespaces, ())


def worst(repository: ReportedRepository) -> Severity | None:
    """The worst severity among a repository's open findings."""
    return min((finding.severity for finding in repository.open_findings), key=ORDER.__getitem__, default=None)


def age(seen_at: datetime, now: datetime) -> str:
    """Say how old it is what was seen; "" for what is as new as a nightly sweep can be. It is the last that a verdict says."""
    if now - seen_at <= STALE:
        return ""
    hours = int((now - seen_at) / timedelta(hours=1))
    return f"This is {hours // 24} day{plural(hours // 24)} old." if hours >= 48 else f"This is {hours} hours old."  # noqa: PLR2004


def _assembled(
    found: Sequence[ReportedRepository],
    steps: tuple[Step, ...],
    method: Method,
    now: datetime,
    place: tuple[str, str],
    policy: tuple[str, str],
    since_last: tuple[Counter[str], Counter[str]],
    namespaces: Mapping[str, int],
    trend: tuple[Point, ...],
) -> Report:
    going = {step.repository for step in steps}
    ordered = tuple(sorted(found, key=lambda each: _place_in_order(each, going)))
    violating = [each for each in ordered if each.open_findings]
    by_severity = Counter(finding.severity for each in violating for finding in each.open_findings)
    needing = len({each.name for each in violating} | going)
    unused = [each for each in ordered if each.unused]
    opened, resolved = since_last
    return Report(
        version=1,
        made_at=now,
        account=place[0],
        region=place[1],
        policy_hash=policy[0],
        mode=policy[1],
        verdict=_verdict(ordered, violating, by_severity, needing, steps, method, now),
        needing=needing,
        total=len(ordered),
        violating=len(violating),
        unused=len(unused),
        size_bytes=sum(each.size_bytes or 0 for each in ordered),
        by_severity={severity.value: by_severity[severity] for severity in ORDER if by_severity[severity]},
        opened=opened.total(),
        resolved=resolved.total(),
        saving=saving((each.images, each.size_bytes) for each in unused),
        horizon_days=HORIZON.days,
        steps=steps,
        owners=_owners(ordered, steps),
        rules=_rules(ordered, opened, resolved),
        namespaces=tuple(
            NamespaceCount(name, count) for name, count in sorted(namespaces.items(), key=lambda item: (-item[1], item[0])) if count
        ),
        trend=trend,
        method=method,
        repositories=ordered,
    )


def _place_in_order(repository: ReportedRepository, going: set[str]) -> tuple[int, bool, bool, str]:
    severity = worst(repository)
    rank = len(ORDER) if severity is None else ORDER[severity]
    return rank, repository.name not in going, not repository.undetermined, repository.name


def _verdict(
    ordered: Sequence[ReportedRepository],
    violating: Sequence[ReportedRepository],
    by_severity: Counter[Severity],
    needing: int,
    steps: Sequence[Step],
    method: Method,
    now: datetime,
) -> str:
    said = [_whole(ordered, violating, by_severity, needing, steps)]
    if unjudged := sum(bool(each.undetermined) for each in ordered):
        said.append(f"{repositories(unjudged)} could not be judged in full.")
    if not method.complete:
        said.append("Not everything could be read.")
    if method.policy_problem:
        said.append("The policy file is invalid: the last good one judged.")
    if old := age(method.seen_at, now):
        said.append(old)
    return " ".join(said)


def _whole(
    ordered: Sequence[ReportedRepository],
    violating: Sequence[ReportedRepository],
    by_severity: Counter[Severity],
    needing: int,
    steps: Sequence[Step],
) -> str:
    if not ordered:
        return "There is no repository."
    if not needing:
        return f"All {repositories(len(ordered))} are in order." if len(ordered) > 1 else "The one repository is in order."
    parts = []
    if violating:
        unowned = sum(each.owner is None for each in violating)
        grave = [f"{by_severity[severity]:,} {severity.value}" for severity in ORDER if by_severity[severity]]
        of_nobody = f", {unowned:,} of them without a known owner" if unowned else ""
        parts.append(f"{len(violating):,} violate{'s' if len(violating) == 1 else ''} the policy ({', '.join(grave)}){of_nobody}")
    if going := len({step.repository for step in steps}):
        goes = "goes" if going == 1 else "go"
        parts.append(f"{going:,} {goes} a step further towards retirement within {HORIZON.days} days, from {day(steps[0].at)} on")
    needs = "needs" if needing == 1 else "need"
    return f"{needing:,} of {repositories(len(ordered))} {needs} somebody: {'; '.join(parts)}."


def _of_standing(standing: Standing, record: RepositoryRecord | None, item: Mapping[str, Any] | None) -> ReportedRepository:
    data = standing.data
    # Of a former repository of the same name the ledger's record tells nothing about this one.
    known = record if record is not None and record.created_at == standing.created_at else None
    since = {(finding.rule, finding.state.value): finding.opened_at for finding in known.findings} if known else {}
    provenance = known.provenance if known else None
    creation = provenance.creation if provenance else None
    pusher = provenance.pusher if provenance else None
    return ReportedRepository(
        name=standing.name,
        origin=standing.origin,
        origin_confidence=data.get("origin_confidence", "none"),
        owner=standing.owner,
        findings=_in_order(
            ReportedFinding(
                found["rule"],
                Severity(found["severity"]),
                found["reason"],
                found["state"],
                _fix(found["rule"]),
                since.get((found["rule"], found["state"])),
            )
            for found in standing.findings
        ),
        undetermined=dict(sorted(standing.undetermined.items())),
        images=data["images"],
        size_bytes=data["size_bytes"],
        last_push=_time(data["last_push"]),
        last_pull=standing.last_pull,
        unused=standing.unused,
        created_at=standing.created_at,
        creator=creation.actor.name if creation else None,
        pusher=pusher.name if pusher else None,
        evidence=tuple(signal.seen for signal in provenance.evidence) if provenance else (),
        retirement=_retirement(item) if item else None,
    )


def _of_audit(audited: AuditedRepository) -> ReportedRepository:
    return ReportedRepository(
        name=audited.name,
        origin=audited.origin,
        origin_confidence="likely" if audited.origin != "unknown" else "none",
        owner=audited.owner,
        findings=_in_order(
            ReportedFinding(found.rule, found.severity, found.reason, found.state, _fix(found.rule)) for found in audited.findings
        ),
        undetermined=dict(sorted(audited.undetermined.items())),
        images=audited.images,
        size_bytes=audited.size_bytes,
        last_push=audited.last_push,
        last_pull=audited.last_pull,
        unused=audited.unused,
    )


def _in_order(findings: Iterable[ReportedFinding]) -> tuple[ReportedFinding, ...]:
    return tuple(sorted(findings, key=lambda finding: (finding.state != "open", ORDER[finding.severity], finding.rule)))


def _fix(rule_id: str) -> str:
    rule = RULES.get(rule_id)
    return rule.fix if rule else ""


def _retirement(item: Mapping[str, Any]) -> ReportedRetirement:
    return ReportedRetirement(
        stage=Stage(item["stage"]),
        next=Stage(item["next"]) if item["next"] else None,
        then=Stage(item["then"]) if item["then"] else None,
        not_before=_time(item["next_at"]),
        reasons=tuple(ReportedReason(reason["check"], reason["seen"], reason["weight"]) for reason in item["reasons"]),
    )


def _owners(ordered: Sequence[ReportedRepository], steps: Sequence[Step]) -> tuple[OwnerCount, ...]:
    """Count by owner: first what nobody owns, then who has most to do."""
    first = {step.repository: step.at for step in reversed(steps)}
    theirs: dict[str | None, list[ReportedRepository]] = {}
    for each in ordered:
        theirs.setdefault(each.owner, []).append(each)
    counted = [
        OwnerCount(
            owner=owner,
            repositories=len(all_of_them),
            violating=sum(bool(each.open_findings) for each in all_of_them),
            by_severity=_by_severity(all_of_them),
            unused=sum(each.unused is True for each in all_of_them),
            size_bytes=_counted(all_of_them),
            next_at=min((first[each.name] for each in all_of_them if each.name in first), default=None),
        )
        for owner, all_of_them in theirs.items()
    ]
    return tuple(sorted(counted, key=lambda each: (each.owner is not None, -each.violating, -each.repositories, each.owner or "")))


def _counted(some: Iterable[ReportedRepository]) -> int | None:
    """The size of what was counted; None where nothing was: that is not nothing."""
    sizes = [each.size_bytes for each in some if each.size_bytes is not None]
    return sum(sizes) if sizes else None


def _by_severity(some: Iterable[ReportedRepository]) -> dict[str, int]:
    counts = Counter(finding.severity for each in some for finding in each.open_findings)
    return {severity.value: counts[severity] for severity in ORDER if counts[severity]}


def _rules(ordered: Sequence[ReportedRepository], opened: Counter[str], resolved: Counter[str]) -> tuple[RuleCount, ...]:
    states: dict[str, Counter[str]] = {}
    gravest: dict[str, Severity] = {}
    for each in ordered:
        for finding in each.findings:
            states.setdefault(finding.rule, Counter())[finding.state] += 1
            if finding.state == "open":
                gravest[finding.rule] = min(gravest.get(finding.rule, finding.severity), finding.severity, key=ORDER.__getitem__)
        for rule in each.undetermined:
            states.setdefault(rule, Counter())["undetermined"] += 1
    for rule in (*opened, *resolved):
        states.setdefault(rule, Counter())
    counted = [
        RuleCount(
            rule=rule,
            summary=RULES[rule].summary if rule in RULES else "",
            fix=_fix(rule),
            severity=gravest.get(rule, RULES[rule].severity if rule in RULES else Severity.LOW),
            open=counts["open"],
            exempt=counts["exempt"],
            undetermined=counts["undetermined"],
            opened=opened[rule],
            resolved=resolved[rule],
        )
        for rule, counts in states.items()
    ]
    return tuple(sorted(counted, key=lambda each: (not each.open, ORDER[each.severity], -each.open, each.rule)))


def _point(summary: Mapping[str, Any]) -> Point:
    at = datetime.fromisoformat(summary["ended_at"])
    return Point(at, summary["repositories"], summary["violating"], summary["unused"], summary["size_bytes"], summary["complete"])


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
