"""What a request must be allowed: its actions, the true ARNs that they concern, and what conditions may ask.

From the service authorization reference (docs.aws.amazon.com/service-authorization/latest/reference/): some operations
are authorised under another name, or as several actions on several resources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moto.ecr.models import ecr_backends
from moto.secretsmanager.models import secretsmanager_backends

from local.access.policy import Access

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """A request as its service model reads it."""

    service: str
    operation: str
    params: Params
    account: str
    region: str
    resource: str = "*"
    """The ARN that moto's response class determined, where one does."""

    def arn(self, service: str, resource: str) -> str:
        """An ARN of this account and Region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


PREFIXES = {
    "awslambda": "lambda",
    "dynamodbstreams": "dynamodb",
    "resourcegroupstaggingapi": "tag",
    "stepfunctions": "states",
    "applicationautoscaling": "application-autoscaling",
}
"""IAM's service prefix where moto's service name is another."""


def needs(call: Call) -> Iterator[Access]:
    """Every access that the call must be allowed."""
    prefix = PREFIXES.get(call.service, call.service)
    find = RESOURCES.get(call.service)
    tags = tag_context(call.params)
    if find is None or call.resource != "*":
        # SQS's three batches are authorised as the single operation ("Actions, resources, and condition keys for Amazon SQS").
        operation = call.operation.removesuffix("Batch") if call.service == "sqs" else call.operation
        yield Access(f"{prefix}:{operation}", call.resource, {**tags, **resource_tags(call, call.resource)})
        return
    for operation, resource, context in find(call):
        yield Access(f"{prefix}:{operation}", resource, {**tags, **resource_tags(call, resource), **context})


Found = tuple[str, str, Mapping[str, tuple[str, ...]]]


def tag_context(params: Params) -> dict[str, tuple[str, ...]]:
    """`aws:RequestTag/*` and `aws:TagKeys` of a request, whichever way its service spells tags."""
    tags: dict[str, str] = {}
    for name in ("tags", "Tags"):
        value = params.get(name)
        if isinstance(value, Mapping):
            tags.update({str(key): str(text) for key, text in value.items()})
        elif isinstance(value, list):
            tags.update({str(_either(tag, "Key", "key")): str(_either(tag, "Value", "value")) for tag in value if isinstance(tag, Mapping)})
    keys = list(tags)
    for name in ("tagKeys", "TagKeys"):
        keys += params.get(name) or []
    context = {f"aws:RequestTag/{key}": (value,) for key, value in tags.items()}
    return {**context, **({"aws:TagKeys": tuple(keys)} if keys else {})}


def _either(tag: Mapping[str, Any], *names: str) -> Any:
    return next((tag[name] for name in names if name in tag), "")


def resource_tags(call: Call, arn: str) -> dict[str, tuple[str, ...]]:
    """`aws:ResourceTag/*` of an ECR repository (also under ECR's own prefix); other resources' tags are not read."""
    if call.service != "ecr" or ":repository/" not in arn:
        return {}
    tags = ecr_backends[call.account][call.region].tagger.get_tag_dict_for_resource(arn)
    return {f"{prefix}:ResourceTag/{key}": (str(value),) for key, value in tags.items() for prefix in ("aws", "ecr")}


def _plain(call: Call, *resources: str) -> Iterator[Found]:
    for resource in resources or ("*",):
        yield call.operation, resource, {}


def _ecr(call: Call) -> Iterator[Found]:
    params = call.params
    if "repositoryName" in params:
        return _plain(call, call.arn("ecr", f"repository/{params['repositoryName']}"))
    if "resourceArn" in params:
        return _plain(call, params["resourceArn"])
    if params.get("repositoryNames"):
        return _plain(call, *(call.arn("ecr", f"repository/{name}") for name in params["repositoryNames"]))
    if call.operation == "DescribeRepositories":
        return _plain(call, call.arn("ecr", "repository/*"))
    return _plain(call)


def _ecs(call: Call) -> Iterator[Found]:
    # What is listed or described by a definition has no resource of its own in "Actions, resources, and condition keys for Amazon ECS".
    if call.operation in {"DescribeTasks", "DescribeServices"}:
        kind = call.operation.removeprefix("Describe").lower()
        cluster = str(call.params.get("cluster") or "default").rsplit("/", 1)[-1]
        context = {"ecs:cluster": (call.arn("ecs", f"cluster/{cluster}"),)}
        for each in call.params.get(kind, ()):
            yield call.operation, each if each.startswith("arn:") else call.arn("ecs", f"{kind[:-1]}/{cluster}/{each}"), context
        return
    yield call.operation, "*", {}


TRANSACTION_MEMBERS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}


def _dynamodb(call: Call) -> Iterator[Found]:
    params = call.params

    def table(name: str, index: str | None = None) -> str:
        arn = name if name.startswith("arn:") else call.arn("dynamodb", f"table/{name}")
        return f"{arn}/index/{index}" if index else arn

    if items := params.get("TransactItems"):
        for item in items:
            for member, inner in item.items():
                yield TRANSACTION_MEMBERS[member], table(inner["TableName"]), {}
    elif requests := params.get("RequestItems"):
        yield from _plain(call, *(table(name) for name in requests))
    elif name := params.get("TableName"):
        yield call.operation, table(name, params.get("IndexName")), {}
    elif arn := params.get("ResourceArn"):
        yield call.operation, arn, {}
    else:
        yield call.operation, "*", {}


def _streams(call: Call) -> Iterator[Found]:
    if arn := call.params.get("StreamArn"):
        return _plain(call, arn)
    if iterator := call.params.get("ShardIterator"):
        return _plain(call, iterator.split("|")[0])
    return _plain(call)


def _sqs(call: Call) -> Iterator[Found]:
    operation = call.operation.removesuffix("Batch") if call.operation.endswith("Batch") else call.operation
    name = str(call.params.get("QueueUrl", "")).rsplit("/", 1)[-1] or call.params.get("QueueName")
    yield operation, call.arn("sqs", name) if name else "*", {}


def _events(call: Call) -> Iterator[Found]:
    params = call.params

    def bus(name: str | None) -> str:
        return name if name and name.startswith("arn:") else call.arn("events", f"event-bus/{name or 'default'}")

    if call.operation == "PutEvents":
        for entry in params.get("Entries", []):
            context = {"events:source": (entry.get("Source", ""),), "events:detail-type": (entry.get("DetailType", ""),)}
            yield call.operation, bus(entry.get("EventBusName")), context
        return
    rule = params.get("Rule") or (params.get("Name") if call.operation.endswith("Rule") else None)
    if rule:
        name = str(params.get("EventBusName") or "default").rsplit("/", 1)[-1]
        yield call.operation, call.arn("events", f"rule/{rule}" if name == "default" else f"rule/{name}/{rule}"), {}
    elif "EventBus" in call.operation and params.get("Name"):
        yield call.operation, bus(params["Name"]), {}
    else:
        yield call.operation, "*", {}


def _secrets(call: Call) -> Iterator[Found]:
    given = call.params.get("SecretId") or call.params.get("Name")
    if not given:
        return _plain(call)
    secrets = secretsmanager_backends[call.account][call.region].secrets
    arn = next((secret.arn for secret in secrets.values() if given in {secret.name, secret.arn}), None)
    return _plain(call, arn or call.arn("secretsmanager", f"secret:{given}"))


def _ssm(call: Call) -> Iterator[Found]:
    names = call.params.get("Names") or [name for key in ("Name", "Path") if (name := call.params.get(key))]
    arns = [name if name.startswith("arn:") else call.arn("ssm", f"parameter/{name.lstrip('/')}") for name in names]
    return _plain(call, *arns)


def _sns(call: Call) -> Iterator[Found]:
    operation = "Publish" if call.operation == "PublishBatch" else call.operation
    arn = call.params.get("TopicArn") or call.params.get("TargetArn") or call.params.get("ResourceArn")
    if not arn and call.params.get("Name"):
        arn = call.arn("sns", call.params["Name"])
    yield operation, arn or "*", {}


def _security_hub(call: Call) -> Iterator[Found]:
    if call.operation != "BatchImportFindings":
        return _plain(call)
    return _plain(call, *sorted({str(each.get("ProductArn", "*")) for each in call.params.get("Findings", [])}))


def _lambda(call: Call) -> Iterator[Found]:
    operation = {"Invoke": "InvokeFunction", "InvokeAsync": "InvokeFunction"}.get(call.operation, call.operation)
    name = call.params.get("FunctionName")
    if not name:
        yield operation, "*", {}
        return
    yield operation, name if name.startswith("arn:") else call.arn("lambda", f"function:{name}"), {}


def _logs(call: Call) -> Iterator[Found]:
    if name := call.params.get("logGroupName"):
        return _plain(call, call.arn("logs", f"log-group:{name}:*"))
    return _plain(call, call.params.get("logGroupIdentifier") or call.params.get("resourceArn") or "*")


def _cloudwatch(call: Call) -> Iterator[Found]:
    if call.operation == "PutMetricData":
        yield call.operation, "*", {"cloudwatch:namespace": (call.params.get("Namespace", ""),)}
        return
    names: Iterable[str] = call.params.get("AlarmNames") or ([name] if (name := call.params.get("AlarmName")) else [])
    yield from _plain(call, *(call.arn("cloudwatch", f"alarm:{name}") for name in names))


def _scheduler(call: Call) -> Iterator[Found]:
    if name := call.params.get("Name"):
        return _plain(call, call.arn("scheduler", f"schedule/{call.params.get('GroupName') or 'default'}/{name}"))
    return _plain(call)


def _sts(call: Call) -> Iterator[Found]:
    return _plain(call, call.params.get("RoleArn") or "*")


def _iam(call: Call) -> Iterator[Found]:
    for key, kind in (("RoleName", "role"), ("UserName", "user"), ("GroupName", "group")):
        if name := call.params.get(key):
            return _plain(call, f"arn:aws:iam::{call.account}:{kind}/{name}")
    return _plain(call, call.params.get("PolicyArn") or "*")


def _states(call: Call) -> Iterator[Found]:
    arn = call.params.get("stateMachineArn") or call.params.get("executionArn") or call.params.get("activityArn")
    return _plain(call, arn or "*")


RESOURCES: dict[str, Callable[[Call], Iterator[Found]]] = {
    "ecr": _ecr,
    "ecs": _ecs,
    "dynamodb": _dynamodb,
    "dynamodbstreams": _streams,
    "sqs": _sqs,
    "events": _events,
    "secretsmanager": _secrets,
    "ssm": _ssm,
    "securityhub": _security_hub,
    "sns": _sns,
    "awslambda": _lambda,
    "logs": _logs,
    "cloudwatch": _cloudwatch,
    "scheduler": _scheduler,
    "sts": _sts,
    "iam": _iam,
    "stepfunctions": _states,
}
