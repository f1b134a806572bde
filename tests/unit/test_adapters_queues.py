"""Dead letters keep the message and the reason within SQS's limits; a request for a look is an event like others."""

from typing import Any

import pytest

from ecr_governor.adapters.queues import BATCH, MESSAGE_LIMIT, REASON_LIMIT, DeadLetters, Looks, Presses, Releases
from ecr_governor.app.errors import Throttled
from ecr_governor.core.record import RELEASE_ASKED
from ecr_governor.events import parse, parse_refusal
from tests.fakes import ACCOUNT, HOUR, REGION, T0


class Sqs:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.failed: list[dict[str, Any]] = []

    def send_message(self, **message: Any) -> None:
        self.sent.append(message)

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto's names
        assert 1 <= len(Entries) <= BATCH
        assert len({entry["Id"] for entry in Entries}) == len(Entries)
        self.sent += Entries
        return {"Failed": self.failed}


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


def test_looks_are_asked_for_ten_at_a_time_and_a_message_that_is_not_taken_is_trouble() -> None:
    sqs = Sqs()
    looks = Looks(sqs, "https://queue", ACCOUNT, REGION)  # type: ignore[arg-type]
    names = [f"payments/service-{number}" for number in range(25)]
    looks.ask(names, T0)
    assert [happening.repository for message in sqs.sent if (happening := parse(message["MessageBody"], ACCOUNT, REGION))] == names
    sqs.failed = [{"Id": "0", "Code": "InternalError", "SenderFault": False}]
    with pytest.raises(Throttled, match="InternalError"):
        looks.ask(["payments/api"], T0)


def test_events_are_handed_on_as_they_came() -> None:
    sqs = Sqs()
    bodies = ['{"a": 1}', " not json "]
    Looks(sqs, "https://queue", ACCOUNT, REGION).pass_on(bodies)  # type: ignore[arg-type]
    assert [message["MessageBody"] for message in sqs.sent] == bodies


def test_a_wish_to_keep_is_an_event_that_says_who_and_until_when() -> None:
    sqs = Sqs()
    Releases(sqs, "https://queue", ACCOUNT, REGION).ask("payments/api", "slack:U1 (alice)", T0 + HOUR, T0)  # type: ignore[arg-type]
    (message,) = sqs.sent
    happening = parse_refusal(message["MessageBody"], ACCOUNT, REGION)
    assert happening is not None
    assert (happening.repository, happening.trigger.event, happening.trigger.actor) == ("payments/api", RELEASE_ASKED, "slack:U1 (alice)")
    assert (happening.at, happening.keep_until) == (T0, T0 + HOUR)


def test_a_press_is_put_as_it_is() -> None:
    sqs = Sqs()
    Presses(sqs, "https://queue").put("{}")  # type: ignore[arg-type]
    assert sqs.sent == [{"QueueUrl": "https://queue", "MessageBody": "{}"}]
