"""`ecr-governor policy backtest` as people and scripts meet it: outputs, exit codes, and going on where it was interrupted."""

import json
import re
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any

import pytest

from cli.backtest import command, reading
from cli.backtest.history import History
from tests.commands import Ended, run
from tests.trails import ACCOUNT, REGION, Trail

ROOT = Path(__file__).parents[3]
NAME = "payments/api"
POLICY = """
version: 1
mode: enforce
naming: {convention: "{team}/{service}", segments: {team: [payments], service: {regex: "[a-z]+"}}}
namespaces:
  ROOT:
    tag_mutability: IMMUTABLE
    retirement: {after_days: 30, grace_days: 7, unowned_grace_days: 3, quarantine_days: 3, archive_days: 5, then: delete}
retirement:
  window: {days: [mon, tue, wed, thu, fri, sat, sun]}
"""
Backtest = Callable[..., Ended]


@pytest.fixture
def backtest(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Backtest:
    (tmp_path / "policy.yaml").write_text(POLICY)

    def call(*arguments: object) -> Ended:
        return run(capsys, monkeypatch, "policy", "backtest", str(tmp_path / "policy.yaml"), *map(str, arguments))

    return call


def a_trail(wanted_on: float | None = 36) -> Trail:
    trail = Trail().created(NAME).pushed(NAME, 0.001).created("payments/a_b", 1)
    if wanted_on is not None:
        trail.pulled(NAME, wanted_on, "deploy\x1b[31m|x")
    return trail.call("DescribeImages", 60)


def as_json(ended: Ended) -> dict[str, Any]:
    return dict(json.loads(ended.out))


def test_the_example_of_the_documentation_comes_out_as_it_says(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    section = (ROOT / "docs/policy-as-code.md").read_text().partition("\n## Backtest: ")[2].partition("\n## ")[0]
    command_line, output = re.findall(r"^```(?:sh|text)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[:2]
    monkeypatch.chdir(ROOT)
    words = next(line.split() for line in command_line.splitlines() if "docs/examples" in line)
    ended = run(capsys, monkeypatch, *words[1:])
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == output


def test_the_result_is_told_in_every_form(backtest: Backtest, tmp_path: Path) -> None:
    lines = a_trail().lines(tmp_path / "a.jsonl")
    table = backtest("--events", lines, "--complete")
    assert table.code == 0
    assert "pulled by deploy[31m|x on 2026-02-10" in " ".join(table.out.split())
    assert "\x1b" not in table.out
    assert max(map(len, table.out.splitlines())) <= 80
    markdown = backtest("--events", lines, "--complete", "--output", "markdown")
    assert "pulled by deploy\\[31m&#124;x on" in markdown.out
    told = as_json(backtest("--events", lines, "--complete", "--output", "json"))
    assert told["stages"]["quarantined"] == {"reached": 1, "regretted": 1, "unknown": 0, "rate": 1.0}
    assert told["complete"] is True
    (fate,) = (each for each in told["fates"] if each["repository"] == NAME)
    assert [step["to"] for step in fate["steps"]] == ["marked", "quarantined", "observed"]
    assert fate["regrets"][0]["stage"] == "quarantined"


def test_gaps_end_with_exit_code_3_and_are_named(backtest: Backtest, tmp_path: Path) -> None:
    ended = backtest("--events", a_trail().file(tmp_path, 3, cut=60).parents[6], "--output", "json")
    assert ended.code == 3
    told = as_json(ended)
    assert told["complete"] is False
    assert any("it is cut short" in gap["why"] for gap in told["gaps"])
    assert ended.err.splitlines()[-2].startswith("the records are not whole: ")
    assert (
        ended.err.splitlines()[-1]
        == "  do:  have the trail log read events, which tell who pulls; bring what is missing, as the gaps name it"
    )


def test_days_without_a_record_are_told_once_for_each_rule_and_what_would_fill_them(backtest: Backtest) -> None:
    ended = backtest("--events", ROOT / "docs/examples/trail.jsonl", "--output", "markdown")
    assert ended.code == 3
    assert ended.err.splitlines()[-1] == "  do:  --complete, if on days of which nothing is told nothing happened"
    (undecided,) = [line for line in ended.out.splitlines() if line.startswith("- tag-mutability, ")]
    assert undecided == (
        "- tag-mutability, 4 repositories: its tag mutability could not be read: 2026-02-10 to 2026-02-15: there is no record at all; and 2 other reasons"
    )


def test_too_much_regret_ends_with_exit_code_1(backtest: Backtest, tmp_path: Path) -> None:
    lines = a_trail().lines(tmp_path / "a.jsonl")
    assert backtest("--events", lines, "--complete", "--max-regret", "99").code == 1
    assert backtest("--events", lines, "--complete", "--max-regret", "100").code == 0
    unwanted = a_trail(None).lines(tmp_path / "b.jsonl")
    assert backtest("--events", unwanted, "--complete", "--max-regret", "0").code == 0


def test_an_auditing_policy_says_that_it_would_do_nothing_and_can_be_played_as_enforcing(backtest: Backtest, tmp_path: Path) -> None:
    lines = a_trail().lines(tmp_path / "a.jsonl")
    (tmp_path / "policy.yaml").write_text(POLICY.replace("mode: enforce", "mode: audit"))
    quiet = backtest("--events", lines, "--complete")
    assert "the policy's mode is audit: nothing is changed or retired; --enforce plays it" in " ".join(quiet.out.split())
    assert as_json(backtest("--events", lines, "--complete", "--output", "json"))["changes"] == {}
    assert as_json(backtest("--events", lines, "--complete", "--enforce", "--output", "json"))["changes"] == {"PutImageTagMutability": 2}


def test_an_inventory_says_which_registry_and_what_the_records_do_not(backtest: Backtest, tmp_path: Path) -> None:
    trail = Trail().pulled(NAME, 0).call("DescribeImages", 3)
    facts = {"created_at": "2025-01-01T00:00:00+00:00", "scan_on_push": False, "may_be_cache": False, "tags": {"owner": "x"}}
    facts["tag_mutability"] = {"mode": "MUTABLE", "except": []}
    line = {"name": NAME, "account": ACCOUNT, "region": REGION, "origin": "api", "owner": "x", "findings": [], "undetermined": {}}
    line |= {"images": 1, "size_bytes": 1, "last_push": None, "last_pull": None, "facts": facts}
    (tmp_path / "inventory.jsonl").write_text(json.dumps(line) + "\n")
    lines = trail.lines(tmp_path / "a.jsonl")
    assert as_json(backtest("--events", lines, "--complete", "--output", "json"))["rules"]["tag-mutability"]["undetermined"] == 1
    told = as_json(backtest("--events", lines, "--complete", "--inventory", tmp_path / "inventory.jsonl", "--output", "json"))
    assert told["rules"]["tag-mutability"]["opened"] == 1
    assert told["told"] == [{"owner": "x", "channel": "", "repositories": 1, "messages": 1}]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((), "there must be one source of records"),
        (("--events", "x", "--lookup"), "there must be one source of records"),
        (("--events", "nowhere"), "nowhere is not there"),
        (("--events", "policy.yaml"), "policy.yaml holds no records of CloudTrail's"),
        (("--events", "a.jsonl", "--output", "csv"), "there is no output csv"),
        (("--events", "a.jsonl", "--account", "12"), "'12' is no account id"),
        (("--events", "a.jsonl", "--account", ACCOUNT), "--account alone names no registry"),
        (("--events", "a.jsonl", "--account", "210987654321", "--region", "us-east-1"), "there is no record of 210987654321 in us-east-1"),
        (("--events", "a.jsonl", "--state", "a.jsonl"), "a.jsonl keeps no state of a backtest"),
    ],
)
def test_what_can_be_mended_is_said_in_three_lines(
    backtest: Backtest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    a_trail().lines(tmp_path / "a.jsonl")
    ended = backtest(*arguments)
    assert ended.code == 2
    assert ended.err.startswith(f"error: {what}")
    assert [line.split(":")[0].strip() for line in ended.err.splitlines()] == ["error", "why", "do"]


# --- going on -------------------------------------------------------------------------------------------------------------------------


def folder_of(tmp_path: Path) -> Path:
    trail = a_trail()
    for number, record in enumerate(trail.records):
        part = Trail()
        part.records = [record]
        part.file(tmp_path / "trail", number)
    return tmp_path / "trail"


def test_what_was_interrupted_goes_on_and_comes_to_the_same(backtest: Backtest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events, state = folder_of(tmp_path), tmp_path / "state.json"
    whole = backtest("--events", events, "--complete", "--output", "json")
    real, read = reading._read_file, []

    def interrupted(name: str, opening: Callable[[], BufferedReader], history: History) -> None:
        if len(read) == 2:
            raise KeyboardInterrupt
        read.append(name)
        real(name, opening, history)

    monkeypatch.setattr(reading, "_read_file", interrupted)
    stopped = backtest("--events", events, "--complete", "--state", state)
    assert stopped.code == 3
    assert f"it goes on from {state}" in stopped.err
    read.append("")

    def noted(name: str, opening: Callable[[], BufferedReader], history: History) -> None:
        read.append(name)
        real(name, opening, history)

    monkeypatch.setattr(reading, "_read_file", noted)
    again = backtest("--events", events, "--complete", "--state", state, "--output", "json")
    assert again.out == whole.out
    assert len(set(read)) == len(read) == len(list(events.rglob("*.gz"))) + 1
    # Once all is read, nothing is read again: another policy costs only the playing.
    monkeypatch.setattr(reading, "_read_file", interrupted)
    read[:] = ["", ""]
    assert backtest("--events", events, "--complete", "--state", state, "--output", "json").out == whole.out


def test_a_state_of_other_records_is_refused(backtest: Backtest, tmp_path: Path) -> None:
    lines, state = a_trail().lines(tmp_path / "a.jsonl"), tmp_path / "state.json"
    assert backtest("--events", lines, "--complete", "--state", state).code == 0
    other = backtest("--events", a_trail().lines(tmp_path / "b.jsonl"), "--complete", "--state", state)
    assert "is of other records" in other.err
    state.write_text(state.read_text().replace('"version":1', '"version":9', 1))
    assert "is of another release" in backtest("--events", lines, "--state", state).err


def test_progress_is_shown_on_a_terminal_only(backtest: Backtest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = a_trail().lines(tmp_path / "a.jsonl")
    assert backtest("--events", lines, "--complete").err == ""
    shown: list[str] = []

    class Seen(command._Live):
        def start(self) -> None:
            shown.append(self.tasks[0].description)

        def stop(self) -> None:
            list(self.get_renderables())

    monkeypatch.setattr(command, "_Live", Seen)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    backtest("--events", lines, "--complete")
    assert shown == ["reading", "playing"]
    backtest("--events", lines, "--complete", "--quiet")
    assert shown == ["reading", "playing"]
