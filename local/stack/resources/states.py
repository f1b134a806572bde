"""Step Functions: state machines."""

from __future__ import annotations

import json
import re
from typing import Any

from local.access.policy import Access
from local.stack.context import Build, Properties, Resource
from local.stack.errors import StackError
from local.stack.resources import kind, tags_of
from local.stack.resources.access import trusts

SERVICE = "states.amazonaws.com"
NAME_LIMIT = 80
SUBSTITUTION = re.compile(r"\$\{([A-Za-z0-9_]+)\}")
LOGGING = (
    "CreateLogDelivery",
    "GetLogDelivery",
    "UpdateLogDelivery",
    "DeleteLogDelivery",
    "ListLogDeliveries",
    "PutResourcePolicy",
    "DescribeResourcePolicies",
    "DescribeLogGroups",
)
"""What the role must be allowed before a state machine may log.

docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
"""


@kind(
    "AWS::StepFunctions::StateMachine",
    "StateMachineName DefinitionString Definition DefinitionSubstitutions RoleArn StateMachineType LoggingConfiguration Tags",
    "TracingConfiguration",
)
def state_machine(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A state machine. Its log settings are checked and kept; nothing is logged."""
    if properties.get("StateMachineType", "STANDARD") != "STANDARD":
        raise StackError(f"{logical_id}: the embedded AWS runs state machines of type STANDARD only")
    name = properties.get("StateMachineName") or build.name(logical_id, NAME_LIMIT)
    arn = build.rooms.arn("states", f"stateMachine:{name}")
    role = properties["RoleArn"]
    if not trusts(build.rooms, role, SERVICE, arn):
        raise StackError(
            f"{logical_id}: Neither the global service principal {SERVICE}, nor the regional one is authorized to assume the provided role."
        )
    logging = properties.get("LoggingConfiguration", {})
    if logging.get("Level", "OFF") != "OFF":
        for action in LOGGING:
            if not build.rooms.roles.decide(role, Access(f"logs:{action}", "*")).allowed:
                raise StackError(f"{logical_id}: The state machine IAM Role is not authorized to access the Log Destination: logs:{action}")
    client = build.rooms.client("stepfunctions")
    try:
        client.create_state_machine(
            name=name,
            definition=_definition(logical_id, properties),
            roleArn=role,
            type="STANDARD",
            tags=[{"key": key, "value": value} for key, value in tags_of(properties).items()],
            **({"loggingConfiguration": _lowered(logging)} if logging else {}),
        )
    except client.exceptions.InvalidDefinition as error:
        raise StackError(f"{logical_id}: {error}") from None
    return Resource(logical_id, "AWS::StepFunctions::StateMachine", arn, {"Arn": arn, "Name": name})


def _definition(logical_id: str, properties: Properties) -> str:
    given = [name for name in ("DefinitionString", "Definition") if name in properties]
    if len(given) != 1:
        raise StackError(f"{logical_id}: either DefinitionString or Definition is needed")
    definition = properties[given[0]]
    text = definition if isinstance(definition, str) else json.dumps(definition)
    values = properties.get("DefinitionSubstitutions", {})

    def substituted(hit: re.Match[str]) -> str:
        if hit[1] not in values:
            raise StackError(f"{logical_id}: the definition has no substitution for {hit[0]}")
        value: Any = values[hit[1]]
        return json.dumps(value) if isinstance(value, bool) else str(value)

    return SUBSTITUTION.sub(substituted, text)


def _lowered(settings: Any) -> Any:
    """Settings of a template as the API takes them: the same names, beginning small."""
    if isinstance(settings, dict):
        return {key[0].lower() + key[1:]: _lowered(value) for key, value in settings.items()}
    return [_lowered(item) for item in settings] if isinstance(settings, list) else settings
