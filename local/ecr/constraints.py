"""Every request is checked against botocore's ECR model first: required members, lengths, patterns, enumerations."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import botocore.session

from local.ecr.errors import EcrError, invalid

# The model's pattern nests repetitions and takes exponential time in a backtracking engine; this one accepts the same texts.
_REWRITTEN = {r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$": r"[a-z0-9*]+(?:[._\-/][a-z0-9*]+)*"}
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "structure": (dict,),
    "list": (list,),
}


@cache
def _service() -> Any:
    return botocore.session.Session().get_service_model("ecr")


@cache
def operations() -> frozenset[str]:
    """Return the names of all operations that ECR has."""
    return frozenset(_service().operation_names)


@cache
def _input(operation: str) -> Any:
    return _service().operation_model(operation).input_shape


@cache
def input_members(operation: str) -> frozenset[str]:
    """Return the names of an operation's parameters."""
    shape = _input(operation)
    return frozenset(shape.members) if shape is not None else frozenset()


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # The model's patterns are for Java: `\/` and anchors are the same in Python.
    return re.compile(_REWRITTEN.get(pattern, pattern))


def check(operation: str, parameters: dict[str, Any]) -> None:
    """Refuse a request that the model does not allow, as `InvalidParameterException`."""
    shape = _input(operation)
    if shape is not None:
        _check(shape, parameters, "")


def _check(shape: Any, value: Any, path: str) -> None:
    expected = _PYTHON_TYPES.get(shape.type_name)
    if expected is not None and (not isinstance(value, expected) or (shape.type_name in {"integer", "long"} and isinstance(value, bool))):
        raise EcrError("SerializationException", f"{path or 'request'} is not of type {shape.type_name}")
    if shape.type_name == "structure":
        for name in shape.required_members:
            if value.get(name) is None:
                raise invalid(_join(path, name), "Member must not be null")
        for name, member in shape.members.items():
            if value.get(name) is not None:
                _check(member, value[name], _join(path, name))
    elif shape.type_name == "list":
        _check_range(shape, len(value), path, "Member must have length")
        for number, item in enumerate(value, start=1):
            _check(shape.member, item, f"{path}.{number}.member")
    elif shape.type_name == "string":
        _check_range(shape, len(value), path, "Member must have length")
        pattern = shape.metadata.get("pattern")
        if pattern and not _compiled(pattern).fullmatch(value):
            raise invalid(path, f"must satisfy regular expression '{pattern}'")
        if shape.enum and value not in shape.enum:
            raise invalid(path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
    elif shape.type_name in {"integer", "long"}:
        _check_range(shape, value, path, "Member must have value")


def _check_range(shape: Any, number: int, path: str, words: str) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and number < low:
        raise invalid(path, f"{words} greater than or equal to {low}")
    if high is not None and number > high:
        raise invalid(path, f"{words} less than or equal to {high}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
