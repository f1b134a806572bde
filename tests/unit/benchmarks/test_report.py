"""The tables say what was measured, and only they are replaced in the page."""

import pytest

from benchmarks import report
from benchmarks.compare import PAGE, PARTS, options
from benchmarks.goals import Goal
from benchmarks.scenarios import Run, Scenario
from benchmarks.starts import ANSWERED, READY, Starts, Took, shares

RUN = {
    "size": 1000,
    "title": "Cloud Custodian",
    "program": "custodian",
    "calls": {"ecr.DescribeImages": 1000, "sts.GetCallerIdentity": 1},
    "refused": 0,
    "unknown": {},
    "changes": 0,
    "wall": 12.0,
    "peak_mb": 120.4,
    "wrong": (),
    "failure": "",
}


def some_runs(scenario: Scenario = Scenario.FULL) -> list[Run]:
    runs = []
    for number, cpu in enumerate((8.0, 10.0, 9.0)):
        runs.append(Run(**{**RUN, "scenario": scenario, "round": number, "cpu": cpu}))
        ours = {**RUN, "scenario": scenario, "round": number, "cpu": cpu / 10, "program": "ours", "title": "**ECR Governor**", "wall": 3.0}
        runs.append(Run(**{**ours, "wrong": ("name: not answered",) if number == 2 else ()}))
    return runs


def cells(text: str, title: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {title} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_a_sweeps_table_has_medians_and_ratios_and_the_worst_answer() -> None:
    incremental = [run for run in some_runs(Scenario.INCREMENTAL) if run.program == "ours"]
    text = report.sweep_tables(some_runs() + incremental)
    assert text.startswith("1,000 repositories, medians of 3 rounds:")
    assert cells(text, "Cloud Custodian") == ["1,001", "1.001", "9.0", "1.000", "12.0", "120", "9/9"]
    assert cells(text, "**ECR Governor**") == ["1,001", "1.001", "0.9", "0.100", "3.0", "120", "8/9"]
    assert cells(text, "**ECR Governor**, 2 % changed")[3] == "0.100"


def test_the_other_tables() -> None:
    assert cells(report.operations_table(some_runs()), "`sts.GetCallerIdentity`") == ["1", "1"]
    assert cells(report.latency_table(some_runs(Scenario.LATENCY)), "**ECR Governor**") == ["1,001", "3.0", "0.250", "8/9"]
    assert cells(report.quota_table(some_runs(Scenario.QUOTA)), "Cloud Custodian") == ["1,001", "0", "0.0 %", "12.0", "0.86", "9/9"]
    assert cells(report.event_tables({"a": 2.0, "b": 5.0}, {"push": {"x": 1, "y": 2}}), "push") == ["3", "`x` 1, `y` 2"]
    assert cells(report.goals_table([Goal("calls", "≤ 2", "3", kept=False)]), "calls") == ["≤ 2", "3", "**no**"]


def test_starts_are_told_as_shares_of_medians() -> None:
    ready = Starts("NotifyFunction", READY, Took([10, 30, 20], [40, 60, 50]), Took([40, 50, 60], [70, 90, 80]))
    answered = Starts("NotifyFunction", ANSWERED, Took([30], [30]), Took([60], [60]))
    assert shares([ready, answered]) == {"NotifyFunction": 0.4}
    line = report.cold_start_table([ready, answered]).splitlines()[2]
    assert line == "| `NotifyFunction` | ready | 20 | 50 | 0.40 | 50 | 80 |"


def test_mishaps_are_told() -> None:
    odd = Run(**{**RUN, "scenario": Scenario.FULL, "round": 0, "cpu": 1.0, "unknown": {"ecr.X": 2}, "changes": 1, "failure": "exit code 1"})
    told = report.mishaps([*some_runs(), odd])
    assert len(told) == 4
    assert "ours, full, 1,000 repositories, round 3: name: not answered" in told


def test_a_table_replaces_what_stood_between_its_markers() -> None:
    page = "a\n<!-- measured: one -->\nold\n<!-- end: one -->\nb\n<!-- measured: two -->\nkept\n<!-- end: two -->\n"
    once = report.put(page, "one", r"new \1 text")
    assert once == page.replace("old", r"new \1 text")
    assert report.put(once, "one", "old") == page
    with pytest.raises(LookupError, match="three"):
        report.put(page, "three", "text")


def test_the_page_has_a_place_for_every_table() -> None:
    page = PAGE.read_text()
    for name in ("machine", "goals", "operations", *PARTS):
        assert report.put(page, name, "probe") != page


def test_options_are_checked() -> None:
    assert options(["--sizes", "1000,100"]).sizes == [100, 1000]
    assert options([]).only == list(PARTS)
    with pytest.raises(SystemExit):
        options(["--only", "weather"])
    with pytest.raises(SystemExit):
        options(["--programs", "ours,prowler"])


def test_the_page_is_written_by_a_whole_run_only() -> None:
    assert options(["--write"]).write
    with pytest.raises(SystemExit):
        options(["--write", "--only", "events"])
