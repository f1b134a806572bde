"""A small registry behind the counting server, shared by a module's tests."""

from collections.abc import Iterator

import pytest

from benchmarks.account import Repository, account, midnight
from benchmarks.served import Served

SIZE, SEED = 130, 3


@pytest.fixture(scope="module")
def repositories() -> list[Repository]:
    return account(SIZE, SEED, midnight())


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    with Served(SIZE, SEED) as server:
        yield server


@pytest.fixture
def served(running: Served) -> Iterator[Served]:
    """The server as it was at first, before and after a test."""
    running.ask("configure", latency_ms=0, quota=0)
    yield running
    running.ask("restore")
    running.ask("configure", latency_ms=0, quota=0)
