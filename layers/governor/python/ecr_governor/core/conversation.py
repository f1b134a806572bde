"""Where in Slack people are told of what, and what stands there."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ecr_governor.core.messages.burst import Burst

AGAIN: Final = "again"
"""What the ledger's stream brings where there is no news, but something that was left for later."""


@dataclass(frozen=True, slots=True)
class Posted:
    """One message as Slack knows it: the id of its channel, and its time stamp, which names it there."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file for people: its name, a title of it, and itself."""

    name: str
    title: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Conversation:
    """The message of one repository.

    `wanted` is the channel that was asked for, `birth` when the repository was created that it speaks of, `shown` the fingerprint of what
    it shows. `version` counts the writes and guards each of them.
    """

    posted: Posted
    wanted: str
    birth: datetime | None
    shown: str
    version: int = 0


@dataclass(frozen=True, slots=True)
class RunningBurst:
    """A digest that goes on growing: its message, what it sums up, since when. `version` counts the writes and guards each of them.

    `last` identifies the entries that were added last: should they come again, they are not counted twice.
    """

    posted: Posted
    since: datetime
    burst: Burst
    last: str
    version: int = 0
