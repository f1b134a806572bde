"""EventBridge's API on moto's endpoint, answered from the bus."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from moto.events.responses import EventsHandler

from local.events.bus import Bus, EventsError
from local.events.pattern import InvalidEventPattern, matches
from local.events.rules import DEFAULT_BUS, DISABLED, ENABLED, Rule
from local.replacing import replace

Params = Mapping[str, Any]
MAX_ENTRIES = 10
REQUIRED_IN_SAMPLE = ("id", "account", "source", "time", "region", "resources", "detail-type")


def install(bus: Bus) -> Callable[[], None]:
    """Answer from this bus; operations that are not listed stay moto's. Returns what ends it."""
    return replace(EventsHandler, {name: _method(operation) for name, operation in _Api(bus).operations().items()})


def _method(operation: Callable[[Params], dict[str, Any]]) -> Callable[[Any], tuple[str, dict[str, Any]]]:
    def method(response: Any) -> tuple[str, dict[str, Any]]:
        try:
            answer = operation(json.loads(response.body or "{}"))
        except EventsError as error:
            refusal: tuple[str, dict[str, Any]] = response.error(error.code, str(error))
            return refusal
        return json.dumps(answer), response.response_headers

    return method


class _Api:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def operations(self) -> dict[str, Callable[[Params], dict[str, Any]]]:
        """Each operation by the name of moto's method."""
        return {
            "put_rule": self.put_rule,
            "delete_rule": self.delete_rule,
            "describe_rule": lambda p: _shape(self._bus.rule(p["Name"], p.get("EventBusName"))),
            "enable_rule": lambda p: self.switch(p, ENABLED),
            "disable_rule": lambda p: self.switch(p, DISABLED),
            "list_rules": self.list_rules,
            "list_rule_names_by_target": self.list_rule_names_by_target,
            "put_targets": self.put_targets,
            "remove_targets": self.remove_targets,
            "list_targets_by_rule": self.list_targets,
            "put_events": self.put_events,
            "test_event_pattern": self.test_event_pattern,
            "create_event_bus": self.create_event_bus,
            "delete_event_bus": self.delete_event_bus,
            "describe_event_bus": lambda p: self.bus_shape(self._bus.bus_name(p.get("Name"))),
            "list_event_buses": lambda _: {"EventBuses": [self.bus_shape(name) for name in sorted(self._bus.buses)]},
        }

    def put_rule(self, params: Params) -> dict[str, Any]:
        rule = self._bus.put_rule(
            params["Name"],
            bus=params.get("EventBusName"),
            pattern=params.get("EventPattern"),
            schedule=params.get("ScheduleExpression"),
            state=params.get("State", ENABLED),
            description=params.get("Description"),
            role_arn=params.get("RoleArn"),
        )
        return {"RuleArn": rule.arn}

    def delete_rule(self, params: Params) -> dict[str, Any]:
        self._bus.delete_rule(params["Name"], params.get("EventBusName"))
        return {}

    def switch(self, params: Params, state: str) -> dict[str, Any]:
        self._bus.rule(params["Name"], params.get("EventBusName")).state = state
        return {}

    def list_rules(self, params: Params) -> dict[str, Any]:
        where = self._bus.bus_name(params.get("EventBusName"))
        prefix = params.get("NamePrefix", "")
        rules = sorted(
            (rule for rule in self._bus.rules.values() if rule.bus == where and rule.name.startswith(prefix)), key=lambda rule: rule.name
        )
        return _page("Rules", [_shape(rule) for rule in rules], params)

    def list_rule_names_by_target(self, params: Params) -> dict[str, Any]:
        where = self._bus.bus_name(params.get("EventBusName"))
        wanted = params["TargetArn"]
        names = [
            rule.name
            for rule in self._bus.rules.values()
            if rule.bus == where and any(target.arn == wanted for target in rule.targets.values())
        ]
        return _page("RuleNames", sorted(names), params)

    def put_targets(self, params: Params) -> dict[str, Any]:
        self._bus.put_targets(params["Rule"], params["Targets"], params.get("EventBusName"))
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def remove_targets(self, params: Params) -> dict[str, Any]:
        self._bus.remove_targets(params["Rule"], params["Ids"], params.get("EventBusName"))
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def list_targets(self, params: Params) -> dict[str, Any]:
        rule = self._bus.rule(params["Rule"], params.get("EventBusName"))
        return _page("Targets", [{"Id": target.id, "Arn": target.arn, **target.settings} for target in rule.targets.values()], params)

    def put_events(self, params: Params) -> dict[str, Any]:
        entries = params["Entries"]
        if not 0 < len(entries) <= MAX_ENTRIES:
            raise EventsError(
                "ValidationException", f"1 validation error detected: Value at 'entries' must have 1 to {MAX_ENTRIES} members"
            )
        results = self._bus.put_events(entries)
        return {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}

    @staticmethod
    def test_event_pattern(params: Params) -> dict[str, Any]:
        try:
            event = json.loads(params["Event"])
            missing = [name for name in REQUIRED_IN_SAMPLE if name not in event]
            if missing:
                raise EventsError("InvalidEventPatternException", f"Event is not valid. Reason: missing {', '.join(missing)}")
            return {"Result": matches(json.loads(params["EventPattern"]), event)}
        except ValueError as error:
            raise EventsError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {error}") from None
        except InvalidEventPattern as error:
            raise EventsError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {error.reason}") from None

    def create_event_bus(self, params: Params) -> dict[str, Any]:
        name = params["Name"]
        if name in self._bus.buses:
            raise EventsError("ResourceAlreadyExistsException", f"Event bus {name} already exists.")
        self._bus.buses.add(name)
        return {"EventBusArn": self.bus_shape(name)["Arn"]}

    def delete_event_bus(self, params: Params) -> dict[str, Any]:
        if params["Name"] == DEFAULT_BUS:
            raise EventsError("ValidationException", "Cannot delete event bus default.")
        if any(rule.bus == params["Name"] for rule in self._bus.rules.values()):
            raise EventsError("ValidationException", "Event bus can't be deleted since it has rules.")
        self._bus.buses.discard(params["Name"])
        return {}

    def bus_shape(self, name: str) -> dict[str, str]:
        return {"Name": name, "Arn": f"arn:aws:events:{self._bus.region}:{self._bus.account}:event-bus/{name}"}


def _shape(rule: Rule) -> dict[str, Any]:
    shape = {
        "Name": rule.name,
        "Arn": rule.arn,
        "EventPattern": rule.pattern_text,
        "ScheduleExpression": rule.schedule,
        "State": rule.state,
        "Description": rule.description,
        "RoleArn": rule.role_arn,
        "EventBusName": rule.bus,
    }
    return {key: value for key, value in shape.items() if value is not None}


def _page(name: str, items: list[Any], params: Params) -> dict[str, Any]:
    start, limit = int(params.get("NextToken") or 0), int(params.get("Limit") or 100)
    page: dict[str, Any] = {name: items[start : start + limit]}
    if len(items) > start + limit:
        page["NextToken"] = str(start + limit)
    return page
