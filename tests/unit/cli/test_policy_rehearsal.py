"""A history played against a policy goes the way that the deployed steps go, night by night."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from cli.policy.cases import Case, Happening, Kind
from cli.policy.rehearsal import World, rehearse
from cli.policy.trial import try_case
from ecr_governor.app.retirement.cases import PEOPLE, Services
from ecr_governor.app.retirement.planning import carry_out_plan, plan
from ecr_governor.app.retirement.taking_back import release
from ecr_governor.core.origin import Push
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.repository import Repository, Usage
from ecr_governor.core.retirement.evidence import Use
from ecr_governor.core.retirement.history import OUTCOME
from ecr_governor.core.retirement.snapshot import DELETE_AFTER, HeldImage
from ecr_governor.core.retirement.state import Stage
from tests.fakes import FixedPolicy, InMemoryLedger, a_policy, a_repository
from tests.retiring import CI, MemoryRegistry, MemoryRunBook, MemoryTombstones, MemoryWitnesses, watched

NAME = "payments/api"
BORN = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = """
mode: enforce
namespaces:
  ROOT:
    retirement: {after_days: 30, empty_after_days: 20, grace_days: 7, unowned_grace_days: 3, quarantine_days: 3, archive_days: 5, then: THEN}
retirement:
  sources: [ecs]
  window: {days: [mon, tue, wed, thu, fri], from_hour: 6, until_hour: 9}
  caps: {percent: 100}
"""


def happenings(*events: dict[str, Any]) -> tuple[Happening, ...]:
    return tuple(Happening(at=BORN + event.pop("day") * DAY, **event) for event in [{"day": 0, "created": "create_on_push"}, *events])


class Deployed:
    """The deployed steps over an account in memory."""

    def __init__(self, policy: Policy) -> None:
        self.now = BORN
        self.registry = MemoryRegistry(lambda: self.now)
        self.ledger = InMemoryLedger()
        self.witnesses = MemoryWitnesses()
        self.registry.hold(NAME, created_at=BORN)
        self.ledger.records_by_name[NAME] = watched(NAME, BORN, BORN)
        self.services = Services(
            self.registry, self.ledger, FixedPolicy(policy), self.witnesses, MemoryTombstones(), MemoryRunBook()
        )  # fmt: skip

    @property
    def stage(self) -> Stage:
        retirement = self.ledger.records_by_name[NAME].retirement
        return retirement.stage if retirement else Stage.OBSERVED

    def happened(self, event: Happening) -> None:
        held = self.registry.repositories.get(NAME)
        if held is None:
            return
        if event.kind in {Kind.PUSHED, Kind.PULLED} and self.stage.rank >= Stage.QUARANTINED.rank:
            release(NAME, "a refused call", self.services, event.at)
        elif event.kind is Kind.PUSHED:
            digest = f"sha256:{sha256(event.at.isoformat().encode()).hexdigest()}"
            held.images = {one: replace(image, tags=image.tags - {event.pushed or ""}) for one, image in held.images.items()}
            held.images[digest] = HeldImage(digest, frozenset({event.pushed or ""}), event.at)
            self.ledger.note_push(NAME, Push(digest, event.at, CI, event.pushed, digest))
        elif event.kind is Kind.PULLED:
            held.images = {one: replace(image, pulled_at=event.at) for one, image in held.images.items()}
        elif event.kind is Kind.TAGGED:
            held.tags |= event.tagged or {}
        elif event.kind is Kind.RUNNING:
            self.witnesses.uses["ecs"] = [Use("a task", repository=NAME)] if event.running else []
        elif event.kind is Kind.VETOED:
            held.tags.pop(DELETE_AFTER, None)

    def night(self) -> None:
        made = plan([NAME], 1, tuple(Stage), self.services, self.now)
        carry_out_plan(made, tuple(Stage), self.services, self.now, self.registry)
        for entry in self.ledger.all_entries:
            if entry.kind == OUTCOME and entry.body["to"] == "marked" and self.ledger.told_at(NAME, entry.number, PEOPLE) is None:
                self.ledger.mark_delivered(NAME, entry.number, PEOPLE, self.now)


def nights(until: datetime) -> Iterator[datetime]:
    night = BORN.replace(hour=6)
    while night < until:
        yield night
        night += DAY


def as_deployed(events: Sequence[Happening], policy: Policy, until: datetime) -> list[tuple[str, Stage]]:
    deployed, pending, steps = Deployed(policy), list(events), []
    for night in nights(until):
        deployed.now = night
        before = deployed.stage
        while pending and pending[0].at <= night:
            deployed.happened(pending.pop(0))
            if deployed.stage is not before:
                steps.append((f"{night:%m-%d}", deployed.stage))
                before = deployed.stage
        if deployed.stage is Stage.DELETED:
            break
        deployed.night()
        if deployed.stage is not before:
            steps.append((f"{night:%m-%d}", deployed.stage))
    return steps


def as_rehearsed(events: Sequence[Happening], policy: Policy, until: datetime) -> list[tuple[str, Stage]]:
    def repository(at: datetime) -> Repository:
        past = [event for event in events if event.at <= at]
        pushed = max((event.at for event in past if event.kind is Kind.PUSHED), default=None)
        pulled = max((event.at for event in past if event.kind is Kind.PULLED), default=None)
        return a_repository(NAME, created_at=BORN, usage=Usage(pushed, pulled))

    world = World(NAME, "arn", BORN, BORN)
    return [(f"{step.at:%m-%d}", step.to) for step in rehearse(world, events, policy, until, repository).steps]


HISTORIES: dict[str, tuple[dict[str, Any], ...]] = {
    "left alone": ({"day": 0, "pushed": "v1"}, {"day": 0, "tagged": {"owner": "alice"}}),
    "left alone, nobody's": ({"day": 0, "pushed": "v1"},),
    "empty": (),
    "used for a while": ({"day": 0, "pushed": "v1"}, {"day": 20, "pulled": True}, {"day": 29, "pushed": "v2"}),
    "pulled when marked": ({"day": 0, "pushed": "v1"}, {"day": 33, "pulled": True}),
    "pushed when marked": ({"day": 0, "pushed": "v1"}, {"day": 33, "pushed": "v2"}),
    "tagged when marked": ({"day": 0, "pushed": "v1"}, {"day": 32, "tagged": {"owner": "alice"}}),
    "vetoed": ({"day": 0, "pushed": "v1"}, {"day": 32, "vetoed": True}),
    "pulled in quarantine": ({"day": 0, "pushed": "v1"}, {"day": 36, "pulled": True}),
    "pulled from the archive": ({"day": 0, "pushed": "v1"}, {"day": 41, "pulled": True}),
    "running for a while": ({"day": 0, "pushed": "v1"}, {"day": 10, "running": True}, {"day": 50, "running": False}),
    "begun to run when marked": ({"day": 0, "pushed": "v1"}, {"day": 33, "running": True}, {"day": 34, "running": False}),
}


DELETING = POLICY.replace("THEN", "delete")
WITH_DAYS_OF_THEIR_OWN = POLICY.replace("after_days: 30", "after_days: 30, blank_after_days: 9, misnamed_after_days: 12", 1)
POLICIES = {
    **{then: POLICY.replace("THEN", then) for then in ("mark", "quarantine", "archive", "delete")},
    "delete, blank and wrong names": f'naming: {{convention: "{{team}}/{{service}}-svc"}}\n{WITH_DAYS_OF_THEIR_OWN.replace("THEN", "delete")}',
    "delete, blank, the name exempt": (
        f'naming: {{convention: "{{team}}/{{service}}-svc"}}\n{WITH_DAYS_OF_THEIR_OWN.replace("THEN", "delete")}'
        "exemptions: [{match: '*', rules: naming, reason: named before the convention, owner: me, expires: 2027-01-01}]\n"
    ),
}


@pytest.mark.parametrize("by", POLICIES)
@pytest.mark.parametrize("history", HISTORIES)
def test_a_rehearsal_goes_as_the_deployment_goes(history: str, by: str) -> None:
    events = happenings(*(dict(event) for event in HISTORIES[history]))
    policy = a_policy(POLICIES[by])
    until = BORN + 90 * DAY

    rehearsed = as_rehearsed(events, policy, until)

    # What happens between two nights is given back at once; the deployment is looked at once a night.
    assert [stage for _, stage in rehearsed] == [stage for _, stage in as_deployed(events, policy, until)]
    forward = [step for step in rehearsed if step[1] is not Stage.OBSERVED]
    assert forward == [step for step in as_deployed(events, policy, until) if step[1] is not Stage.OBSERVED]


@pytest.mark.parametrize("history", ["left alone", "empty"])
@pytest.mark.parametrize("rule", ["audit", "off"])
def test_where_the_rule_is_not_enforced_a_rehearsal_stands_where_the_deployment_stands(rule: str, history: str) -> None:
    events = happenings(*(dict(event) for event in HISTORIES[history]))
    policy, until = a_policy(f"{DELETING}rules: {{unused: {rule}}}\n"), BORN + 40 * DAY

    assert as_rehearsed(events, policy, until) == as_deployed(events, policy, until) == []


def outcome(policy: str, expect: dict[str, Any], *events: dict[str, Any], now: int = 120, **given: Any) -> tuple[str, ...]:
    case = Case.model_validate(
        {
            "case": "a case",
            "repository": NAME,
            "history": [event.model_dump(exclude_none=True) for event in happenings(*events)],
            "given": given,
            "expect": expect,
        }
    )
    return try_case(case, a_policy(policy), BORN + now * DAY, "123456789012").failures


def test_what_withholds_every_step_is_told() -> None:
    pushed = {"day": 0, "pushed": "v1"}

    assert (
        outcome(DELETING.replace("mode: enforce", "mode: audit"), {"retirement": "observed", "because": "the mode is audit"}, dict(pushed))
        == ()
    )
    stopped = DELETING.replace("retirement:\n  sources", "retirement:\n  stop: true\n  sources")
    assert outcome(stopped, {"because": "the policy says stop"}, dict(pushed)) == ()
    off = f"{DELETING}rules: {{unused: off}}\n"
    assert outcome(off, {"retirement": "marked"}, dict(pushed)) == (
        "retirement: expected marked; it is observed (no step was taken; the rule unused does not find it unused; the rule unused is off here)",
    )
    audits = f"{DELETING}rules: {{unused: audit}}\n"
    assert outcome(audits, {"retirement": "observed", "because": "here it audits"}, dict(pushed)) == ()
    kept = f"{DELETING}rules: {{unused: off}}\n"
    assert outcome(kept, {"retirement": "observed", "because": "the rule unused is off here"}) == ()
    unheard = f"{DELETING}notifications: {{slack: {{enabled: false}}}}\n"
    assert outcome(unheard, {"retirement": "observed", "because": "nobody is told"}, dict(pushed)) == ()


def test_a_failure_tells_the_steps_that_were_taken() -> None:
    assert outcome(DELETING, {"retirement": "observed", "because": "somebody objected"}, {"day": 0, "pushed": "v1"}, now=38) == (
        "retirement: expected observed; it is quarantined (marked on 2026-02-05, quarantined on 2026-02-09; until 2026-02-12)",
        (
            "because: nothing says 'somebody objected'; the policy asks for it: up to delete, as one that is unused; watched long enough: since 2026-01-05, 30 days "
            "are asked for; unused: nothing happened since 2026-01-05, 30 days are asked for; nobody uses it: ecs named nobody; "
            "quarantined long enough: until 2026-02-12"
        ),
    )


def test_without_any_word_on_its_use_nothing_is_said_of_retirement() -> None:
    case = Case.model_validate({"case": "a case", "repository": NAME, "expect": {"retirement": "observed"}})

    assert try_case(case, a_policy(DELETING), BORN, "123456789012").failures == (
        "retirement: the case does not say when it was used; give history, or created_at and last_push",
    )
