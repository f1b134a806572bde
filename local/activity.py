"""Whether anything in the embedded AWS is under way, told without polling each part twice."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Activity:
    """Counts work under way, and how much was ever begun.

    Nothing moved between two looks at the parts if no work was under way and none was begun in between.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.running = 0
        self.begun = 0
        self._by: Counter[str] = Counter()

    def begin(self, by: str) -> None:
        """Count one more piece of work, and by whom."""
        with self._lock:
            self.running += 1
            self.begun += 1
            self._by[by] += 1

    def end(self, by: str) -> None:
        """Count it as done; what it caused must have been begun before."""
        with self._lock:
            self.running -= 1
            self._by[by] -= 1

    @property
    def busy(self) -> Sequence[str]:
        """Who has work under way, by name."""
        with self._lock:
            return sorted(name for name, count in self._by.items() if count > 0)

    @contextmanager
    def work(self, by: str) -> Iterator[None]:
        """Count the body as one piece of work."""
        self.begin(by)
        try:
            yield
        finally:
            self.end(by)
