"""Who uses images: ECS, Lambda and files of evidence, as the embedded AWS has them."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from moto.awslambda.models import lambda_backends
from moto.ecs.models import ecs_backends

from ecr_governor.adapters.usage.aws_usage import heard
from ecr_governor.adapters.usage.ecs import EcsUsage
from ecr_governor.adapters.usage.files import LIMIT, FilesUsage
from ecr_governor.adapters.usage.functions import LambdaUsage
from ecr_governor.adapters.usage.witnesses import AwsWitnesses
from ecr_governor.app.retirement.ports import Witnesses
from ecr_governor.core.retirement.evidence import Evidence, Use, missing
from local import ecr
from local.server import EmbeddedAws
from tests.fakes import ACCOUNT, HOUR, REGION, T0

_numbers = count()
OURS = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ELSEWHERE = f"210987654321.dkr.ecr.{REGION}.amazonaws.com"
DIGEST = "sha256:" + "0a" * 32
OTHER = "sha256:" + "0b" * 32
ROLE = f"arn:aws:iam::{ACCOUNT}:role/runs-functions"


@pytest.fixture
def fresh(aws: EmbeddedAws, no_trouble_left: None) -> EmbeddedAws:
    """The account without clusters and functions: these sources are asked for all there is."""
    for backends in (ecs_backends, lambda_backends):
        backends[ACCOUNT][REGION].reset()
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
    with suppress(aws.client("iam").exceptions.EntityAlreadyExistsException):
        aws.client("iam").create_role(RoleName="runs-functions", AssumeRolePolicyDocument=json.dumps(trust))
    return aws


@contextmanager
def at(client: Any, event: str, act: Callable[..., object]) -> Iterator[None]:
    """Act at an event of a client's, which may alter what is sent or answered."""

    def show(parsed: Any = None, params: Any = None, **_: Any) -> None:
        act(params if parsed is None else parsed)

    client.meta.events.register(event, show)
    yield
    client.meta.events.unregister(event, show)


@pytest.fixture
def bucket(aws: EmbeddedAws) -> str:
    name = f"reports-{next(_numbers)}"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def of_ecs(aws: EmbeddedAws) -> Evidence:
    (evidence,) = EcsUsage(lambda: aws.client("ecs"), ACCOUNT, REGION).evidence(T0)
    return evidence


def of_lambda(aws: EmbeddedAws) -> Evidence:
    (evidence,) = LambdaUsage(lambda: aws.client("lambda"), ACCOUNT, REGION).evidence(T0)
    return evidence


def of_files(aws: EmbeddedAws, bucket: str) -> dict[str, Evidence]:
    found = FilesUsage(lambda: aws.client("s3"), bucket, ACCOUNT, REGION).evidence(T0)
    assert len({each.source for each in found}) == len(found)
    return {each.source: each for each in found}


def repositories(evidence: Evidence) -> set[str | None]:
    return {use.repository for use in evidence.uses}


# --- ECS ------------------------------------------------------------------------------------------------------------------------------


def define(aws: EmbeddedAws, family: str, *images: str) -> str:
    containers: Any = [{"name": f"c{number}", "image": image, "memory": 64, "cpu": 1} for number, image in enumerate(images)]
    answer = aws.client("ecs").register_task_definition(family=family, containerDefinitions=containers, cpu="256", memory="512")
    return str(answer["taskDefinition"]["taskDefinitionArn"])


def run(aws: EmbeddedAws, cluster: str, definition: str, tasks: int = 1) -> list[str]:
    answer = aws.client("ecs").run_task(cluster=cluster, taskDefinition=definition, count=tasks, launchType="FARGATE")
    return [task["taskArn"] for task in answer["tasks"]]


def test_nothing_runs_in_an_empty_account(fresh: EmbeddedAws) -> None:
    assert of_ecs(fresh) == Evidence("ecs", T0)
    fresh.client("ecs").create_cluster(clusterName="empty")
    assert of_ecs(fresh) == Evidence("ecs", T0)


def test_every_container_of_a_running_task_is_a_use_by_reference_and_by_digest(fresh: EmbeddedAws) -> None:
    (digest,) = ecr.seed([ecr.SeedRepository(name="payments/api", images=[ecr.SeedImage(tags=("v1",))])])["payments/api"]
    fresh.client("ecs").create_cluster(clusterName="one")
    definition = define(fresh, "api", f"{OURS}/payments/api:v1", f"{ELSEWHERE}/x/sidecar@{OTHER}", "nginx")
    (task,) = run(fresh, "one", definition)
    evidence = of_ecs(fresh)
    user = task.split(":", 5)[5]
    assert evidence.trouble == ""
    assert {use for use in evidence.uses if use.user == user} == {
        Use(user, "payments/api", tag="v1"),
        Use(user, digest=digest),
        Use(user, digest=OTHER),
    }
    assert Use("task-definition/api:1", "payments/api", tag="v1") in evidence.uses


def test_a_stopped_task_uses_nothing(fresh: EmbeddedAws) -> None:
    fresh.client("ecs").create_cluster(clusterName="one")
    (task,) = run(fresh, "one", define(fresh, "api", f"{OURS}/payments/api"))
    fresh.client("ecs").stop_task(cluster="one", task=task)
    assert {use.user for use in of_ecs(fresh).uses} == {"task-definition/api:1"}


def test_a_family_that_nothing_runs_now_is_in_use_since_a_schedule_may_start_it(fresh: EmbeddedAws) -> None:
    define(fresh, "monthly", f"{OURS}/payments/monthly")
    assert repositories(of_ecs(fresh)) == {"payments/monthly"}


def test_a_service_that_runs_nothing_uses_what_it_would_start(fresh: EmbeddedAws) -> None:
    client = fresh.client("ecs")
    client.create_cluster(clusterName="one")
    client.create_service(cluster="one", serviceName="api", taskDefinition=define(fresh, "api", f"{OURS}/payments/api"), desiredCount=0)
    assert repositories(of_ecs(fresh)) == {"payments/api"}


def test_both_definitions_of_a_deployment_under_way_are_in_use(fresh: EmbeddedAws) -> None:
    client = fresh.client("ecs")
    client.create_cluster(clusterName="one")
    former, later = define(fresh, "former", f"{OURS}/former"), define(fresh, "later", f"{OURS}/later")
    client.create_service(cluster="one", serviceName="api", taskDefinition=former, desiredCount=1)
    client.update_service(cluster="one", service="api", taskDefinition=later)
    assert repositories(of_ecs(fresh)) == {"former", "later"}


def test_task_sets_of_a_service_are_in_use(fresh: EmbeddedAws) -> None:
    client = fresh.client("ecs")
    client.create_cluster(clusterName="one")
    client.create_service(cluster="one", serviceName="api", deploymentController={"type": "EXTERNAL"}, desiredCount=0)
    for colour in ("blue", "green"):
        definition = define(fresh, colour, f"{OURS}/{colour}")
        client.create_task_set(
            cluster="one", service="api", taskDefinition=definition, launchType="FARGATE", scale={"value": 0.0, "unit": "PERCENT"}
        )
    assert repositories(of_ecs(fresh)) == {"blue", "green"}


def test_the_newest_revisions_of_a_family_in_use_are_in_use(fresh: EmbeddedAws) -> None:
    client = fresh.client("ecs")
    client.create_cluster(clusterName="one")
    arns = [define(fresh, "api", f"{OURS}/revision-{number}") for number in range(1, 13)]
    client.deregister_task_definition(taskDefinition=arns[10])
    run(fresh, "one", arns[0])
    assert repositories(of_ecs(fresh)) == {f"revision-{number}" for number in (1, 9, 10, 12)}


def test_all_pages_of_all_lists_are_read(fresh: EmbeddedAws) -> None:
    client = fresh.client("ecs")
    for number in range(101):
        client.create_cluster(clusterName=f"cluster-{number:03}")
    names = {f"service-{number}" for number in range(21)}
    for name in sorted(names):
        client.create_service(cluster="cluster-100", serviceName=name, taskDefinition=define(fresh, name, f"{OURS}/{name}"), desiredCount=0)
    definition = define(fresh, "task", f"{OURS}/task")
    tasks = {arn for _ in range(21) for arn in run(fresh, "cluster-050", definition, 10)}
    evidence = of_ecs(fresh)
    assert repositories(evidence) == {*names, "task"}
    assert {use.user for use in evidence.uses} >= {arn.split(":", 5)[5] for arn in tasks}


@pytest.mark.parametrize(
    "operation",
    ["ListClusters", "ListTasks", "DescribeTasks", "ListServices", "DescribeServices", "DescribeTaskDefinition", "ListTaskDefinitions"],
)
@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException", "ServerException"])
def test_a_call_to_ecs_that_fails_is_the_trouble_of_the_source(fresh: EmbeddedAws, operation: str, code: str) -> None:
    client = fresh.client("ecs")
    client.create_cluster(clusterName="one")
    definition = define(fresh, "api", f"{OURS}/payments/api")
    run(fresh, "one", definition)
    client.create_service(cluster="one", serviceName="api", taskDefinition=definition, desiredCount=0)
    ecr.faults.add(f"ecs:{operation}", code, times=None)
    evidence = of_ecs(fresh)
    assert evidence.trouble == f"{operation}: {code}"
    assert "could not be read" in evidence.doubt(T0)
    # What was heard before stays.
    assert bool(evidence.uses) == (operation in {"ListServices", "DescribeServices", "DescribeTaskDefinition", "ListTaskDefinitions"})


@pytest.mark.parametrize("operation", ["DescribeTasks", "DescribeServices"])
@pytest.mark.parametrize(("reason", "trouble"), [("MISSING", ""), ("ACCESS", "{}: ACCESS")])
def test_what_ended_meanwhile_is_no_trouble_and_what_is_withheld_is(fresh: EmbeddedAws, operation: str, reason: str, trouble: str) -> None:
    client = fresh.client("ecs")
    client.create_cluster(clusterName="one")
    definition = define(fresh, "api", f"{OURS}/payments/api")
    run(fresh, "one", definition)
    client.create_service(cluster="one", serviceName="api", taskDefinition=definition, desiredCount=0)

    with at(client, f"after-call.ecs.{operation}", lambda answer: answer.update(failures=[{"arn": "x", "reason": reason}])):
        assert of_ecs(fresh).trouble == trouble.format(operation)


def test_a_cluster_that_is_deleted_meanwhile_runs_nothing(fresh: EmbeddedAws) -> None:
    fresh.client("ecs").create_cluster(clusterName="one")
    ecr.faults.add("ecs:ListServices", "ClusterNotFoundException")
    assert of_ecs(fresh) == Evidence("ecs", T0)


# --- Lambda ---------------------------------------------------------------------------------------------------------------------------


def make_function(aws: EmbeddedAws, name: str, uri: str) -> None:
    aws.client("lambda").create_function(FunctionName=name, PackageType="Image", Code={"ImageUri": uri}, Role=ROLE)


def test_no_function_uses_nothing(fresh: EmbeddedAws) -> None:
    assert of_lambda(fresh) == Evidence("lambda", T0)


def test_every_version_of_a_function_uses_its_tag_and_its_digest(fresh: EmbeddedAws) -> None:
    first, second = ecr.seed(
        [ecr.SeedRepository(name="jobs/fn", images=[ecr.SeedImage(content="1", tags=("v1",)), ecr.SeedImage(content="2", tags=("v2",))])]
    )["jobs/fn"]
    make_function(fresh, "fn", f"{OURS}/jobs/fn:v1")
    fresh.client("lambda").publish_version(FunctionName="fn")
    fresh.client("lambda").update_function_code(FunctionName="fn", ImageUri=f"{OURS}/jobs/fn@{second}")
    evidence = of_lambda(fresh)
    assert evidence.trouble == ""
    assert {use for use in evidence.uses if use.user == "fn:1"} == {
        Use("fn:1", "jobs/fn", tag="v1"),
        Use("fn:1", "jobs/fn", digest=first),
    }
    assert {use for use in evidence.uses if use.user == "fn:$LATEST"} == {Use("fn:$LATEST", "jobs/fn", digest=second)}


def test_an_image_of_another_registry_counts_by_its_digest_and_a_zip_does_not(fresh: EmbeddedAws) -> None:
    make_function(fresh, "shared", f"{ELSEWHERE}/jobs/fn@{DIGEST}")
    make_function(fresh, "theirs", f"{ELSEWHERE}/jobs/fn:v1")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.py", "")
    fresh.client("lambda").create_function(
        FunctionName="zip", Runtime="python3.13", Handler="a.b", Role=ROLE, Code={"ZipFile": archive.getvalue()}
    )
    assert set(of_lambda(fresh).uses) == {Use("shared:$LATEST", digest=DIGEST)}


def test_all_pages_of_functions_are_read(fresh: EmbeddedAws) -> None:
    for number in range(101):
        make_function(fresh, f"fn-{number}", f"{OURS}/jobs/fn-{number}")
    assert repositories(of_lambda(fresh)) == {f"jobs/fn-{number}" for number in range(101)}


@pytest.mark.parametrize("operation", ["ListFunctions", "GetFunction"])
@pytest.mark.parametrize("code", ["AccessDeniedException", "TooManyRequestsException", "ServiceException"])
def test_a_call_to_lambda_that_fails_is_the_trouble_of_the_source(fresh: EmbeddedAws, operation: str, code: str) -> None:
    make_function(fresh, "a", f"{OURS}/jobs/a")
    make_function(fresh, "b", f"{OURS}/jobs/b")
    ecr.faults.add(f"lambda:{operation}", code, after=1 if operation == "GetFunction" else 0)
    evidence = of_lambda(fresh)
    assert evidence.trouble == f"{operation}: {code}"
    assert len(evidence.uses) == (1 if operation == "GetFunction" else 0)


def test_a_version_that_is_deleted_meanwhile_uses_nothing(fresh: EmbeddedAws) -> None:
    make_function(fresh, "a", f"{OURS}/jobs/a")
    ecr.faults.add("lambda:GetFunction", "ResourceNotFoundException")
    assert of_lambda(fresh) == Evidence("lambda", T0)


def test_a_function_whose_image_is_not_told_is_trouble(fresh: EmbeddedAws) -> None:
    make_function(fresh, "a", f"{OURS}/jobs/a")
    with at(fresh.client("lambda"), "after-call.lambda.GetFunction", lambda answer: answer.update(Code={"RepositoryType": "ECR"})):
        assert of_lambda(fresh).trouble == "GetFunction: no image is told of a:$LATEST"


# --- files ----------------------------------------------------------------------------------------------------------------------------

FILE = {
    "issuer": "cluster-a",
    "at": T0.isoformat(),
    "expires_at": (T0 + 24 * HOUR).isoformat(),
    "digests": [DIGEST],
    "images": [f"{OURS}/payments/api:v1", f"{ELSEWHERE}/x@{OTHER}", "nginx"],
}


def put(aws: EmbeddedAws, bucket: str, key: str, content: Any) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body)


def test_a_file_is_evidence_of_its_issuer_for_as_long_as_it_says(aws: EmbeddedAws, bucket: str) -> None:
    put(aws, bucket, "evidence/a.json", FILE)
    uses = (Use("cluster-a", digest=DIGEST), Use("cluster-a", "payments/api", tag="v1"), Use("cluster-a", digest=OTHER))
    assert of_files(aws, bucket) == {
        "files:evidence/a.json": Evidence("files:evidence/a.json", T0, uses, expires_at=T0 + 24 * HOUR),
        "files": Evidence("files", T0),
    }


def test_no_file_at_all_is_trouble(aws: EmbeddedAws, bucket: str) -> None:
    put(aws, bucket, "evidence/readme.txt", b"x")
    put(aws, bucket, "elsewhere/a.json", FILE)
    assert of_files(aws, bucket) == {"files": Evidence("files", T0, trouble="no file of evidence is there")}


def test_a_file_that_names_nothing_is_a_file(aws: EmbeddedAws, bucket: str) -> None:
    put(aws, bucket, "evidence/teams/web/a.json", {key: FILE[key] for key in ("issuer", "at", "expires_at")})
    assert [(each.uses, each.trouble) for each in of_files(aws, bucket).values()] == [((), ""), ((), "")]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        ([FILE], "object"),
        ({**FILE, "issuer": ""}, "issuer"),
        ({**FILE, "issuer": 7}, "issuer"),
        ({**FILE, "at": "yesterday"}, "at"),
        ({**FILE, "at": "2026-11-02T09:14:07"}, "timezone"),
        ({**FILE, "at": 1_793_610_847}, "at"),
        ({**FILE, "digests": ["sha256:12"]}, "digests.0"),
        ({**FILE, "digests": [DIGEST + "\n"]}, "digests.0"),
        ({**FILE, "digests": DIGEST}, "digests"),
        ({**FILE, "images": [None]}, "images.0"),
        ({**FILE, "digest": []}, "digest"),
        ({key: value for key, value in FILE.items() if key != "expires_at"}, "expires_at"),
    ],
)
def test_a_damaged_file_is_trouble_and_the_others_are_read(aws: EmbeddedAws, bucket: str, content: Any, why: str) -> None:
    put(aws, bucket, "evidence/a.json", content)
    put(aws, bucket, "evidence/b.json", FILE)
    found = of_files(aws, bucket)
    damaged = found["files:evidence/a.json"]
    assert why in damaged.trouble
    assert (damaged.uses, damaged.read_at) == ((), T0)
    assert len(found["files:evidence/b.json"].uses) == 3


def test_a_file_may_have_five_megabytes(aws: EmbeddedAws, bucket: str) -> None:
    text = json.dumps(FILE).encode()
    put(aws, bucket, "evidence/a.json", text + b" " * (LIMIT - len(text)))
    put(aws, bucket, "evidence/b.json", text + b" " * (LIMIT - len(text) + 1))
    found = of_files(aws, bucket)
    assert found["files:evidence/a.json"].trouble == ""
    assert found["files:evidence/b.json"].trouble == "it has more than 5,000,000 bytes"


def test_stale_and_future_files_are_in_doubt(aws: EmbeddedAws, bucket: str) -> None:
    put(aws, bucket, "evidence/stale.json", {**FILE, "expires_at": (T0 + HOUR).isoformat()})
    put(aws, bucket, "evidence/future.json", {**FILE, "at": (T0 + 9 * HOUR).isoformat()})
    found = of_files(aws, bucket)
    assert "is stale" in found["files:evidence/stale.json"].doubt(T0 + 2 * HOUR)
    assert "from the future" in found["files:evidence/future.json"].doubt(T0)


def test_all_pages_of_files_are_read(aws: EmbeddedAws, bucket: str) -> None:
    for number in range(5):
        put(aws, bucket, f"evidence/{number}.json", {**FILE, "issuer": f"cluster-{number}"})
    with at(aws.client("s3"), "provide-client-params.s3.ListObjectsV2", lambda params: params.update(MaxKeys=2)):
        assert len(of_files(aws, bucket)) == 6


def test_a_file_that_is_removed_meanwhile_is_none(aws: EmbeddedAws, bucket: str) -> None:
    put(aws, bucket, "evidence/a.json", FILE)
    put(aws, bucket, "evidence/b.json", FILE)
    client = aws.client("s3")
    with at(client, "after-call.s3.ListObjectsV2", lambda _: client.delete_object(Bucket=bucket, Key="evidence/a.json")):
        assert of_files(aws, bucket).keys() == {"files:evidence/b.json", "files"}


def test_a_bucket_that_is_not_there_is_trouble(aws: EmbeddedAws) -> None:
    assert of_files(aws, "nobody-made-it") == {"files": Evidence("files", T0, trouble="ListObjectsV2: NoSuchBucket")}


# --- all of them ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def witnesses(aws: EmbeddedAws, bucket: str) -> Witnesses:
    return AwsWitnesses(aws.client, account=ACCOUNT, region=REGION, bucket=bucket)


def test_each_source_that_is_named_is_asked_once(witnesses: Witnesses) -> None:
    assert [each.source for each in witnesses.evidence(["lambda", "files", "ecs", "lambda"], T0)] == ["lambda", "files", "ecs"]
    assert list(witnesses.evidence([], T0)) == []


def test_every_source_is_heard_with_and_without_files(witnesses: Witnesses, aws: EmbeddedAws, bucket: str) -> None:
    asked = ("ecs", "lambda", "files")
    assert missing(asked, witnesses.evidence(asked, T0)) == ()
    put(aws, bucket, "evidence/a.json", FILE)
    assert missing(asked, witnesses.evidence(asked, T0)) == ()


def test_an_unknown_source_is_trouble(witnesses: Witnesses) -> None:
    (evidence,) = witnesses.evidence(["kubernetes"], T0)
    assert evidence == Evidence("kubernetes", T0, trouble="this release knows no such source")
    assert evidence.doubt(T0 + timedelta(seconds=1))


def test_a_source_that_cannot_be_reached_is_trouble_and_raises_nothing() -> None:
    def unreached() -> Any:
        raise EndpointConnectionError(endpoint_url="https://ecs.example")

    assert "EndpointConnectionError" in EcsUsage(unreached, ACCOUNT, REGION).evidence(T0)[0].trouble
    assert "EndpointConnectionError" in LambdaUsage(unreached, ACCOUNT, REGION).evidence(T0)[0].trouble
    assert "EndpointConnectionError" in FilesUsage(unreached, "b", ACCOUNT, REGION).evidence(T0)[0].trouble


def test_a_user_that_is_heard_of_twice_is_one() -> None:
    assert heard("x", T0, iter([Use("a"), None, Use("a")])) == Evidence("x", T0, (Use("a"),))
