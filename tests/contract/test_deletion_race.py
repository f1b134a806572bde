"""Somebody pushes while a repository is being deleted, before each call of the deletion in turn: what was pushed survives."""

from typing import Any

import pytest

from ecr_governor.adapters.deleting import EcrDeleting
from ecr_governor.adapters.ledger import DynamoDbLedger
from ecr_governor.adapters.retiring import EcrRetiring
from ecr_governor.app.retirement.carrying_out import carry_out
from ecr_governor.app.retirement.cases import PEOPLE, Services, hear
from ecr_governor.app.retirement.recording import Done
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.retirement.state import Stage
from local import ecr
from local.server import EmbeddedAws
from tests.fakes import T0, FixedPolicy
from tests.retiring import DAY, MemoryRunBook, MemoryTombstones, MemoryWitnesses, retiring_policy

PAST = T0 - 400 * DAY
IMAGES = (
    ecr.SeedImage(tags=("v1",), content="one", pushed_at=PAST),
    ecr.SeedImage(platforms=("linux/amd64", "linux/arm64"), pushed_at=PAST),
)
CALLS = 12
"""More than a deletion makes: the last ones find it done."""


class Retiring:
    """One repository on its way out, with the real adapters of ECR and of the ledger."""

    def __init__(self, aws: EmbeddedAws, table: str, name: str) -> None:
        self.aws = aws
        self.name = name
        self.now = aws.clock.now()
        self.ledger = DynamoDbLedger(aws.client("dynamodb"), table)
        self.deleting = EcrDeleting(lambda: aws.client("ecr"))
        self.services = Services(
            EcrRetiring(lambda: aws.client("ecr")),
            self.ledger,
            FixedPolicy(retiring_policy()),
            MemoryWitnesses(),
            MemoryTombstones(),
            MemoryRunBook(),
        )
        ecr.seed([ecr.SeedRepository(name=name, created_at=PAST, images=IMAGES)])
        self.ledger.write(RepositoryRecord(name, created_at=PAST, watched_since=PAST))

    def step(self, to: Stage, *, deleting: EcrDeleting | None = None) -> Done:
        done = carry_out(self.name, to, hear(self.services, self.now), self.services, self.now, deleting)
        if done.stage is Stage.MARKED:
            self.ledger.mark_delivered(self.name, self.record.entries, PEOPLE, self.now)
        self.now += 10 * DAY
        return done

    @property
    def record(self) -> RepositoryRecord:
        found = self.ledger.read(self.name)
        assert found is not None
        return found

    def digests(self) -> set[str]:
        client = self.aws.client("ecr")
        try:
            found = client.describe_images(repositoryName=self.name, filter={"imageStatus": "ANY"})["imageDetails"]
        except client.exceptions.RepositoryNotFoundException:
            return set()
        return {image["imageDigest"] for image in found}


@pytest.fixture
def retiring(aws: EmbeddedAws, ledger_table: str, name: str) -> Retiring:
    made = Retiring(aws, ledger_table, name)
    for to in (Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED):
        assert made.step(to).stage is to
    return made


def push_before(aws: EmbeddedAws, name: str, number: int) -> tuple[list[str], Any]:
    """Have an image appear before the call of that number, whatever stands in the way of a push."""
    pushed: list[str] = []
    seen: list[str] = []

    def hook(model: Any, **_: Any) -> None:
        seen.append(model.name)
        if len(seen) == number + 1:
            repository = ecr.store.backend_of(None, ecr.store.REGION).repositories.get(name)
            if repository is not None:
                pushed.append(ecr.seeding.place(repository, ecr.SeedImage(tags=("new",), content=f"pushed {number}")))

    aws.client("ecr").meta.events.register("before-call.ecr", hook)
    return pushed, hook


@pytest.mark.parametrize("number", range(CALLS))
def test_what_is_pushed_during_a_deletion_survives_and_the_run_says_so(aws: EmbeddedAws, retiring: Retiring, number: int) -> None:
    pushed, hook = push_before(aws, retiring.name, number)
    done = retiring.step(Stage.DELETED, deleting=retiring.deleting)
    aws.client("ecr").meta.events.unregister("before-call.ecr", hook)
    if not pushed:
        assert done.stage is Stage.DELETED
        assert retiring.digests() == set()
        return
    assert set(pushed) <= retiring.digests()
    assert done.stage is None
    assert done.why
    # The next run takes back what is left, and lets it be pulled.
    assert retiring.step(Stage.OBSERVED).stage is Stage.OBSERVED
    assert set(pushed) <= retiring.digests()
    snapshot = retiring.services.registry.snapshot(retiring.name)
    assert snapshot is not None
    assert snapshot.policy is None
    assert retiring.record.retirement is not None
    assert not retiring.record.retirement.under_way


def test_undisturbed_all_of_it_goes_indexes_first(aws: EmbeddedAws, retiring: Retiring) -> None:
    assert len(retiring.digests()) == 4
    assert retiring.step(Stage.DELETED, deleting=retiring.deleting).stage is Stage.DELETED
    assert retiring.digests() == set()
