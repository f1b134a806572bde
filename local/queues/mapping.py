"""What every event source mapping has in common: its settings, its thread, and how answers are read."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.lambdas.sandbox import InvokeResult
from local.queues import store

if TYPE_CHECKING:
    from local.activity import Activity
    from local.events.pattern import CompiledPattern

LOG = logging.getLogger(__name__)
Invoke = Callable[[str, Any], InvokeResult]
IDLE_WAIT = 30.0
"""Seconds after which a waiting mapping looks without being woken."""


@dataclass(frozen=True)
class MappingConfig:
    """An `AWS::Lambda::EventSourceMapping`."""

    function: str
    source_arn: str
    batch_size: int
    window: float = 0
    partial_failures: bool = False
    filters: tuple[CompiledPattern, ...] = ()
    enabled: bool = True
    starting_position: str = "LATEST"
    max_retries: int = -1
    max_age: int = -1
    bisect: bool = False
    on_failure: str | None = None


@dataclass(frozen=True)
class Pace:
    """How local time differs from AWS's, so that tests and demos need not wait.

    A failed batch is tried again after `retry_delay` seconds instead of when its visibility time-out (or a stream's
    back-off) is over; batching windows are cut to `window_limit` seconds.
    """

    retry_delay: float = 1.0
    window_limit: float = 0.05


class EventSource:
    """A thread that reads a source and invokes a function."""

    def __init__(self, config: MappingConfig, invoke: Invoke, activity: Activity, pace: Pace) -> None:
        self.config = config
        self.pace = pace
        self._invoke = invoke
        self._activity = activity
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._forget = store.on_arrival(self._wake.set)
        self._thread = threading.Thread(target=self._run, name=f"poll-{config.function}", daemon=True)

    @property
    def name(self) -> str:
        """The function's name, which may be given by its ARN."""
        return self.config.function.rsplit(":", 1)[-1]

    def start(self) -> None:
        """Begin to read, unless the mapping is disabled."""
        if self.config.enabled:
            self._thread.start()

    def stop(self) -> None:
        """Stop reading; a batch under way is finished by nobody."""
        self._stopping.set()
        self._wake.set()
        self._forget()

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            progressed = False
            try:
                with self._activity.work(self.name):
                    progressed = self.read_once()
            except Exception:
                if not self._stopping.is_set():
                    LOG.exception("%s cannot read %s", self.config.function, self.config.source_arn)
                self._stopping.wait(self.pace.retry_delay)
            if not progressed:
                self._wake.wait(self.seconds_until_due())

    def read_once(self) -> bool:
        """Handle one batch; False if there was none."""
        raise NotImplementedError

    def seconds_until_due(self) -> float:
        """How long nothing can happen unless something arrives."""
        return IDLE_WAIT

    def pending(self) -> int:
        """What is still to be read before the mapping is at rest."""
        raise NotImplementedError

    def gather(self, ready: Callable[[], bool]) -> None:
        """Wait for the batch to fill, at most for the (shortened) window."""
        if self.config.window and not ready():
            self._stopping.wait(min(self.config.window, self.pace.window_limit))

    def call(self, records: list[dict[str, Any]]) -> InvokeResult:
        """Invoke the function on a batch."""
        return self._invoke(self.config.function, {"Records": records})

    def wanted(self, record: Mapping[str, Any]) -> bool:
        """Whether a record passes the mapping's filters."""
        return not self.config.filters or any(one.matches(record) for one in self.config.filters)


def failed_items(result: InvokeResult, known: Iterable[str], *, partial: bool) -> set[str] | None:
    """The identifiers that the function reported as failed; None if the whole batch failed.

    The whole batch fails on an error, on an answer that is not JSON of the expected shape, and on an identifier that is
    empty, null or unknown. An empty or null answer or list means success.
    docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    if result.error is not None:
        return None
    if not partial:
        return set()
    try:
        answer = json.loads(result.payload or b"null")
    except ValueError:
        return None
    if answer is None or answer == "":
        return set()
    if not isinstance(answer, dict):
        return None
    items = answer.get("batchItemFailures")
    if not items:
        return set()
    if not isinstance(items, list):
        return None
    names = [item.get("itemIdentifier") if isinstance(item, dict) else None for item in items]
    allowed = set(known)
    if any(not isinstance(name, str) or name not in allowed for name in names):
        return None
    return {str(name) for name in names}
