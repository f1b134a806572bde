"""The authorisation journal: every decision that was taken on a role's behalf."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRIES = 100_000


@dataclass(frozen=True)
class Authorization:
    """One decision."""

    role: str
    action: str
    resource: str
    allowed: bool
    reason: str = ""


class Journal:
    """Decisions in order (the latest 100,000), and how often each was taken (all of them)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Authorization] = deque(maxlen=ENTRIES)
        self.counts: Counter[Authorization] = Counter()

    def record(self, entry: Authorization) -> None:
        """Add a decision."""
        with self._lock:
            self._entries.append(entry)
            self.counts[entry] += 1

    def __iter__(self) -> Iterator[Authorization]:
        with self._lock:
            return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def used(self, role: str) -> set[tuple[str, str]]:
        """The actions that a role was allowed, each with its resource."""
        with self._lock:
            return {(entry.action, entry.resource) for entry in self.counts if entry.role == role and entry.allowed}

    def denied(self) -> list[Authorization]:
        """The distinct refusals."""
        with self._lock:
            return [entry for entry in self.counts if not entry.allowed]

    def clear(self) -> None:
        """Start a new page."""
        with self._lock:
            self._entries.clear()
            self.counts.clear()
