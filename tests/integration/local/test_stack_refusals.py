"""What a template may not ask of the embedded AWS is an error that names it."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.server import EmbeddedAws
from local.stack.errors import StackError
from local.stack.intrinsics import Resolver
from local.stack.stack import Stack


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as embedded:
        yield embedded


@pytest.fixture
def aws(running: EmbeddedAws) -> Iterator[EmbeddedAws]:
    yield running
    running.stack = None


def deploy(aws: EmbeddedAws, resources: dict[str, Any], **rest: Any) -> Stack:
    return aws.deploy_transformed({"Resources": resources, **rest}, {}, f"s{len(aws.bus.rules)}")


QUEUE = {"Type": "AWS::SQS::Queue"}


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"X": {"Type": "AWS::EC2::Instance"}}, "X: .* does not know the resource type AWS::EC2::Instance"),
        ({"X": {**QUEUE, "Properties": {"Colour": "red"}}}, "X: .* these properties of AWS::SQS::Queue: Colour"),
        ({"X": {**QUEUE, "Properties": {"QueueName": {"Fn::Cidr": []}}}}, "intrinsic Fn::Cidr"),
        ({"X": {**QUEUE, "Properties": {"QueueName": {"Ref": "Nobody"}}}}, "there is no Nobody"),
        ({"X": {**QUEUE, "Properties": {"QueueName": "{{resolve:ssm:/a}}"}}}, "dynamic reference"),
        ({"X": {**QUEUE, "Properties": {"QueueName": {"Ref": "X"}}}}, "circular dependency: X → X"),
        ({"Q": QUEUE, "X": {**QUEUE, "Properties": {"QueueName": {"Fn::GetAtt": ["Q", "Size"]}}}}, "attribute Size of Q"),
        ({"X": {**QUEUE, "CreationPolicy": {}}}, "resource attributes: CreationPolicy"),
        ({"X": {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"a": "b"}}}}, "X: InvalidEventPatternException"),
        (
            {
                "X": {
                    "Type": "AWS::Scheduler::Schedule",
                    "Properties": {"FlexibleTimeWindow": {"Mode": False}, "ScheduleExpression": "rate(1 day)"},
                }
            },
            "unquoted OFF is YAML's false",
        ),
        ({"X": {"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "rate(1 days)"}}}, "not a schedule"),
    ],
)
def test_is_refused(aws: EmbeddedAws, resources: dict[str, Any], words: str) -> None:
    with pytest.raises(StackError, match=words):
        deploy(aws, resources)


def resolver(**template: Any) -> Resolver:
    def attribute(logical_id: str, name: str | None) -> str:
        return f"{logical_id}.{name}" if name else logical_id

    return Resolver(template, {}, {"AWS::Region": "eu-west-1"}, attribute)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Fn::Sub": "${AWS::Region}/${Q.Arn}/${!x}/${Q}"}, "eu-west-1/Q.Arn/${x}/Q"),
        ({"Fn::Sub": ["${a}-${P}", {"a": {"Ref": "Q"}}]}, "Q-p"),
        ({"Fn::Join": [",", ["a", {"Ref": "P"}]]}, "a,p"),
        ({"Fn::If": ["Yes", 1, 2]}, 1),
        ({"Fn::If": ["No", 1, 2]}, 2),
        ([1, {"Ref": "AWS::NoValue"}], [1]),
        ({"a": {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}}, {}),
        ({"Fn::Select": [1, {"Fn::Split": ["-", "a-b"]}]}, "b"),
        ({"Fn::FindInMap": ["M", "eu-west-1", "x"]}, "y"),
        ({"Fn::Base64": "a"}, "YQ=="),
        ({"Fn::And": [{"Condition": "Yes"}, {"Fn::Not": [{"Condition": "No"}]}]}, True),
        ({"Ref": "L"}, ["a", "b"]),
    ],
)
def test_intrinsics(value: Any, expected: Any) -> None:
    made = resolver(
        Parameters={"P": {"Type": "String", "Default": "p"}, "L": {"Type": "CommaDelimitedList", "Default": "a, b"}},
        Conditions={"Yes": {"Fn::Equals": ["a", "a"]}, "No": {"Fn::Or": [{"Fn::Not": [{"Condition": "Yes"}]}, {"Fn::Equals": [1, 2]}]}},
        Mappings={"M": {"eu-west-1": {"x": "y"}}},
    )
    assert made.resolve(value) == expected


@pytest.mark.parametrize(
    ("parameter", "given", "words"),
    [
        ({"Type": "String"}, {}, "no value"),
        ({"Type": "String", "AllowedValues": ["a"]}, {"P": "b"}, "is not one of"),
        ({"Type": "String", "AllowedPattern": "[a-z]+"}, {"P": "1"}, "does not match"),
        ({"Type": "Number", "MaxValue": 3}, {"P": "4"}, "out of range"),
        ({"Type": "String", "Default": ""}, {"Q": "4"}, "no such parameters: Q"),
        ({"Type": "AWS::SSM::Parameter::Value<String>", "Default": "x"}, {}, "parameter type"),
    ],
)
def test_parameters_are_checked(parameter: dict[str, Any], given: dict[str, str], words: str) -> None:
    with pytest.raises(StackError, match=words):
        Resolver({"Parameters": {"P": parameter}}, given, {}, lambda *_: "")
