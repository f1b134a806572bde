"""What was measured, as Markdown tables; and where they stand in docs/performance.md."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import median

from benchmarks.goals import Goal, against_custodian, cpu, quota_floor, wall
from benchmarks.programs import QUOTA
from benchmarks.rules import RULES
from benchmarks.scenarios import LATENCY_MS, QUOTA_SIZE, Run, Scenario
from benchmarks.starts import ANSWERED, READY, Starts

CHANGED = ", 2 % changed"


def sweep_tables(runs: Sequence[Run]) -> str:
    """Show the checks of each size, largest last."""
    tables = []
    for size in sorted({run.size for run in runs if run.scenario is Scenario.FULL}):
        rows = []
        for scenario in (Scenario.FULL, Scenario.INCREMENTAL):
            for title, own in _by_program(runs, scenario, size).items():
                shown = title if scenario is Scenario.FULL else f"{title}{CHANGED}"
                total = _median(own, lambda run: run.total)
                rows.append(
                    [
                        shown,
                        f"{total:,.0f}",
                        f"{total / size:.3f}",
                        f"{_median(own, cpu):.1f}",
                        _ratio(own, runs, cpu),
                        f"{_median(own, wall):.1f}",
                        f"{_median(own, lambda run: run.peak_mb):.0f}",
                        _right(own),
                    ]
                )
        rounds = len({run.round for run in runs if run.size == size and run.scenario is Scenario.FULL})
        head = ["", "calls", "a repository", "CPU, s", "of Cloud Custodian's", "time, s", "peak, MB", "rules right"]
        tables.append(f"{size:,} repositories, {_rounds(rounds)}:\n\n{table(head, rows)}")
    return "\n\n".join(tables)


def operations_table(runs: Sequence[Run]) -> str:
    """Show the calls of a check of the largest size by operation."""
    size = max((run.size for run in runs if run.scenario is Scenario.FULL), default=0)
    columns = {title: own[0] for title, own in _by_program(runs, Scenario.FULL, size).items()}
    columns |= {f"{title}{CHANGED}": own[0] for title, own in _by_program(runs, Scenario.INCREMENTAL, size).items()}
    operations = sorted({name for run in columns.values() for name in run.calls}, key=lambda name: (name.split(".")[0] != "ecr", name))
    rows = [[f"`{name}`", *(f"{run.calls.get(name, 0):,}" for run in columns.values())] for name in operations]
    return f"{size:,} repositories, calls by operation:\n\n{table(['', *columns], rows)}"


def latency_table(runs: Sequence[Run]) -> str:
    """Show the checks over a slow network."""
    rows = [
        [title, f"{_median(own, lambda run: run.total):,.0f}", f"{_median(own, wall):.1f}", _ratio(own, runs, wall), _right(own)]
        for title, own in _by_program(runs, Scenario.LATENCY).items()
    ]
    return table(["", "calls", f"time at {LATENCY_MS} ms a call, s", "of Cloud Custodian's", "rules right"], rows)


def quota_table(runs: Sequence[Run]) -> str:
    """Show the checks under a quota."""
    floor = quota_floor(QUOTA_SIZE)
    rows = [
        [
            title,
            f"{_median(own, lambda run: run.total):,.0f}",
            f"{_median(own, lambda run: run.refused):,.0f}",
            f"{_median(own, lambda run: 100 * run.refused / max(1, run.total)):.1f} %",
            f"{_median(own, wall):.1f}",
            f"{_median(own, wall) / floor:.2f}",
            _right(own),
        ]
        for title, own in _by_program(runs, Scenario.QUOTA).items()
    ]
    head = ["", "calls", "refused", "share", f"time at {QUOTA} calls a second, s", f"of {floor:g} s", "rules right"]
    return table(head, rows)


def cold_start_table(results: Sequence[Starts]) -> str:
    """Show the functions' starts."""
    rows = [
        [
            f"`{found.function}`",
            {READY: "ready", ANSWERED: "**first event answered**"}[found.until],
            f"{median(found.built.cpu):.0f}",
            f"{median(found.plain.cpu):.0f}",
            f"{found.share:.2f}",
            f"{median(found.built.wall):.0f}",
            f"{median(found.plain.wall):.0f}",
        ]
        for found in results
    ]
    return table(["", "until", "CPU, ms", "plain build", "share", "time, ms", "plain build"], rows, text={0, 1})


def event_tables(microseconds: Mapping[str, float], calls: Mapping[str, Mapping[str, int]]) -> str:
    """Show what an event costs."""
    first = next(iter(microseconds.values()))
    costs = [[what, f"{value:.1f}", f"{value / first:.1f}"] for what, value in microseconds.items()]
    counts = [
        [what, f"{sum(found.values())}", ", ".join(f"`{name}` {number}" for name, number in sorted(found.items()))]
        for what, found in calls.items()
    ]
    return f"{table(['', 'CPU an event, us', 'of json.loads'], costs)}\n\n{table(['', 'calls', 'of which'], counts, text={0, 2})}"


def goals_table(goals: Sequence[Goal]) -> str:
    """Show what was demanded and what came of it."""
    rows = [[goal.about, goal.allowed, goal.measured, "yes" if goal.kept else "**no**"] for goal in goals]
    return table(["", "demanded", "measured", "kept"], rows)


def mishaps(runs: Sequence[Run]) -> list[str]:
    """Tell what went wrong: programs that failed, rules that were answered wrongly, calls that the server does not know."""
    told = []
    for run in runs:
        where = f"{run.program}, {run.scenario}, {run.size:,} repositories, round {run.round + 1}"
        told += [f"{where}: {what}" for what in (run.failure, *run.wrong) if what]
        told += [f"{where}: {number} calls of {name}, which the server does not know" for name, number in run.unknown.items()]
        if run.changes:
            told.append(f"{where}: {run.changes} calls that would have changed something")
    return told


def table(head: Sequence[str], rows: Sequence[Sequence[str]], text: Collection[int] = (0,)) -> str:
    """Write a table; the columns in `text` are words, the others numbers."""
    line = ["---" if number in text else "---:" for number in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, line, *rows))


def put(page: str, name: str, text: str) -> str:
    """Replace what stands between a page's markers of that name. Raises LookupError if it has none."""
    begin, end = f"<!-- measured: {name} -->", f"<!-- end: {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(page):
        raise LookupError(f"the page has no {begin} ... {end}")
    return pattern.sub(lambda _: f"{begin}\n{text}\n{end}", page)


def _by_program(runs: Sequence[Run], scenario: Scenario, size: int | None = None) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        if run.scenario is scenario and size in {None, run.size}:
            found.setdefault(run.title, []).append(run)
    return found


def _median(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
    return median(of(run) for run in runs)


def _ratio(own: Sequence[Run], runs: Sequence[Run], cost: Callable[[Run], float]) -> str:
    ratio = against_custodian(own, runs, cost)
    return "" if ratio is None else f"{ratio:.3f}"


def _right(own: Sequence[Run]) -> str:
    return "failed" if any(run.failure for run in own) else f"{min(run.right for run in own)}/{len(RULES)}"


def _rounds(number: int) -> str:
    return "one round" if number == 1 else f"medians of {number} rounds"
