"""CloudTrail's event history: what happened within the last 90 days, and who created which repository."""

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
    from mypy_boto3_cloudtrail.literals import LookupAttributeKeyType

PAGE = 50
"""The most that LookupEvents gives at once (CloudTrail API reference)."""
SECONDS_A_CALL = 0.5
"""LookupEvents takes two calls a second in an account and Region (CloudTrail user guide, quotas)."""


ReadRecord = Callable[[Mapping[str, Any]], tuple[str, Creation] | None]
"""Reads a CloudTrail record; None if it is no creation of ours. Raises Rejected."""


class CloudTrailHistory:
    """Reads the event history. It is complete without a trail, and free."""

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
        for page in self.pages("EventName", "CreateRepository", since, until):
            yield [found for text in page if (found := self._creation(text))]

    def pages(self, attribute: "LookupAttributeKeyType", value: str, since: datetime, until: datetime) -> Iterator[Sequence[str]]:
        """Read records, each as the text of its JSON, newest first, page by page; ends are included. Raises Throttled, Denied."""
        cloudtrail = self._make_client()
        token: dict[str, Any] = {}
        while True:
            begun = self._clock()
            self._calls += 1
            try:
                answer = cloudtrail.lookup_events(
                    LookupAttributes=[{"AttributeKey": attribute, "AttributeValue": value}],
                    StartTime=since,
                    EndTime=until,
                    MaxResults=PAGE,
                    **token,
                )
            except ClientError as error:
                raise_translated(error, "cloudtrail:LookupEvents")
            yield [event.get("CloudTrailEvent", "") for event in answer.get("Events", ())]
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
