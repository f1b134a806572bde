"""In-memory stand-ins for the ports, held to the same contract as the real adapters."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from ecr_governor.app.errors import ChannelRefused, Contended, Throttled, Undeliverable, Vanished
from ecr_governor.app.ports import PolicyInForce
from ecr_governor.app.pressing import Approvers
from ecr_governor.core.conversation import Attachment, Conversation, Posted, RunningBurst
from ecr_governor.core.origin import AutomaticCreation, Push
from ecr_governor.core.policy.load import load
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.record import Entry, RepositoryRecord
from ecr_governor.core.remedy import (
    CHANGES,
    Outcome,
    OutcomeStatus,
    PutImageTagMutability,
    PutLifecyclePolicy,
    Remedy,
    SetRepositoryPolicy,
    TagResource,
)
from ecr_governor.core.repository import (
    CreationTemplate,
    Encryption,
    EncryptionType,
    Fact,
    Image,
    Repository,
    ScanFrequency,
    TagMutability,
    TagMutabilitySetting,
    Unreadable,
    Usage,
)

ACCOUNT, REGION = "123456789012", "eu-west-1"
T0 = datetime(2026, 11, 2, 9, 14, 7, tzinfo=UTC)
OF_IMAGES = frozenset({Fact.IMAGES, Fact.HOLDS_IMAGE, Fact.USAGE})


def a_repository(name: str = "payments/api", **but: Any) -> Repository:
    """A repository as ECR makes it when nothing is asked for: every fact readable, nothing set."""
    facts: dict[str, Any] = {
        "name": name,
        "arn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}",
        "account": ACCOUNT,
        "region": REGION,
        "created_at": T0,
        "tag_mutability": TagMutabilitySetting(TagMutability.MUTABLE),
        "encryption": Encryption(EncryptionType.AES256),
        "tags": {},
        "lifecycle_policy": None,
        "repository_policy": None,
        "scan_frequency": ScanFrequency.MANUAL,
        "images": (),
        "creation_templates": (),
        "usage": Usage(images=0, size_bytes=0),
    }
    facts |= but
    return Repository(**{"holds_image": _holds_image(facts["images"]), **facts})


def _holds_image(images: tuple[Image, ...] | Unreadable) -> bool | Unreadable:
    return images if isinstance(images, Unreadable) else bool(images)


class FakeRegistry:
    """A registry in memory. `denied` facts are unreadable; the call at position `fault_at` is throttled."""

    def __init__(self, *repositories: Repository) -> None:
        self.repositories = {repository.name: repository for repository in repositories}
        self.templates: tuple[CreationTemplate, ...] | None = ()
        self.caches: tuple[str, ...] | None = ()
        self.denied: set[Fact] = set()
        self.fault_at: int | None = None
        self.calls: list[str] = []
        self.writes: list[Remedy] = []
        self.on_apply: Callable[[Repository, Remedy], None] = lambda _repository, _remedy: None
        self.refuse_writes = ""

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) - 1 == self.fault_at:
            raise THROTTLED

    def read(self, name: str, facts: frozenset[Fact], idle_since: datetime | None = None) -> Repository | None:
        self._call("read")
        found = self.repositories.get(name)
        if found is None:
            return None
        if self.templates is not None:
            found = replace(found, creation_templates=self.templates)
        if not isinstance(found.images, Unreadable):
            found = replace(found, holds_image=_holds_image(found.images))
        # One permission brings both.
        denied = self.denied | (OF_IMAGES if self.denied & OF_IMAGES else set())
        hidden: dict[str, Any] = {fact.value: Unreadable("not fetched") for fact in Fact if fact not in facts}
        hidden |= {fact.value: Unreadable(f"{fact.value}: AccessDeniedException") for fact in denied if fact in facts}
        return replace(found, **hidden)

    def automatic_creation(self) -> AutomaticCreation:
        self._call("automatic_creation")
        prefixes = None if self.templates is None else tuple(each.prefix for each in self.templates if "CREATE_ON_PUSH" in each.applied_for)
        return AutomaticCreation(prefixes, self.caches)

    def apply(self, repository: Repository, remedy: Remedy) -> Outcome:
        self._call("apply")
        found = self.repositories.get(repository.name)
        if found is None:
            return Outcome(remedy, OutcomeStatus.GONE)
        if denied := CHANGES[type(remedy)] & self.denied:
            return Outcome(remedy, OutcomeStatus.FAILED, f"{min(denied)}: AccessDeniedException")
        if not _is_as_judged(found, remedy):
            return Outcome(remedy, OutcomeStatus.UNCHANGED, "changed meanwhile by somebody else")
        if self.refuse_writes:
            return Outcome(remedy, OutcomeStatus.FAILED, self.refuse_writes)
        match remedy:
            case PutLifecyclePolicy(after=text):
                found = replace(found, lifecycle_policy=text)
            case SetRepositoryPolicy(after=text):
                found = replace(found, repository_policy=text)
            case PutImageTagMutability(after=setting):
                found = replace(found, tag_mutability=setting)
            case TagResource(after=tags):
                assert not isinstance(found.tags, Unreadable)
                found = replace(found, tags={**found.tags, **tags})
        self.repositories[repository.name] = found
        self.writes.append(remedy)
        self.on_apply(repository, remedy)
        return Outcome(remedy, OutcomeStatus.APPLIED)


def _is_as_judged(found: Repository, remedy: Remedy) -> bool:
    match remedy:
        case PutLifecyclePolicy(before=text):
            return found.lifecycle_policy == text
        case SetRepositoryPolicy(before=text):
            return found.repository_policy == text
        case PutImageTagMutability(before=setting):
            return found.tag_mutability == setting
        case TagResource(before=former, after=tags):
            assert not isinstance(found.tags, Unreadable)
            return all(found.tags.get(key) == former.get(key) for key in tags)


_VALUES: Final = attrgetter(*(each.name for each in fields(RepositoryRecord) if each.name not in {"name", "version"}))


def _written(record: RepositoryRecord) -> RepositoryRecord:
    # What `replace` does, in a third of the time: the simulation writes a million records.
    return RepositoryRecord(record.name, record.version + 1, *_VALUES(record))


class InMemoryLedger:
    """A ledger in memory, with the conditional writes of the real one."""

    def __init__(self) -> None:
        self.records_by_name: dict[str, RepositoryRecord] = {}
        self.all_entries: list[Entry] = []
        self.pushes: dict[str, Push] = {}
        self.told: dict[tuple[str, int], frozenset[str]] = {}
        self.told_times: dict[tuple[str, int, str], datetime] = {}
        self.policy: tuple[str, str | None, str | None] = ("", None, None)
        self.writes = 0
        self.before_write: Callable[[], None] = lambda: None

    def read(self, name: str) -> RepositoryRecord | None:
        return self.records_by_name.get(name)

    def records(self, names: Sequence[str]) -> Mapping[str, RepositoryRecord]:
        return {name: self.records_by_name[name] for name in names if name in self.records_by_name}

    def touched(self, since: datetime) -> Iterator[tuple[str, datetime]]:
        looked_at = ((name, record.looked_at) for name, record in self.records_by_name.items() if record.looked_at)
        return iter(sorted((name, at) for name, at in looked_at if at >= since))

    def write(self, record: RepositoryRecord, entry: Entry | None = None) -> RepositoryRecord:
        hook, self.before_write = self.before_write, lambda: None
        hook()
        stored = self.records_by_name.get(record.name)
        if (stored.version if stored else 0) != record.version:
            raise Contended(record.name)
        written = _written(record)
        self.records_by_name[record.name] = written
        self.writes += 1
        if entry:
            self.all_entries.append(entry)
        return written

    def note_push(self, name: str, push: Push) -> None:
        known = self.pushes.get(name)
        if known is None or known.at < push.at:
            self.pushes[name] = push

    def noted_push(self, name: str) -> Push | None:
        return self.pushes.get(name)

    def delivered(self, repository: str, number: int) -> frozenset[str]:
        return self.told.get((repository, number), frozenset())

    def mark_delivered(self, repository: str, number: int, channel: str, at: datetime) -> None:
        self.told[repository, number] = self.delivered(repository, number) | {channel}
        self.told_times[repository, number, channel] = at

    def told_at(self, repository: str, number: int, channel: str) -> datetime | None:
        return self.told_times.get((repository, number, channel))

    def entries(self, name: str) -> Iterator[Entry]:
        return iter([entry for entry in self.all_entries if entry.repository == name])

    def recent(self, name: str, limit: int) -> Sequence[Entry]:
        return list(self.entries(name))[-limit:]

    def entry(self, name: str, number: int) -> Entry | None:
        return next((entry for entry in self.entries(name) if entry.number == number), None)

    def retiring(self) -> Iterator[str]:
        return iter(sorted(name for name, each in self.records_by_name.items() if each.retirement and each.retirement.under_way))

    def due(self, until: datetime, limit: int) -> Sequence[str]:
        due = sorted((record.due_at, record.name) for record in self.records_by_name.values() if record.due_at and record.due_at <= until)
        return [name for _, name in due[:limit]]

    def note_policy(self, version: str, problem: str | None, at: datetime) -> bool:
        known, known_problem, good = self.policy
        self.policy = (version, problem, good if problem else version)
        return (known, known_problem) != (version, problem)

    def last_good_policy(self) -> str | None:
        return self.policy[2]


@dataclass
class FixedPolicy:
    """A policy in force for ever, unless a test changes it."""

    policy: Policy
    problem: str | None = None

    def current(self, now: datetime) -> PolicyInForce:
        return PolicyInForce(self.policy, self.policy.hash, self.problem)


@dataclass
class FakeChat:
    """A webhook's channel that keeps what it is told, and refuses as long as `refusals` last."""

    posted: list[Mapping[str, Any]] = field(default_factory=list)
    refusals: list[Undeliverable] = field(default_factory=list)

    def editable(self) -> bool:
        return False

    def pressable(self) -> bool:
        return False

    def post(self, message: Mapping[str, Any], channel: str = "", thread: str = "") -> Posted | None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.posted.append(message)
        return None

    def edit(self, posted: Posted, message: Mapping[str, Any]) -> None:
        raise AssertionError("a webhook cannot edit")


@dataclass
class Shown:
    """One message as it stands in a channel: what it shows now, how often it was edited, what was answered to it."""

    channel: str
    ts: str
    message: Mapping[str, Any]
    edits: int = 0
    replies: list[Mapping[str, Any]] = field(default_factory=list)


@dataclass
class FakeBot:
    """A bot's channels. `before` is asked before each call, and may raise; `closed` channels refuse."""

    shown: list[Shown] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    before: Callable[[str, str], None] = lambda _method, _channel: None
    answered: bool = False
    whispers: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    files: list[tuple[Attachment, str, str]] = field(default_factory=list)

    def editable(self) -> bool:
        return True

    def pressable(self) -> bool:
        return self.answered

    def post(self, message: Mapping[str, Any], channel: str = "", thread: str = "") -> Posted | None:
        self._call("reply" if thread else "post", channel)
        if channel in self.closed:
            raise ChannelRefused(f"Slack refuses channel {channel}: not_in_channel")
        if thread:
            self.find(Posted(channel, thread)).replies.append(message)
            return Posted(channel, f"{thread}-{len(self.calls)}")
        shown = Shown(channel, f"{1_700_000_000 + len(self.shown)}.000100", message)
        self.shown.append(shown)
        return Posted(shown.channel, shown.ts)

    def edit(self, posted: Posted, message: Mapping[str, Any]) -> None:
        self._call("edit", posted.channel)
        shown = self.find(posted)
        shown.message, shown.edits = message, shown.edits + 1

    def attach(self, file: Attachment, comment: str, channel: str = "") -> None:
        self._call("attach", channel)
        self.files.append((file, comment, channel))

    def whisper(self, message: Mapping[str, Any], channel: str, person: str) -> None:
        self._call("whisper", channel)
        self.whispers.append((channel, person, message))

    def find(self, posted: Posted) -> Shown:
        for shown in self.shown:
            if (shown.channel, shown.ts) == (posted.channel, posted.ts):
                return shown
        raise Vanished("message_not_found")

    def _call(self, method: str, channel: str) -> None:
        self.before(method, channel)
        self.calls.append(method)


class InMemoryConversations:
    """What stands in Slack where, in memory, with the conditional writes of the real one."""

    def __init__(self) -> None:
        self.messages: dict[str, Conversation] = {}
        self.bursts: dict[str, RunningBurst] = {}
        self.outdated: set[str] = set()
        self.kept_back: set[tuple[str, int]] = set()
        self.asked = self.in_vain = 0

    def read(self, name: str) -> Conversation | None:
        return self.messages.get(name)

    def write(self, name: str, conversation: Conversation) -> None:
        stored = self.messages.get(name)
        if (stored.version if stored else 0) != conversation.version:
            raise Contended(name)
        self.messages[name] = replace(conversation, version=conversation.version + 1)

    def burst(self, channel: str) -> RunningBurst | None:
        return self.bursts.get(channel)

    def write_burst(self, channel: str, running: RunningBurst) -> None:
        stored = self.bursts.get(channel)
        if (stored.version if stored else 0) != running.version:
            raise Contended(channel)
        self.bursts[channel] = replace(running, version=running.version + 1)

    def note_stale(self, names: Sequence[str]) -> None:
        self.outdated |= set(names)

    def stale(self, limit: int) -> Sequence[str]:
        return sorted(self.outdated)[:limit]

    def note_fresh(self, names: Sequence[str]) -> None:
        self.outdated -= set(names)

    def note_waiting(self, entries: Sequence[tuple[str, int]]) -> None:
        self.kept_back |= set(entries)

    def waiting(self, limit: int) -> Sequence[tuple[str, int]]:
        return sorted(self.kept_back)[:limit]

    def note_settled(self, entries: Sequence[tuple[str, int]]) -> None:
        self.kept_back -= set(entries)

    def ask_again(self, in_vain: int = 0) -> None:
        self.asked += 1
        self.in_vain = in_vain


@dataclass
class InMemoryApprovals:
    """Who has approved what, in memory."""

    known: Approvers = field(default_factory=Approvers)
    bodies: list[Any] = field(default_factory=list)

    def read(self) -> Approvers:
        return self.known

    def write(self, approvers: Approvers, body: Any) -> None:
        if approvers.version != self.known.version:
            raise Contended("approvals")
        self.known = replace(approvers, version=approvers.version + 1)
        self.bodies.append(body)


@dataclass
class InMemoryOpenings:
    """Who has opened the report, in memory."""

    bodies: dict[str, Any] = field(default_factory=dict)

    def note(self, press: str, body: Any) -> str | None:
        if press in self.bodies:
            return str(self.bodies[press]["result"])
        self.bodies[press] = body
        return None


@dataclass
class FakeBus:
    """A bus that keeps what it is told, and refuses as long as `refusals` last."""

    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    refusals: list[Undeliverable] = field(default_factory=list)

    def put(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.events.extend(events)


def a_policy(text: str) -> Policy:
    """A policy from the lines that matter to a test."""
    return load(f"version: 1\n{text}", "policy.yaml")


LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14},
            "action": {"type": "expire"},
        }
    ]
}
ENFORCING = f"""
mode: enforce
naming:
  convention: "{{team}}/{{service}}"
  segments:
    team: [payments, search]
namespaces:
  ROOT:
    lifecycle_policy: {json.dumps(LIFECYCLE)}
    tag_mutability: IMMUTABLE
    required_tags:
      owner: {{set: "{{pusher}}"}}
"""
HOUR = timedelta(hours=1)
THROTTLED = Throttled("ecr:DescribeRepositories: ThrottlingException")


class FakeSecurityHub:
    """Security Hub in memory: findings by id, of which an older update changes nothing; `refused` ids are not taken."""

    product = f"arn:aws:securityhub:{REGION}:{ACCOUNT}:product/{ACCOUNT}/default"

    def __init__(self) -> None:
        self.findings: dict[str, dict[str, Any]] = {}
        self.refused: dict[str, str] = {}
        self.troubles: list[Undeliverable] = []

    def put(self, findings: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        if self.troubles:
            raise self.troubles.pop(0)
        for finding in findings:
            there = self.findings.get(finding["Id"])
            if finding["Id"] not in self.refused and (there is None or there["UpdatedAt"] < finding["UpdatedAt"]):
                self.findings[finding["Id"]] = dict(finding)
        return {finding["Id"]: self.refused[finding["Id"]] for finding in findings if finding["Id"] in self.refused}
