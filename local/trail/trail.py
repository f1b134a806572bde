"""The trail: takes calls, publishes events, remembers what it published."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from local.principals import own_account
from local.trail.history import LIMIT, History
from local.trail.losing import Losses
from local.trail.records import MAX_RECORD_BYTES, envelope, record_of, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from local.trail.calls import ApiCall

CreateOnPushRecord = Literal["service_linked_role", "caller", "custom_role"]
API_CALL = "AWS API Call via CloudTrail"


class Trail:
    """A logging trail whose events reach EventBridge's default bus.

    `create_on_push_record` chooses whom the record of a repository created on push names. No real record has been seen
    (UNCONFIRMED), so all three plausible identities can be made; `local.ecr` asks for the choice when it creates one.
    """

    def __init__(
        self,
        publish: Callable[[dict[str, Any]], None],
        *,
        create_on_push_record: CreateOnPushRecord = "service_linked_role",
        limit: int = LIMIT,
    ) -> None:
        self.create_on_push_record = create_on_push_record
        self.history = History(limit)
        self.losses = Losses()
        self._publish = publish
        self._writes: Counter[str] = Counter()
        self._lock = threading.Lock()

    def record(self, call: ApiCall) -> None:
        """Publish the event of a call; read-only calls too, for which the bus decides who sees them."""
        if call.service == "ecr" and call.succeeded and not call.read_only:
            self._count(call)
        event = _event_of(call)
        self.history.append(event)
        # A record above 256 KB is not sent to EventBridge.
        if size(event["detail"]) > MAX_RECORD_BYTES or (not call.read_only and self.losses.strikes(event["detail"])):
            return
        self._publish(event)

    def seed(self, calls: Iterable[ApiCall]) -> None:
        """Remember calls of the past without publishing or counting them; their times may be in any order."""
        self.history.extend(_event_of(call) for call in calls)

    def record_native(
        self,
        detail_type: str,
        detail: Mapping[str, Any],
        resources: Sequence[str],
        *,
        account: str | None = None,
        region: str = "eu-west-1",
        time: datetime | None = None,
    ) -> None:
        """Publish one of ECR's own events, or an "AWS Service Event via CloudTrail"."""
        event = envelope(
            detail_type,
            detail,
            source="aws.ecr",
            account=account or own_account(),
            region=region,
            time=time or datetime.now(UTC),
            resources=resources,
        )
        self.history.append(event)
        self._publish(event)

    def writes(self, repository: str | None = None) -> int:
        """Count the mutating ECR calls that succeeded, of one repository or of all."""
        with self._lock:
            return self._writes.total() if repository is None else self._writes[repository]

    def _count(self, call: ApiCall) -> None:
        arn = call.resources[0] if call.resources else ""
        with self._lock:
            self._writes[arn.partition(":repository/")[2]] += 1


def _event_of(call: ApiCall) -> dict[str, Any]:
    return envelope(API_CALL, record_of(call), source=f"aws.{call.service}", account=call.account, region=call.region, time=call.time)
