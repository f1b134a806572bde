"""CloudFormation's intrinsic functions, parameters, conditions and mappings."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from local.stack.errors import StackError

NO_VALUE = object()
VARIABLE = re.compile(r"\$\{([^}]+)\}")
RESOLVED_BY_CLOUDFORMATION = re.compile(r"\{\{resolve:([a-z-]+):")
CONDITION_FUNCTIONS = {"Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not", "Condition"}

Attribute = Callable[[str, str | None], Any]
"""Given a logical id: its `Ref` for None, else the attribute of that name."""


class Resolver:
    """Works out the values of a template."""

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str], pseudo: Mapping[str, Any], attribute: Attribute) -> None:
        self._mappings = template.get("Mappings", {})
        self._conditions = template.get("Conditions", {})
        self._attribute = attribute
        self.values: dict[str, Any] = {**pseudo, **_parameter_values(template.get("Parameters", {}), parameters)}

    def holds(self, condition: str) -> bool:
        """Whether a named condition is true."""
        if condition not in self._conditions:
            raise StackError(f"no such condition: {condition}")
        return bool(self.resolve(self._conditions[condition]))

    def resolve(self, value: Any) -> Any:
        """The value with every intrinsic replaced; `AWS::NoValue` removes the key or item."""
        if isinstance(value, list):
            items = [self.resolve(item) for item in value]
            return [item for item in items if item is not NO_VALUE]
        if isinstance(value, str) and (hit := RESOLVED_BY_CLOUDFORMATION.search(value)):
            raise StackError(f"the embedded AWS does not know the dynamic reference {{{{resolve:{hit[1]}:…}}}}")
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in {"Ref", "Condition"} or name.startswith("Fn::"):
                return self._call(name, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    def _call(self, name: str, argument: Any) -> Any:
        function = FUNCTIONS.get(name)
        if function is None:
            raise StackError(f"the embedded AWS does not know the intrinsic {name}")
        return function(self, argument)

    def _ref(self, name: Any) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        return self.values[name] if name in self.values else self._attribute(name, None)

    def _get_att(self, argument: Any) -> Any:
        logical, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        return self._attribute(logical, self.resolve(attribute))

    def _sub(self, argument: Any) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument
        given = {key: self.resolve(item) for key, item in variables.items()}

        def replace(hit: re.Match[str]) -> str:
            name = hit[1].strip()
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in given:
                return str(given[name])
            return str(self._get_att(name) if "." in name else self._ref(name))

        return VARIABLE.sub(replace, text)

    def _join(self, argument: Any) -> str:
        delimiter, items = argument
        return str(delimiter).join(str(item) for item in self.resolve(items))

    def _if(self, argument: Any) -> Any:
        condition, then, otherwise = argument
        return self.resolve(then if self.holds(condition) else otherwise)

    def _equals(self, argument: Any) -> bool:
        left, right = self.resolve(argument)
        return str(left) == str(right)

    def _select(self, argument: Any) -> Any:
        index, items = argument
        return self.resolve(items)[int(self.resolve(index))]

    def _split(self, argument: Any) -> list[str]:
        delimiter, text = argument
        return str(self.resolve(text)).split(delimiter)

    def _find_in_map(self, argument: Any) -> Any:
        name, first, second = self.resolve(argument[:3])
        try:
            return self.resolve(self._mappings[name][first][second])
        except KeyError:
            if len(argument) > 3:  # noqa: PLR2004 -- the fourth is {"DefaultValue": …}
                return self.resolve(argument[3]["DefaultValue"])
            raise StackError(f"no such mapping: {name}.{first}.{second}") from None

    def _base64(self, argument: Any) -> str:
        return base64.b64encode(str(self.resolve(argument)).encode()).decode()


FUNCTIONS: dict[str, Callable[[Resolver, Any], Any]] = {
    "Ref": Resolver._ref,
    "Condition": Resolver.holds,
    "Fn::GetAtt": Resolver._get_att,
    "Fn::Sub": Resolver._sub,
    "Fn::Join": Resolver._join,
    "Fn::If": Resolver._if,
    "Fn::Equals": Resolver._equals,
    "Fn::And": lambda resolver, argument: all(resolver.resolve(item) for item in argument),
    "Fn::Or": lambda resolver, argument: any(resolver.resolve(item) for item in argument),
    "Fn::Not": lambda resolver, argument: not resolver.resolve(argument[0]),
    "Fn::Select": Resolver._select,
    "Fn::Split": Resolver._split,
    "Fn::FindInMap": Resolver._find_in_map,
    "Fn::Base64": Resolver._base64,
}


def _parameter_values(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    if unknown := given.keys() - declared.keys():
        raise StackError(f"no such parameters: {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {}
    for name, parameter in declared.items():
        if name in given:
            value = str(given[name])
        elif "Default" in parameter:
            value = str(parameter["Default"])
        else:
            raise StackError(f"the parameter {name} has no value")
        _check_parameter(name, parameter, value)
        kind = parameter.get("Type", "String")
        values[name] = [item.strip() for item in value.split(",")] if kind == "CommaDelimitedList" or kind.startswith("List<") else value
    return values


def _check_parameter(name: str, parameter: Mapping[str, Any], value: str) -> None:
    kind = parameter.get("Type", "String")
    if kind.startswith("AWS::SSM::"):
        raise StackError(f"the embedded AWS does not know the parameter type {kind} of {name}")
    allowed = [str(item) for item in parameter.get("AllowedValues", [])]
    if allowed and value not in allowed:
        raise StackError(f"parameter {name}: {value!r} is not one of {allowed}")
    if "AllowedPattern" in parameter and not re.fullmatch(parameter["AllowedPattern"], value):
        raise StackError(f"parameter {name}: {value!r} does not match {parameter['AllowedPattern']}")
    if kind == "Number":
        number = float(value)
        if number < float(parameter.get("MinValue", number)) or number > float(parameter.get("MaxValue", number)):
            raise StackError(f"parameter {name}: {value} is out of range")
    elif len(value) < int(parameter.get("MinLength", 0)) or len(value) > int(parameter.get("MaxLength", len(value))):
        raise StackError(f"parameter {name}: its length is out of range")
