"""The script and the floors find the truth with the calls that they are said to need, and notice what was announced."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks import rules, scenarios
from benchmarks.account import DAY, Repository, account, midnight
from benchmarks.peers.raw import TARGETS, Signer
from benchmarks.programs import PROGRAMS, Findings, Program, Workplace, custodian_findings
from benchmarks.scenarios import Measuring, Run, Scenario

SIZE, SEED = 60, 3
PAGES = 130
"""Repositories of which more than a hundred have tags."""
PEERS = {program.name: program for program in PROGRAMS}


def here(program: Program) -> Program:
    """The program under this interpreter, so that nothing need be installed for it."""
    return replace(program, argv=lambda place: [sys.executable, *program.argv(place)[1:]])


def sweep(*programs: Program, size: int = SIZE) -> dict[tuple[str, Scenario], Run]:
    runs: list[Run] = []
    Measuring(programs, SEED, runs.append).sweep(size, 1)
    return {(run.program, run.scenario): run for run in runs}


@pytest.fixture(scope="module")
def runs() -> dict[tuple[str, Scenario], Run]:
    # What a floor remembers does not depend on how it calls: once is enough.
    return sweep(here(PEERS["naive"]), replace(here(PEERS["floor-boto3"]), stateful=False), here(PEERS["floor-raw"]))


def unsure_of_use(repositories: list[Repository]) -> int:
    """Repositories of which neither creation nor pulls tell that they are in use."""
    long_ago = midnight() - rules.UNUSED_DAYS * DAY
    return sum(
        max([each.created_at, *(image.pulled_at for image in each.images if image.pulled_at is not None)]) < long_ago
        for each in repositories
    )


def test_every_peer_finds_the_truth(runs: dict[tuple[str, Scenario], Run]) -> None:
    assert {name: (run.failure, run.wrong) for name, run in runs.items()} == dict.fromkeys(runs, ("", ()))
    assert len(runs) == 4
    assert {run.right for run in runs.values()} == {len(rules.RULES)}


def test_no_peer_changes_anything_or_asks_what_the_server_does_not_know(runs: dict[tuple[str, Scenario], Run]) -> None:
    assert {(run.changes, *run.unknown, run.refused) for run in runs.values()} == {(0, 0)}


def test_the_script_makes_four_calls_for_each_repository(runs: dict[tuple[str, Scenario], Run]) -> None:
    reads = ("GetLifecyclePolicy", "GetRepositoryPolicy", "ListTagsForResource", "DescribeImages")
    assert runs["naive", Scenario.FULL].calls == {"ecr.DescribeRepositories": 1, **{f"ecr.{each}": SIZE for each in reads}}


@pytest.mark.parametrize("name", ["floor-boto3", "floor-raw"])
def test_a_floor_asks_for_images_only_where_nothing_else_tells_of_use(name: str, runs: dict[tuple[str, Scenario], Run]) -> None:
    assert runs[name, Scenario.FULL].calls == {
        "ecr.DescribeRepositories": 1,
        "tagging.GetResources": 1,
        "monitoring.GetMetricData": 1,
        "ecr.GetLifecyclePolicy": SIZE,
        "ecr.GetRepositoryPolicy": SIZE,
        "ecr.DescribeImages": unsure_of_use(account(SIZE, SEED, midnight())),
    }


def test_with_a_state_a_floor_asks_for_what_was_announced_only(runs: dict[tuple[str, Scenario], Run]) -> None:
    calls = runs["floor-raw", Scenario.INCREMENTAL].calls
    assert calls["ecr.GetLifecyclePolicy"] == calls["ecr.GetRepositoryPolicy"] == 2
    assert calls.get("ecr.DescribeImages", 0) <= 2
    assert calls["ecr.DescribeRepositories"] + calls["tagging.GetResources"] == 2


def test_all_pages_are_read() -> None:
    runs = sweep(here(PEERS["floor-raw"]), size=PAGES)
    assert [run.right for run in runs.values()] == [9, 9]
    assert runs["floor-raw", Scenario.FULL].calls["tagging.GetResources"] == 2


def test_who_does_not_look_at_what_changed_is_wrong() -> None:
    floor = here(PEERS["floor-raw"])
    asleep = replace(floor, argv=lambda place: [sys.executable, "-c", ASLEEP, str(place.findings), *floor.argv(place)[1:]])
    runs = sweep(asleep)
    assert runs["floor-raw", Scenario.FULL].right == 9
    missed = {each.partition(":")[0] for each in runs["floor-raw", Scenario.INCREMENTAL].wrong}
    assert missed >= {rules.LIFECYCLE_MISSING, rules.SCAN_OFF, rules.MUTABLE, rules.TAGS_MISSING}


ASLEEP = """
import shutil, subprocess, sys
findings, *command = sys.argv[1:]
state = command.pop() if command[-2] in {"--write-state", "--incremental"} else None
if state and command.pop() == "--incremental":
    shutil.copy(state, findings)
else:
    subprocess.run([sys.executable, *command], check=True)
    if state:
        shutil.copy(findings, state)
"""
"""Remembers what it found, and says it again."""


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_every_round_begins_with_the_same_state(kind: str) -> None:
    seen: list[str] = []

    def note(place: Workplace) -> Findings:
        seen.append(place.findings.read_text())
        return {}

    spoiler = replace(
        PEERS["floor-raw"], argv=lambda place: [sys.executable, "-S", "-c", SPOILER, kind, str(place.findings)], findings=note
    )
    Measuring([spoiler], SEED, lambda _: None).sweep(10, 2)
    assert seen == ["", "as it was", "", "as it was"]


SPOILER = """
import pathlib, sys
kind, findings, *(option, state) = (*sys.argv[1:], "", "")[:4]
state = pathlib.Path(state)
inside = state / "inside" if kind == "directory" else state
if option == "--write-state":
    inside.parent.mkdir(exist_ok=True)
    inside.write_text("as it was")
pathlib.Path(findings).write_text(inside.read_text() if option == "--incremental" else "")
if option == "--incremental":
    inside.write_text("spoilt")
"""


def test_what_fails_is_told_and_counts_as_wrong() -> None:
    broken = replace(PEERS["naive"], argv=lambda _: [sys.executable, "-c", "import sys; sys.exit('no such registry')"])
    run = sweep(broken)["naive", Scenario.FULL]
    assert run.failure == "exit code 1: no such registry"
    assert run.right == 0


def test_what_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenarios, "LONGEST", 0.3)
    stuck = replace(PEERS["naive"], argv=lambda _: [sys.executable, "-c", "import time; time.sleep(60)"])
    run = sweep(stuck)["naive", Scenario.FULL]
    assert run.failure == "not done after 0.3 s"
    assert run.wall < 30


def test_each_round_begins_with_another_program() -> None:
    order: list[tuple[int, str]] = []
    quick = [
        replace(PEERS["naive"], name=name, argv=lambda _: [sys.executable, "-S", "-c", ""], findings=lambda _: {})
        for name in ("a", "b", "c")
    ]
    Measuring(quick, SEED, lambda run: order.append((run.round, run.program))).sweep(10, 3)
    assert order == [(0, "a"), (0, "b"), (0, "c"), (1, "b"), (1, "c"), (1, "a"), (2, "c"), (2, "a"), (2, "b")]


def test_cpu_and_memory_are_the_programs_own() -> None:
    def costs(code: str) -> Run:
        program = replace(PEERS["naive"], argv=lambda _: [sys.executable, "-S", "-c", code], findings=lambda _: {})
        return sweep(program)["naive", Scenario.FULL]

    idle = costs("import time; time.sleep(0.3)")
    busy = costs("import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass")
    large = costs("data = bytearray(100_000_000); data[::4096] = b'x' * len(data[::4096])")
    assert idle.cpu < 0.3
    assert busy.cpu >= 0.3
    assert idle.wall >= 0.3
    assert idle.peak_mb < 30
    assert 100 < large.peak_mb < 140


@pytest.mark.parametrize("service", list(TARGETS))
def test_the_floor_signs_as_botocore_does(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
    body, noon = b'{"maxResults": 1000}', 1793620800.0
    head = Signer("api.example.com").head(service, "DescribeImages", body, noon).decode()
    line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    headers = dict(each.split(":", 1) for each in lines)
    assert line == "POST / HTTP/1.1"
    assert headers["content-length"] == str(len(body))
    signed = {name: headers[name] for name in ("content-type", "host", "x-amz-date", "x-amz-target")}
    request = AWSRequest("POST", "https://api.example.com/", dict(signed), body)
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG"), service, rules.REGION)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert headers["x-amz-date"] == "20261102T120000Z"
    assert headers["authorization"].endswith(f"Signature={signer.signature(text, request)}")


def test_custodians_findings_are_one_file_for_each_policy(tmp_path: Path) -> None:
    written = {"mutable": ["b", "a"], "created-long-ago": ["a", "b", "c"], "images-in-use": ["b", "b", "d"]}
    for policy, names in written.items():
        (tmp_path / policy).mkdir()
        (tmp_path / policy / "resources.json").write_text(json.dumps([{"repositoryName": name} for name in names]))
    assert custodian_findings(Workplace(tmp_path, tmp_path)) == {"mutable": ["a", "b"], "unused": ["a", "c"]}


def test_custodians_policies_say_what_the_rules_say() -> None:
    text = (Path(scenarios.__file__).parent / "peers" / "custodian.yaml").read_text()
    names = [line.removeprefix("  - name: ") for line in text.splitlines() if line.startswith("  - name: ")]
    assert set(names) - {"created-long-ago", "images-in-use"} == set(rules.RULES) - {rules.UNUSED}
    assert rules.NAME_PATTERN in text
    for parameter in (*rules.TRUSTED_ACCOUNTS, *(f"tag:{tag}" for tag in rules.REQUIRED_TAGS)):
        assert f'"{parameter}"' in text


MISTAKES: list[tuple[Callable[[dict[str, list[str]]], object], tuple[str, ...]]] = [
    (lambda found: found, ()),
    (lambda found: found.pop("mutable"), ("mutable: not answered",)),
    (lambda found: found["mutable"].append("z"), ("mutable: 1 too many, 0 missing",)),
    (lambda found: found["name"].remove("c"), ("name: 0 too many, 1 missing",)),
    (lambda found: found.update(further=["a"]), ()),
]


@pytest.mark.parametrize(("spoil", "told"), MISTAKES)
def test_mistakes_are_told(spoil: Callable[[dict[str, list[str]]], object], told: tuple[str, ...]) -> None:
    truth = {"mutable": ["a", "b"], "name": ["c"]}
    found = {rule: list(names) for rule, names in truth.items()}
    spoil(found)
    assert scenarios.mistakes(found, truth) == told
