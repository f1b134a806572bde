"""What is wrong with a document, and where in it."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]

# As the last step of a path: the fault is in the key, not in its value.
KEY: Final = "[key]"


@dataclass(frozen=True, slots=True)
class DocumentProblem:
    """One fault: the path of keys and indices to it, what is wrong, and what to do about it.

    `lacks` are the keys of which one would have to be there. Where one is, and has a fault of its own, this one is none.
    """

    at: Path
    what: str
    do: str
    lacks: tuple[str, ...] = ()

    @property
    def rule(self) -> int | None:
        """The index of the rule or statement that the fault is in, or None for the document as a whole."""
        return next((step for step in self.at if isinstance(step, int)), None)

    def __str__(self) -> str:
        place = written(self.at)
        return f"{place}: {self.what}" if place else self.what


def written(path: Path) -> str:
    """Spell the path as people write it: `rules[0].selection`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path if step != KEY).removeprefix(".")


def suggestion(word: str, allowed: Iterable[str]) -> str:
    """Say what to write instead of an unknown word: the nearest allowed one, and all of them."""
    known = list(allowed)
    near = difflib.get_close_matches(word, known, n=1) or [one for one in known if word and one.startswith(word)]
    choice = f"write one of {', '.join(known)}" if len(known) > 1 else f"write {', '.join(known)}"
    return f"did you mean {near[0]}? {choice}" if near and len(known) > 1 else choice


def unknown_keys(found: Iterable[object], allowed: Iterable[str], at: Path) -> list[DocumentProblem]:
    """Return a problem for each key that is not allowed at this place."""
    known = list(allowed)
    return [DocumentProblem((*at, str(key), KEY), f"unknown key {key!r}", suggestion(str(key), known)) for key in found if key not in known]
