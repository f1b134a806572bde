"""EventBridge: rules, targets, permissions, dead letters, and its API."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from local.access.policy import Access
from local.activity import Activity
from local.events.bus import Bus, EventsError, Ports
from local.queues.mapping import Pace
from local.server import EmbeddedAws

CALL = {"source": "aws.ecr", "detail-type": "AWS API Call via CloudTrail", "detail": {"eventName": "PutImage", "readOnly": False}}
READ = {**CALL, "detail": {"eventName": "BatchGetImage", "readOnly": True}}
PATTERN = json.dumps({"source": ["aws.ecr"]})


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(pace=Pace(retry_delay=0.01)) as embedded:
        yield embedded


@pytest.fixture
def events(aws: EmbeddedAws) -> Iterator[Any]:
    client = aws.client("events")
    yield client
    for rule in client.list_rules()["Rules"]:
        targets = client.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        if targets:
            client.remove_targets(Rule=rule["Name"], Ids=[target["Id"] for target in targets])
        client.delete_rule(Name=rule["Name"])
    aws.bus.lost.clear()


class Queue:
    def __init__(self, aws: EmbeddedAws, name: str) -> None:
        self.sqs = aws.client("sqs")
        self.url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:eu-west-1:123456789012:{name}"

    def allow(self, rule_arn: str) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": self.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
        }
        self.sqs.set_queue_attributes(
            QueueUrl=self.url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}
        )

    def take(self) -> list[dict[str, Any]]:
        taken: list[dict[str, Any]] = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages", [])
        return taken


@pytest.fixture
def queue(aws: EmbeddedAws, request: pytest.FixtureRequest) -> Iterator[Queue]:
    queue = Queue(aws, f"q-{abs(hash(request.node.name))}")
    yield queue
    queue.sqs.delete_queue(QueueUrl=queue.url)


@pytest.fixture
def dead(aws: EmbeddedAws, request: pytest.FixtureRequest) -> Iterator[Queue]:
    queue = Queue(aws, f"d-{abs(hash(request.node.name))}")
    yield queue
    queue.sqs.delete_queue(QueueUrl=queue.url)


def put(
    events: Any, queue: Queue, name: str = "r", *, allow: bool = True, pattern: str = PATTERN, state: str = "ENABLED", **target: Any
) -> str:
    arn: str = events.put_rule(Name=name, EventPattern=pattern, State=state)["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": queue.arn, **target}])
    if allow:
        queue.allow(arn)
    return arn


def send(aws: EmbeddedAws, event: dict[str, Any]) -> None:
    entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    assert aws.settle()["idle"]


def test_a_matching_event_arrives_with_its_whole_envelope(aws: EmbeddedAws, events: Any, queue: Queue) -> None:
    put(events, queue)
    send(aws, CALL)
    (message,) = queue.take()
    envelope = json.loads(message["Body"])
    assert set(envelope) == {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
    assert (envelope["account"], envelope["region"], envelope["detail"]["eventName"]) == ("123456789012", "eu-west-1", "PutImage")


@pytest.mark.parametrize(
    ("state", "event", "arrives"),
    [
        ("ENABLED", CALL, True),
        ("ENABLED", READ, False),
        ("ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS", READ, True),
        ("DISABLED", CALL, False),
    ],
)
def test_the_state_says_which_calls_arrive(
    aws: EmbeddedAws, events: Any, queue: Queue, state: str, event: dict[str, Any], arrives: bool
) -> None:
    put(events, queue, state=state)
    send(aws, event)
    assert bool(queue.take()) is arrives


def test_without_a_queue_policy_the_event_is_lost(aws: EmbeddedAws, events: Any, queue: Queue) -> None:
    put(events, queue, allow=False)
    send(aws, CALL)
    assert not queue.take()
    assert [lost.code for lost in aws.bus.lost] == ["NO_PERMISSIONS"]


def test_with_a_dead_letter_queue_it_goes_there_with_the_reason(aws: EmbeddedAws, events: Any, queue: Queue, dead: Queue) -> None:
    arn = put(events, queue, allow=False, DeadLetterConfig={"Arn": dead.arn})
    dead.allow(arn)
    send(aws, CALL)
    (message,) = dead.take()
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert (attributes["RULE_ARN"], attributes["TARGET_ARN"], attributes["ERROR_CODE"]) == (arn, queue.arn, "NO_PERMISSIONS")
    assert attributes["ERROR_MESSAGE"]


def test_a_dead_letter_queue_needs_a_policy_too(aws: EmbeddedAws, events: Any, queue: Queue, dead: Queue) -> None:
    put(events, queue, allow=False, DeadLetterConfig={"Arn": dead.arn})
    send(aws, CALL)
    assert not dead.take()
    assert [lost.code for lost in aws.bus.lost] == ["NO_PERMISSIONS, then NO_PERMISSIONS at the dead-letter queue"]


def test_a_missing_queue_is_not_retried(aws: EmbeddedAws, events: Any, queue: Queue, dead: Queue) -> None:
    arn = put(events, queue, DeadLetterConfig={"Arn": dead.arn})
    dead.allow(arn)
    queue.sqs.delete_queue(QueueUrl=queue.url)
    send(aws, CALL)
    queue.url = queue.sqs.create_queue(QueueName=queue.arn.rsplit(":", 1)[-1])["QueueUrl"]
    assert dead.take()[0]["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "RESOURCE_NOT_FOUND"


def test_trouble_on_the_way_is_retried_and_then_exhausted(aws: EmbeddedAws, events: Any, queue: Queue, dead: Queue) -> None:
    arn = put(events, queue, RetryPolicy={"MaximumRetryAttempts": 2}, DeadLetterConfig={"Arn": dead.arn})
    dead.allow(arn)
    aws.bus.fail_deliveries(queue.arn, 2)
    send(aws, CALL)
    assert len(queue.take()) == 1
    aws.bus.fail_deliveries(queue.arn, 3)
    send(aws, CALL)
    attributes = dead.take()[0]["MessageAttributes"]
    assert attributes["RETRY_ATTEMPTS"]["StringValue"] == "2"
    assert attributes["EXHAUSTED_RETRY_CONDITION"]["StringValue"] == "MaximumRetryAttempts"


@pytest.mark.parametrize(
    ("settings", "body"),
    [
        ({"Input": '{"fixed": 1}'}, {"fixed": 1}),
        ({"InputPath": "$.detail.eventName"}, "PutImage"),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"n": "$.detail.eventName", "r": "$.detail.readOnly"},
                    "InputTemplate": '{"n": <n>, "text": "<n>!", "r": <r>}',
                }
            },
            {"n": "PutImage", "text": "PutImage!", "r": False},
        ),
    ],
)
def test_the_target_decides_what_it_receives(aws: EmbeddedAws, events: Any, queue: Queue, settings: dict[str, Any], body: Any) -> None:
    put(events, queue, **settings)
    send(aws, CALL)
    assert json.loads(queue.take()[0]["Body"]) == body


@pytest.mark.parametrize("pattern", ['{"source": "aws.ecr"}', '{"source": [{"regex": "x"}]}', "nonsense", "{}"])
def test_invalid_patterns_are_refused(events: Any, pattern: str) -> None:
    with pytest.raises(events.exceptions.InvalidEventPatternException):
        events.put_rule(Name="bad", EventPattern=pattern)


def test_a_pattern_can_be_tried(events: Any) -> None:
    sample = json.dumps({**CALL, "id": "1", "account": "1", "time": "t", "region": "r", "resources": []})
    assert events.test_event_pattern(EventPattern=PATTERN, Event=sample)["Result"] is True
    assert events.test_event_pattern(EventPattern='{"source": ["x"]}', Event=sample)["Result"] is False


def test_at_most_five_targets_and_only_known_kinds(events: Any, queue: Queue) -> None:
    put(events, queue)
    with pytest.raises(events.exceptions.LimitExceededException):
        events.put_targets(Rule="r", Targets=[{"Id": str(n), "Arn": queue.arn} for n in range(2, 7)])
    with pytest.raises(events.exceptions.ClientError, match="has no target of this type"):
        events.put_targets(Rule="r", Targets=[{"Id": "9", "Arn": "arn:aws:kinesis:eu-west-1:1:stream/s"}])


def test_the_rule_is_described_as_it_was_put(events: Any, queue: Queue) -> None:
    arn = put(events, queue)
    described = events.describe_rule(Name="r")
    assert (described["Arn"], described["State"], described["EventPattern"]) == (arn, "ENABLED", PATTERN)
    events.disable_rule(Name="r")
    assert events.describe_rule(Name="r")["State"] == "DISABLED"
    assert events.list_rule_names_by_target(TargetArn=queue.arn)["RuleNames"] == ["r"]
    with pytest.raises(events.exceptions.ClientError, match="has targets"):
        events.delete_rule(Name="r")


def test_a_custom_bus_has_its_own_rules(aws: EmbeddedAws, events: Any, queue: Queue) -> None:
    events.create_event_bus(Name="mine")
    arn = events.put_rule(Name="own", EventBusName="mine", EventPattern='{"source": ["app"]}')["RuleArn"]
    events.put_targets(Rule="own", EventBusName="mine", Targets=[{"Id": "1", "Arn": queue.arn}])
    queue.allow(arn)
    entry = {"Source": "app", "DetailType": "t", "Detail": "{}"}
    events.put_events(Entries=[entry, {**entry, "EventBusName": "mine"}])
    aws.settle()
    assert len(queue.take()) == 1
    assert [event["bus"] for event in aws.bus.history][-2:] == ["default", "mine"]
    events.remove_targets(Rule="own", EventBusName="mine", Ids=["1"])
    events.delete_rule(Name="own", EventBusName="mine")
    events.delete_event_bus(Name="mine")


def test_malformed_entries_fail_one_by_one(events: Any) -> None:
    good = {"Source": "app", "DetailType": "t", "Detail": "{}"}
    answer = events.put_events(Entries=[good, {**good, "Detail": "no"}, {**good, "Detail": "[]"}])
    assert [entry.get("ErrorCode") for entry in answer["Entries"]] == [None, "MalformedDetail", "MalformedDetail"]


def a_bus(*, may_invoke: bool = True, strict: bool = False) -> tuple[Bus, list[Any]]:
    invoked: list[Any] = []

    def allowed(_: str, __: Access) -> bool:
        return True

    ports = Ports(lambda arn, payload: invoked.append((arn, payload)), lambda *_: may_invoke, allowed)
    bus = Bus("123456789012", "eu-west-1", Activity(), ports, strict_sources=strict)
    bus.put_rule("r", pattern=PATTERN)
    bus.put_targets("r", [{"Id": "1", "Arn": "arn:aws:lambda:eu-west-1:123456789012:function:f"}])
    return bus, invoked


@pytest.mark.parametrize("permitted", [True, False])
def test_a_function_needs_a_permission(permitted: bool) -> None:
    bus, invoked = a_bus(may_invoke=permitted)
    bus.publish(CALL)
    bus.stop()
    bus._run()
    assert bool(invoked) is permitted
    assert [lost.code for lost in bus.lost] == ([] if permitted else ["NO_PERMISSIONS"])


def test_strict_sources_refuse_what_only_aws_may_send() -> None:
    bus, _ = a_bus(strict=True)
    (entry,) = bus.put_events([{"Source": "aws.ecr", "DetailType": "t", "Detail": "{}"}])
    assert entry["ErrorCode"] == "NotAuthorizedForSourceException"


def test_a_rule_needs_a_pattern_or_a_schedule() -> None:
    bus, _ = a_bus()
    with pytest.raises(EventsError, match="must be specified"):
        bus.put_rule("x")


def test_an_operation_that_is_not_there_is_a_loud_error(aws: EmbeddedAws) -> None:
    client: Any = boto3.client(
        "athena", endpoint_url=aws.endpoint, region_name="eu-west-1", aws_access_key_id="AKIAEXAMPLE000000000", aws_secret_access_key="x"
    )
    with pytest.raises(client.exceptions.ClientError) as caught:
        client.create_notebook(WorkGroup="w", Name="n")
    assert caught.value.response["Error"]["Code"] == "NotImplementedByEmbeddedAws"
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0
