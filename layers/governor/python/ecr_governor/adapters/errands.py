"""The queue of errands, between who reads the ledger's stream and who tells the channels."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter, ValidationError

from ecr_governor.adapters.invalid import first_problem
from ecr_governor.adapters.queues import send_all
from ecr_governor.app.errors import Rejected
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
        send_all(self._sqs, self._queue_url, ({"MessageBody": as_message(errand), "DelaySeconds": delay} for errand, delay in errands))


def as_message(errand: Errand) -> str:
    """Write an errand as the queue carries it."""
    return json.dumps({"channel": errand.channel.value, "repository": errand.repository, "number": errand.number})


def errand_of(text: str) -> Errand:
    """Read an errand from the queue. Raises Rejected."""
    try:
        return _ERRAND.validate_json(text)
    except ValidationError as error:
        raise Rejected(f"no errand: {first_problem(error)}") from error
