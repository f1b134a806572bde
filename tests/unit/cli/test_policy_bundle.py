"""`ecr-governor policy bundle`, and the files beside a policy file that every command reads."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.policy.validating import check
from ecr_governor.core.policy.load import load
from tests.commands import Ended, run
from tests.fakes import LIFECYCLE

Command = Callable[..., Ended]

PULL = {"Sid": "Pull", "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "ecr:BatchGetImage"}
POLICY = """\
# What we expect of everybody.
version: 1
namespaces:
  ROOT:
    lifecycle_policy: {file: documents/two weeks.json}   # as everywhere
    required_tags: {owner: {}}
  payments/: &p
    repository_policy: &r
      file:
        documents/pull.yaml
    lifecycle_policy: {rules: []}
  search: {repository_policy: *r}
  platform: {lifecycle_policy: {"file": 'documents/two weeks.json'}, repository_policy: &l {file: "documents/pull.yaml"}}
"""
VALID = POLICY.replace("    lifecycle_policy: {rules: []}\n", "")


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents/two weeks.json").write_text(json.dumps(LIFECYCLE, indent="\t"))
    (tmp_path / "documents/pull.yaml").write_text(f"Version: '2012-10-17'\nStatement:\n- {json.dumps(PULL)}\n")

    def ran(text: str, *arguments: str) -> Ended:
        (tmp_path / "policy.yaml").write_text(text)
        return run(capsys, monkeypatch, "policy", *arguments)

    return ran


def test_one_file_is_made_that_says_the_same_and_keeps_its_lines(command: Command, tmp_path: Path) -> None:
    ended = command(VALID, "bundle", "policy.yaml")
    before, after = VALID.splitlines(), ended.out.splitlines()

    lifecycle, statements = json.dumps(LIFECYCLE), json.dumps({"Version": "2012-10-17", "Statement": [PULL]})
    assert after[4] == f"    lifecycle_policy: {lifecycle}   # as everywhere"
    assert after[7:9] == ["    repository_policy: &r", f"      {statements}"]
    assert after[-1] == f"  platform: {{lifecycle_policy: {lifecycle}, repository_policy: &l {statements}}}"
    assert after[:4] + after[5:7] + after[9:10] == before[:4] + before[5:7] + before[10:11]
    assert ended.err == f"policy.yaml: 4 documents put in, policy hash {load(ended.out, 'one file').hash}\n"

    assert command(VALID, "bundle", "policy.yaml", "--into", "one.yaml").out == ""
    assert (tmp_path / "one.yaml").read_text() == ended.out
    assert command(VALID, "bundle", "policy.yaml", "--into", "documents/../policy.yaml").code == 2
    assert command(VALID, "bundle", "policy.yaml", "--into", "documents/pull.yaml").err.splitlines() == [
        "error: documents/pull.yaml is a document that the policy takes from there",
        "  why: it would be lost",
        "  do:  name another file with --into",
    ]
    assert (tmp_path / "policy.yaml").read_text() == VALID
    assert command(ended.out, "bundle", "policy.yaml").out == ended.out


def test_a_policy_that_is_not_valid_is_not_bundled(command: Command, tmp_path: Path) -> None:
    ended = command(POLICY, "bundle", "policy.yaml", "--into", "one.yaml")

    assert (ended.code, ended.out) == (2, "")
    assert "policy.yaml:11:31: namespaces.payments/.lifecycle_policy.rules: " in ended.err
    assert not (tmp_path / "one.yaml").exists()


def test_every_command_reads_the_files_and_says_which(command: Command) -> None:
    rows = {row["path"]: row for row in json.loads(command(VALID, "show", "policy.yaml", "--output", "json").out)["values"]}

    assert rows["namespaces.payments.repository_policy"]["source"] == "policy.yaml:8, documents/pull.yaml"
    assert rows["namespaces.search.lifecycle_policy"]["source"] == "ROOT, policy.yaml:5, documents/two weeks.json"
    assert rows["namespaces.search.lifecycle_policy"]["value"] == LIFECYCLE


def test_a_fault_in_a_file_is_marked_there(command: Command, tmp_path: Path) -> None:
    (tmp_path / "documents/pull.yaml").write_text("Version: '2012-10-17'\nStatment: []\n")
    told = command(VALID, "validate", "policy.yaml", "--output", "sarif")

    assert told.code == 2
    places = {
        (place["artifactLocation"]["uri"], place["region"]["startLine"])
        for result in json.loads(told.out)["runs"][0]["results"]
        for place in (each["physicalLocation"] for each in result["locations"])
    }
    assert places == {("documents/pull.yaml", 1), ("documents/pull.yaml", 2)}
    assert "file=documents/pull.yaml,line=2" in command(VALID, "validate", "policy.yaml", "--output", "github").out


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/etc/hostname", "'/etc/hostname' is no path of a file below this one's folder"),
        ("documents/../out.json", "'documents/../out.json' is no path of a file below this one's folder"),
        ("", "'' is no path of a file below this one's folder"),
        ("..", "'..' is no path of a file below this one's folder"),
        ("documents\\\\pull.yaml", "'documents\\\\pull.yaml' is no path of a file below this one's folder"),
        ("link.json", "'link.json' leads out of this file's folder"),
        ("linked/out.json", "'linked/out.json' leads out of this file's folder"),
        ("./policy.yaml", "'./policy.yaml' is the policy file itself, in a circle"),
        ("again.yaml", "'again.yaml' is the policy file itself, in a circle"),
        ("loop", "'loop' cannot be read: "),
        ("documents", "'documents' cannot be read: Is a directory"),
        ("pipe", "'pipe' is no file"),
        ("none.json", "'none.json' cannot be read: No such file or directory"),
        ("documents/here.json", ""),
    ],
)
def test_nothing_is_read_beyond_the_folder_of_the_policy_file(tmp_path: Path, path: str, told: str) -> None:
    folder = tmp_path / "policy"
    (folder / "documents").mkdir(parents=True)
    (tmp_path / "out.json").write_text(json.dumps(LIFECYCLE))
    (folder / "life.json").write_text(json.dumps(LIFECYCLE))
    for link, target in (
        ("link.json", "../out.json"), ("linked", ".."), ("again.yaml", "policy.yaml"), ("loop", "loop"), ("documents/here.json", "../life.json")
    ):  # fmt: skip
        (folder / link).symlink_to(target)
    os.mkfifo(folder / "pipe")
    (folder / "policy.yaml").write_text(f'version: 1\nnamespaces:\n  a:\n    lifecycle_policy: {{file: "{path}"}}\n')

    found = check(folder / "policy.yaml", datetime(2026, 11, 24, tzinfo=UTC)).remarks

    assert [(each.code, each.line, each.column) for each in found] == ([("file", 4, 30)] if told else [])
    assert all(each.what.startswith(told) for each in found)


def test_a_link_to_the_policy_file_leaves_its_own_folder_to_the_link(tmp_path: Path) -> None:
    (tmp_path / "life.json").write_text(json.dumps(LIFECYCLE))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "policy.yaml").write_text("version: 1\nnamespaces: {a: {lifecycle_policy: {file: life.json}}}\n")
    (tmp_path / "elsewhere/policy.yaml").symlink_to("../policy.yaml")
    now = datetime(2026, 11, 24, tzinfo=UTC)

    assert check(tmp_path / "policy.yaml", now).policy_hash
    assert [each.code for each in check(tmp_path / "elsewhere/policy.yaml", now).remarks] == ["file"]
