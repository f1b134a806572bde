"""What a channel is asked to tell: one entry of the ledger. It names the entry and says nothing itself, so that nothing can be put into it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ecr_governor.core.alert import is_critical
from ecr_governor.core.announcement import Told, bus_events
from ecr_governor.core.security_finding import is_for_security_hub


class Channel(StrEnum):
    """A channel that is told from a queue. Its name is also what the ledger remembers of who was told.

    The event bus is told at once, and from the queue only if it refuses.
    """

    ALERTS = "alerts"
    EVENT_BUS = "event-bus"
    SECURITY_HUB = "security-hub"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Errand:
    """One entry that one channel is to tell of."""

    channel: Channel
    repository: str
    number: int


def wanted_by(entry: Told) -> frozenset[Channel]:
    """Say which channels an entry is something for."""
    return frozenset(channel for channel, is_for in _KINDS.items() if is_for(entry))


def _is_for_programs(entry: Told) -> bool:
    return bool(bus_events(entry, account="", region=""))


_KINDS: Final[Mapping[Channel, Callable[[Told], bool]]] = {
    Channel.ALERTS: is_critical,
    Channel.SECURITY_HUB: is_for_security_hub,
    Channel.WEBHOOK: _is_for_programs,
}
