"""Schedule expressions: `rate()`, `cron()` with six fields, and `at()`.

docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

UNITS = {"minute": 60, "hour": 3600, "day": 86400}
MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}
CRON_FIELDS = 6
LAST_YEAR = 2199
SEARCH_YEARS = 8
"""How far ahead a cron expression is searched; the longest gap, 29 February, is eight years."""


class InvalidSchedule(ValueError):
    """The expression is not one that EventBridge accepts."""


class Expression(Protocol):
    """When a schedule is due."""

    def after(self, moment: datetime, created: datetime) -> datetime | None:
        """The first due time after the moment; None if there is none."""
        ...


def parse(text: str, timezone: str = "UTC") -> Expression:
    """Read an expression."""
    match = re.fullmatch(r"(rate|cron|at)\((.*)\)", text.strip())
    if match is None:
        raise InvalidSchedule(text)
    kind, inner = match.groups()
    zone = ZoneInfo(timezone)
    if kind == "rate":
        return _rate(text, inner)
    if kind == "at":
        try:
            return At(datetime.fromisoformat(inner).replace(tzinfo=zone).astimezone(UTC))
        except ValueError:
            raise InvalidSchedule(text) from None
    return Cron.parse(inner, zone)


def _rate(text: str, inner: str) -> Rate:
    match = re.fullmatch(r"(\d+) (minute|hour|day)(s?)", inner.strip())
    if match is None or int(match[1]) < 1 or (int(match[1]) == 1) is bool(match[3]):
        raise InvalidSchedule(text)
    return Rate(timedelta(seconds=int(match[1]) * UNITS[match[2]]))


@dataclass(frozen=True)
class Rate:
    """Every so often, counted from the schedule's creation."""

    every: timedelta

    def after(self, moment: datetime, created: datetime) -> datetime | None:
        """The next multiple."""
        return created + self.every * ((moment - created) // self.every + 1)


@dataclass(frozen=True)
class At:
    """Once."""

    moment: datetime

    def after(self, moment: datetime, created: datetime) -> datetime | None:  # noqa: ARG002 -- the protocol's
        """The moment, unless it is past."""
        return self.moment if self.moment > moment else None


@dataclass(frozen=True)
class Cron:
    """Minutes, hours, day of month, month, day of week, year; one of the two days is `?`."""

    minutes: frozenset[int]
    hours: frozenset[int]
    month_days: str
    months: frozenset[int]
    weekdays: str
    years: frozenset[int]
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo) -> Cron:
        """Read the six fields."""
        fields = text.split()
        if len(fields) != CRON_FIELDS or "?" not in {fields[2], fields[4]}:
            raise InvalidSchedule(f"cron({text})")
        minutes, hours, month_days, months, weekdays, years = fields
        cron = cls(
            minutes=_numbers(minutes, 0, 59),
            hours=_numbers(hours, 0, 23),
            month_days=month_days,
            months=_numbers(months, 1, 12, MONTHS),
            weekdays=weekdays.upper(),
            years=_numbers(years, 1970, LAST_YEAR),
            zone=zone,
        )
        cron._days(2024, 1)
        return cron

    def after(self, moment: datetime, created: datetime) -> datetime | None:  # noqa: ARG002 -- the protocol's
        """The next minute that fits all fields."""
        local = moment.astimezone(self.zone)
        for year, month in _months_from(local.year, local.month):
            if year not in self.years or month not in self.months:
                continue
            for day in self._days(year, month):
                if (year, month, day) < (local.year, local.month, local.day):
                    continue
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        due = datetime(year, month, day, hour, minute, tzinfo=self.zone).astimezone(UTC)
                        if due > moment:
                            return due
        return None

    def _days(self, year: int, month: int) -> list[int]:
        last = calendar.monthrange(year, month)[1]
        return _by_month_day(self.month_days, year, month, last) if self.weekdays == "?" else _by_weekday(self.weekdays, year, month, last)


def _months_from(year: int, month: int) -> Iterator[tuple[int, int]]:
    for index in range(SEARCH_YEARS * 12 + 1):
        months = year * 12 + month - 1 + index
        yield months // 12, months % 12 + 1


def _weekday(year: int, month: int, day: int) -> int:
    return calendar.weekday(year, month, day) % 7 + 2 if calendar.weekday(year, month, day) < 6 else 1  # noqa: PLR2004 -- Sunday is 1


def _by_month_day(field: str, year: int, month: int, last: int) -> list[int]:
    if field == "L":
        return [last]
    if match := re.fullmatch(r"(\d+)W", field):
        return [_nearest_working_day(year, month, min(int(match[1]), last), last)]
    return sorted(day for day in _numbers(field, 1, 31) if day <= last)


def _nearest_working_day(year: int, month: int, day: int, last: int) -> int:
    weekday = calendar.weekday(year, month, day)
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == calendar.SUNDAY:
        return day + 1 if day < last else day - 2
    return day


def _by_weekday(field: str, year: int, month: int, last: int) -> list[int]:
    if match := re.fullmatch(r"([1-7]|[A-Z]{3})L", field):
        wanted = _number(match[1], WEEKDAYS)
        return [max(day for day in range(1, last + 1) if _weekday(year, month, day) == wanted)]
    if match := re.fullmatch(r"([1-7]|[A-Z]{3})#([1-5])", field):
        wanted, nth = _number(match[1], WEEKDAYS), int(match[2])
        days = [day for day in range(1, last + 1) if _weekday(year, month, day) == wanted]
        return days[nth - 1 : nth]
    if field == "L":
        field = "SAT"
    wanted_days = _numbers(field, 1, 7, WEEKDAYS)
    return [day for day in range(1, last + 1) if _weekday(year, month, day) in wanted_days]


def _number(text: str, names: dict[str, int]) -> int:
    try:
        return names[text] if text in names else int(text)
    except ValueError:
        raise InvalidSchedule(text) from None


def _numbers(field: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    numbers: set[int] = set()
    for part in field.upper().split(","):
        span, _, step = part.partition("/")
        first, dash, final = span.partition("-")
        start = low if first == "*" else _number(first, names or {})
        end = high if first == "*" or (step and not dash) else _number(final, names or {}) if dash else start
        if not low <= start <= end <= high:
            raise InvalidSchedule(field)
        numbers.update(range(start, end + 1, _number(step, {}) if step else 1))
    return frozenset(numbers)
