"""What the ledger keeps: the present record of each repository, and the entries that say how it came to be so."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.granted import Granted
from ecr_governor.core.origin import NOTHING_KNOWN, Origin, Provenance
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.remedy import Outcome, OutcomeStatus, as_data, describe
from ecr_governor.core.retirement.state import Retirement

WRITE_ROUNDS_PER_HOUR = 5
"""How often an hour one setting of a repository is put right before something else is believed to be fighting back."""

RELEASE_ASKED: Final = "Release Asked"
"""The event that is somebody's wish that a repository be taken out of retirement."""
GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class RepositoryRecord:
    """The present state of one repository in the ledger. `version` counts the writes and guards each of them.

    `pending` are remedies, in words, that were intended and whose outcome is not recorded yet. `write_rounds` are, by ECR operation,
    the times at which a setting was last put right; `paused` when that stopped because something else kept changing it back; `failing` are remedies, in words, that ECR refused.
    `listed` and `read` are fingerprints of the settings that the last look saw: what differs from them was changed since, whether or not
    an event told of it. `swept_by` is the sweep that wrote the record, "" for a look; `looked_at` is when a look last changed it. `due_at` is when a verdict may change by time alone; `policy_hash` and `mode` are the policy that it was last judged by, and how
    far that went; `head` is the hash of the newest ledger entry, `entries` their number. `watched_since` is when we first saw this very
    repository; `retirement` is how far its retirement is, or was when it ended. `used_at` is when somebody
    was last seen to use it by other signs than ECR's own times: a running task, a refused pull. `tags` are those by which the policy
    says where people are told of it; `reminded` is the last reminder of its mark's end. `claimed_by` is who has said in Slack that it is
    theirs: the owner as long as no tag names one. `exemptions` were asked for in Slack, and some confirmed; `answered` says what
    came of the last presses of buttons, by the id of each; `kept_until` is until when somebody keeps it by one.
    """

    name: str
    version: int = 0
    created_at: datetime | None = None
    gone_at: datetime | None = None
    provenance: Provenance = NOTHING_KNOWN
    owner: str | None = None
    findings: tuple[Finding, ...] = ()
    undetermined: Mapping[str, str] = field(default_factory=dict)
    pending: tuple[str, ...] = ()
    write_rounds: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    paused: Mapping[str, datetime] = field(default_factory=dict)
    failing: tuple[str, ...] = ()
    due_at: datetime | None = None
    listed: str = ""
    read: str = ""
    swept_by: str = ""
    looked_at: datetime | None = None
    policy_hash: str = ""
    mode: Mode = Mode.AUDIT
    entries: int = 0
    head: str = GENESIS
    watched_since: datetime | None = None
    retirement: Retirement | None = None
    used_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    reminded: str = ""
    claimed_by: str = ""
    exemptions: tuple[Granted, ...] = ()
    answered: Mapping[str, str] = field(default_factory=dict)
    kept_until: datetime | None = None

    def same_but_for_version(self, other: "RepositoryRecord") -> bool:
        """Whether two records say the same."""
        return replace(self, version=other.version) == other

    def open_findings(self) -> tuple[Finding, ...]:
        """Findings that are open now."""
        return tuple(finding for finding in self.findings if finding.state is FindingState.OPEN)

    def budget_left(self, operation: str, now: datetime) -> bool:
        """Whether a setting may be put right again, or was so often within the hour that somebody must be fighting back."""
        return len(self.recent_rounds(operation, now)) < WRITE_ROUNDS_PER_HOUR

    def recent_rounds(self, operation: str, now: datetime) -> tuple[datetime, ...]:
        """The times within the last hour at which the setting was put right."""
        return tuple(at for at in self.write_rounds.get(operation, ()) if at > now - timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Trigger:
    """What made us look: the name of the event, and who caused it where that is known."""

    event: str
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What one look at a repository changed: the unit that people and the event bus are told of.

    `recovered` are remedies, in words, whose outcome an interrupted look left unrecorded and that were found done. `held_back`: the
    policy file is invalid, so that nothing was put right that otherwise might have been. `discovered`: first seen; `created`: and new.
    `changed` are findings that stay open for another reason than before, `exempted` those that were open and that somebody answers for now.
    """

    repository: str
    at: datetime
    trigger: Trigger
    policy_hash: str
    discovered: bool = False
    gone: bool = False
    origin: Origin = Origin.UNKNOWN
    opened: tuple[Finding, ...] = ()
    resolved: tuple[Finding, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    recovered: tuple[str, ...] = ()
    held_back: bool = False
    created: bool = False
    changed: tuple[Finding, ...] = ()
    exempted: tuple[Finding, ...] = ()

    @property
    def announced(self) -> bool:
        """Whether anybody should be told. Learning where a repository came from is kept, but is no news in itself."""
        return bool(self.discovered or self.gone or self.opened or self.changed or self.exempted or self.resolved or self.outcomes)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a repository's ledger. `hash` covers the body and `previous`, so that a line cannot be changed or taken out unseen."""

    repository: str
    number: int
    kind: str
    body: Mapping[str, Any]
    previous: str
    hash: str


def append(record: RepositoryRecord, kind: str, body: Mapping[str, Any], **changes: Any) -> tuple[RepositoryRecord, Entry]:
    """Chain a new entry to a repository's ledger; give the record with its new head and with what else changes in it."""
    number = record.entries + 1
    digest = entry_hash(record.name, number, kind, body, record.head)
    entry = Entry(record.name, number, kind, body, record.head, digest)
    return replace(record, entries=number, head=digest, **changes), entry


def entry_hash(repository: str, number: int, kind: str, body: Mapping[str, Any], previous: str) -> str:
    """SHA-256 over the canonical JSON of an entry and the hash of the one before it."""
    canonical = _CANONICAL.encode([repository, number, kind, body, previous])
    return hashlib.sha256(canonical.encode()).hexdigest()


# Bodies are plain JSON objects: there is no circle to be looked for.
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, check_circular=False)


@dataclass(frozen=True, slots=True)
class Chain:
    """What is known of the entries under a name that is no repository's: how many there are, and the newest one's hash."""

    name: str
    entries: int = 0
    head: str = GENESIS


def break_in(record: RepositoryRecord | Chain, entries: Iterable[Entry]) -> str:
    """Say where entries do not follow one another up to the record's head; "" if they do."""
    previous, number = GENESIS, 0
    for number, entry in enumerate(entries, start=1):
        if (entry.number, entry.previous) != (number, previous):
            return f"entry {entry.number} does not follow entry {number - 1}"
        if entry.hash != entry_hash(entry.repository, entry.number, entry.kind, entry.body, entry.previous):
            return f"entry {entry.number} was changed after it was written"
        previous = entry.hash
    if (record.entries, record.head) != (number, previous):
        return f"the record counts {record.entries} entries, and there are {number}, or its newest is another one"
    return ""


def finding_as_data(finding: Finding) -> dict[str, Any]:
    """Give a finding as a JSON object, the form that the ledger, the command line and the event bus share."""
    return {
        "repository": finding.repository,
        "rule": finding.rule,
        "severity": finding.severity.value,
        "state": finding.state.value,
        "mode": finding.mode.value,
        "reason": finding.reason,
        "remedies": list(finding.remedies),
        "opened_at": finding.opened_at.isoformat(),
        "resolved_at": finding.resolved_at.isoformat() if finding.resolved_at else None,
        "resolution": finding.resolution,
    }


def change_as_data(change: Change) -> dict[str, Any]:
    """Give a change as a JSON object: the body of a ledger entry of kind `change`."""
    return {
        "at": change.at.isoformat(),
        "trigger": {"event": change.trigger.event, "actor": change.trigger.actor},
        "policy_hash": change.policy_hash,
        "discovered": change.discovered,
        "gone": change.gone,
        "origin": change.origin.value,
        "opened": [finding_as_data(finding) for finding in change.opened],
        "resolved": [finding_as_data(finding) for finding in change.resolved],
        "outcomes": [outcome_as_data(outcome) for outcome in change.outcomes],
        "recovered": list(change.recovered),
        "held_back": change.held_back,
        "created": change.created,
        "changed": [finding_as_data(finding) for finding in change.changed],
        "exempted": [finding_as_data(finding) for finding in change.exempted],
    }


def outcome_as_data(outcome: Outcome) -> dict[str, Any]:
    """Give what happened to a remedy as a JSON object."""
    return {
        "remedy": as_data(outcome.remedy),
        "words": describe(outcome.remedy),
        "status": outcome.status.value,
        "why": outcome.why,
    }


def applied(outcomes: tuple[Outcome, ...]) -> bool:
    """Whether any remedy changed anything."""
    return any(outcome.status is OutcomeStatus.APPLIED for outcome in outcomes)
