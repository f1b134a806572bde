"""Calls keep to a rate that nobody publishes: few are refused, no time is wasted, and what slowed down speeds up again."""

import math
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from ecr_governor.adapters.pace import ATTEMPTS, BELOW, CUT, DOUBLING, FLOOR, PASSING, PATIENCE_SECONDS, RECONNECTS, RISE, START, Pace
from ecr_governor.app.errors import Throttled

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATION = "ecr:DescribeImages"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.during_sleep: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        self.during_sleep()


class Quota:
    """AWS's side: a token bucket that refuses."""

    def __init__(self, clock: Clock, rate: float, burst: float) -> None:
        self.clock, self.rate, self.burst = clock, rate, burst
        self.tokens, self.at = burst, clock.now
        self.taken = self.refused = 0

    def __call__(self) -> int:
        self.tokens = min(self.burst, self.tokens + (self.clock.now - self.at) * self.rate)
        self.at = self.clock.now
        if self.tokens < 1:
            self.refused += 1
            raise refusal()
        self.tokens -= 1
        self.taken += 1
        return self.taken


def refusal(code: str = "ThrottlingException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "DescribeImages")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pace_of(clock: Clock, rate: float, **limits: float) -> Pace:
    return Pace(rate, {f"ecr:{name}": limit for name, limit in limits.items()}, clock=clock, sleep=clock.sleep, chance=lambda: 0.5)


@pytest.mark.parametrize("rate", [1, 7, 20, 100, 1000])
def test_the_rate_is_kept_and_used_in_full(clock: Clock, rate: float) -> None:
    pace, begun, calls = pace_of(clock, rate), clock.now, int(50 * max(rate, 10))
    for _ in range(calls):
        pace.wait(OPERATION)
        pace.succeeded(OPERATION)
    start = 0.0 if rate <= START else DOUBLING * math.log2(rate / START)
    assert (calls - 5) / rate - 1e-6 <= clock.now - begun <= calls / rate + start + 0.1


def test_a_rate_above_the_start_is_reached_by_doubling(clock: Clock) -> None:
    pace, begun = pace_of(clock, 1000), clock.now
    while pace.rate(OPERATION) < 640:
        pace.wait(OPERATION)
        pace.succeeded(OPERATION)
    assert clock.now - begun == pytest.approx(math.log2(640 / START) * DOUBLING, abs=0.2)


@pytest.mark.parametrize("rate", [1, 3, 7, 20, 100, 0.7])
def test_no_second_sees_more_calls_than_the_rate(clock: Clock, rate: float) -> None:
    pace, chance, sent = pace_of(clock, rate), random.Random(7), list[float]()
    for _ in range(600):
        if chance.random() < 0.1:
            clock.now += chance.random() * 3
        if chance.random() < 0.03:
            pace.throttled(OPERATION)
        pace.wait(OPERATION)
        pace.succeeded(OPERATION)
        sent.append(clock.now)
    most, window = max(1, int(rate)), max(1, int(rate)) / rate
    assert all(later - earlier >= window - 1e-6 for earlier, later in zip(sent, sent[most:], strict=False))


def test_many_threads_keep_the_rate_together() -> None:
    pace, begun = Pace(START), time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: pace.wait(OPERATION), range(30)))
    # A thread may wake late, but never before its turn.
    assert time.monotonic() - begun >= (30 - 5) / START - 0.01


@pytest.mark.parametrize("limit", [100, 1000, 10_000])
def test_few_calls_are_refused_even_if_many_are_under_way_at_the_start(clock: Clock, limit: float) -> None:
    """Calls take a while, so that a refusal is known only after others have gone."""
    quota, pace, answers = Quota(clock, 20, 20), pace_of(clock, limit), list[tuple[float, float, bool]]()
    for _ in range(1200):
        while (answers and answers[0][0] <= clock.now) or len(answers) >= 64:
            known_at, sent_at, fine = answers.pop(0)
            clock.now = max(clock.now, known_at)
            pace.succeeded(OPERATION) if fine else pace.throttled(OPERATION, sent_at)
        pace.wait(OPERATION)
        try:
            quota()
        except ClientError:
            answers.append((clock.now + 0.05, clock.now, False))
        else:
            answers.append((clock.now + 0.05, clock.now, True))
    assert quota.refused <= 0.01 * 1200


def test_after_a_pause_no_more_than_a_small_burst_goes_at_once(clock: Clock) -> None:
    pace = pace_of(clock, 20)
    pace.wait(OPERATION)
    clock.now += 3600
    begun = clock.now
    at_once = 0
    while clock.now - begun < 1e-6:
        pace.wait(OPERATION)
        at_once += clock.now - begun < 1e-6
    assert at_once == 5


def test_each_operation_has_a_bucket_of_its_own_and_known_limits_hold(clock: Clock) -> None:
    pace, begun = pace_of(clock, 20, GetLifecyclePolicy=10), clock.now
    for _ in range(5):
        for operation in ("DescribeImages", "GetRepositoryPolicy"):
            pace.wait(f"ecr:{operation}")
    assert clock.now == begun
    assert pace.rate("ecr:GetLifecyclePolicy") == 10
    assert pace_of(clock, 5, GetLifecyclePolicy=10).rate("ecr:GetLifecyclePolicy") == 5


def test_a_refusal_cuts_the_rate_of_its_operation_down_to_a_floor(clock: Clock) -> None:
    pace = pace_of(clock, 20)
    pace.throttled(OPERATION)
    assert (pace.rate(OPERATION), pace.rate("ecr:GetRepositoryPolicy")) == (20 * CUT, 20)
    for _ in range(20):
        pace.throttled(OPERATION)
    assert pace.rate(OPERATION) == FLOOR


def test_the_first_refusal_tells_the_limit_by_what_was_let_through(clock: Clock) -> None:
    pace = pace_of(clock, 10_000)
    # A bucket of 40 calls that gains 40 a second, called 60 times a second: after 2 seconds it is empty.
    for _ in range(120):
        pace.succeeded(OPERATION)
        clock.now += 1 / 60
    pace.throttled(OPERATION)
    assert pace.rate(OPERATION) == pytest.approx(40 * BELOW, rel=0.05)


def test_a_slow_beginning_does_not_hide_the_limit(clock: Clock) -> None:
    pace = pace_of(clock, 10_000)
    for calls, rate in ((50, 5), (120, 60)):
        for _ in range(calls):
            pace.succeeded(OPERATION)
            clock.now += 1 / rate
    pace.throttled(OPERATION)
    assert pace.rate(OPERATION) == pytest.approx(40 * BELOW, rel=0.05)


def test_a_later_refusal_tells_the_limit_by_what_was_let_through_since(clock: Clock) -> None:
    pace = pace_of(clock, 100)
    pace.throttled(OPERATION)
    for _ in range(200):
        pace.succeeded(OPERATION)
        clock.now += 0.05
    pace.throttled(OPERATION)
    assert pace.rate(OPERATION) == pytest.approx(20 * BELOW, rel=0.05)


def test_calls_that_were_under_way_together_are_refused_once(clock: Clock) -> None:
    pace = pace_of(clock, 20)
    sent_at = clock.now
    clock.now += 0.1
    for _ in range(16):
        pace.throttled(OPERATION, sent_at)
    assert pace.rate(OPERATION) == 20 * CUT


def test_a_turn_that_was_given_before_a_refusal_is_given_anew(clock: Clock) -> None:
    pace = pace_of(clock, 20)
    for _ in range(5):
        pace.wait(OPERATION)
    begun = clock.now

    def refuse_once() -> None:
        clock.during_sleep = lambda: None
        pace.throttled(OPERATION)

    clock.during_sleep = refuse_once
    pace.wait(OPERATION)
    assert clock.now - begun == pytest.approx(0.05 + 1 / pace.rate(OPERATION))


def test_the_rate_recovers_little_by_little_up_to_the_limit(clock: Clock) -> None:
    pace = pace_of(clock, 20)
    pace.throttled(OPERATION)
    begun, rates = clock.now, [pace.rate(OPERATION)]
    while pace.rate(OPERATION) < 20:
        pace.wait(OPERATION)
        pace.succeeded(OPERATION)
        rates.append(pace.rate(OPERATION))
    assert rates == sorted(rates)
    assert clock.now - begun == pytest.approx(math.log(1 / CUT) / RISE, rel=0.1)
    pace.succeeded(OPERATION)
    assert pace.rate(OPERATION) == 20


@pytest.mark.parametrize(("rate", "refused"), [(10, 0), (20, 0), (30, 0.01), (100, 0.01), (1000, 0.01), (10_000, 0.01)])
def test_under_a_quota_hardly_a_call_is_refused_and_little_time_lost(clock: Clock, rate: float, refused: float) -> None:
    calls = 2000
    quota, begun = Quota(clock, 20, 20), clock.now
    pace = pace_of(clock, rate)
    for _ in range(calls):
        pace.call(OPERATION, quota)
    floor = (calls - 20) / min(20, rate)
    assert clock.now - begun <= 1.15 * floor
    assert quota.refused <= refused * calls


def test_a_quota_far_below_the_rate_is_found(clock: Clock) -> None:
    quota, pace = Quota(clock, 1, 1), pace_of(clock, 50)
    for _ in range(200):
        pace.call(OPERATION, quota)
    assert quota.taken == 200


@pytest.mark.parametrize("code", sorted(PASSING))
def test_whoever_is_refused_for_ever_gives_up(clock: Clock, code: str) -> None:
    made = 0

    def refused() -> None:
        nonlocal made
        made += 1
        raise refusal(code)

    begun = clock.now
    with pytest.raises(Throttled, match=f"{OPERATION}: {code}"):
        pace_of(clock, 20).call(OPERATION, refused)
    assert made <= ATTEMPTS
    assert clock.now - begun < 2 * PATIENCE_SECONDS


def test_where_no_answer_comes_it_is_tried_again_in_turn_and_the_rate_stays(clock: Clock) -> None:
    pace, answers = pace_of(clock, 20), iter([Throttled("reset"), Throttled("reset"), None])

    def attempt() -> str:
        if (trouble := next(answers)) is not None:
            raise trouble
        return "answer"

    assert pace.call(OPERATION, attempt) == "answer"
    assert pace.rate(OPERATION) == 20


def test_where_no_answer_comes_three_times_in_a_row_there_is_none(clock: Clock) -> None:
    made = 0

    def attempt() -> None:
        nonlocal made
        made += 1
        raise Throttled("reset") if made != 3 else refusal()

    with pytest.raises(Throttled, match="reset"):
        pace_of(clock, 20).call(OPERATION, attempt)
    assert made == 3 + RECONNECTS


def test_other_errors_are_passed_on_at_once_and_show_that_the_rate_is_fine(clock: Clock) -> None:
    pace = pace_of(clock, 20)
    pace.throttled(OPERATION)
    before = pace.rate(OPERATION)
    with pytest.raises(ClientError):
        pace.call(OPERATION, lambda: (_ for _ in ()).throw(refusal("RepositoryNotFoundException")))
    assert pace.rate(OPERATION) > before
