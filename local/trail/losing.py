"""Events that are lost on purpose between CloudTrail and EventBridge, to see what a system does that misses some."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Losses:
    """Loses a share of the events of calls that change something.

    Whether an event is lost depends on the seed, its name, its repository and how many such events there were before, not on
    what other threads do meanwhile: the same calls lose the same events.
    """

    def __init__(self) -> None:
        self.share = 0.0
        self.seed = 0
        self.events: list[dict[str, str]] = []
        """What was lost: repository, event and its id, in order."""
        self._seen: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.events)

    def begin(self, share: float, seed: int = 0) -> None:
        """Lose this share from now on, 0 for none. What was lost before stays listed. Raises ValueError."""
        if not 0 <= share <= 1:
            raise ValueError(f"the share is a number from 0 to 1, not {share}")
        with self._lock:
            self.share, self.seed = share, seed
            self._seen.clear()

    def strikes(self, record: Mapping[str, Any]) -> bool:
        """Whether this record's event is lost; if so, note it."""
        if not self.share:
            return False
        arn = next((one["ARN"] for one in record.get("resources") or ()), "")
        name, repository = str(record["eventName"]), arn.partition(":repository/")[2]
        with self._lock:
            self._seen[name, repository] += 1
            number = self._seen[name, repository]
            lost = random.Random(f"{self.seed}/{name}/{repository}/{number}").random() < self.share  # noqa: S311 -- repeatable
            if lost:
                self.events.append({"repository": repository, "event": name, "id": str(record["eventID"])})
        return lost

    def told(self) -> dict[str, Any]:
        """What is being lost, and what was."""
        with self._lock:
            return {"share": self.share, "seed": self.seed, "lost": len(self.events), "events": list(self.events)}
