"""State machines: tasks, maps, errors and ends as on AWS, with the role's rights and without the waiting."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from local.queues.mapping import Pace
from local.server import EmbeddedAws

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.11, Handler: app.handler, Timeout: 1}
Resources:
  Step: {Type: AWS::Serverless::Function, Properties: {CodeUri: Step}}
  Forbidden: {Type: AWS::Serverless::Function, Properties: {CodeUri: Step}}
  Sweep:
    Type: AWS::Serverless::StateMachine
    Properties:
      Name: !Sub "${AWS::StackName}-sweep"
      DefinitionUri: sweep.asl.yaml
      DefinitionSubstitutions: {Step: !GetAtt Step.Arn}
      Policies: [{LambdaInvokePolicy: {FunctionName: !Ref Step}}]
      Events:
        Nightly:
          Type: ScheduleV2
          Properties: {ScheduleExpression: "cron(0 3 * * ? *)", FlexibleTimeWindow: {Mode: "OFF"}, Input: '{"n": 2}'}
Outputs:
  SweepArn: {Value: !Ref Sweep}
  SweepName: {Value: !GetAtt Sweep.Name}
  SameArn: {Value: !GetAtt Sweep.Arn}
"""
SWEEP = """
StartAt: Plan
States:
  Plan:
    Type: Task
    Resource: arn:aws:states:::lambda:invoke
    Parameters: {FunctionName: "${Step}", Payload: {do: items, "n.$": $.n}}
    ResultSelector: {"items.$": $.Payload}
    ResultPath: $.plan
    Next: Each
  Each:
    Type: Map
    ItemsPath: $.plan.items
    MaxConcurrency: 3
    ItemSelector: {"item.$": "$$.Map.Item.Value", "n.$": $.n}
    ItemProcessor:
      ProcessorConfig: {Mode: INLINE}
      StartAt: Work
      States:
        Work:
          Type: Task
          Resource: arn:aws:states:::lambda:invoke
          Parameters: {FunctionName: "${Step}", Payload: {do: twice, "item.$": $.item}}
          OutputPath: $.Payload
          End: true
    ResultPath: $.results
    Next: Done
  Done: {Type: Pass, Parameters: {"results.$": $.results}, End: true}
"""
STEP = """
import os, time

calls = {}

class Throttled(Exception):
    pass

def handler(event, context):
    do = event["do"]
    if do == "items":
        return list(range(event["n"]))
    if do == "twice":
        return 2 * event["item"]
    if do == "fail":
        key = event.get("key", "")
        calls[key] = calls.get(key, 0) + 1
        if calls[key] <= event["times"]:
            raise Throttled(f"attempt {calls[key]}")
        return calls[key]
    if do == "die":
        os.kill(os.getpid(), 9)
    if do == "sleep":
        time.sleep(event["seconds"])
    if do == "big":
        return "x" * event["size"]
    return event
"""
INVOKE = "arn:aws:states:::lambda:invoke"
numbers = count()
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("built")
    (made / "Step").mkdir()
    (made / "Step" / "app.py").write_text(STEP)
    (made / "template.yaml").write_text(TEMPLATE)
    (made / "sweep.asl.yaml").write_text(SWEEP)
    return made


@pytest.fixture(scope="module")
def aws(folder: Path) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(pace=Pace(retry_delay=0.05), concurrency=3) as embedded:
        embedded.deploy(folder / "template.yaml", {}, "night")
        yield embedded


def task(do: str, *, function: str = "Step", next_state: str | None = None, **more: Any) -> dict[str, Any]:
    payload = {key: more.pop(key) for key in list(more) if key[0].islower()}
    state = {"Type": "Task", "Resource": INVOKE, "Parameters": {"FunctionName": function, "Payload": {"do": do, **payload}}, **more}
    return {**state, **({"Next": next_state} if next_state else {"End": True})}


def mapped(processor: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"Type": "Map", "ItemProcessor": {"StartAt": "Work", "States": {"Work": processor}}, "End": True, **more}


def ended(aws: EmbeddedAws, arn: str) -> dict[str, Any]:
    assert aws.settle(60)["idle"]
    found: dict[str, Any] = aws.client("stepfunctions").describe_execution(executionArn=arn)
    return found


def events_of(aws: EmbeddedAws, arn: str) -> list[dict[str, Any]]:
    pages = (
        aws.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn, PaginationConfig={"PageSize": 1000})
    )
    return [event for page in pages for event in page["events"]]


@pytest.fixture
def machine(aws: EmbeddedAws) -> Callable[..., str]:
    """Make a state machine with the role of the stack's own; a task's function is named by its logical id."""

    def make(states: Mapping[str, Any]) -> str:
        assert aws.stack is not None
        text = json.dumps({"StartAt": next(iter(states)), "States": states})
        for name in ("Step", "Forbidden"):
            text = text.replace(f'"FunctionName": "{name}"', f'"FunctionName": "{aws.stack.attribute(name, "Arn")}"')
        role = aws.stack.attribute("SweepRole", "Arn")
        made = aws.client("stepfunctions").create_state_machine(name=f"m{next(numbers)}", definition=text, roleArn=role)
        return str(made["stateMachineArn"])

    return make


@pytest.fixture
def run(aws: EmbeddedAws, machine: Callable[..., str]) -> Run:
    """Run states to the end, and return the execution as it is described."""

    def _run(states: Mapping[str, Any], given: Any = None) -> dict[str, Any]:
        started = aws.client("stepfunctions").start_execution(
            stateMachineArn=machine(states), input=json.dumps({} if given is None else given)
        )
        return ended(aws, started["executionArn"])

    return _run


def start(aws: EmbeddedAws, given: Mapping[str, Any], **more: Any) -> str:
    assert aws.stack is not None
    started = aws.client("stepfunctions").start_execution(stateMachineArn=aws.stack.ref("Sweep"), input=json.dumps(given), **more)
    return str(started["executionArn"])


def test_a_deployed_machine_maps_hundreds_of_items(aws: EmbeddedAws) -> None:
    aws.settle()
    begun = time.monotonic()
    arn = start(aws, {"n": 300})
    report = aws.settle(60)
    assert time.monotonic() - begun < 30
    assert report["executions"] == {"started": 1, "succeeded": 1, "failed": 0, "aborted": 0}
    assert aws.stack is not None
    assert report["invocations"][aws.stack.ref("Step")] == 301
    found = ended(aws, arn)
    assert found["status"] == "SUCCEEDED"
    assert json.loads(found["output"]) == {"results": [2 * item for item in range(300)]}
    assert ("lambda:InvokeFunction", aws.stack.attribute("Step", "Arn")) in aws.authorizations.used("SweepRole")


def test_settle_waits_for_a_running_execution(aws: EmbeddedAws, run: Run) -> None:
    assert run({"A": task("sleep", seconds=0.4)})["status"] == "SUCCEEDED"


def test_outputs_name_the_state_machine(aws: EmbeddedAws) -> None:
    assert aws.stack is not None
    arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:night-sweep"
    assert aws.stack.outputs == {"SweepArn": arn, "SweepName": "night-sweep", "SameArn": arn}
    assert aws.client("stepfunctions").describe_state_machine(stateMachineArn=arn)["roleArn"] == aws.stack.attribute("SweepRole", "Arn")


def test_a_schedule_starts_an_execution_with_its_input(aws: EmbeddedAws) -> None:
    aws.settle()
    report = aws.advance(timedelta(days=2))
    assert (report["idle"], report["executions"]["succeeded"]) == (True, 2)
    assert aws.stack is not None
    newest = aws.client("stepfunctions").list_executions(stateMachineArn=aws.stack.ref("Sweep"))["executions"][0]
    assert newest["startDate"].astimezone(UTC).hour == 3
    assert json.loads(ended(aws, newest["executionArn"])["output"]) == {"results": [0, 2]}
    assert {action for action, _ in aws.authorizations.used("SweepNightlyRole")} == {"states:StartExecution"}


# Errors


def test_a_retry_names_the_functions_error_and_waits_no_longer_than_the_pace(aws: EmbeddedAws, run: Run) -> None:
    retry = [{"ErrorEquals": ["Throttled"], "IntervalSeconds": 30, "BackoffRate": 2, "MaxAttempts": 3, "JitterStrategy": "FULL"}]
    begun = time.monotonic()
    found = run({"A": task("fail", key="retried", times=2, OutputPath="$.Payload", Retry=retry)})
    assert time.monotonic() - begun < 10
    assert (found["status"], found["output"]) == ("SUCCEEDED", "3")
    failed = [event["taskFailedEventDetails"] for event in events_of(aws, found["executionArn"]) if event["type"] == "TaskFailed"]
    assert [(one["error"], json.loads(one["cause"])["errorMessage"]) for one in failed] == [
        ("Throttled", "attempt 1"),
        ("Throttled", "attempt 2"),
    ]


def test_retries_run_out_and_another_error_is_not_retried(run: Run) -> None:
    retry = [{"ErrorEquals": ["Throttled"], "MaxAttempts": 2}]
    found = run({"A": task("fail", key="exhausted", times=9, Retry=retry)})
    assert (found["status"], found["error"], json.loads(found["cause"])["errorMessage"]) == ("FAILED", "Throttled", "attempt 3")
    found = run({"A": task("fail", key="other", times=9, Retry=[{"ErrorEquals": ["Denied"]}])})
    assert json.loads(found["cause"])["errorMessage"] == "attempt 1"


def test_an_error_that_is_not_to_be_retried_goes_to_its_catcher(run: Run) -> None:
    retry = [{"ErrorEquals": ["Throttled"], "MaxAttempts": 0}, {"ErrorEquals": ["States.ALL"], "MaxAttempts": 5, "MaxDelaySeconds": 9}]
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Kept"}]
    found = run({"A": task("fail", key="once", times=1, Retry=retry, Catch=catch), "Kept": {"Type": "Succeed"}}, {"kept": 1})
    assert (found["status"], json.loads(found["output"])) == ("SUCCEEDED", {"kept": 1})


@pytest.mark.parametrize("caught", ["Throttled", "States.TaskFailed", "States.ALL"])
def test_a_catcher_gets_error_and_cause(run: Run, caught: str) -> None:
    catch = [
        {"ErrorEquals": ["Denied"], "Next": "Wrong"},
        {"ErrorEquals": [caught], "ResultPath": "$.failure", "Next": "Handled"},
    ]
    found = run(
        {
            "A": task("fail", key=caught, times=9, Catch=catch),
            "Wrong": {"Type": "Fail"},
            "Handled": {"Type": "Fail", "ErrorPath": "$.failure.Error", "CausePath": "$.input"},
        },
        {"input": "kept"},
    )
    assert (found["status"], found["error"], found["cause"]) == ("FAILED", "Throttled", "kept")


@pytest.mark.parametrize(
    ("state", "error", "cause"),
    [
        (task("die"), "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        (task("sleep", seconds=30), "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
        (task("x", function="Forbidden"), "Lambda.AWSLambdaException", "is not authorized to perform: lambda:InvokeFunction on resource: "),
        (task("x", function="nobody"), "Lambda.AWSLambdaException", "function:nobody because no identity-based policy allows"),
    ],
)
def test_what_lambda_itself_reports(run: Run, state: dict[str, Any], error: str, cause: str) -> None:
    found = run({"A": state})
    assert (found["status"], found["error"]) == ("FAILED", error)
    assert cause in found["cause"]


def test_a_refused_function_is_in_the_journal(aws: EmbeddedAws, run: Run) -> None:
    run({"A": task("x", function="Forbidden")})
    assert aws.stack is not None
    arn = aws.stack.attribute("Forbidden", "Arn")
    assert any((one.role, one.action, one.resource) == ("SweepRole", "lambda:InvokeFunction", arn) for one in aws.authorizations.denied())


def test_a_time_out_without_an_error_type_is_unknown(aws: EmbeddedAws, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws.states, "_untyped_timeouts", True)
    found = run({"A": task("sleep", seconds=30)})
    assert found["error"] == "Lambda.Unknown"
    assert found["cause"].startswith("The cause could not be determined because Lambda did not return an error type. Returned payload: {")


def test_a_function_may_be_the_resource_itself(aws: EmbeddedAws, run: Run) -> None:
    assert aws.stack is not None
    direct = {"Type": "Task", "Resource": aws.stack.attribute("Step", "Arn"), "End": True}
    assert run({"A": direct}, {"do": "twice", "item": 4})["output"] == "8"
    assert run({"A": direct}, {"do": "die"})["error"] == "Runtime.ExitError"


def test_data_above_256_kib_fails_and_nothing_of_all_catches_it(run: Run) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "B"}]
    states = {"A": task("big", size=1, Catch=catch, next_state="B"), "B": {"Type": "Succeed"}}
    for size, status in ((200_000, "SUCCEEDED"), (270_000, "FAILED")):
        states["A"]["Parameters"]["Payload"]["size"] = size
        found = run(states)
        assert found["status"] == status
    assert found["error"] == "States.DataLimitExceeded"
    twice = {"FunctionName": "Step", "Payload": {"do": "x", "one.$": "$.a", "two.$": "$.a"}}
    found = run({"A": {**states["A"], "Parameters": twice}, "B": states["B"]}, {"a": "x" * 140_000})
    assert (found["status"], found["error"]) == ("FAILED", "States.DataLimitExceeded"), found["cause"]


def test_an_execution_of_25000_events_fails(aws: EmbeddedAws, run: Run) -> None:
    found = run({"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}})
    assert (found["status"], found["error"]) == ("FAILED", "States.Runtime")
    assert found["cause"] == "The execution reached the maximum number of history events (25000)."
    events = aws.states.backend.describe_execution(found["executionArn"]).history.events()
    assert (len(events), events[-1]["type"]) == (25_000, "ExecutionFailed")


# Maps


def test_a_map_takes_items_one_after_the_other_however_many(run: Run) -> None:
    found = run({"M": mapped({"Type": "Pass", "End": True}, ItemsPath="$.items", MaxConcurrency=1)}, {"items": list(range(1200))})
    assert json.loads(found["output"]) == list(range(1200))


def test_one_failing_item_fails_the_map_by_its_error(run: Run) -> None:
    work = {**task("x"), "Parameters": {"FunctionName": "Step", "Payload.$": "$"}}
    items = [{"do": "fail", "key": "map", "times": 9}, *({"do": "sleep", "seconds": 0.2} for _ in range(6))]
    catch = [{"ErrorEquals": ["Throttled"], "ResultPath": "$.why", "Next": "Handled"}]
    each = {**mapped(work, ItemsPath="$.items", MaxConcurrency=2, Catch=catch, Next="Never")}
    del each["End"]
    found = run(
        {"M": each, "Never": {"Type": "Fail"}, "Handled": {"Type": "Pass", "OutputPath": "$.why.Error", "End": True}}, {"items": items}
    )
    assert (found["status"], found["output"]) == ("SUCCEEDED", '"Throttled"')
    assert run({"M": mapped(work, ItemsPath="$.items")}, {"items": items})["error"] == "Throttled"


def test_an_item_is_retried_by_itself(run: Run) -> None:
    work = {**task("x"), "Parameters": {"FunctionName": "Step", "Payload.$": "$"}, "OutputPath": "$.Payload"}
    work["Retry"] = [{"ErrorEquals": ["Throttled"], "MaxAttempts": 2}]
    items = [{"do": "fail", "key": f"item-{number}", "times": number % 2} for number in range(4)]
    # One environment counts the calls of all.
    found = run({"M": mapped(work, ItemsPath="$.items", MaxConcurrency=1)}, {"items": items})
    assert found["status"] == "SUCCEEDED", found


def test_an_empty_map_is_an_empty_list(run: Run) -> None:
    assert run({"M": mapped({"Type": "Pass", "End": True})}, [])["output"] == "[]"


# Other states


def test_choices_passes_waits_and_branches(run: Run) -> None:
    branch = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": 1, "End": True}}}
    states = {
        "Which": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.n", "NumericGreaterThan": 5, "Next": "Big"},
                {"And": [{"Variable": "$.name", "StringMatches": "a*"}, {"Variable": "$.on", "BooleanEquals": True}], "Next": "Named"},
            ],
            "Default": "Rest",
        },
        "Big": {"Type": "Wait", "Seconds": 3600, "Next": "Waited"},
        "Waited": {"Type": "Pass", "Result": {"waited": True}, "ResultPath": "$.done", "End": True},
        "Named": {"Type": "Parallel", "Branches": [branch, branch], "End": True},
        "Rest": {"Type": "Fail", "Error": "Nothing", "Cause": "matched"},
    }
    assert json.loads(run(states, {"n": 6})["output"]) == {"n": 6, "done": {"waited": True}}
    assert json.loads(run(states, {"n": 1, "name": "abc", "on": True})["output"]) == [1, 1]
    found = run(states, {"n": 1, "name": "b", "on": True})
    assert (found["error"], found["cause"]) == ("Nothing", "matched")


def test_a_missing_path_is_a_runtime_error_that_nothing_catches(run: Run) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "B"}]
    state = {**task("x", next_state="B", Catch=catch), "Parameters": {"FunctionName": "Step", "Payload.$": "$.nothing"}}
    found = run({"A": state, "B": {"Type": "Succeed"}})
    assert (found["status"], found["error"]) == ("FAILED", "States.Runtime")
    assert "$.nothing" in found["cause"]


# The API


def test_names_are_taken_once_and_made_when_none_is_given(aws: EmbeddedAws) -> None:
    sfn = aws.client("stepfunctions")
    first = start(aws, {"n": 1}, name="mine")
    ended(aws, first)
    assert first == "arn:aws:states:eu-west-1:123456789012:execution:night-sweep:mine"
    with pytest.raises(sfn.exceptions.ExecutionAlreadyExists):
        start(aws, {"n": 1}, name="mine")
    assert start(aws, {"n": 1}) != start(aws, {"n": 1})
    assert aws.settle()["executions"] == {"started": 2, "succeeded": 2, "failed": 0, "aborted": 0}


def test_executions_are_listed_newest_first_by_pages(aws: EmbeddedAws, machine: Callable[..., str]) -> None:
    sfn = aws.client("stepfunctions")
    arn = machine(
        {
            "A": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 2, "Next": "F"}], "Default": "S"},
            "F": {"Type": "Fail"},
            "S": {"Type": "Succeed"},
        }
    )
    names = [f"run-{number}" for number in range(5)]
    for number, name in enumerate(names):
        ended(aws, sfn.start_execution(stateMachineArn=arn, name=name, input=json.dumps({"n": number}))["executionArn"])
    pages = sfn.get_paginator("list_executions").paginate(stateMachineArn=arn, PaginationConfig={"PageSize": 2})
    assert [[one["name"] for one in page["executions"]] for page in pages] == [["run-4", "run-3"], ["run-2", "run-1"], ["run-0"]]
    failed = sfn.list_executions(stateMachineArn=arn, statusFilter="FAILED")["executions"]
    assert [one["name"] for one in failed] == ["run-2"]
    with pytest.raises(sfn.exceptions.InvalidToken):
        sfn.list_executions(stateMachineArn=arn, nextToken="?")


def test_the_history_is_read_by_pages_and_backwards(aws: EmbeddedAws, run: Run) -> None:
    sfn = aws.client("stepfunctions")
    arn = run({"A": {"Type": "Pass", "Result": 1, "Next": "B"}, "B": {"Type": "Succeed"}})["executionArn"]
    types = ["ExecutionStarted", "PassStateEntered", "PassStateExited", "SucceedStateEntered", "SucceedStateExited", "ExecutionSucceeded"]
    for settings, expected in (({}, types), ({"reverseOrder": True}, types[::-1])):
        pages = sfn.get_paginator("get_execution_history").paginate(executionArn=arn, PaginationConfig={"PageSize": 4}, **settings)
        assert [event["type"] for page in pages for event in page["events"]] == expected
    bare = sfn.get_execution_history(executionArn=arn, includeExecutionData=False)["events"]
    assert "input" not in bare[1]["stateEnteredEventDetails"]


@pytest.mark.parametrize(
    "states",
    [
        {"A": task("sleep", seconds=0.5, next_state="B"), "B": task("fail", key="after", times=9)},
        {"A": task("fail", key="loop", times=10**6, Retry=[{"ErrorEquals": ["States.ALL"], "MaxAttempts": 10**6}])},
        {"A": mapped(task("sleep", seconds=0.3), ItemsPath="$.items")},
    ],
    ids=["task", "retries", "map"],
)
def test_a_stopped_execution_is_aborted_at_once(aws: EmbeddedAws, machine: Callable[..., str], states: dict[str, Any]) -> None:
    sfn = aws.client("stepfunctions")
    aws.settle()
    arn = sfn.start_execution(stateMachineArn=machine(states), input=json.dumps({"items": [1, 2, 3, 4]}))["executionArn"]
    time.sleep(0.2)
    sfn.stop_execution(executionArn=arn, error="Enough", cause="of this")
    found = sfn.describe_execution(executionArn=arn)
    assert (found["status"], found["error"], found["cause"]) == ("ABORTED", "Enough", "of this")
    assert found["stopDate"] >= found["startDate"]
    assert aws.settle(30)["executions"]["aborted"] == 1
    assert ended(aws, arn)["status"] == "ABORTED"
    last = events_of(aws, arn)[-1]
    assert (last["type"], last["executionAbortedEventDetails"]) == ("ExecutionAborted", {"error": "Enough", "cause": "of this"})


def test_unknown_machines_and_executions_and_bad_inputs_are_refused(aws: EmbeddedAws) -> None:
    sfn = aws.client("stepfunctions")
    nowhere = "arn:aws:states:eu-west-1:123456789012:stateMachine:nobody"
    with pytest.raises(sfn.exceptions.StateMachineDoesNotExist):
        sfn.start_execution(stateMachineArn=nowhere)
    with pytest.raises(sfn.exceptions.ExecutionDoesNotExist):
        sfn.describe_execution(executionArn="arn:aws:states:eu-west-1:123456789012:execution:night-sweep:nobody")
    assert aws.stack is not None
    for text in ("{", json.dumps("x" * 263_000)):
        with pytest.raises(sfn.exceptions.InvalidExecutionInput):
            sfn.start_execution(stateMachineArn=aws.stack.ref("Sweep"), input=text)
    with pytest.raises(sfn.exceptions.InvalidDefinition, match="there is no state B to go to"):
        sfn.create_state_machine(
            name="broken",
            definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}),
            roleArn=aws.stack.attribute("SweepRole", "Arn"),
        )
    assert aws.settle()["idle"]
