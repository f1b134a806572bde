"""Play many schedules: `python -m tests.simulation.retirement --schedules 100000 --first 0`; exit 1 if an invariant is broken."""

import argparse
import gc
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from random import Random

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st

from tests.simulation.retirement.world import Janitor, World, naive, play, rechecking

PROGRESS = 10_000
MUTANT_SEEDS = 1000


def main() -> int:
    """Play, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--trace", action="store_true", help="print the first schedule, step by step, and stop")
    given = parser.parse_args()
    if given.trace:
        return _trace(given.first)
    logging.disable(logging.CRITICAL)
    gc.freeze()
    gc.set_threshold(100_000)
    broken = _play(range(given.first, given.first + given.schedules))
    for janitor in (naive, rechecking):
        _catch(janitor)
    return 1 if broken else 0


def _play(seeds: range) -> int:
    begun, steps, broken = time.process_time(), Counter[str](), 0
    for number, seed in enumerate(seeds, start=1):
        world = play(seed)
        steps.update(entry.body["to"] for entry in world.ledger.all_entries if entry.kind == "retirement" and not entry.body["intended"])
        for breach in world.breaches:
            broken += 1
            _say(f"seed {seed}: {breach.invariant} {breach.repository}: {breach.how}")
        if number % PROGRESS == 0:
            _say(f"{number:,} schedules, {number / (time.process_time() - begun):.0f} a second, {broken} breaches")
    _say(f"{len(seeds):,} schedules: {', '.join(f'{count:,} {stage}' for stage, count in sorted(steps.items()))}; {broken} breaches")
    return broken


def _catch(janitor: Janitor) -> None:
    bad = [seed for seed in range(MUTANT_SEEDS) if _uses_lost(play(seed, janitor))]
    _say(f"{janitor.__name__}: removes what is in use in {len(bad)} of {MUTANT_SEEDS} schedules, first with seed {bad[0] if bad else None}")
    quiet = settings(
        max_examples=3000, database=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink]
    )
    lost: list[World] = []

    def loses(chance: Random) -> bool:
        world = World(chance).run(janitor, nights=2)
        if _uses_lost(world):
            lost.append(world)
        return _uses_lost(world)

    # The last one that lost is the smallest: it is played once more at the end.
    find(st.randoms(note_method_calls=False), loses, settings=quiet)
    for line in _relevant(lost[-1]):
        _say(f"    {line}")


def _uses_lost(world: World) -> bool:
    return any(breach.invariant == "I1" for breach in world.breaches)


def _relevant(world: World) -> Iterator[str]:
    name = next(breach.repository for breach in world.breaches if breach.invariant == "I1")
    for line in world.trace:
        if name in line:
            yield line.strip()
        if "removed" in line and name in line:
            return


def _trace(seed: int) -> int:
    world = play(seed)
    for line in world.trace:
        _say(line)
    for breach in world.breaches:
        _say(f"{breach.invariant} {breach.repository}: {breach.how}")
    return 1 if world.breaches else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
