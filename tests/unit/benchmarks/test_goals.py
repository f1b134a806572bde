"""Goals are judged by medians of ratios within a round, at the largest account, and by the worst run where nothing may go wrong."""

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.goals import Goal, judge, quota_floor
from benchmarks.scenarios import Run, Scenario


def run(program: str, scenario: Scenario = Scenario.FULL, **changes: Any) -> Run:
    sizes = {Scenario.LATENCY: 1000, Scenario.QUOTA: 300}
    plain = Run(
        scenario=scenario,
        size=sizes.get(scenario, 10_000),
        round=0,
        program=program,
        title=program,
        calls={},
        refused=0,
        unknown={},
        changes=0,
        cpu=1.0,
        wall=1.0,
        peak_mb=50.0,
        wrong=(),
        failure="",
    )
    return replace(plain, **changes)


def judged(*runs: Run, about: str, cold_starts: dict[str, float] | None = None) -> Goal | None:
    found = [goal for goal in judge(runs, "ours", cold_starts or {}) if about in goal.about]
    assert len(found) <= 1
    return found[0] if found else None


CASES: list[tuple[str, Scenario, dict[str, Any], dict[str, Any]]] = [
    ("full check of 10,000 repositories, calls", Scenario.FULL, {"calls": {"a": 24_000}}, {"calls": {"a": 24_001}}),
    ("full check of 10,000 repositories, CPU", Scenario.FULL, {"cpu": 20.0}, {"cpu": 20.1}),
    ("2 % changed, calls", Scenario.INCREMENTAL, {"calls": {"a": 600, "b": 100}}, {"calls": {"a": 600, "b": 101}}),
    ("2 % changed, CPU", Scenario.INCREMENTAL, {"cpu": 1.5}, {"cpu": 1.51}),
    ("peak of memory", Scenario.FULL, {"peak_mb": 96.0}, {"peak_mb": 96.1}),
    ("peak of memory", Scenario.INCREMENTAL, {"peak_mb": 96.0}, {"peak_mb": 96.1}),
    ("20 ms a call", Scenario.LATENCY, {"wall": 4.0}, {"wall": 4.1}),
    ("repositories, time in s", Scenario.QUOTA, {"wall": 16.0}, {"wall": 16.2}),
    ("refused calls", Scenario.QUOTA, {"calls": {"a": 700}, "refused": 7}, {"calls": {"a": 700}, "refused": 8}),
    ("without a mistake", Scenario.QUOTA, {}, {"wrong": ("name: not answered",)}),
    ("without a mistake", Scenario.FULL, {}, {"failure": "exit code 1"}),
    ("would have changed", Scenario.LATENCY, {}, {"changes": 1}),
]
CUSTODIAN = [run("custodian", cpu=60.0), run("custodian", Scenario.LATENCY, wall=60.0)]


@pytest.mark.parametrize(("about", "scenario", "good", "bad"), CASES)
def test_a_goal_is_kept_up_to_its_limit_and_missed_above(about: str, scenario: Scenario, good: dict[str, Any], bad: dict[str, Any]) -> None:
    kept, missed = (
        judged(run("ours", scenario, **good), *CUSTODIAN, about=about),
        judged(run("ours", scenario, **bad), *CUSTODIAN, about=about),
    )
    assert kept is not None
    assert missed is not None
    assert (kept.kept, missed.kept) == (True, False), (kept, missed)


def test_the_cold_start_of_the_function_that_meets_new_repositories_is_judged() -> None:
    for share, kept in ((0.4, True), (0.41, False)):
        goal = judged(about="cold start", cold_starts={"RepositoryEventsFunction": share, "NotifyFunction": 9.0})
        assert goal is not None
        assert goal.kept is kept


def test_what_was_not_measured_is_not_judged() -> None:
    assert judge([], "ours", {}) == []
    assert judge([run("floor-raw"), *CUSTODIAN], "ours", {}) == []
    assert judged(run("ours"), about="CPU, of Cloud Custodian's") is None


def test_a_run_that_failed_keeps_no_goal_but_the_worst_run_is_missed() -> None:
    goals = judge([run("ours", failure="exit code 1"), *CUSTODIAN], "ours", {})
    assert [(goal.about.partition(",")[0], goal.kept) for goal in goals] == [
        ("rules answered without a mistake", False),
        ("calls that would have changed something", True),
    ]


def test_small_accounts_are_not_judged_by_what_every_check_begins_with() -> None:
    small = [run("ours", size=100), run("ours", Scenario.INCREMENTAL, size=100), run("custodian", size=100)]
    assert [goal.about for goal in judge(small, "ours", {}) if "calls a" in goal.about or "CPU" in goal.about] == []
    middling = [run("ours", size=1000), run("ours", Scenario.INCREMENTAL, size=1000), run("custodian", size=1000)]
    assert [goal.about for goal in judge(middling, "ours", {}) if "2 % changed, CPU" in goal.about] == []


def test_the_largest_account_is_judged() -> None:
    smaller = [run("ours", size=1000, cpu=50.0), run("custodian", size=1000, cpu=60.0)]
    goal = judged(*smaller, run("ours", cpu=6.0), *CUSTODIAN, about="CPU, of Cloud Custodian's")
    assert goal is not None
    assert (goal.about.split(",")[0], goal.measured) == ("full check of 10", "0.1")


def test_rounds_are_compared_with_themselves() -> None:
    """A machine that is three times slower in one round is so for both."""
    rounds = [
        each
        for number, slowness in enumerate((1, 3, 1))
        for each in (run("ours", round=number, cpu=15.0 * slowness), run("custodian", round=number, cpu=60.0 * slowness))
    ]
    goal = judged(*rounds, about="CPU, of Cloud Custodian's")
    assert goal is not None
    assert goal.measured == "0.25"


def test_the_quota_floor_is_one_call_for_each_repository_after_a_burst() -> None:
    assert quota_floor(300) == 14.0
