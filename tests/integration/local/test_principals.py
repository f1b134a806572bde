"""Who is behind an access key."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local import principals
from local.principals import Principal, access_key_of, identify

ROLE = "arn:aws:iam::123456789012:role/team/governor"


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    principals.install()
    with mock_aws():
        yield


def client(service: str, key: str = "alice", secret: str = "x", token: str | None = None) -> Any:  # noqa: S107
    session: Any = boto3
    return session.client(service, region_name="eu-west-1", aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token)


def test_an_unknown_key_names_a_user_after_itself() -> None:
    assert identify("alice").arn == "arn:aws:iam::123456789012:user/alice"


def test_a_session_key_is_the_role_with_its_path() -> None:
    credentials = client("sts").assume_role(RoleArn=ROLE, RoleSessionName="janitor")["Credentials"]
    principal = identify(credentials["AccessKeyId"])
    assert (principal.kind, principal.role_arn, principal.session_name) == ("AssumedRole", ROLE, "janitor")
    assert principal.arn == "arn:aws:sts::123456789012:assumed-role/governor/janitor"
    assert principal.policy_arn == ROLE


def test_an_iam_users_key_is_that_user() -> None:
    iam = client("iam")
    iam.create_user(UserName="bob")
    key = iam.create_access_key(UserName="bob")["AccessKey"]["AccessKeyId"]
    assert identify(key).user_name == "bob"


def test_caller_identity_agrees_with_cloudtrail() -> None:
    credentials = client("sts").assume_role(RoleArn=ROLE, RoleSessionName="janitor")["Credentials"]
    sts = client("sts", credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
    principal = identify(credentials["AccessKeyId"])
    answer = sts.get_caller_identity()
    assert (answer["Arn"], answer["Account"]) == (principal.arn, principal.account)
    assert answer["UserId"] == principal.user_identity()["principalId"]
    assert client("sts").get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:user/alice"


def test_a_role_is_written_with_its_session_issuer() -> None:
    principal = Principal(kind="AssumedRole", account="123456789012", access_key_id="A", role_arn=ROLE, session_name="s1")
    identity = principal.user_identity(invoked_by="ecr.amazonaws.com")
    issuer = identity["sessionContext"]["sessionIssuer"]
    assert (issuer["type"], issuer["arn"], issuer["userName"]) == ("Role", ROLE, "governor")
    assert identity["principalId"] == f"{issuer['principalId']}:s1"
    assert identity["invokedBy"] == "ecr.amazonaws.com"


def test_a_user_and_a_service_have_no_session() -> None:
    user = identify("alice").user_identity()
    assert (user["type"], user["userName"]) == ("IAMUser", "alice")
    assert "sessionContext" not in user
    assert "invokedBy" not in user
    service = Principal(kind="AWSService", account="123456789012", access_key_id="", service="ecr.amazonaws.com")
    assert service.user_identity() == {"type": "AWSService", "invokedBy": "ecr.amazonaws.com"}


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({"authorization": "AWS4-HMAC-SHA256 Credential=alice/20261123/eu-west-1/ecr/aws4_request, SignedHeaders=host"}, None, "alice"),
        ({}, {"X-Amz-Credential": "bob/20261123/eu-west-1/s3/aws4_request"}, "bob"),
        ({}, None, "anonymous"),
    ],
)
def test_the_access_key_is_read_from_header_or_query(headers: dict[str, str], query: dict[str, str] | None, expected: str) -> None:
    assert access_key_of(headers, query) == expected
