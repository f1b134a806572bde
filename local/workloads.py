"""What uses images in App Runner, Batch, CodeBuild, Inspector and SageMaker, which moto lacks or knows without pages.

Only what tells which images are in use is here, and only to be read: it is put in from Python, as the service would describe it.
Everything else that these services can do is refused. What is answered is held against the service's model in botocore.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.validate import ParamValidator
from moto.core.utils import get_service_model

from local.access.needs import Call, needs
from local.ecr import faults
from local.ecr.errors import EcrError
from local.principals import identify

if TYPE_CHECKING:
    from local.access.roles import Roles

Params = Mapping[str, Any]
Thing = Mapping[str, Any]


@dataclass(frozen=True)
class Listing:
    """An operation that lists things of a kind, page by page; as a summary has fewer members, the others are left out."""

    kind: str
    member: str
    size: int = 100
    tokens: str = "NextToken"
    limit: str = "MaxResults"
    wanted: Callable[[Thing, Params], bool] = lambda _thing, _asked: True
    only: str = ""
    """The member that stands alone for each thing, where a list is one of names."""


@dataclass(frozen=True)
class Description:
    """An operation that describes one thing, found by the members that the request names too."""

    kind: str
    by: tuple[str, ...]
    missing: str
    """The error's code where there is none."""
    member: str = ""
    """The member that it is in; "" where the answer is the thing itself."""


def _is_wanted_definition(thing: Thing, asked: Params) -> bool:
    named: list[str] = asked.get("jobDefinitions", [])
    status: str = asked.get("status", thing["status"])
    return thing["jobDefinitionArn"] in named if named else bool(thing["status"] == status)


def _is_wanted_package(thing: Thing, asked: Params) -> bool:
    kind: str = asked.get("ModelPackageType", "Unversioned")
    return kind == "Both" or (kind == "Versioned") == ("ModelPackageVersion" in thing)


def _is_covered(thing: Thing, asked: Params) -> bool:
    criteria: Mapping[str, Any] = asked.get("filterCriteria", {})
    image = thing.get("resourceMetadata", {}).get("ecrImage", {})
    used_at = image.get("lastInUseAt")
    for name, accepted in criteria.items():
        match name:
            case "accountId" | "resourceType":
                good = any(thing[name] == each["value"] for each in accepted)
            case "ecrImageInUseCount":
                good = any(image.get("inUseCount", 0) >= each["lowerInclusive"] for each in accepted)
            case "ecrImageLastInUseAt":
                good = used_at is not None and any(used_at.timestamp() >= each["startInclusive"] for each in accepted)
            case _:
                raise NotImplementedError(f"filter {name}")
        if not good:
            return False
    return True


def _projects(things: Iterable[Thing], asked: Params) -> dict[str, Any]:
    found = [thing for thing in things if thing["name"] in asked["names"]]
    return {"projects": found, "projectsNotFound": [name for name in asked["names"] if name not in {each["name"] for each in found}]}


def _accounts(things: Iterable[Thing], asked: Params) -> dict[str, Any]:
    """Inspector is off until it is put on."""
    off = {"status": "DISABLED", "errorCode": "ACCESS_DENIED", "errorMessage": "off"}
    states = {thing["accountId"]: thing for thing in things}
    default = {"state": off, "resourceState": {"ec2": off, "ecr": off}}
    return {"accounts": [{"accountId": each, **default, **states.get(each, {})} for each in asked["accountIds"]]}


@dataclass(frozen=True)
class Several:
    """An operation that tells of several things at once, in its own way."""

    kind: str
    told: Callable[[Iterable[Thing], Params], dict[str, Any]]


OPERATIONS: Mapping[str, Mapping[str, Listing | Description | Several]] = {
    "apprunner": {
        "ListServices": Listing("service", "ServiceSummaryList", size=20),
        "DescribeService": Description("service", ("ServiceArn",), "ResourceNotFoundException", "Service"),
    },
    "batch": {
        "DescribeJobDefinitions": Listing("definition", "jobDefinitions", 100, "nextToken", "maxResults", _is_wanted_definition),
        "DescribeJobQueues": Listing(
            "queue",
            "jobQueues",
            100,
            "nextToken",
            "maxResults",
            lambda thing, asked: thing["jobQueueArn"] in asked.get("jobQueues", [thing["jobQueueArn"]]),
        ),
        "ListJobs": Listing(
            "job",
            "jobSummaryList",
            100,
            "nextToken",
            "maxResults",
            lambda thing, asked: (thing["jobQueue"], thing["status"]) == (asked["jobQueue"], asked.get("jobStatus", "RUNNING")),
        ),
    },
    "codebuild": {
        "ListProjects": Listing("project", "projects", 100, "nextToken", only="name"),
        "BatchGetProjects": Several("project", _projects),
    },
    "inspector2": {
        "BatchGetAccountStatus": Several("account", _accounts),
        "ListCoverage": Listing("resource", "coveredResources", 200, "nextToken", "maxResults", _is_covered),
    },
    "sagemaker": {
        "ListModels": Listing("model", "Models"),
        "DescribeModel": Description("model", ("ModelName",), "ValidationException"),
        "ListModelPackages": Listing("package", "ModelPackageSummaryList", wanted=_is_wanted_package),
        "DescribeModelPackage": Description("package", ("ModelPackageArn",), "ValidationException"),
        "ListEndpoints": Listing("endpoint", "Endpoints"),
        "DescribeEndpoint": Description("endpoint", ("EndpointName",), "ValidationException"),
        "ListInferenceComponents": Listing("component", "InferenceComponents"),
        "DescribeInferenceComponent": Description("component", ("InferenceComponentName",), "ValidationException"),
        "ListImages": Listing("image", "Images"),
        "ListImageVersions": Listing("version", "ImageVersions", wanted=lambda thing, asked: thing["ImageName"] == asked["ImageName"]),
        "DescribeImageVersion": Description("version", ("ImageName", "Version"), "ResourceNotFound"),
    },
}
"""docs.aws.amazon.com, the API reference of each service; how SageMaker answers for what is not there is from github.com/boto/boto3/issues/2808."""

NAMED_OTHERWISE = {"ModelPackageArn": "ModelPackageName"}
"""What a request calls something else than the answer does."""


class Workloads:
    """The things that are told of, and the answers."""

    def __init__(self, account: str, region: str) -> None:
        self.account = account
        self.region = region
        self.roles: Roles | None = None
        self._things: defaultdict[tuple[str, str], list[Thing]] = defaultdict(list)

    def put(self, service: str, kind: str, **description: Any) -> None:
        """Let a service tell of one thing more."""
        if kind not in {operation.kind for operation in OPERATIONS[service].values()}:
            raise KeyError(f"{service} knows no {kind}")
        self._things[service, kind].append(description)

    def clear(self) -> None:
        """Let nothing be told any more."""
        self._things.clear()

    def answer(self, service: str, name: str, body: bytes, access_key: str) -> bytes:
        """Answer a request with JSON. Raises EcrError for an error that AWS would answer, NotImplementedError."""
        name = _by_path(service).get(name, name)
        operation = OPERATIONS[service].get(name)
        if operation is None:
            raise NotImplementedError(f"{service} has nothing but {', '.join(OPERATIONS[service])} here")
        asked = json.loads(body or b"{}")
        self._authorize(Call(service, name, asked, self.account, self.region), access_key)
        faults.strike(name, identify(access_key), service=service)
        shape: Any = get_service_model(service).operation_model(name).output_shape
        # Lists that have to hold something are left out where there is nothing.
        told = {
            member: value
            for member, value in self._told(shape, service, operation, asked).items()
            if value != [] or member in shape.required_members
        }
        report = ParamValidator().validate(told, shape)
        if report.has_errors():
            raise ValueError(report.generate_report())
        return json.dumps(told, default=datetime.timestamp).encode()

    def _authorize(self, call: Call, access_key: str) -> None:
        role = self.roles.role_of(access_key) if self.roles else None
        if self.roles is None or role is None:
            return
        for access in needs(call):
            if not self.roles.decide(role, access).allowed:
                raise EcrError("AccessDeniedException", f"User: {role} is not authorized to perform: {access.action}")

    def _told(self, shape: Any, service: str, operation: Listing | Description | Several, asked: Params) -> dict[str, Any]:
        things = self._things[service, operation.kind]
        match operation:
            case Several():
                return operation.told(things, asked)
            case Description():
                wanted = {member: asked[NAMED_OTHERWISE.get(member, member)] for member in operation.by}
                found = next((thing for thing in things if all(thing[member] == value for member, value in wanted.items())), None)
                if found is None:
                    raise EcrError(operation.missing, f"Could not find {wanted}.")
                if operation.member:
                    return {operation.member: _with_members_of(shape.members[operation.member], found)}
                return _with_members_of(shape, found)
            case Listing():
                page, following = _page(operation, [thing for thing in things if operation.wanted(thing, asked)], asked)
                item = shape.members[operation.member].member
                shown = [thing[operation.only] if operation.only else _with_members_of(item, thing) for thing in page]
                return {operation.member: shown, **following}


def _page(operation: Listing, things: list[Thing], asked: Params) -> tuple[list[Thing], dict[str, str]]:
    start, size = int(asked.get(operation.tokens) or 0), min(operation.size, asked.get(operation.limit, operation.size))
    following = {operation.tokens: str(start + size)} if start + size < len(things) else {}
    return things[start : start + size], following


def _with_members_of(shape: Any, thing: Thing) -> dict[str, Any]:
    return {name: value for name, value in thing.items() if name in shape.members}


@cache
def _by_path(service: str) -> Mapping[str, str]:
    """The operations of a service whose requests are told apart by their path, not by a header."""
    model = get_service_model(service)
    paths = {name: model.operation_model(name).http["requestUri"] for name in OPERATIONS[service]}
    return {f"POST {path}": name for name, path in paths.items() if path != "/"}
