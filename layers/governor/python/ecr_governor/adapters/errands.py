"""The queue of errands, between who reads the ledger's stream and who tells the channels."""

import json
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from pydantic import TypeAdapter, ValidationError

from ecr_governor.adapters.aws import raise_translated
from ecr_governor.adapters.invalid import first_problem
from ecr_governor.adapters.queues import BATCH
from ecr_governor.app.errors import Rejected, Throttled
from ecr_governor.core.errand import Errand

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_ERRAND: Final = TypeAdapter(Errand)


class SqsErrands:
    """One queue. What is put there comes out at least once."""

    def __init__(self, client: "SQSClient", queue_url: str) -> None:
        self._sqs = client
        self._queue_url = queue_url

    def put(self, errands: Sequence[tuple[Errand, int]]) -> None:
        """Put errands there, each to come out after so many seconds, at most 900. Raises Throttled, Denied."""
        left = iter(errands)
        while batch := tuple(islice(left, BATCH)):
            entries: Any = [
                {"Id": str(number), "MessageBody": as_message(errand), "DelaySeconds": delay}
                for number, (errand, delay) in enumerate(batch)
            ]
            try:
                answer = self._sqs.send_message_batch(QueueUrl=self._queue_url, Entries=entries)
            except ClientError as error:
                raise_translated(error, "sqs:SendMessage")
            if failed := answer.get("Failed"):
                raise Throttled(f"sqs:SendMessage: {failed[0].get('Code', 'not taken')}")


def as_message(errand: Errand) -> str:
    """Write an errand as the queue carries it."""
    return json.dumps({"channel": errand.channel.value, "repository": errand.repository, "number": errand.number})


def errand_of(text: str) -> Errand:
    """Read an errand from the queue. Raises Rejected."""
    try:
        return _ERRAND.validate_json(text)
    except ValidationError as error:
        raise Rejected(f"no errand: {first_problem(error)}") from error
