"""What uses images elsewhere than in ECS and Lambda: told as the services' models have it, to whoever may ask, and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.server import EmbeddedAws
from tests.using import put_project, put_service

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
MAY_LIST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "codebuild:ListProjects", "Resource": "*"}]}


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as embedded:
        yield embedded


@pytest.fixture(autouse=True)
def _nothing_left(aws: EmbeddedAws) -> Iterator[None]:
    yield
    aws.workloads.clear()


def code_of(call: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**params)
    return str(refused.value.response["Error"]["Code"])


def test_what_is_not_there_to_be_told_is_refused(aws: EmbeddedAws) -> None:
    assert code_of(aws.client("codebuild").delete_project, name="build") == "NotImplementedByEmbeddedAws"
    assert code_of(aws.client("batch").list_tags_for_resource, resourceArn="arn:aws:batch:eu-west-1:1:a") == "NotImplementedByEmbeddedAws"
    with pytest.raises(KeyError, match="codebuild knows no service"):
        aws.workloads.put("codebuild", "service", name="x")


def test_what_the_service_could_not_say_is_refused(aws: EmbeddedAws) -> None:
    put_service(aws, "x", "an image")
    assert code_of(aws.client("apprunner").list_services) == "EmbeddedAwsFailure"


def test_a_role_of_the_stack_is_told_what_it_may_ask(aws: EmbeddedAws) -> None:
    put_project(aws, "build", "an image")
    iam = aws.client("iam")
    arn = iam.create_role(RoleName="asker", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="asker", PolicyName="own", PolicyDocument=json.dumps(MAY_LIST))
    assert aws.roles is not None
    aws.roles.register(arn, "Asker")
    credentials = aws.roles.credentials(arn, "session")
    client = boto3.client(
        "codebuild",
        endpoint_url=aws.endpoint,
        region_name=aws.region,
        aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=credentials["AWS_SESSION_TOKEN"],
        config=Config(retries={"total_max_attempts": 1}),
    )
    assert client.list_projects()["projects"] == ["build"]
    assert code_of(client.batch_get_projects, names=["build"]) == "AccessDeniedException"
    assert {(each.action, each.allowed) for each in aws.authorizations.counts} == {
        ("codebuild:ListProjects", True),
        ("codebuild:BatchGetProjects", False),
    }
