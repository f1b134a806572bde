"""First code of a process that has loaded what many functions need, and splits off a new one for each sandbox.

Runs in the artefact's interpreter, so it may use the standard library only. It stays without threads, so that what it splits off begins
as a process of its own would.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

LARGEST = 1 << 20
"""Bytes of one request at the most; an environment may have 4 KB in AWS."""
LOADED_BEFORE = (
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "boto3",
    "botocore.client",
    "botocore.session",
    "ecr_governor.core.policy.model",
    "http.client",
    "pydantic",
    "simplejson",
    "time_machine",
    "urllib3",
)
"""What takes time to load and neither looks at the environment nor begins anything while it is loaded."""


def serve(control: socket.socket) -> bool:
    """Split off a process for each request until the parent is gone. True within a new process, which is to become a sandbox."""
    for module in LOADED_BEFORE:
        # A layer may be left out: that is for the function to say.
        with suppress(ImportError):
            importlib.import_module(module)
    gc.collect()
    gc.freeze()
    # Whoever has no use for how its children end lets the system clear them away.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, LARGEST, 3)
        if not request:
            return False
        if os.fork():
            for each in descriptors:
                os.close(each)
            continue
        control.close()
        status, output, lifeline = descriptors
        _keep(socket.socket(fileno=status), output, lifeline)
        _become(json.loads(request), output, lifeline)
        return True


def _keep(status: socket.socket, output: int, lifeline: int) -> None:
    """Split off the process, tell its number, and then how it ended; return within it.

    It is waited for only when the other side has closed, so that its number is given to no other process meanwhile.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        status.close()
        return
    os.close(output)
    os.close(lifeline)
    with suppress(OSError):
        status.send(str(child).encode())
        ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        if ended is not None:
            status.send(str(ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status).encode())
        status.recv(1)
    os.waitpid(child, 0)
    os._exit(0)


def _become(request: dict[str, Any], output: int, lifeline: int) -> None:
    """Have the place, the environment and the outputs that were asked for, and nothing else of the zygote's."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, number in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, number)
    os.close(nothing)
    os.close(output)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update({**request["environment"], "_SANDBOX_LIFELINE_FD": str(lifeline)})
    sys.path.insert(0, request["folder"])


if __name__ == "__main__" and serve(socket.socket(fileno=int(sys.argv[1]))):
    runpy.run_path(os.path.join(os.path.dirname(__file__), "launcher.py"), run_name="__main__")  # noqa: PTH118, PTH120 -- pathlib takes time
