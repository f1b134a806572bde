"""The limits that the local Slack enforces: each at its edge, and beyond it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import slackblocks

from local.slack.validation import refusal, view_problems
from tests.slack_limits import second_opinion


def text(length: int, kind: str = "mrkdwn") -> dict[str, str]:
    return {"type": kind, "text": "x" * length}


def plain(length: int) -> dict[str, str]:
    return text(length, "plain_text")


def section(**more: Any) -> dict[str, Any]:
    return {"type": "section", "text": text(1), **more}


def actions(*elements: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def button(**more: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain(1), **more}


def confirm(**lengths: int) -> dict[str, Any]:
    return {name: plain(lengths.get(name, 1)) for name in ("title", "text", "confirm", "deny")}


def options(count: int, label: int = 1, value: int = 1) -> list[dict[str, Any]]:
    return [{"text": plain(label), "value": "v" * value}] * count


def each_id(count: int) -> list[dict[str, Any]]:
    return [button(action_id=f"a{number}") for number in range(count)]


def image(url: int = 20, alt: int = 1) -> dict[str, Any]:
    return {"type": "image", "image_url": "https://e.example/".ljust(url, "x"), "alt_text": "x" * alt}


def table(rows: int, columns: int, kind: str = "table") -> dict[str, Any]:
    return {"type": kind, "rows": [[{"type": "raw_text", "text": "x"}] * columns] * rows}


LIMITS: dict[str, tuple[Callable[[int], list[dict[str, Any]]], int]] = {
    "blocks": (lambda n: [section()] * n, 50),
    "section.text": (lambda n: [{"type": "section", "text": text(n)}], 3000),
    "section.fields": (lambda n: [{"type": "section", "fields": [text(1)] * n}], 10),
    "field": (lambda n: [{"type": "section", "fields": [text(n)]}], 2000),
    "header": (lambda n: [{"type": "header", "text": plain(n)}], 150),
    "context.elements": (lambda n: [{"type": "context", "elements": [text(1)] * n}], 10),
    "context.text": (lambda n: [{"type": "context", "elements": [text(n)]}], 3000),
    "actions.elements": (lambda n: [actions(*each_id(n))], 25),
    "button.text": (lambda n: [actions(button(text=plain(n)))], 75),
    "button.value": (lambda n: [actions(button(value="v" * n))], 2000),
    "button.url": (lambda n: [actions(button(url="https://e.example/".ljust(n, "x")))], 3000),
    "button.accessibility_label": (lambda n: [actions(button(accessibility_label="x" * n))], 75),
    "action_id": (lambda n: [actions(button(action_id="a" * n))], 255),
    "block_id": (lambda n: [section(block_id="b" * n)], 255),
    "confirm.title": (lambda n: [actions(button(confirm=confirm(title=n)))], 100),
    "confirm.text": (lambda n: [actions(button(confirm=confirm(text=n)))], 300),
    "confirm.confirm": (lambda n: [actions(button(confirm=confirm(confirm=n)))], 30),
    "confirm.deny": (lambda n: [actions(button(confirm=confirm(deny=n)))], 30),
    "overflow.options": (lambda n: [actions({"type": "overflow", "options": options(n)})], 5),
    "option.text": (lambda n: [actions({"type": "overflow", "options": options(2, label=n)})], 75),
    "option.value": (lambda n: [actions({"type": "overflow", "options": options(2, value=n)})], 150),
    "select.options": (lambda n: [actions({"type": "static_select", "options": options(n)})], 100),
    "image.url": (lambda n: [image(url=n)], 3000),
    "image.alt_text": (lambda n: [image(alt=n)], 2000),
    "markdown": (lambda n: [{"type": "markdown", "text": "x" * (n // 2)}, {"type": "markdown", "text": "x" * (n - n // 2)}], 12_000),
    "table.rows": (lambda n: [table(n, 1)], 100),
    "table.columns": (lambda n: [table(1, n)], 20),
    "data_table.rows": (lambda n: [table(n, 1, "data_table")], 201),
}
UNLIKE = {"data_table.rows", "option.text", "option.value", "overflow.options", "select.options", "table.columns", "table.rows"}
"""What the second judge does not read from JSON, or wants in another form than here."""


@pytest.mark.parametrize("limit", LIMITS)
def test_at_the_limit_it_is_taken_and_beyond_it_is_not(limit: str) -> None:
    blocks, most = LIMITS[limit]
    assert refusal({"text": "x", "blocks": blocks(most)}) is None
    refused = refusal({"text": "x", "blocks": blocks(most + 1)})
    assert refused is not None
    assert refused[0] == "invalid_blocks"


@pytest.mark.parametrize("limit", sorted(LIMITS.keys() - UNLIKE))
def test_another_judge_draws_the_line_at_the_same_place(limit: str) -> None:
    blocks, most = LIMITS[limit]

    second_opinion({"text": "x", "blocks": blocks(most)})
    with pytest.raises(slackblocks.InvalidUsageError):
        second_opinion({"text": "x", "blocks": blocks(most + 1)})


@pytest.mark.parametrize(
    "blocks",
    [
        [section(text=text(0))],
        [{"type": "section"}],
        [actions()],
        [actions(button(style="loud"))],
        [actions(button(action_id="a"), button(action_id="a"))],
        [section(block_id="b"), section(block_id="b")],
        [actions(button(action_id="a")), section(accessory=button(action_id="a"))],
        [{"type": "header", "text": text(1)}],
        [{"type": "novel"}],
        [{"type": "input", "label": plain(1)}],
    ],
)
def test_what_is_no_message_is_refused(blocks: list[dict[str, Any]]) -> None:
    refused = refusal({"text": "x", "blocks": blocks})
    assert refused is not None
    assert refused[0] == "invalid_blocks"


def test_the_whole_message_has_limits_of_its_own() -> None:
    assert refusal({"blocks": [section(text=text(2600))] * 5}) == ("msg_blocks_too_long", ["the blocks have more than 13000 characters"])
    assert refusal({"text": "x" * 4001}) is None
    too_long = refusal({"text": "x" * 4001}, edit=True)
    assert too_long is not None
    assert too_long[0] == "msg_too_long"
    assert refusal({"attachments": [{"text": "x"}] * 100}) is None
    assert refusal({"attachments": [{"text": "x"}] * 101}) is not None


def modal(**more: Any) -> dict[str, Any]:
    entry = {"type": "input", "label": plain(1), "element": {"type": "plain_text_input"}}
    return {"type": "modal", "title": plain(24), "submit": plain(24), "close": plain(24), "blocks": [entry], **more}


def test_a_modal_has_its_own_limits() -> None:
    assert view_problems(modal(private_metadata="x" * 3000, callback_id="x" * 255)) == []
    for wrong in (
        {"title": plain(25)},
        {"submit": plain(25)},
        {"close": plain(25)},
        {"private_metadata": "x" * 3001},
        {"callback_id": "x" * 256},
        {"blocks": [section()] * 101},
        {"type": "home"},
    ):
        assert view_problems(modal(**wrong)), wrong
    without = modal()
    del without["submit"]
    assert view_problems(without) == ["a modal with an input needs submit"]
    assert view_problems(modal(blocks=[section()] * 100)) == []
