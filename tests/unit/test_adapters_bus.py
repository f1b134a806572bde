"""Events for other programs: in batches of ten, and none of them silently lost."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ecr_governor.adapters.bus import ENTRIES_PER_CALL, SOURCE, EventBridgeBus
from ecr_governor.app.errors import Undeliverable


class Events:
    """Takes all entries, but those whose number is refused."""

    def __init__(self, *refused: int, trouble: Exception | None = None) -> None:
        self.refused = refused
        self.trouble = trouble
        self.calls: list[Sequence[dict[str, Any]]] = []

    def put_events(self, Entries: Sequence[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - AWS's parameter
        if self.trouble:
            raise self.trouble
        self.calls.append(Entries)
        answers = [
            {"ErrorCode": "ThrottlingException"} if json.loads(entry["Detail"])["n"] in self.refused else {"EventId": "e"}
            for entry in Entries
        ]
        return {"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers}


def events(number: int) -> list[tuple[str, dict[str, int]]]:
    return [("Finding Opened", {"n": n}) for n in range(number)]


def test_events_go_to_the_named_bus_in_order_ten_at_a_time() -> None:
    client = Events()
    EventBridgeBus(client, "default").put(events(23))  # type: ignore[arg-type]  # a stand-in
    assert [len(call) for call in client.calls] == [ENTRIES_PER_CALL, ENTRIES_PER_CALL, 3]
    sent = [entry for call in client.calls for entry in call]
    assert [json.loads(entry["Detail"])["n"] for entry in sent] == list(range(23))
    assert {(entry["Source"], entry["EventBusName"], entry["DetailType"]) for entry in sent} == {(SOURCE, "default", "Finding Opened")}


def test_no_events_cost_no_call() -> None:
    client = Events()
    EventBridgeBus(client, "default").put([])  # type: ignore[arg-type]
    assert client.calls == []


def test_one_refused_entry_makes_the_events_undeliverable() -> None:
    with pytest.raises(Undeliverable, match=r"^events:PutEvents: ThrottlingException$"):
        EventBridgeBus(Events(3), "default").put(events(5))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "trouble",
    [
        ClientError({"Error": {"Code": "InternalFailure", "Message": ""}}, "PutEvents"),
        EndpointConnectionError(endpoint_url="https://events"),
    ],
)
def test_a_bus_that_cannot_be_reached_is_undeliverable(trouble: Exception) -> None:
    with pytest.raises(Undeliverable):
        EventBridgeBus(Events(trouble=trouble), "default").put(events(1))  # type: ignore[arg-type]
