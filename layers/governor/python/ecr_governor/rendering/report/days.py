"""Steps to come, day by day, and times in words."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Final

from ecr_governor.core.report.model import Step
from ecr_governor.core.retirement.state import Stage

VERBS: Final = {
    Stage.MARKED: "marked as unused",
    Stage.QUARANTINED: "into quarantine",
    Stage.ARCHIVED: "into the archive",
    Stage.DELETED: "deleted",
    Stage.OBSERVED: "given back",
}


def by_day(steps: Sequence[Step]) -> Iterator[tuple[date, str, Sequence[Step]]]:
    """Give the steps of each day that lead to the same stage, with what happens to them."""

    def day_and_stage(step: Step) -> tuple[date, int, str]:
        return step.at.astimezone(UTC).date(), step.to.rank, VERBS[step.to]

    for (day, _, verb), some in groupby(sorted(steps, key=lambda step: (*day_and_stage(step), step.repository)), key=day_and_stage):
        yield day, verb, list(some)


def when(at: datetime) -> str:
    """Give a time in words, to the minute."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
