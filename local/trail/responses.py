"""CloudTrail's LookupEvents on moto's endpoint: the event history of the last 90 days.

docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html. AWS shows an event some minutes after the call; here
it is there at once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult

from local.ecr import faults
from local.ecr.errors import EcrError
from local.principals import access_key_of, identify
from local.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.trail.history import Entry
    from local.trail.trail import Trail

KEPT = timedelta(days=90)
MAX_PAGE = 50
REPOSITORY = "AWS::ECR::Repository"


def install(trail: Trail) -> Callable[[], None]:
    """Answer LookupEvents from this trail; returns what ends it."""

    def lookup_events(response: Any) -> ActionResult:
        try:
            faults.strike("LookupEvents", identify(access_key_of(response.headers)), service="cloudtrail")
        except EcrError as error:
            raise JsonRESTError(error.code, error.message) from None
        return ActionResult(lookup(trail, json.loads(response.body or "{}"), datetime.now(UTC)))

    return replace(CloudTrailResponse, {"lookup_events": lookup_events})


def lookup(trail: Trail, asked: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Answer one call. Raises JsonRESTError with the code that CloudTrail gives."""
    attributes = asked.get("LookupAttributes") or []
    if len(attributes) > 1 or any(one.get("AttributeKey") not in TESTS or not one.get("AttributeValue") for one in attributes):
        raise JsonRESTError("InvalidLookupAttributesException", "You can specify only one lookup attribute, with a valid key and a value.")
    size = asked.get("MaxResults", MAX_PAGE)
    if not isinstance(size, int) or not 1 <= size <= MAX_PAGE:
        raise JsonRESTError("InvalidMaxResultsException", f"The value for MaxResults must be between 1 and {MAX_PAGE}.")
    if asked.get("EventCategory"):
        raise JsonRESTError("InvalidEventCategoryException", "The embedded AWS has no Insights events.")
    # UNCONFIRMED: that a start before the 90 days is no error.
    start = max(_moment(asked.get("StartTime"), now - KEPT), now - KEPT)
    end = _moment(asked.get("EndTime"), now)
    if _moment(asked.get("StartTime"), now - KEPT) > end:
        raise JsonRESTError("InvalidTimeRangeException", "The start time must be before the end time.")
    matches = TESTS[attributes[0]["AttributeKey"]](attributes[0]["AttributeValue"]) if attributes else lambda _: True
    question = _question(asked)
    found: list[Entry] = []
    for entry in trail.history.between(start, end, _place(asked.get("NextToken"), question)):
        if matches(entry):
            if len(found) == size:
                return {"Events": [_shown(one) for one in found], "NextToken": _token(found[-1], question)}
            found.append(entry)
    return {"Events": [_shown(one) for one in found]}


def _is_resource(value: str) -> Callable[[Entry], bool]:
    # UNCONFIRMED: whether the resource's name is the repository's ARN or its name; both find it here.
    return lambda entry: any(value in {arn, arn.partition(":repository/")[2]} for arn in entry.resources)


TESTS: dict[str, Callable[[str], Callable[[Entry], bool]]] = {
    "EventId": lambda value: lambda entry: entry.event_id == value,
    "EventName": lambda value: lambda entry: entry.name == value,
    "EventSource": lambda value: lambda entry: entry.source == value,
    "ReadOnly": lambda value: lambda entry: entry.read_only is (value.lower() == "true"),
    "Username": lambda value: lambda entry: entry.username == value,
    "AccessKeyId": lambda value: lambda entry: entry.access_key_id == value,
    "ResourceName": _is_resource,
    "ResourceType": lambda value: lambda entry: value == REPOSITORY and bool(entry.resources),
}


def _shown(entry: Entry) -> dict[str, Any]:
    record = entry.event()["detail"]
    shown = {
        "EventId": entry.event_id,
        "EventName": entry.name,
        "ReadOnly": str(entry.read_only).lower(),
        "AccessKeyId": entry.access_key_id,
        "EventTime": entry.moment,
        "EventSource": entry.source,
        "Username": entry.username,
        "Resources": [{"ResourceType": REPOSITORY, "ResourceName": arn} for arn in entry.resources],
        "CloudTrailEvent": json.dumps(record, separators=(",", ":"), ensure_ascii=False),
    }
    return {key: value for key, value in shown.items() if value != ""}


def _moment(value: Any, otherwise: datetime) -> datetime:
    if value is None:
        return otherwise
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return datetime.fromtimestamp(float(value), UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        raise JsonRESTError("InvalidTimeRangeException", f"The time {value!r} is not valid.") from None


def _question(asked: Mapping[str, Any]) -> str:
    """What a token is good for: everything that was asked but how much of it at once."""
    text = json.dumps({key: value for key, value in asked.items() if key not in {"NextToken", "MaxResults"}}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _token(last: Entry, question: str) -> str:
    return base64.urlsafe_b64encode(f"{question}:{last.at}:{last.number}".encode()).decode()


def _place(token: str | None, question: str) -> tuple[int, int] | None:
    if not token:
        return None
    try:
        asked, at, number = base64.b64decode(token, altchars=b"-_", validate=True).decode().split(":")
        place = int(at), int(number)
    except (binascii.Error, ValueError):
        asked, place = "", (0, 0)
    if asked != question:
        raise JsonRESTError("InvalidNextTokenException", "The token is not valid, or belongs to a call with other parameters.")
    return place
