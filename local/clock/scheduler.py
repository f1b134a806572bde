"""EventBridge Scheduler and scheduled rules: what is to be fired when, by the virtual clock."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.activity import Activity
    from local.clock.expression import Expression

LONGEST_WAIT = 60.0


@dataclass
class Schedule:
    """One schedule; `fire` is given the time that it was due."""

    name: str
    expression: Expression
    fire: Callable[[datetime], None]
    enabled: bool = True
    start: datetime | None = None
    end: datetime | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    last: datetime | None = None
    fired: int = 0

    def next_due(self) -> datetime | None:
        """When it is due next."""
        if not self.enabled:
            return None
        after = self.last or self.created
        if self.start and self.start > after:
            # The first due time may be the start itself.
            after = self.start.replace(microsecond=0) - (datetime.resolution)
        due = self.expression.after(after, self.start or self.created)
        return None if due is None or (self.end and due > self.end) else due


class Scheduler:
    """Fires schedules as time passes, and tells a clock that jumps where it must stop."""

    def __init__(self, activity: Activity) -> None:
        self.schedules: dict[str, Schedule] = {}
        self._activity = activity
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def start(self) -> None:
        """Begin to watch the time."""
        self._thread.start()

    def stop(self) -> None:
        """Stop firing."""
        self._stopping.set()
        self._wake.set()

    def add(self, schedule: Schedule) -> None:
        """Add or replace a schedule."""
        with self._lock:
            self.schedules[schedule.name] = schedule
        self._wake.set()

    def next_due(self) -> datetime | None:
        """When the next schedule is due."""
        with self._lock:
            times = [due for schedule in self.schedules.values() if (due := schedule.next_due())]
        return min(times, default=None)

    def fire_due(self, now: datetime) -> int:
        """Fire each schedule that is due, once, however often it would have been; say how many were."""
        fired = 0
        with self._lock, self._activity.work("the schedules"):
            due = [(moment, schedule) for schedule in self.schedules.values() if (moment := schedule.next_due()) and moment <= now]
            for moment, schedule in sorted(due, key=lambda pair: (pair[0], pair[1].name)):
                schedule.last = max(moment, now)
                schedule.fired += 1
                fired += 1
                schedule.fire(moment)
        return fired

    def wake(self) -> None:
        """Look at the time again."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            now = datetime.now(UTC)
            due = self.next_due()
            if due is not None and due <= now:
                self.fire_due(now)
                continue
            self._wake.wait(LONGEST_WAIT if due is None else min(LONGEST_WAIT, (due - now).total_seconds() + 0.001))
