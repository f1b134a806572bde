"""What the use cases need of the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    # Names of types only: a function loads the modules that it uses, not those that another one's ports speak of.
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from ecr_governor.core.conversation import Attachment, Conversation, Posted, RunningBurst
    from ecr_governor.core.errand import Errand
    from ecr_governor.core.origin import AutomaticCreation, Push
    from ecr_governor.core.policy.model import Policy
    from ecr_governor.core.record import Entry, RepositoryRecord
    from ecr_governor.core.remedy import Outcome, Remedy
    from ecr_governor.core.repository import Fact, Repository, Unreadable


class Registry(Protocol):
    """Amazon ECR, one account and Region."""

    def read(self, name: str, facts: frozenset[Fact], idle_since: datetime | None = None) -> Repository | None:
        """Read a repository's present facts; None if there is no such repository. Raises Throttled, Denied.

        Of `Fact.USAGE` only as much is read as tells whether anything happened after `idle_since`; None asks for all of it.
        """

    def automatic_creation(self) -> AutomaticCreation:
        """Read the rules that make ECR create repositories. Raises Throttled."""

    def apply(self, repository: Repository, remedy: Remedy) -> Outcome:
        """Carry out one remedy. Every answer of ECR is an outcome; raises Throttled only."""


class Inventory(Protocol):
    """Amazon ECR in bulk, for looking at everything at once. Reads only."""

    def pages(self) -> Iterator[Sequence[Repository]]:
        """List every repository, at most 1,000 at a time, with no fact that costs a call of its own. Raises Throttled, Denied."""

    def tags_of(self, repositories: Sequence[Repository]) -> Sequence[Mapping[str, str] | Unreadable]:
        """Read the tags of repositories, in their order; those of one that vanished are `Unreadable`. Raises Throttled."""

    def complete(self, page: Sequence[Repository], facts: frozenset[Fact], idle_since: datetime | None) -> Sequence[Repository]:
        """Read facts of a page of repositories; those that vanished meanwhile are left out. Raises Throttled.

        A fact that is there already is not read again, one that may not be read is `Unreadable`. Of `Fact.USAGE` only as much is read
        as tells whether anything happened after `idle_since`; None asks for all of it.
        """

    @property
    def calls(self) -> Mapping[str, int]:
        """Count the calls made so far, retries and refused ones included, by operation such as `ecr:DescribeImages`."""


class Ledger(Protocol):
    """The record of every repository and the append-only entries behind it."""

    def read(self, name: str) -> RepositoryRecord | None:
        """Read a repository's record as last written."""

    def records(self, names: Sequence[str]) -> Mapping[str, RepositoryRecord]:
        """Read many records as last written; those that the ledger does not have, or that are not understood, are left out."""

    def write(self, record: RepositoryRecord, entry: Entry | None = None) -> RepositoryRecord:
        """Write the record over the version it was read at, with a new entry, all or nothing. Raises Contended."""

    def touched(self, since: datetime) -> Iterator[tuple[str, datetime]]:
        """Names of repositories whose record a look has changed since then, and when last. The newest seconds may be missing."""

    def note_push(self, name: str, push: Push) -> None:
        """Keep the newest push to a repository that an event told of, apart from the record."""

    def noted_push(self, name: str) -> Push | None:
        """Give the newest push that was noted."""

    def delivered(self, repository: str, number: int) -> frozenset[str]:
        """The channels that were told of an entry."""

    def mark_delivered(self, repository: str, number: int, channel: str, at: datetime) -> None:
        """Note that a channel was told of an entry."""

    def told_at(self, repository: str, number: int, channel: str) -> datetime | None:
        """When a channel was told of an entry; None if it was not."""

    def entries(self, name: str) -> Iterator[Entry]:
        """A repository's entries, oldest first."""

    def recent(self, name: str, limit: int) -> Sequence[Entry]:
        """A repository's newest entries, at most so many, oldest first."""

    def entry(self, name: str, number: int) -> Entry | None:
        """One entry of a repository; None if there is none of that number."""

    def retiring(self) -> Iterator[str]:
        """Names of repositories whose retirement is under way. The newest seconds may be missing."""

    def due(self, until: datetime, limit: int) -> Sequence[str]:
        """Names of repositories whose verdicts may change by time alone before `until`, the longest overdue first."""

    def note_policy(self, version: str, problem: str | None, at: datetime) -> bool:
        """Note which policy version was last judged, and the problem it has; True if that is news."""

    def last_good_policy(self) -> str | None:
        """The version of the last valid policy file."""


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The policy to judge by. With a `problem`, it is the last good one and nothing may be put right by it."""

    policy: Policy
    version: str
    problem: str | None = None


class PolicySource(Protocol):
    """Where the policy file comes from."""

    def current(self, now: datetime) -> PolicyInForce:
        """The policy in force, already limited to what the deployment permits."""


class Chat(Protocol):
    """Where people are told."""

    def editable(self) -> bool:
        """Whether what was posted can be edited and answered, in any channel. Raises Undeliverable."""

    def pressable(self) -> bool:
        """Whether a press of a button in what is posted reaches us. Raises Undeliverable."""

    def post(self, message: Mapping[str, Any], channel: str = "", thread: str = "") -> Posted | None:
        """Post one message, in a thread if there is one; say where it is, if that is known.

        Raises ChannelRefused, ChannelWaits, Vanished, Undeliverable.
        """

    def edit(self, posted: Posted, message: Mapping[str, Any]) -> None:
        """Put another message in the place of one that was posted. Raises Vanished, Undeliverable."""

    def attach(self, file: Attachment, comment: str, channel: str = "") -> None:
        """Post a file with a comment. Raises UploadRefused if it has to be sent in another way, Undeliverable."""


class Conversations(Protocol):
    """What stands in Slack where: known only to those who tell people. Raises Throttled, Denied throughout."""

    def read(self, name: str) -> Conversation | None:
        """Where a repository's message is; None if it has none."""

    def write(self, name: str, conversation: Conversation) -> None:
        """Keep where a repository's message is, and what it shows, over the version that it was read at. Raises Contended."""

    def burst(self, channel: str) -> RunningBurst | None:
        """The channel's last digest."""

    def write_burst(self, channel: str, running: RunningBurst) -> None:
        """Keep a channel's digest over the version that it was read at. Raises Contended."""

    def note_stale(self, names: Sequence[str]) -> None:
        """Remember that messages show less than the ledger says. Raises Full."""

    def stale(self, limit: int) -> Sequence[str]:
        """Some of the repositories whose messages show less than the ledger says."""

    def note_fresh(self, names: Sequence[str]) -> None:
        """Remember that messages show all."""

    def note_waiting(self, entries: Sequence[tuple[str, int]]) -> None:
        """Remember entries, by repository and number, whose channel is refused. Raises Full."""

    def waiting(self, limit: int) -> Sequence[tuple[str, int]]:
        """Some of the entries whose channel was refused."""

    def note_settled(self, entries: Sequence[tuple[str, int]]) -> None:
        """Remember that entries wait no more."""

    def ask_again(self, in_vain: int = 0) -> None:
        """Have whoever tells people called once more, though there may be no news, and told how often that was `in_vain` so far."""


class DeadLetters(Protocol):
    """Where what can never be done waits for a person."""

    def send(self, body: str, reason: str) -> None:
        """Put something there with the reason. Raises Throttled, Denied."""


class EventBus(Protocol):
    """Where programs are told."""

    def put(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Put events, each a detail type and a detail. Raises Undeliverable if any of them was not taken."""


class Errands(Protocol):
    """Where entries wait to be told by channels other than Slack and the event bus."""

    def put(self, errands: Sequence[tuple[Errand, int]]) -> None:
        """Put errands there, each to come out after so many seconds. Raises Throttled, Denied."""


class AlertTopic(Protocol):
    """Where people are told by e-mail of what cannot wait."""

    def send(self, subject: str, text: str) -> None:
        """Send an e-mail to all who have subscribed. Raises Undeliverable, also where nobody has."""


class SecurityHub(Protocol):
    """Where findings are collected from many sources."""

    @property
    def product(self) -> str:
        """The ARN of the product that findings are sent as."""

    def put(self, findings: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
        """Bring findings up to date; give those that were not taken, by id, with the reason. Raises Undeliverable if none was."""


class Webhook(Protocol):
    """An address of somebody's own, at which programs are told."""

    def post(self, identity: str, document: Mapping[str, Any], now: datetime) -> None:
        """Send a document; `identity` is the same whenever it is sent again. Raises Undeliverable if it was not taken."""
