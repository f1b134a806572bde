"""Dead letters keep the message and the reason within SQS's limits; a request for a look is an event like others."""

from typing import Any

import pytest

from ecr_governor.adapters.queues import MESSAGE_LIMIT, REASON_LIMIT, DeadLetters, Looks
from ecr_governor.events import parse
from tests.fakes import ACCOUNT, REGION, T0


class Sqs:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send_message(self, **message: Any) -> None:
        self.sent.append(message)


def size(message: dict[str, Any]) -> int:
    attributes = message["MessageAttributes"].items()
    return len(message["MessageBody"].encode()) + sum(
        len(name) + len(value["DataType"]) + len(value["StringValue"].encode()) for name, value in attributes
    )


@pytest.mark.parametrize("body", ["{}", "", "ä" * MESSAGE_LIMIT, "x" * (MESSAGE_LIMIT + 1), "\U0001f4a5" * (MESSAGE_LIMIT // 4)])
def test_a_dead_letter_fits_with_its_reason(body: str) -> None:
    sqs = Sqs()
    DeadLetters(sqs, "https://queue").send(body, "why " + "ü" * 5000)  # type: ignore[arg-type]  # a stand-in
    (message,) = sqs.sent
    assert message["QueueUrl"] == "https://queue"
    assert message["MessageBody"]
    assert body.startswith(message["MessageBody"]) or message["MessageBody"] == "(empty)"
    assert len(message["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]) == REASON_LIMIT
    assert size(message) <= MESSAGE_LIMIT


def test_a_request_for_a_look_is_an_event_that_names_the_repository_and_tells_nothing() -> None:
    sqs = Sqs()
    looks = Looks(sqs, "https://queue", ACCOUNT, REGION)  # type: ignore[arg-type]
    looks.ask(["payments/api", "search/web"], T0)
    happenings = [parse(message["MessageBody"], ACCOUNT, REGION) for message in sqs.sent]
    assert [happening.repository for happening in happenings if happening] == ["payments/api", "search/web"]
    assert all(happening and happening.at == T0 and not happening.news.pushes for happening in happenings)


def test_events_are_handed_on_as_they_came() -> None:
    sqs = Sqs()
    bodies = ['{"a": 1}', " not json "]
    Looks(sqs, "https://queue", ACCOUNT, REGION).pass_on(bodies)  # type: ignore[arg-type]
    assert [message["MessageBody"] for message in sqs.sent] == bodies
