"""What must be true of a repository's entries, read from the ledger alone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ecr_governor.core.record import GENESIS, Entry, RepositoryRecord, entry_hash
from ecr_governor.core.retirement.history import INTENT, OUTCOME, breaches, tampered
from ecr_governor.core.retirement.state import Retirement, Stage, as_data
from tests.fakes import T0

DAY = timedelta(days=1)
NAME = "payments/api"
FOR, AGAINST = {"check": "unused", "seen": "", "weight": "for"}, {"check": "no veto", "seen": "", "weight": "contrary"}
FORWARD = (Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED, Stage.DELETED)

Body = dict[str, Any]
Lines = list[tuple[str, Body]]


def body(frm: Stage, to: Stage, day: int, **more: Any) -> Body:
    state = as_data(Retirement(to, T0 + day * DAY, birth=T0))
    delete_after = (T0 + 7 * DAY).date().isoformat()
    return {
        "at": (T0 + day * DAY).isoformat(),
        "from": frm.value,
        "to": to.value,
        "delete_after": delete_after,
        "state": state,
        "reasons": [FOR],
        **more,
    }


def a_history() -> Lines:
    """Marked on day 0, told on day 1, and then a step every ten days."""
    lines: Lines = []
    before = Stage.OBSERVED
    for number, stage in enumerate(FORWARD):
        more = {"images": 2} if stage is Stage.DELETED else {}
        lines += [(INTENT, body(before, stage, 10 * number)), (OUTCOME, body(before, stage, 10 * number, **more))]
        before = stage
    return lines


def chained(lines: Lines) -> tuple[RepositoryRecord, list[Entry]]:
    entries: list[Entry] = []
    head = GENESIS
    for number, (kind, said) in enumerate(lines, start=1):
        digest = entry_hash(NAME, number, kind, said, head)
        entries.append(Entry(NAME, number, kind, said, head, digest))
        head = digest
    last = next((said["state"] for _, said in reversed(lines) if "state" in said), None)
    retirement = (
        Retirement(Stage(last["stage"]), datetime.fromisoformat(last["since"]), birth=datetime.fromisoformat(last["birth"]))
        if last
        else None
    )
    return RepositoryRecord(NAME, entries=len(entries), head=head, retirement=retirement), entries


def told_on(day: int | None) -> Callable[[int], datetime | None]:
    return lambda number: T0 + day * DAY if day is not None and number == 2 else None


def wrong(lines: Lines, told: int | None = 1) -> list[str]:
    record, entries = chained(lines)
    return list(breaches(record, entries, told_on(told)))


def test_nothing_is_wrong_with_a_good_history() -> None:
    assert wrong(a_history()) == []


def test_nothing_is_wrong_with_each_beginning_of_one() -> None:
    for length in range(1, len(a_history()) + 1):
        assert wrong(a_history()[:length]) == []


def test_a_way_back_begins_anew() -> None:
    back = [(INTENT, body(Stage.ARCHIVED, Stage.OBSERVED, 25, reasons=[AGAINST])), (OUTCOME, body(Stage.ARCHIVED, Stage.OBSERVED, 25))]
    assert wrong([*a_history()[:6], *back]) == []
    again = (INTENT, body(Stage.OBSERVED, Stage.QUARANTINED, 40)), (OUTCOME, body(Stage.OBSERVED, Stage.QUARANTINED, 40))
    assert wrong([*a_history()[:6], *back, *again]) == ["entry 10 is quarantined, and nobody was told before"]


def test_another_repository_of_the_name_begins_anew() -> None:
    reborn = body(Stage.MARKED, Stage.MARKED, 12)
    reborn["state"] = as_data(Retirement(Stage.MARKED, T0 + 12 * DAY, birth=T0 + DAY))
    assert wrong([*a_history()[:2], (INTENT, reborn), (OUTCOME, reborn)]) == []
    assert wrong([*a_history()[:2], *a_history()[:2]]) == ["entry 3 leads from marked to marked", "entry 4 leads from marked to marked"]


def test_a_notice_that_is_given_again_is_no_step_and_counts_from_then_on() -> None:
    history = a_history()
    again = [*history[:2], (OUTCOME, body(Stage.MARKED, Stage.MARKED, 5)), *history[2:]]
    record, entries = chained(again)
    assert list(breaches(record, entries, lambda number: T0 + 6 * DAY if number == 3 else None)) == []
    assert len(list(breaches(record, entries, told_on(1)))) == 3


def test_what_was_not_completed_is_no_step() -> None:
    stays = body(Stage.QUARANTINED, Stage.QUARANTINED, 20, intended="archived", why="ECR refused")
    history = a_history()
    assert wrong([*history[:5], (OUTCOME, stays), *history[5:]]) == []


def test_what_somebody_else_deleted_needs_neither_notice_nor_intent() -> None:
    gone = body(Stage.MARKED, Stage.DELETED, 1, reasons=[], why="somebody else deleted it")
    assert wrong([*a_history()[:2], (OUTCOME, gone)], told=None) == []
    ours = body(Stage.MARKED, Stage.DELETED, 8)
    assert wrong([*a_history()[:2], (OUTCOME, ours)]) == ["entry 3 is deleted, and nobody intended it before"]


@pytest.mark.parametrize("at", range(8))
def test_no_step_goes_on_against_a_reason(at: int) -> None:
    history = a_history()
    history[at] = (history[at][0], {**history[at][1], "reasons": [FOR, AGAINST]})
    assert wrong(history) == [f"entry {at + 1} goes on to {FORWARD[at // 2].value} against no veto"]


@pytest.mark.parametrize("at", [0, 2, 4, 6])
def test_no_step_is_taken_without_an_intent(at: int) -> None:
    history = a_history()
    del history[at]
    told = [f"entry {at + 1} is {FORWARD[at // 2].value}, and nobody intended it before"]
    record, entries = chained(history)
    notice = 1 if at == 0 else 2
    assert list(breaches(record, entries, lambda number: T0 + DAY if number == notice else None)) == told


@pytest.mark.parametrize(("told", "wrong_ones"), [(None, [4, 6, 8]), (11, [4]), (21, [4, 6]), (10, [])])
def test_nothing_is_taken_away_before_somebody_was_told(told: int | None, wrong_ones: list[int]) -> None:
    named = {4: "quarantined", 6: "archived", 8: "deleted"}
    assert wrong(a_history(), told) == [f"entry {number} is {named[number]}, and nobody was told before" for number in wrong_ones]


def test_nothing_is_taken_away_before_the_day_that_the_mark_names() -> None:
    history = a_history()
    for at in (2, 3):
        history[at] = (history[at][0], {**history[at][1], "at": (T0 + 6 * DAY).isoformat()})
    assert wrong(history) == [f"entry 4 is quarantined before {(T0 + 7 * DAY).date().isoformat()}, the day that its mark names"]
    history[3] = (history[3][0], {**history[3][1], "at": (T0 + 7 * DAY).isoformat()})
    assert wrong(history) == []


def test_nothing_leaves_the_quarantine_before_ecr_can_show_a_pull() -> None:
    history = a_history()
    for hours, told in ((47, ["entry 6 is archived within 2 days of the quarantine"]), (48, [])):
        for at in (4, 5):
            history[at] = (history[at][0], {**history[at][1], "at": (T0 + 10 * DAY + timedelta(hours=hours)).isoformat()})
        assert wrong(history) == told


def test_who_leaves_out_the_reasons_is_not_somebody_else() -> None:
    gone = body(Stage.MARKED, Stage.DELETED, 8, reasons=[], why="somebody else deleted it", images=3)
    assert "entry 3 is deleted, and nobody intended it before" in wrong([*a_history()[:2], (OUTCOME, gone)])
    silent = body(Stage.MARKED, Stage.DELETED, 8, reasons=[])
    assert "entry 3 is deleted, and nobody intended it before" in wrong([*a_history()[:2], (OUTCOME, silent)])


def test_no_image_is_deleted_that_was_in_no_quarantine() -> None:
    history = a_history()
    assert wrong([*history[:2], *history[6:]]) == ["entry 4 deleted images that were in no quarantine"]
    empty = [(kind, {**said, "images": 0}) for kind, said in history[6:]]
    assert wrong([*history[:2], *empty]) == []
    assert wrong([*history[:4], *history[6:]]) == []


@pytest.mark.parametrize("at", range(8))
def test_an_entry_that_was_changed_or_taken_out_is_found(at: int) -> None:
    record, entries = chained(a_history())
    changed = [replace(entry, body={**entry.body, "at": "2026-01-01"}) if entry.number == at + 1 else entry for entry in entries]
    assert any("was changed" in what for what in breaches(record, changed[: at + 1] + entries[at + 1 :], told_on(1)))
    assert any("entr" in what for what in breaches(record, entries[:at] + entries[at + 1 :], told_on(1)))


def test_a_record_that_says_another_thing_is_found() -> None:
    record, entries = chained(a_history())
    assert record.retirement is not None
    other = replace(record, retirement=replace(record.retirement, stage=Stage.ARCHIVED))
    assert list(breaches(other, entries, told_on(1))) == ["the record says another thing of its retirement than the newest entry"]


def test_what_a_later_release_has_added_to_a_record_is_no_tampering() -> None:
    record, entries = chained(a_history())
    newest = entries[-1].body
    state = {key: value for key, value in newest["state"].items() if key != "noticed_at"}
    earlier, before = chained([*a_history()[:-1], (entries[-1].kind, {**newest, "state": state})])
    assert record.retirement is not None
    without = replace(earlier, retirement=replace(record.retirement, noticed_at=None))
    assert tampered(without, before) == ""
    assert tampered(replace(without, retirement=replace(record.retirement, noticed_at=T0)), before) != ""
    lying = [*a_history()[:-1], (entries[-1].kind, {**newest, "state": {**state, "stage": "observed"}})]
    assert tampered(replace(chained(lying)[0], retirement=without.retirement), chained(lying)[1]) != ""


LOOK = ("change", {"at": T0.isoformat(), "opened": []})


def with_look(at: int) -> Lines:
    history = a_history()
    return [*history[:at], LOOK, *history[at:]]


def told_of(lines: Lines, **changed: Any) -> list[str]:
    record, entries = chained(lines)
    notice = 2 + [kind for kind, _ in lines[:2]].count("change")
    return list(breaches(replace(record, **changed), iter(entries), lambda number: T0 + DAY if number == notice else None))


def test_these_kinds_are_what_ledgers_hold() -> None:
    assert (INTENT, OUTCOME) == ("retirement-intent", "retirement")


@pytest.mark.parametrize("at", [0, 3, 8])
def test_looks_between_the_steps_are_none_of_them(at: int) -> None:
    assert told_of(with_look(at)) == []


def test_a_repository_that_never_retired_has_nothing_to_hold_against_it() -> None:
    assert told_of([LOOK]) == []
    assert told_of([LOOK], retirement=Retirement(Stage.MARKED, T0)) == [
        "the record says another thing of its retirement than the newest entry"
    ]


def test_an_entry_without_a_state_is_no_proof_of_one() -> None:
    record, entries = chained(a_history()[:2])
    bare = replace(entries[1], body={key: value for key, value in entries[1].body.items() if key != "state"})
    bare = replace(bare, hash=entry_hash(NAME, 2, OUTCOME, bare.body, bare.previous))
    assert tampered(replace(record, head=bare.hash), [entries[0], bare]) == (
        "the record says another thing of its retirement than the newest entry"
    )


def test_a_way_back_needs_no_intent_of_its_own() -> None:
    assert wrong([*a_history()[:2], (OUTCOME, body(Stage.MARKED, Stage.OBSERVED, 5, reasons=[AGAINST]))]) == []


def test_what_was_intended_is_what_must_come() -> None:
    history = a_history()
    history[2] = (INTENT, body(Stage.MARKED, Stage.ARCHIVED, 10))
    assert "entry 4 is quarantined, and nobody intended it before" in wrong(history[:4])


def test_only_a_deletion_is_asked_for_the_quarantine_of_its_images() -> None:
    history = a_history()[:4]
    assert wrong([*history[:3], (OUTCOME, {**history[3][1], "images": 2})]) == []


def test_all_reasons_against_a_step_are_named() -> None:
    history = a_history()[:2]
    both = [AGAINST, {"check": "unused", "seen": "", "weight": "doubt"}]
    assert wrong([history[0], (OUTCOME, {**history[1][1], "reasons": both})]) == ["entry 2 goes on to marked against no veto, unused"]


def test_nothing_follows_a_deletion() -> None:
    again = (INTENT, body(Stage.DELETED, Stage.MARKED, 40)), (OUTCOME, body(Stage.DELETED, Stage.MARKED, 40))
    assert wrong([*a_history(), *again])[:1] == ["entry 9 leads from deleted to marked"]


def test_a_notice_can_only_be_given_again_of_a_mark() -> None:
    assert wrong([(OUTCOME, body(Stage.MARKED, Stage.MARKED, 0))]) == ["entry 1 is marked, and nobody intended it before"]


def test_only_a_deletion_can_be_the_doing_of_others() -> None:
    by_others = body(Stage.MARKED, Stage.QUARANTINED, 10, reasons=[], why="somebody else did it")
    assert wrong([*a_history()[:2], (OUTCOME, by_others)]) == ["entry 3 is quarantined, and nobody intended it before"]
    with_reasons = body(Stage.MARKED, Stage.DELETED, 10, why="somebody else deleted it")
    assert wrong([*a_history()[:2], (OUTCOME, with_reasons)]) == ["entry 3 is deleted, and nobody intended it before"]
