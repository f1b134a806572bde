"""Deploys a transformed template: makes its resources in order and sets its functions and event sources running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.access.policy import Access, evaluate
from local.queues import store
from local.queues.sqs_poller import SqsPoller
from local.queues.stream_reader import StreamReader
from local.stack import resources
from local.stack.context import Build, Resource, Rooms
from local.stack.errors import StackError
from local.stack.intrinsics import Resolver
from local.stack.resources.access import trusts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.queues.mapping import EventSource, MappingConfig

TOP_LEVEL = {
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
    "Transform",
}
RESOURCE_KEYS = {"Type", "Properties", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"}
QUEUE_ACTIONS = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
STREAM_ACTIONS = ("DescribeStream", "GetRecords", "GetShardIterator")


class Stack:
    """A deployed stack."""

    def __init__(self, name: str, rooms: Rooms) -> None:
        self.name = name
        self.rooms = rooms
        self.resources: dict[str, Resource] = {}
        self.outputs: dict[str, Any] = {}
        self.sources: list[EventSource] = []
        self._making: list[str] = []
        self._template: Mapping[str, Any] = {}
        self._build = Build(name, rooms)

    def deploy(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> Stack:
        """Make everything that the template describes."""
        if unknown := template.keys() - TOP_LEVEL:
            raise StackError(f"the embedded AWS does not know these template sections: {', '.join(sorted(unknown))}")
        rooms = self.rooms
        self._template = template
        pseudo = {
            "AWS::AccountId": rooms.account,
            "AWS::Region": rooms.region,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self.name,
            "AWS::StackId": rooms.arn("cloudformation", f"stack/{self.name}/00000000-0000-0000-0000-000000000000"),
            "AWS::NotificationARNs": [],
        }
        self._resolver = Resolver(template, parameters, pseudo, self._attribute)
        for logical_id in template.get("Resources", {}):
            if self._wanted(logical_id):
                self._make(logical_id)
        self._start_functions()
        self._start_sources()
        for name, output in template.get("Outputs", {}).items():
            if "Condition" not in output or self._resolver.holds(output["Condition"]):
                self.outputs[name] = self._resolver.resolve(output["Value"])
        return self

    def ref(self, logical_id: str) -> str:
        """The physical id of a resource."""
        return self.resources[logical_id].ref

    def attribute(self, logical_id: str, name: str) -> Any:
        """An attribute of a resource, as `Fn::GetAtt` gives it."""
        return self.resources[logical_id].attributes[name]

    def stop(self) -> None:
        """Stop reading event sources, and answering at function URLs."""
        for url in self.rooms.urls:
            url.stop()
        for source in self.sources:
            source.stop()

    def _wanted(self, logical_id: str) -> bool:
        condition = self._template["Resources"][logical_id].get("Condition")
        return condition is None or self._resolver.holds(condition)

    def _attribute(self, logical_id: str, name: str | None) -> Any:
        if logical_id not in self._template.get("Resources", {}) or not self._wanted(logical_id):
            raise StackError(f"there is no {logical_id} to refer to")
        self._make(logical_id)
        resource = self.resources[logical_id]
        if name is None:
            return resource.ref
        if name not in resource.attributes:
            raise StackError(f"the embedded AWS does not know the attribute {name} of {logical_id} ({resource.type})")
        return resource.attributes[name]

    def _make(self, logical_id: str) -> None:
        if logical_id in self.resources:
            return
        if logical_id in self._making:
            raise StackError(f"circular dependency: {' → '.join([*self._making, logical_id])}")
        definition = self._template["Resources"][logical_id]
        if unknown := definition.keys() - RESOURCE_KEYS:
            raise StackError(f"{logical_id}: the embedded AWS does not know these resource attributes: {', '.join(sorted(unknown))}")
        self._making.append(logical_id)
        try:
            depends = definition.get("DependsOn", [])
            for other in [depends] if isinstance(depends, str) else depends:
                if self._wanted(other):
                    self._make(other)
            properties = self._resolver.resolve(definition.get("Properties", {}))
            self.resources[logical_id] = resources.create(self._build, logical_id, definition["Type"], properties)
        finally:
            self._making.pop()

    def _start_functions(self) -> None:
        for config in self._build.functions.values():
            if not trusts(self.rooms, config.role_arn, "lambda.amazonaws.com"):
                raise StackError(f"{config.name}: The role defined for the function cannot be assumed by Lambda.")
            self.rooms.lambdas.deploy(config, self.rooms.host)

    def _start_sources(self) -> None:
        for config in self._build.mappings:
            function = self._build.functions[config.function]
            actions = self._source_accesses(config)
            for access in actions:
                if not self.rooms.roles.decide(function.role_arn, access).allowed:
                    raise StackError(
                        f"{config.function}: the execution role does not have permission to call {access.action} on {access.resource}"
                    )
            kind = SqsPoller if ":sqs:" in config.source_arn else StreamReader
            if kind is SqsPoller:
                timeout: Any = store.queue_of(config.source_arn).visibility_timeout  # type: ignore[attr-defined]
                if timeout < function.timeout:
                    raise StackError(
                        f"{config.function}: Queue visibility timeout: {timeout} seconds is less than Function timeout: {function.timeout:g} seconds"
                    )
            source = kind(config, self.rooms.lambdas.invoke, self.rooms.activity, self.rooms.pace)
            self.sources.append(source)
            source.start()

    @staticmethod
    def _source_accesses(config: MappingConfig) -> list[Access]:
        if ":sqs:" in config.source_arn:
            return [Access(f"sqs:{action}", config.source_arn) for action in QUEUE_ACTIONS]
        accesses = [Access(f"dynamodb:{action}", config.source_arn) for action in STREAM_ACTIONS]
        accesses.append(Access("dynamodb:ListStreams", "*"))
        if config.on_failure:
            accesses.append(Access("sqs:SendMessage", config.on_failure))
        return accesses


def may_invoke(rooms: Rooms, function_arn: str, service: str, source_arn: str) -> bool:
    """Whether a function's resource policy lets a service invoke it for a source."""
    name = function_arn.rsplit(":", 1)[-1]
    statements = rooms.function_policies.get(name, [])
    context = {"aws:SourceArn": (source_arn,), "aws:SourceAccount": (rooms.account,)}
    return evaluate(
        [{"Statement": statements}], Access("lambda:InvokeFunction", function_arn, context, frozenset({f"Service:{service}"}))
    ).allowed
