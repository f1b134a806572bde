"""moto's SQS and DynamoDB stores, made safe for threads and able to say that something arrived.

moto rebuilds a queue's list on delete and walks it on receive without a lock, so a message that is sent meanwhile can
vanish. One lock for all queues is enough for a process. Its own Lambda mappings are cut off: they drop failed messages.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends

from local.queues import transactions

if TYPE_CHECKING:
    from collections.abc import Callable

LOCK = threading.RLock()
_listeners: list[Callable[[], None]] = []
_installed = False


def on_arrival(listener: Callable[[], None]) -> Callable[[], None]:
    """Call the listener after anything reached a queue or a stream; returns what takes it off again."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def announce() -> None:
    """Wake whoever waits for arrivals."""
    for listener in _listeners:
        listener()


class _Backend(SQSBackend):  # type: ignore[misc, unused-ignore]
    """Serialises what changes queues."""

    def receive_message(
        self,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> list[Message]:
        end = time.monotonic() + wait_seconds_timeout
        while True:
            with LOCK:
                received = super().receive_message(queue_name, count, 0, visibility_timeout, message_attribute_names)
            remaining = end - time.monotonic()
            if received or remaining <= 0:
                return received
            self.get_queue(queue_name).wait_for_messages(min(1, remaining))  # type: ignore[arg-type]


_Backend.__module__ = SQSBackend.__module__  # moto finds a service's URLs by its backend's module


def _locked(name: str) -> None:
    original = getattr(SQSBackend, name)

    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        with LOCK:
            return original(self, *arguments, **named)

    setattr(_Backend, name, method)


def _add_message(queue: Queue, message: Message) -> None:
    with LOCK:
        mappings, queue.lambda_event_source_mappings = queue.lambda_event_source_mappings, {}
        try:
            _original_add(queue, message)
        finally:
            queue.lambda_event_source_mappings = mappings
    announce()


_original_add = Queue.add_message


def install() -> None:
    """Replace moto's stores; must run before the first queue is made."""
    global _installed  # noqa: PLW0603 -- moto's registry is the process's, so is this
    if _installed:
        return
    _installed = True
    for name in (
        "send_message",
        "send_message_batch",
        "delete_message",
        "delete_message_batch",
        "change_message_visibility",
        "change_message_visibility_batch",
        "purge_queue",
        "get_queue_attributes",
    ):
        _locked(name)
    sqs_backends.backend = _Backend
    replaceable: Any = Queue
    replaceable.add_message = _add_message
    transactions.install(announce)


def queue_of(arn: str) -> Queue:
    """The queue of an ARN; KeyError if there is none."""
    _, _, _, region, account, name = arn.split(":")
    return sqs_backends[account][region].queues[name]


def send(arn: str, body: str, attributes: dict[str, str] | None = None) -> None:
    """Put a message in a queue, with string attributes."""
    _, _, _, region, account, name = arn.split(":")
    backend = sqs_backends[account][region]
    wire = {key: {"DataType": "String", "StringValue": value} for key, value in (attributes or {}).items()}
    backend.send_message(name, body, message_attributes=wire, group_id="local" if name.endswith(".fifo") else None)


def depth(queue: Queue) -> int:
    """All messages that the queue holds: visible, delayed and in flight."""
    return len(queue._messages)


def due(queue: Queue, horizon_ms: float) -> int:
    """Messages that are receivable now or will be by the horizon (virtual milliseconds), and those in flight until then."""
    return sum(1 for message in list(queue._messages) if max(message.visible_at, message.delayed_until) <= horizon_ms)


def next_due(queue: Queue) -> float | None:
    """The virtual time in milliseconds at which the first message that is not receivable becomes so."""
    times = [max(message.visible_at, message.delayed_until) for message in list(queue._messages)]
    return min(times, default=None)


def all_queues(account: str, region: str) -> dict[str, Queue]:
    """Every queue by its name."""
    return dict(sqs_backends[account][region].queues)
