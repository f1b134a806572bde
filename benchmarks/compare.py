"""Compare ECR Governor with others on the same made-up registry: calls, CPU, memory, time, and whether the findings are right.

`make bench` runs all of it, `make bench ARGS="--sizes 1000 --rounds 3 --seed 11"` some. Exit code 1: a goal was missed.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

from benchmarks import report
from benchmarks.goals import judge
from benchmarks.programs import OURS, PEERS, PROGRAMS, ROOT
from benchmarks.scenarios import LARGE, Measuring, Run
from benchmarks.starts import Starts, shares

PAGE = ROOT / "docs" / "performance.md"
PARTS = ("sweep", "latency", "quota", "cold-start", "events")


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [program.name for program in PROGRAMS]
    parser.add_argument("--sizes", type=_numbers, default=[1000, 10_000], help="repositories in the account, such as 1000,10000")
    parser.add_argument("--rounds", type=int, default=1, help="how often each program does everything")
    parser.add_argument("--seed", type=int, default=7, help="what the account is made from")
    parser.add_argument("--only", type=_some_of(PARTS), default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--programs", type=_some_of(names), help=f"some of {','.join(names)}; the slow ones do all only if named")
    parser.add_argument("--judge", choices=names, default=OURS, help="the program that must keep the goals")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run to this file, one a line")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.relative_to(ROOT)}")
    given = parser.parse_args(arguments)
    if given.write and given.only != list(PARTS):
        parser.error("--write puts all tables into the page, so that they are of one run: not with --only")
    return given


def main() -> int:
    """Measure, print, judge; give the exit code."""
    given = options()
    if not (PEERS / "bin" / "python").exists():
        sys.stderr.write(f"error: Cloud Custodian is not in {PEERS.relative_to(ROOT)}\n  do: make bench, which installs it\n")
        return 1
    begun = time.monotonic()
    if given.json:
        given.json.write_text("")
    page = _Page()
    # What takes longest comes last.
    starts = _measure_functions(given.only, page)
    runs = _measure_programs(given, page)
    goals = judge(runs, given.judge, shares(starts))
    page.show("goals", report.goals_table(goals))
    page.show("machine", _machine(given.seed))
    for line in report.mishaps(runs):
        sys.stdout.write(f"\n{line}\n")
    if given.write:
        page.write()
    missed = sum(not goal.kept for goal in goals)
    sys.stdout.write(f"\n{len(goals) - missed} of {len(goals)} goals kept, in {time.monotonic() - begun:.0f} s\n")
    return 1 if missed else 0


class _Page:
    """The tables, shown as soon as they are there."""

    def __init__(self) -> None:
        self._tables: dict[str, str] = {}

    def show(self, name: str, text: str) -> None:
        self._tables[name] = text
        sys.stdout.write(f"\n{text}\n")
        sys.stdout.flush()

    def write(self) -> None:
        page = PAGE.read_text()
        for name, text in self._tables.items():
            page = report.put(page, name, text)
        PAGE.write_text(page)


def _measure_functions(parts: Sequence[str], page: _Page) -> Sequence[Starts]:
    starts: Sequence[Starts] = []
    if "cold-start" in parts:
        # These two load the embedded AWS, which takes seconds.
        from benchmarks import cold_start  # noqa: PLC0415

        starts = cold_start.measure()
        page.show("cold-start", report.cold_start_table(starts))
    if "events" in parts:
        from benchmarks import event_path  # noqa: PLC0415

        page.show("events", report.event_tables(event_path.cpu_per_event(), event_path.calls_per_event()))
    return starts


def _measure_programs(given: argparse.Namespace, page: _Page) -> Sequence[Run]:
    runs: list[Run] = []

    def note(run: Run) -> None:
        runs.append(run)
        sys.stderr.write(
            f"  {run.scenario:<12}{run.size:>7,}  {run.program:<12}{run.total:>8,} calls{run.cpu:>8.2f} s CPU{run.wall:>8.1f} s"
            f"{run.peak_mb:>6.0f} MB  {run.right}/9{'  FAILED' if run.failure else ''}\n"
        )
        if given.json:
            with given.json.open("a") as lines:
                lines.write(json.dumps(run.document()) + "\n")

    named = given.programs
    programs = [program for program in PROGRAMS if named is None or program.name in named]
    quick = [program for program in programs if named is not None or not program.slow]
    everybody, without_the_slow = Measuring(programs, given.seed, note), Measuring(quick, given.seed, note)
    if {"sweep", "latency", "quota"} & set(given.only):
        everybody.warm_up()
    if "sweep" in given.only:
        for size in given.sizes:
            (without_the_slow if size > LARGE else everybody).sweep(size, given.rounds)
        page.show("sweep", report.sweep_tables(runs))
        page.show("operations", report.operations_table(runs))
    if "latency" in given.only:
        without_the_slow.slow_network(given.rounds)
        page.show("latency", report.latency_table(runs))
    if "quota" in given.only:
        without_the_slow.quota(given.rounds)
        page.show("quota", report.quota_table(runs))
    return runs


def _machine(seed: int) -> str:
    (site,) = PEERS.glob("lib/python*/site-packages")
    versions = {each.name: each.version for each in distributions(path=[str(site)])}
    peers = ", ".join(f"{name} {versions[name]}" for name in ("c7n", "boto3", "botocore"))
    python = f"Python {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()}, {os.cpu_count()} cores, {python}, {peers}; account of seed {seed}."


def _numbers(text: str) -> list[int]:
    return sorted(int(each) for each in text.split(","))


def _some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        unknown = set(text.split(",")) - set(known)
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: known are {', '.join(known)}")
        return text.split(",")

    return read


if __name__ == "__main__":
    sys.exit(main())
