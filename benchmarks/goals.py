"""What is demanded of ECR Governor, and whether a measurement keeps it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.programs import CUSTODIAN, QUOTA
from benchmarks.rules import RULES
from benchmarks.scenarios import LATENCY_MS, LATENCY_SIZE, QUOTA_SIZE, Run, Scenario

FULL_CALLS, INCREMENTAL_CALLS = 2.4, 0.07
"""A repository."""
FULL_CPU, INCREMENTAL_CPU = 1 / 3, 1 / 40
"""Of what Cloud Custodian takes for a full check."""
JUDGED_FROM, INCREMENTAL_CPU_FROM = 1000, 10_000
"""Repositories. With fewer of them most of the work is what every check begins with."""
PEAK_MB = 96
LATENCY_WALL = 1 / 15
"""Of Cloud Custodian's."""
QUOTA_WALL, QUOTA_REFUSED = 1.15, 0.01
COLD_START = 0.4
COLD_START_OF = "RepositoryEventsFunction"


@dataclass(frozen=True, slots=True)
class Goal:
    """A demand: what it is about, what is allowed, what was measured."""

    about: str
    allowed: str
    measured: str
    kept: bool


def judge(runs: Sequence[Run], program: str, cold_starts: Mapping[str, float]) -> list[Goal]:
    """Judge what was measured of a program, and the functions' cold starts as shares of a plain build's.

    What was not measured is not judged. Sizes are judged at the largest.
    """
    own = [run for run in runs if run.program == program]
    done = [run for run in own if not run.failure]
    goals = [*_work(done, runs), *_waiting(done, runs), *_always(own)]
    if COLD_START_OF in cold_starts:
        goals.append(_at_most(f"cold start of {COLD_START_OF}, CPU, of a plain build's", cold_starts[COLD_START_OF], COLD_START))
    return goals


def against_custodian(own: Sequence[Run], runs: Sequence[Run], cost: Callable[[Run], float]) -> float | None:
    """Give the median of the ratios to what Cloud Custodian's own check took in the same round; None if it did not run."""
    ratios = []
    for run in own:
        scenario = Scenario.FULL if run.scenario is Scenario.INCREMENTAL else run.scenario
        ratios += [
            cost(run) / cost(other)
            for other in runs
            if (other.program, other.scenario, other.size, other.round) == (CUSTODIAN, scenario, run.size, run.round) and not other.failure
        ]
    return median(ratios) if ratios else None


def quota_floor(size: int) -> float:
    """Give the seconds that one call for each repository needs under the quota."""
    return (size - QUOTA) / QUOTA


def cpu(run: Run) -> float:
    """Give a run's CPU time."""
    return run.cpu


def wall(run: Run) -> float:
    """Give a run's time from start to end."""
    return run.wall


def _work(own: Sequence[Run], runs: Sequence[Run]) -> Iterator[Goal]:
    largest = max((run.size for run in own if run.scenario in {Scenario.FULL, Scenario.INCREMENTAL}), default=0)
    full = [run for run in own if run.scenario is Scenario.FULL and run.size == largest]
    incremental = [run for run in own if run.scenario is Scenario.INCREMENTAL and run.size == largest]
    at = f"of {largest:,} repositories"
    if full and largest >= JUDGED_FROM:
        yield _at_most(f"full check {at}, calls a repository", _calls(full), FULL_CALLS)
        if (ratio := against_custodian(full, runs, cpu)) is not None:
            yield _at_most(f"full check {at}, CPU, of Cloud Custodian's", ratio, FULL_CPU)
    if incremental and largest >= JUDGED_FROM:
        yield _at_most(f"check {at} with 2 % changed, calls a repository", _calls(incremental), INCREMENTAL_CALLS)
        if largest >= INCREMENTAL_CPU_FROM and (ratio := against_custodian(incremental, runs, cpu)) is not None:
            yield _at_most(f"check {at} with 2 % changed, CPU, of Cloud Custodian's full check", ratio, INCREMENTAL_CPU)
    if full or incremental:
        yield _at_most(f"check {at}, peak of memory in MB", max(run.peak_mb for run in [*full, *incremental]), PEAK_MB)


def _waiting(own: Sequence[Run], runs: Sequence[Run]) -> Iterator[Goal]:
    slow = [run for run in own if run.scenario is Scenario.LATENCY]
    if slow and (ratio := against_custodian(slow, runs, wall)) is not None:
        yield _at_most(f"{LATENCY_MS} ms a call, {LATENCY_SIZE:,} repositories, time, of Cloud Custodian's", ratio, LATENCY_WALL)
    limited = [run for run in own if run.scenario is Scenario.QUOTA]
    if limited:
        at = f"{QUOTA} calls a second, {QUOTA_SIZE} repositories"
        yield _at_most(f"{at}, time in s", median(run.wall for run in limited), QUOTA_WALL * quota_floor(QUOTA_SIZE))
        yield _at_most(f"{at}, refused calls", max(run.refused / max(1, run.total) for run in limited), QUOTA_REFUSED)


def _always(own: Sequence[Run]) -> Iterator[Goal]:
    if own:
        worst = min(run.right for run in own)
        yield Goal("rules answered without a mistake, in the worst run", f"= {len(RULES)}", f"{worst}", worst == len(RULES))
        changes = sum(run.changes for run in own)
        yield Goal("calls that would have changed something, in all runs", "= 0", f"{changes}", changes == 0)


def _calls(runs: Sequence[Run]) -> float:
    return median(run.total / run.size for run in runs)


def _at_most(about: str, measured: float, most: float) -> Goal:
    return Goal(about, f"≤ {most:.3g}", f"{measured:.3g}", measured <= most)
