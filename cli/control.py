"""Talk to a running embedded AWS."""

import json
import os
import sys
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any

from cli.build import ROOT
from cli.trouble import Exit, Trouble

RUNNING = ROOT / ".build" / "running"
LONGEST_SPAN = 400 * 86400
WHOLE = 100


def remember(ready: dict[str, Any]) -> None:
    """Note where the embedded AWS of this process runs, for the other commands."""
    RUNNING.mkdir(parents=True, exist_ok=True)
    (RUNNING / f"{os.getpid()}.json").write_text(json.dumps(ready))


def forget() -> None:
    """Forget the embedded AWS of this process."""
    (RUNNING / f"{os.getpid()}.json").unlink(missing_ok=True)


def newest() -> str:
    """Give the endpoint of the embedded AWS that was started last and still runs. Raises Trouble if none does."""
    for note in sorted(RUNNING.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            os.kill(int(note.stem), 0)
        except OSError:
            note.unlink(missing_ok=True)
            continue
        return str(json.loads(note.read_text())["aws_endpoint"])
    raise Trouble(
        "no embedded AWS is running",
        "none was started from this checkout, or it has ended",
        "start it: ecr-governor local up",
        Exit.INCOMPLETE,
    )


def ask(path: str, body: dict[str, Any] | None = None, timeout: float = 30.0) -> dict[str, Any]:
    """Call the control API. Raises Trouble if no embedded AWS runs."""
    endpoint = newest()
    try:
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
        raise Trouble("the embedded AWS does not answer", str(error), "start it anew: ecr-governor local up", Exit.INCOMPLETE) from error


def settle(timeout: float) -> Exit:
    """Wait until everything is idle; print the counts."""
    counts = ask("settle", {"timeout": timeout}, timeout + 30)
    _print(counts)
    if counts.get("idle", True):
        return Exit.CLEAN
    busy = ", ".join(counts.get("busy", ()))
    raise Trouble(
        f"it is not idle after {timeout:g} seconds",
        f"still busy: {busy}" if busy else "nobody is busy just now: it became idle too late, or something comes again and again",
        f"wait longer: --timeout {2 * timeout:g}; what fails again and again is in the logs: GET /_local/logs on the AWS endpoint",
        Exit.INCOMPLETE,
    )


def advance(span: str) -> None:
    """Move the clock by a span such as `14d`."""
    seconds = {"m": 60, "h": 3600, "d": 86400}
    if not (span[:-1].isdecimal() and span[-1:] in seconds):
        raise Trouble(
            f"{span} is no time span", "a span is a number with m, h or d behind it", "for example: ecr-governor local advance 14d"
        )
    wanted = int(span[:-1]) * seconds[span[-1]]
    if wanted > LONGEST_SPAN:
        raise Trouble(f"{span} is too far", "every hour on the way has its schedules to fire", "advance by at most 400d at once")
    _print(ask("advance", {"seconds": wanted, "timeout": 540}, timeout=600))


def lose(share: str, seed: int) -> None:
    """Lose a share of events such as `30%` from now on; print what was lost so far."""
    number = share.removesuffix("%")
    if not (share.endswith("%") and number.isdecimal() and int(number) <= WHOLE):
        raise Trouble(f"{share} is no share", "a share is a whole number of percent", "for example: ecr-governor local lose 30%")
    _print(ask("lose", {"share": int(number) / WHOLE, "seed": seed}))


def status() -> None:
    """Print what runs and what happened."""
    _print(ask("status"))


def down() -> None:
    """Stop the embedded AWS."""
    _print(ask("shutdown", {}))


def _print(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, default=str) + "\n")
