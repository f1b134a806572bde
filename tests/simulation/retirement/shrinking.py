"""A schedule that goes wrong, with as little happening in it as possible: what is left is what a person has to understand."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from tests.simulation.retirement.world import NIGHTS, Janitor, World, governor, play


def shrunk(seed: int, invariant: str, janitor: Janitor = governor) -> World:
    """Play a schedule that breaks an invariant again and again, each time without more of what happens, as long as it still does.

    Halves first, then parts of them, down to single things. What is left out changes what chance brings afterwards, so that another way
    of breaking the same invariant may be what remains.
    """
    smallest = play(seed, janitor)
    for nights in range(1, max(NIGHTS)):
        if _breaks(fewer := play(seed, janitor, nights=nights), invariant):
            smallest = fewer
            break
    else:
        nights = None
    size = smallest.happened
    while size:
        size = (size + 1) // 2
        for part in _parts(smallest, size):
            tried = play(seed, janitor, smallest.muted | part, nights)
            if _breaks(tried, invariant) and tried.took_place < smallest.took_place:
                smallest = tried
        if size == 1:
            break
    return smallest


def _breaks(world: World, invariant: str) -> bool:
    return any(breach.invariant == invariant for breach in world.breaches)


def _parts(world: World, size: int) -> Sequence[AbstractSet[int]]:
    left = [number for number in range(1, world.happened + 1) if number not in world.muted]
    return [frozenset(left[start : start + size]) for start in range(0, len(left), size)]
