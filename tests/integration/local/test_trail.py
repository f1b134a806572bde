"""Records and envelopes of CloudTrail."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.principals import Principal
from local.trail import ApiCall, Trail
from local.trail.records import service_event

ARN = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app"
CALL = ApiCall(
    service="ecr",
    operation="CreateRepository",
    parameters={"repositoryName": "team/app"},
    response={"repository": {"createdAt": datetime(2018, 7, 11, 22, 17, 44, tzinfo=UTC)}},
    error_code=None,
    error_message=None,
    principal=Principal(kind="IAMUser", account="123456789012", access_key_id="alice", user_name="alice"),
    region="eu-west-1",
    account="123456789012",
    time=datetime(2026, 11, 23, 12, 0, 0, 987654, tzinfo=UTC),
    source_ip="203.0.113.12",
    user_agent="aws-cli",
    resources=(ARN,),
)


def published(call: ApiCall) -> dict[str, Any]:
    trail = Trail(lambda _event: None)
    trail.record(call)
    return trail.history[0]


def test_a_call_becomes_an_event_of_its_service() -> None:
    event = published(CALL)
    envelope = {key: value for key, value in event.items() if key not in {"id", "detail"}}
    assert envelope == {
        "version": "0",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ecr",
        "account": "123456789012",
        "time": "2026-11-23T12:00:00Z",
        "region": "eu-west-1",
        "resources": [],
    }


def test_the_record_has_what_cloudtrail_writes() -> None:
    record = published(CALL)["detail"]
    assert record["eventVersion"] == "1.11"
    assert (record["eventSource"], record["eventName"], record["eventType"]) == ("ecr.amazonaws.com", "CreateRepository", "AwsApiCall")
    assert (record["managementEvent"], record["eventCategory"], record["readOnly"]) == (True, "Management", False)
    assert record["resources"] == [{"ARN": ARN, "accountId": "123456789012"}]
    assert "errorCode" not in record
    assert record["requestID"] != record["eventID"]


def test_times_in_the_answer_are_not_iso() -> None:
    assert published(CALL)["detail"]["responseElements"]["repository"]["createdAt"] == "Jul 11, 2018 10:17:44 PM"


def test_a_failed_call_has_its_error_and_no_response() -> None:
    record = published(replace(CALL, error_code="RepositoryAlreadyExistsException", error_message="exists"))["detail"]
    assert (record["errorCode"], record["errorMessage"]) == ("RepositoryAlreadyExistsException", "exists")
    assert record["responseElements"] is None
    assert record["requestParameters"] == {"repositoryName": "team/app"}


@pytest.mark.parametrize(
    ("operation", "read_only"),
    [("BatchGetImage", True), ("ListImages", True), ("DescribeImages", True), ("BatchDeleteImage", False), ("PutImage", False)],
)
def test_read_only_operations_are_known(operation: str, read_only: bool) -> None:
    assert published(replace(CALL, operation=operation))["detail"]["readOnly"] is read_only


def test_an_element_above_100_kb_is_left_out_whole() -> None:
    record = published(replace(CALL, parameters={"repositoryName": "team/app", "imageManifest": "x" * 103_000}))["detail"]
    assert "requestParameters" not in record
    assert record["responseElements"] is not None


def test_a_record_above_256_kb_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.trail.records.MAX_ELEMENT_BYTES", 10**9)
    sent: list[dict[str, Any]] = []
    trail = Trail(sent.append)
    trail.record(replace(CALL, parameters={"imageManifest": "x" * 263_000}))
    trail.record(replace(CALL, parameters={"imageManifest": "x" * 200_000}))
    assert [len(event["detail"]["requestParameters"]["imageManifest"]) for event in sent] == [200_000]
    assert len(trail.history) == 2


def test_writes_count_what_succeeded_and_changed_something() -> None:
    trail = Trail(lambda _event: None)
    for call in (CALL, replace(CALL, error_code="ThrottlingException"), replace(CALL, operation="DescribeImages")):
        trail.record(call)
    trail.record(replace(CALL, resources=("arn:aws:ecr:eu-west-1:123456789012:repository/other",)))
    assert (trail.writes(), trail.writes("team/app"), trail.writes("nowhere")) == (2, 1, 0)


def test_history_keeps_the_newest() -> None:
    trail = Trail(lambda _event: None, limit=5)
    for number in range(7):
        trail.record_native("ECR Image Action", {"number": number}, [])
    assert [event["detail"]["number"] for event in trail.history] == [2, 3, 4, 5, 6]
    assert [event["detail"]["number"] for event in reversed(trail.history)] == [6, 5, 4, 3, 2]
    assert ([event["detail"]["number"] for event in trail.history[-2:]], len(trail.history)) == ([5, 6], 5)


def test_a_subscriber_may_cause_records_itself() -> None:
    trail: Trail

    def publish(event: dict[str, Any]) -> None:
        if event["detail-type"] == "ECR Image Action":
            trail.record(CALL)

    trail = Trail(publish)
    trail.record_native("ECR Image Action", {}, [ARN])
    assert [event["detail-type"] for event in trail.history] == ["ECR Image Action", "AWS API Call via CloudTrail"]


def test_a_service_event_has_neither_request_nor_response() -> None:
    record = service_event(
        "PolicyExecutionEvent",
        {"repositoryName": "team/app"},
        [ARN],
        account="123456789012",
        region="eu-west-1",
        time=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=1),
    )
    assert (record["eventType"], record["requestParameters"], record["responseElements"]) == ("AwsServiceEvent", None, None)
    assert record["userIdentity"] == {"accountId": "123456789012", "invokedBy": "AWS Internal"}
    assert record["resources"][0]["type"] == "AWS::ECR::Repository"
