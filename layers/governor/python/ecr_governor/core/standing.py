"""What is known of one repository between two sweeps: its verdicts, its use, and fingerprints that tell whether it has changed.

One standing is one line of JSON. The lines of a sweep are its report, and the inventory that the next sweep starts from.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from ecr_governor.core.evaluate import Evaluation
from ecr_governor.core.finding import FindingState
from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.repository import NOT_FETCHED, Repository, Unreadable, Usage
from ecr_governor.core.rules import unused
from ecr_governor.core.verdict import Undetermined, Violation

FINGERPRINT_LENGTH = 12
UNUSED = unused.RULE.id
_TO_JSON = json.JSONEncoder(separators=(",", ":")).encode
State: TypeAlias = Literal["open", "exempt"]


@dataclass(frozen=True, slots=True)
class StandingFinding:
    """One violation of one rule, as of the standing."""

    rule: str
    severity: str
    reason: str
    state: State


@dataclass(frozen=True, slots=True)
class Standing:
    """One repository as it was last judged.

    `listed` is the fingerprint of what a listing tells (settings and tags), `read` of what had to be read for this repository alone;
    "" where a part of it could not be read. `judged_by` names policy and mode. `checked_at` is when all of it was last read from ECR,
    `due_at` when a verdict may change by time alone. `images` and `size_bytes` are None where counting stopped once the use was clear;
    `unused` is None where no rule asks, or where it is not known.
    """

    name: str
    created_at: datetime
    checked_at: datetime
    judged_by: str
    listed: str
    read: str
    due_at: datetime | None = None
    origin: str = "unknown"
    confidence: str = "none"
    owner: str | None = None
    findings: tuple[StandingFinding, ...] = ()
    undetermined: tuple[tuple[str, str], ...] = ()
    images: int | None = None
    size_bytes: int | None = None
    last_push: datetime | None = None
    last_pull: datetime | None = None
    unused: bool | None = None

    @property
    def open_rules(self) -> frozenset[str]:
        """The rules that are broken and from which nobody is exempt."""
        return frozenset(finding.rule for finding in self.findings if finding.state == "open")


def judged_by(policy: Policy) -> str:
    """Name what a verdict rests on: the same file in another mode leads to other remedies."""
    return f"{policy.hash}/{policy.mode.value}"


def listed_fingerprint(repository: Repository, tags: Mapping[str, str] | Unreadable) -> str:
    """Identify what a listing tells of a repository, and its tags; "" if a part of it could not be read."""
    mutability, encryption = repository.tag_mutability, repository.encryption
    if isinstance(mutability, Unreadable) or isinstance(encryption, Unreadable) or isinstance(tags, Unreadable):
        return ""
    settings = (
        mutability.mutability.value,
        ",".join(sorted(mutability.exclusion_filters)),
        encryption.type.value,
        encryption.kms_key or "",
        "scan on push" if repository.scan_on_push else "",
    )
    return _fingerprint(*settings, *(text for pair in sorted(tags.items()) for text in pair))


def read_fingerprint(repository: Repository) -> str:
    """Identify the settings that are read for each repository; "" if one of them could not be read."""
    known: list[str] = []
    for value in (repository.lifecycle_policy, repository.repository_policy, repository.scan_frequency):
        if not isinstance(value, Unreadable):
            known += ("none",) if value is None else ("is", value)
        elif value == NOT_FETCHED:
            # What no rule asks for is missing each time in the same way.
            known.append("not asked for")
        else:
            return ""
    return _fingerprint(*known)


def _fingerprint(*parts: str) -> str:
    # None of them can hold the separator: AWS takes no control characters in tags, and JSON has none.
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=FINGERPRINT_LENGTH // 2).hexdigest()


def standing_of(
    repository: Repository, evaluation: Evaluation, policy: Policy, now: datetime, next_look: datetime | None = None
) -> Standing:
    """Sum up a repository that was read and judged just now; `next_look` is when another rule than `unused` may change its mind."""
    findings: list[StandingFinding] = []
    undetermined: list[tuple[str, str]] = []
    is_unused: bool | None = None
    for judgement in evaluation.judgements:
        match judgement.verdict:
            case Violation(reason):
                state: State = "exempt" if judgement.exemption else "open"
                findings.append(StandingFinding(judgement.rule, judgement.severity.value, reason, state))
            case Undetermined(why):
                undetermined.append((judgement.rule, why))
        if judgement.rule == UNUSED and not isinstance(judgement.verdict, Undetermined):
            is_unused = isinstance(judgement.verdict, Violation)
    usage = repository.usage if isinstance(repository.usage, Usage) else Usage()
    tags, provenance = repository.tags, repository.provenance
    idle = unused.due(repository, policy.expectation_for(repository.name), now)
    return Standing(
        name=repository.name,
        created_at=repository.created_at,
        checked_at=now,
        judged_by=judged_by(policy),
        listed=listed_fingerprint(repository, tags),
        read=read_fingerprint(repository),
        due_at=min((moment for moment in (next_look, idle) if moment), default=None),
        origin=provenance.origin.value,
        confidence=provenance.confidence.value,
        owner=None if isinstance(tags, Unreadable) else tags.get(policy.owner_tag),
        findings=tuple(findings),
        undetermined=tuple(undetermined),
        images=usage.images,
        size_bytes=usage.size_bytes,
        last_push=usage.last_push,
        last_pull=usage.last_pull,
        unused=is_unused,
    )


def from_record(record: RepositoryRecord, former: Standing | None, touched_at: datetime) -> Standing | None:
    """Tell what an event's look has left in the ledger since the last sweep; None if the repository is gone or was never looked at.

    The ledger does not keep how much a repository is used: that is carried over from the `former` standing.
    """
    if record.gone_at is not None or record.created_at is None or not record.policy_hash:
        return None
    same = former if former is not None and former.created_at == record.created_at else None
    moments = (record.due_at, same.due_at if same else None)
    fresh = Standing(
        name=record.name,
        created_at=record.created_at,
        checked_at=touched_at,
        judged_by=f"{record.policy_hash}/{Mode(record.mode).value}",
        listed=record.listed,
        read=record.read,
        due_at=min((moment for moment in moments if moment), default=None),
        origin=record.provenance.origin.value,
        confidence=record.provenance.confidence.value,
        owner=record.owner,
        findings=tuple(
            StandingFinding(
                finding.rule, finding.severity.value, finding.reason, "exempt" if finding.state is FindingState.EXEMPT else "open"
            )
            for finding in record.findings
            if finding.state is not FindingState.RESOLVED
        ),
        undetermined=tuple(sorted(record.undetermined.items())),
    )
    if same is None:
        return fresh
    kept = replace(fresh, images=same.images, size_bytes=same.size_bytes, last_push=same.last_push, last_pull=same.last_pull)
    return replace(kept, unused=any(finding.rule == UNUSED for finding in fresh.findings) if same.unused is not None else None)


def as_data(standing: Standing) -> dict[str, Any]:
    """Give a standing as a JSON object; times are ISO 8601 in UTC."""
    return {
        "name": standing.name,
        "origin": standing.origin,
        "origin_confidence": standing.confidence,
        "owner": standing.owner,
        "findings": [
            {"rule": finding.rule, "severity": finding.severity, "reason": finding.reason, "state": finding.state}
            for finding in standing.findings
        ],
        "undetermined": dict(standing.undetermined),
        "images": standing.images,
        "size_bytes": standing.size_bytes,
        "last_push": _text(standing.last_push),
        "last_pull": _text(standing.last_pull),
        "unused": standing.unused,
        "created_at": _text(standing.created_at),
        "checked_at": _text(standing.checked_at),
        "due_at": _text(standing.due_at),
        "judged_by": standing.judged_by,
        "listed": standing.listed,
        "read": standing.read,
    }


def from_data(data: Mapping[str, Any]) -> Standing:
    """Read a standing back. Raises KeyError or ValueError for a line that is none."""
    return Standing(
        name=data["name"],
        created_at=datetime.fromisoformat(data["created_at"]),
        checked_at=datetime.fromisoformat(data["checked_at"]),
        judged_by=data["judged_by"],
        listed=data["listed"],
        read=data["read"],
        due_at=_time(data["due_at"]),
        origin=data["origin"],
        confidence=data["origin_confidence"],
        owner=data["owner"],
        findings=tuple(StandingFinding(each["rule"], each["severity"], each["reason"], each["state"]) for each in data["findings"]),
        undetermined=tuple(data["undetermined"].items()),
        images=data["images"],
        size_bytes=data["size_bytes"],
        last_push=_time(data["last_push"]),
        last_pull=_time(data["last_pull"]),
        unused=data["unused"],
    )


def name_in(line: bytes) -> str:
    """Read only the name of a line that `to_line` wrote: it comes first, and no name holds a quotation mark or an escape."""
    head = b'{"name":"'
    end = line.find(b'"', len(head))
    if not line.startswith(head) or end < 0:
        raise ValueError("not the line of a standing")
    return line[len(head) : end].decode()


def to_line(standing: Standing) -> bytes:
    """Write a standing as one line of JSON, without its line break."""
    return _TO_JSON(as_data(standing)).encode()


def from_line(line: bytes) -> Standing:
    """Read a line that `to_line` wrote."""
    return from_data(json.loads(line))


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
