"""What an entry says of a retirement: which step, and why."""

from typing import Any

import pytest

from ecr_governor.core.retirement.reported import REMINDER, STEPS_OF, reason, step, why

REASONS = [{"check": "unused", "seen": "no pull for 94 days", "weight": "for"}, {"check": "users", "seen": "nobody", "weight": "wait"}]


def test_two_kinds_of_entries_tell_of_a_retirement() -> None:
    assert REMINDER == "reminder"
    assert {"retirement", "reminder"} == STEPS_OF
    assert hash(STEPS_OF), "whoever is given it cannot change it"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"to": "marked"}, "marked"),
        ({"to": 7}, "7"),
        ({"to": "archived", "intended": None}, "archived"),
        ({"to": "marked", "intended": "quarantined"}, "held up"),
        ({"to": "quarantined", "working_days": 0}, "reminder"),
        ({"to": "quarantined", "working_days": 1, "intended": "quarantined"}, "reminder"),
    ],
)
def test_a_step_is_named_by_what_was_reached_or_was_not_or_comes_soon(body: dict[str, Any], named: str) -> None:
    assert step(body) == named


def test_what_was_said_outright_counts_before_any_reason() -> None:
    assert why({"why": "it was pulled", "reasons": REASONS}) == ["it was pulled"]
    assert why({"why": 7}) == ["7"]


def test_what_stands_against_it_counts_before_what_speaks_for_it() -> None:
    contrary = {"check": "no veto", "seen": "the tag was removed", "weight": "contrary"}
    assert why({"why": "", "reasons": [*REASONS, contrary]}) == ["the tag was removed"]


def test_otherwise_each_reason_is_told_with_what_was_asked() -> None:
    assert why({"reasons": REASONS}) == ["unused: no pull for 94 days", "users: nobody"]
    assert why({"reasons": []}) == why({}) == []


def test_a_reason_is_one_line_and_never_empty() -> None:
    assert reason({"to": "marked", "reasons": REASONS}) == "unused: no pull for 94 days; users: nobody"
    assert reason({"to": "quarantined", "working_days": 7, "reasons": REASONS}) == "7 working days left"
    assert reason({"to": "archived"}) == "archived"
