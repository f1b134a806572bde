"""Tell programs and people what the ledger says happened. The ledger's stream is the outbox: what is not told is told again."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ecr_governor.app.errors import GovernorError, Undeliverable
from ecr_governor.app.ports import Chat, EventBus, Ledger, PolicySource
from ecr_governor.core import messages
from ecr_governor.core.announcement import Announcement, Told, announce, bus_events

logger = logging.getLogger(__name__)

BUS = "event-bus"
CHAT = "slack"


@dataclass(frozen=True, slots=True)
class Channels:
    """Who is told, and what that takes. `chat` is None where no Slack is configured."""

    ledger: Ledger
    policies: PolicySource
    bus: EventBus
    chat: Chat | None
    account: str
    region: str


def notify(entries: Sequence[Told], channels: Channels, now: datetime) -> frozenset[tuple[str, int]]:
    """Tell every channel of the entries; give those, by repository and number, that some channel could not be told of.

    Each channel remembers what it was told, so an entry that comes again after a failure elsewhere is not told twice.
    """
    failed: set[tuple[str, int]] = set()
    for entry in _untold(entries, BUS, channels.ledger):
        try:
            if events := bus_events(entry, channels.account, channels.region) if entry.kind == "change" else ():
                channels.bus.put(events)
            channels.ledger.mark_delivered(entry.repository, entry.number, BUS, now)
        except GovernorError:
            logger.exception("events not put", extra={"repository": entry.repository, "entry": entry.number})
            failed.add((entry.repository, entry.number))
    return frozenset(failed | _tell_people(entries, channels, now))


def _tell_people(entries: Sequence[Told], channels: Channels, now: datetime) -> set[tuple[str, int]]:
    if channels.chat is None:
        return set()
    pending = list(_messages(_untold(entries, CHAT, channels.ledger), channels, now))
    failed: set[tuple[str, int]] = set()
    for position, (message, told) in enumerate(pending):
        try:
            if message is not None:
                channels.chat.post(message)
            for entry in told:
                channels.ledger.mark_delivered(entry.repository, entry.number, CHAT, now)
        except GovernorError as trouble:
            only_this_one = isinstance(trouble, Undeliverable) and trouble.only_this_one
            # Slack takes about one message a second: once it refuses, the rest waits its turn in order.
            waiting = pending[position : position + 1] if only_this_one else pending[position:]
            failed |= {(entry.repository, entry.number) for _, rest in waiting for entry in rest}
            logger.warning("message not delivered", extra={"why": str(trouble), "waiting": len(waiting)})
            if not only_this_one:
                break
    return failed


def _untold(entries: Iterable[Told], channel: str, ledger: Ledger) -> list[Told]:
    return [entry for entry in entries if channel not in ledger.delivered(entry.repository, entry.number)]


def _messages(entries: Sequence[Told], channels: Channels, now: datetime) -> Iterable[tuple[Mapping[str, Any] | None, list[Told]]]:
    """Give each message with the entries it tells of: one per repository, or one digest where many came at once."""
    slack = channels.policies.current(now).policy.notifications.slack
    for entry in entries:
        if entry.kind == "policy" and slack.enabled:
            body = entry.body
            yield messages.policy_problem(body["problem"], body["version"], channels.account, channels.region), [entry]
    by_repository: dict[str, list[Told]] = {}
    for entry in entries:
        if entry.kind == "change":
            by_repository.setdefault(entry.repository, []).append(entry)
    news = [(announce(told, channels.ledger.read(name), slack.min_severity), told) for name, told in by_repository.items()]
    loud: list[tuple[Announcement, list[Told]]] = []
    for announcement, told in news:
        if slack.enabled and announcement.worth_a_message:
            loud.append((announcement, told))
        else:
            yield None, told
    if len(loud) > slack.digest_above:
        summed_up = [announcement for announcement, _ in loud]
        yield messages.digest(summed_up, channels.account, channels.region), [entry for _, told in loud for entry in told]
    else:
        for announcement, told in loud:
            yield messages.message(announcement, channels.account, channels.region), told
