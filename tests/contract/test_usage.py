"""Who uses images: services of AWS and files of evidence, as the embedded AWS has them."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from moto.awslambda.models import lambda_backends
from moto.ecs.models import ecs_backends

from ecr_governor.adapters.usage.aws_usage import heard
from ecr_governor.adapters.usage.files import LIMIT, FilesUsage
from ecr_governor.adapters.usage.witnesses import AWS, AwsWitnesses
from ecr_governor.app.retirement.ports import Witnesses
from ecr_governor.core.policy.retirement import Source
from ecr_governor.core.retirement.evidence import Evidence, Use, missing
from local import ecr
from local.server import EmbeddedAws
from tests.fakes import ACCOUNT, HOUR, REGION, T0
from tests.using import (
    BATCH,
    SAGEMAKER,
    put_component,
    put_covered,
    put_definition,
    put_endpoint,
    put_everything,
    put_image,
    put_job,
    put_model,
    put_on,
    put_package,
    put_project,
    put_queue,
    put_service,
    put_version,
    variants,
)

_numbers = count()
OURS = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ELSEWHERE = f"210987654321.dkr.ecr.{REGION}.amazonaws.com"
DIGEST = "sha256:" + "0a" * 32
OTHER = "sha256:" + "0b" * 32
ROLE = f"arn:aws:iam::{ACCOUNT}:role/runs-functions"


@pytest.fixture
def fresh(aws: EmbeddedAws, no_trouble_left: None) -> EmbeddedAws:
    """The account without anything that uses images: these sources are asked for all there is."""
    aws.workloads.clear()
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


def once(act: Callable[..., object]) -> Callable[..., object]:
    """Act the first time only."""
    left = [act]
    return lambda answer: left.pop()(answer) if left else None


@pytest.fixture
def bucket(aws: EmbeddedAws) -> str:
    name = f"reports-{next(_numbers)}"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def told_by(aws: EmbeddedAws, source: str, may_go_on: Callable[[], bool] = lambda: True) -> Evidence:
    (kind,) = (each for each in AWS if each.source == source)
    (evidence,) = kind(lambda: aws.client(kind.service), ACCOUNT, REGION, may_go_on).evidence(T0)
    return evidence


def of_ecs(aws: EmbeddedAws) -> Evidence:
    return told_by(aws, "ecs")


def of_lambda(aws: EmbeddedAws) -> Evidence:
    return told_by(aws, "lambda")


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


# --- App Runner, Batch, CodeBuild, Inspector, SageMaker -------------------------------------------------------------------------------


def in_pages_of_two(aws: EmbeddedAws, lists: str) -> AbstractContextManager[None]:
    """Have a list's pages hold two things each."""
    service = lists.partition(".")[0]
    limit = "MaxResults" if service in {"apprunner", "sagemaker"} else "maxResults"
    return at(aws.client(service), f"provide-client-params.{lists}", lambda params: params.update({limit: 2}))


CALLS = {
    "apprunner": ["ListServices", "DescribeService"],
    "batch": ["DescribeJobDefinitions", "DescribeJobQueues", "ListJobs"],
    "codebuild": ["ListProjects", "BatchGetProjects"],
    "inspector": ["BatchGetAccountStatus", "ListCoverage"],
    "sagemaker": [
        "ListEndpoints",
        "DescribeEndpoint",
        "ListInferenceComponents",
        "DescribeInferenceComponent",
        "ListImages",
        "ListImageVersions",
        "DescribeImageVersion",
        "ListModelPackages",
        "DescribeModelPackage",
        "ListModels",
        "DescribeModel",
    ],
}


@pytest.mark.parametrize("source", CALLS)
def test_where_nothing_is_nothing_is_used(fresh: EmbeddedAws, source: str) -> None:
    put_on(fresh)
    assert told_by(fresh, source) == Evidence(source, T0)


@pytest.mark.parametrize(("source", "operation"), [(source, each) for source, calls in CALLS.items() for each in calls])
@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_a_call_that_fails_is_the_trouble_of_its_source(fresh: EmbeddedAws, source: str, operation: str, code: str) -> None:
    put_everything(fresh, f"{OURS}/payments/api:v1", f"payments/api/{DIGEST}")
    assert told_by(fresh, source).trouble == ""
    ecr.faults.add(operation, code, times=None)
    evidence = told_by(fresh, source)
    assert evidence.trouble == f"{operation}: {code}"
    assert "could not be read" in evidence.doubt(T0)


@pytest.mark.parametrize(
    ("text", "use"),
    [
        (f"{OURS}/payments/api", Use("", "payments/api")),
        (f"{OURS}/payments/api:v1", Use("", "payments/api", tag="v1")),
        (f"{OURS}/payments/api@{DIGEST}", Use("", "payments/api", digest=DIGEST)),
        (f"{ELSEWHERE}/payments/api@{DIGEST}", Use("", digest=DIGEST)),
        (f"{ELSEWHERE}/payments/api:v1", None),
        ("public.ecr.aws/nginx/nginx:1", None),
        ("aws/codebuild/standard:7.0", None),
    ],
)
@pytest.mark.parametrize(
    ("source", "user", "lay"),
    [
        ("apprunner", "service/api-1/1", lambda aws, image: put_service(aws, "api-1", image)),
        ("batch", "job-definition/job:1", lambda aws, image: put_definition(aws, "job:1", containerProperties={"image": image})),
        ("codebuild", "project/build", lambda aws, image: put_project(aws, "build", image)),
        ("sagemaker", "model/m", lambda aws, image: put_model(aws, "m", {"Image": image})),
        ("sagemaker", "model-package/p", lambda aws, image: put_package(aws, "p", image)),
        ("sagemaker", "endpoint/e", lambda aws, image: put_endpoint(aws, "e", ProductionVariants=variants({"SpecifiedImage": image}))),
        ("sagemaker", "image-version/i/1", lambda aws, image: (put_image(aws, "i"), put_version(aws, "i", 1, BaseImage=image))),
    ],
)
def test_an_image_is_used_by_its_tag_or_by_its_digest(
    fresh: EmbeddedAws, source: str, user: str, lay: Callable[[EmbeddedAws, str], object], text: str, use: Use | None
) -> None:
    lay(fresh, text)
    assert told_by(fresh, source) == Evidence(source, T0, (replace(use, user=user),) if use else ())


@pytest.mark.parametrize(
    ("source", "lists", "lay"),
    [
        ("apprunner", "apprunner.ListServices", lambda aws, number, image: put_service(aws, f"name-{number}", image)),
        (
            "batch",
            "batch.DescribeJobDefinitions",
            lambda aws, number, image: put_definition(aws, f"job:{number}", containerProperties={"image": image}),
        ),
        ("codebuild", "", lambda aws, number, image: put_project(aws, f"name-{number}", image)),
        (
            "inspector",
            "inspector2.ListCoverage",
            lambda aws, _, image: put_covered(aws, f"{image.partition('/')[2]}/{DIGEST}", running=1),
        ),
        (
            "inspector",
            "inspector2.ListCoverage",
            lambda aws, _, image: put_covered(aws, f"{image.partition('/')[2]}/{DIGEST}", used_at=T0),
        ),
        ("sagemaker", "sagemaker.ListModels", lambda aws, number, image: put_model(aws, f"name-{number}", {"Image": image})),
        ("sagemaker", "sagemaker.ListModelPackages", lambda aws, number, image: put_package(aws, f"name-{number}", image)),
        (
            "sagemaker",
            "sagemaker.ListEndpoints",
            lambda aws, number, image: put_endpoint(aws, f"name-{number}", ProductionVariants=variants({"SpecifiedImage": image})),
        ),
        (
            "sagemaker",
            "sagemaker.ListInferenceComponents",
            lambda aws, number, image: put_component(
                aws, f"name-{number}", Specification={"Container": {"DeployedImage": {"SpecifiedImage": image}}}
            ),
        ),
        (
            "sagemaker",
            "sagemaker.ListImages",
            lambda aws, number, image: (put_image(aws, f"name-{number}"), put_version(aws, f"name-{number}", 1, BaseImage=image)),
        ),
        (
            "sagemaker",
            "sagemaker.ListImageVersions",
            lambda aws, number, image: (number or put_image(aws, "i"), put_version(aws, "i", number, BaseImage=image)),
        ),
    ],
)
def test_all_pages_of_a_list_are_read(fresh: EmbeddedAws, source: str, lists: str, lay: Callable[[EmbeddedAws, int, str], object]) -> None:
    put_on(fresh)
    number = 5 if lists else 101
    for each in range(number):
        lay(fresh, each, f"{OURS}/images/of-{each}")
    with in_pages_of_two(fresh, lists) if lists else nullcontext():
        assert repositories(told_by(fresh, source)) == {f"images/of-{each}" for each in range(number)}


@pytest.mark.parametrize("source", [*CALLS, "ecs", "lambda"])
def test_a_source_with_too_much_to_say_is_cut_short_and_that_is_trouble(fresh: EmbeddedAws, source: str) -> None:
    put_everything(fresh, f"{OURS}/payments/api:v1", f"payments/api/{DIGEST}")
    for number in range(3):
        image = f"{OURS}/images/of-{number}"
        put_service(fresh, f"name-{number}", image)
        put_definition(fresh, f"name:{number}", containerProperties={"image": image})
        put_project(fresh, f"name-{number}", image)
        put_covered(fresh, f"images/of-{number}/{DIGEST}", running=1)
        put_endpoint(fresh, f"name-{number}", ProductionVariants=variants({"SpecifiedImage": image}))
        define(fresh, f"family-{number}", image)
        make_function(fresh, f"function-{number}", image)
    left = iter([True, False])
    evidence = told_by(fresh, source, lambda: next(left))
    assert evidence.trouble == "there was no time left to hear it to its end"
    assert len(evidence.uses) <= 2


def test_a_service_that_is_paused_uses_its_image_and_one_that_is_deleted_or_built_from_code_does_not(fresh: EmbeddedAws) -> None:
    put_service(fresh, "paused", f"{OURS}/paused", "PAUSED")
    put_service(fresh, "failed", f"{OURS}/failed", "CREATE_FAILED")
    put_service(fresh, "deleted", f"{OURS}/deleted", "DELETED")
    code = {"RepositoryUrl": "https://example.com/a", "SourceCodeVersion": {"Type": "BRANCH", "Value": "main"}}
    put_service(fresh, "built", None, CodeRepository=code)
    evidence = told_by(fresh, "apprunner")
    assert (repositories(evidence), evidence.trouble) == ({"paused", "failed"}, "")


def test_a_service_that_is_deleted_meanwhile_uses_nothing(fresh: EmbeddedAws) -> None:
    put_service(fresh, "gone", f"{OURS}/gone")
    ecr.faults.add("apprunner:DescribeService", "ResourceNotFoundException")
    assert told_by(fresh, "apprunner") == Evidence("apprunner", T0)
    ending = lambda answer: answer["Service"].update(Status="DELETED")  # noqa: E731
    with at(fresh.client("apprunner"), "after-call.apprunner.DescribeService", ending):
        assert told_by(fresh, "apprunner") == Evidence("apprunner", T0)


def test_a_service_whose_image_is_not_told_is_trouble(fresh: EmbeddedAws) -> None:
    put_service(fresh, "strange", None)
    assert told_by(fresh, "apprunner").trouble == "DescribeService: no image is told of service/strange/1"


def test_pages_of_services_may_be_short_or_empty_but_not_the_same_again(fresh: EmbeddedAws) -> None:
    for number in range(5):
        put_service(fresh, f"name-{number}", f"{OURS}/images/of-{number}")
    with at(fresh.client("apprunner"), "provide-client-params.apprunner.ListServices", lambda params: params.update(MaxResults=1)):
        assert len(told_by(fresh, "apprunner").uses) == 5
    again = lambda answer: answer.update(NextToken="2")  # noqa: E731
    with at(fresh.client("apprunner"), "after-call.apprunner.ListServices", again):
        assert told_by(fresh, "apprunner").trouble == "ListServices: the same page comes again and again"


@pytest.mark.parametrize(
    ("properties", "images"),
    [
        ({"containerProperties": {"image": f"{OURS}/a"}}, {"a"}),
        ({"ecsProperties": {"taskProperties": [{"containers": [{"image": f"{OURS}/a"}, {"image": f"{OURS}/b"}]}]}}, {"a", "b"}),
        (
            {"eksProperties": {"podProperties": {"containers": [{"image": f"{OURS}/a"}], "initContainers": [{"image": f"{OURS}/b"}]}}},
            {"a", "b"},
        ),
        (
            {
                "nodeProperties": {
                    "numNodes": 3,
                    "mainNode": 0,
                    "nodeRangeProperties": [
                        {"targetNodes": "0", "container": {"image": f"{OURS}/a"}},
                        {"targetNodes": "1", "ecsProperties": {"taskProperties": [{"containers": [{"image": f"{OURS}/b"}]}]}},
                        {"targetNodes": "2", "eksProperties": {"podProperties": {"containers": [{"image": f"{OURS}/c"}]}}},
                    ],
                }
            },
            {"a", "b", "c"},
        ),
    ],
)
def test_each_form_of_a_job_definition_uses_all_its_images(fresh: EmbeddedAws, properties: Mapping[str, Any], images: set[str]) -> None:
    put_definition(fresh, "job:1", **properties)
    evidence = told_by(fresh, "batch")
    assert (repositories(evidence), evidence.trouble) == (images, "")


def test_a_job_definition_in_a_form_that_nobody_knows_is_trouble(fresh: EmbeddedAws) -> None:
    put_definition(fresh, "job:1")
    assert told_by(fresh, "batch").trouble == "DescribeJobDefinitions: no image is told of job-definition/job:1"


def test_every_active_revision_is_used_and_a_deregistered_one_only_as_long_as_a_job_has_not_ended(fresh: EmbeddedAws) -> None:
    put_queue(fresh)
    statuses = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
    for number, status in enumerate(statuses):
        name = status.lower()
        put_job(fresh, put_definition(fresh, f"{name}:{number}", "INACTIVE", containerProperties={"image": f"{OURS}/{name}"}), status)
    put_job(fresh, put_definition(fresh, "job:8", containerProperties={"image": f"{OURS}/active"}), "RUNNING")
    put_definition(fresh, "job:9", containerProperties={"image": f"{OURS}/newest"})
    put_definition(fresh, "job:7", "INACTIVE", containerProperties={"image": f"{OURS}/former"})
    evidence = told_by(fresh, "batch")
    assert evidence.trouble == ""
    assert repositories(evidence) == {"submitted", "pending", "runnable", "starting", "running", "active", "newest"}


def test_all_pages_of_queues_and_jobs_are_read(fresh: EmbeddedAws) -> None:
    queues = [f"{BATCH}:job-queue/queue-{number}" for number in range(5)]
    for queue in queues:
        put_queue(fresh, queue)
    for number in range(5):
        image = {"image": f"{OURS}/images/of-{number}"}
        put_job(fresh, put_definition(fresh, f"job:{number}", "INACTIVE", containerProperties=image), "RUNNABLE", queues[-1])
    with in_pages_of_two(fresh, "batch.DescribeJobQueues"), in_pages_of_two(fresh, "batch.ListJobs"):
        assert repositories(told_by(fresh, "batch")) == {f"images/of-{number}" for number in range(5)}


def test_definitions_of_many_jobs_are_asked_for_a_hundred_at_a_time(fresh: EmbeddedAws) -> None:
    put_queue(fresh)
    for number in range(101):
        image = {"image": f"{OURS}/images/of-{number}"}
        put_job(fresh, put_definition(fresh, f"job:{number}", "INACTIVE", containerProperties=image), "RUNNABLE")
    asked: list[int] = []
    seen = lambda params: asked.append(len(params.get("jobDefinitions", ())))  # noqa: E731
    with at(fresh.client("batch"), "provide-client-params.batch.DescribeJobDefinitions", seen):
        assert repositories(told_by(fresh, "batch")) == {f"images/of-{number}" for number in range(101)}
    assert asked == [0, 100, 1]


def test_a_queue_of_training_jobs_is_not_asked(fresh: EmbeddedAws) -> None:
    put_queue(fresh, kind="SAGEMAKER_TRAINING")
    ecr.faults.add("batch:ListJobs", "ClientException", times=None)
    assert told_by(fresh, "batch") == Evidence("batch", T0)


def test_a_queue_that_is_deleted_meanwhile_holds_no_job_and_one_that_only_refuses_is_trouble(fresh: EmbeddedAws) -> None:
    put_queue(fresh)
    ecr.faults.add("batch:ListJobs", "ClientException", times=None)
    assert told_by(fresh, "batch").trouble == "ListJobs: ClientException"
    with at(fresh.client("batch"), "after-call.batch.DescribeJobQueues", once(lambda _: fresh.workloads.clear())):
        assert told_by(fresh, "batch") == Evidence("batch", T0)


def test_a_job_of_which_no_definition_is_told_is_trouble(fresh: EmbeddedAws) -> None:
    put_queue(fresh)
    put_job(fresh, f"{BATCH}:job-definition/nowhere:1", "RUNNABLE")
    assert told_by(fresh, "batch").trouble == "DescribeJobDefinitions: nothing is told of job-definition/nowhere:1"
    fresh.workloads.clear()
    put_queue(fresh)
    put_job(fresh, None, "RUNNABLE")
    assert told_by(fresh, "batch").trouble == "ListJobs: no definition is told of job job-1"


def test_a_project_that_is_deleted_meanwhile_uses_nothing_and_one_that_is_passed_over_is_trouble(fresh: EmbeddedAws) -> None:
    for name in ("first", "second"):
        put_project(fresh, name, f"{OURS}/{name}")
    with at(fresh.client("codebuild"), "after-call.codebuild.ListProjects", lambda answer: answer["projects"].append("gone")):
        evidence = told_by(fresh, "codebuild")
        assert (repositories(evidence), evidence.trouble) == ({"first", "second"}, "")
    with at(fresh.client("codebuild"), "after-call.codebuild.BatchGetProjects", lambda answer: answer["projects"].pop()):
        evidence = told_by(fresh, "codebuild")
        assert (repositories(evidence), evidence.trouble) == ({"first"}, "BatchGetProjects: no image is told of second")


def test_a_project_whose_image_is_not_told_is_trouble(fresh: EmbeddedAws) -> None:
    put_project(fresh, "strange", None)
    assert told_by(fresh, "codebuild").trouble == "BatchGetProjects: no image is told of strange"


def test_what_runs_now_is_used_now_and_what_ran_once_was_used_then(fresh: EmbeddedAws) -> None:
    put_on(fresh)
    put_covered(fresh, f"payments/api/{DIGEST}", running=3, used_at=T0)
    put_covered(fresh, f"payments/web/{OTHER}", used_at=T0 - HOUR)
    put_covered(fresh, f"payments/idle/{OTHER}")
    put_covered(fresh, f"theirs/{OTHER}", running=1, account="210987654321")
    put_covered(fresh, f"far/{OTHER}", running=1, region="eu-central-1")
    user = "ECS tasks or EKS pods"
    evidence = told_by(fresh, "inspector")
    assert evidence.trouble == ""
    assert set(evidence.uses) == {
        Use(user, "payments/api", DIGEST),
        Use(user, "payments/api", DIGEST, at=T0),
        Use(user, "payments/web", OTHER, at=T0 - HOUR),
        Use(user, digest=OTHER),
    }


@pytest.mark.parametrize("status", ["DISABLED", "ENABLING", "SUSPENDED"])
def test_where_inspector_does_not_scan_ecr_it_has_nothing_to_say_and_that_is_trouble(fresh: EmbeddedAws, status: str) -> None:
    put_on(fresh, status)
    assert told_by(fresh, "inspector").trouble == f"Inspector's scanning of ECR is {status}"


def test_where_inspector_does_not_tell_whether_it_scans_that_is_trouble(fresh: EmbeddedAws) -> None:
    put_on(fresh)
    silent = lambda answer: answer.update(accounts=[], failedAccounts=[{"accountId": ACCOUNT}])  # noqa: E731
    with at(fresh.client("inspector2"), "after-call.inspector2.BatchGetAccountStatus", silent):
        assert told_by(fresh, "inspector").trouble == "Inspector's scanning of ECR is not told"


def test_a_resource_that_is_no_image_is_trouble(fresh: EmbeddedAws) -> None:
    put_on(fresh)
    put_covered(fresh, "payments/api", running=1)
    assert told_by(fresh, "inspector").trouble == f"ListCoverage: arn:aws:ecr:{REGION}:{ACCOUNT}:repository/payments/api is no image"


def test_an_endpoint_uses_what_it_runs_what_it_shadows_and_what_it_is_changing_to(fresh: EmbeddedAws) -> None:
    put_endpoint(
        fresh,
        "e",
        ProductionVariants=variants({"SpecifiedImage": f"{OURS}/a:v1", "ResolvedImage": f"{OURS}/a@{DIGEST}"}),
        ShadowProductionVariants=variants({"SpecifiedImage": f"{OURS}/b"}),
        PendingDeploymentSummary={
            "EndpointConfigName": "next",
            "ProductionVariants": variants({"SpecifiedImage": f"{OURS}/c"}),
            "ShadowProductionVariants": variants({"SpecifiedImage": f"{OURS}/d"}),
        },
    )
    put_endpoint(fresh, "of-components")
    assert set(told_by(fresh, "sagemaker").uses) == {
        Use("endpoint/e", "a", tag="v1"),
        Use("endpoint/e", "a", digest=DIGEST),
        *(Use("endpoint/e", name) for name in "bcd"),
    }


def test_an_inference_component_uses_the_images_of_all_its_specifications(fresh: EmbeddedAws) -> None:
    deployed = [
        {"Container": {"DeployedImage": {"SpecifiedImage": f"{OURS}/{name}:v1", "ResolvedImage": f"{OURS}/{name}@{DIGEST}"}}}
        for name in "ab"
    ]
    put_component(fresh, "c", Specification=deployed[0], Specifications=[deployed[1], {"ModelName": "m"}])
    assert {(use.repository, use.tag, use.digest) for use in told_by(fresh, "sagemaker").uses} == {
        (name, *how) for name in "ab" for how in (("v1", None), (None, DIGEST))
    }


def test_a_version_of_an_image_uses_what_it_is_based_on_and_what_it_became(fresh: EmbeddedAws) -> None:
    put_image(fresh, "i")
    put_version(fresh, "i", 1, BaseImage=f"{OURS}/base:v1", ContainerImage=f"{OURS}/became@{DIGEST}")
    assert told_by(fresh, "sagemaker").uses == (
        Use("image-version/i/1", "base", tag="v1"),
        Use("image-version/i/1", "became", digest=DIGEST),
    )


def test_a_model_uses_the_images_of_all_its_containers(fresh: EmbeddedAws) -> None:
    put_model(fresh, "m", {"Image": f"{OURS}/a"}, {"Image": f"{OURS}/b"})
    assert repositories(told_by(fresh, "sagemaker")) == {"a", "b"}


def test_a_model_whose_image_is_not_told_is_trouble(fresh: EmbeddedAws) -> None:
    put_model(fresh, "m", {"ModelDataUrl": "s3://a/b"})
    assert told_by(fresh, "sagemaker").trouble == "DescribeModel: no image is told of model/m"


def test_packages_use_their_images_unless_they_were_rejected_and_nobody_made_a_model_of_them(fresh: EmbeddedAws) -> None:
    put_package(fresh, "unversioned", f"{OURS}/unversioned")
    put_package(fresh, "group/1", f"{OURS}/approved", "Approved")
    put_package(fresh, "group/2", f"{OURS}/pending", "PendingManualApproval")
    put_package(fresh, "group/3", f"{OURS}/rejected", "Rejected")
    put_model(fresh, "m", {"ModelPackageName": put_package(fresh, "group/4", f"{OURS}/modelled", "Rejected")})
    further = [{"Name": "x", "Containers": [{"Image": f"{OURS}/additional", "ImageDigest": DIGEST}]}]
    put_package(fresh, "group/5", f"{OURS}/main", "Approved", AdditionalInferenceSpecifications=further)
    evidence = told_by(fresh, "sagemaker")
    assert evidence.trouble == ""
    assert repositories(evidence) == {"unversioned", "approved", "pending", "modelled", "main", "additional", None}
    assert Use("model-package/group/5", digest=DIGEST) in evidence.uses


def test_a_model_of_a_package_that_is_gone_is_trouble(fresh: EmbeddedAws) -> None:
    arn = f"{SAGEMAKER}:model-package/gone/1"
    put_model(fresh, "m", {"ModelPackageName": arn})
    assert told_by(fresh, "sagemaker").trouble == f"DescribeModelPackage: ValidationException for {arn}, which model/m was made of"


@pytest.mark.parametrize(
    "lists", ["ListEndpoints", "ListInferenceComponents", "ListImages", "ListImageVersions", "ListModelPackages", "ListModels"]
)
def test_what_is_deleted_meanwhile_uses_nothing(fresh: EmbeddedAws, lists: str) -> None:
    put_everything(fresh, f"{OURS}/payments/api:v1", f"payments/api/{DIGEST}")
    with at(fresh.client("sagemaker"), f"after-call.sagemaker.{lists}", lambda _: fresh.workloads.clear()):
        assert told_by(fresh, "sagemaker").trouble == ""


def test_an_image_that_is_deleted_meanwhile_has_no_versions(fresh: EmbeddedAws) -> None:
    put_image(fresh, "i")
    ecr.faults.add("sagemaker:ListImageVersions", "ResourceNotFound")
    assert told_by(fresh, "sagemaker") == Evidence("sagemaker", T0)


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("DescribeEndpoint", "e"),
        ("DescribeInferenceComponent", "c"),
        ("DescribeImageVersion", "('i', 1)"),
        ("DescribeModelPackage", f"{SAGEMAKER}:model-package/p"),
        ("DescribeModel", "m"),
    ],
)
def test_what_is_listed_and_not_found_is_trouble(fresh: EmbeddedAws, operation: str, name: str) -> None:
    put_everything(fresh, f"{OURS}/payments/api:v1", f"payments/api/{DIGEST}")
    ecr.faults.add(f"sagemaker:{operation}", "ValidationException", times=None)
    assert told_by(fresh, "sagemaker").trouble == f"{name} is listed and cannot be described"


# --- files ----------------------------------------------------------------------------------------------------------------------------

FILE = {
    "issuer": "cluster-a",
    "at": T0.isoformat(),
    "expires_at": (T0 + 24 * HOUR).isoformat(),
    "digests": [DIGEST],
    "images": [f"{OURS}/payments/api:v1", f"{ELSEWHERE}/x@{OTHER}", "docker.io/library/nginx"],
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
        ({**FILE, "images": ["payments/api:v1"]}, "images.0: 'payments/api:v1' names neither a registry with a repository nor a digest"),
        ({**FILE, "images": [f"{OURS}/payments/api", f"{OURS}/Payments"]}, "images.1: "),
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
    asked = [source.value for source in Source]
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

    for kind in AWS:
        assert "EndpointConnectionError" in kind(unreached, ACCOUNT, REGION).evidence(T0)[0].trouble
    assert "EndpointConnectionError" in FilesUsage(unreached, "b", ACCOUNT, REGION).evidence(T0)[0].trouble


def test_no_client_is_made_of_a_source_that_is_not_asked(aws: EmbeddedAws, bucket: str) -> None:
    made: list[str] = []

    def client(service: str) -> Any:
        made.append(service)
        return aws.client(service)

    witnesses = AwsWitnesses(client, account=ACCOUNT, region=REGION, bucket=bucket)
    assert made == []
    witnesses.evidence(["batch", "files"], T0)
    assert made == ["batch", "s3"]


def test_a_user_that_is_heard_of_twice_is_one() -> None:
    assert heard("x", T0, iter([Use("a"), None, Use("a")])) == Evidence("x", T0, (Use("a"),))
