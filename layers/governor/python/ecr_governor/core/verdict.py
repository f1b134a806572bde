"""What a rule says of a repository."""

from dataclasses import dataclass
from typing import TypeAlias

from ecr_governor.core.remedy import Remedy


@dataclass(frozen=True, slots=True)
class Compliant:
    """The convention is kept."""


@dataclass(frozen=True, slots=True)
class Violation:
    """The convention is broken: why, and the actions that would mend it (none where only a person can)."""

    reason: str
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True)
class Undetermined:
    """The facts do not suffice to judge: reported, never acted on."""

    why: str


Verdict: TypeAlias = Compliant | Violation | Undetermined
