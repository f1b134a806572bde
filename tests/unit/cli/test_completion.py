"""What the shell offers when Tab is pressed: values that are known without asking AWS, and nothing where nothing can be read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ecr_governor.core.rules import RULES
from tests.commands import run

Offered = Callable[[str], list[str]]
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "policy.yaml"


@pytest.fixture
def offered(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Offered:
    monkeypatch.chdir(tmp_path)

    def complete(words: str) -> list[str]:
        monkeypatch.setenv("_ECR_GOVERNOR_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", f"ecr-governor {words}")
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
        return run(capsys, monkeypatch).out.split()

    return complete


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("policy validate --output ", ["text", "json", "sarif", "github"]),
        ("templates compile --output y", ["yaml"]),
        ("findings --state ", ["open", "resolved", "exempt", "all"]),
        ("exempt add x --rule ", [*RULES, "*"]),
        ("policy validate x --ignore exemption-ends", ["exemption-ends-soon"]),
        ("policy validate x --ignore unknown", []),
    ],
)
def test_values_of_an_option_are_offered(offered: Offered, words: str, told: list[str]) -> None:
    assert offered(words) == told


def test_names_and_globs_are_those_of_the_policy_file(offered: Offered, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(EXAMPLE.read_text())
    (tmp_path / "other.yaml").write_text("version: 1\nnamespaces: {ROOT: {}, team: {}}\n")

    assert offered("explain ") == ["payments/", "docker-hub/", "sandbox/", "search/", "platform/"]
    assert offered("check-name --policy other.yaml ") == ["team/"]
    assert offered("exempt expire ") == ["search/legacy_*"]


@pytest.mark.parametrize("text", [None, "version: 2", "\0"])
def test_a_policy_file_that_cannot_be_read_offers_nothing(offered: Offered, tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "policy.yaml").write_text(text)

    assert offered("check-name ") == []
    assert offered("exempt expire ") == []
