"""How long functions take to start, in two builds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

READY, ANSWERED = "ready", "first event answered"


@dataclass(slots=True)
class Took:
    """Milliseconds of several starts: CPU, and the time from the process's begin on."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Starts:
    """A function's starts as it is built and as it would be plainly built, `until` READY or ANSWERED."""

    function: str
    until: str
    built: Took = field(default_factory=Took)
    plain: Took = field(default_factory=Took)

    @property
    def share(self) -> float:
        """CPU of the built one's start as a share of the plain one's."""
        return median(self.built.cpu) / median(self.plain.cpu)


def shares(results: Sequence[Starts]) -> Mapping[str, float]:
    """Give for each function the share of its start until it is ready."""
    return {found.function: found.share for found in results if found.until == READY}
