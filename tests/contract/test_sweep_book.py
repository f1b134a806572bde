"""Who sweeps, and how the last sweep ended: in memory as on DynamoDB."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from ecr_governor.adapters.ledger import DynamoDbLedger
from ecr_governor.adapters.sweep_book import DynamoDbSweepBook
from ecr_governor.app.errors import LeaseLost, SweepRunning
from ecr_governor.app.sweep.ports import SweepBook
from ecr_governor.core.record import GENESIS, entry_hash
from ecr_governor.core.sweep import EndedSweep, Lease
from local.server import EmbeddedAws
from tests.fakes import HOUR, T0
from tests.sweeping import MemoryBook

ENDED = EndedSweep("run-1", T0, T0 + HOUR, "sweeps/run-1/repositories", complete=True, registry="abc")


@dataclass
class Bench:
    """A book, and how to see the entries about sweeps."""

    book: SweepBook
    entries: Callable[[], list[Any]]


@pytest.fixture(params=["memory", "dynamodb"])
def bench(request: pytest.FixtureRequest, aws: EmbeddedAws, ledger_table: str) -> Bench:
    if request.param == "memory":
        memory = MemoryBook()
        return Bench(memory, lambda: list(memory.entries))
    client = aws.client("dynamodb")
    ledger = DynamoDbLedger(client, ledger_table)
    return Bench(DynamoDbSweepBook(client, ledger_table), lambda: [entry.body for entry in ledger.entries("@sweep")])


def take(bench: Bench, execution: str = "x", at: Any = T0) -> Lease:
    return bench.book.take_lease(execution, f"run-{execution}", at, at + HOUR)


def test_the_lease_is_taken_once(bench: Bench) -> None:
    lease = take(bench)
    assert (lease.execution, lease.run, lease.taken_at) == ("x", "run-x", T0)
    with pytest.raises(SweepRunning, match="run-x"):
        take(bench, "y", T0 + HOUR / 2)


def test_the_same_execution_goes_on_with_its_lease_and_its_run(bench: Bench) -> None:
    lease = take(bench)
    assert bench.book.take_lease("x", "run-other", T0 + HOUR / 2, T0 + 2 * HOUR) == lease
    with pytest.raises(SweepRunning):
        take(bench, "y", T0 + 1.5 * HOUR)


def test_a_lease_that_ran_out_is_anybodys_and_the_former_holder_is_told_so(bench: Bench) -> None:
    former = take(bench)
    later = take(bench, "y", T0 + 2 * HOUR)
    assert later.token > former.token
    with pytest.raises(LeaseLost):
        bench.book.renew_lease(former, T0 + 2 * HOUR, T0 + 3 * HOUR)
    with pytest.raises(LeaseLost):
        bench.book.end_sweep(former, ENDED, {"a": 1})
    assert bench.book.last_sweep() is None
    assert bench.entries() == []
    bench.book.renew_lease(later, T0 + 2 * HOUR, T0 + 5 * HOUR)
    with pytest.raises(SweepRunning):
        take(bench, "z", T0 + 4 * HOUR)


def test_the_same_execution_after_its_lease_was_taken_is_somebody_else(bench: Bench) -> None:
    former = take(bench)
    other = take(bench, "y", T0 + 2 * HOUR)
    bench.book.give_back(other)
    again = take(bench, "x", T0 + 3 * HOUR)
    assert again.token > other.token
    with pytest.raises(LeaseLost):
        bench.book.renew_lease(former, T0 + 3 * HOUR, T0 + 4 * HOUR)


def test_an_end_is_noted_told_and_gives_the_lease_back(bench: Bench) -> None:
    bench.book.end_sweep(take(bench), ENDED, {"complete": True})
    assert bench.book.last_sweep() == ENDED
    assert bench.entries() == [{"complete": True}]
    lease = take(bench, "y", T0 + HOUR / 2)
    bench.book.end_sweep(lease, replace(ENDED, run="run-2", complete=False), {"complete": False})
    last = bench.book.last_sweep()
    assert last is not None
    assert (last.run, last.complete) == ("run-2", False)
    assert bench.entries() == [{"complete": True}, {"complete": False}]


def test_a_lease_is_given_back_by_its_holder_only(bench: Bench) -> None:
    former = take(bench)
    later = take(bench, "y", T0 + 2 * HOUR)
    bench.book.give_back(former)
    with pytest.raises(SweepRunning):
        take(bench, "z", T0 + 2 * HOUR)
    bench.book.give_back(later)
    assert take(bench, "z", T0 + 2 * HOUR).run == "run-z"


def test_of_many_at_once_one_sweeps(aws: EmbeddedAws, ledger_table: str) -> None:
    book = DynamoDbSweepBook(aws.client("dynamodb"), ledger_table)

    def attempt(number: int) -> bool:
        try:
            book.take_lease(f"execution-{number}", f"run-{number}", T0, T0 + timedelta(hours=1))
        except SweepRunning:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(attempt, range(16))) == 1


def test_entries_about_sweeps_are_chained_and_are_no_repositories(aws: EmbeddedAws, ledger_table: str) -> None:
    client = aws.client("dynamodb")
    ledger, book = DynamoDbLedger(client, ledger_table), DynamoDbSweepBook(client, ledger_table)
    for number in range(3):
        lease = book.take_lease(f"x-{number}", f"run-{number}", T0, T0 + HOUR)
        book.end_sweep(lease, ENDED, {"number": number})
    previous = GENESIS
    for entry in ledger.entries("@sweep"):
        assert entry.previous == previous
        assert entry.hash == entry_hash("@sweep", entry.number, "sweep", entry.body, previous)
        previous = entry.hash
    assert list(ledger.all_records()) == []
