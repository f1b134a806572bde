"""Which policy file counts where none is named: the one of the folder, for every command."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands import Ended, run

Command = Callable[..., Ended]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(capsys, monkeypatch, *arguments)


def may(ended: Ended) -> set[str]:
    return {action for statement in json.loads(ended.out)["Statement"] for action in statement["Action"]}


def test_what_can_do_without_a_policy_file_says_which_one_counts(command: Command, tmp_path: Path) -> None:
    bundled = command("audit", "--permissions")
    (tmp_path / "policy.yaml").write_text("version: 1\nrules: {unused: off}\nnamespaces: {ROOT: {lifecycle_policy: null}}\n")
    (tmp_path / "other.yaml").write_text("version: 1\nnamespaces: {ROOT: {image_tags: v*}}\n")
    here = command("audit", "--permissions")
    named = command("audit", "--permissions", "--policy", "other.yaml")

    assert bundled.err == "policy: the bundled one, as there is no policy.yaml here\n"
    assert (here.err, named.err) == ("policy: policy.yaml\n", "")
    assert "ecr:DescribeImages" in may(named) - may(here)
    assert may(here) < may(bundled)


@pytest.mark.parametrize("arguments", [("policy", "validate"), ("policy", "show"), ("policy", "bundle"), ("check-name", "a/b")])
def test_what_needs_a_policy_file_takes_the_one_of_the_folder(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert command(*arguments).err.startswith("error: policy.yaml cannot be read\n")
    (tmp_path / "policy.yaml").write_text("version: 1\n")
    assert command(*arguments).code == 0
