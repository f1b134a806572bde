"""Counts the API calls of each function, and kills one's process at a chosen call, before or after the call took effect."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.lambdas.function import Function
    from local.lambdas.service import Lambdas

REMEMBERED = 10_000
"""Calls of a function whose names are kept."""
SESSION = "ASIA"
"""How access keys of roles begin."""


class Passage(Enum):
    """What becomes of a call."""

    FREE = "goes through"
    LAST = "goes through, and its caller does not live to see the answer"
    STOPPED = "has no effect: its caller is dead"


@dataclass(frozen=True)
class Kill:
    """A process that is to die, or has died, at a call."""

    function: str
    call: int
    when: str
    operation: str = ""


class Killing:
    """Stands at the gateway. A kill strikes once; the next invocation starts in a new process."""

    def __init__(self, lambdas: Lambdas) -> None:
        self._lambdas = lambdas
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._names: dict[str, deque[str]] = {}
        self._armed: dict[str, Kill] = {}
        self._dead: set[str] = set()
        self.done: list[Kill] = []

    def arm(self, function: str, call: int, when: str = "before") -> None:
        """Kill the function's process at this call of it, counted from now. Raises ValueError."""
        if call < 1 or when not in {"before", "after"}:
            raise ValueError("call is at least 1; when is before or after")
        with self._lock:
            self._forget(function)
            self._armed[function] = Kill(function, call, when)

    def clear(self) -> None:
        """Kill nobody any more."""
        with self._lock:
            self._armed.clear()

    def reset(self) -> None:
        """Count every function's calls anew."""
        with self._lock:
            for function in list(self._counts):
                self._forget(function)

    def _forget(self, function: str) -> None:
        self._counts.pop(function, None)
        self._names.pop(function, None)

    def calls(self) -> dict[str, dict[str, Any]]:
        """How many calls each function made since its counter was reset, and which (the latest 10,000)."""
        with self._lock:
            return {name: {"count": count, "operations": list(self._names[name])} for name, count in self._counts.items()}

    def told(self) -> dict[str, Any]:
        """Who is to be killed, and who was."""
        with self._lock:
            return {"armed": [asdict(kill) for kill in self._armed.values()], "killed": [asdict(kill) for kill in self.done]}

    def arrives(self, access_key_id: str, operation: str) -> Passage:
        """Count a call, and kill its caller if it is to die before it."""
        if not access_key_id.startswith(SESSION):
            return Passage.FREE
        function = self._owner(access_key_id)
        with self._lock:
            if access_key_id in self._dead:
                return Passage.STOPPED
            if function is None:
                return Passage.FREE
            name = function.config.name
            self._counts[name] += 1
            self._names.setdefault(name, deque(maxlen=REMEMBERED)).append(operation)
            kill = self._armed.get(name)
            if kill is None or kill.call != self._counts[name]:
                return Passage.FREE
            del self._armed[name]
            self.done.append(Kill(name, kill.call, kill.when, operation))
            # Its other threads may have calls on the way: none of them has an effect from here on.
            self._dead.add(access_key_id)
        if kill.when == "after":
            return Passage.LAST
        function.kill(access_key_id)
        return Passage.STOPPED

    def leaves(self, access_key_id: str) -> None:
        """Kill the caller of a call that was its last."""
        function = self._owner(access_key_id)
        if function is not None:
            function.kill(access_key_id)

    def _owner(self, access_key_id: str) -> Function | None:
        return next((function for function in self._lambdas if function.runs_with(access_key_id)), None)
