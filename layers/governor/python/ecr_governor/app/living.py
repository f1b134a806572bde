"""Tell people by living messages: one for each repository, edited as it changes; what deserves attention is said in its thread as well.

What was said and what was noted of it can come apart only between two calls: whoever dies there says one thing twice, and nothing is lost.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from ecr_governor.app.errors import ChannelRefused, ChannelWaits, Contended, Full, GovernorError, Undeliverable, Vanished
from ecr_governor.app.ports import Chat, Conversations, Ledger
from ecr_governor.core.announcement import Announcement, Told, announce
from ecr_governor.core.conversation import Conversation, Posted, RunningBurst
from ecr_governor.core.messages.burst import Burst, digest
from ecr_governor.core.messages.buttons import reply_to_press
from ecr_governor.core.messages.living import (
    Life,
    fingerprint,
    living,
    moved,
    reply_to_change,
    reply_to_step,
)
from ecr_governor.core.messages.news import message
from ecr_governor.core.messages.steps import NAMED_AT_ONCE, retirement, retirements
from ecr_governor.core.policy.notifications import Buttons, Place, SlackNotifications
from ecr_governor.core.press import PRESS, Action, Result
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.retirement.reported import STEPS_OF, step
from ecr_governor.core.retirement.state import Stage

logger = logging.getLogger(__name__)

DIGEST_GROWS_FOR: Final = timedelta(hours=1)
"""How long a digest takes in further news before another one is begun."""
RECENT: Final = 40
"""Entries that are read for a message's history: most of them tell people nothing."""
EDITS_AT_ONCE: Final = 20
"""Messages that one invocation edits where nobody's attention is asked for; the others are edited by the next ones, which it asks for."""
ATTEMPTS: Final = 4
"""Times that a message is edited, or noted, anew because somebody else did so meanwhile."""
LOUD: Final = frozenset({"marked", "quarantined", "deleted", "held up", "reminder"})
"""Steps of a retirement that are said in the thread as well."""


@dataclass(frozen=True, slots=True)
class Teller:
    """What it takes to tell people by living messages."""

    ledger: Ledger
    conversations: Conversations
    chat: Chat
    slack: SlackNotifications
    account: str
    region: str

    @property
    def buttons(self) -> Buttons | None:
        """Who may press what; None where a press would reach nobody. Raises Undeliverable."""
        return self.slack.buttons if self.chat.pressable() else None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to say: `say` says it, and then the entries in `told` have been told. Raises GovernorError if it was not said.

    `summed_up`: by a digest, which names a few of their repositories.
    """

    say: Callable[[], object]
    told: tuple[Told, ...]
    summed_up: bool = False


@dataclass(frozen=True, slots=True)
class _News:
    """The news of one repository, and what is known of it by now. `announcement` sums up its changes, if there are any.

    `again` are entries that say once more what the one before them said.
    """

    name: str
    told: tuple[Told, ...]
    record: RepositoryRecord | None
    place: Place
    announcement: Announcement | None
    told_of: bool
    again: frozenset[int] = frozenset()

    @property
    def steps(self) -> tuple[Told, ...]:
        """What tells of its retirement."""
        return tuple(entry for entry in self.told if entry.kind in STEPS_OF)

    @property
    def asks_for_attention(self) -> bool:
        """Whether somebody is to be called: by a new message, or in the thread of the one that is there."""
        if self.told_of:
            return any(True for _ in self.replies())
        news = self.announcement
        return bool(self.steps) or (news is not None and bool(news.opened or news.put_right or news.not_put_right))

    def replies(self) -> Iterator[dict[str, Any]]:
        """What is to be said in the thread, in its order."""
        ended = self.record is not None and self.record.retirement is not None and self.record.retirement.stage is Stage.DELETED
        if (news := self.announcement) and (news.opened or news.not_put_right or (news.gone and not ended)):
            yield reply_to_change(news, self.place.mention)
        for entry in self.steps:
            if step(entry.body) in LOUD and entry.number not in self.again:
                yield reply_to_step(self.name, entry.body, self.place.mention)

    def parts(self) -> Iterator["_News"]:
        """The same news in parts, each of which is told or not: what was said of one is not said again for the sake of another."""
        if not self.told_of or not self.steps:
            yield self
            return
        if rest := tuple(entry for entry in self.told if entry.kind not in STEPS_OF):
            yield replace(self, told=rest)
        for entry in self.steps:
            yield replace(self, told=(entry,), announcement=None)


def deliveries(entries: Sequence[Told], teller: Teller, now: datetime) -> Iterator[Delivery]:
    """Give what is to be said of these entries, and how: each repository by its own message, or by a digest where many came at once.

    Every entry that is to be told is in one delivery. Raises Throttled, Denied, Undeliverable.
    """
    by_repository: dict[str, list[Told]] = {}
    for entry in entries:
        if entry.kind == PRESS:
            # Whoever pressed waits for an answer, however much else there is to tell. Who opens the report has got it already.
            answered = entry.body["action"] == Action.OPEN_REPORT
            yield Delivery((lambda: None) if answered else partial(_answer, entry, teller), (entry,))
        else:
            by_repository.setdefault(entry.repository, []).append(entry)
    records = teller.ledger.records(list(by_repository))
    calling: dict[str, list[_News]] = {}
    quiet: list[_News] = []
    for name, told in by_repository.items():
        news = _news(name, tuple(told), records.get(name), teller)
        if news.asks_for_attention:
            calling.setdefault(news.place.channel, []).append(news)
        else:
            quiet.append(news)
    for channel, several in calling.items():
        if len(several) <= teller.slack.digest_above:
            for news in several:
                yield from _own(news, teller)
        else:
            yield from _digests(channel, several, teller, now)
    yield from _edits(quiet, teller)


@dataclass(frozen=True, slots=True)
class Progress:
    """What became of things that were left for later: whether any was done, and whether there may be more."""

    done: bool
    left: bool


def freshen(teller: Teller) -> Progress:
    """Edit some of the messages that show less than the ledger says. Raises GovernorError."""
    names = teller.conversations.stale(EDITS_AT_ONCE)
    left, done = len(names) == EDITS_AT_ONCE, False
    for name in names:
        # Before the edit: what somebody else notes while it is under way holds for what comes after it.
        teller.conversations.note_fresh([name])
        try:
            # Somebody has deleted the message: with the next news there will be another.
            with suppress(Vanished):
                _refresh(name, teller)
            done = True
        except GovernorError as trouble:
            if isinstance(trouble, Undeliverable) and trouble.only_this_one:
                done = True
                logger.warning("message stays as it is until its next news", extra={"why": str(trouble), "repository": name})
                continue
            teller.conversations.note_stale([name])
            logger.info("messages not brought up to date", extra={"why": str(trouble)})
            left = True
            if not isinstance(trouble, ChannelWaits):
                break
    return Progress(done, left)


def _news(name: str, told: tuple[Told, ...], record: RepositoryRecord | None, teller: Teller) -> _News:
    changes = [entry for entry in told if entry.kind == "change"]
    return _News(
        name=name,
        told=told,
        record=record,
        place=_place(record, teller, _owner_of_steps(told)) if record else Place(teller.slack.channel or ""),
        announcement=announce(changes, record, teller.slack.min_severity) if changes else None,
        told_of=_conversation(name, record, teller) is not None,
        again=frozenset(_again(name, told, teller)),
    )


def _again(name: str, told: Sequence[Told], teller: Teller) -> Iterator[int]:
    """Number the steps that were not completed for the same reason as the last time: a reason is told once, not every night."""
    held_up = [entry for entry in told if entry.kind == "retirement" and step(entry.body) == "held up"]
    if not held_up:
        return
    former = [entry for entry in teller.ledger.recent(name, RECENT) if entry.kind == "retirement"]
    for entry in held_up:
        before = next((each for each in reversed(former) if each.number < entry.number), None)
        if before is not None and step(before.body) == "held up" and before.body.get("why") == entry.body.get("why"):
            yield entry.number


def _owner_of_steps(told: Sequence[Told]) -> str | None:
    """Who a retirement's steps are for: a run reads the tags itself, and may know of an owner whom no look has seen yet."""
    owners = (entry.body.get("owner") for entry in reversed(told) if entry.kind in STEPS_OF)
    return next((owner for owner in owners if owner), None)


def _place(record: RepositoryRecord, teller: Teller, owner: str | None = None) -> Place:
    creation, pusher = record.provenance.creation, record.provenance.pusher
    actors = tuple(actor.name for actor in (pusher, creation.actor if creation else None) if actor)
    return teller.slack.place_of(record.name, owner or record.owner, record.tags, actors)


def _conversation(name: str, record: RepositoryRecord | None, teller: Teller) -> Conversation | None:
    """Where a repository's message is; one that speaks of an earlier repository of the same name is none."""
    conversation = teller.conversations.read(name)
    return None if conversation and record and conversation.birth != record.created_at else conversation


# --- one message for each -------------------------------------------------------------------------------------------------------------


def _own(news: _News, teller: Teller) -> Iterator[Delivery]:
    for part in news.parts():
        yield Delivery(partial(_tell, part, teller), part.told)


def _tell(news: _News, teller: Teller) -> None:
    """Bring a repository's message up to date, or post it; say in its thread what is new."""
    record = news.record
    if record is None:
        _tell_without_record(news, teller)
        return
    conversation, vanished = _conversation(news.name, record, teller), None
    if conversation and conversation.wanted == news.place.channel:
        try:
            if there := _refresh(news.name, teller, news.place):
                for reply in news.replies():
                    teller.chat.post(reply, there.channel, there.ts)
                return
        except (Vanished, ChannelRefused):
            # Deleted, or we were put out of its channel. Then there is nothing to be edited, but it may need no edit.
            vanished = conversation.posted
    stored, present = _present(news.name, teller)
    record = present or record
    shown = living(_life(record, news.place, teller))
    posted = _post(shown, news.place.channel, teller)
    if posted is None:
        return
    former = _keep(news.name, Conversation(posted, news.place.channel, record.created_at, fingerprint(shown)), stored, teller)
    if former and former.birth == record.created_at and former.posted != vanished:
        # It goes on in another channel. Where it stood before that is said at most once: it is no news.
        with suppress(Undeliverable):
            teller.chat.edit(former.posted, moved(news.name, posted.channel))


def _answer(entry: Told, teller: Teller) -> None:
    """Bring the message up to date whose button was pressed, and say in its thread who pressed, and what came of it."""
    name, body, at = entry.repository, entry.body, entry.body["message"]
    # A list of steps is no repository: it has neither a record nor a message that is edited.
    record = None if name.startswith("@") else teller.ledger.records([name]).get(name)
    with suppress(Vanished):
        if record is not None:
            _refresh(name, teller)
    said = reply_to_press(name, record, body, teller.buttons)
    try:
        teller.chat.post(said, at["channel"], at["ts"])
    except (Vanished, ChannelRefused):
        # Somebody has deleted the message, and its thread with it, or put the bot out of the channel. Nobody is told there any more; but
        # what waits for a second person's press is said where it is heard.
        if body["result"] == Result.WAITS:
            _post(said, teller.slack.channel or "", teller)


def _refresh(name: str, teller: Teller, place: Place | None = None) -> Posted | None:
    """Edit a repository's message if it shows something else than what is known by now; give where it is, None if there is none.

    Others may do the same at the same time. Whose edit Slack took last is not known, so whoever notes it last edits once more.
    Raises Vanished, Contended, Undeliverable.
    """
    edited: Posted | None = None
    for _ in range(ATTEMPTS):
        conversation, record = _present(name, teller)
        if conversation is None or record is None or conversation.birth != record.created_at:
            return None
        if edited and edited != conversation.posted:
            # It has gone on in another channel meanwhile, and what said so was edited away.
            with suppress(Undeliverable):
                teller.chat.edit(edited, moved(name, conversation.posted.channel))
        shown = living(_life(record, place or _place(record, teller), teller))
        if not edited and fingerprint(shown) == conversation.shown:
            return conversation.posted
        teller.chat.edit(conversation.posted, shown)
        with suppress(Contended):
            teller.conversations.write(name, replace(conversation, shown=fingerprint(shown)))
            return conversation.posted
        edited = conversation.posted
    raise Contended(f"the message of {name} is edited by others again and again")


def _present(name: str, teller: Teller) -> tuple[Conversation | None, RepositoryRecord | None]:
    """Where a repository's message is, and the record by now. In this order: who wrote the former has seen no newer one of the latter."""
    stored = teller.conversations.read(name)
    return stored, teller.ledger.records([name]).get(name)


def _keep(name: str, conversation: Conversation, stored: Conversation | None, teller: Teller) -> Conversation | None:
    """Note where a repository's new message is, whatever was noted meanwhile; give what that was. Raises Contended."""
    for _ in range(ATTEMPTS):
        with suppress(Contended):
            teller.conversations.write(name, replace(conversation, version=stored.version if stored else 0))
            return stored
        stored = teller.conversations.read(name)
    raise Contended(f"where the message of {name} is was noted by others again and again")


def _life(record: RepositoryRecord, place: Place, teller: Teller) -> Life:
    recent = teller.ledger.recent(record.name, RECENT)
    return Life(record, recent, teller.slack.min_severity, place.mention, teller.account, teller.region, teller.buttons)


def _tell_without_record(news: _News, teller: Teller) -> None:
    """The record is not understood by this release: its news is told all the same, each for itself."""
    if news.announcement and news.announcement.worth_a_message:
        _post(message(news.announcement, teller.account, teller.region), news.place.channel, teller)
    for entry in news.steps:
        _post(retirement(entry, teller.account, teller.region), news.place.channel, teller)


def _post(said: Mapping[str, Any], channel: str, teller: Teller) -> Posted | None:
    """Post to a channel; if Slack does not let us, to the one for everything. Raises ChannelRefused if not there either, Undeliverable."""
    default = teller.slack.channel or ""
    try:
        return teller.chat.post(said, channel)
    except ChannelRefused as refused:
        if channel == default:
            raise
        logger.warning("told in the channel for everything", extra={"channel": channel, "why": str(refused)})
    return teller.chat.post(said, default)


def _edits(quiet: Sequence[_News], teller: Teller) -> Iterator[Delivery]:
    """Where nobody's attention is asked for, the messages that are there are edited: a few now, the others soon."""
    yield Delivery(lambda: None, tuple(entry for news in quiet if not news.told_of for entry in news.told))
    there = [news for news in quiet if news.told_of]
    for news in there[:EDITS_AT_ONCE]:
        yield from _own(news, teller)
    if later := there[EDITS_AT_ONCE:]:
        yield Delivery(lambda: _later([news.name for news in later], teller), _entries(later))


def _later(names: Sequence[str], teller: Teller, *, unless: type[GovernorError] = Full) -> None:
    """Leave messages to be edited later, `unless` that cannot be noted: then their next news edits them. Raises GovernorError otherwise."""
    try:
        teller.conversations.note_stale(names)
    except unless as trouble:
        logger.warning("messages stay as they are until their next news", extra={"why": str(trouble), "messages": len(names)})


# --- a digest for many ----------------------------------------------------------------------------------------------------------------


def _digests(channel: str, several: Sequence[_News], teller: Teller, now: datetime) -> Iterator[Delivery]:
    """Sum up many changes in one message that grows; name every repository whose retirement went on, since a mark is a notice."""
    outdated = [news.name for news in several if news.told_of]
    # Whatever becomes of the note, what is to be said is said.
    yield Delivery(partial(_later, outdated, teller, unless=GovernorError), ())
    changed = [news for news in several if news.announcement and news.announcement.worth_a_message]
    entries = tuple(entry for news in several for entry in news.told if entry.kind not in STEPS_OF)
    if changed:
        announcements = [news.announcement for news in changed if news.announcement]
        yield Delivery(lambda: _grow(channel, announcements, entries, teller, now), entries, summed_up=True)
    elif entries:
        yield Delivery(lambda: None, entries)
    steps = [entry for news in several for entry in news.steps]
    for start in range(0, len(steps), NAMED_AT_ONCE):
        some = tuple(steps[start : start + NAMED_AT_ONCE])
        yield Delivery(partial(_post, retirements(some, teller.account, teller.region), channel, teller), some)


def _grow(channel: str, announcements: Sequence[Announcement], entries: Sequence[Told], teller: Teller, now: datetime) -> None:
    """Add the news to the channel's digest, or begin another one."""
    identity = hashlib.sha256(repr(sorted((entry.repository, entry.number) for entry in entries)).encode()).hexdigest()
    running = teller.conversations.burst(channel)
    version = running.version if running else 0
    if running and running.last == identity:
        return
    if running and now - running.since < DIGEST_GROWS_FOR:
        burst = running.burst.plus(announcements)
        with suppress(Vanished):
            teller.chat.edit(running.posted, digest(burst, teller.account, teller.region))
            teller.conversations.write_burst(channel, replace(running, burst=burst, last=identity))
            return
    burst = Burst().plus(announcements)
    posted = _post(digest(burst, teller.account, teller.region), channel, teller)
    if posted is not None:
        teller.conversations.write_burst(channel, RunningBurst(posted, now, burst, identity, version))


def _entries(several: Sequence[_News]) -> tuple[Told, ...]:
    return tuple(entry for news in several for entry in news.told)
