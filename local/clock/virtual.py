"""The virtual clock: this process's `time` and `datetime`, moved forward at will and ticking on from there."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import time_machine

if TYPE_CHECKING:
    from collections.abc import Callable


def real_time() -> float:
    """The machine's own seconds since the epoch, whatever the virtual clock says."""
    hatch = time_machine.escape_hatch
    return float(hatch.time.time()) if hatch.is_travelling() else time.time()


class VirtualClock:
    """Moves the time of the whole process; of child processes by the offset that they are told.

    Monotonic time stays real, so that waiting, timeouts and durations are not affected.
    """

    def __init__(self, start_time: datetime | None = None) -> None:
        self._start_time = start_time
        self._travel: time_machine.travel | None = None
        self._listeners: list[Callable[[], None]] = []

    def start(self) -> None:
        """Travel to the start time, if there is one; otherwise real time goes on until the first move."""
        if self._start_time is not None:
            self._move(self._start_time)

    def stop(self) -> None:
        """Give the process its real time back."""
        if self._travel is not None:
            self._travel.stop()
            self._travel = None

    @property
    def offset(self) -> float:
        """Seconds by which virtual time is ahead of real time."""
        return 0.0 if self._travel is None else self.now().timestamp() - real_time()

    @staticmethod
    def now() -> datetime:
        """The virtual time."""
        return datetime.now(UTC)

    def on_jump(self, listener: Callable[[], None]) -> None:
        """Call the listener after each move."""
        self._listeners.append(listener)

    def move_to(self, moment: datetime) -> None:
        """Jump forward to the moment; never backwards."""
        if moment > self.now():
            self._move(moment)
            for listener in self._listeners:
                listener()

    def move_by(self, delta: timedelta) -> None:
        """Jump forward by a length of time."""
        self.move_to(self.now() + delta)

    def _move(self, moment: datetime) -> None:
        previous, self._travel = self._travel, time_machine.travel(moment, tick=True)
        if previous is not None:
            previous.stop()
        self._travel.start()
