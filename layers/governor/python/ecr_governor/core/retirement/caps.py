"""How much one run may take away. Over any cap the whole run takes nothing away: doing a part of a wrong list is still wrong."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from ecr_governor.core.policy.retirement import Caps
from ecr_governor.core.retirement.state import Stage

UNOWNED: Final = "nobody"
PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class Step:
    """One repository's next step, as far as a run's caps are concerned. `owner` is None where nobody is known to own it."""

    repository: str
    to: Stage
    namespace: str
    owner: str | None

    @property
    def takes_away(self) -> bool:
        """Whether anybody could miss something after it. A mark is a word, a return to `observed` gives back."""
        return self.to in {Stage.QUARANTINED, Stage.ARCHIVED, Stage.DELETED}


def exceeded(steps: Iterable[Step], caps: Caps, repositories: int, taken_lately: int, *, approved: bool = False) -> Sequence[str]:
    """Say which caps the steps are over, each in words; nothing where all is within them.

    `repositories` is how many the registry has, `taken_lately` how many were taken away in the last 24 hours. A list that a person has
    `approved` may be longer than the caps; a cap of 0 means none, and holds for approved ones as well.
    """
    if approved:
        caps = _closed(caps)
    listed = tuple(steps)
    taking = [step for step in listed if step.takes_away]
    marking = sum(step.to is Stage.MARKED for step in listed)
    over: list[str] = []
    if marking > caps.marks:
        over.append(f"{marking} repositories would be marked, caps.marks is {caps.marks}")
    if not taking:
        return over
    if len(taking) > caps.per_run:
        over.append(f"{len(taking)} repositories would go on, caps.per_run is {caps.per_run}")
    if len(taking) * PERCENT > caps.percent * repositories:
        over.append(f"{len(taking)} of {repositories} repositories would go on, caps.percent is {caps.percent:g}")
    if taken_lately + len(taking) > caps.per_day:
        over.append(
            f"{taken_lately} repositories went on in the last 24 hours and {len(taking)} more would, caps.per_day is {caps.per_day}"
        )
    for what, most, counted in (
        ("owner", caps.per_owner, Counter(step.owner or UNOWNED for step in taking)),
        ("namespace", caps.per_namespace, Counter(step.namespace for step in taking)),
    ):
        over += (
            f"{count} repositories of {name} would go on, caps.per_{what} is {most}"
            for name, count in sorted(counted.items())
            if count > most
        )
    return over


def _closed(caps: Caps) -> Caps:
    """Give the caps of which only those are left that are 0."""
    given = caps.model_dump()
    open_ones = {name: float(PERCENT) if name == "percent" else inf for name, value in given.items() if value}
    return caps.model_copy(update=open_ones)
