"""Text and blocks that Slack shows as they are meant. Foreign text is text: it never mentions anybody and never becomes a link."""

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from ecr_governor.core.announcement import ORDER
from ecr_governor.core.finding import Finding
from ecr_governor.core.rules import RULES
from ecr_governor.core.severity import Severity

HEADER_LIMIT = 150
SECTION_LIMIT = 3000
FIELD_LIMIT = 2000
TEXT_LIMIT = 4000
LISTED = 6
NAME_IN_HEADER = 90

ESCAPES = ("&amp;", "&lt;", "&gt;")
CONTROLS = ("<@", "<!")
"""How a mention or a time begins. It ends with `>`."""

LOOK_ALIKES = {"*": "\u2217", "_": "\u02cd", "~": "\u223c", "`": "\u02cb"}
"""What Slack formats text by, with letters that look like it."""
_OF_EMOJIS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_+'-")

MARK = {
    Severity.CRITICAL: ":rotating_light: Critical",
    Severity.HIGH: ":red_circle: High",
    Severity.MEDIUM: ":large_orange_circle: Medium",
    Severity.LOW: ":large_blue_circle: Low",
}


def plain(text: str, limit: int = SECTION_LIMIT) -> str:
    """Make foreign text harmless in mrkdwn: control and direction characters out, `& < >` escaped, what would format it made literal.

    Of the result there are `limit` characters at most: Slack counts the escapes.
    """
    return _escaped(_literal(text[: limit + 1]), limit)


def _literal(text: str) -> str:
    """Replace what Slack would format or make an emoji of, for which it knows no escape, by look-alikes; a sign alone stays as it is."""
    shown = list(text)
    colons = [index for index, character in enumerate(text) if character == ":"]
    for index, end in pairwise(colons):
        if _names_an_emoji(text[index + 1 : end]) and _edge(text, index - 1):
            shown[index] = "\uff1a"
    for sign, alike in LOOK_ALIKES.items():
        if sign not in text:
            continue
        at = [index for index, character in enumerate(text) if character == sign]
        opening = [index for index in at if _edge(text, index - 1) and not text[index + 1 : index + 2].isspace()]
        closing = [index for index in at if _edge(text, index + 1) and not text[max(index - 1, 0) : index].isspace()]
        if opening and closing and opening[0] < closing[-1]:
            for index in {*opening, *closing}:
                shown[index] = alike
    return "".join(shown)


def _names_an_emoji(name: str) -> bool:
    """Whether it may be one's name; a number, as in the time of a day or an ARN, is left alone."""
    return name in {"+1", "-1"} or (_OF_EMOJIS.issuperset(name) and any(character.isalpha() for character in name))


def _edge(text: str, index: int) -> bool:
    """Whether there is no letter or digit: within a word nothing is formatted."""
    return not 0 <= index < len(text) or not text[index].isalnum()


def _escaped(text: str, limit: int) -> str:
    visible = "".join(" " if character in "\n\r\t" else character for character in text if character in "\n\r\t" or printable(character))
    # Slack makes links of addresses even where it is told not to: in the text of a notification.
    visible = visible[: limit + 1].replace("://", ":\u2215\u2215")
    return cut(visible.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), limit)


def code(text: str) -> str:
    """Show foreign text as a code span, in which nothing is formatted."""
    return f"`{no_backticks(_escaped(text, 300))}`"


def no_backticks(text: str) -> str:
    """Replace the one character that ends a code span, for which Slack knows no escape, by its look-alike."""
    return text.replace("`", LOOK_ALIKES["`"])


def printable(character: str) -> bool:
    """Whether a character shows, and changes nothing of how others show."""
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def in_header(name: str) -> str:
    """Make a name harmless in a header: it is plain text without mentions or links, but `:name:` would become an emoji."""
    return cut("".join(character for character in name if printable(character)).replace(":", "\uff1a"), NAME_IN_HEADER)


def moment(at: datetime) -> str:
    """Show a time as each reader's own clock has it; where that is not understood, in UTC."""
    utc = at.astimezone(UTC)
    return f"<!date^{int(utc.timestamp())}^{{date_short_pretty}}, {{time}}|{utc:%Y-%m-%d %H:%M} UTC>"


def mention(identity: str) -> str:
    """Mention a user or a user group by the id that the policy file gives; nothing for none."""
    if not identity:
        return ""
    return f"<!subteam^{identity}>" if identity.startswith("S") else f"<@{identity}>"


def cut(text: str, limit: int) -> str:
    """Cut a text to a length; not within `&lt;`, a mention or a time, of which the rest would be shown as it is written."""
    if len(text) <= limit:
        return text
    end = limit - 1
    for begins, close in ((ESCAPES, ";"), (CONTROLS, ">")):
        last = text.rfind(begins[0][0], 0, end)
        if last >= 0 and text.startswith(begins, last) and text.find(close, last, end) < 0:
            end = last
    return text[:end] + "…"


def counted(count: int, noun: str) -> str:
    """Count things: `1 repository`, `1,200 repositories`, `7 days`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") and not noun.endswith("day") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def header(title: str) -> dict[str, Any]:
    """Give a header block."""
    return {"type": "header", "text": {"type": "plain_text", "text": cut(title, HEADER_LIMIT), "emoji": True}}


def section(text: str) -> list[dict[str, Any]]:
    """Give a section, or no block where there is no text."""
    return [{"type": "section", "text": {"type": "mrkdwn", "verbatim": True, "text": cut(text, SECTION_LIMIT)}}] if text else []


def fields(shown: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Give a section of labelled values, at most ten."""
    listed = [{"type": "mrkdwn", "verbatim": True, "text": cut(f"*{label}*\n{value}", FIELD_LIMIT)} for label, value in shown]
    return {"type": "section", "fields": listed[:10]}


def context(*texts: str) -> dict[str, Any]:
    """Give a line of small print."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "verbatim": True, "text": cut(text, SECTION_LIMIT)} for text in texts]}


def where(cause: str, account: str, region: str, policy_hash: str) -> dict[str, Any]:
    """Give the small print of every message: what it rests on."""
    return context(f"{plain(cause, 300)} · account {account} · {region} · policy {plain(policy_hash, 40)}")


def listed(title: str, mark: str, lines: Iterable[str]) -> str:
    """List lines of foreign text under a title, the first of them; "" where there are none."""
    shown = list(lines)
    return first_of(title, mark, shown, len(shown))


def first_of(title: str, mark: str, shown: Sequence[str], count: int) -> str:
    """List the first lines of `count`, of which those that are `shown` are at hand."""
    if not shown:
        return ""
    more = [f"…and {count - LISTED:,} more"] if count > LISTED else []
    return "\n".join([f"*{title}*", *(f"{mark} {plain(line, 400)}" for line in shown[:LISTED]), *more])


def finding_lines(findings: Sequence[Finding]) -> str:
    """Tell what is wrong and how to fix it; "" where nothing is."""
    lines = [
        f"{MARK[finding.severity]} · *{plain(finding.rule, 80)}*\n{plain(finding.reason, 600)}\n_{plain(_fix(finding), 400)}_"
        for finding in findings[:LISTED]
    ]
    if len(findings) > LISTED:
        lines.append(f"…and {len(findings) - LISTED} more")
    return "\n\n".join(lines)


def _fix(finding: Finding) -> str:
    rule = RULES.get(finding.rule)
    return f"How to fix: {rule.fix}" if rule else ""


def worst(findings: Iterable[Finding]) -> dict[str, Severity]:
    """Give the worst severity among each rule's findings: the policy may give a rule another than its own."""
    found: dict[str, Severity] = {}
    for finding in findings:
        found[finding.rule] = min(found.get(finding.rule, finding.severity), finding.severity, key=ORDER.index)
    return found
