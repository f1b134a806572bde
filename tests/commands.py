"""The command line, run within the test's own process."""

import sys
from dataclasses import dataclass

import pytest

from cli.main import main


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Ended:
    """Run `ecr-governor` with these arguments."""
    monkeypatch.setattr(sys, "argv", ["ecr-governor", *arguments])
    capsys.readouterr()
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    written = capsys.readouterr()
    return Ended(code, written.out, written.err)
