"""What Slack refuses: its limits on messages, blocks and modals (docs.slack.dev/reference/block-kit, docs.slack.dev/reference/views)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MAX_BLOCKS = 50
MAX_VIEW_BLOCKS = 100
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
MAX_SELECT_OPTIONS = 100
MAX_OPTION = 75
MAX_OPTION_VALUE = 150
MAX_ALT = 2000
MAX_LABEL = 2000
MAX_PLACEHOLDER = 150
MAX_INPUT = 3000
MAX_MARKDOWN = 12_000
"""Characters of all markdown blocks of a message together."""
MAX_ROWS, MAX_COLUMNS = 100, 20
MAX_DATA_ROWS, MAX_DATA = 201, 20_000
MAX_ATTACHMENTS = 100
MAX_MESSAGE = 40_000
"""Characters of a message's text that are kept: what is longer is cut off."""
MAX_EDIT = 4_000
"""Characters that the text of an edit may have. UNCONFIRMED: chat.update was seen to answer `msg_too_long` beyond it."""
MAX_PAYLOAD = 13_000
"""Characters of all blocks; undocumented, seen at about 13,000 (`msg_blocks_too_long`, bolt-js issue 2509)."""
MAX_TITLE = 24
MAX_METADATA = 3000
CONFIRM_LIMITS = {"title": 100, "text": 300, "confirm": 30, "deny": 30}

Block = Mapping[str, Any]


def refusal(payload: Any, *, edit: bool = False) -> tuple[str, list[str]] | None:
    """The code of Slack's answer and the reasons behind it; None if the message is accepted."""
    if not isinstance(payload, Mapping):
        return "invalid_payload", ["the payload is not a JSON object"]
    blocks = payload.get("blocks")
    text, attachments = payload.get("text"), payload.get("attachments") or []
    if not text and not blocks and not attachments:
        return "no_text", ["neither text nor blocks"]
    if edit and isinstance(text, str) and len(text) > MAX_EDIT:
        return "msg_too_long", [f"the text has {len(text)} characters; an edit takes {MAX_EDIT}"]
    if len(attachments) > MAX_ATTACHMENTS:
        return "too_many_attachments", [f"{len(attachments)} attachments; at most {MAX_ATTACHMENTS} are allowed"]
    if not blocks and (blocks is None or isinstance(blocks, list)):
        return None
    if not isinstance(blocks, list) or any(not isinstance(block, Mapping) for block in blocks):
        return "invalid_blocks", ["blocks must be a list of objects"]
    problems = list(_problems(blocks, MAX_BLOCKS))
    if problems:
        return "invalid_blocks", problems
    if len(json.dumps(blocks, ensure_ascii=False)) > MAX_PAYLOAD:
        return "msg_blocks_too_long", [f"the blocks have more than {MAX_PAYLOAD} characters"]
    return None


def view_problems(view: Any) -> list[str]:
    """What Slack has against a modal."""
    if not isinstance(view, Mapping) or view.get("type") != "modal":
        return ["the view is no modal"]
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or any(not isinstance(block, Mapping) for block in blocks):
        return ["blocks must be a list of objects"]
    problems = list(_text(view.get("title"), MAX_TITLE, plain=True, where="title"))
    for name in ("submit", "close"):
        if name in view:
            problems += _text(view[name], MAX_TITLE, plain=True, where=name)
    if len(view.get("private_metadata", "")) > MAX_METADATA:
        problems.append(f"private_metadata has at most {MAX_METADATA} characters")
    if len(view.get("callback_id", "")) > MAX_ID:
        problems.append(f"callback_id has at most {MAX_ID} characters")
    if "submit" not in view and any(block.get("type") == "input" for block in blocks):
        problems.append("a modal with an input needs submit")
    return [*problems, *_problems(blocks, MAX_VIEW_BLOCKS)]


def _problems(blocks: list[Block], most: int) -> Iterator[str]:
    if not 0 < len(blocks) <= most:
        yield f"{len(blocks)} blocks; 1 to {most} are allowed"
    if (length := sum(len(str(block.get("text", ""))) for block in blocks if block.get("type") == "markdown")) > MAX_MARKDOWN:
        yield f"the markdown blocks have {length} characters together; at most {MAX_MARKDOWN} are allowed"
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
        for element in [*(block.get("elements") or []), block.get("accessory") or {}, block.get("element") or {}]:
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
    check = ELEMENTS.get(str(kind))
    if check is None:
        yield f"unknown element type {kind!r}"
    else:
        yield from check(element)
    if "confirm" in element:
        for name, limit in CONFIRM_LIMITS.items():
            yield from _text(element["confirm"].get(name), limit, where=f"confirm.{name}")


def _button(element: Block) -> Iterator[str]:
    yield from _text(element.get("text"), MAX_BUTTON, plain=True, where="button text")
    for name, limit in (("value", MAX_VALUE), ("url", MAX_URL), ("accessibility_label", MAX_BUTTON)):
        if len(element.get(name, "")) > limit:
            yield f"a button's {name} has at most {limit} characters"
    if element.get("style") not in {None, "primary", "danger"}:
        yield "a button's style is primary, danger or absent"


def _overflow(element: Block) -> Iterator[str]:
    yield from _options(element, MAX_OPTIONS)


def _select(element: Block) -> Iterator[str]:
    yield from _options(element, MAX_SELECT_OPTIONS)
    yield from _placeholder(element)


def _options(element: Block, most: int) -> Iterator[str]:
    options = element.get("options") or []
    if not 0 < len(options) <= most:
        yield f"{len(options)} options; 1 to {most} are allowed"
    for option in options:
        yield from _text(option.get("text"), MAX_OPTION, where="option text")
        if not 0 < len(option.get("value", "")) <= MAX_OPTION_VALUE:
            yield f"an option's value has 1 to {MAX_OPTION_VALUE} characters"


def _placeholder(element: Block) -> Iterator[str]:
    if "placeholder" in element:
        yield from _text(element["placeholder"], MAX_PLACEHOLDER, plain=True, where="placeholder")


def _plain_text_input(element: Block) -> Iterator[str]:
    yield from _placeholder(element)
    for name in ("min_length", "max_length"):
        if not 0 <= element.get(name, 0) <= MAX_INPUT:
            yield f"{name} is 0 to {MAX_INPUT}"


def _input(block: Block) -> Iterator[str]:
    yield from _text(block.get("label"), MAX_LABEL, plain=True, where="label")
    if "hint" in block:
        yield from _text(block["hint"], MAX_LABEL, plain=True, where="hint")
    if not isinstance(block.get("element"), Mapping):
        yield "an input needs an element"
    else:
        yield from _element(block["element"])


def _table(block: Block) -> Iterator[str]:
    rows = block.get("rows") or []
    if not 0 < len(rows) <= MAX_ROWS:
        yield f"{len(rows)} rows; 1 to {MAX_ROWS} are allowed"
    if any(not 0 < len(row) <= MAX_COLUMNS for row in rows):
        yield f"a row has 1 to {MAX_COLUMNS} columns"


def _data_table(block: Block) -> Iterator[str]:
    rows = block.get("rows") or []
    if not 0 < len(rows) <= MAX_DATA_ROWS:
        yield f"{len(rows)} rows; 1 to {MAX_DATA_ROWS} are allowed"
    if any(not 0 < len(row) <= MAX_COLUMNS for row in rows):
        yield f"a row has 1 to {MAX_COLUMNS} columns"
    if len(json.dumps(rows, ensure_ascii=False)) > MAX_DATA:
        yield f"a data table has at most {MAX_DATA} characters"


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
    "input": _input,
    "table": _table,
    "data_table": _data_table,
}
ELEMENTS: dict[str, Callable[[Block], Iterator[str]]] = {
    "button": _button,
    "overflow": _overflow,
    "static_select": _select,
    "image": _image,
    "plain_text_input": _plain_text_input,
    "datepicker": _placeholder,
}
