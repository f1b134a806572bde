"""Names that look like another: most likely one of the two is a typing error."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ecr_governor.core.policy.naming import edit_distance

AT_MOST: Final = 5
"""Names that are pointed out."""
FAR: Final = 2
"""Letters that may be different."""
SHARE: Final = 4
"""One letter in so many may be different: short words such as `api` and `app` are neighbours, not typing errors."""
_DIGITS: Final = re.compile("[0-9]+")


@dataclass(frozen=True, slots=True)
class Twin:
    """A name that is there, and by how many letters it is another one."""

    name: str
    letters: int


def twins_of(name: str, names: Iterable[str]) -> Sequence[Twin]:
    """Find the names that are as good as this one, the nearest first. Names that differ in a number alone, as v1 and v2, are meant so."""
    near = (Twin(other, letters) for other in names if (letters := _letters(name, other)))
    return sorted(near, key=lambda twin: (twin.letters, twin.name))[:AT_MOST]


def _letters(name: str, other: str) -> int:
    """Count the letters by which two names differ; 0 if they are the same, or have nothing to do with each other."""
    if name == other or abs(len(name) - len(other)) > FAR:
        return 0
    letters = edit_distance(name, other, FAR)
    if letters > FAR or _DIGITS.sub("", name) == _DIGITS.sub("", other):
        return 0
    mine, theirs = name.split("/"), other.split("/")
    if len(mine) != len(theirs):
        return letters if letters * SHARE <= len(name) else 0
    parts = [(left, right) for left, right in zip(mine, theirs, strict=True) if left != right]
    alike = all(edit_distance(left, right, FAR) * SHARE <= max(len(left), len(right)) for left, right in parts)
    return letters if alike else 0
