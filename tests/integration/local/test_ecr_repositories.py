"""Repositories: names, pages, policies, tags, tag mutability."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from local import ecr
from local.trail import Trail

ARN = "arn:aws:ecr:eu-west-1:123456789012:repository/"


@cache
def client(key: str = "alice") -> Any:
    config = Config(parameter_validation=False, retries={"max_attempts": 1})
    return boto3.client("ecr", region_name="eu-west-1", aws_access_key_id=key, aws_secret_access_key="x", config=config)


@pytest.fixture(autouse=True)
def trail() -> Iterator[Trail]:
    trail = Trail(lambda _event: None)
    ecr.install(trail)
    with mock_aws():
        yield trail


def code(operation: str, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        getattr(client(), operation)(**parameters)
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.parametrize("name", ["ab", "a__b", "a--b/c.d", "0team/x_y", "a" * 256])
def test_the_models_names_are_accepted(name: str) -> None:
    assert client().create_repository(repositoryName=name)["repository"]["repositoryName"] == name


@pytest.mark.parametrize("name", ["a", "Team/app", "a___b", "-a", "a/", "a//b", "a" * 257, "a b", "ä"])
def test_other_names_are_refused(name: str) -> None:
    assert code("create_repository", repositoryName=name) == "InvalidParameterException"


def test_a_name_is_taken_once() -> None:
    client().create_repository(repositoryName="team/app")
    assert code("create_repository", repositoryName="team/app") == "RepositoryAlreadyExistsException"


def test_repositories_come_in_pages() -> None:
    ecr.seed(f"team/app-{number:04}" for number in range(253))
    pages = list(client().get_paginator("describe_repositories").paginate())
    assert [len(page["repositories"]) for page in pages] == [100, 100, 53]
    names = [repository["repositoryName"] for page in pages for repository in page["repositories"]]
    assert len(set(names)) == 253


def test_a_repository_deleted_between_pages_hides_no_other() -> None:
    ecr.seed(["aa", "bb", "cc", "dd"])
    first = client().describe_repositories(maxResults=2)
    client().delete_repository(repositoryName="bb")
    second = client().describe_repositories(maxResults=2, nextToken=first["nextToken"])
    assert [item["repositoryName"] for item in second["repositories"]] == ["cc", "dd"]
    assert "nextToken" not in second


@pytest.mark.parametrize(
    "parameters",
    [
        {"maxResults": 1001},
        {"maxResults": 0},
        {"repositoryNames": [f"n{number:03}" for number in range(101)]},
        {"repositoryNames": ["aa"], "maxResults": 5},
        {"nextToken": "%"},
    ],
)
def test_wrong_paging_is_refused(parameters: dict[str, Any]) -> None:
    ecr.seed(["aa"])
    assert code("describe_repositories", **parameters) == "InvalidParameterException"


def test_a_missing_repository_is_a_json_error_everywhere() -> None:
    for operation in ("describe_images", "list_images", "get_lifecycle_policy", "get_repository_policy", "delete_repository"):
        assert code(operation, repositoryName="no/such") == "RepositoryNotFoundException"
    assert code("put_image", repositoryName="no/such", imageManifest="{}") == "RepositoryNotFoundException"
    assert code("list_tags_for_resource", resourceArn=f"{ARN}no/such") == "RepositoryNotFoundException"


def test_a_repository_with_images_needs_force() -> None:
    ecr.seed([ecr.SeedRepository(name="team/app", images=[ecr.SeedImage(tags=["v1"])])])
    assert code("delete_repository", repositoryName="team/app") == "RepositoryNotEmptyException"
    client().delete_repository(repositoryName="team/app", force=True)
    assert code("delete_repository", repositoryName="team/app") == "RepositoryNotFoundException"


def test_tags_are_limited_to_fifty(trail: Trail) -> None:
    ecr.seed(["team/app"])
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    client().tag_resource(resourceArn=f"{ARN}team/app", tags=tags)
    assert code("tag_resource", resourceArn=f"{ARN}team/app", tags=[{"Key": "one-more", "Value": ""}]) == "TooManyTagsException"
    client().untag_resource(resourceArn=f"{ARN}team/app", tagKeys=["k0", "never-there"])
    assert len(client().list_tags_for_resource(resourceArn=f"{ARN}team/app")["tags"]) == 49
    record = trail.history[0]["detail"]
    assert set(record["requestParameters"]) == {"resourceArn", "tags"}
    assert record["resources"][0]["ARN"] == f"{ARN}team/app"


@pytest.mark.parametrize("tags", [[{"Key": "aws:x", "Value": "v"}], [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]])
def test_tags_that_aws_keeps_for_itself_or_that_repeat_are_refused(tags: list[dict[str, str]]) -> None:
    ecr.seed(["team/app"])
    assert code("tag_resource", resourceArn=f"{ARN}team/app", tags=tags) == "InvalidTagParameterException"


def test_mutability_answers_with_its_exclusion_filters() -> None:
    ecr.seed(["team/app"])
    filters = [{"filterType": "WILDCARD", "filter": "*-snap"}]
    setting = {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": filters}
    assert client().put_image_tag_mutability(repositoryName="team/app", **setting)["imageTagMutabilityExclusionFilters"] == filters
    described = client().describe_repositories(repositoryNames=["team/app"])["repositories"][0]
    assert {key: described[key] for key in setting} == setting


@pytest.mark.parametrize(
    "parameters",
    [
        {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"},
        {"imageTagMutability": "IMMUTABLE", "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "a*"}]},
        {"imageTagMutability": "SOMETIMES"},
    ],
)
def test_mutability_and_filters_must_agree(parameters: dict[str, Any]) -> None:
    ecr.seed(["team/app"])
    assert code("put_image_tag_mutability", repositoryName="team/app", **parameters) == "InvalidParameterException"


def statement(**changes: Any) -> dict[str, Any]:
    whole = {"Sid": "s", "Effect": "Deny", "Principal": "*", "Action": ["ecr:BatchGetImage"]} | changes
    return {key: value for key, value in whole.items() if value is not None}


def policy(**changes: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement(**changes)]})


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "not json",
        policy(Principal=None),
        policy(Resource="*"),
        policy(Effect="Maybe"),
        policy(Action=["s3:GetObject"]),
        policy(Action=None),
        policy(Sid="x" * 10_300),
        json.dumps({"Version": "2020-01-01", "Statement": [statement()]}),
        json.dumps({"Version": "2012-10-17", "Statement": []}),
    ],
)
def test_repository_policies_that_ecr_refuses(text: str) -> None:
    ecr.seed(["team/app"])
    assert code("set_repository_policy", repositoryName="team/app", policyText=text) == "InvalidParameterException"


def test_a_repository_policy_comes_and_goes() -> None:
    ecr.seed(["team/app"])
    client().set_repository_policy(repositoryName="team/app", policyText=policy())
    assert json.loads(client().get_repository_policy(repositoryName="team/app")["policyText"]) == json.loads(policy())
    client().delete_repository_policy(repositoryName="team/app")
    assert code("get_repository_policy", repositoryName="team/app") == "RepositoryPolicyNotFoundException"
    assert code("delete_repository_policy", repositoryName="team/app") == "RepositoryPolicyNotFoundException"


def test_a_policy_that_locks_its_author_out_needs_force() -> None:
    ecr.seed(["team/app"])
    text = policy(Action="ecr:*")
    assert code("set_repository_policy", repositoryName="team/app", policyText=text) == "InvalidParameterException"
    client().set_repository_policy(repositoryName="team/app", policyText=text, force=True)
    assert code("get_repository_policy", repositoryName="team/app") == "AccessDeniedException"


def test_a_denial_spares_whom_its_condition_names(trail: Trail) -> None:
    ecr.seed([ecr.SeedRepository(name="team/app", images=[ecr.SeedImage(tags=["v1"])])])
    spared = {"ArnNotLike": {"aws:PrincipalArn": ["arn:aws:iam::123456789012:user/alice"]}}
    client().set_repository_policy(repositoryName="team/app", policyText=policy(Condition=spared))
    client().batch_get_image(repositoryName="team/app", imageIds=[{"imageTag": "v1"}])
    with pytest.raises(ClientError, match="AccessDeniedException"):
        client("bob").batch_get_image(repositoryName="team/app", imageIds=[{"imageTag": "v1"}])
    record = trail.history[-1]["detail"]
    assert (record["eventName"], record["errorCode"], record["readOnly"]) == ("BatchGetImage", "AccessDeniedException", True)
    assert record["userIdentity"]["userName"] == "bob"
