"""Events for other programs, on EventBridge."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ecr_governor.adapters.aws import code_of
from ecr_governor.app.errors import Undeliverable

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "ecr-governor"
ENTRIES_PER_CALL = 10


class EventBridgeBus:
    """One event bus."""

    def __init__(self, client: "EventBridgeClient", bus: str) -> None:
        self._events = client
        self._bus = bus

    def put(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Put events, each a detail type and a detail. Raises Undeliverable if any of them was not taken."""
        entries: list[Any] = [
            {"Source": SOURCE, "DetailType": detail_type, "Detail": json.dumps(detail), "EventBusName": self._bus}
            for detail_type, detail in events
        ]
        for start in range(0, len(entries), ENTRIES_PER_CALL):
            try:
                answer = self._events.put_events(Entries=entries[start : start + ENTRIES_PER_CALL])
            except ClientError as error:
                raise Undeliverable(f"events:PutEvents: {code_of(error)}") from error
            except BotoCoreError as error:
                raise Undeliverable(f"events:PutEvents: {type(error).__name__}") from error
            if answer["FailedEntryCount"]:
                codes = {entry["ErrorCode"] for entry in answer["Entries"] if "ErrorCode" in entry}
                raise Undeliverable(f"events:PutEvents: {', '.join(sorted(codes))}")
