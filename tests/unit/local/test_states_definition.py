"""Definitions of state machines: what AWS refuses at creation, and what is not run here."""

import json
from typing import Any

import pytest

from local.states.definition import MAX_SIZE, InvalidDefinition, check

INVOKE = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "f"}, "End": True}
PASS = {"Type": "Pass", "End": True}


def machine(states: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"StartAt": next(iter(states), "A"), "States": states, **more}


def each(processor: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Type": "Map", "ItemProcessor": {**machine({"W": PASS}), **processor}, "End": True, **more}


def test_a_whole_machine_is_taken() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.why", "Next": "Failed"}]
    retry = [{"ErrorEquals": ["Throttled"], "IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 3, "JitterStrategy": "FULL"}]
    document = machine(
        {
            "A": {**INVOKE, "Next": "B", "Catch": catch, "Retry": retry, "TimeoutSeconds": 5, "ResultSelector": {"a": 1}} | {"End": False},
            "B": {"Type": "Choice", "Choices": [{"Variable": "$.n", "IsPresent": True, "Next": "C"}], "Default": "D"},
            "C": each({"ProcessorConfig": {"Mode": "INLINE"}}, ItemsPath="$.items", MaxConcurrency=4, ItemSelector={"a.$": "$"}),
            "D": {"Type": "Wait", "Seconds": 1, "Next": "E"},
            "E": {"Type": "Parallel", "Branches": [machine({"X": PASS})], "Next": "F"},
            "F": {"Type": "Succeed"},
            "Failed": {"Type": "Fail", "ErrorPath": "$.why.Error", "CausePath": "$.why.Cause"},
        },
        Comment="all",
        TimeoutSeconds=60,
    )
    assert check(json.dumps(document)) == document


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (machine({"A": PASS}, Colour="red"), "unknown field Colour at /"),
        (machine({}), "StartAt and States are needed at /"),
        (machine({"A": PASS}) | {"StartAt": "Z"}, "there is no state Z to start at"),
        (machine({"A": PASS}, QueryLanguage="JSONata"), "query language JSONata at /"),
        (machine({"A": PASS | {"QueryLanguage": "JSONata"}}), "query language JSONata at /States/A"),
        (machine({"A": {"Type": "Dance"}}), "unknown type of state at /States/A"),
        (machine({"A": PASS, "B": PASS}), "not reachable at /States/B"),
        (machine({"A": {"Type": "Pass", "Next": "B"}}), "no state B to go to, at /States/A/Next"),
        (machine({"A": INVOKE | {"Catch": [{"ErrorEquals": ["X"], "Next": "B"}]}}), r"no state B to go to, at /States/A/Catch\[0\]"),
        (machine({"A": {"Type": "Choice", "Choices": [{"Next": "B"}], "Default": "A"}}), r"at /States/A/Choices\[0\]"),
        (machine({"A": {"Type": "Pass"}}), "either Next or End is needed at /States/A"),
        (machine({"A": PASS | {"Next": "A"}}), "either Next or End is needed at /States/A"),
        (machine({"A" * 81: PASS}), "longer than 80 characters"),
        (machine({"A": PASS | {"Resource": "x"}}), "unknown field Resource at /States/A"),
        (
            machine({"A": INVOKE | {"Resource": "arn:aws:states:::sqs:sendMessage"}}),
            "does not know the task arn:aws:states:::sqs:sendMessage",
        ),
        (machine({"A": INVOKE | {"Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken"}}), "does not know the task"),
        (machine({"A": INVOKE | {"Parameters": {}}}), "needs a FunctionName"),
        (machine({"A": INVOKE | {"Parameters": {"FunctionName": "f", "InvocationType": "Event"}}}), "parameter InvocationType"),
        (machine({"A": each({"ProcessorConfig": {"Mode": "DISTRIBUTED"}})}), "mode INLINE only"),
        (machine({"A": each({}, ToleratedFailurePercentage=5)}), "unknown field ToleratedFailurePercentage"),
        (machine({"A": {"Type": "Map", "End": True}}), "an ItemProcessor is needed"),
        (machine({"A": each({"StartAt": "Z"})}), "no state Z to start at, at /States/A/ItemProcessor/StartAt"),
        (machine({"A": {"Type": "Parallel", "Branches": [machine({})], "End": True}}), r"needed at /States/A/Branches\[0\]/"),
    ],
)
def test_is_refused(document: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidDefinition, match=words):
        check(json.dumps(document))


@pytest.mark.parametrize(("text", "words"), [("{", "not JSON"), ("[]", "not a JSON object"), (" " * (MAX_SIZE + 1), "larger than 1 MB")])
def test_what_is_no_definition_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidDefinition, match=words):
        check(text)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidDefinition) as caught:
        check(json.dumps(machine({"A": {"Type": "Pass", "Next": "B"}, "C": PASS})))
    assert str(caught.value) == "there is no state B to go to, at /States/A/Next; the state is not reachable at /States/C"
