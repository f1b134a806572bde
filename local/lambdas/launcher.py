"""First code inside a sandbox process: ties it to its parent's life and clock, then becomes the Lambda runtime.

Runs in the artefact's interpreter with nothing but the artefact, its layers and the runtime directory on the path,
so it may use the standard library only; `time_machine` comes from the runtime directory and only once time is virtual.
"""

import os
import runpy
import socket
import sys
import threading
import time
from typing import Any

LIFELINE = "_SANDBOX_LIFELINE_FD"
OFFSET = "_SANDBOX_CLOCK_OFFSET"


class Clock:
    """Holds this process at the parent's virtual time."""

    def __init__(self) -> None:
        self.travel: Any = None

    def set(self, offset: float) -> None:
        """Be `offset` seconds ahead of the machine's time."""
        if self.travel is None and offset == 0:
            return
        import time_machine  # noqa: PLC0415 -- costs import time that a sandbox at real time need not pay

        if self.travel is not None:
            self.travel.stop()
        self.travel = time_machine.travel(time.time() + offset, tick=True)
        self.travel.start()


def watch(lifeline: socket.socket, clock: Clock) -> None:
    """Apply the offsets that the parent sends; end with the parent, however it ends."""
    try:
        with lifeline.makefile("r", encoding="ascii") as lines:
            for line in lines:
                clock.set(float(line))
                lifeline.sendall(b"ok\n")
    finally:
        os._exit(0)


def main() -> None:
    """Become the runtime."""
    clock = Clock()
    clock.set(float(os.environ.pop(OFFSET, "0")))
    lifeline = socket.socket(fileno=int(os.environ.pop(LIFELINE)))
    threading.Thread(target=watch, args=(lifeline, clock), daemon=True).start()
    sys.argv = ["awslambdaric", os.environ["_HANDLER"]]
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
