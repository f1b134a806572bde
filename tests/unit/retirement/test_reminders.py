"""Reminders: 7 and 1 working days before a mark's grace ends, each once, and none for whoever was told later than that."""

from datetime import UTC, datetime, timedelta

import pytest

from ecr_governor.core.retirement.reminders import reminder_due, working_days
from ecr_governor.core.retirement.state import Retirement, Stage

MONDAY = datetime(2026, 11, 2, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("begins", "ends", "days"),
    [(0, 0, 0), (0, 1, 1), (0, 4, 4), (4, 5, 0), (4, 7, 1), (5, 7, 1), (0, 7, 5), (0, 14, 10), (3, 1, 0)],
)
def test_working_days_are_those_from_monday_to_friday_after_the_first(begins: int, ends: int, days: int) -> None:
    assert working_days(MONDAY + begins * DAY, MONDAY + ends * DAY) == days


def nights(grace: int, told: int = 0, begins: int = 0) -> list[int]:
    """On which nights, counted from the mark, somebody is reminded."""
    retirement = Retirement(Stage.MARKED, MONDAY)
    reminded, found = "", []
    for night in range(begins, grace + 3):
        now = MONDAY + night * DAY + timedelta(minutes=20)
        for _ in range(2):
            if due := reminder_due(retirement, MONDAY + told * DAY, MONDAY + grace * DAY, reminded, now):
                reminded = due
                found.append(night)
    return found


@pytest.mark.parametrize(("grace", "expected"), [(14, [3, 11]), (30, [21, 29]), (7, [4]), (1, []), (2, [1])])
def test_each_comes_once(grace: int, expected: list[int]) -> None:
    assert nights(grace) == expected


def test_who_was_told_late_is_not_reminded_at_once() -> None:
    assert nights(14, told=5) == [11]
    assert nights(14, told=12) == []


def test_a_run_that_did_not_take_place_is_made_up_for_and_the_last_reminder_stands_for_both() -> None:
    assert nights(14, begins=6) == [6, 11]
    assert nights(14, begins=11) == [11]


def test_another_mark_has_reminders_of_its_own() -> None:
    now, ends = MONDAY + 11 * DAY, MONDAY + 14 * DAY
    first = reminder_due(Retirement(Stage.MARKED, MONDAY), MONDAY, ends, "", now)
    assert first is not None
    assert reminder_due(Retirement(Stage.MARKED, MONDAY + DAY), MONDAY, ends, first, now) not in {None, first}


def test_on_the_last_day_nobody_is_reminded_any_more() -> None:
    marked, ends = Retirement(Stage.MARKED, MONDAY), MONDAY + 14 * DAY
    assert reminder_due(marked, MONDAY, ends, "", ends) is None
    assert reminder_due(marked, MONDAY, ends, "", ends - 3 * DAY) == f"{MONDAY.isoformat()} 1"
