"""CloudTrail's LookupEvents: what it finds, by which attribute, in which order, and for how long."""

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.ecr import faults
from local.principals import Principal
from local.server import EmbeddedAws
from local.trail import ApiCall, Trail
from local.trail.responses import lookup

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REPOSITORY = "arn:aws:ecr:eu-west-1:123456789012:repository/"
ALICE = Principal(kind="IAMUser", account="123456789012", access_key_id="AKIAALICE", user_name="alice")
CI = Principal(
    kind="AssumedRole", account="123456789012", access_key_id="ASIACI", role_arn="arn:aws:iam::123456789012:role/ci", session_name="build-7"
)
CALL = ApiCall(
    service="ecr",
    operation="CreateRepository",
    parameters={"repositoryName": "team/app"},
    response={"repository": {"repositoryName": "team/app"}},
    error_code=None,
    error_message=None,
    principal=ALICE,
    region="eu-west-1",
    account="123456789012",
    time=NOW,
    source_ip="203.0.113.12",
    user_agent="aws-cli",
    resources=(f"{REPOSITORY}team/app",),
)


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(start_time=NOW) as embedded:
        yield embedded


@pytest.fixture
def cloudtrail(aws: EmbeddedAws) -> Iterator[Any]:
    aws.trail.history.clear()
    yield aws.client("cloudtrail")
    faults.clear()


def at(**ago: float) -> ApiCall:
    return replace(CALL, time=NOW - timedelta(**ago))


def found(cloudtrail: Any, **asked: Any) -> list[str]:
    return [event["Username"] for event in cloudtrail.lookup_events(**asked)["Events"]]


def by(key: str, value: str) -> dict[str, Any]:
    return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}


def named(name: str, call: ApiCall = CALL) -> ApiCall:
    return replace(call, principal=replace(ALICE, user_name=name))


def test_an_event_has_what_aws_gives(aws: EmbeddedAws, cloudtrail: Any) -> None:
    aws.client("ecr").create_repository(repositoryName="real/one")
    (event,) = cloudtrail.lookup_events()["Events"]
    record = json.loads(event["CloudTrailEvent"])
    assert (event["EventName"], event["EventSource"], event["ReadOnly"]) == ("CreateRepository", "ecr.amazonaws.com", "false")
    assert (event["EventId"], event["Username"]) == (record["eventID"], "AKIALOCALVISITOR0000")
    assert event["EventTime"] == datetime.fromisoformat(record["eventTime"])
    assert event["Resources"] == [{"ResourceType": "AWS::ECR::Repository", "ResourceName": f"{REPOSITORY}real/one"}]
    assert record["requestParameters"] == {"repositoryName": "real/one"}


def test_events_come_newest_first_by_pages(aws: EmbeddedAws, cloudtrail: Any) -> None:
    aws.trail.seed(named(str(hours), at(hours=hours)) for hours in (3, 1, 5, 2, 4))
    pages = cloudtrail.get_paginator("lookup_events").paginate(PaginationConfig={"PageSize": 2})
    assert [[event["Username"] for event in page["Events"]] for page in pages] == [["1", "2"], ["3", "4"], ["5"]]


def test_what_happens_between_two_pages_shifts_nothing(aws: EmbeddedAws, cloudtrail: Any) -> None:
    aws.trail.seed(named(str(hours), at(hours=hours)) for hours in (1, 2, 3))
    first = cloudtrail.lookup_events(MaxResults=2)
    aws.trail.seed([named("new", at(minutes=1))])
    assert found(cloudtrail, MaxResults=2, NextToken=first["NextToken"]) == ["3"]


def test_events_of_one_second_are_all_given(aws: EmbeddedAws, cloudtrail: Any) -> None:
    aws.trail.seed(named(str(number), at(hours=1)) for number in range(7))
    pages = cloudtrail.get_paginator("lookup_events").paginate(PaginationConfig={"PageSize": 3})
    assert sorted(event["Username"] for page in pages for event in page["Events"]) == [str(number) for number in range(7)]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("EventName", "PutImage", ["build-7"]),
        ("Username", "build-7", ["build-7"]),
        ("AccessKeyId", "ASIACI", ["build-7"]),
        ("ReadOnly", "true", ["reader"]),
        ("ReadOnly", "false", ["build-7", "alice"]),
        ("ResourceName", f"{REPOSITORY}team/other", ["build-7"]),
        ("ResourceName", "team/other", ["build-7"]),
        ("ResourceName", "team", []),
        ("ResourceType", "AWS::ECR::Repository", ["build-7", "alice"]),
        ("EventSource", "ecr.amazonaws.com", ["reader", "build-7", "alice"]),
        ("EventSource", "s3.amazonaws.com", []),
    ],
)
def test_one_attribute_finds_its_events(aws: EmbeddedAws, cloudtrail: Any, key: str, value: str, expected: list[str]) -> None:
    push = replace(at(hours=2), operation="PutImage", principal=CI, resources=(f"{REPOSITORY}team/other",))
    read = named("reader", replace(at(hours=1), operation="DescribeRepositories", resources=()))
    aws.trail.seed([at(hours=3), push, read])
    assert found(cloudtrail, **by(key, value)) == expected


def test_an_event_is_found_by_its_id(aws: EmbeddedAws, cloudtrail: Any) -> None:
    aws.trail.seed([at(hours=1), named("bob", at(hours=2))])
    wanted = cloudtrail.lookup_events()["Events"][1]["EventId"]
    assert found(cloudtrail, **by("EventId", wanted)) == ["bob"]


def test_times_bound_the_search_and_belong_to_it(aws: EmbeddedAws, cloudtrail: Any) -> None:
    aws.trail.seed(named(str(hours), at(hours=hours)) for hours in range(1, 6))
    start, end = NOW - timedelta(hours=4), NOW - timedelta(hours=2)
    assert found(cloudtrail, StartTime=start, EndTime=end) == ["2", "3", "4"]
    assert found(cloudtrail, StartTime=start, EndTime=end - timedelta(seconds=1)) == ["3", "4"]


def test_events_are_kept_for_90_days(aws: EmbeddedAws, cloudtrail: Any) -> None:
    aws.trail.seed([named("old", at(days=91)), named("kept", at(days=89))])
    assert found(cloudtrail) == ["kept"]
    assert found(cloudtrail, StartTime=NOW - timedelta(days=200)) == ["kept"]
    assert found(cloudtrail, StartTime=NOW - timedelta(days=200), EndTime=NOW - timedelta(days=95)) == []


def test_the_order_is_kept_through_new_old_and_forgotten_events(cloudtrail: Any) -> None:
    trail = Trail(lambda _event: None, limit=6)

    def names() -> list[str]:
        return [event["Username"] for event in lookup(trail, {}, NOW)["Events"]]

    for hours in (9, 8):
        trail.seed([named(str(hours), at(hours=hours))])
    assert names() == ["8", "9"]
    trail.record(named("7", at(hours=7)))
    trail.record_native("ECR Image Action", {}, [], time=NOW)
    trail.record(named("6", at(hours=6)))
    assert names() == ["6", "7", "8", "9"]
    trail.seed([named("8.5", at(hours=8.5))])
    assert names() == ["6", "7", "8", "8.5", "9"]
    trail.record(named("5", at(hours=5)))
    assert names() == ["5", "6", "7", "8", "8.5"]


def test_time_goes_by(cloudtrail: Any) -> None:
    trail = Trail(lambda _event: None)
    trail.seed([CALL])
    assert len(lookup(trail, {}, NOW + timedelta(days=89))["Events"]) == 1
    assert lookup(trail, {}, NOW + timedelta(days=91))["Events"] == []


def test_ecrs_own_events_are_no_management_events(aws: EmbeddedAws, cloudtrail: Any) -> None:
    aws.trail.record_native("ECR Image Action", {"action-type": "PUSH"}, [])
    assert found(cloudtrail) == []


def test_a_record_too_large_for_eventbridge_is_found(cloudtrail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.trail.records.MAX_ELEMENT_BYTES", 10**9)
    trail = Trail(pytest.fail)
    trail.record(replace(CALL, parameters={"imageManifest": "x" * 263_000}))
    assert len(lookup(trail, {}, NOW)["Events"]) == 1


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"MaxResults": 0}, "InvalidMaxResultsException"),
        ({"MaxResults": 51}, "InvalidMaxResultsException"),
        ({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "A"}] * 2}, "InvalidLookupAttributesException"),
        ({"LookupAttributes": [{"AttributeKey": "Colour", "AttributeValue": "red"}]}, "InvalidLookupAttributesException"),
        ({"StartTime": NOW, "EndTime": NOW - timedelta(1)}, "InvalidTimeRangeException"),
        ({"NextToken": "what"}, "InvalidNextTokenException"),
        ({"EventCategory": "insight"}, "InvalidEventCategoryException"),
    ],
)
def test_wrong_questions_get_aws_words(aws: EmbeddedAws, cloudtrail: Any, asked: dict[str, Any], error: str) -> None:
    unchecked = aws._session.client(
        "cloudtrail",
        endpoint_url=aws.endpoint,
        region_name="eu-west-1",
        aws_access_key_id="AKIAX",
        aws_secret_access_key="x",
        config=Config(parameter_validation=False),
    )
    with pytest.raises(ClientError) as caught:
        unchecked.lookup_events(**asked)
    assert caught.value.response["Error"]["Code"] == error


def test_a_token_is_good_for_the_same_question_only(aws: EmbeddedAws, cloudtrail: Any) -> None:
    aws.trail.seed([at(hours=1), at(hours=2), at(hours=3)])
    asked = by("EventName", "CreateRepository")
    token = cloudtrail.lookup_events(MaxResults=1, **asked)["NextToken"]
    assert len(found(cloudtrail, MaxResults=2, NextToken=token, **asked)) == 2
    for other in (by("EventName", "PutImage"), {}, {**asked, "EndTime": NOW}):
        with pytest.raises(cloudtrail.exceptions.InvalidNextTokenException):
            cloudtrail.lookup_events(MaxResults=1, NextToken=token, **other)


def test_it_can_be_throttled(cloudtrail: Any) -> None:
    faults.add("cloudtrail:LookupEvents", "ThrottlingException")
    with pytest.raises(cloudtrail.exceptions.ClientError, match="ThrottlingException"):
        cloudtrail.lookup_events()
    cloudtrail.lookup_events()


def test_a_hundred_thousand_records_take_little_memory() -> None:
    trail = Trail(lambda _event: None)
    tracemalloc.start()
    trail.seed(
        replace(CALL, time=NOW - timedelta(minutes=number), resources=(f"{REPOSITORY}team/{number % 500}",)) for number in range(2000)
    )
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / 2000 < 1500
    assert len(lookup(trail, by("ResourceName", "team/7"), NOW)["Events"]) == 4
