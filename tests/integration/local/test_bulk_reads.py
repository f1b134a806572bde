"""What tells of many repositories at once: the tagging API and CloudWatch's count of pulls; trouble with them; who may read."""

import base64
import http.client
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from local import ecr
from local.ecr import SeedImage, SeedRepository, faults
from local.registry.client import pull_image, push_image
from local.server import EmbeddedAws

DAY = timedelta(days=1)
REPOSITORY = "arn:aws:ecr:eu-west-1:123456789012:repository/"
numbers = count()
Ask = Callable[..., Any]


@pytest.fixture(autouse=True)
def clean(aws: EmbeddedAws) -> Iterator[None]:
    backend = ecr.backend_of()
    backend.repositories.clear()
    backend.pulls.clear()
    yield
    faults.clear()
    aws.settle()


def tagging(aws: EmbeddedAws) -> Any:
    return aws.client("resourcegroupstaggingapi")


def listed(aws: EmbeddedAws, **asked: Any) -> dict[str, dict[str, str]]:
    pages = tagging(aws).get_paginator("get_resources").paginate(**{"ResourceTypeFilters": ["ecr:repository"], **asked})
    found = [each for page in pages for each in page["ResourceTagMappingList"]]
    assert len({each["ResourceARN"] for each in found}) == len(found)
    return {each["ResourceARN"].removeprefix(REPOSITORY): {tag["Key"]: tag["Value"] for tag in each["Tags"]} for each in found}


# Tags


def test_what_has_or_had_a_tag_is_listed(aws: EmbeddedAws) -> None:
    ecr.seed(["never", SeedRepository(name="now", tags={"a": "1", "b": ""}), SeedRepository(name="once", tags={"a": "1"})])
    aws.client("ecr").untag_resource(resourceArn=f"{REPOSITORY}once", tagKeys=["a", "nothing"])
    aws.client("ecr").untag_resource(resourceArn=f"{REPOSITORY}never", tagKeys=["a"])
    assert listed(aws) == {"now": {"a": "1", "b": ""}, "once": {}}
    aws.client("ecr").delete_repository(repositoryName="now")
    assert listed(aws) == {"once": {}}


def test_pages_hold_a_hundred_at_most(aws: EmbeddedAws) -> None:
    ecr.seed(SeedRepository(name=f"r-{number:03}", tags={"n": str(number)}) for number in range(230))
    for size, pages in ((100, [100, 100, 30]), (None, [50, 50, 50, 50, 30])):
        asked: dict[str, Any] = {"ResourceTypeFilters": ["ecr"], **({"ResourcesPerPage": size} if size else {})}
        sizes = []
        while True:
            answer = tagging(aws).get_resources(**asked)
            sizes.append(len(answer["ResourceTagMappingList"]))
            if not answer["PaginationToken"]:
                break
            asked["PaginationToken"] = answer["PaginationToken"]
        assert sizes == pages


def test_a_page_may_be_bounded_by_tags(aws: EmbeddedAws) -> None:
    ecr.seed(SeedRepository(name=f"r-{number}", tags={f"t{tag}": "" for tag in range(40)}) for number in range(5))
    answer = tagging(aws).get_resources(ResourceTypeFilters=["ecr:repository"], TagsPerPage=100)
    assert len(answer["ResourceTagMappingList"]) == 2
    assert len(listed(aws, TagsPerPage=100)) == 5


def test_filters_choose(aws: EmbeddedAws) -> None:
    ecr.seed(
        [
            SeedRepository(name="a", tags={"team": "x", "env": "prod"}),
            SeedRepository(name="b", tags={"team": "y"}),
            SeedRepository(name="c", tags={"env": "prod"}),
        ]
    )
    assert set(listed(aws, TagFilters=[{"Key": "team"}])) == {"a", "b"}
    assert set(listed(aws, TagFilters=[{"Key": "team", "Values": ["x", "z"]}])) == {"a"}
    assert set(listed(aws, TagFilters=[{"Key": "team"}, {"Key": "env", "Values": ["prod"]}])) == {"a"}
    assert listed(aws, ResourceTypeFilters=["s3"]) == {}
    assert set(listed(aws, ResourceTypeFilters=[], ResourceARNList=[f"{REPOSITORY}b", f"{REPOSITORY}none"])) == {"b"}
    aws.client("s3").put_bucket_tagging(
        Bucket=aws.client("s3").list_buckets()["Buckets"][0]["Name"], Tagging={"TagSet": [{"Key": "team", "Value": "s"}]}
    )
    both = tagging(aws).get_resources(TagFilters=[{"Key": "team", "Values": ["s", "x"]}])["ResourceTagMappingList"]
    assert [each["ResourceARN"].split(":")[2] for each in both] == ["ecr", "s3"]


def test_a_token_can_be_used_again_and_expires(aws: EmbeddedAws) -> None:
    ecr.seed(SeedRepository(name=f"r-{number}", tags={"n": ""}) for number in range(3))
    asked: dict[str, Any] = {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": 1}
    asked["PaginationToken"] = tagging(aws).get_resources(**asked)["PaginationToken"]
    first = tagging(aws).get_resources(**asked)["ResourceTagMappingList"]
    assert tagging(aws).get_resources(**asked)["ResourceTagMappingList"] == first
    aws.advance(timedelta(minutes=16))
    with pytest.raises(tagging(aws).exceptions.PaginationTokenExpiredException):
        tagging(aws).get_resources(**asked)


@pytest.mark.parametrize(
    "asked",
    [
        {"ResourcesPerPage": 101},
        {"ResourcesPerPage": 0},
        {"TagsPerPage": 99},
        {"PaginationToken": "what"},
        {"PaginationToken": base64.b64encode(b"never r").decode()},
        {"ResourceARNList": [f"{REPOSITORY}a"], "ResourceTypeFilters": ["ecr"]},
        {"TagFilters": [{"Key": "a", "Values": [str(number) for number in range(21)]}]},
    ],
)
def test_wrong_questions_are_refused(aws: EmbeddedAws, asked: dict[str, Any]) -> None:
    with pytest.raises(tagging(aws).exceptions.InvalidParameterException):
        tagging(aws).get_resources(**asked)


# Pulls


def query(name: str, number: int = 0, **more: Any) -> dict[str, Any]:
    metric = {"Namespace": "AWS/ECR", "MetricName": "RepositoryPullCount", "Dimensions": [{"Name": "RepositoryName", "Value": name}]}
    return {"Id": f"q{number}", "MetricStat": {"Metric": metric, "Period": 86400, "Stat": "Sum", **more}}


def midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def pulls(aws: EmbeddedAws, *names: str, days: int = 90, **more: Any) -> list[dict[datetime, float]]:
    today = midnight(datetime.now(UTC))
    queries = [query(name, number, **more) for number, name in enumerate(names)]
    answer = aws.client("cloudwatch").get_metric_data(MetricDataQueries=queries, StartTime=today - days * DAY, EndTime=today + DAY)
    assert [each["Id"] for each in answer["MetricDataResults"]] == [each["Id"] for each in queries]
    return [
        {at.astimezone(UTC): value for at, value in zip(each["Timestamps"], each["Values"], strict=True)}
        for each in answer["MetricDataResults"]
    ]


def test_real_and_seeded_pulls_are_counted_by_day(aws: EmbeddedAws) -> None:
    today = midnight(datetime.now(UTC))
    old = today - 30 * DAY + timedelta(hours=5)
    ecr.seed(
        [
            SeedRepository(name="seeded", images=[SeedImage(tags=["a"], pulled_at=old), SeedImage(tags=["b"], pulled_at=old)]),
            "pushed",
            "idle",
        ]
    )
    aws.client("ecr").batch_get_image(repositoryName="seeded", imageIds=[{"imageTag": "a"}, {"imageTag": "b"}, {"imageTag": "none"}])
    token = aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    push_image(aws.registry_address, token, "pushed", "v1")
    pull_image(aws.registry_address, token, "pushed", "v1")
    pull_image(aws.registry_address, token, "pushed", "v1")
    assert pulls(aws, "seeded", "pushed", "idle", "nowhere") == [{today: 2.0, today - 30 * DAY: 2.0}, {today: 2.0}, {}, {}]
    assert pulls(aws, "seeded", days=20) == [{today: 2.0}]


def test_pulls_of_the_excluded_count_here_and_a_deleted_repository_keeps_them(aws: EmbeddedAws) -> None:
    api, today = aws.client("ecr"), midnight(datetime.now(UTC))
    ecr.seed([SeedRepository(name="gone", images=[SeedImage(tags=["a"])])])
    visitor = "arn:aws:iam::123456789012:user/AKIALOCALVISITOR0000"
    api.register_pull_time_update_exclusion(principalArn=visitor)
    api.batch_get_image(repositoryName="gone", imageIds=[{"imageTag": "a"}])
    api.deregister_pull_time_update_exclusion(principalArn=visitor)
    assert "lastRecordedPullTime" not in api.describe_images(repositoryName="gone")["imageDetails"][0]
    api.batch_delete_image(repositoryName="gone", imageIds=[{"imageTag": "a"}])
    api.delete_repository(repositoryName="gone")
    assert pulls(aws, "gone") == [{today: 1.0}]


def test_statistics_periods_and_age(aws: EmbeddedAws) -> None:
    now = datetime.now(UTC)
    backend = ecr.backend_of()
    for ago in (timedelta(hours=1), timedelta(hours=1), timedelta(days=20), timedelta(days=70), timedelta(days=500)):
        backend.count_pull("r", now - ago)
    assert sum(pulls(aws, "r", Stat="Average")[0].values()) == 3
    assert sum(pulls(aws, "r", Stat="SampleCount", days=600)[0].values()) == 4
    assert sum(pulls(aws, "r", Period=3600)[0].values()) == 4
    assert sum(pulls(aws, "r", Period=300)[0].values()) == 3
    assert sum(pulls(aws, "r", Period=60)[0].values()) == 2
    assert pulls(aws, "r", Unit="Bytes") == [{}]
    without = query("r")
    without["MetricStat"]["Metric"]["Dimensions"] = []
    start = now - 2 * DAY
    answer = aws.client("cloudwatch").get_metric_data(MetricDataQueries=[without], StartTime=start, EndTime=now)
    assert answer["MetricDataResults"][0]["Values"] == []


def test_a_day_begins_when_the_question_does(aws: EmbeddedAws) -> None:
    at = midnight(datetime.now(UTC)) - 2 * DAY + timedelta(hours=7, minutes=30, seconds=20)
    ecr.backend_of().count_pull("r", at + timedelta(minutes=1))
    answer = aws.client("cloudwatch").get_metric_data(MetricDataQueries=[query("r")], StartTime=at, EndTime=at + DAY)
    assert [each.astimezone(UTC) for each in answer["MetricDataResults"][0]["Timestamps"]] == [at.replace(second=0)]


def test_data_points_come_by_pages(aws: EmbeddedAws) -> None:
    today = midnight(datetime.now(UTC))
    for day in range(4):
        for name in ("a", "b"):
            ecr.backend_of().count_pull(name, today - day * DAY)
    asked = {
        "MetricDataQueries": [query("a", 0), query("b", 1), query("c", 2)],
        "StartTime": today - 9 * DAY,
        "EndTime": today + DAY,
        "MaxDatapoints": 3,
        "ScanBy": "TimestampAscending",
    }
    found: dict[str, list[datetime]] = {"q0": [], "q1": [], "q2": []}
    states = []
    cloudwatch = aws.client("cloudwatch")
    for page in cloudwatch.get_paginator("get_metric_data").paginate(**asked):
        states.append([(each["Id"], len(each["Values"]), each["StatusCode"]) for each in page["MetricDataResults"]])
        for each in page["MetricDataResults"]:
            found[each["Id"]] += each["Timestamps"]
    assert found == {"q0": sorted(found["q0"]), "q1": sorted(found["q1"]), "q2": []}
    assert [len(times) for times in found.values()] == [4, 4, 0]
    assert states[0] == [("q0", 3, "PartialData"), ("q1", 0, "PartialData"), ("q2", 0, "Complete")]
    assert states[1:] == [[("q0", 1, "Complete"), ("q1", 2, "PartialData")], [("q1", 2, "Complete")]]
    token = cloudwatch.get_metric_data(**asked)["NextToken"]
    with pytest.raises(cloudwatch.exceptions.InvalidNextToken):
        cloudwatch.get_metric_data(**{**asked, "MaxDatapoints": 4}, NextToken=token)


@pytest.mark.parametrize(
    ("queries", "words"),
    [
        ([query("a", number) for number in range(501)], "must not have a size greater than 500"),
        ([query("a"), query("b")], "are not unique"),
        ([{**query("a"), "Id": "Q"}], "not matching the expected pattern"),
        ([query("a", Period=90)], "multiple of 60"),
        ([query("a", Stat="p99")], "p99"),
    ],
)
def test_wrong_metric_queries_are_refused(aws: EmbeddedAws, queries: list[dict[str, Any]], words: str) -> None:
    cloudwatch, now = aws.client("cloudwatch"), datetime.now(UTC)
    with pytest.raises(cloudwatch.exceptions.ClientError, match=words):
        cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=now - DAY, EndTime=now)


def test_a_question_must_take_time(aws: EmbeddedAws) -> None:
    cloudwatch, now = aws.client("cloudwatch"), datetime.now(UTC)
    with pytest.raises(cloudwatch.exceptions.ClientError, match="must be less than"):
        cloudwatch.get_metric_data(MetricDataQueries=[query("a")], StartTime=now, EndTime=now - DAY)


def test_other_metrics_are_left_alone(aws: EmbeddedAws) -> None:
    cloudwatch, now = aws.client("cloudwatch"), datetime.now(UTC)
    cloudwatch.put_metric_data(Namespace="mine", MetricData=[{"MetricName": "m", "Value": 7}])
    metric = {"Metric": {"Namespace": "mine", "MetricName": "m"}, "Period": 3600, "Stat": "Sum"}
    asked = {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(hours=1)}
    answer = cloudwatch.get_metric_data(MetricDataQueries=[{"Id": "m", "MetricStat": metric}], **asked)
    assert answer["MetricDataResults"][0]["Values"] == [7.0]


def test_json_is_spoken_with_the_documented_target(aws: EmbeddedAws) -> None:
    now = int(datetime.now(UTC).timestamp())
    ecr.backend_of().count_pull("r", datetime.now(UTC))
    body = {"StartTime": now - 3600, "EndTime": now + 60, "MetricDataQueries": [query("r")]}
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricData",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAX/20260101/eu-west-1/monitoring/aws4_request, SignedHeaders=host, Signature=0",
    }
    connection = http.client.HTTPConnection(aws.endpoint.split("/")[2])
    connection.request("POST", "/", json.dumps(body), headers)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    assert (answer.status, answer.getheader("Content-Type")) == (200, "application/x-amz-json-1.0")
    (result,) = content["MetricDataResults"]
    assert (result["Values"], result["StatusCode"]) == ([1.0], "Complete")
    assert 0 <= now - 3600 - result["Timestamps"][0] < 60


# Trouble


def test_every_third_call_is_throttled_after_some(aws: EmbeddedAws) -> None:
    faults.add("DescribeRepositories", "ThrottlingException", times=2, after=1, every=3)
    outcomes = []
    for _ in range(12):
        try:
            aws.client("ecr").describe_repositories()
            outcomes.append("ok")
        except aws.client("ecr").exceptions.ClientError as error:
            outcomes.append(error.response["Error"]["Code"])
    assert [number for number, outcome in enumerate(outcomes, 1) if outcome != "ok"] == [4, 7]


def test_two_troubles_are_counted_apart(aws: EmbeddedAws) -> None:
    faults.add("*", "ServerException", times=None, every=2)
    faults.add("ecr:DescribeRegistry", "ThrottlingException", times=None)
    codes = []
    for _ in range(4):
        with pytest.raises(aws.client("ecr").exceptions.ClientError) as caught:
            aws.client("ecr").describe_registry()
        codes.append(caught.value.response["Error"]["Code"])
    assert codes == ["ThrottlingException", "ServerException"] * 2


@pytest.mark.parametrize("name", ["GetResources", "tag:GetResources", "tag:*", "*"])
def test_the_tagging_api_is_troubled_in_its_own_words(aws: EmbeddedAws, name: str) -> None:
    faults.add(name, "ThrottlingException")
    with pytest.raises(tagging(aws).exceptions.ThrottledException, match="Rate exceeded"):
        tagging(aws).get_resources()
    tagging(aws).get_resources()


@pytest.mark.parametrize("name", ["GetMetricData", "cloudwatch:GetMetricData", "cloudwatch:*"])
def test_cloudwatch_is_troubled(aws: EmbeddedAws, name: str) -> None:
    faults.add(name, "ThrottlingException")
    with pytest.raises(aws.client("cloudwatch").exceptions.ClientError, match="ThrottlingException"):
        pulls(aws, "a")
    assert pulls(aws, "a") == [{}]


def test_troubles_of_other_services_leave_ecr_alone(aws: EmbeddedAws) -> None:
    faults.add("tag:*", "ThrottlingException")
    faults.add("cloudtrail:LookupEvents", "ThrottlingException")
    aws.client("ecr").describe_repositories()


@pytest.mark.parametrize("wrong", [{"after": -1}, {"every": 0}])
def test_impossible_troubles_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        faults.add("*", "ServerException", **wrong)  # type: ignore[arg-type]


# Rights

START, END = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


@pytest.mark.parametrize(
    ("operation", "arguments", "action"),
    [
        ("resourcegroupstaggingapi.get_resources", {"ResourceTypeFilters": ["ecr:repository"]}, "tag:GetResources"),
        ("cloudwatch.get_metric_data", {"MetricDataQueries": [query("a")], "StartTime": START, "EndTime": END}, "cloudwatch:GetMetricData"),
        ("cloudtrail.lookup_events", {}, "cloudtrail:LookupEvents"),
        ("ecr.get_registry_scanning_configuration", {}, "ecr:GetRegistryScanningConfiguration"),
        ("ecr.describe_registry", {}, "ecr:DescribeRegistry"),
        ("ecr.get_registry_policy", {}, "ecr:GetRegistryPolicy"),
    ],
)
def test_a_role_needs_the_right_to_read(aws: EmbeddedAws, ask: Ask, operation: str, arguments: dict[str, Any], action: str) -> None:
    refused = ask(operation, **arguments)
    assert refused.startswith("AccessDenied")
    assert f"is not authorized to perform: {action} on resource: *" in refused
    assert aws.stack is not None
    aws.client("ecr").put_registry_policy(
        policyText=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:ReplicateImage"}]}
        )
    )
    role, name = aws.stack.ref("WorkerRole"), f"read-{next(numbers)}"
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}
    aws.client("iam").put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    answered = ask(operation, **arguments)
    aws.client("iam").delete_role_policy(RoleName=role, PolicyName=name)
    assert isinstance(answered, dict), answered
    assert (action, "*") in aws.authorizations.used("WorkerRole")
