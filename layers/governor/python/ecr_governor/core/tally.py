"""What a sweep found, counted: each part of it counts for itself, and the counts add up in any order."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ecr_governor.core.standing import Standing

EXAMPLES: Final = 20
UNOWNED: Final = "nobody"


@dataclass
class Meter:
    """How many of the changes since the last sweep were announced by an event, and how many were not.

    Creations and deletions count among all repositories; changed settings among those that were read in full, since only there
    an unannounced change can be seen at all.
    """

    announced: int = 0
    unannounced: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def loss(self) -> float | None:
        """The share of changes that no event announced; None if nothing changed."""
        changes = self.announced + self.unannounced
        return self.unannounced / changes if changes else None

    def hear(self, *, announced: bool, name: str, what: str) -> None:
        """Count one change."""
        if announced:
            self.announced += 1
            return
        self.unannounced += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{name}: {what}")

    def merge(self, other: "Meter") -> None:
        """Add another part's counts."""
        self.announced += other.announced
        self.unannounced += other.unannounced
        self.examples = (self.examples + other.examples)[:EXAMPLES]


@dataclass
class Tally:
    """Counts of repositories and findings; `opened` and `resolved` are since the last sweep.

    `undetermined` counts by what could not be read and why, `calls` AWS's operations, `needs` why repositories were read.
    """

    repositories: int = 0
    violating: int = 0
    unused: int = 0
    size_bytes: int = 0
    checked: int = 0
    by_rule: Counter[str] = field(default_factory=Counter)
    by_severity: Counter[str] = field(default_factory=Counter)
    by_namespace: Counter[str] = field(default_factory=Counter)
    by_owner: Counter[str] = field(default_factory=Counter)
    by_origin: Counter[str] = field(default_factory=Counter)
    exempt: Counter[str] = field(default_factory=Counter)
    opened: Counter[str] = field(default_factory=Counter)
    resolved: Counter[str] = field(default_factory=Counter)
    undetermined: Counter[str] = field(default_factory=Counter)
    needs: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    opened_in: list[str] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)

    def add(self, standing: Standing, namespace: str, former: Standing | None) -> None:
        """Count one repository; `former` is how it stood at the last sweep."""
        self.repositories += 1
        self.unused += standing.unused is True
        self.size_bytes += standing.size_bytes
        self.by_origin[standing.origin] += 1
        for rule, why in standing.undetermined.items():
            self.undetermined[f"{rule}: {why}"] += 1
        violates = False
        for finding in standing.findings:
            if finding["state"] == "exempt":
                self.exempt[finding["rule"]] += 1
                continue
            violates = True
            self.by_rule[finding["rule"]] += 1
            self.by_severity[finding["severity"]] += 1
        if violates:
            self.violating += 1
            self.by_namespace[namespace] += 1
            self.by_owner[standing.owner or UNOWNED] += 1
        self._compare(standing, former)

    def _compare(self, standing: Standing, former: Standing | None) -> None:
        if standing is former:
            return
        same = former is not None and former.created_at == standing.created_at
        before = former.open_rules if former is not None and same else frozenset[str]()
        after = standing.open_rules
        self.opened.update(after - before)
        exempt = {finding["rule"] for finding in standing.findings if finding["state"] == "exempt"}
        # What is not known now is not resolved, nor is what somebody answers for.
        self.resolved.update(before - after - exempt - standing.undetermined.keys())
        if after - before and len(self.opened_in) < EXAMPLES:
            self.opened_in.append(standing.name)

    def gone(self, former: Standing) -> None:
        """Count the findings of a repository that no longer exists as resolved."""
        self.resolved.update(former.open_rules)

    def merge(self, other: "Tally") -> None:
        """Add another part's counts."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.opened_in = (self.opened_in + other.opened_in)[:EXAMPLES]
        self.meter.merge(other.meter)


_NUMBERS: Final = ("repositories", "violating", "unused", "size_bytes", "checked")
_COUNTERS: Final = (
    "by_rule",
    "by_severity",
    "by_namespace",
    "by_owner",
    "by_origin",
    "exempt",
    "opened",
    "resolved",
    "undetermined",
    "needs",
    "calls",
)


def as_data(tally: Tally) -> dict[str, Any]:
    """Give a tally as a JSON object."""
    numbers = {name: getattr(tally, name) for name in _NUMBERS}
    counters = {name: dict(sorted(getattr(tally, name).items())) for name in _COUNTERS}
    meter = {"announced": tally.meter.announced, "unannounced": tally.meter.unannounced, "examples": list(tally.meter.examples)}
    return {**numbers, **counters, "opened_in": list(tally.opened_in), "meter": meter}


def from_data(data: Mapping[str, Any]) -> Tally:
    """Read a tally back."""
    tally = Tally(opened_in=list(data["opened_in"]))
    for name in _NUMBERS:
        setattr(tally, name, data[name])
    for name in _COUNTERS:
        getattr(tally, name).update(data[name])
    meter = data["meter"]
    tally.meter = Meter(meter["announced"], meter["unannounced"], list(meter["examples"]))
    return tally


def total(tallies: Iterable[Tally]) -> Tally:
    """Add up the parts of a sweep."""
    whole = Tally()
    for tally in tallies:
        whole.merge(tally)
    return whole
