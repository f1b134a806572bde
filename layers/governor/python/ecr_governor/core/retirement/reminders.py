"""When the owner of a marked repository is told once more: some working days before its grace ends, and never every day."""

from datetime import datetime, timedelta
from typing import Final

from ecr_governor.core.retirement.state import Retirement

WORKING_DAYS_BEFORE: Final = (1, 7)
"""Working days before the end at which somebody is reminded, the latest first."""
_DAY: Final = timedelta(days=1)
_SATURDAY: Final = 5


def working_days(begins: datetime, ends: datetime) -> int:
    """Count the days from Monday to Friday after one moment up to another; 0 if it is not later."""
    days, day = 0, begins
    while (day := day + _DAY).date() <= ends.date():
        days += day.weekday() < _SATURDAY
    return days


def reminder_due(retirement: Retirement, told_at: datetime, ends: datetime, reminded: str, now: datetime) -> str | None:
    """Identify the reminder that is due, by its mark and by how long before the end it comes; None if none is.

    `told_at` is when somebody was told of the mark: who was told later than a reminder would come needs none. `reminded` is the last one.
    """
    left = working_days(now, ends)
    before = next((each for each in WORKING_DAYS_BEFORE if 0 < left <= each < working_days(told_at, ends)), None)
    if before is None or reminded in {_identity(retirement, each) for each in WORKING_DAYS_BEFORE if each <= before}:
        return None
    return _identity(retirement, before)


def _identity(retirement: Retirement, before: int) -> str:
    return f"{retirement.since.isoformat()} {before}"
