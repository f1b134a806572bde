"""`ecr-governor local up`: what was asked for is checked, then the embedded AWS runs in the foreground."""

import json
import signal
import socket
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from cli import control
from cli.policy.bundling import text_of as bundled
from cli.policy.files import OPTION, chosen, say_chosen
from cli.trouble import Trouble

MAX_PORT = 65535
RECORDS = ("service_linked_role", "caller", "custom_role")


def up(policy_path: Path | None, start_time: datetime | None, port: int, mode: str, create_on_push_record: str, *, channels: bool) -> None:
    """Run in the foreground until stopped. Prints one line of JSON when ready."""
    if mode not in {"audit", "enforce"}:
        raise Trouble(f"there is no mode {mode}", "the deployment's Mode is audit or enforce", "--mode audit|enforce")
    if create_on_push_record not in RECORDS:
        raise Trouble(
            f"there is no record form {create_on_push_record}", f"known: {', '.join(RECORDS)}", f"--create-on-push-record {RECORDS[0]}"
        )
    _check_port(port)
    policy = bundled(path, OPTION).encode() if (path := chosen(policy_path)) else None
    say_chosen(policy_path)
    from cli import embedded  # noqa: PLC0415 - moto is heavy, and what was asked for wrongly is told before

    if start_time is not None and start_time.tzinfo is None:
        start_time = start_time.replace(tzinfo=UTC)
    signalled = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: signalled.set())
    with embedded.running(
        policy=policy, start_time=start_time, port=port, mode=mode, create_on_push_record=create_on_push_record, channels=channels
    ) as aws:
        where = embedded.ready(aws)
        control.remember(where)
        sys.stdout.write(json.dumps(where) + "\n")
        sys.stdout.flush()
        sys.stderr.write(
            f"export AWS_ENDPOINT_URL={aws.endpoint} AWS_DEFAULT_REGION={embedded.REGION}\nStop with Ctrl+C or: ecr-governor local down\n"
        )
        while not (signalled.wait(0.2) or aws.stopped.is_set()):
            pass
        control.forget()


def _check_port(port: int) -> None:
    if not 0 <= port <= MAX_PORT:
        raise Trouble(f"{port} is no port", f"a port is a number up to {MAX_PORT}", "--port 0 takes a free one")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Trouble(f"port {port} is not to be had", error.strerror or str(error), "--port 0 takes a free one") from error
