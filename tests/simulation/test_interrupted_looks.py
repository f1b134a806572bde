"""The shortest schedules that once broke an invariant, each by hand."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from ecr_governor.app.pushes import take_note
from ecr_governor.app.reconcile import Services, reconcile
from ecr_governor.core.finding import FindingState
from ecr_governor.core.origin import Actor, Creation, News, Push
from ecr_governor.core.record import WRITE_ROUNDS_PER_HOUR, Change, Trigger
from ecr_governor.core.remedy import PutImageTagMutability
from ecr_governor.core.repository import TagMutability, TagMutabilitySetting
from tests.fakes import ENFORCING, HOUR, T0, FakeRegistry, FixedPolicy, InMemoryLedger, a_policy, a_repository

NAME = "payments/api"
CI = Actor("arn:aws:sts::123456789012:assumed-role/ci/build-1", "123456789012", "AssumedRole")
PUSHED = News(pushes=(Push("p1", T0 + timedelta(seconds=4), CI, "v1", "sha256:1"),))
MINUTE = timedelta(minutes=1)


class Crash(Exception):
    pass


class World:
    """One repository, bare, under an enforcing policy."""

    def __init__(self, name: str = NAME) -> None:
        self.registry = FakeRegistry(a_repository(name))
        self.ledger = InMemoryLedger()
        self.policies = FixedPolicy(a_policy(ENFORCING))

    def look(self, at: datetime = T0, news: News = PUSHED, name: str = NAME) -> Change | None:
        return reconcile(name, news, Trigger("PutImage", "ci/build-1"), Services(self.registry, self.ledger, self.policies), at)

    def crash_after(self, writes: int, at: datetime = T0) -> None:
        """A look that ends after so many writes to ECR."""
        counter = count(1)

        def crash(*_: object) -> None:
            if next(counter) == writes:
                raise Crash

        self.registry.on_apply = crash
        try:
            self.look(at)
        except Crash:
            pass
        else:
            raise AssertionError("the look was not interrupted")
        finally:
            self.registry.on_apply = lambda _repository, _remedy: None

    def change(self, name: str = NAME, **facts: Any) -> None:
        self.registry.repositories[name] = replace(self.registry.repositories[name], **facts)

    def told(self, key: str) -> list[Any]:
        return [each for entry in self.ledger.all_entries if entry.kind == "change" for each in entry.body[key]]


def test_what_two_interrupted_looks_did_is_recorded_for_both() -> None:
    world = World()
    world.crash_after(1)
    world.crash_after(1)
    world.look()
    recorded = {*world.told("recovered"), *(outcome["words"] for outcome in world.told("outcomes"))}
    assert len(world.registry.writes) == 3
    assert len(recorded) == 3


def test_a_look_that_is_interrupted_counts_against_the_budget() -> None:
    world = World()
    for minute in range(3 * WRITE_ROUNDS_PER_HOUR):
        world.change(lifecycle_policy=None, tags={"owner": "somebody"}, tag_mutability=TagMutabilitySetting(TagMutability.IMMUTABLE))
        try:
            world.crash_after(1, T0 + minute * MINUTE)
        except AssertionError:
            break
    assert len(world.registry.writes) <= WRITE_ROUNDS_PER_HOUR


def test_a_push_noted_while_a_look_writes_does_not_make_it_forget_the_round() -> None:
    world = World()
    world.look()
    for minute in range(1, 3 * WRITE_ROUNDS_PER_HOUR):
        at = T0 + minute * MINUTE
        push = News(pushes=(Push(f"p{minute + 1}", at, CI, "v1", "sha256:1"),))
        world.change(lifecycle_policy=None)

        def note(*_: object, push: News = push, at: datetime = at) -> None:
            take_note(NAME, push, world.ledger, world.policies, at)

        world.registry.on_apply = note
        world.look(at)
    assert len([write for write in world.registry.writes if type(write).__name__ == "PutLifecyclePolicy"]) <= WRITE_ROUNDS_PER_HOUR


def test_the_first_look_may_be_interrupted_and_the_repository_is_still_announced_as_new() -> None:
    world = World()
    world.crash_after(1)
    change = world.look()
    assert change is not None
    assert change.discovered


def test_what_drifts_between_the_write_and_the_look_after_it_is_announced_too() -> None:
    world = World()
    world.look()
    world.change(lifecycle_policy=None)
    world.policies.policy = a_policy(ENFORCING + "rules: {tag-mutability: audit}\n")

    def drift(_repository: object, remedy: object) -> None:
        assert not isinstance(remedy, PutImageTagMutability)
        world.change(tag_mutability=TagMutabilitySetting(TagMutability.MUTABLE))

    world.registry.on_apply = drift
    change = world.look(T0 + MINUTE)
    record = world.ledger.read(NAME)
    assert record is not None
    assert [finding.rule for finding in record.open_findings()] == ["tag-mutability"]
    assert change is not None
    assert "tag-mutability" in {finding.rule for finding in change.opened}


def test_what_was_open_when_a_repository_was_deleted_and_created_again_is_said_to_be_closed() -> None:
    world = World("paymets/api")
    world.policies.policy = a_policy(ENFORCING.replace("mode: enforce", "mode: audit"))
    world.look(name="paymets/api")
    world.registry.repositories["paymets/api"] = a_repository(
        "paymets/api", created_at=T0 + HOUR, tag_mutability=TagMutabilitySetting(TagMutability.IMMUTABLE)
    )
    world.look(T0 + HOUR, News(), "paymets/api")
    resolved = {finding["rule"] for finding in world.told("resolved")}
    assert "tag-mutability" in resolved


def test_what_was_done_before_the_repository_vanished_is_recorded() -> None:
    world = World()
    world.registry.on_apply = lambda *_: world.registry.repositories.clear()
    change = world.look()
    assert len(world.registry.writes) == 1
    assert change is not None
    assert change.gone
    assert [outcome["status"] for outcome in world.told("outcomes")] == ["applied", "gone", "gone"]


def test_a_push_to_a_repository_created_again_is_not_lost_to_the_one_before_it() -> None:
    world = World()
    world.look()
    again = T0 + HOUR
    creation = News(creation=Creation("c2", again, replace(CI, invoked_by="ecr.amazonaws.com")))
    push = News(pushes=(Push("p2", again + timedelta(seconds=3), CI, "v1", "sha256:2"),))
    world.registry.repositories[NAME] = a_repository(created_at=again)
    if not take_note(NAME, push, world.ledger, world.policies, again + MINUTE):
        world.look(again + MINUTE, push)
    world.look(again + MINUTE, creation)
    record = world.ledger.read(NAME)
    assert record is not None
    assert record.provenance.pusher == CI
    assert {finding.state for finding in record.findings} == {FindingState.RESOLVED}


def test_a_repository_created_again_while_it_is_put_right_is_discovered() -> None:
    world = World()

    def recreate(_repository: object, remedy: object) -> None:
        if isinstance(remedy, PutImageTagMutability):
            world.registry.repositories[NAME] = a_repository(created_at=T0 + MINUTE)

    world.registry.on_apply = recreate
    world.look(news=News())
    world.registry.on_apply = lambda _repository, _remedy: None
    world.look(T0 + 2 * MINUTE, News())
    written = [entry.body for entry in world.ledger.all_entries if entry.kind == "change"]
    assert [(body["discovered"], body["gone"]) for body in written][-1] == (True, False)
    assert world.told("opened")[-1]["opened_at"] == (T0 + 2 * MINUTE).isoformat()
