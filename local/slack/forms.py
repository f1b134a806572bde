"""Buttons that can be pressed and forms that can be filled in, as HTML without scripts."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.slack.mrkdwn import plain

if TYPE_CHECKING:
    from local.slack.interaction import View

Draw = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class Live:
    """Who looks at the page, who else could, and the form that is open."""

    user: str
    users: Mapping[str, str]
    view: View | None = None


def people(live: Live) -> str:
    """Choose whose eyes to look through."""
    links = "".join(
        f'<a class="{"on" if user == live.user else ""}" href="/?as={html.escape(user)}">{html.escape(name)}</a>'
        for user, name in live.users.items()
    )
    return f'<p class="workspace people">You are</p>{links}'


def actions(block: Mapping[str, Any], message: Mapping[str, Any], live: Live, static: Draw) -> str:
    """Draw an actions block whose buttons send their press; what leads elsewhere stays a link."""
    drawn = "".join(
        static(element) if element.get("type") != "button" or element.get("url") else _button(element, message, live)
        for element in block.get("elements", [])
    )
    return f'<div class="actions">{drawn}</div>'


def _button(element: Mapping[str, Any], message: Mapping[str, Any], live: Live) -> str:
    style = str(element.get("style") or "")
    kind = f"button {style}" if style in {"primary", "danger"} else "button"
    label = plain(str((element.get("text") or {}).get("text", "")))
    hidden = _hidden(ts=message["ts"], action_id=str(element.get("action_id", "")), user=live.user)
    asked = element.get("confirm")
    if not asked:
        return f'<form class="press" method="post" action="/press">{hidden}<button class="{kind}">{label}</button></form>'
    words, yes = plain(str(asked["text"]["text"])), plain(str(asked["confirm"]["text"]))
    return (
        f'<details class="confirm"><summary class="{kind}">{label}</summary><form method="post" action="/press">{hidden}'
        f'<p>{words}</p><button class="{kind}">{yes}</button></form></details>'
    )


def form(view: View, live: Live, static: Draw) -> str:
    """Draw the form that is open."""
    document = view.document
    body = "".join(_input(block, view) if block["type"] == "input" else static(block) for block in document["blocks"])
    submit = plain(str(document["submit"]["text"]))
    hidden = _hidden(view=view.id, user=live.user)
    title = plain(str(document["title"]["text"]))
    return (
        f'<dialog open class="modal"><form method="post" action="/submit">{hidden}<h2>{title}</h2>{body}'
        f'<p class="actions"><button class="button primary">{submit}</button></p></form>'
        f'<form method="post" action="/close">{hidden}<button class="button">Cancel</button></form></dialog>'
    )


def _input(block: Mapping[str, Any], view: View) -> str:
    name, element = html.escape(str(block["block_id"])), block["element"]
    value = html.escape(view.values.get(block["block_id"], str(element.get("initial_date", ""))))
    error = view.errors.get(block["block_id"])
    told = f'<em class="error">{html.escape(error)}</em>' if error else ""
    if element["type"] == "datepicker":
        drawn = f'<input type="date" name="{name}" value="{value}">'
    elif element.get("multiline"):
        drawn = f'<textarea name="{name}" rows="3">{value}</textarea>'
    else:
        drawn = f'<input type="text" name="{name}" value="{value}">'
    optional = " <small>(optional)</small>" if block.get("optional") else ""
    return f"<label>{plain(str(block['label']['text']))}{optional}{drawn}{told}</label>"


def _hidden(**values: str) -> str:
    return "".join(f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in values.items())
