"""A DynamoDB stream to Lambda."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models import dynamodb_backends

from local.queues import store
from local.queues.mapping import EventSource, Invoke, MappingConfig, Pace, failed_items
from local.queues.records import stream_record

if TYPE_CHECKING:
    from moto.dynamodb.models.table import StreamShard

    from local.activity import Activity

Record = dict[str, Any]


class StreamReader(EventSource):
    """Reads a table's changes in order; a failing batch holds up the rest until it succeeds or is given up.

    `ParallelizationFactor` changes speed only, since order by item is kept; here there is one reader.
    """

    def __init__(self, config: MappingConfig, invoke: Invoke, activity: Activity, pace: Pace) -> None:
        super().__init__(config, invoke, activity, pace)
        self.position = len(self._shard().items) if config.starting_position == "LATEST" else 0

    def _shard(self) -> StreamShard:
        _, _, _, region, account, path = self.config.source_arn.split(":", 5)
        shard = dynamodb_backends[account][region].get_table(path.split("/")[1]).stream_shard
        if shard is None:
            raise LookupError(f"no stream: {self.config.source_arn}")
        return shard

    def pending(self) -> int:
        """Changes that were not yet handled."""
        return len(self._shard().items) - self.position if self.config.enabled else 0

    def read_once(self) -> bool:
        """Handle one batch of changes."""
        shard = self._shard()
        if len(shard.items) <= self.position:
            return False
        self.gather(lambda: len(shard.items) - self.position >= self.config.batch_size)
        items = shard.items[self.position : self.position + self.config.batch_size]
        records = [stream_record(item, self.config.source_arn) for item in items]
        self._handle([record for record in records if self.wanted(record)])
        if not self._stopping.is_set():
            self.position += len(items)
        return True

    def _handle(self, records: list[Record], attempt: int = 0) -> None:
        """Deliver until nothing is left: success, retries used up, or too old."""
        while records and not self._stopping.is_set():
            if self._too_old(records):
                self._give_up(records, "RecordAgeExceeded", attempt)
                return
            result = self.call(records)
            numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
            failed = failed_items(result, numbers, partial=self.config.partial_failures)
            if failed == set():
                return
            if failed:
                # All before the lowest failure are done; the rest comes again.
                first = min(numbers.index(number) for number in failed)
                records = records[first:]
                if first:
                    attempt = 0
            if self.config.bisect and len(records) > 1:
                # Splitting a batch does not use up a retry.
                middle = (len(records) + 1) // 2
                self._pause()
                self._handle(records[:middle], attempt)
                self._handle(records[middle:], attempt)
                return
            if 0 <= self.config.max_retries <= attempt:
                self._give_up(records, "RetryAttemptsExhausted", attempt + 1)
                return
            attempt += 1
            self._pause()

    def _pause(self) -> None:
        self._stopping.wait(self.pace.retry_delay)

    def _too_old(self, records: list[Record]) -> bool:
        oldest = records[0]["dynamodb"]["ApproximateCreationDateTime"]
        return self.config.max_age >= 0 and time.time() - oldest > self.config.max_age

    def _give_up(self, records: list[Record], condition: str, attempts: int) -> None:
        if self.config.on_failure is None:
            return
        first, last = records[0]["dynamodb"], records[-1]["dynamodb"]
        store.send(
            self.config.on_failure,
            _failure_document(
                condition,
                attempts,
                self.config,
                {
                    "shardId": self._shard().id,
                    "startSequenceNumber": first["SequenceNumber"],
                    "endSequenceNumber": last["SequenceNumber"],
                    "approximateArrivalOfFirstRecord": _iso(first["ApproximateCreationDateTime"]),
                    "approximateArrivalOfLastRecord": _iso(last["ApproximateCreationDateTime"]),
                    "batchSize": len(records),
                    "streamArn": self.config.source_arn,
                },
            ),
        )


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def _failure_document(condition: str, attempts: int, config: MappingConfig, batch: dict[str, Any]) -> str:

    # docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html: the batch is named, the records are not in it.
    return json.dumps(
        {
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": config.function,
                "condition": condition,
                "approximateInvokeCount": attempts,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0",
            "timestamp": _iso(time.time()),
            "DDBStreamBatchInfo": batch,
        }
    )
