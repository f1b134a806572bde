"""What people are told of one repository: the net of one or more changes, read back from the ledger."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.remedy import OutcomeStatus
from ecr_governor.core.retirement.reported import STEPS_OF, reason, step, why
from ecr_governor.core.severity import Severity

ORDER = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW)


@dataclass(frozen=True, slots=True)
class Told:
    """One ledger entry that is to be told: `number` within its repository's ledger, `body` as written."""

    repository: str
    number: int
    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Announcement:
    """The net news of one repository. `put_right` and `not_put_right` are remedies in words."""

    repository: str
    opened: tuple[Finding, ...]
    resolved: tuple[Finding, ...]
    put_right: tuple[str, ...]
    not_put_right: tuple[tuple[str, str], ...]
    discovered: bool
    gone: bool
    trigger: str
    actor: str
    policy_hash: str
    record: RepositoryRecord | None
    held_back: bool = False
    exempted: tuple[Finding, ...] = ()

    @property
    def worth_a_message(self) -> bool:
        """Whether a person should be told: a repository that was found in good order is no news."""
        return bool(self.opened or self.exempted or self.resolved or self.put_right or self.not_put_right)

    @property
    def mended(self) -> tuple[Finding, ...]:
        """Resolved findings that no remedy in the same news explains."""
        return () if self.put_right else self.resolved

    @property
    def severity(self) -> Severity | None:
        """The worst severity among what opened."""
        return min((finding.severity for finding in self.opened), key=ORDER.index, default=None)


def announce(told: Iterable[Told], record: RepositoryRecord | None, least: Severity) -> Announcement:
    """Sum up the entries of one repository, oldest first; violations below the severity `least` are left out.

    What opened and was resolved or exempted again within the same entries appears in no list: it shows as a remedy, or not at all.
    What the record says by now counts for more than what an entry said then.
    """
    now = {finding.rule: finding for finding in record.findings} if record else {}
    entries = sorted(told, key=lambda entry: entry.number)
    opened: dict[str, Finding] = {}
    ended: dict[str, Finding] = {}
    # What was not open before these entries: if it ends within them, it is no news.
    new: set[str] = set()
    outcomes: list[Mapping[str, Any]] = []
    for entry in entries:
        for data in entry.body["opened"]:
            finding = finding_from_data(data)
            if finding.rule not in ended and finding.rule not in opened:
                new.add(finding.rule)
            ended.pop(finding.rule, None)
            opened[finding.rule] = finding
        for data in entry.body.get("changed", ()):
            finding = finding_from_data(data)
            # Told again only if it is grave: a list of bad tags that grows by one is no news.
            if finding.rule in opened or _matters(finding, Severity.HIGH):
                opened[finding.rule] = finding
        for data in (*entry.body.get("exempted", ()), *entry.body["resolved"]):
            finding = finding_from_data(data)
            opened.pop(finding.rule, None)
            if finding.rule not in new:
                ended[finding.rule] = finding
            new.discard(finding.rule)
        outcomes.extend(entry.body["outcomes"])
    opened = {rule: now.get(rule, finding) for rule, finding in opened.items() if rule not in now or now[rule].state is FindingState.OPEN}
    told_ended = sorted((finding for finding in ended.values() if _matters(finding, least)), key=_by_severity)
    first = entries[0].body
    return Announcement(
        repository=entries[0].repository,
        opened=tuple(sorted((finding for finding in opened.values() if _matters(finding, least)), key=_by_severity)),
        exempted=tuple(finding for finding in told_ended if finding.state is FindingState.EXEMPT),
        resolved=tuple(finding for finding in told_ended if finding.state is not FindingState.EXEMPT),
        put_right=tuple(outcome["words"] for outcome in outcomes if outcome["status"] == OutcomeStatus.APPLIED),
        not_put_right=tuple(
            (outcome["words"], outcome["why"]) for outcome in outcomes if outcome["status"] in {OutcomeStatus.FAILED, OutcomeStatus.REFUSED}
        ),
        discovered=any(entry.body["discovered"] and entry.body.get("created", True) for entry in entries),
        gone=bool(entries[-1].body["gone"]),
        trigger=first["trigger"]["event"],
        actor=first["trigger"]["actor"],
        policy_hash=entries[-1].body["policy_hash"],
        record=record,
        held_back=any(entry.body.get("held_back", False) for entry in entries),
    )


def finding_from_data(data: Mapping[str, Any]) -> Finding:
    """Read a finding back from the form in which the ledger keeps it."""
    return Finding(
        repository=data["repository"],
        rule=data["rule"],
        severity=Severity(data["severity"]),
        state=FindingState(data["state"]),
        mode=Mode(data["mode"]),
        reason=data["reason"],
        remedies=tuple(data["remedies"]),
        opened_at=datetime.fromisoformat(data["opened_at"]),
        resolved_at=datetime.fromisoformat(data["resolved_at"]) if data["resolved_at"] else None,
        resolution=data["resolution"],
    )


def _matters(finding: Finding, least: Severity) -> bool:
    return ORDER.index(finding.severity) <= ORDER.index(least)


def _by_severity(finding: Finding) -> tuple[int, str]:
    return ORDER.index(finding.severity), finding.rule


def bus_events(entry: Told, account: str, region: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Give the events that a ledger entry puts on the bus: detail type and detail, as `docs/events.md` describes them."""
    body = entry.body
    if entry.kind == "sweep":
        return (("Sweep Completed", dict(body)),)
    if entry.kind not in {"change", "swept", *STEPS_OF}:
        return ()
    common = {
        "version": 1,
        "account": account,
        "region": region,
        "repository": entry.repository,
        "ledger_entry": entry.number,
        "at": body["at"],
        "policy_hash": body.get("policy_hash", ""),
    }
    if entry.kind in STEPS_OF:
        told: dict[str, Any] = {"step": step(body), "reason": reason(body), "why": why(body)}
        told |= {"owner": body.get("owner"), "delete_after": body.get("delete_after") or None}
        return (("Retirement Step", {**common, "retirement": told}),)
    events: list[tuple[str, dict[str, Any]]] = []
    if body["discovered"]:
        kind = "Repository Created" if body.get("created", True) else "Repository Discovered"
        events.append((kind, {**common, "origin": body["origin"], "trigger": body["trigger"]}))
    events += [("Finding Opened", {**common, "finding": finding}) for finding in body["opened"]]
    events += [("Finding Changed", {**common, "finding": finding}) for finding in body.get("changed", ())]
    events += [("Finding Exempted", {**common, "finding": finding}) for finding in body.get("exempted", ())]
    events += [
        ("Remedy Applied", {**common, "remedy": outcome["remedy"]}) for outcome in body["outcomes"] if outcome["status"] == "applied"
    ]
    events += [("Finding Resolved", {**common, "finding": finding}) for finding in body["resolved"]]
    return tuple(events)


def webhook_document(entry: Told, account: str, region: str) -> tuple[str, dict[str, Any]]:
    """Give what a webhook is sent of an entry, and by what it is known when it is sent again: the events that the bus gets."""
    identity = f"{account}/{region}/{entry.repository}#{entry.number}"
    events = [{"detail-type": kind, "detail": detail} for kind, detail in bus_events(entry, account, region)]
    return identity, {"version": 1, "id": identity, "source": "ecr-governor", "events": events}
