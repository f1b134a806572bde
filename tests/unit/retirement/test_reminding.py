"""Reminders are entries of the ledger: written once, whoever runs how often, and only while the mark is about to end."""

from collections.abc import Callable

import pytest

from ecr_governor.app.notify import CHAT
from ecr_governor.app.retirement.cases import Services
from ecr_governor.app.retirement.planning import carry_out_plan, plan
from ecr_governor.app.retirement.reminding import remind
from ecr_governor.core.record import break_in
from ecr_governor.core.retirement.state import Stage
from tests.fakes import T0, FixedPolicy, InMemoryLedger
from tests.retiring import (
    DAY,
    TERMS,
    MemoryRegistry,
    MemoryRunBook,
    MemoryTombstones,
    MemoryWitnesses,
    an_image,
    retiring_policy,
    watched,
)

NAME = "payments/api"
LONGER = ("grace_days: 7", "grace_days: 14")


class World:
    """One unused repository of a known owner, on its way out."""

    def __init__(self, change: Callable[[str], str] = lambda text: text.replace(*LONGER)) -> None:
        self.now = T0
        self.ledger = InMemoryLedger()
        self.policies = FixedPolicy(retiring_policy(change))
        self.registry = MemoryRegistry(lambda: self.now)
        self.registry.hold(NAME, an_image(1), tags={"owner": "alice"})
        self.ledger.records_by_name[NAME] = watched(NAME, T0, T0)
        self.services = Services(self.registry, self.ledger, self.policies, MemoryWitnesses(), MemoryTombstones(), MemoryRunBook())
        self.pass_days(32)
        assert self.stage is Stage.MARKED

    @property
    def stage(self) -> Stage:
        retirement = self.ledger.records_by_name[NAME].retirement
        return retirement.stage if retirement else Stage.OBSERVED

    def night(self, *, told: bool = True) -> None:
        made = plan([NAME], 1, tuple(Stage), self.services, self.now)
        carry_out_plan(made, [Stage.OBSERVED, Stage.MARKED], self.services, self.now)
        for _ in range(2):
            remind(made, self.services, self.now)
        for entry in self.ledger.all_entries if told else ():
            if entry.kind == "retirement" and not self.ledger.delivered(NAME, entry.number):
                self.ledger.mark_delivered(NAME, entry.number, CHAT, self.now)

    def pass_days(self, days: int, *, told: bool = True) -> None:
        for _ in range(days):
            self.now += DAY
            self.night(told=told)

    @property
    def reminders(self) -> list[int]:
        return [entry.body["working_days"] for entry in self.ledger.all_entries if entry.kind == "reminder"]


def test_an_owner_is_reminded_twice_and_the_ledger_stays_whole() -> None:
    world = World()
    world.pass_days(13)
    assert world.reminders == [7, 1]
    record = world.ledger.records_by_name[NAME]
    assert break_in(record, world.ledger.entries(NAME)) == ""
    newest = [entry for entry in world.ledger.all_entries if entry.kind == "reminder"][-1].body
    assert (newest["to"], newest["owner"]) == ("quarantined", "alice")
    assert newest["delete_after"] >= record.retirement.delete_after  # type: ignore[union-attr]


def test_a_reminder_does_not_keep_the_retirement_from_going_on() -> None:
    world = World()
    world.pass_days(13)
    world.now += 2 * DAY
    made = plan([NAME], 1, tuple(Stage), world.services, world.now)
    carry_out_plan(made, tuple(Stage), world.services, world.now)
    assert world.stage is Stage.QUARANTINED


def test_whom_nobody_has_told_nobody_reminds() -> None:
    world = World()
    world.ledger.told.clear()
    world.ledger.told_times.clear()
    world.pass_days(13, told=False)
    assert world.reminders == []


@pytest.mark.parametrize(
    "change",
    [("mode: enforce", "mode: audit"), ("  sources:", "  stop: true\n  sources:"), ("then: delete", "then: mark")],
    ids=["audit", "stop", "no next stage"],
)
def test_where_nothing_goes_on_nobody_is_reminded(change: tuple[str, str]) -> None:
    world = World()
    world.policies.policy = retiring_policy(lambda text: text.replace(*LONGER).replace(*change))
    world.pass_days(13)
    assert world.reminders == []


def test_who_uses_it_after_all_is_not_reminded_any_more() -> None:
    world = World()
    world.registry.repositories[NAME].tags.pop("ecr-governor:delete-after")
    world.pass_days(13)
    assert world.stage is Stage.OBSERVED
    assert world.reminders == []


def test_the_terms_here_leave_time_for_reminders() -> None:
    assert LONGER[0] in TERMS
