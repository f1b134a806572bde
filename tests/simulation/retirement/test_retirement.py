"""Thousands of schedules of retiring while others push, pull, retag, deploy, object, and while calls fail and processes die."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from ecr_governor.core.retirement import decide
from ecr_governor.core.retirement.decide import Case, Reason, Weight
from tests.simulation.retirement.world import Janitor, naive, play, rechecking

Check = Callable[[Case, datetime], Iterator[Reason]]
BLOCKS, SCHEDULES = 10, 300
ENOUGH = 1000
"""Schedules within which a bad janitor must be caught."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_schedule_breaks_an_invariant(block: int) -> None:
    for seed in range(block * SCHEDULES, (block + 1) * SCHEDULES):
        breaches = play(seed).breaches
        assert not breaches, f"seed {seed}: {breaches}"


def test_the_same_seed_gives_the_same_history() -> None:
    assert [entry.hash for entry in play(7).ledger.all_entries] == [entry.hash for entry in play(7).ledger.all_entries]


def test_the_schedules_reach_every_stage_and_every_way_back() -> None:
    reached = {
        (entry.body["from"], entry.body["to"])
        for seed in range(300)
        for entry in play(seed).ledger.all_entries
        if entry.kind == "retirement" and entry.body["intended"] is None
    }
    assert {("observed", "marked"), ("marked", "quarantined"), ("quarantined", "archived"), ("archived", "deleted")} <= reached
    assert {("marked", "observed"), ("quarantined", "observed"), ("archived", "observed"), ("marked", "deleted")} <= reached


@pytest.mark.parametrize("janitor", [naive, rechecking], ids=lambda janitor: janitor.__name__)
def test_a_careless_janitor_removes_what_is_in_use(janitor: Janitor) -> None:
    assert _caught(janitor, "I1")


def _caught(janitor: Janitor, invariant: str) -> bool:
    return any(breach.invariant == invariant for seed in range(ENOUGH) for breach in play(seed, janitor).breaches)


@pytest.mark.parametrize(
    ("check", "invariant"),
    [
        ("_not_exempt", "I2"),
        ("_nobody_uses_it", "I1"),
        ("_time_has_come", "I2"),
    ],
)
def test_without_one_check_the_schedules_go_wrong(check: str, invariant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "CHECKS", tuple(each for each in decide.CHECKS if each.__name__ != check))
    assert any(breach.invariant == invariant for seed in range(3 * ENOUGH) for breach in play(seed).breaches)


def test_taking_doubt_for_an_answer_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def trusting(check: Check) -> Check:
        return lambda case, now: (replace(each, weight=Weight.FOR) if each.weight is Weight.DOUBT else each for each in check(case, now))

    monkeypatch.setattr(decide, "CHECKS", tuple(map(trusting, decide.CHECKS)))
    assert any(breach.invariant == "I1" for seed in range(3 * ENOUGH) for breach in play(seed).breaches)
