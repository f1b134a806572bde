"""What a target receives: the event, a part of it, a constant, or a transformed text.

docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.events.rules import Rule, Target

STEP = re.compile(r"\.([A-Za-z0-9_\-]+)|\['([^']+)'\]|\[(\d+|\*)\]")
PLACEHOLDER = re.compile(r"<([^<>\s]+)>")


def input_for(event: Mapping[str, Any], rule: Rule, target: Target, now: str) -> str:
    """The text to hand to the target."""
    settings = target.settings
    if "Input" in settings:
        return str(settings["Input"])
    if "InputPath" in settings:
        return json.dumps(select(event, settings["InputPath"]))
    if "InputTransformer" in settings:
        return _transform(event, rule, settings["InputTransformer"], now)
    return json.dumps(event)


def select(document: Any, path: str) -> Any:
    """The part of a document at a JSON path; None if there is nothing."""
    if not path.startswith("$"):
        raise ValueError(f"Invalid JSON path: {path}")
    value, position = document, 1
    while position < len(path):
        step = STEP.match(path, position)
        if step is None:
            raise ValueError(f"Invalid JSON path: {path}")
        name, quoted, index = step.groups()
        try:
            value = value if index == "*" else value[int(index)] if index else value[name or quoted]
        except (KeyError, IndexError, TypeError):
            return None
        position = step.end()
    return value


def _transform(event: Mapping[str, Any], rule: Rule, transformer: Mapping[str, Any], now: str) -> str:
    values = {name: select(event, path) for name, path in transformer.get("InputPathsMap", {}).items()}
    reserved = {
        "aws.events.rule-arn": rule.arn,
        "aws.events.rule-name": rule.name,
        "aws.events.event.ingestion-time": now,
        "aws.events.event": {key: value for key, value in event.items() if key != "detail"},
        "aws.events.event.json": event,
    }
    template = str(transformer["InputTemplate"])
    position, parts, quoted = 0, [], False
    for hit in PLACEHOLDER.finditer(template):
        before = template[position : hit.start()]
        quoted ^= len(re.findall(r'(?<!\\)"', before)) % 2 == 1
        parts.append(before)
        name = hit[1]
        if name in values or name in reserved:
            parts.append(_inserted(values.get(name, reserved.get(name)), quoted=quoted))
        else:
            parts.append(hit[0])
        position = hit.end()
    return "".join([*parts, template[position:]])


def _inserted(value: Any, *, quoted: bool) -> str:
    # Inside a quoted string text goes in as it is; outside, EventBridge writes the JSON value, strings with quotes.
    if quoted:
        return json.dumps(value)[1:-1] if isinstance(value, str) else json.dumps(value).replace('"', '\\"')
    return "" if value is None else json.dumps(value)
