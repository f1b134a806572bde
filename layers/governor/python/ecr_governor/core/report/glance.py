"""The report as one look takes it in: all that is counted, and of the repositories those that matter most.

It has so many at most, whatever the registry has: a dashboard reads it in a moment.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import islice
from typing import Final, Literal

from ecr_governor.core.report.build import age
from ecr_governor.core.report.model import Report, ReportedRepository, Step
from ecr_governor.core.report.words import day, repositories
from ecr_governor.core.retirement.state import Stage

VERSION: Final = 1
"""Of a glance: a reader of another one must not guess."""
GRAVEST: Final = 300
"""Repositories that are kept because nothing is graver."""
SOONEST: Final = 200
OF_EACH_DAY: Final = 3
"""Steps that are kept one by one: the soonest, and of each day and stage some; all of them are counted by day."""
OF_EACH_OWNER: Final = 5
"""Of each owner's repositories the gravest are kept, so that whoever asks for his own finds some."""
AT_MOST: Final = 1_200
"""Repositories of a glance."""
OWNERS: Final = 250
NAMESPACES: Final = 50
REASONS: Final = 20
TOLD: Final = 3
"""Reasons of one kind that weaken what a glance says, and are told."""
LOSS: Final = 0.1
"""The share of changes without an event from which on it is told; of an alarm's too."""


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many repositories go to one stage on one day."""

    day: date
    to: Stage
    count: int


@dataclass(frozen=True, slots=True)
class Glance:
    """A report that is cut: its lists hold what matters most, in their order.

    `going` counts all steps, `days` those of each day, `needing` all repositories with an open finding or something undetermined.

    Its verdict says nothing of its age, which is another whenever somebody looks.
    """

    version: Literal[1]
    report: Report
    going: int
    days: tuple[DayCount, ...]
    needing: int

    @property
    def whole(self) -> bool:
        """Whether every repository that needs somebody is in it, and every step."""
        return _needing(self.report.repositories) == self.needing and len(self.report.steps) == self.going


def glance_of(report: Report) -> Glance:
    """Cut a report to what one look takes in."""
    steps, method = _steps(report.steps), report.method
    kept = _kept(report, steps)
    cut = replace(
        report,
        verdict=report.verdict.removesuffix(age(method.seen_at, report.made_at)).rstrip(),
        steps=steps,
        owners=report.owners[:OWNERS],
        namespaces=report.namespaces[:NAMESPACES],
        trend=(),
        method=replace(
            method,
            undetermined=dict(Counter(method.undetermined).most_common(REASONS)),
            unread=dict(islice(method.unread.items(), REASONS)),
        ),
        repositories=tuple(each for each in report.repositories if each.name in kept),
    )
    return Glance(VERSION, cut, len(report.steps), counted(report.steps), _needing(report.repositories))


def counted(steps: Iterable[Step]) -> tuple[DayCount, ...]:
    """Count steps by day and stage, in their order in time."""
    counts = Counter((step.at.astimezone(UTC).date(), step.to) for step in steps)
    return tuple(DayCount(on, to, count) for (on, to), count in sorted(counts.items(), key=lambda item: (item[0][0], item[0][1].rank)))


def weaknesses(glance: Glance, now: datetime) -> Sequence[str]:
    """Say what weakens a glance: each a sentence, with its reason."""
    method, said = glance.report.method, list[str]()
    if age(method.seen_at, now):
        said.append(f"No sweep has reported since {day(method.seen_at)}: what has changed since then is not in here.")
    if method.policy_problem:
        said.append(f"The policy file is invalid, and the last good one judged: {method.policy_problem}")
    said += [f"Not read: {why}" for why in _first(method.incomplete_because)]
    said += [f"Undetermined in {repositories(count)}: {why}" for why, count in list(method.undetermined.items())[:TOLD]]
    said += [f"Not planned: {name}: {why}" for name, why in list(method.unread.items())[:TOLD]]
    if method.planned_at is None or method.planned_at < method.seen_at:
        when = f"are those of {day(method.planned_at)}" if method.planned_at else "have not been planned"
        said.append(f"Steps of retirement {when}: the run after this sweep did not come to its end.")
    if method.event_loss and (method.event_loss.rate or 0) >= LOSS:
        lost, changes = method.event_loss.unannounced, method.event_loss.announced + method.event_loss.unannounced
        said.append(f"No event told of {lost:,} of {changes:,} changes since the sweep before.")
    return said


def _needing(repositories: Iterable[ReportedRepository]) -> int:
    return sum(bool(each.open_findings or each.undetermined) for each in repositories)


def _first(reasons: Sequence[str]) -> Sequence[str]:
    more = len(reasons) - TOLD
    return (*reasons[:TOLD], *([f"{more:,} more reasons are in the report"] if more > 0 else ()))


def _steps(steps: Sequence[Step]) -> tuple[Step, ...]:
    of_a_day = Counter[tuple[date, Stage]]()
    kept: list[Step] = []
    for place, step in enumerate(steps):
        going = (step.at.astimezone(UTC).date(), step.to)
        of_a_day[going] += 1
        if place < SOONEST or of_a_day[going] <= OF_EACH_DAY:
            kept.append(step)
    return tuple(kept)


def _kept(report: Report, steps: Iterable[Step]) -> frozenset[str]:
    """Name the repositories that a glance keeps: what goes soonest, what is gravest, and of each owner some."""
    names = dict.fromkeys(step.repository for step in steps)
    needing = [each for each in report.repositories if each.open_findings or each.undetermined]
    names |= dict.fromkeys(each.name for each in needing[:GRAVEST])
    names |= dict.fromkeys(_some_of_each_owner(needing))
    return frozenset(islice(names, AT_MOST))


def _some_of_each_owner(needing: Iterable[ReportedRepository]) -> Iterable[str]:
    seen = Counter[str | None]()
    for each in needing:
        seen[each.owner] += 1
        if seen[each.owner] <= OF_EACH_OWNER:
            yield each.name
