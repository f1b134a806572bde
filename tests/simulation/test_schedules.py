"""Hundreds of seeded schedules: whatever the order, the faults and the people, the history keeps its invariants."""

import pytest

from tests.simulation.baton import Baton
from tests.simulation.invariants import check_history
from tests.simulation.world import World

BLOCKS, SEEDS_IN_A_BLOCK = 10, 30


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_schedule_breaks_an_invariant(block: int) -> None:
    broken = []
    for seed in range(block * SEEDS_IN_A_BLOCK, (block + 1) * SEEDS_IN_A_BLOCK):
        world = World(seed).run(Baton)
        broken += [f"seed {seed}: {breach}" for breach in check_history(world.ledger, world)]
    assert not broken, "\n".join(broken[:20])


def test_the_same_seed_gives_the_same_history() -> None:
    first, second = (World(7).run(Baton) for _ in range(2))
    assert first.log == second.log
    assert first.ledger.all_entries == second.ledger.all_entries
    assert first.bus.events == second.bus.events
