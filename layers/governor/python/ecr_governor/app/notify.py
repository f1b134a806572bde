"""Tell programs and people what the ledger says happened. The ledger's stream is the outbox: what is not told is told again.

Programs and people are told by two functions, so that trouble with the one never keeps the other waiting.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ecr_governor.app.errors import ChannelRefused, ChannelWaits, GovernorError, Undeliverable, Unintelligible
from ecr_governor.app.living import Delivery, Progress, Teller, deliveries, freshen
from ecr_governor.app.ports import Chat, Conversations, DeadLetters, Errands, EventBus, Ledger, PolicySource
from ecr_governor.core.alert import is_critical
from ecr_governor.core.announcement import Announcement, Told, announce, bus_events
from ecr_governor.core.errand import Channel, Errand, wanted_by
from ecr_governor.core.messages import news, steps
from ecr_governor.core.messages.burst import Burst, digest
from ecr_governor.core.policy.notifications import SlackNotifications
from ecr_governor.core.press import PRESS
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.retirement.reported import STEPS_OF
from ecr_governor.core.sweep import worth_telling

logger = logging.getLogger(__name__)

BUS = Channel.EVENT_BUS.value
CHAT = "slack"
WAITS = "slack-waits"
"""What the ledger remembers of an entry that waits until Slack takes its channel."""
SET_ASIDE = "slack-set-aside"
"""What the ledger remembers of an entry of which Slack takes no message. Nobody was told of it."""
SUMMED_UP = "slack-summed-up"
"""What the ledger remembers of a critical entry that a digest told of, which names a few repositories: whom it is for may not read of it."""
SETTLED = frozenset({CHAT, SET_ASIDE})
WAITING_AT_ONCE = 50
"""Entries that wait for their channel of which one invocation tries to tell."""
TRIES = 30
"""How often in a row nothing may be done of what was left for later: at ten seconds each, while news is gathered, for five minutes."""
HANDED_ON = "handed-on"
"""What the ledger remembers of an entry that waits in the queue for other channels."""
NOT_NOTED = frozenset({"swept"})
"""Kinds of entries of which people are told by editing alone: it does no harm to do that again."""

SHOWN = 10
"""Entries that one line of the log names."""

Failed = frozenset[tuple[str, int]]
"""Entries, by repository and number, that could not be told of and must come again."""


@dataclass(frozen=True, slots=True)
class Outlets:
    """The channels that are told from a queue, and how many seconds an alert waits there for Slack to take it first."""

    queue: Errands
    channels: frozenset[Channel]
    alerts_wait: int = 0

    def hand_on(self, entry: Told) -> bool:
        """Put an entry where the channels that it is something for are told of it; False if there is none. Raises Throttled, Denied."""
        wanted = sorted(wanted_by(entry) & self.channels)
        if wanted:
            waits = {Channel.ALERTS: self.alerts_wait}
            self.queue.put([(Errand(channel, entry.repository, entry.number), waits.get(channel, 0)) for channel in wanted])
        return bool(wanted)


def tell_programs(
    entries: Sequence[Told], bus: EventBus, ledger: Ledger, account: str, region: str, now: datetime, outlets: Outlets | None = None
) -> Failed:
    """Put the events of each entry on the bus, and hand it on to other channels; what was done is not done again when it comes again.

    With `outlets`, what the bus refuses waits in their queue.
    """

    def put(entry: Told) -> bool:
        events = bus_events(entry, account, region)
        try:
            if events:
                bus.put(events)
        except Undeliverable as refused:
            if outlets is None:
                raise
            # A stream stands still at what fails. In the queue it holds up no other channel.
            logger.warning("events wait in the queue", extra={"why": str(refused), "repository": entry.repository, "entry": entry.number})
            outlets.queue.put([(Errand(Channel.EVENT_BUS, entry.repository, entry.number), 0)])
            return False
        return True

    ways = {BUS: put, **({HANDED_ON: outlets.hand_on} if outlets else {})}
    failed: set[tuple[str, int]] = set()
    for entry in entries:
        told: frozenset[str] | None = None
        for channel, tell in ways.items():
            try:
                told = ledger.delivered(entry.repository, entry.number) if told is None else told
                if channel not in told and tell(entry):
                    ledger.mark_delivered(entry.repository, entry.number, channel, now)
            except GovernorError:
                logger.exception("not told to programs", extra={"channel": channel, "repository": entry.repository, "entry": entry.number})
                failed.add((entry.repository, entry.number))
    return frozenset(failed)


@dataclass(frozen=True, slots=True)
class People:
    """What it takes to tell people. Without `dead_letters`, what Slack takes in no form comes again."""

    ledger: Ledger
    policies: PolicySource
    chat: Chat
    conversations: Conversations
    account: str
    region: str
    dead_letters: DeadLetters | None = None


@dataclass(slots=True)
class _Said:
    """What became of entries that were to be told: `failed` must come again, `refused` have no channel now. The others are settled.

    `stopped`: Slack takes nothing at all.
    """

    failed: list[Told] = field(default_factory=list)
    refused: list[Told] = field(default_factory=list)
    stopped: bool = False


def tell_people(entries: Sequence[Told], people: People, now: datetime) -> Failed:
    """Tell people of each entry once, in order; what was told is not told again when the entry comes again.

    A bot keeps one message for each repository; a webhook posts the news of each, or one digest of a burst. The stream behind it stands
    still at what fails. So only what passes by itself fails: what has no channel waits in the ledger, what Slack takes in no form is set
    aside.
    """
    said = _say(entries, SETTLED | {WAITS}, people, now)
    if said.refused and not _let_wait(said.refused, people, now):
        said.failed += said.refused
    if entries and not said.stopped:
        _ask_where_something_is_left(people)
    return frozenset(map(_key, said.failed))


def _say(entries: Sequence[Told], settled: frozenset[str], people: People, now: datetime) -> _Said:
    """Tell people of those entries of which nothing that is `settled` is noted."""
    try:
        pending = list(_deliveries(_untold(entries, settled, people.ledger), people, now))
    except GovernorError as trouble:
        logger.warning("nothing told", extra={"why": str(trouble), "waiting": len(entries)})
        return _Said(failed=list(entries), stopped=True)
    said = _Said()
    for position, delivery in enumerate(pending):
        try:
            delivery.say()
            if delivery.summed_up:
                _note(filter(is_critical, delivery.told), SUMMED_UP, people, now)
            _note(delivery.told, CHAT, people, now)
        except ChannelRefused as trouble:
            said.refused += delivery.told
            logger.info("message has no channel", extra={"why": str(trouble)})
        except GovernorError as trouble:
            if isinstance(trouble, Undeliverable) and trouble.only_this_one and _set_aside(delivery.told, str(trouble), people, now):
                continue
            only_this_one = isinstance(trouble, ChannelWaits) or (isinstance(trouble, Undeliverable) and trouble.only_this_one)
            # Once Slack refuses, and not this channel alone, the rest waits its turn in order.
            waiting = pending[position : position + 1] if only_this_one else pending[position:]
            said.failed += [entry for rest in waiting for entry in rest.told]
            logger.warning("message not delivered", extra={"why": str(trouble), "waiting": len(waiting)})
            if not only_this_one:
                said.stopped = True
                break
    return said


def _note(told: Iterable[Told], what: str, people: People, now: datetime) -> None:
    for entry in told:
        if entry.kind not in NOT_NOTED:
            people.ledger.mark_delivered(entry.repository, entry.number, what, now)


def _key(entry: Told) -> tuple[str, int]:
    return entry.repository, entry.number


def _let_wait(refused: Sequence[Told], people: People, now: datetime) -> bool:
    """Keep entries until Slack takes their channel, so that the stream goes on with those of others; False if that cannot be noted."""
    try:
        people.conversations.note_waiting([_key(entry) for entry in refused])
        _note(refused, WAITS, people, now)
    except GovernorError as trouble:
        logger.warning("news without a channel holds up the others", extra={"why": str(trouble), "waiting": len(refused)})
        return False
    logger.warning("news waits until Slack takes its channel", extra={"waiting": len(refused)})
    return True


def _set_aside(told: Sequence[Told], why: str, people: People, now: datetime) -> bool:
    """Put what Slack takes in no form where a person finds it; False if that is not possible. Nobody was told: no grace begins by it."""
    if people.dead_letters is None or not told:
        return False
    named = [{"repository": entry.repository, "number": entry.number, "kind": entry.kind} for entry in told]
    try:
        people.dead_letters.send(json.dumps({"channel": CHAT, "entries": named}), why)
        _note(told, SET_ASIDE, people, now)
    except GovernorError as trouble:
        logger.warning("message not set aside", extra={"why": str(trouble)})
        return False
    logger.error("message set aside", extra={"why": why, "entries": named[:SHOWN]})
    return True


def _ask_where_something_is_left(people: People) -> None:
    try:
        if people.conversations.waiting(1) or people.conversations.stale(1):
            people.conversations.ask_again()
    except GovernorError as trouble:
        # Nobody waits for it: the next news asks for it, or the night's sweep.
        logger.info("what was left for later was not asked for", extra={"why": str(trouble)})


def go_on(people: People, now: datetime, in_vain: int = 0) -> None:
    """Do some of what was left for later; as long as there is more, have this called again, be there news or not.

    `in_vain` is how often this did nothing so far, in a row: after `TRIES` the next news asks for it, or the night's sweep. Otherwise a
    channel that nobody opens would have this called without an end.
    Who asks for it writes one and the same item. Its changes come one after another, so no two calls tell of the same at once.
    """
    try:
        made = [_tell_what_waits(people, now)]
        slack = people.policies.current(now).policy.notifications.slack
        if slack.enabled and people.chat.editable():
            made.append(freshen(_teller(people, slack)))
        in_vain = 0 if any(progress.done for progress in made) else in_vain + 1
        if any(progress.left for progress in made) and in_vain < TRIES:
            people.conversations.ask_again(in_vain)
    except GovernorError as trouble:
        # Nobody waits for it: it is tried again with the next news, or after the night's sweep.
        logger.info("what was left for later is not done yet", extra={"why": str(trouble)})


def _tell_what_waits(people: People, now: datetime) -> Progress:
    """Tell some of what had no channel, by what the policy says now. Raises GovernorError."""
    waiting = people.conversations.waiting(WAITING_AT_ONCE)
    kept = ((key, people.ledger.entry(*key)) for key in sorted(waiting))
    said = _say([Told(*key, entry.kind, entry.body) for key, entry in kept if entry], SETTLED, people, now)
    left = {_key(entry) for entry in (*said.failed, *said.refused)}
    settled = [key for key in waiting if key not in left]
    if settled:
        people.conversations.note_settled(settled)
    return Progress(bool(settled), bool(left) or len(waiting) == WAITING_AT_ONCE)


def _teller(people: People, slack: SlackNotifications) -> Teller:
    return Teller(people.ledger, people.conversations, people.chat, slack, people.account, people.region)


def _record(ledger: Ledger, name: str) -> RepositoryRecord | None:
    try:
        return ledger.read(name)
    except Unintelligible:
        # The news is told without the fields that the record would add.
        logger.exception("record not read", extra={"repository": name})
        return None


def _untold(entries: Iterable[Told], settled: frozenset[str], ledger: Ledger) -> list[Told]:
    return [entry for entry in entries if entry.kind in NOT_NOTED or not settled & ledger.delivered(entry.repository, entry.number)]


def _deliveries(entries: Sequence[Told], people: People, now: datetime) -> Iterator[Delivery]:
    """Give what is to be said, with the entries that it tells of."""
    slack = people.policies.current(now).policy.notifications.slack
    living = slack.enabled and people.chat.editable()

    def post(message: Mapping[str, Any], *told: Told) -> Delivery:
        return Delivery(lambda: people.chat.post(message, slack.channel or ""), told)

    for entry in entries:
        if entry.kind == "policy" and slack.enabled:
            body = entry.body
            yield post(news.policy_problem(body["problem"], body["version"], people.account, people.region), entry)
        if entry.kind == "approval-asked" and slack.enabled:
            buttons = slack.buttons if living and people.chat.pressable() else None
            yield post(steps.approval_asked(entry.body, people.account, people.region, buttons), entry)
        if entry.kind == "sweep":
            loud_enough = slack.enabled and worth_telling(entry.body)
            yield post(news.sweep_digest(entry.body), entry) if loud_enough else _nothing(entry)
    of_repositories = [entry for entry in entries if entry.kind in {"change", "swept", PRESS} | STEPS_OF]
    if living:
        yield from deliveries(of_repositories, _teller(people, slack), now)
        return
    yield from _steps([entry for entry in of_repositories if entry.kind in STEPS_OF], people, slack, post)
    yield from _changes([entry for entry in of_repositories if entry.kind == "change"], people, slack, post)


def _nothing(*told: Told) -> Delivery:
    return Delivery(lambda: None, told)


def _changes(entries: Sequence[Told], people: People, slack: SlackNotifications, post: Callable[..., Delivery]) -> Iterator[Delivery]:
    """Tell the news of each repository by a message of its own, or by one digest where many came at once."""
    by_repository: dict[str, list[Told]] = {}
    for entry in entries:
        by_repository.setdefault(entry.repository, []).append(entry)
    loud: list[tuple[Announcement, list[Told]]] = []
    for name, told in by_repository.items():
        announcement = announce(told, _record(people.ledger, name), slack.min_severity)
        if slack.enabled and announcement.worth_a_message:
            loud.append((announcement, told))
        else:
            yield _nothing(*told)
    if len(loud) > slack.digest_above:
        summed_up = Burst().plus(announcement for announcement, _ in loud)
        entries = tuple(entry for _, told in loud for entry in told)
        yield replace(post(digest(summed_up, people.account, people.region), *entries), summed_up=True)
    else:
        for announcement, told in loud:
            yield post(news.message(announcement, people.account, people.region), *told)


def _steps(entries: Sequence[Told], people: People, slack: SlackNotifications, post: Callable[..., Delivery]) -> Iterator[Delivery]:
    """Tell every step of a retirement by a message of its own, or, where many came at once, by lists that name each: a mark is a notice."""
    if not slack.enabled:
        # What nobody is told of has not been told: no grace begins by it.
        return
    if len(entries) <= slack.digest_above:
        for entry in entries:
            yield post(steps.retirement(entry, people.account, people.region), entry)
        return
    for start in range(0, len(entries), steps.NAMED_AT_ONCE):
        some = list(entries[start : start + steps.NAMED_AT_ONCE])
        yield post(steps.retirements(some, people.account, people.region), *some)
