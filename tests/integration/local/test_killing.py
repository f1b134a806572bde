"""A function's process dies at a chosen API call: before or after the call took effect, once, and as on AWS."""

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.server import EmbeddedAws

Ask = Callable[..., Any]
Control = Callable[..., Any]


@pytest.fixture
def control(aws: EmbeddedAws) -> Iterator[Control]:
    def _control(name: str, **arguments: Any) -> Any:
        connection = http.client.HTTPConnection(aws.endpoint.split("/")[2])
        connection.request("POST", f"/_local/{name}", json.dumps(arguments), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        return content if answer.status == 200 else (answer.status, content)

    yield _control
    aws.killing.clear()
    aws.settle()


def invoke(aws: EmbeddedAws, event: Any) -> dict[str, Any]:
    assert aws.stack is not None
    result = aws.lambdas.invoke(aws.stack.ref("Worker"), event)
    answer = json.loads(result.payload)
    return answer if isinstance(answer, dict) else {"answer": answer}


def put(aws: EmbeddedAws, key: str) -> dict[str, Any]:
    assert aws.stack is not None
    return invoke(aws, {"do": "dynamodb.put_item", "TableName": aws.stack.ref("Rows"), "Item": {"pk": {"S": key}}})


def stored(aws: EmbeddedAws, *keys: str) -> list[bool]:
    assert aws.stack is not None
    table = aws.stack.ref("Rows")
    return ["Item" in aws.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": key}}) for key in keys]


@pytest.mark.parametrize(("when", "took_effect"), [("before", False), ("after", True)])
def test_the_process_dies_and_the_call_took_effect_or_not(aws: EmbeddedAws, control: Control, when: str, took_effect: bool) -> None:
    assert control("kill", function="Worker", call=1, when=when)["armed"][0]["when"] == when
    assert aws.stack is not None
    name = aws.stack.ref("Worker")
    starts = aws.lambdas.get(name).cold_starts
    answer = put(aws, f"killed {when}")
    assert answer["errorType"] == "Runtime.ExitError"
    assert answer["errorMessage"].endswith("Runtime exited with error: signal: killed")
    assert stored(aws, f"killed {when}") == [took_effect]
    told = control("kill")
    assert told["armed"] == []
    assert told["killed"][-1] == {"function": name, "call": 1, "when": when, "operation": "dynamodb:PutItem"}
    assert put(aws, f"again {when}") == {}
    assert stored(aws, f"again {when}") == [True]
    assert aws.lambdas.get(name).cold_starts - starts <= 2


def test_each_call_in_turn_can_be_the_last(aws: EmbeddedAws, control: Control) -> None:
    records = [{"messageId": str(number), "body": json.dumps({"name": f"turn-{number}"})} for number in range(3)]
    control("calls", reset=True)
    assert invoke(aws, {"Records": records}) == {"batchItemFailures": []}
    assert aws.stack is not None
    name = aws.stack.ref("Worker")
    assert control("calls")[name] == {"count": 3, "operations": ["dynamodb:PutItem"] * 3}
    for call in range(1, 4):
        mine = [{"messageId": str(number), "body": json.dumps({"name": f"turn-{call}-{number}"})} for number in range(3)]
        control("kill", function=name, call=call, when="after")
        assert invoke(aws, {"Records": mine})["errorType"] == "Runtime.ExitError"
        assert stored(aws, *(f"repo#turn-{call}-{number}" for number in range(3))) == [number < call for number in range(3)]
        assert control("calls")[name]["count"] == call


def test_a_killed_batch_is_delivered_again(aws: EmbeddedAws, control: Control) -> None:
    aws.settle()
    control("kill", function="Worker", call=1)
    assert aws.stack is not None
    aws.client("sqs").send_message(QueueUrl=aws.stack.ref("Jobs"), MessageBody=json.dumps({"name": "redelivered"}))
    report = aws.settle()
    assert (report["killed"], report["errors"][aws.stack.ref("Worker")]) == (1, 1)
    assert report["invocations"][aws.stack.ref("Worker")] == 2
    assert stored(aws, "repo#redelivered") == [True]


def test_a_kill_can_be_taken_back(aws: EmbeddedAws, control: Control) -> None:
    control("kill", function="Worker", call=1)
    assert control("kill", clear=True)["armed"] == []
    assert put(aws, "spared") == {}


def test_visitors_and_other_functions_are_not_counted(aws: EmbeddedAws, control: Control) -> None:
    control("calls", reset=True)
    aws.client("ecr").describe_repositories()
    put(aws, "counted")
    aws.settle()
    assert aws.stack is not None
    assert list(control("calls")) == [aws.stack.ref("Worker")]


@pytest.mark.parametrize(
    "arguments",
    [
        {"function": "Nobody", "call": 1},
        {"function": "Worker"},
        {"function": "Worker", "call": 0},
        {"function": "Worker", "call": 1, "when": "never"},
    ],
)
def test_impossible_kills_are_refused(control: Control, arguments: dict[str, Any]) -> None:
    status, content = control("kill", **arguments)
    assert status == 400
    assert content["error"]
    assert control("kill")["armed"] == []
