"""Slack's text format as HTML. Everything is escaped; only http, https and mailto links become links."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime

EMOJI = {
    "white_check_mark": "✅",
    "heavy_check_mark": "✔️",
    "warning": "⚠️",
    "rotating_light": "🚨",
    "no_entry": "⛔",
    "no_entry_sign": "🚫",
    "x": "❌",
    "bulb": "💡",
    "information_source": "\u2139\ufe0f",
    "eyes": "👀",
    "mag": "🔍",
    "package": "📦",
    "wastebasket": "🗑️",
    "hourglass": "⌛",
    "hourglass_flowing_sand": "⏳",
    "alarm_clock": "⏰",
    "calendar": "📅",
    "bell": "🔔",
    "no_bell": "🔕",
    "lock": "🔒",
    "unlock": "🔓",
    "key": "🔑",
    "shield": "🛡️",
    "label": "🏷️",
    "wrench": "🔧",
    "hammer_and_wrench": "🛠️",
    "broom": "🧹",
    "recycle": "♻️",
    "rocket": "🚀",
    "tada": "🎉",
    "fire": "🔥",
    "zzz": "💤",
    "question": "❓",
    "exclamation": "❗",
    "construction": "🚧",
    "octagonal_sign": "🛑",
    "red_circle": "🔴",
    "large_orange_circle": "🟠",
    "large_yellow_circle": "🟡",
    "large_green_circle": "🟢",
    "large_blue_circle": "🔵",
    "white_circle": "⚪",
    "arrow_right": "➡️",
    "arrow_up": "⬆️",
    "arrow_down": "⬇️",
    "leftwards_arrow_with_hook": "↩️",
    "bar_chart": "📊",
    "chart_with_downwards_trend": "📉",
    "chart_with_upwards_trend": "📈",
    "clipboard": "📋",
    "memo": "📝",
    "pushpin": "📌",
    "link": "🔗",
    "file_cabinet": "🗄️",
    "robot_face": "🤖",
    "wave": "👋",
    "+1": "👍",
    "thumbsup": "👍",
    "heavy_minus_sign": "\u2796",
    "headstone": "🪦",
    "snowflake": "❄️",
    "crown": "👑",
    "bust_in_silhouette": "👤",
    "busts_in_silhouette": "👥",
    "money_with_wings": "💸",
    "stopwatch": "⏱️",
    "double_vertical_bar": "⏸️",
    "arrow_forward": "▶️",
    "sparkles": "✨",
    "ghost": "👻",
    "whale": "🐳",
    "new": "🆕",
}

ATOM = re.compile(r"```(?P<block>.+?)```|`(?P<code>[^`\n]+)`|<(?P<ref>[^<>\n]+)>", re.DOTALL)
STYLES = (
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"), "strong"),
    (re.compile(r"(?<![\w_])_(?=\S)([^_\n]+?)(?<=\S)_(?![\w_])"), "em"),
    (re.compile(r"(?<![\w~])~(?=\S)([^~\n]+?)(?<=\S)~(?![\w~])"), "del"),
)
SHORTCODE = re.compile(r":([a-z0-9_+\-]+):")
SAFE_LINK = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
HELD = "\ue000{}\ue001"
"""Stands for a finished piece of HTML (private-use characters) while the text around it is styled."""


def plain(text: str) -> str:
    """A plain_text object: emoji only."""
    return emoji(html.escape(text, quote=True))


def emoji(escaped: str) -> str:
    """Shortcodes as characters; unknown ones stay as they are."""
    return SHORTCODE.sub(lambda hit: EMOJI.get(hit[1], hit[0]), escaped)


def to_html(text: str) -> str:
    """A mrkdwn object."""
    held: list[str] = []

    def hold(piece: str) -> str:
        held.append(piece)
        return HELD.format(len(held) - 1)

    def atom(hit: re.Match[str]) -> str:
        if hit["block"] is not None:
            return hold(f"<pre>{_escape(hit['block'].strip(chr(10)))}</pre>")
        if hit["code"] is not None:
            return hold(f"<code>{_escape(hit['code'])}</code>")
        return hold(_reference(hit["ref"]))

    body = emoji(_escape(ATOM.sub(atom, text.replace("\ue000", "").replace("\ue001", ""))))
    for pattern, tag in STYLES:
        body = pattern.sub(rf"<{tag}>\1</{tag}>", body)
    lines = [f"<blockquote>{line[4:].lstrip()}</blockquote>" if line.startswith("&gt;") else line for line in body.split("\n")]
    body = "<br>".join(lines).replace("</blockquote><br>", "</blockquote>").replace("<br><blockquote>", "<blockquote>")
    return re.sub("\ue000(\\d+)\ue001", lambda hit: held[int(hit[1])], body)


def _escape(text: str) -> str:
    for entity, char in ENTITIES:
        text = text.replace(entity, char)
    return html.escape(text, quote=True)


def _reference(reference: str) -> str:
    target, _, label = reference.partition("|")
    if target.startswith("!date^"):
        return _date(target, label)
    if target.startswith(("@", "#")):
        return f'<span class="mention">{target[0]}{_escape(label or target[1:])}</span>'
    if target.startswith("!"):
        return f'<span class="mention">@{_escape(label.lstrip("@") or target[1:])}</span>'
    if SAFE_LINK.match(target):
        shown = label or target.removeprefix("mailto:")
        return f'<a href="{_escape(target)}" rel="noreferrer noopener">{emoji(_escape(shown))}</a>'
    return _escape(f"<{reference}>")


def _date(target: str, fallback: str) -> str:
    _, seconds, template, *_ = [*target.split("^"), "", ""]
    try:
        moment = datetime.fromtimestamp(int(seconds), UTC)
    except ValueError:
        return _escape(fallback)
    text = template
    for token, shown in (
        ("{date_num}", f"{moment:%Y-%m-%d}"),
        ("{date_long_pretty}", f"{moment:%A, %-d %B %Y}"),
        ("{date_short_pretty}", f"{moment:%-d %b %Y}"),
        ("{date_pretty}", f"{moment:%-d %B %Y}"),
        ("{date_long}", f"{moment:%A, %-d %B %Y}"),
        ("{date_short}", f"{moment:%-d %b %Y}"),
        ("{date}", f"{moment:%-d %B %Y}"),
        ("{time_secs}", f"{moment:%H:%M:%S}"),
        ("{time}", f"{moment:%H:%M}"),
    ):
        text = text.replace(token, shown)
    return f'<time title="{moment:%Y-%m-%d %H:%M} UTC">{_escape(text)}</time>'
