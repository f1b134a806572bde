"""CloudTrail's record of a call, by the user guide's "CloudTrail record contents" and ECR's "Logging using CloudTrail"."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.trail.calls import ApiCall

MAX_ELEMENT_BYTES = 100 * 1024
MAX_RECORD_BYTES = 256 * 1024
MAX_TEXT_BYTES = 1024


def iso(time: datetime) -> str:
    """Write a time as CloudTrail and EventBridge do: UTC, whole seconds."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def size(document: Any) -> int:
    """Return the bytes of a document as JSON."""
    return len(json.dumps(document, ensure_ascii=False).encode())


def cut(text: str) -> str:
    """Cut `userAgent`, `errorCode` and `errorMessage` to 1 KB."""
    return text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")


def mirrored(value: Any) -> Any:
    """Write an API document as CloudTrail shows it.

    Times are not ISO 8601 there: the documented sample of CreateRepository has `"createdAt":"Jul 11, 2018 10:17:44 PM"`.
    """
    if isinstance(value, datetime):
        utc = value.astimezone(UTC)
        return f"{utc:%b} {utc.day}, {utc.year} {int(utc.strftime('%I'))}:{utc:%M:%S %p}"
    if isinstance(value, dict):
        return {key: mirrored(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mirrored(item) for item in value]
    return value


def record_of(call: ApiCall) -> dict[str, Any]:
    """Write the record of one call."""
    record: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": call.principal.user_identity(invoked_by=call.invoked_by),
        "eventTime": iso(call.time),
        "eventSource": f"{call.service}.amazonaws.com",
        "eventName": call.operation,
        "awsRegion": call.region,
        "sourceIPAddress": call.source_ip,
        "userAgent": cut(call.user_agent),
    }
    if call.error_code is not None:
        record["errorCode"] = cut(call.error_code)
        record["errorMessage"] = cut(call.error_message or "")
    # Each of the two is left out, not cut, when it is larger than 100 KB.
    parameters = mirrored(call.parameters)
    if size(parameters) <= MAX_ELEMENT_BYTES:
        record["requestParameters"] = parameters
    # CloudTrail does not repeat what a read-only call returned.
    answer = None if call.error_code is not None or call.read_only else mirrored(call.response)
    if size(answer) <= MAX_ELEMENT_BYTES:
        record["responseElements"] = answer
    record |= {
        "requestID": str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": call.read_only,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": call.account,
        "eventCategory": "Management",
    }
    if call.resources:
        record["resources"] = [{"ARN": arn, "accountId": arn.split(":")[4]} for arn in call.resources]
    return record


def service_event(
    name: str,
    details: Mapping[str, Any],
    resources: Sequence[str],
    *,
    account: str,
    region: str,
    time: datetime,
    read_only: bool = True,
) -> dict[str, Any]:
    """Write the record of something ECR did by itself, such as `PolicyExecutionEvent`: `AwsServiceEvent`, no request, no response."""
    return {
        "eventVersion": "1.11",
        "userIdentity": {"accountId": account, "invokedBy": "AWS Internal"},
        "eventTime": iso(time),
        "eventSource": "ecr.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": "AWS Internal",
        "userAgent": "AWS Internal",
        "requestParameters": None,
        "responseElements": None,
        "eventID": str(uuid.uuid4()),
        "readOnly": read_only,
        "resources": [{"ARN": arn, "accountId": account, "type": "AWS::ECR::Repository"} for arn in resources],
        "eventType": "AwsServiceEvent",
        "managementEvent": True,
        "recipientAccountId": account,
        "serviceEventDetails": dict(details),
        "eventCategory": "Management",
    }


def envelope(
    detail_type: str,
    detail: Mapping[str, Any],
    *,
    source: str,
    account: str,
    region: str,
    time: datetime,
    resources: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the EventBridge event around a record or a native event."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": iso(time),
        "region": region,
        "resources": list(resources),
        "detail": dict(detail),
    }
