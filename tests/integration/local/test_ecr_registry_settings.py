"""The registry as a whole: scanning, templates, cache rules, settings, tokens, trouble, authorization."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count

from local import ecr
from local.ecr.templates import best
from local.principals import identify
from local.trail import Trail

CONFIG = Config(parameter_validation=False, retries={"max_attempts": 1, "total_max_attempts": 1})


@cache
def client(key: str = "alice") -> Any:
    return boto3.client("ecr", region_name="eu-west-1", aws_access_key_id=key, aws_secret_access_key="x", config=CONFIG)


@pytest.fixture(autouse=True)
def trail() -> Iterator[Trail]:
    trail = Trail(lambda _event: None)
    ecr.install(trail)
    with mock_aws():
        yield trail
    ecr.faults.clear()


def code(operation: str, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        getattr(client(), operation)(**parameters)
    return str(caught.value.response["Error"]["Code"])


def rule(frequency: str, *filters: str) -> dict[str, Any]:
    return {"scanFrequency": frequency, "repositoryFilters": [{"filter": item, "filterType": "WILDCARD"} for item in filters]}


@pytest.mark.parametrize(
    ("rules", "scan_type", "name", "frequency", "applied"),
    [
        ([], "BASIC", "team/app", "MANUAL", []),
        ([rule("SCAN_ON_PUSH", "*")], "BASIC", "team/app", "SCAN_ON_PUSH", ["*"]),
        ([rule("SCAN_ON_PUSH", "app")], "BASIC", "team/app", "SCAN_ON_PUSH", ["app"]),
        ([rule("SCAN_ON_PUSH", "app*")], "BASIC", "team/app", "MANUAL", []),
        ([rule("SCAN_ON_PUSH", "team/*", "prod/*")], "BASIC", "team/app", "SCAN_ON_PUSH", ["team/*"]),
        ([rule("SCAN_ON_PUSH", "*"), rule("CONTINUOUS_SCAN", "team/*")], "ENHANCED", "team/app", "CONTINUOUS_SCAN", ["team/*"]),
    ],
)
def test_scanning_follows_from_the_registrys_rules(
    rules: list[dict[str, Any]], scan_type: str, name: str, frequency: str, applied: list[str]
) -> None:
    ecr.seed([name])
    client().put_registry_scanning_configuration(scanType=scan_type, rules=rules)
    answer = client().batch_get_repository_scanning_configuration(repositoryNames=[name, "no/such"])
    (found,) = answer["scanningConfigurations"]
    assert (found["scanFrequency"], [item["filter"] for item in found["appliedScanFilters"]]) == (frequency, applied)
    assert answer["failures"][0]["failureCode"] == "REPOSITORY_NOT_FOUND"


def test_scanning_limits() -> None:
    names = [f"n{number:02}" for number in range(26)]
    assert code("batch_get_repository_scanning_configuration", repositoryNames=names) == "InvalidParameterException"
    assert (
        code("put_registry_scanning_configuration", scanType="BASIC", rules=[rule("CONTINUOUS_SCAN", "*")]) == "InvalidParameterException"
    )
    hostile = "a" * 60 + "!"
    assert code("put_registry_scanning_configuration", scanType="BASIC", rules=[rule("MANUAL", hostile)]) == "InvalidParameterException"


def test_templates_come_and_go() -> None:
    client().create_repository_creation_template(prefix="team", appliedFor=["CREATE_ON_PUSH"], description="one")
    assert code("create_repository_creation_template", prefix="team/", appliedFor=["REPLICATION"]) == "TemplateAlreadyExistsException"
    client().update_repository_creation_template(prefix="team", imageTagMutability="IMMUTABLE")
    (template,) = client().describe_repository_creation_templates()["repositoryCreationTemplates"]
    assert (template["description"], template["imageTagMutability"], template["appliedFor"]) == ("one", "IMMUTABLE", ["CREATE_ON_PUSH"])
    client().delete_repository_creation_template(prefix="team")
    assert code("delete_repository_creation_template", prefix="team") == "TemplateNotFoundException"
    assert code("create_repository_creation_template", prefix="Team", appliedFor=["CREATE_ON_PUSH"]) == "InvalidParameterException"
    bad = {"prefix": "x", "appliedFor": ["CREATE_ON_PUSH"], "lifecyclePolicy": '{"rules":[]}'}
    assert code("create_repository_creation_template", **bad) == "InvalidParameterException"


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("prod/api", "prod"),
        ("prod/team/api", "prod/team"),
        ("production/api", "ROOT"),
        ("prod", "ROOT"),
        ("prod/teams/api", "prod"),
    ],
)
def test_the_longest_prefix_of_whole_segments_wins(name: str, prefix: str) -> None:
    templates: dict[str, dict[str, Any]] = {key: {"prefix": key} for key in ("ROOT", "prod", "prod/team")}
    assert best(templates, name) == {"prefix": prefix}


def test_cache_rules_come_and_go() -> None:
    rule_of = {"ecrRepositoryPrefix": "docker-hub", "upstreamRegistryUrl": "registry-1.docker.io"}
    client().create_pull_through_cache_rule(**rule_of)
    assert code("create_pull_through_cache_rule", **rule_of) == "PullThroughCacheRuleAlreadyExistsException"
    assert len(client().describe_pull_through_cache_rules()["pullThroughCacheRules"]) == 1
    client().delete_pull_through_cache_rule(ecrRepositoryPrefix="docker-hub")
    assert code("describe_pull_through_cache_rules", ecrRepositoryPrefixes=["docker-hub"]) == "PullThroughCacheRuleNotFoundException"


def test_account_settings_and_replication() -> None:
    client().put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    assert client().get_account_setting(name="BLOB_MOUNTING")["value"] == "ENABLED"
    assert code("put_account_setting", name="BLOB_MOUNTING", value="MAYBE") == "ValidationException"
    destination = {"region": "eu-central-1", "registryId": "123456789012"}
    client().put_replication_configuration(replicationConfiguration={"rules": [{"destinations": [destination]}]})
    assert client().describe_registry()["replicationConfiguration"]["rules"][0]["destinations"] == [destination]
    own = {"rules": [{"destinations": [destination | {"region": "eu-west-1"}]}]}
    assert code("put_replication_configuration", replicationConfiguration=own) == "InvalidParameterException"


def test_a_registry_policy_may_name_any_action() -> None:
    text = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchImportUpstreamImage", "Resource": "*"}]})
    client().put_registry_policy(policyText=text)
    assert client().get_registry_policy()["policyText"] == text
    client().delete_registry_policy()
    assert code("get_registry_policy") == "RegistryPolicyNotFoundException"


def test_a_token_lasts_twelve_hours() -> None:
    (data,) = client().get_authorization_token()["authorizationData"]
    left = data["expiresAt"] - datetime.now(UTC)
    assert timedelta(hours=11, minutes=59) < left <= timedelta(hours=12)
    assert base64.b64decode(data["authorizationToken"]).startswith(b"AWS:")


def test_what_is_not_there_says_so_aloud() -> None:
    assert code("start_lifecycle_policy_preview", repositoryName="team/app") == "NotImplementedByEmulator"


def test_trouble_comes_as_often_as_asked_and_is_recorded(trail: Trail) -> None:
    ecr.faults.add("DescribeRepositories", "ThrottlingException", times=2)
    assert [code("describe_repositories"), code("describe_repositories")] == ["ThrottlingException"] * 2
    client().describe_repositories()
    assert [event["detail"].get("errorCode") for event in trail.history] == ["ThrottlingException", "ThrottlingException", None]


def test_trouble_may_be_one_callers_own(trail: Trail) -> None:
    ecr.faults.add("*", "AccessDeniedException", times=None, access_key_id="alice")
    client("bob").create_repository(repositoryName="team/app")
    assert code("delete_repository", repositoryName="team/app") == "AccessDeniedException"
    assert trail.history[-1]["detail"]["errorCode"] == "AccessDeniedException"


@set_initial_no_auth_action_count(0)
def _as_allowed(session: Any) -> dict[str, str]:
    outcome = {}
    for name in ("team-a/app", "team-b/app"):
        try:
            session.create_repository(repositoryName=name, tags=[{"Key": "owner", "Value": "a"}])
            outcome[name] = "ok"
        except ClientError as error:
            outcome[name] = error.response["Error"]["Code"]
    return outcome


def test_iam_judges_calls_by_the_repository(trail: Trail) -> None:
    keys: dict[str, Any] = {"region_name": "eu-west-1", "aws_access_key_id": "alice", "aws_secret_access_key": "x"}
    allowed = {"Effect": "Allow", "Action": ["ecr:CreateRepository", "ecr:TagResource"], "Resource": "arn:aws:ecr:*:*:repository/team-a/*"}
    iam = boto3.client("iam", **keys)
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName="fixer", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="fixer", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    given = boto3.client("sts", **keys).assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    session = boto3.client(
        "ecr",
        region_name="eu-west-1",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        config=CONFIG,
    )
    assert _as_allowed(session) == {"team-a/app": "ok", "team-b/app": "AccessDeniedException"}
    record = trail.history[-1]["detail"]
    assert (record["eventName"], record["errorCode"]) == ("CreateRepository", "AccessDeniedException")
    assert record["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == role


def test_a_pull_through_the_cache_makes_a_repository(trail: Trail) -> None:
    client().create_pull_through_cache_rule(ecrRepositoryPrefix="hub", upstreamRegistryUrl="registry-1.docker.io")
    digest = ecr.simulate_pull_through("hub/library/nginx", identify("alice"), tag="1")
    kinds = [event["detail"].get("eventName") or event["detail-type"] for event in trail.history]
    assert kinds == ["CreatePullThroughCacheRule", "CreateRepository", "ECR Pull Through Cache Action", "BatchGetImage"]
    created, native = trail.history[1], trail.history[2]
    assert (created["detail"]["userIdentity"]["userName"], created["detail"]["userIdentity"]["invokedBy"]) == ("alice", "ecr.amazonaws.com")
    assert native["resources"] == ["arn:aws:ecr:eu-west-1:123456789012:repository/hub/library/nginx"]
    assert native["detail"]["image-digest"] == digest
    with pytest.raises(LookupError):
        ecr.simulate_pull_through("other/nginx", identify("alice"))


def test_a_cache_template_with_a_role_is_applied_by_that_role(trail: Trail) -> None:
    client().create_pull_through_cache_rule(ecrRepositoryPrefix="hub", upstreamRegistryUrl="registry-1.docker.io")
    client().create_repository_creation_template(
        prefix="hub",
        appliedFor=["PULL_THROUGH_CACHE"],
        resourceTags=[{"Key": "origin", "Value": "cache"}],
        customRoleArn="arn:aws:iam::123456789012:role/ecr-templates",
    )
    ecr.simulate_pull_through("hub/nginx", identify("alice"))
    created = next(event["detail"] for event in trail.history if event["detail"].get("eventName") == "CreateRepository")
    assert created["userIdentity"]["arn"].endswith("assumed-role/ecr-templates/ECRPullThroughCacheWithTemplate")
    assert ecr.backend_of().repository("hub/nginx").tags == {"origin": "cache"}


def test_replication_makes_a_repository_with_defaults(trail: Trail) -> None:
    client().create_repository_creation_template(prefix="ROOT", appliedFor=["CREATE_ON_PUSH"], imageTagMutability="IMMUTABLE")
    ecr.simulate_replication("team/app", "210987654321", "us-east-1")
    created, native = trail.history[-2:]
    assert created["detail"]["userIdentity"]["invokedBy"] == "replication.ecr.amazonaws.com"
    assert "AWSServiceRoleForECRReplication" in created["detail"]["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"]
    assert (native["detail-type"], native["detail"]["source-region"]) == ("ECR Replication Action", "us-east-1")
    assert ecr.backend_of().repository("team/app").mutability == "MUTABLE"
