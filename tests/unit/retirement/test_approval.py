"""A plan that a person approves: exactly its steps, or none of them."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ecr_governor.adapters.plan_file import PlanFile, approval_as_data, approval_of, plan_of
from ecr_governor.app.errors import SweepRunning, Throttled, Unintelligible
from ecr_governor.app.retirement.cases import PEOPLE, Services
from ecr_governor.app.retirement.planning import plan, plan_as_data
from ecr_governor.app.retirement.runs import PLAN, RunServices, apply, last_plan
from ecr_governor.core.retirement.approval import Approval, ApprovedStep, Finds, LastPlan, list_identity, objections
from ecr_governor.core.retirement.calendar import dates
from ecr_governor.core.retirement.state import Stage
from ecr_governor.core.sweep import EndedSweep
from tests.fakes import ACCOUNT, REGION, T0, FixedPolicy, InMemoryLedger
from tests.retiring import (
    DAY,
    MUTATING,
    MemoryRegistry,
    MemoryRunBook,
    MemoryTombstones,
    MemoryWitnesses,
    an_image,
    retiring_policy,
    watched,
)
from tests.sweeping import MemoryBook, MemoryRunStore

NAMES = ("payments/a", "payments/b", "payments/c", "payments/d")
WHO = "arn:aws:iam::123456789012:user/ann"
SECOND = timedelta(seconds=1)


class Account:
    """Four repositories that nobody uses, of which the caps let two go at a time."""

    def __init__(self, change: Callable[[str], str] = lambda text: text) -> None:
        self.now = T0 + 40 * DAY
        self.registry = MemoryRegistry(lambda: self.now)
        self.ledger = InMemoryLedger()
        self.policies = FixedPolicy(retiring_policy(change))
        for number, name in enumerate(NAMES):
            self.registry.hold(name, an_image(number), tags={"owner": "alice"})
            self.ledger.records_by_name[name] = watched(name, T0, T0)
        self.steps = Services(self.registry, self.ledger, self.policies, MemoryWitnesses(), MemoryTombstones(), MemoryRunBook())
        self.book = MemoryBook()
        self.book.ended = EndedSweep("run", T0, T0, "inventory", complete=True, registry="", repositories=len(NAMES))
        self.services = RunServices(self.steps, self.book, MemoryRunStore(), ACCOUNT, REGION)

    def plan(self) -> PlanFile:
        made = plan(NAMES, len(NAMES), tuple(Stage), self.steps, self.now)
        document = {"account": ACCOUNT, "region": REGION, **plan_as_data(made, deletes=True)}
        self.services.runs.put_document(PLAN, document)
        return plan_of(json.dumps(document).encode())

    def approval(self) -> Approval:
        """Approve all that the plan wants, except returns."""
        made = self.plan()
        return made.approval(made.forward([Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED, Stage.DELETED]), WHO)

    def apply(self, approval: Approval, *, deleting: bool = False) -> dict[str, Any]:
        handed = json.loads(json.dumps(approval_as_data(approval)))
        return apply("approved", approval_of(handed), self.services, self.now, self.registry if deleting else None)

    def stages(self) -> set[Stage]:
        return {record.retirement.stage if record.retirement else Stage.OBSERVED for record in self.ledger.records_by_name.values()}

    def waits(self, *, told: bool = True) -> "Account":
        """Let the owners be told, and so much time pass that the next step may come."""
        for entry in self.ledger.all_entries if told else ():
            if entry.kind == "retirement" and entry.body["to"] == "marked":
                self.ledger.mark_delivered(entry.repository, entry.number, PEOPLE, self.now)
        self.now += 10 * DAY
        return self

    def marked(self) -> "Account":
        assert "done" in self.apply(self.approval())
        assert self.stages() == {Stage.MARKED}
        return self.waits()

    def changes(self) -> list[str]:
        return [what for what, _ in self.registry.calls if what in MUTATING]


def test_what_is_over_the_caps_is_done_once_a_person_has_approved_it_and_the_ledger_says_who() -> None:
    account = Account().marked()
    made = plan(NAMES, len(NAMES), tuple(Stage), account.steps, account.now)
    assert any("caps.per_run is 2" in why for why in made.withheld)
    answer = account.apply(account.approval())
    assert [(each["repository"], each["reached"]) for each in answer["done"]] == [(name, "quarantined") for name in NAMES]
    assert account.stages() == {Stage.QUARANTINED}
    for kind in ("retirement-intent", "retirement"):
        entries = [entry for entry in account.ledger.all_entries if entry.kind == kind and entry.body["to"] == "quarantined"]
        assert len(entries) == len(NAMES)
        assert all({"check": "approved", "seen": f"by {WHO}", "weight": "for"} in entry.body["reasons"] for entry in entries)
    assert account.book.lease is None


def test_only_what_was_approved_is_done() -> None:
    account = Account()
    approval = account.approval()
    one = replace(approval, steps=approval.steps[:1])
    assert [each["repository"] for each in account.apply(one)["done"]] == ["payments/a"]
    assert account.stages() == {Stage.MARKED, Stage.OBSERVED}


@pytest.mark.parametrize("cap", ["per_run: 2", "percent: 100", "per_owner: 2", "per_namespace: 2", "per_day: 3"])
def test_a_cap_of_none_holds_for_what_is_approved_as_well(cap: str) -> None:
    account = Account().marked()
    approval = account.approval()
    closed = f"{cap.partition(':')[0]}: 0"
    account.policies.policy = retiring_policy(lambda text: text.replace(cap, closed, 1))
    answer = account.apply(replace(approval, policy_hash=account.policies.policy.hash))
    assert any(f"caps.{cap.partition(':')[0]} is 0" in why for why in answer["refused"])
    assert account.stages() == {Stage.MARKED}


def _push(account: Account) -> None:
    account.registry.repositories["payments/d"].images["sha256:" + "f" * 64] = an_image(15, pushed_at=account.now)


def _delete(account: Account) -> None:
    del account.registry.repositories["payments/d"]


def _veto(account: Account) -> None:
    account.registry.repositories["payments/d"].tags.pop("ecr-governor:delete-after")


def _wait(account: Account) -> None:
    account.now += DAY + SECOND


def _other_policy(account: Account) -> None:
    account.policies.policy = retiring_policy(lambda text: text.replace("caps: {per_run: 2", "caps: {per_run: 1"))


def _stop(account: Account) -> None:
    account.policies.policy = retiring_policy(lambda text: text.replace("sources:", "stop: true\n  sources:"))


def _audit(account: Account) -> None:
    account.policies.policy = retiring_policy(lambda text: text.replace("mode: enforce", "mode: audit"))


def _shut(account: Account) -> None:
    account.policies.policy = retiring_policy(
        lambda text: text.replace("window: {days: [mon, tue, wed, thu, fri, sat, sun]", "window: {days: [mon]")
    )
    account.now = account.now.replace(hour=12) + DAY * ((1 - account.now.weekday()) % 7)


def _clock_back(account: Account) -> None:
    account.now -= SECOND


def _no_sweep(account: Account) -> None:
    account.book.ended = None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_push, "payments/d has changed since"),
        (_delete, "payments/d is not there any more, or cannot be read"),
        (_veto, "payments/d would not be quarantined now: the tag ecr-governor:delete-after was removed"),
        (_wait, "more than 24 hours ago"),
        (_clock_back, "later than now"),
        (_other_policy, "is in force"),
        (_stop, "the policy says stop"),
        (_audit, "the mode is audit"),
        (_shut, "it is outside of the policy's window"),
        (_no_sweep, "no sweep has seen every repository yet"),
    ],
)
def test_one_change_and_nothing_of_it_is_done(change: Callable[[Account], None], told: str) -> None:
    account = Account().marked()
    approval, before = account.approval(), account.changes()
    change(account)
    refused = account.apply(approval)["refused"]
    assert any(told in why for why in refused), refused
    assert account.changes() == before
    assert account.stages() == {Stage.MARKED}
    assert account.book.lease is None


@pytest.mark.parametrize(
    "other",
    [{"account": "210987654321"}, {"region": "eu-central-1"}, {"policy_hash": "0"}, {"steps": ()}],
    ids=lambda other: next(iter(other)),
)
def test_another_place_policy_or_no_step_is_refused(other: dict[str, Any]) -> None:
    account = Account().marked()
    before = account.changes()
    assert len(account.apply(replace(account.approval(), **other))["refused"]) == 1
    assert account.changes() == before


def test_deletions_need_the_function_that_deletes_and_it_takes_nothing_else() -> None:
    account = Account().marked()
    for _ in (Stage.QUARANTINED, Stage.ARCHIVED):
        approval = account.approval()
        assert account.apply(approval, deleting=True)["refused"][0].startswith("payments/a: this function takes nothing to ")
        assert "done" in account.apply(approval)
        account.waits(told=False)
    approval = account.approval()
    assert {step.to for step in approval.steps} == {Stage.DELETED}
    assert account.apply(approval)["refused"][0] == "payments/a: this function takes nothing to deleted"
    assert set(account.registry.repositories) == set(NAMES)
    assert [each["reached"] for each in account.apply(approval, deleting=True)["done"]] == ["deleted"] * len(NAMES)
    assert account.registry.repositories == {}


def test_while_another_run_is_under_way_nothing_begins() -> None:
    account = Account()
    approval = account.approval()
    account.book.take_lease("another", "retirement", account.now, account.now + DAY)
    with pytest.raises(SweepRunning):
        account.apply(approval)
    assert account.changes() == []


LAST = LastPlan(T0, frozenset({ApprovedStep("a", Stage.MARKED, "f"), ApprovedStep("a", Stage.MARKED, "")}))


def test_a_day_and_no_longer() -> None:
    approval = Approval(WHO, "1", "r", "p", T0, (ApprovedStep("a", Stage.MARKED, "f"),))
    found = {"a": Finds(Stage.MARKED, "f")}
    assert list(objections(approval, "1", "r", "p", found, LAST, T0 + DAY)) == []
    assert list(objections(approval, "1", "r", "p", found, LAST, T0 + DAY + SECOND)) == [
        f"the plan was made at {T0.isoformat()}, more than 24 hours ago"
    ]
    assert list(objections(approval, "1", "r", "p", found, LAST, T0)) == []
    assert list(objections(approval, "1", "r", "p", {"a": Finds(None, "f")}, LAST, T0)) == [
        "a would not be marked now: nothing is to be done"
    ]
    twice = replace(approval, steps=approval.steps * 2)
    assert list(objections(twice, "1", "r", "p", found, LAST, T0)) == ["a repository was approved twice"]
    # What could not be read has no fingerprint, and two unknowns are not the same.
    unread = replace(approval, steps=(ApprovedStep("a", Stage.MARKED, ""),))
    assert list(objections(unread, "1", "r", "p", {"a": Finds(Stage.MARKED, "")}, LAST, T0)) == ["a has changed since"]


def test_a_list_is_identified_by_every_step_of_it_in_whatever_order() -> None:
    step, other = ApprovedStep("a", Stage.MARKED, "f"), ApprovedStep("b", Stage.MARKED, "f")
    changed = (replace(step, repository="c"), replace(step, to=Stage.QUARANTINED), replace(step, fingerprint="g"))
    assert list_identity([step, other]) == list_identity(iter([other, step]))
    assert len({list_identity(steps) for steps in ([], [step], [step, other], *([each, other] for each in changed))}) == 6
    assert len(list_identity([step])) == 16


def test_a_repository_is_told_from_another_by_its_name_alone() -> None:
    alike = (ApprovedStep("a", Stage.MARKED, "f"), ApprovedStep("b", Stage.MARKED, "f"))
    twice = (ApprovedStep("a", Stage.MARKED, "f"), ApprovedStep("a", Stage.MARKED, "g"))
    found = {"a": Finds(Stage.MARKED, "f"), "b": Finds(Stage.MARKED, "f")}
    for steps, said in ((alike, False), (twice, True)):
        approval, last = Approval(WHO, "1", "r", "p", T0, steps), LastPlan(T0, frozenset(steps))
        assert ("a repository was approved twice" in objections(approval, "1", "r", "p", found, last, T0)) is said


def test_nobody_can_approve_what_no_run_has_planned() -> None:
    step, other = ApprovedStep("a", Stage.MARKED, "f"), ApprovedStep("a", Stage.MARKED, "g")
    approval, found = Approval(WHO, "1", "r", "p", T0, (step,)), {"a": Finds(Stage.MARKED, "f")}
    never = [f"no run has made a plan at {T0.isoformat()}"]
    assert list(objections(approval, "1", "r", "p", found, None, T0)) == never
    assert list(objections(approval, "1", "r", "p", found, LastPlan(T0 - SECOND, frozenset({step})), T0)) == never
    # A newer plan that says the same speaks for it as well.
    assert list(objections(approval, "1", "r", "p", found, LastPlan(T0 + DAY, frozenset({step})), T0 + DAY)) == []
    for steps in (frozenset(), frozenset({other}), frozenset({replace(step, to=Stage.QUARANTINED)})):
        assert list(objections(approval, "1", "r", "p", found, LastPlan(T0, steps), T0)) == [
            "a does not stand in the newest plan as a step to marked"
        ]


def test_each_objection_says_what_is_the_matter() -> None:
    step = ApprovedStep("a", Stage.MARKED, "f")
    approval, found = Approval(WHO, "1", "r", "p", T0 + SECOND, (step,)), {"a": Finds(None, "f", ("it is used", "it is exempt"))}
    last = LastPlan(T0 + SECOND, frozenset({step}))
    assert list(objections(approval, "2", "s", "q", found, last, T0)) == [
        "the plan is of 1, r, and this is 2, s",
        "the plan was made by the policy p, and q is in force",
        f"the plan was made at {(T0 + SECOND).isoformat()}, later than now",
        "a would not be marked now: it is used; it is exempt",
    ]
    assert list(objections(replace(approval, steps=()), "1", "r", "p", {}, last, T0 + DAY)) == ["no step was approved"]


def test_a_newer_plan_without_a_step_takes_the_approval_of_it_back() -> None:
    account = Account().marked()
    approval = account.approval()
    del account.registry.repositories["payments/d"]
    account.plan()
    assert "payments/d does not stand in the newest plan as a step to quarantined" in account.apply(approval)["refused"]
    assert account.stages() == {Stage.MARKED}


@pytest.mark.parametrize("document", [None, {}, {"version": 0, "at": T0.isoformat(), "items": []}])
def test_a_plan_of_another_release_is_none(document: dict[str, Any] | None) -> None:
    assert last_plan(document) is None


@pytest.mark.parametrize("cut", [0, 1, 40, 200, -2])
def test_a_half_written_plan_is_none(cut: int) -> None:
    account = Account()
    document = {
        "account": ACCOUNT,
        "region": REGION,
        **plan_as_data(plan(NAMES, 4, tuple(Stage), account.steps, account.now), deletes=True),
    }
    text = json.dumps(document).encode()
    with pytest.raises(Unintelligible):
        plan_of(text[:cut])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 2}, "version"),
        ({"at": "2026-11-02T09:14:07"}, "at"),
        ({"account": None}, "account"),
        ({"items": [{"repository": "a"}]}, "items.0.stage"),
        ({"items": {}}, "items"),
    ],
)
def test_another_document_is_no_plan(change: dict[str, Any], told: str) -> None:
    account = Account()
    document = {
        "account": ACCOUNT,
        "region": REGION,
        **plan_as_data(plan(NAMES, 4, tuple(Stage), account.steps, account.now), deletes=True),
        **change,
    }
    with pytest.raises(Unintelligible, match=f"^{told}: "):
        plan_of(json.dumps(document).encode())


@pytest.mark.parametrize("gap", ["by", "account", "region", "policy_hash", "plan_at", "steps"])
def test_an_approval_with_a_gap_is_none(gap: str) -> None:
    handed = approval_as_data(Account().approval())
    del handed[gap]
    with pytest.raises(Unintelligible, match=f"approval: {gap}"):
        approval_of(handed)


def test_people_are_asked_of_the_whole_list_where_nothing_but_caps_is_in_the_way() -> None:
    account = Account().marked()
    question = plan(NAMES, len(NAMES), tuple(Stage), account.steps, account.now).question
    assert question is not None
    assert question["steps"] == [{"repository": name, "to": "quarantined", "owner": "alice"} for name in NAMES]
    assert "4 repositories would go on, caps.per_run is 2" in question["over"]
    for change in (_stop, _audit):
        change(account)
        assert plan(NAMES, len(NAMES), tuple(Stage), account.steps, account.now).question is None
    assert Account().plan().forward([Stage.MARKED])
    assert plan(NAMES, 4, tuple(Stage), Account().steps, account.now).question is None


def test_where_nothing_deletes_the_plan_and_all_that_is_read_from_it_name_no_deletion() -> None:
    account = Account().marked()
    for _ in (Stage.QUARANTINED, Stage.ARCHIVED):
        made = plan(NAMES, 4, tuple(Stage), account.steps, account.now)
        assert plan_as_data(made, deletes=False) == plan_as_data(made, deletes=True)
        account.apply(account.approval())
        account.waits(told=False)
    made = plan(NAMES, 4, tuple(Stage), account.steps, account.now)
    assert {item["next"] for item in plan_as_data(made, deletes=True)["items"]} == {"deleted"}
    data = plan_as_data(made, deletes=False)
    for item in data["items"]:
        assert (item["stage"], item["next"], item["then"]) == ("archived", None, None)
        assert item["reasons"][-1] == {
            "check": "something deletes",
            "seen": "the stack was deployed with EnableDelete=false",
            "weight": "wait",
        }
    assert dates({**data, "at": account.now.isoformat()}, account.now + 90 * DAY) == []
    # Nothing of it can be approved either.
    last = last_plan(data)
    assert last is not None
    assert last.steps == frozenset()


def test_what_was_done_is_told_though_the_lease_is_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account().marked()

    def refused(_lease: object) -> None:
        raise Throttled("dynamodb:UpdateItem")

    monkeypatch.setattr(account.book, "give_back", refused)
    done = account.apply(account.approval())
    assert [each["reached"] for each in done["done"]] == ["quarantined"] * len(NAMES)
