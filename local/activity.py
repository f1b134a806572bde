"""Whether anything in the embedded AWS is under way, told without polling each part twice."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Activity:
    """Counts work under way, and how much was ever begun.

    Nothing moved between two looks at the parts if no work was under way and none was begun in between.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.running = 0
        self.begun = 0

    def begin(self) -> None:
        """Count one more piece of work."""
        with self._lock:
            self.running += 1
            self.begun += 1

    def end(self) -> None:
        """Count it as done; what it caused must have been begun before."""
        with self._lock:
            self.running -= 1

    @contextmanager
    def work(self) -> Iterator[None]:
        """Count the body as one piece of work."""
        self.begin()
        try:
            yield
        finally:
            self.end()
