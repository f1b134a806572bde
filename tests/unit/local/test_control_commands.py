"""Commands that tell a running embedded AWS what to do."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import control
from cli.main import app
from cli.trouble import Trouble


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    calls: list[tuple[str, Any]] = []

    def ask(path: str, body: dict[str, Any] | None = None, timeout: float = 30.0) -> dict[str, Any]:
        calls.append((path, body))
        return {"lost": 0}

    monkeypatch.setattr(control, "ask", ask)
    return calls


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (["30%"], {"share": 0.3, "seed": 0}),
        (["0%"], {"share": 0.0, "seed": 0}),
        (["100%", "--seed", "7"], {"share": 1.0, "seed": 7}),
    ],
)
def test_a_share_of_events_is_lost(asked: list[tuple[str, Any]], arguments: list[str], body: dict[str, Any]) -> None:
    result = CliRunner().invoke(app, ["local", "lose", *arguments])
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"lost": 0})
    assert asked == [("lose", body)]


@pytest.mark.parametrize("share", ["30", "101%", "a few", "%", "3.5%", "-1%"])
def test_what_is_no_share_is_refused_with_an_example(asked: list[tuple[str, Any]], share: str) -> None:
    with pytest.raises(Trouble, match="is no share") as caught:
        control.lose(share, 0)
    assert caught.value.do == "for example: ecr-governor local lose 30%"
    assert asked == []


@pytest.mark.parametrize(
    ("busy", "why"),
    [
        (["NotifyFunction (1 in table/ledger)"], "still busy: NotifyFunction (1 in table/ledger)"),
        ([], "nobody is busy just now: it became idle too late, or something comes again and again"),
    ],
)
def test_who_is_still_busy_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], busy: list[str], why: str) -> None:
    monkeypatch.setattr(control, "ask", lambda *_: {"idle": False, "busy": busy})
    with pytest.raises(Trouble, match="it is not idle after 5 seconds") as caught:
        control.settle(5)
    assert (caught.value.why, caught.value.exit_code) == (why, 3)
    assert json.loads(capsys.readouterr().out) == {"idle": False, "busy": busy}
