"""Gather what a report is made of, and on schedule: keep it, and tell people where it is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from ecr_governor.app.ports import Chat, PolicySource
from ecr_governor.app.retirement.runs import PLAN
from ecr_governor.app.sweep.ports import RunStore, SweepBook
from ecr_governor.core import standing as standings
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.report import message as messages
from ecr_governor.core.report.build import Sources, report_of, wants_record
from ecr_governor.core.report.glance import Glance, glance_of
from ecr_governor.core.report.message import LATEST, Kept, Kind
from ecr_governor.core.report.model import Report

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
    latest = _keep_latest(report, services)
    told = _tell(report, kind, place, f"{place}.{FORMATS[0]}", latest, services, now)
    return {"reported": True, "files": [*addresses, latest], "told": told, "needing": report.needing}


def report_after_sweep(services: Services, now: datetime) -> dict[str, Any]:
    """Make the report and keep it as the latest, for people and for the dashboard; nobody is told. Raises Throttled, Denied."""
    report = make_report(services.book, services.runs, services.ledger, now)
    if report is None:
        return {"reported": False, "why": "no sweep has ended yet"}
    return {"reported": True, "files": [_keep_latest(report, services)], "needing": report.needing}


def _keep_latest(report: Report, services: Services) -> str:
    page = services.printed(report, FORMATS[0])
    services.runs.put_document(GLANCE, services.as_data(glance_of(report)))
    return services.store.put(LATEST, page.body, page.kind)


def _keep(report: Report, output: str, place: str, services: Services) -> str:
    printed = services.printed(report, output)
    return services.store.put(f"{place}.{printed.suffix}", printed.body, printed.kind)


def _tell(report: Report, kind: Kind, place: str, page: str, latest: str, services: Services, now: datetime) -> bool:
    if services.chat is None or not messages.worth_telling(report, kind):
        return False
    slack = services.policies.current(now).policy.notifications.slack
    if not slack.enabled or services.runs.document(f"{place}-told"):
        return False
    buttons = slack.buttons if services.chat.pressable() else None
    link = services.store.link(page, services.link_hours) if services.link_hours else ""
    services.chat.post(messages.message(report, kind, Kept(latest, link, services.link_hours), buttons), slack.channel or "")
    services.runs.put_document(f"{place}-told", {"at": now.isoformat()})
    return True


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
