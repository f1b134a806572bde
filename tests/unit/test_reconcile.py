"""One look at one repository: findings open, stay and resolve; remedies are applied once; every trouble leaves the ledger true."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations

import pytest

from ecr_governor.app.errors import Throttled
from ecr_governor.app.pushes import take_note
from ecr_governor.app.reconcile import Services, reconcile
from ecr_governor.core.finding import FindingState
from ecr_governor.core.origin import Actor, Creation, News, Origin, Push
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.record import GENESIS, WRITE_ROUNDS_PER_HOUR, Change, Trigger, entry_hash
from ecr_governor.core.remedy import OutcomeStatus
from ecr_governor.core.repository import CreationTemplate, Fact, Image, TagMutability, TagMutabilitySetting
from tests.fakes import ENFORCING, HOUR, T0, FakeRegistry, FixedPolicy, InMemoryLedger, a_policy, a_repository

CI = Actor("arn:aws:sts::123456789012:assumed-role/ci/build-1", "123456789012", "AssumedRole", "", "arn:aws:iam::123456789012:role/ci")
ECR = replace(CI, invoked_by="ecr.amazonaws.com")
CREATED = News(creation=Creation("c1", T0, ECR, source_ip="ecr.amazonaws.com"))
PUSHED = News(pushes=(Push("p1", T0 + timedelta(seconds=4), CI, "v1", "sha256:1"),))
LOOK = Trigger("CreateRepository", "ci/build-1")
NOTHING = News()


class World:
    """The use case with its ports."""

    def __init__(self, policy: str = ENFORCING, *repositories: str) -> None:
        self.registry = FakeRegistry(*(a_repository(name) for name in repositories or ("payments/api",)))
        self.registry.templates = (CreationTemplate("ROOT", frozenset({"CREATE_ON_PUSH"})),)
        self.ledger = InMemoryLedger()
        self.policies = FixedPolicy(a_policy(policy))

    def look(self, name: str = "payments/api", news: News = NOTHING, at: datetime = T0, trigger: Trigger = LOOK) -> Change | None:
        return reconcile(name, news, trigger, Services(self.registry, self.ledger, self.policies), at)

    def note(self, name: str = "payments/api", news: News = NOTHING, at: datetime = T0) -> bool:
        return take_note(name, news, self.ledger, self.policies, at)

    def states(self, name: str = "payments/api") -> dict[str, FindingState]:
        record = self.ledger.read(name)
        return {finding.rule: finding.state for finding in record.findings} if record else {}


def test_a_bare_repository_is_put_right_and_the_look_after_that_changes_nothing() -> None:
    world = World()
    change = world.look(news=News(creation=CREATED.creation, pushes=PUSHED.pushes))
    assert change is not None
    assert change.discovered
    assert [outcome.status for outcome in change.outcomes] == [OutcomeStatus.APPLIED] * 3
    assert world.states() == dict.fromkeys(("lifecycle-policy", "required-tags", "tag-mutability"), FindingState.RESOLVED)
    assert {finding.rule for finding in change.opened} == {finding.rule for finding in change.resolved} == set(world.states())
    repository = world.registry.repositories["payments/api"]
    assert repository.tags == {"owner": "ci/build-1"}
    writes = world.ledger.writes
    assert world.look(at=T0 + HOUR) is None
    assert world.ledger.writes == writes
    assert len(world.registry.writes) == 3


def test_audit_finds_the_same_and_touches_nothing() -> None:
    world = World(ENFORCING.replace("mode: enforce", "mode: audit"))
    change = world.look(news=PUSHED)
    assert change is not None
    assert {finding.rule for finding in change.opened} == {"lifecycle-policy", "required-tags", "tag-mutability"}
    assert all(finding.mode is Mode.AUDIT and finding.remedies for finding in change.opened)
    assert "apply" not in world.registry.calls


@pytest.mark.parametrize("order", list(permutations([CREATED, PUSHED, NOTHING])))
def test_events_in_any_order_and_number_lead_to_the_same_record(order: tuple[News, ...]) -> None:
    world = World(ENFORCING, "paymets/api")
    changes = [world.look("paymets/api", news) for news in (*order, *order)]
    opened = [finding.rule for change in changes if change for finding in change.opened]
    assert opened.count("naming") == 1
    record = world.ledger.read("paymets/api")
    assert record is not None
    assert record.provenance.origin is Origin.CREATE_ON_PUSH
    assert record.provenance.pusher == CI
    assert [finding.rule for finding in record.open_findings()] == ["naming"]
    assert world.look("paymets/api") is None


def test_the_tag_that_names_the_pusher_waits_for_the_push_and_is_not_held_against_anybody_before() -> None:
    world = World()
    world.look(news=CREATED)
    assert "required-tags" not in world.states()
    world.look(news=PUSHED)
    assert world.states()["required-tags"] is FindingState.RESOLVED
    assert world.registry.repositories["payments/api"].tags == {"owner": "ci/build-1"}


def test_a_push_that_never_comes_is_held_against_the_repository_when_its_time_is_over() -> None:
    world = World()
    world.look(news=CREATED)
    record = world.ledger.read("payments/api")
    assert record is not None
    assert record.due_at == T0 + 24 * HOUR
    world.look(at=record.due_at)
    assert world.states()["required-tags"] is FindingState.OPEN


def test_drift_is_put_back_and_said_so() -> None:
    world = World()
    world.look(news=PUSHED)
    world.registry.repositories["payments/api"] = replace(world.registry.repositories["payments/api"], lifecycle_policy=None)
    change = world.look(at=T0 + HOUR, trigger=Trigger("DeleteLifecyclePolicy", "alice"))
    assert change is not None
    assert [outcome.status for outcome in change.outcomes] == [OutcomeStatus.APPLIED]
    assert change.trigger.actor == "alice"
    assert world.registry.repositories["payments/api"].lifecycle_policy is not None


def test_a_repository_that_is_gone_is_no_error() -> None:
    world = World()
    assert world.look("payments/never") is None
    assert world.ledger.read("payments/never") is None
    world = World(ENFORCING, "paymets/api")
    world.look("paymets/api")
    del world.registry.repositories["paymets/api"]
    change = world.look("paymets/api", at=T0 + HOUR)
    assert change is not None
    assert change.gone
    assert world.states("paymets/api")["naming"] is FindingState.RESOLVED
    assert world.look("paymets/api", at=T0 + 2 * HOUR) is None


def test_a_name_that_is_created_again_starts_anew_on_the_same_ledger() -> None:
    world = World(ENFORCING, "paymets/api")
    world.look("paymets/api", PUSHED)
    world.registry.repositories["paymets/api"] = a_repository("paymets/api", created_at=T0 + HOUR)
    change = world.look("paymets/api", at=T0 + HOUR)
    assert change is not None
    assert change.discovered
    record = world.ledger.read("paymets/api")
    assert record is not None
    assert record.provenance.pusher is None
    assert record.entries == len(world.ledger.all_entries)


def test_a_denied_fact_is_undetermined_and_neither_opens_nor_resolves_nor_acts() -> None:
    world = World(ENFORCING.replace("mode: enforce", "mode: audit"))
    world.look()
    assert world.states()["lifecycle-policy"] is FindingState.OPEN
    world.policies.policy = a_policy(ENFORCING)
    world.registry.denied = {Fact.LIFECYCLE_POLICY}
    world.look(at=T0 + HOUR)
    record = world.ledger.read("payments/api")
    assert record is not None
    assert world.states()["lifecycle-policy"] is FindingState.OPEN
    assert "lifecycle-policy" in record.undetermined
    assert not any(type(write).__name__ == "PutLifecyclePolicy" for write in world.registry.writes)


def test_throttling_is_raised_so_that_the_event_comes_again_and_then_nothing_is_lost() -> None:
    world = World()
    uninterrupted = World()
    uninterrupted.look(news=PUSHED)
    calls = len(uninterrupted.registry.calls)
    for position in range(calls):
        world = World()
        world.registry.fault_at = position
        with pytest.raises(Throttled):
            world.look(news=PUSHED)
        world.look(news=PUSHED)
        assert world.registry.repositories == uninterrupted.registry.repositories
        assert {rule for rule, state in world.states().items() if state is FindingState.OPEN} == set()
        record = world.ledger.read("payments/api")
        assert record is not None
        assert record.pending == ()


def test_an_intent_is_in_the_ledger_before_the_write_and_an_interrupted_one_is_resolved_by_looking() -> None:
    world = World()

    class Crash(Exception):
        pass

    def crash(_repository: object, _remedy: object) -> None:
        assert world.ledger.all_entries[-1].kind == "intent"
        raise Crash

    world.registry.on_apply = crash
    with pytest.raises(Crash):
        world.look(news=PUSHED)
    world.registry.on_apply = lambda _repository, _remedy: None
    change = world.look(news=PUSHED)
    assert change is not None
    assert len(change.recovered) == 1
    assert len(change.outcomes) == 2


def test_a_record_written_meanwhile_is_read_again_and_decided_again() -> None:
    world = World(ENFORCING, "paymets/api")

    def another_look() -> None:
        world.look("paymets/api", PUSHED)

    world.ledger.before_write = another_look
    world.look("paymets/api", CREATED)
    record = world.ledger.read("paymets/api")
    assert record is not None
    assert record.provenance.creation is not None
    assert record.provenance.pusher == CI
    assert sum(bool(entry.body.get("opened")) for entry in world.ledger.all_entries) == 1


def test_somebody_who_keeps_changing_it_back_is_not_fought_for_ever() -> None:
    world = World()
    announced = 0
    for minute in range(12):
        world.registry.repositories["payments/api"] = replace(world.registry.repositories["payments/api"], lifecycle_policy=None)
        change = world.look(news=PUSHED, at=T0 + timedelta(minutes=minute))
        announced += any(outcome.status is OutcomeStatus.REFUSED for outcome in change.outcomes) if change else 0
    puts = [write for write in world.registry.writes if type(write).__name__ == "PutLifecyclePolicy"]
    assert len(puts) == WRITE_ROUNDS_PER_HOUR
    assert announced == 1
    assert world.states()["lifecycle-policy"] is FindingState.OPEN
    record = world.ledger.read("payments/api")
    assert record is not None
    assert record.due_at is not None
    change = world.look(at=record.due_at)
    assert change is not None
    assert world.states()["lifecycle-policy"] is FindingState.RESOLVED


def test_a_refused_write_stays_a_finding_with_the_reason() -> None:
    world = World()
    world.registry.refuse_writes = "ecr:PutLifecyclePolicy: AccessDeniedException"
    change = world.look(news=PUSHED)
    assert change is not None
    assert {outcome.status for outcome in change.outcomes} == {OutcomeStatus.FAILED}
    assert world.states()["lifecycle-policy"] is FindingState.OPEN


def test_an_exemption_holds_until_it_expires_and_then_reports_itself() -> None:
    policy = ENFORCING + (
        "exemptions:\n  - {match: 'paymets/*', rules: [naming], reason: 'renamed next quarter', owner: platform, expires: 2026-11-03}\n"
    )
    world = World(policy, "paymets/api")
    world.look("paymets/api")
    assert world.states("paymets/api")["naming"] is FindingState.EXEMPT
    record = world.ledger.read("paymets/api")
    assert record is not None
    assert record.due_at is not None
    change = world.look("paymets/api", at=record.due_at)
    assert change is not None
    assert [finding.rule for finding in change.opened] == ["naming"]


def test_what_is_exempted_while_it_is_open_is_told_once_and_is_opened_when_the_exemption_ends() -> None:
    exemption = "exemptions: [{match: 'paymets/*', rules: [naming], reason: renamed next quarter, owner: platform, expires: 2026-11-03}]\n"
    world = World(ENFORCING, "paymets/api")
    world.look("paymets/api")
    world.policies.policy = a_policy(ENFORCING + exemption)
    change = world.look("paymets/api", at=T0 + HOUR)
    assert change is not None
    assert [(finding.rule, finding.resolution) for finding in change.exempted] == [
        ("naming", "until 2026-11-03, platform: renamed next quarter")
    ]
    assert (change.opened, change.resolved) == ((), ())
    assert world.look("paymets/api", at=T0 + 2 * HOUR) is None
    record = world.ledger.read("paymets/api")
    assert record is not None
    assert record.due_at is not None
    ended = world.look("paymets/api", at=record.due_at)
    assert ended is not None
    assert [finding.rule for finding in ended.opened] == ["naming"]


def test_a_push_that_follows_the_scheme_costs_no_call_and_leaves_the_record_alone() -> None:
    world = World(ENFORCING.replace("    tag_mutability", "    image_tags: {regex: 'v[0-9]+'}\n    tag_mutability"))
    assert not world.note(news=PUSHED)
    world.look(news=PUSHED)
    calls, record = len(world.registry.calls), world.ledger.read("payments/api")
    later = News(pushes=(Push("p2", T0 + HOUR, CI, "v2", "sha256:2"),))
    for _ in range(2):
        assert world.note(news=later)
    assert len(world.registry.calls) == calls
    assert world.ledger.read("payments/api") == record
    assert world.ledger.noted_push("payments/api") == later.pushes[0]
    assert world.note(news=PUSHED)
    assert world.ledger.noted_push("payments/api") == later.pushes[0]


def test_a_push_that_breaks_the_scheme_is_looked_at_and_its_deletion_too() -> None:
    world = World(ENFORCING.replace("    tag_mutability", "    image_tags: {regex: 'v[0-9]+'}\n    tag_mutability"))
    world.look(news=PUSHED)
    bad = News(pushes=(Push("p2", T0 + HOUR, CI, "latest", "sha256:2"),))
    assert not world.note(news=bad)
    image = Image("sha256:2", ("latest",), T0 + HOUR)
    world.registry.repositories["payments/api"] = replace(world.registry.repositories["payments/api"], images=(image,))
    world.look(news=bad)
    assert world.states()["image-tag"] is FindingState.OPEN
    assert not world.note(news=NOTHING)
    world.registry.repositories["payments/api"] = replace(world.registry.repositories["payments/api"], images=())
    world.look()
    assert world.states()["image-tag"] is FindingState.RESOLVED


def test_the_entries_of_a_repository_form_a_chain() -> None:
    world = World()
    world.look(news=CREATED)
    world.look(news=PUSHED)
    previous = GENESIS
    for number, entry in enumerate(world.ledger.all_entries, start=1):
        assert (entry.number, entry.previous) == (number, previous)
        assert entry.hash == entry_hash(entry.repository, entry.number, entry.kind, entry.body, entry.previous)
        previous = entry.hash
    record = world.ledger.read("payments/api")
    assert record is not None
    assert record.head == previous


def test_events_older_than_the_repository_tell_nothing_of_it() -> None:
    world = World()
    stale = News(pushes=(Push("p0", T0 - 24 * HOUR, CI, "v0"),))
    world.look(news=stale)
    record = world.ledger.read("payments/api")
    assert record is not None
    assert record.provenance.pusher is None


def test_a_push_after_the_policy_may_act_again_is_looked_at() -> None:
    world = World()
    world.policies.policy = a_policy(ENFORCING).limited_to(Mode.AUDIT)
    world.look(news=PUSHED)
    assert world.states()["lifecycle-policy"] is FindingState.OPEN
    later = News(pushes=(Push("p2", T0 + HOUR, CI, "v2", "sha256:2"),))
    assert world.note(news=later)
    world.policies.policy = a_policy(ENFORCING)
    assert not world.note(news=later)
    world.look(news=later)
    assert world.states()["lifecycle-policy"] is FindingState.RESOLVED


def test_an_exempt_repository_is_not_put_right() -> None:
    exemption = "exemptions:\n  - {match: 'payments/*', rules: ['*'], reason: 'moves next quarter', owner: platform, expires: 2026-12-31}\n"
    world = World(ENFORCING + exemption)
    world.look(news=PUSHED)
    assert world.states()["lifecycle-policy"] is FindingState.EXEMPT
    assert world.registry.writes == []


def test_a_creation_of_a_former_repository_tells_nothing_of_this_one() -> None:
    world = World()
    stale = News(creation=replace(CREATED.creation, at=T0 - HOUR)) if CREATED.creation else News()
    world.look(news=stale)
    record = world.ledger.read("payments/api")
    assert record is not None
    assert record.provenance.creation is None


def test_of_a_name_that_was_used_before_even_a_push_of_a_minute_earlier_is_the_former_ones() -> None:
    world = World()
    world.look()
    del world.registry.repositories["payments/api"]
    world.look(at=T0 + HOUR)
    world.registry.repositories["payments/api"] = a_repository("payments/api", created_at=T0 + HOUR)
    world.look(news=News(pushes=(Push("p0", T0 + HOUR - timedelta(minutes=1), CI, "v0"),)), at=T0 + HOUR)
    record = world.ledger.read("payments/api")
    assert record is not None
    assert record.provenance.pusher is None


def test_the_owner_is_remembered_while_the_tags_may_not_be_read() -> None:
    world = World()
    world.look(news=PUSHED)
    world.registry.denied = {Fact.TAGS}
    world.look(at=T0 + HOUR, news=News(pushes=(Push("p9", T0 + HOUR, CI, "v9"),)))
    record = world.ledger.read("payments/api")
    assert record is not None
    assert record.owner == "ci/build-1"


def test_an_open_finding_does_not_hide_what_comes_on_top_of_it() -> None:
    def policy_for(who: str) -> str:
        statement = {"Sid": "A", "Effect": "Allow", "Principal": {"AWS": who}, "Action": "ecr:*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    world = World("mode: audit\n")
    world.registry.repositories["payments/api"] = a_repository(repository_policy=policy_for("222222222222"))
    world.look()
    world.registry.repositories["payments/api"] = a_repository(repository_policy=policy_for("*"))
    change = world.look(at=T0 + HOUR)
    assert change is not None
    assert [finding.rule for finding in change.changed] == ["repository-policy"]
    assert change.announced


def test_a_remedy_that_keeps_failing_is_told_once() -> None:
    world = World()
    world.registry.refuse_writes = "ecr:PutLifecyclePolicy: AccessDeniedException"
    told = [world.look(news=PUSHED, at=T0 + timedelta(minutes=minute)) for minute in range(0, 240, 15)]
    assert sum(bool(change and any(outcome.status is OutcomeStatus.FAILED for outcome in change.outcomes)) for change in told) == 1


def test_one_setting_that_is_fought_over_does_not_keep_another_from_being_put_right() -> None:
    world = World()
    for minute in range(8):
        world.registry.repositories["payments/api"] = replace(world.registry.repositories["payments/api"], lifecycle_policy=None)
        world.look(news=PUSHED, at=T0 + timedelta(minutes=minute))
    world.registry.repositories["payments/api"] = replace(
        world.registry.repositories["payments/api"], tag_mutability=TagMutabilitySetting(TagMutability.MUTABLE)
    )
    world.look(at=T0 + timedelta(minutes=9))
    assert world.registry.repositories["payments/api"].tag_mutability == TagMutabilitySetting(TagMutability.IMMUTABLE)


def test_what_waited_for_the_policy_file_is_looked_at_again_within_the_hour() -> None:
    world = World()
    world.policies.policy, world.policies.problem = a_policy(ENFORCING).limited_to(Mode.AUDIT), "policy.yaml:4:7: broken"
    change = world.look(news=PUSHED)
    assert change is not None
    assert change.held_back
    record = world.ledger.read("payments/api")
    assert record is not None
    assert record.due_at == T0 + HOUR


def test_a_repository_that_was_there_before_us_is_not_called_created() -> None:
    world = World()
    world.registry.repositories["payments/api"] = a_repository(created_at=T0 - 24 * 1000 * HOUR)
    change = world.look()
    assert change is not None
    assert (change.discovered, change.created) == (True, False)


def test_a_push_is_looked_at_while_the_repository_is_held_to_be_empty() -> None:
    world = World(ENFORCING.replace("    tag_mutability", "    auto_created: {grace: 24h}\n    tag_mutability"))
    world.look(news=News(creation=CREATED.creation, pushes=PUSHED.pushes))
    world.look(at=T0 + 25 * HOUR)
    assert world.states()["auto-created"] is FindingState.OPEN
    assert not world.note(news=News(pushes=(Push("p2", T0 + 26 * HOUR, CI, "v2", "sha256:2"),)), at=T0 + 26 * HOUR)
