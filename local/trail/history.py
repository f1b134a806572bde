"""What the trail remembers: every event in order, packed, so that hundreds of thousands of records take little memory."""

from __future__ import annotations

import itertools
import json
import threading
import zlib
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from sys import intern
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 250_000
"""Events kept; the oldest go first."""
RECORDED = {"AWS API Call via CloudTrail", "AWS Service Event via CloudTrail"}
# Records are alike: what they have in common is not packed again for each.
_COMMON = json.dumps(
    {
        "version": "0",
        "id": "00000000-0000-4000-8000-000000000000",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ecr",
        "account": "123456789012",
        "time": "2026-01-01T00:00:00Z",
        "region": "eu-west-1",
        "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "AssumedRole",
                "principalId": "AROA:session",
                "arn": "arn:aws:sts::123456789012:assumed-role/",
                "accountId": "123456789012",
                "accessKeyId": "ASIA",
                "sessionContext": {
                    "sessionIssuer": {"type": "Role", "principalId": "AROA", "arn": "arn:aws:iam::123456789012:role/", "userName": ""},
                    "attributes": {"creationDate": "2026-01-01T00:00:00Z", "mfaAuthenticated": "false"},
                },
                "invokedBy": "ecr.amazonaws.com",
            },
            "eventTime": "2026-01-01T00:00:00Z",
            "eventSource": "ecr.amazonaws.com",
            "eventName": "DescribeRepositories",
            "awsRegion": "eu-west-1",
            "sourceIPAddress": "127.0.0.1",
            "userAgent": "Boto3/1.43 md/Botocore#1.43 ua/2.1 os/linux md/arch#x86_64 lang/python#3 cfg/retry-mode#standard",
            "errorCode": "",
            "errorMessage": "",
            "requestParameters": {"registryId": "123456789012", "repositoryName": ""},
            "responseElements": None,
            "requestID": "00000000-0000-4000-8000-000000000000",
            "eventID": "00000000-0000-4000-8000-000000000000",
            "readOnly": True,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": "123456789012",
            "eventCategory": "Management",
            "resources": [{"ARN": "arn:aws:ecr:eu-west-1:123456789012:repository/", "accountId": "123456789012"}],
        },
    }
).encode()


class Entry:
    """One event: what it can be looked up by, and itself, packed."""

    __slots__ = ("_packed", "access_key_id", "at", "event_id", "name", "number", "read_only", "resources", "source", "username")

    def __init__(self, number: int, event: Mapping[str, Any]) -> None:
        record: Mapping[str, Any] = event["detail"]
        self.number = number
        self.at = int(datetime.fromisoformat(record.get("eventTime") or event["time"]).timestamp())
        # Events that are no records of CloudTrail's have no name, and are not looked up.
        self.name = intern(record["eventName"]) if event["detail-type"] in RECORDED else ""
        self.source = intern(record.get("eventSource", ""))
        identity = record.get("userIdentity") or {}
        self.username = intern(_username(identity))
        self.access_key_id = intern(identity.get("accessKeyId") or "")
        self.read_only = record.get("readOnly") is True
        self.event_id = str(record.get("eventID", ""))
        self.resources = tuple(intern(one["ARN"]) for one in record.get("resources") or () if "ARN" in one)
        packer = zlib.compressobj(1, zdict=_COMMON)
        self._packed = packer.compress(json.dumps(event).encode()) + packer.flush()

    @property
    def moment(self) -> datetime:
        """When it happened, in whole seconds."""
        return datetime.fromtimestamp(self.at, UTC)

    def event(self) -> dict[str, Any]:
        """The event as it was published."""
        unpacker = zlib.decompressobj(zdict=_COMMON)
        found: dict[str, Any] = json.loads(unpacker.decompress(self._packed) + unpacker.flush())
        return found


def _username(identity: Mapping[str, Any]) -> str:
    """A user's name or a session's; a service has none."""
    if identity.get("type") == "AssumedRole":
        return str(identity.get("arn", "")).rpartition("/")[2]
    return str(identity.get("userName") or "")


class History(Sequence[dict[str, Any]]):
    """The events that the trail heard of, in the order in which it did; each is unpacked when it is looked at."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._numbers = itertools.count()
        self._by_time: list[Entry] | None = None

    def append(self, event: Mapping[str, Any]) -> None:
        """Remember an event."""
        self.extend([event])

    def extend(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Remember events, in any order of time."""
        entries = [Entry(next(self._numbers), event) for event in events]
        with self._lock:
            full = len(self._entries) + len(entries) > (self._entries.maxlen or 0)
            self._entries.extend(entries)
            ordered = self._by_time
            for entry in entries:
                # What is the newest, as nearly always, keeps the order; anything else has it made anew when it is asked for.
                if full or ordered is None or (ordered and _place(ordered[-1]) > _place(entry)):
                    ordered = None
                elif entry.name:
                    ordered.append(entry)
            self._by_time = ordered

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._by_time = None

    def between(self, start: datetime, end: datetime, before: tuple[int, int] | None = None) -> Iterator[Entry]:
        """CloudTrail's records of a span of time, ends included, newest first; `before` leaves out those from that place on."""
        with self._lock:
            if self._by_time is None:
                self._by_time = sorted((entry for entry in self._entries if entry.name), key=_place)
            entries = self._by_time
        low = bisect_left(entries, start.timestamp(), key=lambda entry: entry.at)
        high = bisect_right(entries, end.timestamp(), key=lambda entry: entry.at)
        if before is not None:
            high = min(high, bisect_left(entries, before, key=_place))
        return (entries[position] for position in range(high - 1, low - 1, -1))

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        with self._lock:
            if isinstance(index, int):
                return self._entries[index].event()
            chosen = list(self._entries)[index]
        return [entry.event() for entry in chosen]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._lock:
            entries = list(self._entries)
        return (entry.event() for entry in entries)

    def __reversed__(self) -> Iterator[dict[str, Any]]:
        with self._lock:
            entries = list(self._entries)
        return (entry.event() for entry in reversed(entries))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


def _place(entry: Entry) -> tuple[int, int]:
    return entry.at, entry.number
