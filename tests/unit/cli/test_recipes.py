"""Every command of the recipes runs, and ends as a pipeline wants it."""

import json
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import time_machine

from ecr_governor.core.audit import AuditedRepository
from ecr_governor.core.facts_as_data import facts_as_data
from ecr_governor.rendering.json_lines import as_json, repository_as_data
from tests.commands import run
from tests.fakes import ACCOUNT, REGION, a_repository

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "recipes.md"
VARIABLES = {"$REPOSITORY": "payments/api"}


def commands() -> Iterator[list[str]]:
    for block in re.findall(r"^```\w+\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for line in re.findall(r"(?<![\w/.])ecr-governor ([a-z].*)$", block, re.MULTILINE):
            if "[cli]" not in line:
                # Shell around it and quotes of Groovy are not ours.
                yield shlex.split(line.partition(" || ")[0].partition("' }")[0])


OF_A_REGISTRY = (["audit"], ["templates", "sync"], ["templates", "diff"])
OURS = [command for command in commands() if not any(command[: len(words)] == words for words in OF_A_REGISTRY)]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("policy.yaml", "policy.cases.yaml"):
        (tmp_path / name).write_text((ROOT / "docs" / "examples" / name).read_text())
    (tmp_path / "main.yaml").write_text("version: 1\npreset: recommended\n")
    repository = a_repository("payments/api")
    judged = AuditedRepository("payments/api", "unknown", "ann", (), {}, 0, 0, None, None, unused=False)
    line = {"account": ACCOUNT, "region": REGION, **repository_as_data(judged), "facts": facts_as_data(repository)}
    summary = {"summary": {"account": ACCOUNT, "region": REGION, "policy_hash": "", "complete": True}}
    (tmp_path / "inventory.jsonl").write_text(f"{as_json(line)}\n{as_json(summary)}\n")
    return tmp_path


@pytest.mark.parametrize("command", OURS, ids=" ".join)
def test_a_command_of_the_recipes_runs(
    command: list[str], workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [VARIABLES.get(word, word) for word in command]
    target = words[words.index(">") + 1] if ">" in words else None
    with time_machine.travel(datetime(2026, 11, 24, tzinfo=UTC), tick=False):
        ended = run(capsys, monkeypatch, *(words[: words.index(">")] if target else words))

    assert ended.code == 0, ended.err
    if target == "junit.xml":
        assert ET.fromstring(ended.out).get("failures") == "0"  # noqa: S314 - our own
    if target == "policy.sarif":
        assert json.loads(ended.out)["version"] == "2.1.0"


def test_the_recipes_show_each_command_on_each_of_the_three() -> None:
    text = PAGE.read_text()
    for heading in ("GitHub Actions", "GitLab CI", "Jenkins"):
        section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        for command in ("policy validate", "policy test", "policy diff", "check-name"):
            assert f"ecr-governor {command} " in section, (heading, command)
    assert len(OURS) >= 14
