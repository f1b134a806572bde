"""Threads of which one runs at a time: whoever pauses lets the chooser say who goes on. The same choices give the same run."""

import threading
from collections.abc import Callable, Mapping


class _Actor:
    def __init__(self, name: str) -> None:
        self.name = name
        self.go = threading.Lock()
        self.go.acquire()


class Baton:
    """Runs bodies against each other. `choose(n)` picks who goes on out of n."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self._live: list[_Actor] = []
        self._running: _Actor | None = None
        self._over = threading.Lock()
        self._trouble: list[BaseException] = []

    @property
    def holder(self) -> str:
        """Who is running; nobody's name is empty."""
        return self._running.name if self._running else ""

    def pause(self) -> None:
        """Let somebody else go first, perhaps."""
        me = self._running
        if me is None:
            return
        chosen = self._live[self._choose(len(self._live))]
        if chosen is not me:
            self._running = chosen
            chosen.go.release()
            me.go.acquire()

    def run(self, bodies: Mapping[str, Callable[[], None]]) -> None:
        """Run all bodies to their ends; what one of them raises is raised here."""
        self._live = [_Actor(name) for name in bodies]
        threads = [
            threading.Thread(target=self._play, args=(actor, body), daemon=True)
            for actor, body in zip(self._live, bodies.values(), strict=True)
        ]
        self._over.acquire()
        for thread in threads:
            thread.start()
        self._running = self._live[self._choose(len(self._live))]
        self._running.go.release()
        self._over.acquire()
        self._over.release()
        for thread in threads:
            thread.join()
        if self._trouble:
            raise self._trouble[0]

    def _play(self, actor: _Actor, body: Callable[[], None]) -> None:
        actor.go.acquire()
        try:
            body()
        except BaseException as trouble:  # noqa: BLE001 - it is raised where `run` was called
            self._trouble.append(trouble)
        self._live.remove(actor)
        if self._live:
            self._running = self._live[self._choose(len(self._live))]
            self._running.go.release()
        else:
            self._running = None
            self._over.release()
