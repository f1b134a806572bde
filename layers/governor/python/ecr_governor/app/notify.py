"""Tell programs and people what the ledger says happened. The ledger's stream is the outbox: what is not told is told again.

Programs and people are told by two functions, so that trouble with the one never keeps the other waiting.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ecr_governor.app.errors import GovernorError, Undeliverable, Unintelligible
from ecr_governor.app.ports import Chat, EventBus, Ledger, PolicySource
from ecr_governor.core import messages
from ecr_governor.core.announcement import Announcement, Told, announce, bus_events
from ecr_governor.core.policy.model import SlackNotifications
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.sweep import worth_telling

logger = logging.getLogger(__name__)

BUS = "event-bus"
CHAT = "slack"

Failed = frozenset[tuple[str, int]]
"""Entries, by repository and number, that could not be told of and must come again."""


def tell_programs(entries: Sequence[Told], bus: EventBus, ledger: Ledger, account: str, region: str, now: datetime) -> Failed:
    """Put the events of each entry on the bus; what was put is not put again when the entry comes again."""
    failed: set[tuple[str, int]] = set()
    for entry in entries:
        try:
            if BUS in ledger.delivered(entry.repository, entry.number):
                continue
            if events := bus_events(entry, account, region):
                bus.put(events)
            ledger.mark_delivered(entry.repository, entry.number, BUS, now)
        except GovernorError:
            logger.exception("events not put", extra={"repository": entry.repository, "entry": entry.number})
            failed.add((entry.repository, entry.number))
    return frozenset(failed)


@dataclass(frozen=True, slots=True)
class People:
    """What it takes to tell people."""

    ledger: Ledger
    policies: PolicySource
    chat: Chat
    account: str
    region: str


def tell_people(entries: Sequence[Told], people: People, now: datetime) -> Failed:
    """Post the news of each repository, or one digest of a burst; what was posted is not posted again when the entry comes again."""
    pending = list(_messages(_untold(entries, CHAT, people.ledger), people, now))
    failed: set[tuple[str, int]] = set()
    for position, (message, told) in enumerate(pending):
        try:
            if message is not None:
                people.chat.post(message)
            for entry in told:
                people.ledger.mark_delivered(entry.repository, entry.number, CHAT, now)
        except GovernorError as trouble:
            only_this_one = isinstance(trouble, Undeliverable) and trouble.only_this_one
            # Slack takes about one message a second: once it refuses, the rest waits its turn in order.
            waiting = pending[position : position + 1] if only_this_one else pending[position:]
            failed |= {(entry.repository, entry.number) for _, rest in waiting for entry in rest}
            logger.warning("message not delivered", extra={"why": str(trouble), "waiting": len(waiting)})
            if not only_this_one:
                break
    return frozenset(failed)


def _record(ledger: Ledger, name: str) -> RepositoryRecord | None:
    try:
        return ledger.read(name)
    except Unintelligible:
        # The news is told without the fields that the record would add.
        logger.exception("record not read", extra={"repository": name})
        return None


def _untold(entries: Iterable[Told], channel: str, ledger: Ledger) -> list[Told]:
    return [entry for entry in entries if channel not in ledger.delivered(entry.repository, entry.number)]


def _messages(entries: Sequence[Told], people: People, now: datetime) -> Iterable[tuple[Mapping[str, Any] | None, list[Told]]]:
    """Give each message with the entries it tells of: one per repository, or one digest where many came at once."""
    slack = people.policies.current(now).policy.notifications.slack
    for entry in entries:
        if entry.kind == "policy" and slack.enabled:
            body = entry.body
            yield messages.policy_problem(body["problem"], body["version"], people.account, people.region), [entry]
        if entry.kind == "sweep":
            loud_enough = slack.enabled and worth_telling(entry.body)
            yield messages.sweep_digest(entry.body) if loud_enough else None, [entry]
    yield from _retirements([entry for entry in entries if entry.kind == "retirement"], people, slack)
    by_repository: dict[str, list[Told]] = {}
    for entry in entries:
        if entry.kind == "change":
            by_repository.setdefault(entry.repository, []).append(entry)
    news = [(announce(told, _record(people.ledger, name), slack.min_severity), told) for name, told in by_repository.items()]
    loud: list[tuple[Announcement, list[Told]]] = []
    for announcement, told in news:
        if slack.enabled and announcement.worth_a_message:
            loud.append((announcement, told))
        else:
            yield None, told
    if len(loud) > slack.digest_above:
        summed_up = [announcement for announcement, _ in loud]
        yield messages.digest(summed_up, people.account, people.region), [entry for _, told in loud for entry in told]
    else:
        for announcement, told in loud:
            yield messages.message(announcement, people.account, people.region), told


def _retirements(
    entries: Sequence[Told], people: People, slack: SlackNotifications
) -> Iterable[tuple[Mapping[str, Any] | None, list[Told]]]:
    """Tell every step of a retirement by a message of its own, or, where many came at once, by lists that name each: a mark is a notice."""
    if not slack.enabled:
        # What nobody is told of has not been told: no grace begins by it.
        return
    if len(entries) <= slack.digest_above:
        for entry in entries:
            yield messages.retirement(entry, people.account, people.region), [entry]
        return
    for start in range(0, len(entries), messages.NAMED_AT_ONCE):
        some = list(entries[start : start + messages.NAMED_AT_ONCE])
        yield messages.retirements(some, people.account, people.region), some
