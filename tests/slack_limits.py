"""What Slack takes: our own validator, and the limits that we keep below Slack's."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import slackblocks

from local.slack.validation import refusal

BUDGET = 12_000
"""Characters of all blocks together, by JSON: Slack's limit is undocumented, and about 13,000."""
ADVISED = 4_000
"""Characters of the bare text: more is cut off by some of Slack's methods."""


def check_slack_limits(message: Mapping[str, Any]) -> None:
    """Hold a message against every limit of Slack's, as it is posted and as it is edited."""
    for edit in (False, True):
        assert refusal(message, edit=edit) is None
    assert 1 <= len(message["text"]) <= ADVISED
    assert not [shown for shown in _marked_up(message) if re.search(r"&(?!(amp|lt|gt);)|<(?![^<>]+>)", shown)], "an escape is cut in two"
    assert len(json.dumps(message["blocks"], ensure_ascii=False)) <= BUDGET, "beyond the budget"


def _marked_up(value: object) -> Iterator[str]:
    """Every text in which Slack looks for escapes and mentions."""
    return (shown["text"] for shown in _showing(value) if shown.get("type") != "plain_text")


def texts(value: object) -> Iterator[str]:
    """Every text that a message shows."""
    return (shown["text"] for shown in _showing(value))


def _showing(value: object) -> Iterator[Mapping[str, Any]]:
    """Every object that has a text."""
    if isinstance(value, Mapping):
        if isinstance(value.get("text"), str):
            yield value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for child in value:
            yield from _showing(child)


def second_opinion(message: Mapping[str, Any]) -> None:
    """Have the package slackblocks build the same message. It raises for what it thinks is beyond Slack's limits."""
    blocks = [_actions(block) if block["type"] == "actions" else slackblocks.Block.from_dict(dict(block)) for block in message["blocks"]]
    rebuilt = slackblocks.Message(channel="C0123456789", text=message["text"], blocks=blocks).to_dict()
    assert len(rebuilt["blocks"]) == len(message["blocks"])


def _actions(block: Mapping[str, Any]) -> slackblocks.ActionsBlock:
    """It reads no buttons from JSON yet, but builds them."""
    buttons = []
    for element in block["elements"]:
        assert element["type"] == "button"
        values = {name: element[name] for name in ("action_id", "url", "value", "style", "accessibility_label") if name in element}
        if asked := element.get("confirm"):
            values["confirm"] = slackblocks.ConfirmationDialogue(
                **{name: asked[name]["text"] for name in ("title", "text", "confirm", "deny")}
            )
        buttons.append(slackblocks.Button(element["text"]["text"], **values))
    return slackblocks.ActionsBlock(elements=buttons)
