"""The functions of the account: synchronous and asynchronous invocation."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from local.lambdas.function import Function, FunctionConfig, Host
from local.lambdas.processes import CAN_SPLIT, Fresh, Zygotes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.activity import Activity
    from local.lambdas.processes import Processes
    from local.lambdas.sandbox import InvokeResult

ASYNC_WORKERS = 8


class FunctionNotFound(LookupError):
    """No function of that name is deployed."""


class Sender(Protocol):
    """Hands a document to a destination (queue, topic, bus, function)."""

    def __call__(self, arn: str, document: str, attributes: Mapping[str, str], /) -> None:
        """Send it."""


def name_of(name_or_arn: str) -> str:
    """The function's name in a name, a partial or a full ARN, with or without a qualifier."""
    parts = name_or_arn.split(":")
    return parts[parts.index("function") + 1] if "function" in parts else parts[0]


class Lambdas:
    """All deployed functions.

    An asynchronous invocation that fails is retried as in AWS (twice unless configured), but after `retry_delay`
    seconds instead of one and two minutes. With `fresh` each process loads everything itself, which takes half a second longer.
    """

    def __init__(self, activity: Activity, *, retry_delay: float = 0.5, concurrency: int = 1, fresh: bool = False) -> None:
        self._activity = activity
        self._retry_delay = retry_delay
        self._concurrency = concurrency
        self._processes: Processes = Zygotes() if CAN_SPLIT and not fresh else Fresh()
        self._functions: dict[str, Function] = {}
        self._workers = ThreadPoolExecutor(ASYNC_WORKERS, thread_name_prefix="lambda-async")
        self._stopping = threading.Event()
        self.send: Sender | None = None
        self.on_logged: Callable[[FunctionConfig], None] = lambda _: None

    def deploy(self, config: FunctionConfig, host: Host) -> Function:
        """Make a function invocable; one of the same name is replaced."""
        if existing := self._functions.get(config.name):
            existing.close()
        self._functions[config.name] = function = Function(config, host, self._processes, self._concurrency)
        return function

    def __iter__(self) -> Any:
        return iter(list(self._functions.values()))

    def get(self, name_or_arn: str) -> Function:
        """The function of that name or ARN."""
        try:
            return self._functions[name_of(name_or_arn)]
        except KeyError:
            raise FunctionNotFound(name_or_arn) from None

    def invoke(self, name_or_arn: str, payload: Any) -> InvokeResult:
        """Invoke and wait; the payload is JSON bytes or anything that JSON can say."""
        function = self.get(name_or_arn)
        with self._activity.work(function.config.name):
            result = function.invoke(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
            if result.logs:
                self.on_logged(function.config)
            return result

    def invoke_async(self, name_or_arn: str, payload: Any) -> None:
        """Queue an event: it is retried on errors, then goes to the failure destination or the dead-letter queue."""
        function = self.get(name_or_arn)
        self._activity.begin(function.config.name)
        self._workers.submit(self._run_async, function, payload)

    def _run_async(self, function: Function, payload: Any) -> None:
        try:
            config = function.config
            for attempt in range(config.max_retries + 1):
                if attempt and self._stopping.wait(self._retry_delay):
                    return
                result = self.invoke(config.name, payload)
                if result.error is None:
                    break
            self._report(config, payload, result, attempt + 1)
        finally:
            self._activity.end(function.config.name)

    def _report(self, config: FunctionConfig, payload: Any, result: InvokeResult, attempts: int) -> None:
        # docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
        if self.send is None:
            return
        destination = config.on_success if result.error is None else config.on_failure
        response = json.loads(result.payload or b"null")
        if destination:
            record = {
                "version": "1.0",
                "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "requestContext": {
                    "requestId": result.request_id,
                    "functionArn": f"{config.arn}:$LATEST",
                    "condition": "Success" if result.error is None else "RetriesExhausted",
                    "approximateInvokeCount": attempts,
                },
                "requestPayload": json.loads(payload) if isinstance(payload, bytes) else payload,
                "responseContext": {
                    "statusCode": 200,
                    "executedVersion": "$LATEST",
                    **({} if result.error is None else {"functionError": result.error}),
                },
                "responsePayload": response,
            }
            self.send(destination, json.dumps(record), {})
        if config.dead_letter and result.error is not None:
            document = payload.decode() if isinstance(payload, bytes) else json.dumps(payload)
            message = response.get("errorMessage", "") if isinstance(response, dict) else ""
            self.send(config.dead_letter, document, {"RequestID": result.request_id, "ErrorCode": "200", "ErrorMessage": message[:1024]})

    def recycle(self, name_or_arn: str | None = None) -> None:
        """Start one function's, or every function's, next invocation in a fresh process."""
        for function in [self.get(name_or_arn)] if name_or_arn else list(self):
            function.recycle()

    def close(self) -> None:
        """End every process; invocations under way fail."""
        self._stopping.set()
        threads = [threading.Thread(target=function.close) for function in self]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._processes.close()
        self._workers.shutdown(wait=False, cancel_futures=True)
