"""One execution environment: a process under the Lambda runtime, its log lines and its end."""

from __future__ import annotations

import array
import fcntl
import os
import queue
import select
import socket
import termios
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.lambdas.runtime_api import Answer, Exit, Invocation, RuntimeApi, error_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from local.lambdas.processes import Processes

INIT_LIMIT = 60.0
"""Seconds that a process may take to be ready. AWS gives 10 and then starts again inside the invocation; a busy
machine must not fail for that."""
CLOCK_LIMIT = 10.0
READ_SIZE = 65536


@dataclass(frozen=True)
class Program:
    """What a sandbox runs: everything that is the same for each of a function's processes."""

    handler: str
    task_root: Path
    layers: tuple[Path, ...]
    runtime: Path
    function_arn: str
    timeout: float


@dataclass(frozen=True)
class InvokeResult:
    """What an invocation came to: the payload, the kind of error if it failed, and what it logged."""

    payload: bytes
    error: str | None
    logs: tuple[str, ...]
    request_id: str = ""


class _Process:
    """The running process."""

    def __init__(
        self,
        program: Program,
        environment: Mapping[str, str],
        offset: float,
        api: RuntimeApi,
        log: Callable[[str], None],
        processes: Processes,
    ) -> None:
        self.session = api.new_session()
        self.offset = offset
        self.access_key_id = environment.get("AWS_ACCESS_KEY_ID", "")
        self._log = log
        self._partial = b""
        self._reading = threading.Lock()
        self._lifeline, child = socket.socketpair()
        self._lifeline.settimeout(CLOCK_LIMIT)
        with child:
            self._running = processes.begin(
                program.task_root,
                {
                    **environment,
                    "AWS_LAMBDA_RUNTIME_API": api.address,
                    "_SANDBOX_CLOCK_OFFSET": repr(offset),
                },
                child,
            )
        self._output = self._running.output
        threading.Thread(target=self._follow, name="sandbox-output", daemon=True).start()

    def _follow(self) -> None:
        while True:
            select.select([self._output], [], [])
            with self._reading:
                if self._pending_bytes():
                    self._read()
                elif self._at_end():  # readable without a byte; else the drain was quicker
                    break
        code = self._running.wait()
        with self._reading:
            os.close(self._output)
            self._output = -1
        self.session.outbox.put(Exit(code))
        self.session.initialised.set()

    def _at_end(self) -> bool:
        readable, _, _ = select.select([self._output], [], [], 0)
        return bool(readable) and not self._pending_bytes()

    def _pending_bytes(self) -> int:
        size = array.array("i", [0])
        fcntl.ioctl(self._output, termios.FIONREAD, size)
        return size[0]

    def _read(self) -> None:
        *lines, self._partial = (self._partial + os.read(self._output, READ_SIZE)).split(b"\n")
        for line in lines:
            self._log(line.decode(errors="replace"))

    def drain(self) -> None:
        """Take in all that was written until now, so that an invocation's lines are complete when it ends."""
        with self._reading:
            # A closed pipe has nothing left.
            while self._output >= 0 and self._pending_bytes():
                self._read()

    def tell_time(self, offset: float) -> None:
        """Move the process's clock and wait until it says so."""
        if abs(offset - self.offset) > 0.001:  # noqa: PLR2004 -- a millisecond is no jump
            with suppress(OSError):
                self._lifeline.sendall(f"{offset!r}\n".encode())
                self._lifeline.recv(16)
            self.offset = offset

    @property
    def alive(self) -> bool:
        return self._running.poll() is None

    def strike(self) -> None:
        """Kill it in the midst of its work; whoever waits for its answer hears of its end."""
        self._running.kill()
        self._running.wait()

    def kill(self) -> None:
        """End it now, as the platform does: no clean-up code runs."""
        self._running.kill()
        self._running.wait()
        self._lifeline.close()


class Sandbox:
    """Runs a function's invocations one after the other, starting its process when there is none."""

    def __init__(
        self,
        program: Program,
        environment: Callable[[], Mapping[str, str]],
        offset: Callable[[], float],
        log: Callable[[str], None],
        processes: Processes,
    ) -> None:
        self._program = program
        self._environment = environment
        self._offset = offset
        self._log = log
        self._processes = processes
        self._api = RuntimeApi()
        self._process: _Process | None = None
        self._lock = threading.Lock()
        self._stale = False
        self._closed = False
        self.cold_starts = 0

    def invoke(self, payload: bytes, lines: list[str]) -> InvokeResult:
        """Run one event to its end. `lines` is the list that the log callback fills meanwhile."""
        request_id = str(uuid.uuid4())
        with self._lock:
            document, error = self._run(request_id, payload)
        return InvokeResult(document, error, tuple(lines), request_id)

    def _run(self, request_id: str, payload: bytes) -> tuple[bytes, str | None]:
        if self._closed:
            return error_document("Sandbox.Closed", "the embedded AWS was stopped"), "Unhandled"
        process = self._process
        if process is not None and (self._stale or not process.alive):
            self._discard()
            process = None
        if process is None:
            process = self._start()
            if not process.session.initialised.wait(INIT_LIMIT):
                self._discard()
                return error_document("Sandbox.Timedout", f"RequestId: {request_id} Error: Init timed out"), "Unhandled"
            if process.session.init_error is not None:
                document = process.session.init_error
                process.session.outbox.get(timeout=CLOCK_LIMIT)  # its exit, so that its output is complete
                self._discard()
                return document, "Unhandled"
        process.tell_time(self._offset())
        deadline = int((time.time() + self._program.timeout) * 1000)
        process.session.inbox.put(Invocation(request_id, payload, deadline, self._program.function_arn))
        try:
            answer = process.session.outbox.get(timeout=self._program.timeout)
        except queue.Empty:
            process.drain()
            self._discard()
            message = f"RequestId: {request_id} Error: Task timed out after {self._program.timeout:.2f} seconds"
            self._log(message)
            return error_document("Sandbox.Timedout", message), "Unhandled"
        if isinstance(answer, Exit):
            self._discard()
            return error_document("Runtime.ExitError", f"RequestId: {request_id} Error: {_reason(answer.code)}"), "Unhandled"
        process.drain()
        return _verdict(answer)

    def _start(self) -> _Process:
        self.cold_starts += 1
        self._stale = False
        self._process = _Process(self._program, self._environment(), self._offset(), self._api, self._log, self._processes)
        return self._process

    def _discard(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None

    def recycle(self) -> None:
        """Let the next invocation start a fresh process."""
        self._stale = True

    def runs_with(self, access_key_id: str) -> bool:
        """Whether its process has these credentials; each process has its own."""
        process = self._process
        return process is not None and process.access_key_id == access_key_id

    def strike(self) -> None:
        """Kill the process in the midst of an invocation, which then fails."""
        process = self._process
        if process is not None:
            process.strike()

    def close(self) -> None:
        """Kill the process, whatever it is doing."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()
        self._api.close()


def _verdict(answer: Answer) -> tuple[bytes, str | None]:
    return answer.payload, "Unhandled" if answer.failed else None


def _reason(code: int) -> str:
    if code == 0:
        return "Runtime exited without providing a reason"
    if code < 0:
        return f"Runtime exited with error: signal: {'killed' if code == -9 else -code}"  # noqa: PLR2004 -- SIGKILL
    return f"Runtime exited with error: exit status {code}"
