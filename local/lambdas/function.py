"""A deployed function: its configuration, environment, log lines and execution environments."""

from __future__ import annotations

import itertools
import queue
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.lambdas.runtime_api import error_document
from local.lambdas.sandbox import InvokeResult, Program, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from local.lambdas.processes import Processes

LOG_LINES = 20_000
"""Lines kept for each function."""


@dataclass(frozen=True)
class FunctionConfig:
    """What the template says of a function."""

    name: str
    arn: str
    handler: str
    code: Path
    role_arn: str
    layers: tuple[Path, ...] = ()
    timeout: float = 3
    memory: int = 128
    environment: Mapping[str, str] = field(default_factory=dict)
    log_group: str = ""
    log_format: str = "Text"
    reserved_concurrency: int | None = None
    max_retries: int = 2
    on_failure: str | None = None
    on_success: str | None = None
    dead_letter: str | None = None

    def __post_init__(self) -> None:
        if not self.log_group:
            object.__setattr__(self, "log_group", f"/aws/lambda/{self.name}")


@dataclass(frozen=True)
class Host:
    """What the functions need of the place that they run in."""

    runtime: Path
    endpoint: str
    region: str
    credentials: Callable[[FunctionConfig], Mapping[str, str]]
    clock_offset: Callable[[], float]


def environment_of(config: FunctionConfig, host: Host, instance: int) -> dict[str, str]:
    """The variables that Lambda defines, then the function's own, then credentials; nothing of this process's.

    docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    paths = [config.code, *(layer / "python" for layer in config.layers), host.runtime]
    return {
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": ":".join(map(str, paths)),
        # /var/task and /opt are read-only in AWS: bytecode that was not built in is not kept.
        "PYTHONDONTWRITEBYTECODE": "1",
        **config.environment,
        "_HANDLER": config.handler,
        "LAMBDA_TASK_ROOT": str(config.code),
        "LAMBDA_RUNTIME_DIR": str(host.runtime),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_NAME": config.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": config.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": f"[$LATEST]{instance:032x}",
        "AWS_LAMBDA_LOG_FORMAT": config.log_format.upper() if config.log_format == "JSON" else config.log_format,
        "AWS_REGION": host.region,
        "AWS_DEFAULT_REGION": host.region,
        "AWS_ENDPOINT_URL": host.endpoint,
        **host.credentials(config),
    }


class Function:
    """Invokes one function; each of its sandboxes runs one event at a time."""

    def __init__(self, config: FunctionConfig, host: Host, processes: Processes, concurrency: int = 1) -> None:
        self.config = config
        self.logs: deque[str] = deque(maxlen=LOG_LINES)
        self.invocations = 0
        self.errors = 0
        self._count = threading.Lock()
        self._idle: queue.LifoQueue[tuple[Sandbox, list[str]]] = queue.LifoQueue()
        self._sandboxes: list[Sandbox] = []
        numbers = itertools.count(1)
        program = Program(
            handler=config.handler,
            task_root=config.code,
            layers=config.layers,
            runtime=host.runtime,
            function_arn=config.arn,
            timeout=config.timeout,
        )
        for _ in range(concurrency):
            lines: list[str] = []
            sandbox = Sandbox(
                program, lambda: environment_of(config, host, next(numbers)), host.clock_offset, self._logger(lines), processes
            )
            self._sandboxes.append(sandbox)
            self._idle.put((sandbox, lines))

    def _logger(self, lines: list[str]) -> Callable[[str], None]:
        def log(line: str) -> None:
            lines.append(line)
            self.logs.append(line)

        return log

    @property
    def cold_starts(self) -> int:
        """How many processes were started."""
        return sum(sandbox.cold_starts for sandbox in self._sandboxes)

    def invoke(self, payload: bytes) -> InvokeResult:
        """Run the function on the payload, waiting for a free sandbox."""
        if self.config.reserved_concurrency == 0:
            return InvokeResult(error_document("TooManyRequestsException", "Rate Exceeded."), "Throttled", ())
        sandbox, lines = self._idle.get()
        try:
            lines.clear()
            result = sandbox.invoke(payload, lines)
        finally:
            self._idle.put((sandbox, lines))
        with self._count:
            self.invocations += 1
            self.errors += result.error is not None
        return result

    def recycle(self) -> None:
        """Let the next invocations start in fresh processes."""
        for sandbox in self._sandboxes:
            sandbox.recycle()

    def runs_with(self, access_key_id: str) -> bool:
        """Whether one of its processes has these credentials."""
        return any(sandbox.runs_with(access_key_id) for sandbox in self._sandboxes)

    def kill(self, access_key_id: str) -> None:
        """Kill the process that has these credentials, in the midst of its work."""
        for sandbox in self._sandboxes:
            if sandbox.runs_with(access_key_id):
                sandbox.strike()

    def close(self) -> None:
        """Kill every process."""
        for sandbox in self._sandboxes:
            sandbox.close()
