"""A report as one HTML page that asks nobody for anything: it opens from a disk, from a mail, from a bucket.

All of it is in the page as text, so that it reads without JavaScript too; the script only filters, sorts and finds.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from ecr_governor.core.foreign_text import visible
from ecr_governor.core.report import words
from ecr_governor.core.report.build import worst
from ecr_governor.core.report.model import Point, Report, ReportedRepository
from ecr_governor.core.retirement.state import Stage
from ecr_governor.rendering.report.days import by_day, when

LARGEST: Final = 5_000_000
"""Bytes of a page at most: a browser takes more, a mail does not."""
RESERVED: Final = 700_000
"""Of these for all but the repositories."""
BRIEF: Final = 450
"""Bytes of a row without details, roughly."""
OWNERS: Final = 250
NAMESPACES: Final = 12
GROUPS: Final = 60
NAMED: Final = 12
NOW: Final = 4
"""Owners, namespaces, days, names and rules that are listed; how many more there are is said."""
WIDTH: Final = 240
HEIGHT: Final = 56
EARLY: Final = 'document.documentElement.className="js"'
"""Keeps a browser from laying out thousands of rows of which the script will show the first."""
WEIGHTS: Final = {"contrary": "against", "doubt": "in doubt", "wait": "not yet", "for": "holds"}


def page(report: Report) -> bytes:
    """Give the page. What is gravest comes first; what the size leaves no room for is counted and said.

    It is ASCII: wherever it is kept, printed or mailed, no encoding makes anything else of it, and the hashes of its policy hold.
    """
    rows, brief = _rows(report.repositories)
    style, script = text_of("page.css"), text_of("page.js")
    groups = list(by_day(report.steps))
    headline, _, rest = report.verdict.partition(": ")
    whole = (
        templates()
        .get_template("page.html")
        .render(
            report=report,
            headline=headline,
            rest=rest[:1].upper() + rest[1:],
            style=Markup(style),  # noqa: S704 - ours
            script=Markup(script),  # noqa: S704 - ours
            early=Markup(EARLY),  # noqa: S704 - ours
            policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(EARLY)}' '{_hash(script)}'; base-uri 'none'; form-action 'none'",
            rows=Markup("").join(Markup(text) for text in rows),  # noqa: S704 - escaped by its template
            shown=len(rows),
            brief=brief,
            going=len(report.steps),
            groups=groups[:GROUPS],
            more_groups=len(groups) - GROUPS,
            owners=report.owners[:OWNERS],
            namespaces=report.namespaces[:NAMESPACES],
            most=max((rule.open for rule in report.rules), default=0),
            most_below=max((each.violating for each in report.namespaces), default=0),
            lines=list(_lines(report.trend)),
            limits={"owners": OWNERS, "namespaces": NAMESPACES, "named": NAMED, "now": NOW},
        )
    )
    return _ascii(f"{whole}\n")


def _rows(repositories: Sequence[ReportedRepository]) -> tuple[list[str], int]:
    """Give a row for each repository as far as there is room, and how many had to do without details.

    Details are given as long as that leaves the others a row each.
    """
    template = templates().get_template("row.html")
    room, rows, brief = LARGEST - RESERVED, list[str](), 0
    for place, repository in enumerate(repositories):
        left = len(repositories) - place - 1
        text = template.render(one=repository, worst=worst(repository), brief=False)
        if len(_ascii(text)) > room - left * BRIEF:
            text = template.render(one=repository, worst=worst(repository), brief=True)
            brief += _has_details(repository)
        room -= len(_ascii(text))
        if room < 0:
            return rows, brief - _has_details(repository)
        rows.append(text)
    return rows, brief


def _has_details(repository: ReportedRepository) -> bool:
    return bool(repository.findings or repository.undetermined or repository.retirement)


@dataclass(frozen=True, slots=True)
class Line:
    """One figure over the past sweeps, as points of a picture that is `WIDTH` wide and `HEIGHT` high."""

    title: str
    first: str
    last: str
    area: str
    points: str
    spoken: str


def _lines(trend: Sequence[Point]) -> Iterator[Line]:
    if len(trend) < 2:  # noqa: PLR2004 - a line has two ends
        return
    begun = trend[0].at
    span = (trend[-1].at - begun).total_seconds() or 1.0
    for title, values, said in (
        ("Violating", [point.violating for point in trend], "{:,}".format),
        ("Unused", [point.unused for point in trend], "{:,}".format),
        ("Repositories", [point.repositories for point in trend], "{:,}".format),
        ("Size", [point.size_bytes for point in trend], words.size),
    ):
        top = max(values) or 1
        places = [
            f"{(point.at - begun).total_seconds() / span * WIDTH:.1f},{HEIGHT - value / top * (HEIGHT - 4):.1f}"
            for point, value in zip(trend, values, strict=True)
        ]
        first, last = said(values[0]), said(values[-1])
        spoken = f"{title}: {first} on {words.day(begun)}, {last} on {words.day(trend[-1].at)}, at most {said(top if max(values) else 0)}"
        yield Line(title, first, last, f"0,{HEIGHT} {' '.join(places)} {WIDTH},{HEIGHT}", " ".join(places), spoken)


@cache
def templates() -> Environment:
    """The templates that pages are made of, and what they can say."""
    # Whatever is put into the page is foreign until proven otherwise: what cannot be seen goes out, the rest is escaped.
    made = Environment(
        autoescape=True,
        finalize=_visible,
        loader=FunctionLoader(text_of),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    made.filters |= {
        "day": words.day,
        "when": when,
        "size": words.size,
        "dollars": words.dollars,
        "count": "{:,}".format,
        "repositories": words.repositories,
        "plural": words.plural,
        "anchor": _anchor,
        "flags": _flags,
        "has_details": _has_details,
        "long_day": _long_day,
        "share": _share,
        "facts": _facts,
        "worst": worst,
    }
    made.globals |= {"WEIGHTS": WEIGHTS, "OBSERVED": Stage.OBSERVED, "WIDTH": WIDTH, "HEIGHT": HEIGHT}
    return made


def _visible(value: Any) -> Any:
    return visible(value) if type(value) is str else value


def _anchor(name: str) -> str:
    """Where a repository is in the page; a browser finds the element by this, percent signs and all."""
    return f"#repository={quote(visible(name))}"


def _flags(repository: ReportedRepository) -> str:
    """What the script filters by, a letter each."""
    severities = {finding.severity.value for finding in repository.open_findings}
    flags = {
        "v": bool(repository.open_findings),
        "c": "critical" in severities,
        "h": "high" in severities,
        "m": "medium" in severities,
        "l": "low" in severities,
        "u": repository.unused is True,
        "r": repository.retirement is not None and (repository.retirement.stage is not Stage.OBSERVED or bool(repository.retirement.next)),
        "n": repository.owner is None,
        "d": bool(repository.undetermined),
        "x": any(finding.state == "exempt" for finding in repository.findings),
    }
    return "".join(flag for flag, holds in flags.items() if holds)


def _facts(repository: ReportedRepository) -> list[tuple[str, str]]:
    """What is known of a repository's beginnings."""
    known = [("Origin", f"{repository.origin.replace('_', ' ')} ({repository.origin_confidence})")]
    if repository.creator:
        known.append(("Created by", repository.creator))
    if repository.pusher:
        known.append(("First push seen", repository.pusher))
    if repository.created_at:
        known.append(("Created", words.day(repository.created_at)))
    return known


def _long_day(at: date) -> str:
    """Give a day in words."""
    day = at.astimezone(UTC) if isinstance(at, datetime) else at
    return f"{day.day} {day:%b %Y}"


def _share(count: int, most: int) -> str:
    """The length of a bar of a hundred."""
    return f"{100 * count / most:.1f}" if most else "0"


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "xmlcharrefreplace")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def text_of(name: str) -> str:
    """Give a file of this folder."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
