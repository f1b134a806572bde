"""Amazon ECS: what tasks run, what services would start, and what they can be rolled back to."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import code_of
from ecr_governor.adapters.usage.aws_usage import AwsUsage, Unheard, named
from ecr_governor.core.retirement.evidence import Use

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

TASKS: Final = 100
"""Tasks that one DescribeTasks takes."""
SERVICES: Final = 10
"""Services that one DescribeServices takes."""
REVISIONS: Final = 3
"""Newest active revisions of every family that count as in use: a rollback goes to one of them."""


class EcsUsage(AwsUsage["ECSClient"]):
    """All clusters of one account in one Region."""

    source = "ecs"
    service = "ecs"

    def _uses(self, client: "ECSClient") -> Iterator[Use | None]:
        definitions: dict[str, None] = {}
        for page in client.get_paginator("list_clusters").paginate():
            for cluster in page["clusterArns"]:
                try:
                    yield from self._of_tasks(client, cluster, definitions)
                    for definition in _of_services(client, cluster):
                        definitions[definition] = None
                        yield None
                except ClientError as error:
                    # A cluster that was deleted meanwhile runs nothing.
                    if code_of(error) != "ClusterNotFoundException":
                        raise
        # A family that nothing runs now may be started by a schedule, or be what a rollback goes to.
        for families in client.get_paginator("list_task_definition_families").paginate(status="ACTIVE"):
            for family in families["families"]:
                definitions |= dict.fromkeys(_newest(client, family))
                yield None
        for arn in definitions:
            yield from self._of_definition(arn, client.describe_task_definition(taskDefinition=arn)["taskDefinition"])

    def _of_tasks(self, client: "ECSClient", cluster: str, definitions: dict[str, None]) -> Iterator[Use | None]:
        # ECS wishes a task to be RUNNING or STOPPED: one that is still to start is among the former.
        for page in client.get_paginator("list_tasks").paginate(
            cluster=cluster, desiredStatus="RUNNING", PaginationConfig={"PageSize": TASKS}
        ):
            arns = page["taskArns"]
            if not arns:
                continue
            answer = client.describe_tasks(cluster=cluster, tasks=arns)
            _check("DescribeTasks", answer)
            for task in answer["tasks"]:
                definitions[task["taskDefinitionArn"]] = None
                for container in task.get("containers", ()):
                    user = named(task["taskArn"])
                    yield self._use(user, container.get("image", ""))
                    if digest := container.get("imageDigest"):
                        yield Use(user, digest=digest)

    def _of_definition(self, arn: str, definition: Mapping[str, Any]) -> Iterator[Use | None]:
        for container in definition.get("containerDefinitions", ()):
            yield self._use(named(arn), container.get("image", ""))


def _of_services(client: "ECSClient", cluster: str) -> Iterator[str]:
    """Give the ARNs of the task definitions that services start tasks from."""
    for page in client.get_paginator("list_services").paginate(cluster=cluster, PaginationConfig={"PageSize": SERVICES}):
        arns = page["serviceArns"]
        if not arns:
            continue
        answer = client.describe_services(cluster=cluster, services=arns)
        _check("DescribeServices", answer)
        for service in answer["services"]:
            # During a deployment there are two; a service with a controller of its own has task sets instead.
            for each in (service, *service.get("deployments", ()), *service.get("taskSets", ())):
                if definition := each.get("taskDefinition"):
                    yield str(definition)


def _newest(client: "ECSClient", family: str) -> Sequence[str]:
    pages = client.get_paginator("list_task_definitions").paginate(
        familyPrefix=family, status="ACTIVE", sort="DESC", PaginationConfig={"PageSize": REVISIONS}
    )
    return list(islice((arn for page in pages for arn in page["taskDefinitionArns"]), REVISIONS))


def _check(operation: str, answer: Mapping[str, Any]) -> None:
    """Raise Unheard if something that was asked for was withheld. What is MISSING ended since it was listed."""
    for failure in answer.get("failures", ()):
        if failure.get("reason") != "MISSING":
            raise Unheard(f"{operation}: {failure.get('reason', 'failed without a reason')}")
