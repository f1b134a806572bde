"""Lambda: functions, layers, event sources, permissions."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from typing import Any

from local.access.policy import Access, evaluate
from local.events.pattern import CompiledPattern, InvalidEventPattern
from local.lambdas.function import FunctionConfig
from local.lambdas.service import name_of
from local.lambdas.url import FunctionUrl
from local.queues.mapping import MappingConfig
from local.stack.context import Build, Properties, Resource, Rooms
from local.stack.errors import StackError
from local.stack.resources import kind, tags_of
from local.stack.transform import artefact

FUNCTION_NAME_LIMIT = 64
ENVIRONMENT_LIMIT = 4096
DEFAULT_SQS_BATCH = 10
DEFAULT_STREAM_BATCH = 100


@kind(
    "AWS::Lambda::Function",
    "FunctionName Code Handler Runtime Role Timeout MemorySize Environment Layers DeadLetterConfig ReservedConcurrentExecutions "
    "LoggingConfig PackageType Tags",
    "Architectures Description TracingConfig EphemeralStorage RecursiveLoop KmsKeyArn",
)
def function(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A function; its code is a directory that `sam build` made."""
    if properties.get("PackageType", "Zip") != "Zip" or not str(properties.get("Runtime", "")).startswith("python"):
        raise StackError(f"{logical_id}: the embedded AWS runs Python functions from directories only")
    name = properties.get("FunctionName") or build.name(logical_id, FUNCTION_NAME_LIMIT)
    code = artefact(properties["Code"])
    if code is None:
        raise StackError(f"{logical_id}: the code is not on this machine: {properties['Code']}")
    environment = {key: str(value) for key, value in properties.get("Environment", {}).get("Variables", {}).items()}
    if sum(len(key) + len(value) for key, value in environment.items()) > ENVIRONMENT_LIMIT:
        raise StackError(f"{logical_id}: the environment variables are larger than 4 KB")
    layers = []
    for arn in properties.get("Layers", []):
        if arn not in build.layers:
            raise StackError(f"{logical_id}: the layer {arn} is not on this machine")
        layers.append(build.layers[arn])
    arn = build.rooms.arn("lambda", f"function:{name}")
    logging = properties.get("LoggingConfig", {})
    build.functions[name] = FunctionConfig(
        name=name,
        arn=arn,
        handler=properties["Handler"],
        code=code,
        role_arn=properties["Role"],
        # A later layer hides an earlier one's files.
        layers=tuple(reversed(layers)),
        timeout=float(properties.get("Timeout", 3)),
        memory=int(properties.get("MemorySize", 128)),
        environment=environment,
        log_group=logging.get("LogGroup", ""),
        log_format=logging.get("LogFormat", "Text"),
        reserved_concurrency=None if "ReservedConcurrentExecutions" not in properties else int(properties["ReservedConcurrentExecutions"]),
        dead_letter=properties.get("DeadLetterConfig", {}).get("TargetArn"),
    )
    _store(build, build.functions[name], properties)
    return Resource(logical_id, "AWS::Lambda::Function", name, {"Arn": arn})


def _store(build: Build, config: FunctionConfig, properties: Properties) -> None:
    # So that ListFunctions and GetFunctionConfiguration know it; the code that runs is the directory.
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("README", "The embedded AWS runs this function from its directory.")
    arguments: dict[str, Any] = {"Environment": {"Variables": dict(config.environment)}} if config.environment else {}
    build.rooms.client("lambda").create_function(
        FunctionName=config.name,
        Runtime=properties["Runtime"],
        Role=config.role_arn,
        Handler=config.handler,
        Code={"ZipFile": empty.getvalue()},
        Timeout=int(config.timeout),
        MemorySize=config.memory,
        Tags=tags_of(properties),
        **arguments,
    )


@kind("AWS::Lambda::LayerVersion", "LayerName Content", "CompatibleRuntimes CompatibleArchitectures Description LicenseInfo")
def layer(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A layer: a directory whose `python` folder is put on the path."""
    directory = artefact(properties["Content"])
    if directory is None:
        raise StackError(f"{logical_id}: the layer is not on this machine: {properties['Content']}")
    arn = build.rooms.arn("lambda", f"layer:{properties.get('LayerName') or build.name(logical_id, 140)}:1")
    build.layers[arn] = directory
    return Resource(logical_id, "AWS::Lambda::LayerVersion", arn, {"LayerVersionArn": arn})


@kind(
    "AWS::Lambda::Permission",
    "Action FunctionName Principal SourceArn SourceAccount FunctionUrlAuthType InvokedViaFunctionUrl PrincipalOrgID",
)
def permission(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A statement of a function's resource policy."""
    name = name_of(properties["FunctionName"])
    principal = properties["Principal"]
    conditions: dict[str, Any] = {}
    if source := properties.get("SourceArn"):
        conditions["ArnLike"] = {"aws:SourceArn": source}
    if account := properties.get("SourceAccount"):
        conditions["StringEquals"] = {"aws:SourceAccount": account}
    if auth := properties.get("FunctionUrlAuthType"):
        conditions.setdefault("StringEquals", {})["lambda:FunctionUrlAuthType"] = auth
    if "InvokedViaFunctionUrl" in properties:
        conditions["Bool"] = {"lambda:InvokedViaFunctionUrl": str(properties["InvokedViaFunctionUrl"]).lower()}
    statement = {
        "Effect": "Allow",
        "Action": properties["Action"],
        "Resource": build.rooms.arn("lambda", f"function:{name}"),
        "Principal": "*" if principal == "*" else {"Service": principal} if principal.endswith(".amazonaws.com") else {"AWS": principal},
        **({"Condition": conditions} if conditions else {}),
    }
    build.rooms.function_policies.setdefault(name, []).append(statement)
    return Resource(logical_id, "AWS::Lambda::Permission", build.name(logical_id))


@kind("AWS::Lambda::Url", "TargetFunctionArn AuthType InvokeMode")
def url(build: Build, logical_id: str, properties: Properties) -> Resource:
    """An address at which anybody can call a function, if its resource policy lets anybody."""
    if properties["AuthType"] != "NONE" or properties.get("InvokeMode", "BUFFERED") != "BUFFERED":
        raise StackError(f"{logical_id}: the embedded AWS knows function URLs of AuthType NONE and InvokeMode BUFFERED only")
    rooms, name = build.rooms, name_of(properties["TargetFunctionArn"])
    arn = rooms.arn("lambda", f"function:{name}")
    made = FunctionUrl(name, rooms.lambdas, lambda: _open_to_anybody(rooms, name, arn))
    rooms.urls.append(made)
    return Resource(logical_id, "AWS::Lambda::Url", arn, {"FunctionArn": arn, "FunctionUrl": made.start()})


def _open_to_anybody(rooms: Rooms, name: str, arn: str) -> bool:
    """Whether anybody may call it. Since October 2025 that takes two permissions (Lambda developer guide, urls-auth)."""
    context = {"lambda:FunctionUrlAuthType": ("NONE",), "lambda:InvokedViaFunctionUrl": ("true",)}
    documents = [{"Statement": rooms.function_policies.get(name, [])}]
    actions = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")
    return all(evaluate(documents, Access(action, arn, context, frozenset({"AWS:anonymous"}))).allowed for action in actions)


@kind("AWS::Lambda::EventInvokeConfig", "FunctionName Qualifier MaximumRetryAttempts DestinationConfig", "MaximumEventAgeInSeconds")
def event_invoke_config(build: Build, logical_id: str, properties: Properties) -> Resource:
    """What happens to asynchronous invocations that fail."""
    name = name_of(properties["FunctionName"])
    destinations = properties.get("DestinationConfig", {})
    build.functions[name] = dataclasses.replace(
        build.functions[name],
        max_retries=int(properties.get("MaximumRetryAttempts", 2)),
        on_failure=destinations.get("OnFailure", {}).get("Destination"),
        on_success=destinations.get("OnSuccess", {}).get("Destination"),
    )
    return Resource(logical_id, "AWS::Lambda::EventInvokeConfig", build.name(logical_id))


@kind(
    "AWS::Lambda::EventSourceMapping",
    "EventSourceArn FunctionName BatchSize MaximumBatchingWindowInSeconds FunctionResponseTypes FilterCriteria Enabled StartingPosition "
    "MaximumRetryAttempts MaximumRecordAgeInSeconds BisectBatchOnFunctionError DestinationConfig",
    "ScalingConfig ParallelizationFactor Tags MetricsConfig",
)
def event_source_mapping(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A queue or a table's stream that a function reads."""
    arn = properties["EventSourceArn"]
    service = arn.split(":")[2]
    if service not in {"sqs", "dynamodb"}:
        raise StackError(f"{logical_id}: the embedded AWS does not know the event source {arn}")
    types = properties.get("FunctionResponseTypes", [])
    if set(types) - {"ReportBatchItemFailures"}:
        raise StackError(f"{logical_id}: unknown FunctionResponseTypes: {types}")
    if service == "dynamodb" and "StartingPosition" not in properties:
        raise StackError(f"{logical_id}: a stream needs a StartingPosition")
    on_failure = properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    if on_failure and not on_failure.startswith("arn:aws:sqs:"):
        raise StackError(f"{logical_id}: the embedded AWS sends failed batches to SQS only, not to {on_failure}")
    batch = int(properties.get("BatchSize", DEFAULT_SQS_BATCH if service == "sqs" else DEFAULT_STREAM_BATCH))
    window = float(properties.get("MaximumBatchingWindowInSeconds", 0))
    if service == "sqs" and batch > DEFAULT_SQS_BATCH and not window:
        raise StackError(f"{logical_id}: a BatchSize above 10 needs a MaximumBatchingWindowInSeconds of at least 1")
    build.mappings.append(
        MappingConfig(
            function=name_of(properties["FunctionName"]),
            source_arn=arn,
            batch_size=batch,
            window=window,
            partial_failures=bool(types),
            filters=_filters(logical_id, properties),
            enabled=str(properties.get("Enabled", True)).lower() == "true",
            starting_position=properties.get("StartingPosition", "LATEST"),
            max_retries=int(properties.get("MaximumRetryAttempts", -1)),
            max_age=int(properties.get("MaximumRecordAgeInSeconds", -1)),
            bisect=bool(properties.get("BisectBatchOnFunctionError", False)),
            on_failure=on_failure,
        )
    )
    return Resource(logical_id, "AWS::Lambda::EventSourceMapping", build.name(logical_id), {"Id": build.name(logical_id)})


def _filters(logical_id: str, properties: Properties) -> tuple[CompiledPattern, ...]:
    try:
        return tuple(CompiledPattern(json.loads(one["Pattern"])) for one in properties.get("FilterCriteria", {}).get("Filters", []))
    except (InvalidEventPattern, ValueError) as error:
        raise StackError(f"{logical_id}: invalid filter: {error}") from None
