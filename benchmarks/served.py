"""The server of `benchmarks.server` as a process of its own, and its controls."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]


class Served:
    """A server with an account of `size` repositories made from `seed`; it ends with the `with` block, or with this process."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self._command = [sys.executable, "-m", "benchmarks.server", "--repositories", str(size), "--seed", str(seed), "--until-eof"]
        self._process: subprocess.Popen[str] | None = None
        self.endpoint = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
        if self._process.stdout is None:
            raise AssertionError("the pipe was asked for")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the server did not start")
        self.endpoint = json.loads(line)["endpoint"]
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            self._process.communicate()

    def ask(self, what: str, **wanted: Any) -> Any:
        """Use a control of the server."""
        body = json.dumps(wanted).encode()
        with urllib.request.urlopen(f"{self.endpoint}/yardstick/{what}", body, timeout=60) as answer:  # noqa: S310 - this machine
            return json.load(answer)
