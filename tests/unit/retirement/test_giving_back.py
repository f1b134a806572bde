"""Giving back: at once, wholly, whatever else is under way, and remembered afterwards."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ecr_governor.app.errors import Denied, Refused, Throttled
from ecr_governor.app.retirement.cases import PEOPLE, Services
from ecr_governor.app.retirement.planning import carry_out_plan, plan
from ecr_governor.app.retirement.taking_back import release
from ecr_governor.core.retirement.evidence import Use
from ecr_governor.core.retirement.state import Stage
from tests.fakes import T0, FixedPolicy, InMemoryLedger
from tests.retiring import (
    DAY,
    ORIGINAL,
    MemoryRegistry,
    MemoryRunBook,
    MemoryTombstones,
    MemoryWitnesses,
    an_image,
    digest,
    retiring_policy,
    watched,
)

NAME = "payments/api"
REVERSIBLE = (Stage.OBSERVED, Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED)


class Account:
    """One repository that nobody uses, under terms of 30 days."""

    def __init__(self, images: int = 2) -> None:
        self.images = [an_image(number) for number in range(1, images + 1)]
        self.now = T0 + 40 * DAY
        self.registry = MemoryRegistry(lambda: self.now)
        self.ledger = InMemoryLedger()
        self.witnesses = MemoryWitnesses()
        self.services = Services(
            self.registry, self.ledger, FixedPolicy(retiring_policy()), self.witnesses, MemoryTombstones(), MemoryRunBook()
        )
        self.hold(NAME)

    def hold(self, name: str) -> None:
        self.registry.hold(name, *self.images, policy=ORIGINAL)
        self.ledger.records_by_name[name] = watched(name, T0, T0)

    def night(self, days: float = 0, stages: tuple[Stage, ...] = REVERSIBLE) -> None:
        self.now += days * DAY
        names = list(self.ledger.records_by_name)
        made = plan(names, len(names), stages, self.services, self.now)
        carry_out_plan(made, stages, self.services, self.now, self.registry)
        for entry in self.ledger.all_entries:
            if (
                entry.kind == "retirement"
                and entry.body["to"] == "marked"
                and not self.ledger.told_at(entry.repository, entry.number, PEOPLE)
            ):
                self.ledger.mark_delivered(entry.repository, entry.number, PEOPLE, self.now)

    def reach(self, stage: Stage) -> "Account":
        for days in (0, 8, 4)[: (Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED).index(stage) + 1]:
            self.night(days)
        assert self.stage() is stage
        return self

    def stage(self, name: str = NAME) -> Stage:
        retirement = self.ledger.records_by_name[name].retirement
        return retirement.stage if retirement else Stage.OBSERVED

    @property
    def statuses(self) -> set[str]:
        return {image.status for image in self.registry.repositories[NAME].images.values()}


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.mark.parametrize("stage", [Stage.QUARANTINED, Stage.ARCHIVED])
def test_after_a_refused_pull_it_is_let_alone_for_the_whole_time_again(account: Account, stage: Stage) -> None:
    account.reach(stage)
    release(NAME, "ci was refused", account.services, account.now)
    # What came back from the archive shows its own time as well; the refusal itself shows none.
    account.registry.repositories[NAME].images = {digest(1): an_image(1), digest(2): an_image(2)}
    for _ in range(30):
        account.night(1)
        assert account.stage() is Stage.OBSERVED
    account.night(1)
    assert account.stage() is Stage.MARKED


def test_a_task_that_has_ended_is_remembered_for_as_long(account: Account) -> None:
    account.witnesses.uses["ecs"] = [Use("a task", digest=digest(1))]
    account.night()
    account.witnesses.uses.clear()
    for _ in range(30):
        account.night(1)
        assert account.stage() is Stage.OBSERVED
    account.night(1)
    assert account.stage() is Stage.MARKED


def _during(account: Account, call: str, number: int) -> Callable[[], None]:
    """Have somebody be refused a pull before the call of that name and number."""
    seen: list[str] = []
    made = account.registry._called

    def hook(what: str, name: str) -> None:
        made(what, name)
        if what == call:
            seen.append(what)
            if len(seen) == number:
                release(NAME, "ci was refused", account.services, account.now)

    account.registry._called = hook  # type: ignore[method-assign]
    return lambda: setattr(account.registry, "_called", made)


@pytest.mark.parametrize("number", [1, 2])
def test_a_refusal_while_it_is_archived_is_not_overtaken(account: Account, number: int) -> None:
    account.reach(Stage.QUARANTINED)
    _during(account, "archive", number)
    account.night(4)
    assert account.stage() is Stage.OBSERVED
    assert account.statuses == {"ACTIVE"}
    held = account.registry.repositories[NAME]
    assert held.policy == ORIGINAL
    assert held.tags == {}


def test_a_refusal_while_it_is_deleted_stops_the_deletion() -> None:
    account = Account(images=250).reach(Stage.ARCHIVED)
    _during(account, "delete_images", 2)
    account.night(6, (Stage.DELETED,))
    # The batch that was under way went, and no other.
    assert len(account.registry.repositories[NAME].images) == 50
    assert account.stage() is Stage.OBSERVED


def test_a_return_that_was_interrupted_goes_on_when_the_refusal_comes_again(account: Account) -> None:
    account.reach(Stage.ARCHIVED)
    activate = account.registry.activate

    def fails(_name: str, _digest: str) -> None:
        raise Throttled("ecr:UpdateImageStorageClass")

    account.registry.activate = fails  # type: ignore[method-assign]
    with pytest.raises(Throttled):
        release(NAME, "ci was refused", account.services, account.now)
    assert account.registry.repositories[NAME].policy == ORIGINAL
    assert account.ledger.records_by_name[NAME].used_at == account.now
    account.registry.activate = activate  # type: ignore[method-assign]
    assert release(NAME, "ci was refused", account.services, account.now).stage is Stage.OBSERVED
    assert account.statuses == {"ACTIVE"}


def test_a_policy_that_ecr_does_not_take_any_more_does_not_keep_it_in_quarantine(account: Account) -> None:
    account.reach(Stage.QUARANTINED)
    set_policy = account.registry.set_policy

    def principal_is_gone(name: str, text: str | None) -> None:
        if text is not None:
            raise Refused("InvalidParameterException: Principal not found")
        set_policy(name, text)

    account.registry.set_policy = principal_is_gone  # type: ignore[method-assign]
    assert release(NAME, "ci was refused", account.services, account.now).stage is Stage.OBSERVED
    assert account.registry.repositories[NAME].policy is None
    assert account.ledger.all_entries[-1].body["lost_policy"] == ORIGINAL


def test_what_cannot_be_read_is_tried_again(account: Account) -> None:
    account.reach(Stage.QUARANTINED)
    account.registry.denied = {"policy"}
    with pytest.raises(Denied):
        release(NAME, "ci was refused", account.services, account.now)
    assert account.stage() is Stage.QUARANTINED


def test_only_an_operator_takes_back_what_is_only_marked(account: Account) -> None:
    account.reach(Stage.MARKED)
    assert release(NAME, "ci was refused", account.services, account.now).stage is None
    assert release(NAME, "alice asked for it", account.services, account.now, asked=True).stage is Stage.OBSERVED


def test_a_quarantine_that_a_dying_run_left_behind_is_released_by_a_refusal(account: Account) -> None:
    account.reach(Stage.QUARANTINED)
    inside = account.registry.repositories[NAME].policy
    release(NAME, "ci was refused", account.services, account.now)
    account.registry.repositories[NAME].policy = inside
    assert release(NAME, "ci was refused", account.services, account.now).stage is Stage.OBSERVED
    assert "EcrGovernorQuarantine" not in json.dumps(account.registry.repositories[NAME].policy)


def test_one_that_nobody_may_look_at_does_not_keep_the_others(account: Account) -> None:
    account.hold("search/web")
    account.night()
    assert account.stage("search/web") is Stage.MARKED
    account.registry.repositories["search/web"].tags.pop("ecr-governor:delete-after")
    snapshot = account.registry.snapshot

    def refuses(name: str) -> Any:
        if name == NAME:
            raise Denied("ecr:DescribeRepositories")
        return snapshot(name)

    account.registry.snapshot = refuses  # type: ignore[method-assign]
    account.night(1)
    assert account.stage("search/web") is Stage.OBSERVED


def test_steps_that_a_run_may_not_take_count_against_no_cap(account: Account) -> None:
    for number in range(2):
        account.hold(f"old/{number}")
    account.reach(Stage.MARKED)
    names, later = list(account.ledger.records_by_name), account.now + 8 * DAY
    assert plan(names, 3, REVERSIBLE, account.services, later).withheld
    assert plan(names, 3, [Stage.DELETED], account.services, later).withheld == ()


@pytest.mark.parametrize("stage", [Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED])
def test_what_somebody_keeps_is_given_back_and_let_alone_until_then_and_no_longer(account: Account, stage: Stage) -> None:
    account.reach(stage)
    done = release(NAME, "alice keeps it", account.services, account.now, asked=True, keep_until=account.now + 5 * DAY)
    assert done.stage is Stage.OBSERVED
    assert account.registry.repositories[NAME].policy == ORIGINAL
    assert not any(key.startswith("ecr-governor:") for key in account.registry.repositories[NAME].tags)
    # Otherwise the archive's own time would speak for it.
    account.registry.repositories[NAME].images = {digest(1): an_image(1), digest(2): an_image(2)}
    for _ in range(4):
        account.night(1)
        assert account.stage() is Stage.OBSERVED
    account.night(1)
    assert account.stage() is Stage.MARKED


def test_who_keeps_it_is_remembered_when_giving_it_back_is_interrupted(account: Account) -> None:
    account.reach(Stage.QUARANTINED)
    until = account.now + 20 * DAY

    def fail(name: str, text: str | None) -> None:
        raise Throttled("ecr")

    kept, account.registry.set_policy = account.registry.set_policy, fail  # type: ignore[method-assign]
    with pytest.raises(Throttled):
        release(NAME, "alice keeps it", account.services, account.now, asked=True, keep_until=until)
    account.registry.set_policy = kept  # type: ignore[method-assign]
    account.night(1)
    retirement = account.ledger.records_by_name[NAME].retirement
    assert retirement is not None
    assert (retirement.stage, retirement.not_before) == (Stage.OBSERVED, until)


def test_an_earlier_wish_is_not_shortened_by_a_later_one(account: Account) -> None:
    account.reach(Stage.MARKED)
    for days in (30, 3):
        release(NAME, "somebody keeps it", account.services, account.now, asked=True, keep_until=account.now + days * DAY)
    retirement = account.ledger.records_by_name[NAME].retirement
    assert retirement is not None
    assert retirement.not_before == account.now + 30 * DAY
