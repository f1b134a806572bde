"""The rules: one file each. Every module of this folder is a rule; loading fails where one is not."""

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

from ecr_governor.core.rule import Rule


class RuleMisplaced(Exception):
    """A module of the folder is not the rule that its name promises."""


def _discover() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        rule = getattr(import_module(f"{__name__}.{name}"), "RULE", None)
        if not isinstance(rule, Rule):
            raise RuleMisplaced(f"rules/{name}.py holds no RULE")
        if rule.id != name.replace("_", "-"):
            raise RuleMisplaced(f"rules/{name}.py holds the rule {rule.id!r}; its id must be its file's name")
        rules[rule.id] = rule
    return rules


RULES: Final[Mapping[str, Rule]] = MappingProxyType(_discover())
