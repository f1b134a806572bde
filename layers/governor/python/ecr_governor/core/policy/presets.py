"""Presets: policies to start from, which lie beneath what a policy file says.

A preset is part of the release, as the rules are: a YAML file in the folder `presets` beside the bundled policy.
"""

import pkgutil
from enum import StrEnum
from typing import Any, Final

from ecr_governor.core.policy.yaml_text import Node, compose


class Preset(StrEnum):
    """The presets by name."""

    RECOMMENDED = "recommended"
    STRICT = "strict"
    AUDIT_ONLY = "audit-only"
    SANDBOX = "sandbox"


# Sections whose keys lie over those of the preset one by one, and how deep that goes: a namespace's settings are replaced whole, as
# those of ROOT are by a namespace.
_DEPTHS: Final = {"namespaces": 2, "rules": 2, "retirement": 2, "templates": 1, "limits": 1, "notifications": 2}


def source_of(preset: Preset) -> str:
    """Name a preset's file, as messages do."""
    return f"preset {preset.value}"


def text_of(preset: Preset) -> str:
    """Give a preset's file."""
    data = pkgutil.get_data("ecr_governor", f"presets/{preset.value}.yaml")
    if data is None:
        raise FileNotFoundError(preset.value)
    return data.decode()


def root_of(preset: Preset) -> Node:
    """Read a preset."""
    root, _ = compose(text_of(preset), source_of(preset))
    return root


def named_in(content: Any) -> Preset | None:
    """Give the preset that a file's content names; None where there is none of that name, which the model tells."""
    named = content.get("preset")
    return Preset(named) if isinstance(named, str) and named in tuple(Preset) else None


def over(preset: Any, content: Any) -> dict[str, Any]:
    """Lay a file's content over a preset's: key by key, `null` and lists included; what the file leaves out is the preset's."""
    merged = dict(preset)
    for key, value in content.items():
        merged[key] = _laid(preset.get(key), value, _DEPTHS.get(key, 0), short="mode" if key == "rules" else "")
    return merged


def _laid(beneath: Any, value: Any, depth: int, short: str) -> Any:
    if depth == 1 and short and isinstance(value, str):
        value = {short: value}  # a rule's plain mode leaves its severity as it is
    if depth == 0 or not isinstance(beneath, dict) or not isinstance(value, dict):
        return value
    merged = dict(beneath)
    for key, below in value.items():
        merged[key] = _laid(beneath.get(key), below, depth - 1, short)
    return merged
