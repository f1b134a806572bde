"""Event shapes that Lambda hands to functions (docs.aws.amazon.com/lambda/latest/dg/with-sqs.html, with-ddb.html)."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moto.dynamodb.models.table import StreamRecord
    from moto.sqs.models import Message


def sqs_record(message: Message, queue_arn: str) -> dict[str, Any]:
    """One SQS message."""
    attributes = {
        "ApproximateReceiveCount": str(message.approximate_receive_count),
        "SentTimestamp": str(message.sent_timestamp),
        "SenderId": message.sender_id,
        "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
    }
    for name, value in (
        ("MessageGroupId", message.group_id),
        ("MessageDeduplicationId", message.deduplication_id),
        ("SequenceNumber", message.sequence_number),
    ):
        attributes |= {} if value is None else {name: value}
    for name, system in message.system_attributes.items():
        attributes[name] = system.get("StringValue", system.get("string_value", ""))
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {name: _attribute(value) for name, value in message.message_attributes.items()},
        "md5OfBody": message.body_md5,
        **({"md5OfMessageAttributes": message.attribute_md5} if message.message_attributes else {}),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    shape: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        shape["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        binary = value["BinaryValue"]
        shape["binaryValue"] = base64.b64encode(binary).decode() if isinstance(binary, bytes) else binary
    return shape


def stream_record(record: StreamRecord, stream_arn: str) -> dict[str, Any]:
    """One change of a table."""
    document = record.to_json()
    change = dict(document["dynamodb"])
    moment = change["ApproximateCreationDateTime"]
    # Lambda shows whole seconds since the epoch; moto holds a naive UTC datetime.
    change["ApproximateCreationDateTime"] = float(int(moment.replace(tzinfo=UTC).timestamp()))
    wire = {
        **document,
        "eventVersion": "1.1",
        "awsRegion": stream_arn.split(":")[3],
        "eventSourceARN": stream_arn,
        "dynamodb": change,
    }
    copy: dict[str, Any] = json.loads(json.dumps(wire, default=_binary))
    return copy


def _binary(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "to_json"):
        return value.to_json()
    return str(value)
