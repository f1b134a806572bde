"""What people are told of a report in Slack: the verdict, four numbers, what goes next, and where to read the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Any, Final

from ecr_governor.core.messages.buttons import of_report
from ecr_governor.core.messages.text import TEXT_LIMIT, code, cut, moment, plain
from ecr_governor.core.policy.notifications import Buttons
from ecr_governor.core.report.model import Report, Step
from ecr_governor.core.report.words import day, dollars, repositories

LATEST: Final = "reports/latest.html"
"""Where the latest report is, in the bucket."""
HEADER_LIMIT: Final = 150
SECTION_LIMIT: Final = 3000
COMMENT_LIMIT: Final = 4000
LINK_LIMIT: Final = 2500
"""Characters of a link that a section has room for; a longer one is left out."""
SHOWN: Final = 5
NAMED: Final = 4


class Kind(StrEnum):
    """Which report it is."""

    WEEKLY = "weekly"
    DAILY = "daily"

    @property
    def ahead(self) -> timedelta:
        """How far ahead its message tells of steps."""
        return timedelta(days=30) if self is Kind.WEEKLY else timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a report is: its `s3://` address, and a link that lasts for `hours` at most, or none."""

    address: str
    link: str = ""
    hours: int = 0


def name_of(report: Report, kind: Kind) -> str:
    """Name the file of a report's page."""
    return f"ecr-governor-{kind.value}-{report.made_at.astimezone(UTC):%Y-%m-%d}.html"


def title_of(report: Report, kind: Kind) -> str:
    """Give the title of a report's page."""
    return f"{kind.value.capitalize()} report, {day(report.made_at)}"


def comment(report: Report, kind: Kind, kept: Kept) -> str:
    """Tell of a report in the text that comes with its file, of which Slack lets one have neither blocks nor a fallback."""
    headline, _, rest = report.verdict.partition(": ")
    numbers = "\n".join(f"*{label}* {value}" for label, value in _numbers(report))
    parts = [
        f":bar_chart: *{kind.value.capitalize()} report: {plain(headline)}*",
        plain(f"{rest[:1].upper()}{rest[1:]}", COMMENT_LIMIT // 4),
        numbers,
        f"Later, where the file is gone: {_command(kept)}\n{_context(report)}",
    ]
    room = COMMENT_LIMIT - sum(len(part) + 2 for part in parts)
    # A line is shown whole or not at all: half of a code span would take in what follows.
    lines = _next(report, kind).split("\n")
    while lines and sum(len(line) + 1 for line in lines) > room:
        lines.pop()
    parts.insert(3, "\n".join(lines) if len(lines) > 1 else "")
    return "\n\n".join(part for part in parts if part)


def worth_telling(report: Report, kind: Kind) -> bool:
    """Whether people should hear of it: every week of the whole, on a day only if something changed or goes soon."""
    news = report.opened or report.resolved or not report.method.complete or report.method.policy_problem
    return kind is Kind.WEEKLY or bool(news or _soon(report, kind))


def message(report: Report, kind: Kind, kept: Kept, buttons: Buttons | None = None, refused: str = "") -> dict[str, Any]:
    """Tell of a report. Foreign text is text: it never mentions anybody and never becomes a link.

    With `buttons` a button asks for a link, where one in the message would have ended long before anybody reads it. `refused` is why
    Slack did not take the page as a file, where it should have.
    """
    button = of_report(buttons)
    headline, _, rest = report.verdict.partition(": ")
    title = f":bar_chart: {kind.value.capitalize()} report: {headline}"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title[:HEADER_LIMIT], "emoji": True}},
        *_section(plain(f"{rest[:1].upper()}{rest[1:]}")),
        {"type": "section", "fields": [_text(f"*{label}*\n{value}") for label, value in _numbers(report)]},
        *_section(_next(report, kind)),
        *_section(f"Read it by the button, or: {_command(kept)}" if button else _where(kept)),
        *button,
        *_section(f":warning: The page is not attached: {plain(refused, 300)}" if refused else ""),
        {"type": "context", "elements": [_text(_context(report))]},
    ]
    return {"text": plain(f"{kind.value.capitalize()} report. {report.verdict}"), "blocks": blocks}


def _numbers(report: Report) -> Sequence[tuple[str, str]]:
    saved = f"{dollars(report.saving.least_usd, report.saving.most_usd)} a month"
    return (
        ("Repositories", f"{report.total:,}"),
        ("Violating", f"{report.violating:,} ({report.opened:,} opened, {report.resolved:,} resolved)"),
        ("Unused", f"{report.unused:,}, {saved} could be saved" if report.unused else "none"),
        ("Next steps", f"{len(report.steps):,} within {report.horizon_days} days"),
    )


def _soon(report: Report, kind: Kind) -> Sequence[Step]:
    return [step for step in report.steps if step.at <= report.made_at + kind.ahead]


def _next(report: Report, kind: Kind) -> str:
    lines = [f":no_entry: nothing goes forward: {plain(why, 400)}" for why in report.method.withheld[:SHOWN]]
    days = [(date, list(some)) for date, some in groupby(_soon(report, kind), key=lambda step: day(step.at))]
    for date, some in days[:SHOWN]:
        named = ", ".join(f"{code(step.repository)} {step.to.value}" for step in some[:NAMED])
        more = f" and {len(some) - NAMED:,} more" if len(some) > NAMED else ""
        lines.append(f":hourglass_flowing_sand: not before {date}: {named}{more}")
    if len(days) > SHOWN:
        lines.append(f"…and {len(days) - SHOWN:,} more days")
    said = [f"*The next {kind.ahead.days} days*", *lines] if lines else []
    unowned = next((each for each in report.owners if each.owner is None), None)
    if unowned and kind is Kind.WEEKLY:
        said.append(f":bust_in_silhouette: Without a known owner: {unowned.repositories:,} of {repositories(report.total)}")
    return "\n".join(said)


def opened(kept: Kept, made_at: datetime, repository: str) -> dict[str, Any]:
    """Answer somebody who opens the latest report, at a repository unless that is ""."""
    what = f"The latest report, of {moment(made_at)}{f', at {code(repository)}' if repository else ''}"
    about = replace(kept, link=f"{kept.link}#repository={repository}") if kept.link and repository else kept
    if link := _link(about, "Open it"):
        how = (
            f"{what}: {link}. The link ends after {kept.hours} h, or before that with the function's credentials; then press again. "
            "Whoever has it reads the whole report: pass it on to nobody who may not."
        )
    else:
        how = f"{what}. Read it: {_command(kept)}"
    return {"text": f"The latest report, of {made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC", "blocks": _section(how)}


def not_opened(why: str) -> dict[str, Any]:
    """Answer somebody who gets no report, and say why."""
    words = f"There is no report to open: {plain(why)}"
    return {"text": cut(words, TEXT_LIMIT), "blocks": _section(f":no_entry_sign: {words}")}


def _where(kept: Kept) -> str:
    link = _link(kept, "Read the report")
    if not link:
        return f"Read it: {_command(kept)}"
    return f"{link}. The link ends after {kept.hours} h, or before that with the function's credentials; then: {_command(kept)}"


def _link(kept: Kept, words: str) -> str:
    """A link with words on it; "" where there is none, or none that a section has room for."""
    if not kept.link or len(kept.link) > LINK_LIMIT:
        return ""
    link = kept.link.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")
    return f"<{link}|{words}>"


def _command(kept: Kept) -> str:
    return f"`aws s3 cp {kept.address} .`"


def _context(report: Report) -> str:
    return (
        f"account {plain(report.account)} · {plain(report.region)} · policy {plain(report.policy_hash)} · seen {day(report.method.seen_at)}"
    )


def _section(text: str) -> list[dict[str, Any]]:
    return [{"type": "section", "text": _text(text)}] if text else []


def _text(text: str) -> Mapping[str, Any]:
    return {"type": "mrkdwn", "verbatim": True, "text": text if len(text) <= SECTION_LIMIT else text[: SECTION_LIMIT - 1] + "…"}
