"""What strangers wrote is printed as text, whichever command prints it."""

import json
from typing import Any

import pytest

from cli import entries, ledger
from ecr_governor.core.press import PRESS
from ecr_governor.core.record import Entry

HOSTILE = "\x1b[31mred\x1b[0m \u202eknil\nverdict: all is well\r\x07"
COMMANDS = ("\x1b", "\u202e", "\r", "\x07")


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    out = capsys.readouterr().out
    assert "red" in out
    assert [sign for sign in COMMANDS if sign in out] == []
    assert "\nverdict" not in out
    return out


class Ledger:
    """One entry: somebody pressed, and gave a reason."""

    def entries(self, name: str) -> list[Entry]:
        by = {"id": "U0ALICE0001", "name": HOSTILE}
        body = {"at": "2026-11-02T09:14:00+00:00", "by": by, "action": "exempt", "result": "waits", "words": HOSTILE}
        return [Entry(name, 1, PRESS, body, "", "")]


class Deployment:
    def ledger(self) -> Ledger:
        return Ledger()


def test_the_entries_of_a_repository(capsys: pytest.CaptureFixture[str]) -> None:
    here: Any = Deployment()
    assert entries.show(here, "payments/api", "table") == 0
    assert "pressed exempt, waits" in printed(capsys)
    entries.show(here, "payments/api", "json")
    assert json.loads(capsys.readouterr().out)[0]["body"]["words"] == HOSTILE, "a program is told what was written"


def test_findings_and_what_they_are_exempt_for(capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "repository": "payments/api",
        "rule": "naming",
        "severity": "high",
        "state": "exempt",
        "reason": HOSTILE,
        "resolution": f"until 2027-01-01, {HOSTILE}",
        "opened_at": "2026-11-02T09:14:00+00:00",
        "resolved_at": None,
    }
    ledger._findings_table([row])
    assert "exempt until 2027-01-01" in printed(capsys)
