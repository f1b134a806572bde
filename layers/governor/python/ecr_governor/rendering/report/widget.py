"""A glance as CloudWatch shows it on a dashboard: HTML for a custom widget, which runs no script and loads nothing.

docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_about.html, …_interactivity.html, …_security.html
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from markupsafe import Markup

from ecr_governor.core.report.asking import Asked, Misasked, Part
from ecr_governor.core.report.build import age
from ecr_governor.core.report.glance import DayCount, Glance, weaknesses
from ecr_governor.core.report.model import ReportedRepository, Step
from ecr_governor.rendering.report.days import VERBS
from ecr_governor.rendering.report.html import templates, text_of

DESCRIPTION: Final = """\
## ECR Governor: what goes next

The verdict of the last sweep, what is marked, quarantined, archived and deleted when, and the repositories that need somebody.

### Widget parameters
Param | Description
---|---
**owner** | Only what this owner has
**unowned** | `true`: only what has no known owner
**namespace** | Only what lies below this prefix
**repository** | Only this repository, with its reasons

### Example parameters
``` yaml
owner: team-payments
```
"""
WIDE: Final = 820
"""Pixels from which on there are two columns."""
HEAD: Final = 260
ROW: Final = 46
"""Pixels that verdict and numbers take, and that a row takes, roughly."""
ROWS: Final = (4, 12)
"""How many rows of a list there are at least and at most."""
NAMED: Final = 3
"""Repositories of a day that are named; how many more there are is said."""
OFFERED: Final = 6
"""Owners and namespaces that one can narrow to by a click."""
WIDTH: Final = 1200
HEIGHT: Final = 600
"""Pixels of a widget of which nobody says how large it is."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a widget is shown in. `endpoint` is the function that answers clicks, `console` where the console is, "" if that is not known.

    `report` is the address of the report's page. Sizes are in pixels.
    """

    endpoint: str
    report: str
    console: str = ""
    dark: bool = False
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def wide(self) -> bool:
        """Whether two lists have room side by side."""
        return self.width >= WIDE

    @property
    def rows(self) -> int:
        """How many rows of each list are shown."""
        room = (self.height - HEAD) // (ROW if self.wide else 2 * ROW)
        return min(max(room, ROWS[0]), ROWS[1])


def glance_as_html(glance: Glance, wanted: Asked, part: Part, frame: Frame, now: datetime) -> str:
    """Show a glance, or the part of it that is asked for. All of it is ASCII."""
    headline, _, rest = part.said.partition(": ")
    old = age(glance.report.method.seen_at, now)
    return _rendered(
        "widget.html",
        frame,
        report=glance.report,
        going=glance.going,
        wanted=wanted,
        part=part,
        in_part=not (glance.whole or wanted.everything),
        headline=headline,
        rest=" ".join(said for said in (rest[:1].upper() + rest[1:], old) if said),
        weak=weaknesses(glance, now),
        days=list(_days(part, frame.rows)),
        page=_page_address(frame, glance.report.region),
    )


def repository_as_html(glance: Glance, repository: ReportedRepository, frame: Frame) -> str:
    """Show one repository with its reasons."""
    report = glance.report
    images = f"/ecr/repositories/private/{quote(report.account)}/{quote(repository.name)}?region={quote(report.region)}"
    return _rendered("repository.html", frame, report=report, one=repository, images=f"{frame.console}{images}" if frame.console else "")


def trouble_as_html(trouble: Misasked, frame: Frame) -> str:
    """Say what is wrong, why, and what to do."""
    return _rendered("trouble.html", frame, trouble=trouble)


def _days(part: Part, most: int) -> Iterator[tuple[DayCount, str, bool, Sequence[Step]]]:
    """Give what goes on each day: how many to which stage, in which words, whether the day is another than before, and some by name."""
    before = None
    for each in part.days[:most]:
        theirs = [step for step in part.steps if step.to is each.to and step.at.astimezone(UTC).date() == each.day]
        yield each, VERBS[each.to], each.day != before, theirs[:NAMED]
        before = each.day


def _rendered(name: str, frame: Frame, **values: Any) -> str:
    style = Markup(text_of("widget.css"))  # noqa: S704 - ours
    text = templates().get_template(name).render(frame=frame, style=style, offered=OFFERED, **values)
    return text.encode("ascii", "xmlcharrefreplace").decode()


def _page_address(frame: Frame, region: str) -> str:
    """Where the console shows the report's page in S3."""
    bucket, _, key = frame.report.removeprefix("s3://").partition("/")
    return f"{frame.console}/s3/object/{quote(bucket)}?region={quote(region)}&prefix={quote(key)}" if frame.console else ""
