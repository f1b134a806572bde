"""Buttons in Slack: what one is about, who pressed it, and what follows from that.

A button says by its value what it was shown for. What is true now is in the ledger: a press of a button that was shown for something else
changes nothing, and the answer says so.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.granted import Granted
from ecr_governor.core.policy.model import MIN_REASON
from ecr_governor.core.policy.notifications import Buttons, People, is_group
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.retirement.state import Retirement, Stage
from ecr_governor.core.rules import RULES, unused

PRESS: Final = "press"
"""The kind of entry that says who pressed what, and what came of it."""
KEPT_PRESSES: Final = 20
"""Presses that are remembered with what came of them, so that one that comes again is not decided again."""
KEPT_EXEMPTIONS: Final = 10
"""Exemptions, asked for or confirmed, that a record holds."""
MAX_DAYS: Final = 365
REASONS: Final = 5
"""Reasons of a refusal that are told."""
MAX_RULES: Final = 20
_IDENTITY: Final = 16
"""Hexadecimal digits that identify what a button was shown for."""


class Action(StrEnum):
    """What a button does."""

    KEEP = "keep"
    CLAIM = "claim"
    EXEMPT = "exempt"
    CONFIRM = "confirm"
    APPROVE = "approve"
    OPEN_REPORT = "open_report"


class Result(StrEnum):
    """What came of a press."""

    DONE = "done"
    WAITS = "waits"
    ALREADY = "already"
    STALE = "stale"
    FORBIDDEN = "forbidden"
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a button was shown for: a repository, by its name and the time it was created; or, with no `repository`, a list or a report.

    `state` identifies the mark, or the list. `days` is the term that the button states. `rules` are those from which an exemption is
    asked for, `proposal` is the exemption that is to be confirmed.
    """

    repository: str = ""
    birth: datetime | None = None
    state: str = ""
    days: int = 0
    rules: tuple[str, ...] = ()
    proposal: str = ""


@dataclass(frozen=True, slots=True)
class Press:
    """One press of a button by a person, whom Slack names by the id `by`; `name` is what that person likes to be called: foreign text.

    `id` identifies the press: the same one may come more than once. `channel` and `ts` say which message the button is in. The last three
    are what was filled in to ask for an exemption.
    """

    id: str
    action: Action
    by: str
    name: str
    at: datetime
    subject: Subject
    channel: str
    ts: str
    reason: str = ""
    ticket: str = ""
    until: date | None = None

    @property
    def person(self) -> str:
        """The person in one text that no tag's value is taken for."""
        return f"slack:{self.by} ({self.name})" if self.name else f"slack:{self.by}"


@dataclass(frozen=True, slots=True)
class Members:
    """Who is in a user group; or why that is not known."""

    people: frozenset[str] = frozenset()
    unreadable: str = ""


Groups = Mapping[str, Members]
"""User groups, by their ids."""
NO_GROUPS: Final[Groups] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a press comes to. `words` follow the person's name, `changes` are the record's. `proposal` is the exemption that it asks for."""

    result: Result
    words: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    proposal: str = ""


def value_of(subject: Subject) -> str:
    """Give the value of a button, of at most 2,000 characters."""
    data = {
        "r": subject.repository,
        "b": subject.birth.isoformat() if subject.birth else "",
        "s": subject.state,
        "d": subject.days,
        "u": list(subject.rules),
        "p": subject.proposal,
    }
    return json.dumps({key: value for key, value in data.items() if value}, separators=(",", ":"))


def subject_of(value: str) -> Subject:
    """Read a button's value. Raises ValueError for what `value_of` did not write."""
    data = json.loads(value)
    if not isinstance(data, dict):
        raise ValueError("no value of a button")  # noqa: TRY004 - it is the text that is wrong
    name, birth, state, days, rules, proposal = (
        data.get(key, empty) for key, empty in (("r", ""), ("b", ""), ("s", ""), ("d", 0), ("u", []), ("p", ""))
    )
    texts = [name, birth, state, proposal, *(rules if isinstance(rules, list) else [None])]
    if (
        not all(isinstance(text, str) and text.isascii() for text in texts)
        or type(days) is not int
        or not 0 <= days <= MAX_DAYS
        or len(texts) > MAX_RULES
    ):
        raise ValueError("no value of a button")
    if name and not is_repository_name(name):
        raise ValueError("a button of no repository")
    born = datetime.fromisoformat(birth) if birth else None
    if born is not None and born.tzinfo is None:
        raise ValueError("a time without a zone")
    return Subject(name, born, state, days, tuple(rules), proposal)


def mark_of(retirement: Retirement | None) -> str:
    """Identify the mark that a retirement began with, through all its stages; "" where none is under way."""
    if retirement is None or not retirement.under_way:
        return ""
    birth = retirement.birth.isoformat() if retirement.birth else ""
    return identity(birth, retirement.fingerprint, retirement.terms, retirement.delete_after)


def identity(*parts: str) -> str:
    """Identify some texts by one short text."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_IDENTITY]


def rules_at_stake(record: RepositoryRecord) -> tuple[str, ...]:
    """The rules from which an exemption would make a difference now."""
    rules = {finding.rule for finding in record.open_findings()} & RULES.keys()
    if record.retirement is not None and record.retirement.under_way:
        rules.add(unused.RULE.id)
    return tuple(sorted(rules))


def named(action: Action, buttons: Buttons) -> People | None:
    """Who may do this, by the policy file; None for anybody."""
    return {
        Action.KEEP: buttons.keep,
        Action.CLAIM: buttons.claim,
        Action.EXEMPT: buttons.exempt,
        Action.CONFIRM: buttons.approve,
        Action.APPROVE: buttons.approve,
        Action.OPEN_REPORT: buttons.open_report,
    }[action]


def groups_to_ask(action: Action, buttons: Buttons, people: Iterable[str]) -> tuple[str, ...]:
    """The user groups that decide whether these people may do this: none where all of them are named themselves."""
    those = named(action, buttons)
    if those is None or not buttons.enabled or set(people) <= set(those):
        return ()
    return tuple(each for each in those if is_group(each))


def is_among(by: str, those: People, groups: Groups) -> bool:
    """Whether a person is named, or is in a group that is. A group that could not be read has nobody in it."""
    return by in those or any(by in groups[each].people for each in those if each in groups)


def unreadable(groups: Groups) -> str:
    """Why it is not known who is in one of these groups; "" where all were read."""
    why = (f"who is in {group} could not be read: {members.unreadable}" for group, members in groups.items() if members.unreadable)
    return next(why, "")


def may(press: Press, buttons: Buttons, groups: Groups = NO_GROUPS) -> str:
    """Why a person may not press this; "" if he may. `groups` are those that decide it."""
    if not buttons.enabled:
        return "the policy file has switched the buttons off"
    those = named(press.action, buttons)
    if those is None or is_among(press.by, those, groups):
        return ""
    if why := unreadable(groups):
        return f"whether they may is not known, since {why}"
    key = "approve" if press.action in {Action.CONFIRM, Action.APPROVE} else press.action.value
    return f"who may is named in the policy file, under notifications.slack.buttons.{key}"


def answer(press: Press, record: RepositoryRecord, buttons: Buttons, groups: Groups, now: datetime) -> Answer:
    """Decide what a press on a repository comes to. The same press, record, groups and time give the same answer."""
    if why := may(press, buttons, groups):
        return Answer(Result.FORBIDDEN, why)
    return allowed(press, record, now)


def allowed(press: Press, record: RepositoryRecord, now: datetime) -> Answer:
    """Decide what the press of somebody who may comes to."""
    if record.gone_at is not None:
        return Answer(Result.STALE, "the repository is not there any more")
    if record.created_at != press.subject.birth:
        return Answer(Result.STALE, "this is another repository of the same name")
    match press.action:
        case Action.KEEP:
            return _keep(press, record)
        case Action.CLAIM:
            return _claim(press, record)
        case Action.EXEMPT:
            return _exempt(press, record, now)
        case Action.CONFIRM:
            return _confirm(press, record, now)
        case _:
            return Answer(Result.STALE, "this button is of a list, not of a repository")


def _keep(press: Press, record: RepositoryRecord) -> Answer:
    mark = mark_of(record.retirement)
    if not mark:
        return Answer(Result.ALREADY, "it is not retiring any more")
    if mark != press.subject.state or not press.subject.days:
        return Answer(Result.STALE, "it has changed since; its message shows how it stands now")
    until = kept_until(press)
    # It holds from this write on, whenever `releases` comes to give back what was done.
    changes = {"kept_until": max(until, record.kept_until or until)}
    if record.retirement is not None and record.retirement.intended is Stage.DELETED:
        return Answer(Result.DONE, "asks to keep it; its deletion has begun, and what is gone already does not come back", changes)
    return Answer(Result.DONE, f"keeps it until {until:%Y-%m-%d}", changes)


def kept_until(press: Press) -> datetime:
    """The moment until which a press keeps a repository: the same one however late it is answered."""
    return press.at + timedelta(days=press.subject.days)


def _claim(press: Press, record: RepositoryRecord) -> Answer:
    if record.owner:
        return Answer(Result.ALREADY, f"its owner is {record.owner}")
    return Answer(Result.DONE, "says that it is theirs", {"owner": press.person, "claimed_by": press.person})


def _exempt(press: Press, record: RepositoryRecord, now: datetime) -> Answer:
    present = rules_at_stake(record)
    rules = tuple(rule for rule in press.subject.rules if rule in present)
    if not rules:
        return Answer(Result.STALE, "it has changed since: nothing that it would be exempt from is wrong any more")
    if wrong := unfit(press.reason, press.until, press.subject.days, now):
        return Answer(Result.UNFIT, "; ".join(wrong.values()))
    assert press.until is not None  # noqa: S101 - what is unfit was answered above
    asked = Granted(press.id, rules, press.reason.strip(), press.person, press.by, press.until, press.ticket.strip())
    # Nobody's request gives way to another person's; who asks again for the same means this one.
    kept = tuple(each for each in _standing(record.exemptions, now) if each.confirmed_by or not _same(each, asked))
    if len(kept) >= KEPT_EXEMPTIONS:
        words = f"{len(kept)} exemptions of it stand already, asked for or confirmed; there is room when one of them ends"
        return Answer(Result.ALREADY, words)
    words = f"asks to exempt it from {', '.join(rules)} until {press.until.isoformat()}: {asked.reason}"
    return Answer(
        Result.WAITS,
        words + (f" ({asked.ticket})" if asked.ticket else ""),
        {"exemptions": (*kept, asked)},
        proposal=asked.id,
    )


def _confirm(press: Press, record: RepositoryRecord, now: datetime) -> Answer:
    asked = next((each for each in record.exemptions if each.id == press.subject.proposal), None)
    if asked is None or asked.expires < now.astimezone(UTC).date():
        return Answer(Result.STALE, "what was asked for does not stand any more")
    if asked.confirmed_by:
        return Answer(Result.ALREADY, f"{asked.confirmed_by} has confirmed it")
    if asked.asked_by == press.by:
        return Answer(Result.FORBIDDEN, "who asks for an exemption does not confirm it")
    confirmed = replace(asked, confirmed_by=press.person)
    exemptions = tuple(confirmed if each is asked else each for each in record.exemptions)
    return Answer(
        Result.DONE,
        f"exempts it from {', '.join(asked.rules)} until {asked.expires.isoformat()}",
        {"exemptions": _standing(exemptions, now)},
    )


def unfit(reason: str, until: date | None, days: int, now: datetime) -> Mapping[str, str]:
    """Say what is wrong with what was filled in to ask for an exemption, by field; nothing where it is right."""
    today = now.astimezone(UTC).date()
    wrong: dict[str, str] = {}
    if len(reason.strip()) < MIN_REASON:
        wrong["reason"] = f"Say why, in at least {MIN_REASON} characters"
    if until is None or until < today:
        wrong["until"] = "Choose a day that is still to come"
    elif until > today + timedelta(days=days):
        wrong["until"] = f"At most {days} days from here; what is to last longer belongs into the policy file"
    return wrong


def _standing(exemptions: tuple[Granted, ...], now: datetime) -> tuple[Granted, ...]:
    """Leave out what has ended."""
    today = now.astimezone(UTC).date()
    return tuple(each for each in exemptions if each.expires >= today)


def _same(one: Granted, other: Granted) -> bool:
    """Whether two requests are one person's for the same rules."""
    return one.asked_by == other.asked_by and set(one.rules) == set(other.rules)


def remembered(answered: Mapping[str, str], press: str, result: str, most: int = KEPT_PRESSES) -> dict[str, str]:
    """Give the last presses that were answered, with this one: what came of each, by id, in the order in which they came."""
    return dict([*answered.items(), (press, result)][-most:])


def refusal_body(by: str, reasons: Sequence[str], channel: str, ts: str, now: datetime) -> dict[str, Any]:
    """Give the body of the entry that tells that an approved list was refused, and why, in the form of a press that did nothing."""
    more = [f"and {len(reasons) - REASONS} more reasons"] if len(reasons) > REASONS else []
    return {
        "at": now.isoformat(),
        "press": "",
        "action": Action.APPROVE.value,
        "result": Result.STALE.value,
        "by": {"id": by, "name": ""},
        "words": "; ".join((*reasons[:REASONS], *more)),
        "message": {"channel": channel, "ts": ts},
        "proposal": "",
        "policy_hash": "",
    }


def entry_body(press: Press, found: Answer, policy_hash: str, now: datetime) -> dict[str, Any]:
    """Give the body of the entry that tells of a press."""
    return {
        "at": now.isoformat(),
        "press": press.id,
        "action": press.action.value,
        "result": found.result.value,
        "by": {"id": press.by, "name": press.name},
        "words": found.words,
        "message": {"channel": press.channel, "ts": press.ts},
        "proposal": found.proposal,
        "policy_hash": policy_hash,
    }
