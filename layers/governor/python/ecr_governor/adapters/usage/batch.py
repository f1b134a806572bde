"""AWS Batch: the images that jobs can be started from, and those that jobs still wait for."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import code_of
from ecr_governor.adapters.usage.aws_usage import AwsUsage, Unheard, named
from ecr_governor.core.retirement.evidence import Use

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.literals import JobStatusType

PAGE: Final = 100
"""What one answer has, and how many definitions one call may name, at the most."""
UNFINISHED: Final[Sequence["JobStatusType"]] = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")


class BatchUsage(AwsUsage["BatchClient"]):
    """All active revisions of all job definitions of one account in one Region, and others that unfinished jobs were made of."""

    source = "batch"
    service = "batch"

    def _uses(self, client: "BatchClient") -> Iterator[Use | None]:
        described: set[str] = set()
        pages = client.get_paginator("describe_job_definitions").paginate(status="ACTIVE", PaginationConfig={"PageSize": PAGE})
        for definition in (each for page in pages for each in page.get("jobDefinitions", ())):
            described.add(definition["jobDefinitionArn"])
            yield from self._of_definition(definition)
        # A job keeps the revision that it was submitted with, also when another takes its place.
        started: set[str] = set()
        for definitions_of_jobs in _of_unfinished_jobs(client):
            started |= definitions_of_jobs
            yield None
        left = iter(sorted(started - described))
        while arns := list(islice(left, PAGE)):
            definitions = client.describe_job_definitions(jobDefinitions=arns).get("jobDefinitions", [])
            if silent := set(arns) - {each["jobDefinitionArn"] for each in definitions}:
                raise Unheard(f"DescribeJobDefinitions: nothing is told of {named(min(silent))}")
            for definition in definitions:
                yield from self._of_definition(definition)

    def _of_definition(self, definition: Mapping[str, Any]) -> Iterator[Use | None]:
        name, images = named(definition["jobDefinitionArn"]), list(filter(None, _images(definition)))
        if not images:
            raise Unheard(f"DescribeJobDefinitions: no image is told of {name}")
        for image in images:
            yield self._use(name, image)


def _images(definition: Mapping[str, Any]) -> Iterator[str]:
    """Give the images of a job definition, or of a range of nodes in it, in whichever of its forms; some may be ""."""
    yield definition.get("containerProperties", {}).get("image", "")
    yield definition.get("container", {}).get("image", "")
    tasks, pod = definition.get("ecsProperties", {}).get("taskProperties", ()), definition.get("eksProperties", {}).get("podProperties", {})
    for each in (*tasks, pod):
        for container in (*each.get("initContainers", ()), *each.get("containers", ())):
            yield container.get("image", "")
    for nodes in definition.get("nodeProperties", {}).get("nodeRangeProperties", ()):
        yield from _images(nodes)


def _of_unfinished_jobs(client: "BatchClient") -> Iterator[set[str]]:
    """Give the ARNs of the job definitions of all jobs that have not ended, for each queue."""
    for page in client.get_paginator("describe_job_queues").paginate(PaginationConfig={"PageSize": PAGE}):
        for queue in page.get("jobQueues", ()):
            # The jobs of such a queue are SageMaker's, and are not listed here.
            if queue.get("jobQueueType") == "SAGEMAKER_TRAINING":
                continue
            try:
                yield set(_listed(client, queue["jobQueueArn"]))
            except ClientError as error:
                # Batch has one code for whatever is wrong with a request.
                if code_of(error) != "ClientException" or client.describe_job_queues(jobQueues=[queue["jobQueueArn"]]).get("jobQueues"):
                    raise


def _listed(client: "BatchClient", queue: str) -> Iterator[str]:
    for status in UNFINISHED:
        pages = client.get_paginator("list_jobs").paginate(jobQueue=queue, jobStatus=status, PaginationConfig={"PageSize": PAGE})
        for job in (each for page in pages for each in page.get("jobSummaryList", ())):
            if not (definition := job.get("jobDefinition")):
                raise Unheard(f"ListJobs: no definition is told of job {job['jobId']}")
            yield definition
