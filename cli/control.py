"""Talk to a running embedded AWS."""

import json
import sys
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cli.build import ROOT
from cli.trouble import Exit, Trouble

STATE = ROOT / ".build" / "local-aws.json"


def remember(ready: dict[str, Any]) -> None:
    """Note where the embedded AWS runs, for the other commands."""
    STATE.parent.mkdir(parents=True, exist_ok=True)
    STATE.write_text(json.dumps(ready))


def forget(pid: int) -> None:
    """Forget the embedded AWS of this process."""
    if STATE.exists() and json.loads(STATE.read_text()).get("pid") == pid:
        STATE.unlink()


def ask(path: str, body: dict[str, Any] | None = None, timeout: float = 30.0) -> dict[str, Any]:
    """Call the control API. Raises Trouble if no embedded AWS runs."""
    try:
        endpoint = json.loads(Path(STATE).read_text())["aws_endpoint"]
        request = urllib.request.Request(  # noqa: S310 - an address on this machine that we wrote ourselves
            f"{endpoint}/_local/{path}",
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json"},
            method="POST" if body is not None else "GET",
        )
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - as above
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.BAD_REQUEST:
            raise Trouble(
                "the embedded AWS refused", error.read().decode(errors="replace")[:300], "see ecr-governor local --help"
            ) from error
        raise
    except (OSError, ValueError) as error:
        raise Trouble("no embedded AWS is running", str(error), "start it: ecr-governor local up", Exit.INCOMPLETE) from error


def settle(timeout: float) -> Exit:
    """Wait until everything is idle; print the counts."""
    counts = ask("settle", {"timeout": timeout}, timeout + 30)
    _print(counts)
    return Exit.CLEAN if counts.get("idle", True) else Exit.INCOMPLETE


def advance(span: str) -> None:
    """Move the clock by a span such as `14d`."""
    seconds = {"m": 60, "h": 3600, "d": 86400}
    if not (span[:-1].isdecimal() and span[-1:] in seconds):
        raise Trouble(
            f"{span} is no time span", "a span is a number with m, h or d behind it", "for example: ecr-governor local advance 14d"
        )
    _print(ask("advance", {"seconds": int(span[:-1]) * seconds[span[-1]], "timeout": 540}, timeout=600))


def status() -> None:
    """Print what runs and what happened."""
    _print(ask("status"))


def down() -> None:
    """Stop the embedded AWS."""
    _print(ask("shutdown", {}))


def _print(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, default=str) + "\n")
