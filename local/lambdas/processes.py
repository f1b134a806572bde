"""How a sandbox's process begins and ends: started anew, or split off from one that has loaded what functions of the same layers need."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

LAUNCHER = Path(__file__).with_name("launcher.py")
ZYGOTE = Path(__file__).with_name("zygote_process.py")
PYTHON = (sys.executable, "-S", "-s", "-P")
MESSAGE = 64
LOOK_AGAIN = 0.05
"""Seconds."""
CAN_SPLIT = sys.platform == "linux"
"""Elsewhere the system's own libraries may not be used in a process that was split off and is not begun anew."""


class Process(Protocol):
    """A process that runs a function."""

    @property
    def output(self) -> int:
        """What it writes, as a descriptor to read from."""

    def poll(self) -> int | None:
        """Give its exit code, negative for a signal; None as long as it runs."""

    def wait(self) -> int:
        """Wait for its end and give the exit code."""

    def kill(self) -> None:
        """End it now; if it has ended, nothing happens."""


class Processes(Protocol):
    """Begins processes."""

    def begin(self, folder: Path, environment: Mapping[str, str], lifeline: socket.socket) -> Process:
        """Begin one in a folder, with nothing but this environment and its end of a lifeline."""

    def close(self) -> None:
        """Let nothing remain that was begun for others to begin from."""


class Fresh:
    """Begins each process anew, as Lambda does."""

    def begin(self, folder: Path, environment: Mapping[str, str], lifeline: socket.socket) -> Process:
        """Begin one, which loads everything itself."""
        return _Fresh(folder, environment, lifeline)

    def close(self) -> None:
        """Nothing remains."""


class _Fresh:
    def __init__(self, folder: Path, environment: Mapping[str, str], lifeline: socket.socket) -> None:
        self._popen = subprocess.Popen(
            [*PYTHON, str(LAUNCHER)],
            cwd=folder,
            env={**environment, "_SANDBOX_LIFELINE_FD": str(lifeline.fileno())},
            pass_fds=[lifeline.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if self._popen.stdout is None:
            raise AssertionError("the pipe was asked for")
        self.output = os.dup(self._popen.stdout.fileno())
        self._popen.stdout.close()
        self.poll, self.wait, self.kill = self._popen.poll, self._popen.wait, self._popen.kill


class Zygotes:
    """Splits processes off; one zygote for each set of layers. What it has loaded, no function need load again."""

    def __init__(self) -> None:
        self._zygotes: dict[tuple[str, ...], tuple[subprocess.Popen[bytes], socket.socket]] = {}
        self._lock = threading.Lock()

    def begin(self, folder: Path, environment: Mapping[str, str], lifeline: socket.socket) -> Process:
        """Begin one as a copy of the zygote of these layers. Raises OSError if that has died."""
        paths = tuple(path for path in environment["PYTHONPATH"].split(":") if path != str(folder))
        ours, status = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        output, writes = os.pipe()
        try:
            request = json.dumps({"folder": str(folder), "environment": dict(environment)}).encode()
            socket.send_fds(self._zygote(paths, environment), [request], [status.fileno(), writes, lifeline.fileno()])
        finally:
            status.close()
            os.close(writes)
        return _SplitOff(ours, output)

    def _zygote(self, paths: tuple[str, ...], environment: Mapping[str, str]) -> socket.socket:
        with self._lock:
            known = self._zygotes.get(paths)
            if known is None or known[0].poll() is not None:
                ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                alike = {key: environment[key] for key in ("LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "TZ") if key in environment}
                with its:
                    zygote = subprocess.Popen(
                        [*PYTHON, str(ZYGOTE), str(its.fileno())],
                        env={**alike, "PYTHONPATH": ":".join(paths)},
                        pass_fds=[its.fileno()],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                    )
                self._zygotes[paths] = zygote, ours
            return self._zygotes[paths][1]

    def close(self) -> None:
        """End the zygotes; what was split off goes on."""
        with self._lock:
            for zygote, control in self._zygotes.values():
                control.close()
                zygote.wait()
            self._zygotes.clear()


def _is_readable(connection: socket.socket, seconds: float) -> bool:
    """Wait so long for something to be read. `select` takes no descriptor above a thousand."""
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    return bool(waiting.poll(1000 * seconds))


class _SplitOff:
    def __init__(self, status: socket.socket, output: int) -> None:
        self._status = status
        self._lock = threading.Lock()
        self._code: int | None = None
        self.output = output
        if not (number := status.recv(MESSAGE)):
            status.close()
            os.close(output)
            raise OSError("no process was split off")
        self._number = int(number)

    def poll(self) -> int | None:
        with self._lock:
            if self._code is None and _is_readable(self._status, 0):
                # A keeper that was killed tells no code: then its child is the system's to wait for.
                self._code = int(self._status.recv(MESSAGE) or -signal.SIGKILL)
                self._status.close()
            return self._code

    def wait(self) -> int:
        while (code := self.poll()) is None:
            # Somebody else may hear of its end meanwhile and close the socket, which does not end this wait.
            with suppress(ValueError, OSError):
                _is_readable(self._status, LOOK_AGAIN)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            # Its keeper lets nobody else have the number before the status is closed, which only `poll` does.
            with self._lock:
                if self._code is None:
                    os.kill(self._number, signal.SIGKILL)
