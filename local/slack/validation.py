"""What Slack refuses: its limits on messages and blocks (docs.slack.dev/reference/block-kit)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_TEXT = 3000
MAX_FIELDS = 10
MAX_FIELD = 2000
MAX_CONTEXT = 10
MAX_ACTIONS = 25
MAX_BUTTON = 75
MAX_VALUE = 2000
MAX_URL = 3000
MAX_ID = 255
MAX_OPTIONS = 5
MAX_OPTION = 75
MAX_OPTION_VALUE = 150
MAX_ALT = 2000
MAX_MARKDOWN = 12_000
MAX_PAYLOAD = 13_000
"""Characters of all blocks; undocumented, seen at about 13,000 (`msg_blocks_too_long`, bolt-js issue 2509)."""
CONFIRM_LIMITS = {"title": 100, "text": 300, "confirm": 30, "deny": 30}

Block = Mapping[str, Any]


def refusal(payload: Any) -> tuple[str, list[str]] | None:
    """The code of Slack's answer and the reasons behind it; None if the message is accepted."""
    if not isinstance(payload, Mapping):
        return "invalid_payload", ["the payload is not a JSON object"]
    blocks = payload.get("blocks")
    if not payload.get("text") and not blocks and not payload.get("attachments"):
        return "no_text", ["neither text nor blocks"]
    if blocks is None:
        return None
    if not isinstance(blocks, list) or any(not isinstance(block, Mapping) for block in blocks):
        return "invalid_blocks", ["blocks must be a list of objects"]
    problems = list(_problems(blocks))
    if problems:
        return "invalid_blocks", problems
    if len(json.dumps(blocks, ensure_ascii=False)) > MAX_PAYLOAD:
        return "msg_blocks_too_long", [f"the blocks have more than {MAX_PAYLOAD} characters"]
    return None


def _problems(blocks: list[Block]) -> Iterator[str]:
    if not 0 < len(blocks) <= MAX_BLOCKS:
        yield f"{len(blocks)} blocks; 1 to {MAX_BLOCKS} are allowed"
    for index, block in enumerate(blocks):
        check = CHECKS.get(str(block.get("type")))
        if check is None:
            yield f"/blocks/{index}: unknown type {block.get('type')!r}"
            continue
        for problem in (*check(block), *_identifier(block, "block_id")):
            yield f"/blocks/{index}: {problem}"
    for name, values in (("block_id", [block.get("block_id") for block in blocks]), ("action_id", list(_action_ids(blocks)))):
        for value, count in Counter(value for value in values if value is not None).items():
            if count > 1:
                yield f"{name} {value!r} is used {count} times"


def _action_ids(blocks: list[Block]) -> Iterator[Any]:
    for block in blocks:
        for element in [*(block.get("elements") or []), block.get("accessory") or {}]:
            if isinstance(element, Mapping):
                yield element.get("action_id")


def _identifier(owner: Block, name: str) -> Iterator[str]:
    value = owner.get(name)
    if value is not None and (not isinstance(value, str) or not 0 < len(value) <= MAX_ID):
        yield f"{name} must have 1 to {MAX_ID} characters"


def _text(value: Any, limit: int, *, plain: bool = False, where: str = "text") -> Iterator[str]:
    if not isinstance(value, Mapping) or not isinstance(value.get("text"), str):
        yield f"{where} must be a text object"
        return
    kinds = {"plain_text"} if plain else {"plain_text", "mrkdwn"}
    if value.get("type") not in kinds:
        yield f"{where}.type must be {' or '.join(sorted(kinds))}"
    if not 0 < len(value["text"]) <= limit:
        yield f"{where} has {len(value['text'])} characters; 1 to {limit} are allowed"


def _section(block: Block) -> Iterator[str]:
    if "text" not in block and not block.get("fields"):
        yield "a section needs text or fields"
    if "text" in block:
        yield from _text(block["text"], MAX_TEXT)
    fields = block.get("fields", [])
    if len(fields) > MAX_FIELDS:
        yield f"{len(fields)} fields; at most {MAX_FIELDS} are allowed"
    for field in fields:
        yield from _text(field, MAX_FIELD, where="field")
    if "accessory" in block:
        yield from _element(block["accessory"])


def _header(block: Block) -> Iterator[str]:
    yield from _text(block.get("text"), MAX_HEADER, plain=True)


def _context(block: Block) -> Iterator[str]:
    elements = block.get("elements") or []
    if not 0 < len(elements) <= MAX_CONTEXT:
        yield f"{len(elements)} elements; 1 to {MAX_CONTEXT} are allowed"
    for element in elements:
        if element.get("type") == "image":
            yield from _image(element)
        else:
            yield from _text(element, MAX_TEXT, where="element")


def _actions(block: Block) -> Iterator[str]:
    elements = block.get("elements") or []
    if not 0 < len(elements) <= MAX_ACTIONS:
        yield f"{len(elements)} elements; 1 to {MAX_ACTIONS} are allowed"
    for element in elements:
        yield from _element(element)


def _element(element: Block) -> Iterator[str]:
    kind = element.get("type")
    yield from _identifier(element, "action_id")
    if kind == "button":
        yield from _text(element.get("text"), MAX_BUTTON, plain=True, where="button text")
        if len(element.get("value", "")) > MAX_VALUE:
            yield f"a button's value has at most {MAX_VALUE} characters"
        if len(element.get("url", "")) > MAX_URL:
            yield f"a button's url has at most {MAX_URL} characters"
        if element.get("style") not in {None, "primary", "danger"}:
            yield "a button's style is primary, danger or absent"
    elif kind == "overflow":
        options = element.get("options") or []
        if not 0 < len(options) <= MAX_OPTIONS:
            yield f"an overflow menu has 1 to {MAX_OPTIONS} options"
        for option in options:
            yield from _text(option.get("text"), MAX_OPTION, where="option text")
            if len(option.get("value", "")) > MAX_OPTION_VALUE:
                yield f"an option's value has at most {MAX_OPTION_VALUE} characters"
    elif kind == "image":
        yield from _image(element)
    else:
        yield f"unknown element type {kind!r}"
    for name, limit in CONFIRM_LIMITS.items():
        if "confirm" in element:
            yield from _text(element["confirm"].get(name), limit, where=f"confirm.{name}")


def _image(block: Block) -> Iterator[str]:
    if not block.get("image_url") or len(block["image_url"]) > MAX_URL:
        yield f"an image needs an image_url of at most {MAX_URL} characters"
    if not block.get("alt_text") or len(block["alt_text"]) > MAX_ALT:
        yield f"an image needs an alt_text of at most {MAX_ALT} characters"


def _markdown(block: Block) -> Iterator[str]:
    text = block.get("text")
    if not isinstance(text, str) or not 0 < len(text) <= MAX_MARKDOWN:
        yield f"markdown text has 1 to {MAX_MARKDOWN} characters"


CHECKS: dict[str, Callable[[Block], Iterator[str]]] = {
    "section": _section,
    "header": _header,
    "context": _context,
    "actions": _actions,
    "divider": lambda _: iter(()),
    "image": _image,
    "markdown": _markdown,
}
