"""What is known of one repository between two sweeps: its verdicts, its use, and fingerprints that tell whether it has changed.

One standing is one line of JSON. The lines of a sweep are its report, and the inventory that the next sweep starts from.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, TypedDict

from pydantic_core import from_json

from ecr_governor.core.evaluate import Evaluation
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.fingerprint import listed_fingerprint, read_fingerprint
from ecr_governor.core.origin import Provenance
from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.repository import Repository, Unreadable, Usage
from ecr_governor.core.rules import unused
from ecr_governor.core.verdict import Undetermined, Violation

UNUSED = unused.RULE.id
_TO_JSON = json.JSONEncoder(separators=(",", ":")).encode
_KEYS = frozenset(
    [
        "name",
        "origin",
        "owner",
        "findings",
        "undetermined",
        "size_bytes",
        "unused",
        "created_at",
        "checked_at",
        "due_at",
        "judged_by",
        "listed",
        "read",
        "images",
        "last_push",
        "last_pull",
    ]
)
"""What every line holds; one that lacks any of it is of another release, or none."""
State: TypeAlias = Literal["open", "exempt"]


class StandingFinding(TypedDict):
    """One violation of one rule, as of the standing."""

    rule: str
    severity: str
    reason: str
    state: State


@dataclass(frozen=True, slots=True)
class Standing:
    """One repository as it was last judged: a view of the JSON object, whose keys are described here.

    `listed` is the fingerprint of what a listing tells (settings and tags), `read` of what had to be read for this repository alone;
    "" where a part of it could not be read. `judged_by` names policy and mode. `checked_at` is when all of it was last read from ECR,
    `due_at` when a verdict may change by time alone. `images` and `size_bytes` are None where counting stopped once the use was clear;
    `unused` is None where no rule asks, or where it is not known. Times are ISO 8601 in UTC.
    """

    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The repository's name."""
        return str(self.data["name"])

    @property
    def created_at(self) -> datetime:
        """When the repository was created: another time is another repository."""
        return datetime.fromisoformat(self.data["created_at"])

    @property
    def checked_at(self) -> datetime:
        """When everything was last read from ECR."""
        return datetime.fromisoformat(self.data["checked_at"])

    @property
    def due_at(self) -> datetime | None:
        """When a verdict may change by time alone."""
        return _time(self.data["due_at"])

    @property
    def last_pull(self) -> datetime | None:
        """The last pull on record."""
        return _time(self.data["last_pull"])

    @property
    def judged_by(self) -> str:
        """The policy's hash and mode."""
        return str(self.data["judged_by"])

    @property
    def listed(self) -> str:
        """The fingerprint of what a listing tells."""
        return str(self.data["listed"])

    @property
    def read(self) -> str:
        """The fingerprint of what had to be read."""
        return str(self.data["read"])

    @property
    def origin(self) -> str:
        """Where the repository came from."""
        return str(self.data["origin"])

    @property
    def owner(self) -> str | None:
        """The value of the owner's tag, or who has claimed it."""
        owner: str | None = self.data["owner"]
        return owner

    @property
    def findings(self) -> Sequence[StandingFinding]:
        """The violations, exempt ones with them."""
        findings: Sequence[StandingFinding] = self.data["findings"]
        return findings

    @property
    def undetermined(self) -> Mapping[str, str]:
        """Why a rule could not judge, by rule."""
        undetermined: Mapping[str, str] = self.data["undetermined"]
        return undetermined

    @property
    def size_bytes(self) -> int:
        """The compressed size of all images, as far as they were counted."""
        return self.data["size_bytes"] or 0

    @property
    def unused(self) -> bool | None:
        """Whether the rule `unused` is broken; None if no rule asks, or it is not known."""
        unused: bool | None = self.data["unused"]
        return unused

    @property
    def to_be_put_right(self) -> bool:
        """Whether the policy has something put right here that was not tried in vain."""
        return bool(self.data.get("to_be_put_right", False))

    @property
    def open_rules(self) -> frozenset[str]:
        """The rules that are broken and from which nobody is exempt."""
        return frozenset(finding["rule"] for finding in self.findings if finding["state"] == "open")


def judged_by(policy: Policy) -> str:
    """Name what a verdict rests on: the same file in another mode leads to other remedies."""
    return judgement_basis(policy.hash, policy.mode)


def judgement_basis(policy_hash: str, mode: Mode) -> str:
    """Name policy and mode in one word."""
    return f"{policy_hash}/{mode.value}"


def standing_of(
    repository: Repository,
    evaluation: Evaluation,
    policy: Policy,
    now: datetime,
    next_look: datetime | None = None,
    known: RepositoryRecord | None = None,
) -> Standing:
    """Sum up a repository that was read and judged just now; `next_look` is when another rule than `unused` may change its mind.

    What cannot be determined now stands as it is `known` to the ledger, whose findings no missing fact resolves.
    """
    findings: list[StandingFinding] = []
    undetermined: dict[str, str] = {}
    is_unused: bool | None = None
    for judgement in evaluation.judgements:
        match judgement.verdict:
            case Violation(reason):
                state: State = "exempt" if judgement.exemption else "open"
                findings.append({"rule": judgement.rule, "severity": judgement.severity.value, "reason": reason, "state": state})
            case Undetermined(why):
                undetermined[judgement.rule] = why
                findings += _standing_findings(finding for finding in (known.findings if known else ()) if finding.rule == judgement.rule)
        if judgement.rule == UNUSED and not isinstance(judgement.verdict, Undetermined):
            is_unused = isinstance(judgement.verdict, Violation)
    usage = repository.usage if isinstance(repository.usage, Usage) else Usage()
    tags = repository.tags
    idle = unused.due(repository, policy.expectation_for(repository.name), now)
    return Standing(
        {
            **_beginning(repository.name, repository.provenance),
            "owner": None if isinstance(tags, Unreadable) else tags.get(policy.owner_tag) or (known.claimed_by if known else "") or None,
            "findings": findings,
            "undetermined": undetermined,
            "images": usage.images,
            "size_bytes": usage.size_bytes,
            "last_push": _text(usage.last_push),
            "last_pull": _text(usage.last_pull),
            "unused": is_unused,
            "to_be_put_right": bool(evaluation.remedies),
            "created_at": _text(repository.created_at),
            "checked_at": _text(now),
            "due_at": _text(min((moment for moment in (next_look, idle) if moment), default=None)),
            "judged_by": judged_by(policy),
            "listed": listed_fingerprint(repository, tags),
            "read": read_fingerprint(repository),
        }
    )


def _standing_findings(findings: Iterable[Finding]) -> list[StandingFinding]:
    return [
        {
            "rule": finding.rule,
            "severity": finding.severity.value,
            "reason": finding.reason,
            "state": "exempt" if finding.state is FindingState.EXEMPT else "open",
        }
        for finding in findings
        if finding.state is not FindingState.RESOLVED
    ]


def from_record(record: RepositoryRecord, former: Standing | None, touched_at: datetime) -> Standing | None:
    """Tell what an event's look has left in the ledger since the last sweep; None if the repository is gone or was never looked at.

    The ledger does not keep how much a repository is used: that is carried over from the `former` standing.
    """
    if record.gone_at is not None or record.created_at is None or not record.policy_hash:
        return None
    same = former if former is not None and former.created_at == record.created_at else None
    open_ones = [finding for finding in record.findings if finding.state is not FindingState.RESOLVED]
    moments = (record.due_at, same.due_at if same else None)
    was_judged = same is not None and same.unused is not None
    return Standing(
        {
            **_beginning(record.name, record.provenance),
            "owner": record.owner,
            "findings": _standing_findings(open_ones),
            "undetermined": dict(sorted(record.undetermined.items())),
            **{key: same.data[key] if same else None for key in ("images", "size_bytes", "last_push", "last_pull")},
            "unused": any(finding.rule == UNUSED for finding in open_ones) if was_judged else None,
            "to_be_put_right": not (record.paused or record.failing)
            and any(finding.remedies and finding.mode is Mode.ENFORCE and finding.state is FindingState.OPEN for finding in open_ones),
            "created_at": _text(record.created_at),
            "checked_at": _text(touched_at),
            "due_at": _text(min((moment for moment in moments if moment), default=None)),
            "judged_by": judgement_basis(record.policy_hash, record.mode),
            "listed": record.listed,
            "read": record.read,
        }
    )


def _beginning(name: str, provenance: Provenance) -> dict[str, str]:
    return {"name": name, "origin": provenance.origin.value, "origin_confidence": provenance.confidence.value}


def name_in(line: bytes) -> str:
    """Read only the name of a line: it comes first, and no name holds a quotation mark or an escape. Raises ValueError."""
    head = b'{"name":"'
    end = line.find(b'"', len(head))
    if not line.startswith(head) or end < 0:
        raise ValueError("not the line of a standing")
    return line[len(head) : end].decode()


def to_line(standing: Standing) -> bytes:
    """Write a standing as one line of JSON, without its line break. The name is its first key: `name_in` relies on it."""
    return _TO_JSON({"name": standing.name, **standing.data}).encode()


def from_line(line: bytes) -> Standing:
    """Read a line that `to_line` wrote. Raises ValueError for what is no such line."""
    data = from_json(line)
    if not isinstance(data, dict) or not data.keys() >= _KEYS:
        raise ValueError("not the line of a standing")
    return Standing(data)


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
