"""The resource types that the embedded AWS knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.stack.context import Build, Properties, Resource
from local.stack.errors import StackError

Create = Callable[[Build, str, Properties], Resource]


@dataclass(frozen=True)
class Kind:
    """A resource type: the properties that are honoured, those that change nothing here, and how it is made."""

    create: Create
    honoured: frozenset[str]
    without_effect: frozenset[str]


KINDS: dict[str, Kind] = {}


def kind(type_name: str, honoured: str, without_effect: str = "") -> Callable[[Create], Create]:
    """Register how a type is made; properties are named in one string."""

    def register(create: Create) -> Create:
        KINDS[type_name] = Kind(create, frozenset(honoured.split()), frozenset(without_effect.split()))
        return create

    return register


def create(build: Build, logical_id: str, type_name: str, properties: Mapping[str, Any]) -> Resource:
    """Make one resource; what is not understood is an error that names it."""
    found = KINDS.get(type_name)
    if found is None:
        raise StackError(f"{logical_id}: the embedded AWS does not know the resource type {type_name}")
    unknown = properties.keys() - found.honoured - found.without_effect
    if unknown:
        raise StackError(f"{logical_id}: the embedded AWS does not know these properties of {type_name}: {', '.join(sorted(unknown))}")
    return found.create(build, logical_id, properties)


def as_text(value: Any) -> str:
    """A value as the APIs take attributes: JSON documents and booleans as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def tags_of(properties: Properties) -> dict[str, str]:
    """Tags as a map, whether the template lists them or maps them."""
    tags = properties.get("Tags") or {}
    if isinstance(tags, Mapping):
        return {str(key): str(value) for key, value in tags.items()}
    return {str(tag["Key"]): str(tag["Value"]) for tag in tags}


def tag_list(properties: Properties) -> list[dict[str, str]]:
    """Tags as the list that most APIs take."""
    return [{"Key": key, "Value": value} for key, value in tags_of(properties).items()]


# Importing the modules registers their types.
from local.stack.resources import access, compute, events, observability, states, storage  # noqa: E402, F401
