"""The workspace as one self-contained HTML page: own styles, light and dark, nothing loaded from anywhere."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from local.slack import forms
from local.slack.mrkdwn import plain, to_html

if TYPE_CHECKING:
    from local.slack.forms import Live

STYLES = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
AVATAR = (
    '<svg class="avatar" viewBox="0 0 36 36" aria-hidden="true"><defs><linearGradient id="sea" x1="0" y1="0" x2="1" y2="1">'
    '<stop offset="0" stop-color="#2b6cb0"/><stop offset="1" stop-color="#163a63"/></linearGradient></defs>'
    '<rect width="36" height="36" rx="8" fill="url(#sea)"/>'
    '<g fill="#fff"><rect x="8" y="19" width="6" height="5" rx="1"/><rect x="15" y="19" width="6" height="5" rx="1" opacity=".85"/>'
    '<rect x="22" y="19" width="6" height="5" rx="1" opacity=".7"/><rect x="11.5" y="13" width="6" height="5" rx="1" opacity=".85"/>'
    '<rect x="18.5" y="13" width="6" height="5" rx="1" opacity=".7"/></g>'
    '<path d="M6 26c2.4 2.6 5 2.6 7.5 1 2.600-1.600 5.500-1.600 8.500 0 3 1.600 5.500 1.500 8-1" fill="none" stroke="#8fc7ff" '
    'stroke-width="1.8" stroke-linecap="round"/><path d="M18 6.500l1.300 2.700 2.900.4-2.100 2 .5 2.900-2.600-1.400-2.600 1.400.5-2.900-2.100-2 2.900-.4z" '
    'fill="#ffd166"/></svg>'
)

Message = Mapping[str, Any]
ChannelRow = tuple[str, str, str]
"""Id, name and topic of a channel."""


def render(
    messages: Sequence[Message],
    *,
    channels: Sequence[ChannelRow],
    app_name: str,
    workspace: str = "Embedded",
    live: Live | None = None,
    again: bool = False,
    whispers: Sequence[Message] = (),
) -> str:
    """The whole page: every channel, one of them in view. Where it is `live` buttons can be pressed; `again`: it shows itself anew soon.

    `whispers` are what only who looks at it sees.
    """
    counts = {channel: sum(message["channel"] == channel and not message["deleted"] for message in messages) for channel, _, _ in channels}
    links = "".join(
        f'<a href="#{html.escape(channel)}"><span class="hash">#</span>{html.escape(name)}<span class="unread">{counts[channel] or ""}</span></a>'
        for channel, name, _ in channels
    )
    rooms = "".join(
        _channel(
            row,
            [message for message in messages if message["channel"] == row[0]],
            app_name,
            live,
            [message for message in whispers if message["channel"] == row[0]],
        )
        for row in channels
    )
    persons = forms.people(live) if live else ""
    form = forms.form(live.view, live, _block) if live and live.view else ""
    anew = f'<meta http-equiv="refresh" content="2;url=/?as={html.escape(live.user)}">' if live and again and not form else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"{anew}"
        f"<title>#{html.escape(channels[0][1])}</title><style>{STYLES}</style></head><body>"
        f'<nav aria-label="Channels"><p class="workspace">{html.escape(workspace)}</p>{links}{persons}</nav><div class="rooms">{rooms}</div>{form}</body></html>'
    )


def _channel(row: ChannelRow, messages: Sequence[Message], app_name: str, live: Live | None, whispers: Sequence[Message]) -> str:
    channel, name, topic = row
    shown = [message for message in messages if message["thread_ts"] is None]
    days = "".join(
        _day(day, list(group), messages, app_name, live) for day, group in groupby(shown, key=lambda message: str(message["time"])[:10])
    )
    body = days or '<p class="empty">Nothing was posted to this channel yet.</p>'
    body += "".join(f'<div class="whisper"><p>Only visible to you</p>{_message(message, app_name, (), live)}</div>' for message in whispers)
    there = sum(not message["deleted"] for message in shown)
    count = f"{there} message{'' if there == 1 else 's'}"
    return (
        f'<section class="room" id="{html.escape(channel)}"><header class="bar"><h1><span class="hash">#</span>{html.escape(name)}</h1>'
        f'<p class="topic">{html.escape(topic)}</p><p class="count">{count}</p></header><main>{body}</main></section>'
    )


def _day(day: str, messages: Sequence[Message], everything: Sequence[Message], app_name: str, live: Live | None) -> str:
    date = datetime.fromisoformat(day)
    parts = [f'<section class="day"><h2><span>{date:%A, %-d %B %Y}</span></h2>']
    previous = ""
    for message in messages:
        author = str(message["payload"].get("username") or app_name)
        minute = str(message["time"])[:16]
        replies = [each for each in everything if each["thread_ts"] == message["ts"]]
        parts.append(_message(message, author, replies, live, follows=f"{author} {minute}" == previous))
        previous = "" if replies else f"{author} {minute}"
    return "".join([*parts, "</section>"])


def _message(message: Message, author: str, replies: Sequence[Message], live: Live | None, *, follows: bool = False) -> str:
    time = str(message["time"])
    clock = f'<time datetime="{html.escape(time)}">{html.escape(time[11:16])}</time>'
    content = '<p class="gone">This message was deleted.</p>' if message["deleted"] else _content(message, live)
    thread = _thread(replies, author, live) if replies else ""
    if follows:
        return f'<article class="message follows"><div class="gutter">{clock}</div><div class="content">{content}{thread}</div></article>'
    head = f'<div class="head"><span class="author">{plain(author)}</span><span class="badge">APP</span>{clock}</div>'
    return f'<article class="message"><div class="gutter">{AVATAR}</div><div class="content">{head}{content}{thread}</div></article>'


def _content(message: Message, live: Live | None) -> str:
    payload = message["payload"]
    blocks = payload.get("blocks")

    def draw(block: Mapping[str, Any]) -> str:
        return forms.actions(block, message, live, _element) if live and block.get("type") == "actions" else _block(block)

    body = "".join(draw(block) for block in blocks) if blocks else f'<div class="text">{to_html(str(payload.get("text", "")))}</div>'
    body += "".join(_attachment(attachment) for attachment in payload.get("attachments") or [])
    body += "".join(_file(file, live) for file in payload.get("files") or [])
    if message["edited"]:
        when = html.escape(str(message["edited"]).replace("T", " ")[:16])
        body += f'<p class="edited" title="{when} UTC">(edited)</p>'
    return body


def _thread(replies: Sequence[Message], app_name: str, live: Live | None) -> str:
    count = f"{len(replies)} {'reply' if len(replies) == 1 else 'replies'}"
    last = str(replies[-1]["time"])
    date = datetime.fromisoformat(last)
    inner = "".join(_message(reply, str(reply["payload"].get("username") or app_name), (), live) for reply in replies)
    summary = f'<summary>{AVATAR}<span class="replies">{count}</span><span class="last">Last reply {date:%-d %b %Y, %H:%M}</span></summary>'
    return f'<details class="thread" open>{summary}{inner}</details>'


def _file(file: Mapping[str, Any], live: Live | None) -> str:
    """A file that can be downloaded, where somebody serves it."""
    title, size = plain(str(file["title"])), f"{int(file['size']):,} bytes"
    shown = f'<span class="title">{title}</span><span class="size">{plain(str(file["name"]))} · {size}</span>'
    if live is None:
        return f'<div class="file">{shown}</div>'
    return f'<a class="file" href="/files/{html.escape(str(file["id"]))}/{quote(str(file["name"]))}" download>{shown}</a>'


def _attachment(attachment: Mapping[str, Any]) -> str:
    color = str(attachment.get("color", ""))
    style = f' style="border-color:{html.escape(color)}"' if color.startswith("#") and color[1:].isalnum() else ""
    inner = (
        "".join(_block(block) for block in attachment.get("blocks") or [])
        or f'<div class="text">{to_html(str(attachment.get("text", "")))}</div>'
    )
    return f'<div class="attachment"{style}>{inner}</div>'


def _text(value: Mapping[str, Any]) -> str:
    text = str(value.get("text", ""))
    return to_html(text) if value.get("type") == "mrkdwn" else plain(text).replace("\n", "<br>")


def _block(block: Mapping[str, Any]) -> str:
    draw = BLOCKS.get(str(block.get("type")))
    return draw(block) if draw else ""


def _section(block: Mapping[str, Any]) -> str:
    text = f'<div class="text">{_text(block["text"])}</div>' if block.get("text") else ""
    fields = "".join(f'<div class="field">{_text(field)}</div>' for field in block.get("fields") or [])
    fields = f'<div class="fields">{fields}</div>' if fields else ""
    accessory = f'<div class="accessory">{_element(block["accessory"])}</div>' if block.get("accessory") else ""
    return f'<div class="section"><div class="body">{text}{fields}</div>{accessory}</div>'


def _context(block: Mapping[str, Any]) -> str:
    return '<div class="context">' + "".join(f"<span>{_text(element)}</span>" for element in block.get("elements", [])) + "</div>"


def _actions(block: Mapping[str, Any]) -> str:
    return '<div class="actions">' + "".join(_element(element) for element in block.get("elements", [])) + "</div>"


def _element(element: Mapping[str, Any]) -> str:
    if element.get("type") == "overflow":
        return '<span class="button" role="img" aria-label="More actions">⋯</span>'
    if element.get("type") == "image":
        return f'<span class="image">{html.escape(str(element.get("alt_text", "")))}</span>'
    style = str(element.get("style") or "")
    kind = f" {style}" if style in {"primary", "danger"} else ""
    label = plain(str((element.get("text") or {}).get("text", "")))
    url = str(element.get("url") or "")
    if url.startswith(("https://", "http://")):
        return f'<a class="button{kind}" href="{html.escape(url, quote=True)}" rel="noreferrer noopener">{label}</a>'
    return f'<span class="button{kind}">{label}</span>'


BLOCKS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "header": lambda block: f"<h3>{_text(block['text'])}</h3>",
    "section": _section,
    "context": _context,
    "divider": lambda _: "<hr>",
    "actions": _actions,
    "markdown": lambda block: f'<div class="text">{to_html(str(block["text"]))}</div>',
    "image": lambda block: f'<div class="image">{html.escape(str(block.get("alt_text", "")))}</div>',
}
