"""Thousands of schedules of retiring while others push, pull, retag, deploy, object, and while calls fail and processes die."""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from ecr_governor.core.retirement import decide
from ecr_governor.core.retirement.decide import Case, Reason, Weight
from tests.simulation.retirement.shrinking import shrunk
from tests.simulation.retirement.world import Janitor, World, naive, play, rechecking

Check = Callable[[Case, datetime], Iterator[Reason]]
BLOCKS, SCHEDULES = 10, 300
ENOUGH = 1000
"""Schedules within which a bad janitor must be caught."""
MANY, FEW = 5, 2
"""What happens in a schedule worth shrinking, and what has to happen for one that looks again to remove what is in use: a pull, and perhaps a push before it."""


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
    return any(_breaks(play(seed, janitor), invariant) for seed in range(ENOUGH))


def _breaks(world: World, invariant: str) -> bool:
    return any(breach.invariant == invariant for breach in world.breaches)


def test_a_bad_schedule_is_shrunk_to_what_is_bad_in_it() -> None:
    bad = (play(seed, rechecking) for seed in range(ENOUGH))
    seed, world = next((seed, world) for seed, world in enumerate(bad) if _breaks(world, "I1") and world.happened > MANY)
    small = shrunk(seed, "I1", rechecking)
    assert _breaks(small, "I1")
    assert small.took_place <= FEW
    assert len(small.trace) <= len(world.trace)


@pytest.mark.parametrize(
    ("check", "invariant"),
    [
        ("_not_exempt", "I2"),
        ("_nobody_keeps_it", "I2"),
        ("_nobody_uses_it", "I1"),
        ("_time_has_come", "I2"),
    ],
)
def test_without_one_check_the_schedules_go_wrong(check: str, invariant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "CHECKS", tuple(each for each in decide.CHECKS if each.__name__ != check))
    assert any(_breaks(play(seed), invariant) for seed in range(3 * ENOUGH))


def test_taking_doubt_for_an_answer_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def trusting(check: Check) -> Check:
        return lambda case, now: (each._replace(weight=Weight.FOR) if each.weight is Weight.DOUBT else each for each in check(case, now))

    monkeypatch.setattr(decide, "CHECKS", tuple(map(trusting, decide.CHECKS)))
    # It takes a source that is silent, and a user who pulls nothing: one schedule in two thousand has both at the wrong time.
    assert any(_breaks(play(seed), "I1") for seed in range(4 * ENOUGH, 7 * ENOUGH))
