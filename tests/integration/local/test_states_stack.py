"""State machines of a template: what of it is understood, and what is refused."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from local.server import EmbeddedAws
from local.stack.errors import StackError
from local.stack.transform import transform

numbers = count()


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as embedded:
        yield embedded


TRUST = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "states.amazonaws.com"}}]}
PASS = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}


def deployed(role: Mapping[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    """A template with a role and a state machine."""
    machine = {"RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}, "DefinitionString": json.dumps(PASS), **properties}
    return {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST, **(role or {})}},
            "M": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {key: value for key, value in machine.items() if value is not None},
            },
        }
    }


LAMBDA_TRUST = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]}


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (deployed(EncryptionConfiguration={}), "these properties of AWS::StepFunctions::StateMachine: EncryptionConfiguration"),
        (deployed(StateMachineType="EXPRESS"), "type STANDARD only"),
        (deployed({"AssumeRolePolicyDocument": LAMBDA_TRUST}), "authorized to assume the provided role"),
        (deployed(LoggingConfiguration={"Level": "ALL"}), "not authorized to access the Log Destination: logs:CreateLogDelivery"),
        (deployed(DefinitionString='{"StartAt": "${Nobody}"}'), r"no substitution for \$\{Nobody\}"),
        (deployed(DefinitionString='{"StartAt": "A", "States": {}}'), "StartAt and States are needed"),
        (deployed(DefinitionString=None), "either DefinitionString or Definition"),
        (deployed(Definition=PASS), "either DefinitionString or Definition"),
    ],
)
def test_a_template_is_refused(aws: EmbeddedAws, template: dict[str, Any], words: str) -> None:
    aws.stack = None
    with pytest.raises(StackError, match=words):
        aws.deploy_transformed(template, {}, f"s{next(numbers)}")


def test_definitions_may_be_joined_or_objects_and_substituted(aws: EmbeddedAws) -> None:
    joined = {"Fn::Join": ["\n", ['{"StartAt": "${First}",', '"States": {"A": {"Type": "Pass", "End": ${End}}}}']]}
    as_object = {"StartAt": "${First}", "States": {"A": {"Type": "Pass", "End": True}}}
    for definition in ({"DefinitionString": joined}, {"DefinitionString": None, "Definition": as_object}):
        aws.stack = None
        template = deployed(**definition, DefinitionSubstitutions={"First": "A", "End": True}, Tags=[{"Key": "k", "Value": "v"}])
        stack = aws.deploy_transformed(template, {}, f"s{next(numbers)}")
        sfn = aws.client("stepfunctions")
        text = sfn.describe_state_machine(stateMachineArn=stack.ref("M"))["definition"]
        assert json.loads(text) == PASS
        assert sfn.list_tags_for_resource(resourceArn=stack.ref("M"))["tags"] == [{"key": "k", "value": "v"}]
        arn = sfn.start_execution(stateMachineArn=stack.ref("M"), input='{"a": 1}')["executionArn"]
        assert aws.settle()["idle"]
        assert sfn.describe_execution(executionArn=arn)["output"] == '{"a":1}'


def test_a_role_that_may_log_is_enough_for_logging(aws: EmbeddedAws) -> None:
    statement = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    role = {"Policies": [{"PolicyName": "log", "PolicyDocument": {"Statement": [statement]}}]}
    aws.stack = None
    stack = aws.deploy_transformed(deployed(role, LoggingConfiguration={"Level": "ERROR", "IncludeExecutionData": False}), {}, "logs")
    found = aws.client("stepfunctions").describe_state_machine(stateMachineArn=stack.ref("M"))["loggingConfiguration"]
    assert (found["level"], found["includeExecutionData"]) == ("ERROR", False)


def test_a_definition_comes_from_its_file_or_the_file_is_named(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    resource = {"Type": "AWS::Serverless::StateMachine", "Properties": {"DefinitionUri": "m.asl.json", "Role": "arn:aws:iam::1:role/r"}}
    template.write_text(json.dumps({"Transform": "AWS::Serverless-2016-10-31", "Resources": {"M": resource}}))
    with pytest.raises(StackError, match=r"M: the definition is not a file on this machine: 'm\.asl\.json'"):
        transform(template, {})
    (tmp_path / "m.asl.json").write_text(json.dumps(PASS))
    machine = transform(template, {})["Resources"]["M"]["Properties"]
    assert json.loads("".join(machine["DefinitionString"]["Fn::Join"][1])) == PASS


def test_a_schedule_whose_role_may_not_start_is_refused(aws: EmbeddedAws) -> None:
    template = deployed()
    target = {"Arn": {"Ref": "M"}, "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}, "Input": "{}"}
    template["Resources"]["Often"] = {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {"ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target},
    }
    aws.stack = None
    aws.deploy_transformed(template, {}, "refused")
    aws.settle()
    started = datetime.now(UTC)
    assert aws.advance(timedelta(hours=2))["executions"]["started"] == 0
    assert any(one.action == "states:StartExecution" for one in aws.authorizations.denied())
    assert datetime.now(UTC) - started >= timedelta(hours=2)
