"""What the resources of a stack are made with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.access.roles import Roles
    from local.activity import Activity
    from local.clock.scheduler import Scheduler
    from local.events.bus import Bus
    from local.lambdas.function import FunctionConfig, Host
    from local.lambdas.service import Lambdas
    from local.lambdas.url import FunctionUrl
    from local.queues.mapping import MappingConfig, Pace
    from local.states.service import States

SUFFIX_LENGTH = 12
Properties = Mapping[str, Any]


@dataclass
class Rooms:
    """The parts of the embedded AWS that a stack wires."""

    account: str
    region: str
    endpoint: str
    client: Callable[[str], Any]
    """boto3 clients with unrestricted credentials, by service name."""
    bus: Bus
    lambdas: Lambdas
    states: States
    host: Host
    roles: Roles
    scheduler: Scheduler
    activity: Activity
    pace: Pace
    function_policies: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Statements of each function's resource policy, by function name."""
    urls: list[FunctionUrl] = field(default_factory=list)

    def arn(self, service: str, resource: str) -> str:
        """An ARN of this account and Region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True)
class Resource:
    """What a logical id became."""

    logical_id: str
    type: str
    ref: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Build:
    """One deployment in the making. Functions and mappings start last, when all that they may use is there."""

    stack_name: str
    rooms: Rooms
    functions: dict[str, FunctionConfig] = field(default_factory=dict)
    mappings: list[MappingConfig] = field(default_factory=list)
    layers: dict[str, Any] = field(default_factory=dict)
    """Directory of each layer version, by ARN."""

    def name(self, logical_id: str, limit: int = 255) -> str:
        """A physical name as CloudFormation makes them; the suffix depends on stack and logical id only."""
        suffix = hashlib.sha256(f"{self.stack_name}/{logical_id}".encode()).hexdigest()[:SUFFIX_LENGTH].upper()
        rest = limit - len(suffix) - 1
        return f"{f'{self.stack_name}-{logical_id}'[:rest]}-{suffix}"
