"""CloudTrail's event history: who created which repository within the last 90 days."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import raise_translated
from ecr_governor.app.errors import Rejected
from ecr_governor.core.origin import Creation

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient

PAGE = 50
"""The most that LookupEvents gives at once (CloudTrail API reference)."""
SECONDS_A_CALL = 0.5
"""LookupEvents takes two calls a second in an account and Region (CloudTrail user guide, quotas)."""


ReadRecord = Callable[[Mapping[str, Any]], tuple[str, Creation] | None]
"""Reads a CloudTrail record; None if it is no creation of ours. Raises Rejected."""


class CloudTrailHistory:
    """Reads `CreateRepository` from the event history. It is complete without a trail, and free."""

    def __init__(
        self,
        client: "Callable[[], CloudTrailClient]",
        read_record: ReadRecord,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._make_client = client
        self._read_record = read_record
        self._clock = clock
        self._sleep = sleep
        self._calls = 0

    @property
    def calls(self) -> int:
        """How many calls were made so far."""
        return self._calls

    def creations(self, since: datetime, until: datetime) -> Iterator[Sequence[tuple[str, Creation]]]:
        """List creations by repository name, newest first, page by page. Raises Throttled, Denied."""
        cloudtrail = self._make_client()
        token: dict[str, Any] = {}
        while True:
            begun = self._clock()
            self._calls += 1
            try:
                answer = cloudtrail.lookup_events(
                    LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateRepository"}],
                    StartTime=since,
                    EndTime=until,
                    MaxResults=PAGE,
                    **token,
                )
            except ClientError as error:
                raise_translated(error, "cloudtrail:LookupEvents")
            yield [found for event in answer.get("Events", ()) if (found := self._creation(event.get("CloudTrailEvent", "")))]
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}
            self._sleep(max(0.0, SECONDS_A_CALL - (self._clock() - begun)))

    def _creation(self, text: str) -> tuple[str, Creation] | None:
        # A record that tells of no repository of ours is no reason to give up the others.
        try:
            return self._read_record(json.loads(text))
        except (ValueError, Rejected):
            return None
