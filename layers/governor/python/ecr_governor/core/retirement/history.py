"""What must be true of a repository's entries, whoever wrote them: checked after each simulated schedule and by `ledger verify`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from typing import Any, Final

from ecr_governor.core.policy.retirement import LEAST_QUARANTINE
from ecr_governor.core.record import Entry, RepositoryRecord, break_in
from ecr_governor.core.retirement.state import Retirement, Stage, as_data

INTENT: Final = "retirement-intent"
OUTCOME: Final = "retirement"
QUARANTINE: Final = timedelta(days=LEAST_QUARANTINE)
SEEN_BY_OTHERS: Final = frozenset({Stage.QUARANTINED, Stage.ARCHIVED, Stage.DELETED})

ToldAt = Callable[[int], datetime | None]
"""When people were told of an entry, by its number; None if they were not."""


def tampered(record: RepositoryRecord, entries: Sequence[Entry]) -> str:
    """Say why the ledger cannot be relied on; "" if it can.

    Its entries do not follow one another, or the record says another thing of the retirement than the newest of them.
    """
    if broken := break_in(record, entries):
        return broken
    newest = next((entry for entry in reversed(entries) if entry.kind in {INTENT, OUTCOME}), None)
    if record.retirement is None or (newest is not None and _as_written(newest.body.get("state", {})) == as_data(record.retirement)):
        return ""
    return "the record says another thing of its retirement than the newest entry"


def _as_written(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a state with all that a later release has added to it, as it stands in a record that knew nothing of it."""
    return {**_UNSAID, **state}


_UNSAID: Final = {each.name: each.default for each in fields(Retirement)}


@dataclass
class _Life:
    """One retirement, as its entries tell it from one `observed` to the next, of the repository that was created at `birth`."""

    birth: str | None = None
    stage: Stage = Stage.OBSERVED
    reached: dict[Stage, Entry] = field(default_factory=dict)
    intended: Entry | None = None
    delete_after: str = ""


def breaches(record: RepositoryRecord, entries: Iterable[Entry], told_at: ToldAt) -> Iterator[str]:
    """Say what is wrong with a repository's history; nothing is wrong with a good one."""
    known = tuple(entries)
    if broken := tampered(record, known):
        yield broken
    life = _Life()
    for entry in known:
        if entry.kind not in {INTENT, OUTCOME}:
            continue
        if (birth := entry.body["state"]["birth"]) != life.birth:
            # Another repository of the same name: what was done to the former one is no step of it.
            life = _Life(birth)
        if entry.kind == INTENT:
            yield from _forward(entry, life)
            life.intended = entry
        else:
            yield from _reached(entry, life, told_at)
            life = _after(entry, life)


def _reached(entry: Entry, life: _Life, told_at: ToldAt) -> Iterator[str]:
    to = Stage(entry.body["to"])
    if entry.body.get("intended") or to is Stage.OBSERVED or _by_others(entry):
        # A step that was not completed, a way back, or the doing of somebody else.
        return
    if _told_again(entry, life):
        return
    yield from _forward(entry, life)
    if life.intended is None or life.intended.body["to"] != to.value:
        yield f"entry {entry.number} is {to.value}, and nobody intended it before"
    if to in SEEN_BY_OTHERS:
        yield from _after_the_notice(entry, to, life, told_at)
    if (since := life.reached.get(Stage.QUARANTINED)) and _at(entry) - _at(since) < QUARANTINE:
        yield f"entry {entry.number} is {to.value} within {LEAST_QUARANTINE} days of the quarantine"
    if to is Stage.DELETED and entry.body.get("images") and Stage.QUARANTINED not in life.reached:
        yield f"entry {entry.number} deleted images that were in no quarantine"


def _forward(entry: Entry, life: _Life) -> Iterator[str]:
    to = Stage(entry.body["to"])
    if to is Stage.OBSERVED:
        return
    if to.rank <= life.stage.rank:
        yield f"entry {entry.number} leads from {life.stage.value} to {to.value}"
    against = [reason["check"] for reason in entry.body["reasons"] if reason["weight"] != "for"]
    if against:
        yield f"entry {entry.number} goes on to {to.value} against {', '.join(against)}"


def _after_the_notice(entry: Entry, to: Stage, life: _Life, told_at: ToldAt) -> Iterator[str]:
    marked = life.reached.get(Stage.MARKED)
    told = told_at(marked.number) if marked else None
    if told is None or told > _at(entry):
        yield f"entry {entry.number} is {to.value}, and nobody was told before"
    if life.delete_after and _at(entry).date() < date.fromisoformat(life.delete_after):
        yield f"entry {entry.number} is {to.value} before {life.delete_after}, the day that its mark names"


def _after(entry: Entry, life: _Life) -> _Life:
    to = Stage(entry.body["to"])
    if entry.body.get("intended"):
        # It stays where it was, and what was intended is still to be ended.
        return life
    if to is Stage.OBSERVED:
        return _Life()
    return _Life(life.birth, to, {**life.reached, to: entry}, None, entry.body["delete_after"])


def _told_again(entry: Entry, life: _Life) -> bool:
    """Whether it is a mark's notice once more: nobody was told of the former one."""
    return life.stage is Stage.MARKED and [entry.body["from"], entry.body["to"]] == [Stage.MARKED.value] * 2


def _by_others(entry: Entry) -> bool:
    """Whether an end is told that another one brought about, or an interrupted run of ours: it has a why, no reasons, and took nothing."""
    body = entry.body
    return body["to"] == Stage.DELETED.value and body.get("why", "") != "" and not body["reasons"] and not body.get("images")


def _at(entry: Entry) -> datetime:
    return datetime.fromisoformat(entry.body["at"])
