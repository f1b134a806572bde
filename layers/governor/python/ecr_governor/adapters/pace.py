"""Keeps calls within rates that AWS does not publish: for each operation a bucket of its own, slower after every refusal."""

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeVar

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import THROTTLES, code_of
from ecr_governor.app.errors import Throttled

Value = TypeVar("Value")

# The tagging API and CloudWatch have words of their own.
PASSING: Final = THROTTLES | {"ThrottledException", "InternalServiceException", "InternalServiceFault", "InternalServiceError", "429"}
NO_LIMITS: Final[Mapping[str, float]] = MappingProxyType({})
START = 30.0
"""Calls a second that an operation begins with, if its limit is above. Many calls may be under way before the first is refused."""
DOUBLING = 0.35
"""Seconds in which a rate doubles until it reaches its limit or the first call is refused."""
FLOOR = 0.5
"""Calls a second that an operation keeps, however often it is refused."""
BELOW = 0.9
"""The share of what AWS seems to allow that is asked for after a refusal. What is saved is not lost: AWS lets it be made up for."""
CUT = 0.63
"""What is left of a rate where refusals come so quickly that the calls between them tell nothing."""
LONG_ENOUGH = 4.0
"""Seconds between two refusals after which the calls that were let through meanwhile tell the limit."""
RESERVE_SECONDS = 1.0
"""AWS's reserve, in seconds of calls, that a first refusal finds used up. AWS does not publish it: if it is larger, the first estimate
is too high, and the next refusal mends it."""
REMEMBERED = 1000
"""Calls before the first refusal that tell the limit."""
RISE = 0.02
"""By how much of itself a rate rises in a second afterwards, and by at least `LEAST_RISE` calls a second. A steeper rise meets AWS's
limit more often: this one is refused about once in 300 calls."""
LEAST_RISE = 0.1
BURST_SECONDS = 0.25
MOST_BURST = 5.0
ATTEMPTS = 10
PATIENCE_SECONDS = 120.0
RECONNECTS = 3
"""Attempts that may fail in a row without any answer."""
FIRST_DELAY = 0.25
LONGEST_DELAY = 8.0


@dataclass(slots=True)
class _Bucket:
    limit: float
    rate: float
    # No more than `most` calls within `window` seconds, and when those of the last window were and the next will be.
    most: int
    window: float
    turns: deque[float] = field(default_factory=deque)
    # When the bucket will be full again, had nobody called; a call is let through while that is less than a burst away.
    full_at: float = 0.0
    cut_at: float = field(default=float("-inf"))
    # When calls were let through before the first refusal; how many were since the last one.
    early: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    passed: int = 0

    def pass_one(self, now: float) -> None:
        """Count a call that was let through."""
        if self.cut_at == float("-inf"):
            self.early.append(now)
        self.passed += 1

    def raised(self) -> float:
        """The rate after one more call was let through."""
        if self.cut_at == float("-inf"):
            return min(self.limit, self.rate + math.log(2) / DOUBLING)
        return min(self.limit, self.rate + max(RISE, LEAST_RISE / self.rate))

    def lowered(self, now: float) -> float:
        """The rate after a call was refused: a little less than what AWS let through, where that tells its limit."""
        if self.early:
            # No stretch of time can have seen more calls than AWS allows in it and its reserve together.
            allowed = max((count + 1) / (now - since + RESERVE_SECONDS) for count, since in enumerate(reversed(self.early)))
            self.early.clear()
        elif LONG_ENOUGH <= now - self.cut_at < math.inf:
            allowed = self.passed / (now - self.cut_at)
        else:
            return max(FLOOR, CUT * self.rate)
        return max(FLOOR, BELOW * min(self.rate, allowed))


class Pace:
    """At most `rate_per_second` calls of each operation, those in `limits` at theirs if it is lower. For any number of threads.

    No second sees more calls than that. A rate begins low and rises quickly until it is at its limit or AWS refuses a call for it. Then
    it is cut to less than AWS let through, and recovers little by little with every call that is let through.
    """

    def __init__(
        self,
        rate_per_second: float,
        limits: Mapping[str, float] = NO_LIMITS,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._rate = rate_per_second
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    def wait(self, operation: str) -> None:
        """Wait for the operation's turn. Turns are given in the order in which they are asked for."""
        while True:
            with self._lock:
                bucket, now = self._bucket(operation), self._clock()
                turn, cut_at = max(now, bucket.full_at - self._burst(bucket)), bucket.cut_at
                while bucket.turns and bucket.turns[0] + bucket.window <= now:
                    bucket.turns.popleft()
                if len(bucket.turns) >= bucket.most:
                    turn = max(turn, bucket.turns[-bucket.most] + bucket.window)
                bucket.turns.append(turn)
                bucket.full_at = max(bucket.full_at, now) + 1 / bucket.rate
            if turn <= now:
                return
            self._sleep(turn - now)
            with self._lock:
                # A turn that was given at the rate before the cut is worth nothing after it.
                if bucket.cut_at == cut_at:
                    return

    def throttled(self, operation: str, sent_at: float | None = None) -> None:
        """AWS refused a call for its rate: empty the bucket and lower its rate.

        Calls that were under way together are refused together: one that was sent before the last cut cuts no further.
        """
        with self._lock:
            bucket, now = self._bucket(operation), self._clock()
            if sent_at is not None and sent_at < bucket.cut_at:
                return
            bucket.rate = bucket.lowered(now)
            bucket.cut_at, bucket.passed = now, 0
            bucket.full_at = now + self._burst(bucket) + 1 / bucket.rate
            # Whoever still waits for a turn will ask for another.
            while bucket.turns and bucket.turns[-1] > now:
                bucket.turns.pop()

    def succeeded(self, operation: str) -> None:
        """AWS let a call through: a step towards the full rate."""
        known = self._buckets.get(operation)
        if known is not None and known.rate >= known.limit:
            known.pass_one(self._clock())
            return
        with self._lock:
            bucket = self._bucket(operation)
            bucket.pass_one(self._clock())
            if bucket.rate < bucket.limit:
                bucket.rate = bucket.raised()

    def rate(self, operation: str) -> float:
        """Calls a second of the operation at present."""
        with self._lock:
            return self._bucket(operation).rate

    def call(self, operation: str, attempt: Callable[[], Value]) -> Value:
        """Call in turn, and again while AWS refuses for the rate of calls or, some times, where no answer came.

        Raises Throttled when patience ends.
        """
        begun, unanswered = self._clock(), 0
        for number in range(ATTEMPTS):
            self.wait(operation)
            sent_at = self._clock()
            try:
                answer = attempt()
            except ClientError as error:
                code = code_of(error)
                if code not in PASSING:
                    self.succeeded(operation)
                    raise
                self.throttled(operation, sent_at)
                unanswered = 0
                if number == ATTEMPTS - 1 or self._clock() - begun > PATIENCE_SECONDS:
                    raise Throttled(f"{operation}: {code}") from error
            except Throttled:
                # No answer at all says nothing of the rate.
                unanswered += 1
                if unanswered == RECONNECTS or number == ATTEMPTS - 1:
                    raise
            else:
                self.succeeded(operation)
                return answer
            self._sleep(min(LONGEST_DELAY, FIRST_DELAY * 2**number) * (0.5 + self._chance() / 2))
        raise AssertionError("unreachable")

    def _bucket(self, operation: str) -> _Bucket:
        found = self._buckets.get(operation)
        if found is None:
            limit = max(FLOOR, min(self._rate, self._limits.get(operation, self._rate)))
            most = max(1, int(limit))
            found = self._buckets[operation] = _Bucket(limit, min(limit, START), most, most / limit)
        return found

    @staticmethod
    def _burst(bucket: _Bucket) -> float:
        """Give how far ahead of its time a call may be: a burst less the call itself."""
        return max(0.0, min(MOST_BURST, bucket.rate * BURST_SECONDS) - 1) / bucket.rate
