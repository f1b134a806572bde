"""SQS: the queue of what must be looked at, and the queues for messages that can never be decided."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import raise_translated
from ecr_governor.app.errors import Throttled
from ecr_governor.core.record import RELEASE_ASKED

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MESSAGE_LIMIT = 1_048_576
"""SQS's limit of a message's body and attributes together, in bytes."""
ROOM_FOR_ATTRIBUTES = 4096
REASON_LIMIT = 1000
BATCH = 10
"""Messages that SQS takes at once."""


class DeadLetters:
    """One dead-letter queue."""

    def __init__(self, client: "SQSClient", queue_url: str) -> None:
        self._sqs = client
        self._queue_url = queue_url

    def send(self, body: str, reason: str) -> None:
        """Put a message there, its reason in the attribute `ERROR_MESSAGE` as EventBridge does it. Raises Throttled, Denied."""
        printable = "".join(character if character.isprintable() else "?" for character in reason[:REASON_LIMIT])
        attributes: dict[str, Any] = {
            "ERROR_CODE": {"DataType": "String", "StringValue": "REJECTED"},
            "ERROR_MESSAGE": {"DataType": "String", "StringValue": printable or "no reason"},
        }
        kept = body.encode()[: MESSAGE_LIMIT - ROOM_FOR_ATTRIBUTES].decode("utf-8", "ignore") or "(empty)"
        try:
            self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=kept, MessageAttributes=attributes)
        except ClientError as error:
            raise_translated(error, "sqs:SendMessage")


class Presses:
    """The queue of presses of buttons that wait for their answer."""

    def __init__(self, client: "SQSClient", queue_url: str) -> None:
        self._sqs = client
        self._queue_url = queue_url

    def put(self, body: str) -> None:
        """Put one there. Raises Throttled, Denied."""
        try:
            self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=body)
        except ClientError as error:
            raise_translated(error, "sqs:SendMessage")


class Releases:
    """The queue where it is asked for that a repository be taken out of retirement."""

    def __init__(self, client: "SQSClient", queue_url: str, account: str, region: str) -> None:
        self._sqs = client
        self._queue_url = queue_url
        self._account = account
        self._region = region

    def ask(self, repository: str, by: str, keep_until: datetime, at: datetime) -> None:
        """Ask for a repository to be given back, and let alone until then. Raises Throttled, Denied."""
        event = {
            "version": "0",
            "source": "ecr-governor",
            "detail-type": RELEASE_ASKED,
            "account": self._account,
            "region": self._region,
            "time": at.isoformat(),
            "resources": [],
            "detail": {"repository-name": repository, "result": "SUCCESS", "by": by, "keep_until": keep_until.isoformat()},
        }
        try:
            self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=json.dumps(event))
        except ClientError as error:
            raise_translated(error, "sqs:SendMessage")


def send_all(sqs: "SQSClient", queue_url: str, messages: Iterable[Mapping[str, Any]]) -> None:
    """Put messages into a queue, as many at once as SQS takes. Raises Throttled, Denied."""
    left = iter(messages)
    while batch := tuple(islice(left, BATCH)):
        entries: Any = [{"Id": str(number), **message} for number, message in enumerate(batch)]
        try:
            answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        except ClientError as error:
            raise_translated(error, "sqs:SendMessage")
        if failed := answer.get("Failed"):
            raise Throttled(f"sqs:SendMessage: {failed[0].get('Code', 'not taken')}")


class Looks:
    """The queue behind which repositories are looked at."""

    def __init__(self, client: "SQSClient", queue_url: str, account: str, region: str) -> None:
        self._sqs = client
        self._queue_url = queue_url
        self._account = account
        self._region = region

    def pass_on(self, bodies: Iterable[str]) -> None:
        """Hand events on as they came."""
        for body in bodies:
            self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=body)

    def ask(self, repositories: Iterable[str], at: datetime) -> None:
        """Ask for a look at repositories to which nothing happened. Raises Throttled, Denied."""
        send_all(self._sqs, self._queue_url, ({"MessageBody": json.dumps(self._asking(name, at))} for name in repositories))

    def _asking(self, name: str, at: datetime) -> dict[str, Any]:
        return {
            "version": "0",
            "source": "ecr-governor",
            "detail-type": "Due Check",
            "account": self._account,
            "region": self._region,
            "time": at.isoformat(),
            "resources": [],
            "detail": {"repository-name": name, "result": "SUCCESS"},
        }
