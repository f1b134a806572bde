"""SQS to Lambda."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from moto.sqs.exceptions import SQSException
from moto.sqs.models import Message, sqs_backends

from local.queues import store
from local.queues.mapping import IDLE_WAIT, EventSource, failed_items
from local.queues.records import sqs_record

MILLISECONDS = 1000
SHORTEST_WAIT = 0.005


class SqsPoller(EventSource):
    """Receives batches, invokes, deletes what succeeded; what failed becomes visible again after a short delay.

    After `maxReceiveCount` receives SQS itself moves a message to the dead-letter queue.
    """

    def read_once(self) -> bool:
        """Handle one batch of visible messages."""
        arn = self.config.source_arn
        _, _, _, region, account, name = arn.split(":")
        backend = sqs_backends[account][region]
        queue = backend.queues.get(name)
        if queue is None:
            return False
        now = time.time() * MILLISECONDS
        visible = store.due(queue, now)
        if not visible:
            return False
        self.gather(lambda: store.due(queue, time.time() * MILLISECONDS) >= self.config.batch_size)
        timeout: Any = queue.visibility_timeout  # type: ignore[attr-defined]
        messages = backend.receive_message(name, self.config.batch_size, 0, timeout, ["All"])
        if not messages:
            return store.due(queue, now) < visible  # moved to the dead-letter queue; else held back by a message group
        chosen = [message for message in messages if not self.config.filters or self.wanted(_filterable(message, arn))]
        self._delete(backend, name, [message for message in messages if message not in chosen])
        if not chosen:
            return True
        result = self.call([sqs_record(message, arn) for message in chosen])
        failed = failed_items(result, (message.id for message in chosen), partial=self.config.partial_failures)
        again = [message for message in chosen if failed is None or message.id in failed]
        self._delete(backend, name, [message for message in chosen if message not in again])
        self._show_again(name, account, region, again)
        return True

    @staticmethod
    def _delete(backend: Any, name: str, messages: list[Message]) -> None:
        for message in messages:
            try:
                backend.delete_message(name, message.receipt_handle)
            except SQSException:
                continue  # purged or deleted by somebody else meanwhile

    def _show_again(self, name: str, account: str, region: str, messages: list[Message]) -> None:
        handles = {message.receipt_handle for message in messages}
        visible_at = time.time() * MILLISECONDS + self.pace.retry_delay * MILLISECONDS
        with store.LOCK:
            queue = sqs_backends[account][region].queues.get(name)
            for message in queue._messages if queue else []:
                if message.receipt_handle in handles:
                    message.visible_at = visible_at

    def seconds_until_due(self) -> float:
        """When the next hidden or delayed message shows itself."""
        try:
            moment = store.next_due(store.queue_of(self.config.source_arn))
        except KeyError:
            return IDLE_WAIT
        if moment is None:
            return IDLE_WAIT
        return min(IDLE_WAIT, max(SHORTEST_WAIT, moment / MILLISECONDS - time.time() + 0.001))

    def pending(self) -> int:
        """Messages that will be received within two retry delays; those delayed for longer wait for the clock."""
        if not self.config.enabled:
            return 0
        try:
            queue = store.queue_of(self.config.source_arn)
        except KeyError:
            return 0
        return store.due(queue, time.time() * MILLISECONDS + 2 * self.pace.retry_delay * MILLISECONDS)

    def next_due(self) -> float | None:
        """The virtual time, in seconds, at which a message that is not pending becomes receivable."""
        try:
            moment = store.next_due(store.queue_of(self.config.source_arn))
        except KeyError:
            return None
        return None if moment is None else moment / MILLISECONDS


def _filterable(message: Message, arn: str) -> dict[str, Any]:
    # Filters see the body as JSON if it is JSON.
    record = sqs_record(message, arn)
    with contextlib.suppress(ValueError):
        record["body"] = json.loads(message.body)
    return record
