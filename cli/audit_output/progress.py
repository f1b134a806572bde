"""How far an audit is, on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn

SAY_EVERY = 10.0
"""Seconds between two lines where no bar can be drawn."""
RATE_OVER = 60.0
"""Seconds over which the rate is taken: long enough to be steady, short enough to show that AWS slows down."""
ROUGHLY = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class Watched(Protocol):
    """What tells how far it is. `total` is None until everything is listed."""

    listed: int
    total: int | None
    completed: int


class Pulse:
    """Says how far it is, how fast, and how long it will take; each of them only once it is known."""

    def __init__(self, watched: Watched, clock: Callable[[], float] = time.monotonic) -> None:
        self.watched = watched
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def said(self) -> str:
        """Say it as of now."""
        done, total = self.watched.completed, self.watched.total
        if total is None:
            self._seen.clear()
            self._rate(done)
            return f"{self.watched.listed:,} repositories listed so far" if self.watched.listed else "listing repositories"
        rate = self._rate(done)
        words = [f"{done:,} of {total:,} repositories"]
        if rate:
            words.append(f"{rate:.0f}/s" if rate >= 1 else f"{rate * 60:.0f} a minute")
            if done < total:
                words.append(f"about {_span((total - done) / rate)} left")
        return ", ".join(words)

    def _rate(self, done: int) -> float:
        now = self._clock()
        self._seen.append((now, done))
        while len(self._seen) > 1 and now - self._seen[1][0] >= RATE_OVER:
            self._seen.popleft()
        (since, before), seconds = self._seen[0], now - self._seen[0][0]
        return (done - before) / seconds if seconds and since != now else 0.0


@contextmanager
def shown(watched: Watched, where: str, *, quiet: bool, console: Console | None = None) -> Iterator[None]:
    """Show progress while the block runs. `console` is one that shares the terminal with what is printed; without it stderr's."""
    pulse = Pulse(watched)
    if quiet:
        yield
    elif sys.stderr.isatty():
        with _Bar(pulse, where, console or Console(stderr=True)):
            yield
    else:
        with _lines(pulse, where):
            yield


class _Bar(Progress):
    """A bar that asks how far it is whenever it is drawn, and vanishes in the end."""

    def __init__(self, pulse: Pulse, where: str, console: Console) -> None:
        self._pulse = pulse
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[said]}"))
        # What is written to stdout may be meant for another program, so that it is left alone.
        super().__init__(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False, refresh_per_second=5)
        self._bar = self.add_task(where, total=None, said="")

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.task_ids:
            watched = self._pulse.watched
            self.update(self._bar, total=watched.total, completed=watched.completed, said=self._pulse.said())
        yield from super().get_renderables()


@contextmanager
def _lines(pulse: Pulse, where: str) -> Iterator[None]:
    ended = threading.Event()

    def say() -> None:
        pulse.said()
        while not ended.wait(SAY_EVERY):
            sys.stderr.write(f"{where}: {pulse.said()}\n")

    thread = threading.Thread(target=say, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _span(seconds: float) -> str:
    """Say roughly how long: two units at most would pretend to know, one is enough."""
    unit, name = next((unit, name) for unit, name in ROUGHLY if seconds >= unit or unit == 1)
    count = max(1, round(seconds / unit))
    return f"{count} {name}{'' if count == 1 else 's'}"
