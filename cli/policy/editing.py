"""Change a policy file's exemptions as a person would: what is not changed stays as it stands, byte by byte.

The text is cut at the places that the YAML parser tells. A round trip through a YAML library keeps comments, and yet writes the whole
file anew by its own taste: indents, quotes and the width of lines change everywhere.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import yaml

from cli.trouble import Trouble
from ecr_governor.core.policy.model import Exemption

KEY: Final = "exemptions"
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WIDTH: Final = 10_000
_STEP: Final = 2
_NOT_HERE: Final = "the policy file cannot be changed here"


def with_exemption(text: str, exemption: Exemption) -> str:
    """Give the text of a policy file with one more exemption, behind those that are there."""
    newline = "\r\n" if "\r\n" in text else "\n"
    root = composed(text)
    listed = _listed(root)
    if root.flow_style and (listed is None or not listed.value):
        why = "it is written in braces, as JSON is, and has no exemption that shows how one is written there"
        raise Trouble(_NOT_HERE, why, "write it by hand, then ecr-governor policy validate FILE")
    if listed is None:
        return _ended(text, newline) + newline.join([f"{KEY}:", *_block(exemption, _STEP), ""])
    if not listed.value:
        # [] goes, and whatever stands behind it on its line stays.
        rest = text[listed.end_mark.index :]
        line, _, following = rest.partition("\n")
        before = text[: listed.start_mark.index].rstrip(" ")
        end = "\n" if following or rest.endswith("\n") else newline
        return f"{before}{line}{end}{newline.join([*_block(exemption, _STEP), ''])}{following}"
    last = listed.value[-1]
    if listed.flow_style:
        entry = _as_json(exemption) if root.flow_style else _flow(exemption)
        return f"{text[: last.end_mark.index]}, {entry}{text[last.end_mark.index :]}"
    behind = _end_of_line(text, end_of(last))
    before = text[:behind] if text[:behind].endswith("\n") else f"{text[:behind]}{newline}"
    column = listed.start_mark.column
    lines = [f"{' ' * column}- {_flow(exemption)}"] if last.flow_style else _block(exemption, column)
    return f"{before}{newline.join([*lines, ''])}{text[behind:]}"


def with_end(text: str, index: int, expires: date) -> str:
    """Give the text of a policy file in which one exemption has another last day."""
    listed = _listed(composed(text))
    node = value_of(listed.value[index], "expires") if listed is not None else None
    if node is None:
        raise _not_editable()
    quote = node.style if node.style in {"'", '"'} else ""
    return f"{text[: node.start_mark.index]}{quote}{expires.isoformat()}{quote}{text[node.end_mark.index :]}"


def _not_editable() -> Trouble:
    why = "its exemptions are written in a way that a program had better not touch, such as an alias"
    return Trouble(_NOT_HERE, why, "change it by hand, then ecr-governor policy validate FILE")


def _listed(root: Any) -> Any:
    """Find the list of exemptions; None if the file has none."""
    node = value_of(root, KEY)
    if node is not None and not isinstance(node, yaml.SequenceNode):
        raise _not_editable()
    return node


def composed(text: str) -> Any:
    """Give the nodes of a file with their places, which count characters."""
    return yaml.compose(text, Loader=_LOADER)


def value_of(node: Any, key: str) -> Any:
    """Give the node of a key's value; None where there is none."""
    return next((value for name, value in node.value if name.value == key), None) if isinstance(node, yaml.MappingNode) else None


def end_of(node: Any) -> int:
    """Where a node's own text ends: a block's mark stands behind the comments that follow it."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return end_of(last[1] if isinstance(last, tuple) else last)


def _end_of_line(text: str, at: int) -> int:
    # A text in several lines, such as one behind |, ends with its line break.
    if at and text[at - 1] == "\n":
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _ended(text: str, newline: str) -> str:
    ended = text if text.endswith("\n") or not text else f"{text}{newline}"
    return f"{ended}{newline}"


def _block(exemption: Exemption, column: int) -> Sequence[str]:
    lines = [f"{key}: {_scalar(value)}" for key, value in _content(exemption).items()]
    first, *others = lines
    return [f"{' ' * column}- {first}", *(f"{' ' * (column + 2)}{line}" for line in others)]


def _flow(exemption: Exemption) -> str:
    return "{" + ", ".join(f"{key}: {_quoted(value)}" for key, value in _content(exemption).items()) + "}"


def _as_json(exemption: Exemption) -> str:
    return json.dumps({**_content(exemption), "expires": exemption.expires.isoformat()}, ensure_ascii=False)


def _content(exemption: Exemption) -> Mapping[str, Any]:
    return {
        "match": exemption.match,
        "rules": list(exemption.rules),
        "reason": exemption.reason,
        "owner": exemption.owner,
        "expires": exemption.expires,
    }


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        # A glob reads best in quotes, and needs them where it begins with a star.
        return json.dumps(value, ensure_ascii=False) if "*" in value else _dumped(value)
    return value.isoformat() if isinstance(value, date) else _dumped(value, flow=True)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else _scalar(value)


def _dumped(value: Any, *, flow: bool | None = None) -> str:
    text: str = yaml.safe_dump(value, width=_WIDTH, allow_unicode=True, default_flow_style=flow)
    return text.removesuffix("\n").removesuffix("\n...")
