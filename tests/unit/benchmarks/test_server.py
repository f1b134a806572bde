"""The counting server: it answers as AWS does, pages as AWS does, counts everything and changes nothing."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from benchmarks import rules
from benchmarks.account import DAY, Repository, changed, midnight, truth
from benchmarks.peers.raw import Signer
from benchmarks.served import Served
from benchmarks.server import Quota

SIZE = 130
ONCE = Config(retries={"total_max_attempts": 1})
Client = Callable[[str], Any]


@pytest.fixture
def client(served: Served) -> Client:
    make: Any = boto3.client
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    return lambda service: make(service, endpoint_url=served.endpoint, region_name=rules.REGION, config=ONCE, **keys)


@pytest.fixture
def ecr(client: Client) -> Any:
    return client("ecr")


def code_of(call: Callable[..., Any], **params: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**params)
    return str(refused.value.response["Error"]["Code"])


def members_unknown(value: Any, shape: Any, where: str) -> list[str]:
    """What stands in an answer as it was sent, but not in botocore's model of it."""
    if shape.type_name == "structure":
        found = [f"{where}.{key}" for key in value if key not in shape.members]
        known = [(each, shape.members[key], f"{where}.{key}") for key, each in value.items() if key in shape.members]
        return found + [unknown for each in known for unknown in members_unknown(*each)]
    if shape.type_name == "list":
        return [unknown for each in value for unknown in members_unknown(each, shape.member, f"{where}[]")]
    kinds = {"string": str, "integer": int, "long": int, "boolean": bool, "timestamp": float, "double": float}
    return [] if isinstance(value, kinds.get(shape.type_name, object)) else [f"{where} is no {shape.type_name}"]


def test_every_answer_is_as_the_service_model_says(client: Client, repositories: list[Repository]) -> None:
    full = next(each for each in repositories if each.images and each.has_lifecycle and each.policy_text and each.tags)
    calls: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "ecr": [
            ("describe_repositories", {}),
            ("describe_images", {"repositoryName": full.name}),
            ("get_lifecycle_policy", {"repositoryName": full.name}),
            ("get_repository_policy", {"repositoryName": full.name}),
            ("list_tags_for_resource", {"resourceArn": full.arn}),
            ("batch_get_repository_scanning_configuration", {"repositoryNames": [full.name, "no/such"]}),
            ("describe_registry", {}),
            ("get_registry_scanning_configuration", {}),
            ("describe_repository_creation_templates", {}),
            ("describe_pull_through_cache_rules", {}),
        ],
        "resourcegroupstaggingapi": [("get_resources", {"ResourceTypeFilters": ["ecr:repository"]})],
    }
    sent: dict[str, bytes] = {}
    for service, wanted in calls.items():
        caller = client(service)
        caller.meta.events.register("before-parse.*.*", lambda response_dict, **_: sent.update(body=response_dict["body"]))
        for method, params in wanted:
            assert getattr(caller, method)(**params)
            shape = caller.meta.service_model.operation_model(caller.meta.method_to_api_mapping[method]).output_shape
            assert members_unknown(json.loads(sent["body"]), shape, method) == []


def test_the_answers_tell_the_whole_record(ecr: Any, repositories: list[Repository]) -> None:
    told = {each["repositoryName"]: each for page in ecr.get_paginator("describe_repositories").paginate() for each in page["repositories"]}
    assert list(told) == [each.name for each in repositories]
    for each in repositories[:40]:
        described = told[each.name]
        assert described["createdAt"].timestamp() == pytest.approx(each.created_at)
        assert described["imageScanningConfiguration"]["scanOnPush"] is each.scan_on_push
        assert described["imageTagMutability"] == ("IMMUTABLE" if each.immutable else "MUTABLE")
        images = ecr.describe_images(repositoryName=each.name, maxResults=1000, filter={"imageStatus": "ANY"})["imageDetails"]
        assert [image["imageDigest"] for image in images] == [image.digest for image in each.images]
        assert [image["imagePushedAt"].timestamp() for image in images] == pytest.approx([image.pushed_at for image in each.images])
        pulls = [image["lastRecordedPullTime"].timestamp() for image in images if "lastRecordedPullTime" in image]
        assert pulls == pytest.approx([image.pulled_at for image in each.images if image.pulled_at])
        assert [tuple(image.get("imageTags", ())) for image in images] == [image.tags for image in each.images]
        tags = ecr.list_tags_for_resource(resourceArn=each.arn)["tags"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == each.tags
        for method, key, text, code in (
            ("get_lifecycle_policy", "lifecyclePolicyText", each.lifecycle_text, "LifecyclePolicyNotFoundException"),
            ("get_repository_policy", "policyText", each.policy_text, "RepositoryPolicyNotFoundException"),
        ):
            if text is None:
                assert code_of(getattr(ecr, method), repositoryName=each.name) == code
            else:
                assert getattr(ecr, method)(repositoryName=each.name)[key] == text


def test_lists_come_in_pages_of_the_right_size(ecr: Any, client: Client, repositories: list[Repository]) -> None:
    first = ecr.describe_repositories()
    assert (len(first["repositories"]), len(ecr.describe_repositories(maxResults=1000)["repositories"])) == (100, SIZE)
    assert len(ecr.describe_repositories(nextToken=first["nextToken"])["repositories"]) == SIZE - 100
    full = next(each for each in repositories if len(each.images) > 10)
    pages = list(ecr.get_paginator("describe_images").paginate(repositoryName=full.name, PaginationConfig={"PageSize": 4}))
    assert [len(page["imageDetails"]) for page in pages][:2] == [4, 4]
    assert [image["imageDigest"] for page in pages for image in page["imageDetails"]] == [image.digest for image in full.images]
    assert len(client("resourcegroupstaggingapi").get_resources()["ResourceTagMappingList"]) == 50
    assert len(client("resourcegroupstaggingapi").get_resources(ResourcesPerPage=100)["ResourceTagMappingList"]) == 100


def test_too_much_at_once_is_refused(ecr: Any, client: Client, repositories: list[Repository]) -> None:
    names = [each.name for each in repositories]
    assert code_of(ecr.batch_get_repository_scanning_configuration, repositoryNames=names[:26]) == "ValidationException"
    assert code_of(ecr.describe_repositories, repositoryNames=names[:101]) == "InvalidParameterException"
    assert code_of(ecr.describe_repositories, nextToken="b3VycyBpcyBhIG51bWJlcg==") == "InvalidParameterException"
    assert code_of(client("resourcegroupstaggingapi").get_resources, ResourcesPerPage=101) == "InvalidParameterException"


def test_what_is_not_there_has_the_right_code(ecr: Any, repositories: list[Repository]) -> None:
    for method in (ecr.describe_images, ecr.get_lifecycle_policy, ecr.get_repository_policy):
        assert code_of(method, repositoryName="no/such") == "RepositoryNotFoundException"
    assert code_of(ecr.describe_repositories, repositoryNames=["no/such"]) == "RepositoryNotFoundException"
    assert code_of(ecr.get_registry_policy) == "RegistryPolicyNotFoundException"
    some = next(each for each in repositories if each.images)
    assert code_of(ecr.describe_images, repositoryName=some.name, imageIds=[{"imageTag": "none"}]) == "ImageNotFoundException"
    failures = ecr.batch_get_repository_scanning_configuration(repositoryNames=["no/such", some.name])["failures"]
    assert [failure["repositoryName"] for failure in failures] == ["no/such"]


def test_images_are_found_by_tag_by_digest_and_by_having_tags(ecr: Any, repositories: list[Repository]) -> None:
    some = next(each for each in repositories if any(not image.tags for image in each.images))
    newest = some.images[-1]
    by_tag = ecr.describe_images(repositoryName=some.name, imageIds=[{"imageTag": "latest"}])["imageDetails"]
    by_digest = ecr.describe_images(repositoryName=some.name, imageIds=[{"imageDigest": newest.digest}])["imageDetails"]
    untagged = ecr.describe_images(repositoryName=some.name, filter={"tagStatus": "UNTAGGED"})["imageDetails"]
    assert [image["imageDigest"] for image in by_tag] == [image["imageDigest"] for image in by_digest] == [newest.digest]
    assert [image["imageDigest"] for image in untagged] == [image.digest for image in some.images if not image.tags]


def test_the_tagging_api_leaves_out_what_never_had_a_tag(client: Client, repositories: list[Repository]) -> None:
    tagging = client("resourcegroupstaggingapi")
    pages = tagging.get_paginator("get_resources").paginate(ResourceTypeFilters=["ecr:repository"])
    told = {
        each["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]} for page in pages for each in page["ResourceTagMappingList"]
    }
    assert told == {each.arn: each.tags for each in repositories if each.tags}
    assert len(told) < SIZE
    assert tagging.get_resources(ResourceTypeFilters=["s3"])["ResourceTagMappingList"] == []


def pull_counts(names: list[str]) -> list[dict[str, Any]]:
    metrics = [
        {"Namespace": "AWS/ECR", "MetricName": "RepositoryPullCount", "Dimensions": [{"Name": "RepositoryName", "Value": name}]}
        for name in names
    ]
    return [{"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": 86400, "Stat": "Sum"}} for number, metric in enumerate(metrics)]


def test_pull_counts_are_the_same_in_cbor_and_in_json(client: Client, served: Served, repositories: list[Repository]) -> None:
    today = midnight()
    begin = today - 90 * DAY
    wanted = {
        each.name: sorted(
            {image.pulled_at // DAY * DAY for image in each.images if image.pulled_at and image.pulled_at >= begin}, reverse=True
        )
        for each in repositories
    }
    queries = pull_counts(list(wanted))
    cloudwatch = client("cloudwatch")
    assert cloudwatch.meta.service_model.metadata["protocol"] == "smithy-rpc-v2-cbor"
    answer = cloudwatch.get_metric_data(
        StartTime=datetime.fromtimestamp(begin, UTC), EndTime=datetime.fromtimestamp(today, UTC), MetricDataQueries=queries
    )
    told = {each["Label"]: [at.timestamp() for at in each["Timestamps"]] for each in answer["MetricDataResults"]}
    body = json.dumps({"StartTime": begin, "EndTime": today, "MetricDataQueries": queries}).encode()
    told_in_json = {each["Label"]: each["Timestamps"] for each in call(served, "monitoring", "GetMetricData", body)["MetricDataResults"]}
    assert told == told_in_json == wanted
    assert (
        code_of(cloudwatch.get_metric_data, StartTime=begin, EndTime=today, MetricDataQueries=pull_counts(["a"] * 501)) == "ValidationError"
    )


def call(served: Served, service: str, operation: str, body: bytes, *, signed: bool = True) -> Any:
    """Call without botocore, and so without its model of the service."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "any")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        head = Signer(served.endpoint.removeprefix("http://")).head(service, operation, body, time.time()).decode()
    headers = dict(line.split(":", 1) for line in head.split("\r\n")[1:] if line)
    if not signed:
        del headers["authorization"]
    try:
        with urlopen(Request(served.endpoint, body, headers), timeout=10) as answer:
            return json.load(answer)
    except HTTPError as refused:
        return json.load(refused)


def test_sts_tells_who_calls(client: Client) -> None:
    assert client("sts").get_caller_identity()["Account"] == rules.ACCOUNT


def test_every_call_is_counted_and_none_twice(served: Served, ecr: Any, client: Client) -> None:
    for _ in range(3):
        ecr.describe_repositories()
    code_of(ecr.describe_images, repositoryName="no/such")
    client("sts").get_caller_identity()
    counts = served.ask("counts")
    assert counts["calls"] == {"ecr.DescribeRepositories": 3, "ecr.DescribeImages": 1, "sts.GetCallerIdentity": 1}
    assert (counts["refused"], counts["unknown"], counts["changes"]) == ({}, {}, [])
    served.ask("reset")
    assert served.ask("counts")["calls"] == {}


def test_what_would_change_something_is_written_down_and_not_done(served: Served, ecr: Any, repositories: list[Repository]) -> None:
    victim = repositories[0]
    ecr.delete_repository(repositoryName=victim.name)
    ecr.put_lifecycle_policy(repositoryName=victim.name, lifecyclePolicyText=json.dumps({"rules": ["x" * 100]}))
    ecr.tag_resource(resourceArn=victim.arn, tags=[{"Key": "a", "Value": "b"}])
    assert [(each["operation"], each["repository"]) for each in served.ask("counts")["changes"]] == [
        ("DeleteRepository", victim.name),
        ("PutLifecyclePolicy", victim.name),
        ("TagResource", victim.name),
    ]
    assert len(ecr.describe_repositories(maxResults=1000)["repositories"]) == SIZE
    assert {tag["Key"] for tag in ecr.list_tags_for_resource(resourceArn=victim.arn)["tags"]} == set(victim.tags)


def test_a_call_that_it_does_not_know_is_refused_and_told(served: Served, ecr: Any) -> None:
    assert code_of(ecr.get_authorization_token) == "UnknownOperationException"
    assert served.ask("counts")["unknown"] == {"ecr.GetAuthorizationToken": 1}


def test_an_unsigned_call_is_refused(served: Served) -> None:
    assert call(served, "ecr", "DescribeRegistry", b"{}")["registryId"] == rules.ACCOUNT
    assert call(served, "ecr", "DescribeRegistry", b"{}", signed=False)["__type"] == "MissingAuthenticationTokenException"


def test_a_control_that_it_does_not_have_is_not_found(served: Served) -> None:
    with pytest.raises(HTTPError) as refused:
        served.ask("explode")
    with refused.value as answer:
        assert answer.code == 404


def test_calls_take_their_time_each_for_itself(served: Served, ecr: Any) -> None:
    ecr.describe_registry()
    served.ask("configure", latency_ms=60, quota=0)
    begun = time.monotonic()
    ecr.describe_registry()
    assert 0.06 <= time.monotonic() - begun < 2


def test_each_operation_has_a_quota_of_its_own(served: Served, ecr: Any, client: Client) -> None:
    # Less than one call is there at first, and the next one comes in a thousand seconds.
    served.ask("configure", latency_ms=0, quota=0.001)
    assert code_of(ecr.describe_registry) == "ThrottlingException"
    assert code_of(client("resourcegroupstaggingapi").get_resources) == "ThrottledException"
    assert code_of(client("cloudwatch").get_metric_data, StartTime=0, EndTime=1, MetricDataQueries=[]) == "ThrottlingException"
    assert code_of(client("sts").get_caller_identity) == "Throttling"
    counts = served.ask("counts")
    assert counts["refused"] == dict.fromkeys(counts["calls"], 1)
    assert len(counts["calls"]) == 4


def test_a_quota_holds_a_seconds_calls_and_fills_again() -> None:
    quota = Quota(20, now=100.0)
    assert [quota.take(100.0) for _ in range(21)] == [True] * 20 + [False]
    assert [quota.take(100.11) for _ in range(3)] == [True, True, False]
    assert [quota.take(200.0) for _ in range(21)] == [True] * 20 + [False]


def test_a_change_is_told_by_every_answer_and_by_the_truth(served: Served, ecr: Any, repositories: list[Repository]) -> None:
    today = midnight()
    assert served.ask("truth") == truth(repositories, today)
    served.ask("change")
    after = changed(repositories, today)
    assert served.ask("truth") == truth(after, today)
    first = after[0]
    assert (
        ecr.describe_repositories(repositoryNames=[first.name])["repositories"][0]["imageScanningConfiguration"]["scanOnPush"]
        is first.scan_on_push
    )
    assert len(ecr.describe_images(repositoryName=first.name)["imageDetails"]) == len(first.images)
    served.ask("restore")
    assert served.ask("truth") == truth(repositories, today)
    assert len(ecr.describe_images(repositoryName=first.name)["imageDetails"]) == len(repositories[0].images)
