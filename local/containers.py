"""Amazon ECS is moto's, which knows no pages and no order, shows one container of a task, and no digests.

docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTaskDefinitions.html, API_Container.html
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ecs.models import Container, Task
from moto.ecs.responses import EC2ContainerServiceResponse

from local.ecr import faults
from local.ecr.image_uri import digest_behind
from local.principals import access_key_of, identify
from local.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Callable

# The member that each list is in, and how long a page is unless something else is asked for.
LISTS = {
    "ListClusters": ("clusterArns", 100),
    "ListServices": ("serviceArns", 10),
    "ListTasks": ("taskArns", 100),
    "ListTaskDefinitions": ("taskDefinitionArns", 100),
}
READS = (*LISTS, "DescribeTasks", "DescribeServices", "DescribeTaskDefinition")


def install() -> Callable[[], None]:
    """Put it in place; returns what takes it out."""
    original: Any = Task.__init__

    def begin(task: Any, cluster: Any, task_definition: Any, *arguments: Any, **named: Any) -> None:
        original(task, cluster, task_definition, *arguments, **named)
        task.containers = [_container(task_definition, each) for each in task_definition.container_definitions]

    undo_tasks = replace(Task, {"__init__": begin})
    undo_reads = replace(EC2ContainerServiceResponse, {_method(operation): _reading(operation) for operation in READS})

    def undo() -> None:
        undo_reads()
        undo_tasks()

    return undo


def _method(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")


def _reading(operation: str) -> Callable[[Any], ActionResult]:
    original = vars(EC2ContainerServiceResponse)[_method(operation)]

    def read(response: Any) -> ActionResult:
        faults.strike(operation, identify(access_key_of(response.headers)), service="ecs")
        answer: ActionResult = original(response)
        return _page(response, answer, *LISTS[operation]) if operation in LISTS else answer

    return read


def _page(response: Any, answer: ActionResult, member: str, default: int) -> ActionResult:
    asked = partial(response._get_param)
    arns: Any = answer.result
    found: list[str] = sorted(arns[member], key=_by_revision, reverse=asked("sort") == "DESC")
    start, size = int(asked("nextToken") or 0), int(asked("maxResults") or default)
    following = {"nextToken": str(start + size)} if start + size < len(found) else {}
    return ActionResult({member: found[start : start + size], **following})


def _by_revision(arn: str) -> tuple[str, int]:
    family, _, revision = arn.rpartition(":")
    return (family, int(revision)) if revision.isdigit() else (arn, 0)


def _container(task_definition: Any, definition: dict[str, Any]) -> Any:
    # moto's container is that of the first definition.
    make: Any = Container
    container = make(SimpleNamespace(arn=task_definition.arn, container_definitions=[definition]))
    container.image_digest = digest_behind(definition["image"])
    return container
