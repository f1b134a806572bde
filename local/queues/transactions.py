"""DynamoDB transactions on moto's store: all or nothing, in the stream too.

moto copies every table that a transaction names, whole, and on a failed condition puts the copies in their place: a
transaction costs as much as its table is large, and a stream's reader may already have seen changes that are then taken
back. Here the items concerned are remembered, and changes reach the stream when the transaction has succeeded.
"""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

from moto.dynamodb import models
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import StreamRecord, StreamShard, Table

if TYPE_CHECKING:
    from collections.abc import Callable

_state = threading.local()


class _Copying:
    """Stands for the module `copy` in moto's DynamoDB: within a transaction a table is its own copy."""

    @staticmethod
    def deepcopy(value: Any) -> Any:
        if isinstance(value, Table) and getattr(_state, "changes", None) is not None:
            return value
        return copy.deepcopy(value)

    def __getattr__(self, name: str) -> Any:
        return getattr(copy, name)


def install(announce: Callable[[], None]) -> None:
    """Replace moto's transactions and its way to the stream; `announce` is called when a stream has grown."""
    perform = DynamoDBBackend.transact_write_items

    def add(shard: StreamShard, old: Any, new: Any) -> None:
        specification: Any = shard.table.stream_specification
        event = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        record = StreamRecord(shard.table, specification["StreamViewType"], event, old, new, 0)
        changes = getattr(_state, "changes", None)
        if changes is None:
            _append(shard, record)
            announce()
        else:
            changes.append((shard, record))

    def transact_write_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        before = [_remember(backend, operation) for item in transact_items for operation in item.values()]
        changes: list[tuple[StreamShard, StreamRecord]] = []
        _state.changes = changes
        try:
            perform(backend, transact_items)
        except BaseException:
            for restore in before:
                restore()
            raise
        finally:
            _state.changes = None
        for shard, record in changes:
            _append(shard, record)
        announce()

    replaceable: Any = models
    replaceable.copy = _Copying()
    replaceable = DynamoDBBackend
    replaceable.transact_write_items = transact_write_items
    replaceable = StreamShard
    replaceable.add = add


def _append(shard: StreamShard, record: StreamRecord) -> None:
    record.record["dynamodb"]["SequenceNumber"] = str(len(shard.items) + shard.starting_sequence_number)
    shard.items.append(record)


def _remember(backend: DynamoDBBackend, operation: dict[str, Any]) -> Callable[[], None]:
    """What brings the item that an operation names back to how it is now."""
    table = backend.tables.get(str(operation.get("TableName")).rsplit("/", 1)[-1])
    key = operation.get("Key") or operation.get("Item") or {}
    if table is None or table.hash_key_attr not in key or (table.range_key_attr and table.range_key_attr not in key):
        return lambda: None
    items: Any = table.items
    place, last = items, DynamoType(key[table.hash_key_attr])
    if table.range_key_attr:
        place, last = items[last], DynamoType(key[table.range_key_attr])
    original = copy.deepcopy(place.get(last))

    def restore() -> None:
        if original is None:
            place.pop(last, None)
        else:
            place[last] = original

    return restore
