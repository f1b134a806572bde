"""Events lost on purpose: a share of what CloudTrail sends, the same for the same calls, and nothing else."""

import http.client
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.clock.expression import parse
from local.clock.scheduler import Schedule
from local.server import EmbeddedAws

NAMES = [f"team/app-{number}" for number in range(60)]
Control = Callable[..., Any]


@pytest.fixture
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as embedded:
        embedded.bus.put_rule("all", pattern=json.dumps({"account": [embedded.account]}))
        yield embedded


@pytest.fixture
def control(aws: EmbeddedAws) -> Control:
    def _control(name: str, **arguments: Any) -> Any:
        connection = http.client.HTTPConnection(aws.endpoint.split("/")[2])
        connection.request("POST", f"/_local/{name}", json.dumps(arguments), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        return content if answer.status == 200 else (answer.status, content)

    return _control


def create(aws: EmbeddedAws, names: list[str]) -> None:
    for name in names:
        aws.client("ecr").create_repository(repositoryName=name)


def test_a_share_is_lost_counted_and_named(aws: EmbeddedAws, control: Control) -> None:
    create(aws, ["before"])
    assert control("lose", share=0.3, seed=1) == {"share": 0.3, "seed": 1, "lost": 0, "events": []}
    aws.settle()
    create(aws, NAMES)
    report = aws.settle()
    told = control("lost")
    assert 5 < told["lost"] < 35
    assert (report["lost_on_purpose"], report["published"], report["lost"]) == (told["lost"], len(NAMES) - told["lost"], 0)
    assert control("status")["lost_on_purpose"] == told["lost"]
    assert {one["event"] for one in told["events"]} == {"CreateRepository"}
    assert {one["repository"] for one in told["events"]} < set(NAMES)
    assert aws.bus.counts.by_rule["all"] == report["published"] + 1


def test_cloudtrail_itself_still_knows_them(aws: EmbeddedAws, control: Control) -> None:
    control("lose", share=1)
    create(aws, NAMES[:3])
    attribute = {"AttributeKey": "EventName", "AttributeValue": "CreateRepository"}
    found = aws.client("cloudtrail").lookup_events(LookupAttributes=[attribute])["Events"]
    assert {event["EventId"] for event in found} == {one["id"] for one in control("lost")["events"]}
    assert len(found) == 3


def test_the_same_calls_lose_the_same_events_whatever_happens_between(aws: EmbeddedAws, control: Control) -> None:
    def lost(names: list[str], seed: int) -> list[str]:
        before = control("lose", share=0.5, seed=seed)["lost"]
        for name in names:
            aws.client("ecr").create_repository(repositoryName=name)
            aws.client("ecr").delete_repository(repositoryName=name)
        return [f"{one['event']} {one['repository']}" for one in control("lost")["events"][before:]]

    first = lost(NAMES[:20], 1)
    assert lost(NAMES[:20], 1) == first
    assert sorted(lost(NAMES[:20][::-1], 1)) == sorted(first)
    assert lost(NAMES[:20], 2) != first


def test_only_events_of_changes_are_lost(aws: EmbeddedAws, control: Control) -> None:
    create(aws, ["there"])
    control("lose", share=1)
    fired: list[datetime] = []
    aws.scheduler.add(Schedule("hourly", parse("rate(1 hour)"), fired.append))
    aws.settle()
    aws.client("ecr").describe_repositories()
    aws.client("events").put_events(Entries=[{"Source": "mine", "DetailType": "Something", "Detail": "{}"}])
    aws.trail.record_native("ECR Image Action", {"action-type": "PUSH"}, [])
    with pytest.raises(aws.client("ecr").exceptions.RepositoryAlreadyExistsException):
        create(aws, ["there"])
    report = aws.settle()
    assert (report["published"], report["lost_on_purpose"]) == (3, 1)
    assert aws.advance(timedelta(hours=1, minutes=1))["lost_on_purpose"] == 0
    assert len(fired) == 1


def test_none_switches_it_off_and_what_was_lost_stays_listed(aws: EmbeddedAws, control: Control) -> None:
    control("lose", share=1)
    create(aws, ["lost"])
    assert control("lose", share=0)["lost"] == 1
    aws.settle()
    create(aws, ["kept"])
    report = aws.settle()
    assert (report["published"], report["lost_on_purpose"]) == (1, 0)
    assert [one["repository"] for one in control("lost")["events"]] == ["lost"]


@pytest.mark.parametrize("arguments", [{"share": 1.5}, {"share": -0.1}, {"share": "many"}, {}])
def test_a_share_that_is_none_is_refused(control: Control, arguments: dict[str, Any]) -> None:
    status, content = control("lose", **arguments)
    assert status == 400
    assert content["error"]


def test_time_of_the_lost_is_the_clocks(aws: EmbeddedAws, control: Control) -> None:
    aws.advance(timedelta(days=400))
    control("lose", share=1)
    create(aws, ["late"])
    (event,) = aws.client("cloudtrail").lookup_events()["Events"]
    assert event["EventTime"] - datetime.now(UTC) < timedelta(minutes=1)
