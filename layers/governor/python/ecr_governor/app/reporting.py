"""Gather what a report is made of, and on schedule: keep it, and tell people where it is."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from ecr_governor.app.errors import UploadRefused
from ecr_governor.app.ports import Chat, PolicySource
from ecr_governor.app.retirement.runs import PLAN
from ecr_governor.app.sweep.ports import RunStore, SweepBook
from ecr_governor.core import standing as standings
from ecr_governor.core.conversation import Attachment
from ecr_governor.core.policy.notifications import ReportBy, SlackNotifications
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.report import message as messages
from ecr_governor.core.report.build import Sources, report_of, wants_record
from ecr_governor.core.report.glance import Glance, glance_of
from ecr_governor.core.report.message import LATEST, Kept, Kind
from ecr_governor.core.report.model import Report

logger = logging.getLogger(__name__)

SWEEPS: Final = 30
"""How many sweeps the trend goes back."""

GLANCE: Final = "reports/glance"
"""Where the latest report is kept as a dashboard shows it."""
FORMATS: Final = ("html", "json", "csv", "ics")
"""In which a report is kept, each under its own name; the first is the one that people are sent to."""


class Records(Protocol):
    """The ledger, as far as a report asks it."""

    def records(self, names: Sequence[str]) -> Mapping[str, RepositoryRecord]:
        """Read many records as last written. Raises Throttled, Denied."""


class ReportStore(Protocol):
    """Where reports are kept."""

    def put(self, key: str, body: bytes, kind: str) -> str:
        """Keep a file of a media type, over the one that is there; give its address. Raises Throttled, Denied."""

    def link(self, key: str, hours: int) -> str:
        """Give an address by which anybody may read a file for so many hours at most."""

    def made_at(self, key: str) -> datetime | None:
        """When a file was put; None if there is none. Raises Throttled, Denied."""

    def address(self, key: str) -> str:
        """Give a file's address, by which only those may read it who may read the place."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A report in one format: how its file's name ends, its media type, and itself."""

    suffix: str
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Services:
    """What it takes to report on schedule. `printed` writes a report in a format, `as_data` a glance; without `chat` nobody is told."""

    book: SweepBook
    runs: RunStore
    ledger: Records
    store: ReportStore
    policies: PolicySource
    printed: Callable[[Report, str], Printed]
    as_data: Callable[[Glance], Mapping[str, Any]]
    chat: Chat | None
    link_hours: int


def report_on_schedule(kind: Kind, services: Services, now: datetime) -> dict[str, Any]:
    """Make the report, keep it under its day and as the latest, and tell people once. Raises Throttled, Denied, Undeliverable.

    It may be repeated without harm: files are written anew, and what was told that day is not told again.
    """
    report = make_report(services.book, services.runs, services.ledger, now)
    if report is None:
        return {"reported": False, "why": "no sweep has ended yet"}
    place = f"reports/{now.astimezone(UTC):%Y-%m-%d}/{kind.value}"
    addresses = [_keep(report, output, place, services) for output in FORMATS]
    page = services.printed(report, FORMATS[0])
    latest = _keep_latest(report, page, services)
    told = _tell(_Made(report, kind, place, page, latest), services, now)
    return {"reported": True, "files": [*addresses, latest], "told": told, "needing": report.needing}


def report_after_sweep(services: Services, now: datetime) -> dict[str, Any]:
    """Make the report and keep it as the latest, for people and for the dashboard; nobody is told. Raises Throttled, Denied."""
    report = make_report(services.book, services.runs, services.ledger, now)
    if report is None:
        return {"reported": False, "why": "no sweep has ended yet"}
    latest = _keep_latest(report, services.printed(report, FORMATS[0]), services)
    return {"reported": True, "files": [latest], "needing": report.needing}


def _keep_latest(report: Report, page: Printed, services: Services) -> str:
    services.runs.put_document(GLANCE, services.as_data(glance_of(report)))
    return services.store.put(LATEST, page.body, page.kind)


@dataclass(frozen=True, slots=True)
class _Made:
    """A report that is kept at a `place`, its page, and the address at which the latest one is."""

    report: Report
    kind: Kind
    place: str
    page: Printed
    latest: str


def _keep(report: Report, output: str, place: str, services: Services) -> str:
    printed = services.printed(report, output)
    return services.store.put(f"{place}.{printed.suffix}", printed.body, printed.kind)


def _tell(made: _Made, services: Services, now: datetime) -> bool:
    if services.chat is None or not messages.worth_telling(made.report, made.kind):
        return False
    slack = services.policies.current(now).policy.notifications.slack
    if not slack.enabled or services.runs.document(f"{made.place}-told"):
        return False
    _post(made, slack, services, services.chat)
    services.runs.put_document(f"{made.place}-told", {"at": now.isoformat()})
    return True


def _post(made: _Made, slack: SlackNotifications, services: Services, chat: Chat) -> None:
    """Tell of a report by one post: with the page as a file, if that is wanted and Slack takes it, otherwise with a way to it."""
    report, kind, hours, refused = made.report, made.kind, services.link_hours, ""
    link = services.store.link(f"{made.place}.{made.page.suffix}", hours) if hours else ""
    kept = Kept(made.latest, link, hours)
    if slack.report is ReportBy.UPLOAD and chat.editable():
        file = Attachment(messages.name_of(report, kind), messages.title_of(report, kind), made.page.body)
        try:
            chat.attach(file, messages.comment(report, kind, kept), slack.channel or "")
        except UploadRefused as why:
            # Nothing of it is to be seen in Slack: a file is shown by the last of three calls.
            logger.warning("the report is not attached", extra={"why": str(why)})
            refused = str(why)
        else:
            return
    buttons = slack.buttons if chat.pressable() else None
    chat.post(messages.message(report, kind, kept, buttons, refused), slack.channel or "")


def make_report(book: SweepBook, runs: RunStore, ledger: Records, now: datetime) -> Report | None:
    """Make the report of the last sweep; None before the first. Raises Throttled, Denied."""
    ended = book.last_sweep()
    summary = runs.document(_summary(ended.run)) if ended else None
    if ended is None or summary is None:
        return None
    stood = [standings.from_line(line) for line in runs.lines(ended.inventory)]
    plan = runs.document(PLAN)
    planned = {item["repository"] for item in plan["items"]} if plan else set()
    records = ledger.records([standing.name for standing in stood if wants_record(standing) or standing.name in planned])
    return report_of(Sources(summary, stood, list(_before(summary, runs)), plan, records), now)


def _before(summary: Mapping[str, Any], runs: RunStore) -> Iterator[Mapping[str, Any]]:
    """The summaries of the sweeps before, newest first: each names the one that it was compared with."""
    for _ in range(SWEEPS - 1):
        former = summary["compared_with"]
        found = runs.document(_summary(former)) if former else None
        if found is None:
            return
        summary = found
        yield summary


def _summary(run: str) -> str:
    return f"sweeps/{run}/summary"
