"""A batch: one look for each repository, one failure fails its own messages only, what cannot be decided is a dead letter."""

import copy
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from ecr_governor.app.errors import Throttled
from ecr_governor.batches import Arrival, settle
from ecr_governor.core.origin import News, Origin
from ecr_governor.core.record import Trigger
from ecr_governor.events import Happening
from tests.fakes import ACCOUNT, REGION, T0

EVENTS = Path(__file__).parents[2] / "events"


def body(event: str, repository: str = "payments/api", *, event_id: str = "e1", seconds: int = 0, tag: str = "v1") -> str:
    """An event like a recorded one, of that repository and time."""
    document = copy.deepcopy(json.loads((EVENTS / f"{event}.json").read_text()))
    at = (T0 + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    document["time"] = at
    detail = document["detail"]
    if "repository-name" in detail:
        detail["repository-name"] = repository
    else:
        detail |= {"eventTime": at, "eventID": event_id, "resources": []}
        detail["requestParameters"]["repositoryName"] = repository
        if detail["eventName"] == "PutImage":
            detail["requestParameters"]["imageTag"] = tag
    return json.dumps(document)


def batch(*bodies: str) -> dict[str, Any]:
    return {"Records": [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]}


class DeadLetters:
    def __init__(self, trouble: Exception | None = None) -> None:
        self.sent: list[tuple[str, str]] = []
        self.trouble = trouble

    def send(self, body: str, reason: str) -> None:
        if self.trouble:
            raise self.trouble
        self.sent.append((body, reason))


class Taker:
    """Takes what arrives; those repositories fail whose names it is given."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.taken: list[Arrival] = []

    def __call__(self, arrival: Arrival) -> None:
        self.taken.append(arrival)
        if arrival.repository in self.failing:
            raise RuntimeError(arrival.repository)


def settled(event: dict[str, Any], take: Callable[[Arrival], object], dead_letters: DeadLetters | None = None) -> list[str]:
    answer = settle(event, take, dead_letters or DeadLetters(), ACCOUNT, REGION)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_the_same_event_five_times_is_taken_once() -> None:
    take = Taker()
    assert settled(batch(*[body("put-image")] * 5), take) == []
    (arrival,) = take.taken
    assert arrival.repository == "payments/api"
    assert len(arrival.bodies) == 5
    assert len(set(arrival.news.pushes)) == 1


def test_each_repository_is_taken_once_whatever_its_events() -> None:
    take = Taker()
    bodies = [
        body("create-repository", "payments/a"),
        body("put-image", "payments/b"),
        body("put-image", "payments/a"),
        body("due-check", "payments/b"),
    ]
    assert settled(batch(*bodies), take) == []
    by_name = {arrival.repository: arrival for arrival in take.taken}
    assert len(take.taken) == 2
    assert by_name["payments/a"].bodies == (bodies[0], bodies[2])
    assert by_name["payments/b"].bodies == (bodies[1], bodies[3])


def test_a_repository_that_fails_fails_its_own_messages_only() -> None:
    take = Taker("payments/b")
    names = ["payments/a", "payments/b", "payments/c", "payments/b"]
    assert settled(batch(*(body("put-image", name) for name in names)), take) == ["m1", "m3"]
    assert {arrival.repository for arrival in take.taken} == set(names)


def test_when_all_fail_all_come_again() -> None:
    names = [f"payments/service-{number}" for number in range(10)]
    assert sorted(settled(batch(*(body("put-image", name) for name in names)), Taker(*names))) == sorted(
        f"m{number}" for number in range(10)
    )


def test_an_empty_batch_is_settled() -> None:
    assert settled(batch(), Taker()) == []


def test_what_can_never_be_decided_is_a_dead_letter_with_the_reason_and_does_not_come_again() -> None:
    take, dead_letters = Taker(), DeadLetters()
    forged = (EVENTS / "forged-account.json").read_text()
    assert settled(batch("not json", body("put-image"), forged), take, dead_letters) == []
    assert [arrival.repository for arrival in take.taken] == ["payments/api"]
    assert [sent for sent, _ in dead_letters.sent] == ["not json", forged]
    assert dead_letters.sent[0][1].startswith("not an EventBridge event")
    assert dead_letters.sent[1][1] == f"event of account 999999999999 in eu-west-1, but this is {ACCOUNT} in {REGION}"


def test_a_call_that_failed_is_neither_taken_nor_a_dead_letter() -> None:
    take, dead_letters = Taker(), DeadLetters()
    assert settled(batch((EVENTS / "failed-call.json").read_text()), take, dead_letters) == []
    assert take.taken == []
    assert dead_letters.sent == []


def test_a_dead_letter_that_cannot_be_sent_is_not_lost() -> None:
    take = Taker()
    with pytest.raises(ConnectionError):
        settled(batch("not json", body("put-image")), take, DeadLetters(ConnectionError()))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_news_of_a_repository_are_merged_in_whatever_order_they_come(order: tuple[int, ...]) -> None:
    bodies = [
        body("create-repository", event_id="c1", seconds=0),
        body("put-image", event_id="p1", seconds=4, tag="v1"),
        body("put-image", event_id="p2", seconds=9, tag="v2"),
    ]
    take = Taker()
    settled(batch(*(bodies[position] for position in order)), take)
    (arrival,) = take.taken
    assert arrival.news.creation is not None
    assert arrival.news.creation.event_id == "c1"
    assert {push.tag for push in arrival.news.pushes} == {"v1", "v2"}
    assert arrival.trigger.event == "PutImage"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_creations_the_first_counts_and_the_last_event_is_the_cause(order: tuple[int, ...]) -> None:
    bodies = [body("create-repository", event_id="c1"), body("create-repository", event_id="c2", seconds=60)]
    take = Taker()
    settled(batch(*(bodies[position] for position in order)), take)
    (arrival,) = take.taken
    assert arrival.news.creation is not None
    assert arrival.news.creation.event_id == "c1"
    assert arrival.trigger.event == "CreateRepository"


def test_what_ecr_reported_of_its_own_doing_is_noticed() -> None:
    take = Taker()
    settled(batch(body("pull-through-cache-action"), body("replication-action")), take)
    assert {origin for arrival in take.taken for origin, _ in arrival.news.noticed} == {Origin.PULL_THROUGH_CACHE, Origin.REPLICATION}


def test_repositories_are_taken_side_by_side() -> None:
    barrier = threading.Barrier(2, timeout=10)
    assert settled(batch(body("put-image", "payments/a"), body("put-image", "payments/b")), lambda _: barrier.wait()) == []


def test_a_rejected_message_that_cannot_be_set_aside_comes_again_and_the_others_are_taken() -> None:
    class Full:
        def send(self, body: str, reason: str) -> None:
            raise Throttled("sqs:SendMessage: ThrottlingException")

    take = Taker()
    event = batch("no event at all", body("put-image", "payments/a"))
    answer = settle(event, take, Full(), ACCOUNT, REGION)
    assert answer == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}
    assert [arrival.repository for arrival in take.taken] == ["payments/a"]


def test_of_several_wishes_to_keep_a_repository_the_longest_counts() -> None:
    def read(body: str, _account: str, _region: str) -> Happening:
        days = json.loads(body)["days"]
        return Happening("payments/api", News(), Trigger("Release Asked"), T0, T0 + timedelta(days=days) if days else None)

    taken: list[Arrival] = []
    bodies = [json.dumps({"days": days}) for days in (3, 30, 0)]
    event = {"Records": [{"messageId": str(number), "body": body} for number, body in enumerate(bodies)]}
    settle(event, taken.append, DeadLetters(), ACCOUNT, REGION, read)
    assert [arrival.keep_until for arrival in taken] == [T0 + timedelta(days=30)]
