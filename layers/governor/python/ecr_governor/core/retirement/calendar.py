"""What goes when: the next step of each repository of a plan, by day, as data and as a calendar that others can subscribe to."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ecr_governor.core.retirement.state import Stage

_VERBS: Final = {
    Stage.MARKED: "is marked",
    Stage.QUARANTINED: "goes into quarantine",
    Stage.ARCHIVED: "goes to the archive",
    Stage.DELETED: "is deleted",
}
LINE: Final = 75
"""Octets that a line of an iCalendar file may have (RFC 5545, 3.1)."""


@dataclass(frozen=True, slots=True)
class Date:
    """One step to come: not before `at`, if nothing speaks against it until then."""

    repository: str
    to: Stage
    at: datetime
    owner: str | None


def dates(plan: Mapping[str, Any], until: datetime) -> Sequence[Date]:
    """Read the steps to come out of a plan's document, in their order; those after `until` are left out."""
    found: list[Date] = []
    done = {each["repository"] for each in plan.get("done", ()) if each["reached"]}
    for item in plan["items"]:
        if item["repository"] in done:
            # What the plan's own run has done is no step to come, and when the next one is the next run says.
            continue
        moment = item["next_at"] or (plan["at"] if item["next"] not in {None, Stage.OBSERVED.value} else None)
        to = item["next"] or item["then"]
        if moment and to and (at := datetime.fromisoformat(moment)) <= until:
            found.append(Date(item["repository"], Stage(to), at, item["owner"]))
    return sorted(found, key=lambda date: (date.at, date.repository))


def as_data(found: Iterable[Date]) -> list[dict[str, Any]]:
    """Give dates as JSON objects."""
    return [{"repository": each.repository, "to": each.to.value, "not_before": each.at.isoformat(), "owner": each.owner} for each in found]


def as_ics(found: Iterable[Date], account: str, region: str, made_at: datetime) -> str:
    """Give dates as an iCalendar file (RFC 5545), one all-day event for each. The same dates give the same bytes."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//ECR Governor//Retirement//EN", "CALSCALE:GREGORIAN"]
    listed = tuple(found)
    if not listed:
        # A calendar without a component is none (RFC 5545, 3.6).
        lines += ["BEGIN:VTIMEZONE", "TZID:UTC", "BEGIN:STANDARD", "DTSTART:19700101T000000", "TZOFFSETFROM:+0000", "TZOFFSETTO:+0000"]
        lines += ["END:STANDARD", "END:VTIMEZONE"]
    for each in listed:
        day = each.at.astimezone(UTC).date()
        lines += [
            "BEGIN:VEVENT",
            f"UID:{_identity(account, region, each)}@ecr-governor",
            f"DTSTAMP:{made_at.astimezone(UTC):%Y%m%dT%H%M%SZ}",
            f"DTSTART;VALUE=DATE:{day:%Y%m%d}",
            f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}",
            _folded(f"SUMMARY:{_escaped(each.repository)} {_VERBS[each.to]}"),
            _folded("DESCRIPTION:" + _escaped(f"owner: {each.owner or 'not known'}, account {account}, {region}")),
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        ]
    return "".join(f"{line}\r\n" for line in [*lines, "END:VCALENDAR"])


def _identity(account: str, region: str, date: Date) -> str:
    return hashlib.sha256(f"{account} {region} {date.repository} {date.to.value}".encode()).hexdigest()[:32]


def _escaped(text: str) -> str:
    visible = "".join(character if character.isprintable() else " " for character in text)
    return visible.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")


def _folded(line: str) -> str:
    """Fold a line into parts of 75 octets, none of them within a character."""
    parts: list[str] = []
    part, size = "", 0
    for character in line:
        octets = len(character.encode())
        if size + octets > LINE - bool(parts):
            parts.append(part)
            part, size = "", 0
        part += character
        size += octets
    return "\r\n ".join([*parts, part])
