"""The sweep as a whole, in memory: what it reads, what it finds, what it never does."""

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ecr_governor.app.errors import LeaseLost, PolicyChanged, SweepRunning, Throttled
from ecr_governor.app.sweep.checking import BLOCK
from ecr_governor.app.sweep.ending import decide_over, report
from ecr_governor.core.finding import FindingState
from ecr_governor.core.origin import Actor, Creation, Origin
from ecr_governor.core.repository import CreationTemplate, Fact, Repository, ScanFrequency, Unreadable, Usage
from ecr_governor.core.selection import FULL_CHECK_DAYS
from tests.fakes import ENFORCING, LIFECYCLE, T0, THROTTLED, FakeRegistry, a_policy, a_repository
from tests.sweeping import SweepWorld

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
OLD = T0 - 400 * DAY
AUDITING = f"""
naming:
  convention: "{{team}}/{{service}}"
  segments:
    team: [payments, search]
namespaces:
  ROOT:
    lifecycle_policy: {json.dumps(LIFECYCLE)}
    tag_mutability: IMMUTABLE
    required_tags: {{team: {{}}}}
    unused: {{after: 90d}}
"""
CALLER = Actor("arn:aws:iam::123456789012:user/alice", "123456789012", "IAMUser")


class Killed(BaseException):
    """The process of a step ended here."""


def a_world(*repositories: Repository, policy: str = AUDITING) -> SweepWorld:
    return SweepWorld(a_policy(policy), FakeRegistry(*repositories))


def used(name: str, last_pull: datetime = T0 - DAY, **but: Any) -> Repository:
    """A repository that keeps every convention."""
    kept: dict[str, Any] = {
        "created_at": OLD,
        "lifecycle_policy": json.dumps(LIFECYCLE),
        "tag_mutability": immutable(),
        "tags": {"team": "a", "owner": "alice"},
        "usage": Usage(last_push=OLD, last_pull=last_pull, images=1, size_bytes=10),
    }
    return a_repository(name, **{**kept, **but})


def immutable() -> Any:
    from ecr_governor.core.repository import TagMutability, TagMutabilitySetting  # noqa: PLC0415 - only here

    return TagMutabilitySetting(TagMutability.IMMUTABLE)


def many(count: int) -> list[Repository]:
    """Repositories of every kind."""
    bare = [a_repository(f"payments/bare-{number}", created_at=OLD) for number in range(count // 3)]
    misnamed = [used(f"other/name-{number}") for number in range(count // 3)]
    return [*bare, *misnamed, *(used(f"search/good-{number}") for number in range(count - len(bare) - len(misnamed)))]


def reads(world: SweepWorld) -> Counter[str]:
    """Count from now on what is read of single repositories."""
    counted: Counter[str] = Counter()
    read = world.registry.read

    def counting(name: str, facts: frozenset[Fact], idle_since: datetime | None = None) -> Repository | None:
        counted[name] += 1
        return read(name, facts, idle_since)

    world.registry.read = counting  # type: ignore[method-assign]
    return counted


def without_time(lines: dict[str, Any]) -> dict[str, Any]:
    return {name: {**found.data, "checked_at": None, "due_at": None} for name, found in lines.items()}


# What a sweep finds


def test_the_first_sweep_judges_every_repository_and_puts_nothing_right() -> None:
    world = a_world(*many(10), policy=ENFORCING)
    summary = world.sweep(T0)
    assert summary["repositories"] == summary["checked"] == 10
    assert summary["complete"]
    assert summary["first"]
    assert summary["to_be_put_right"] == []
    assert world.asked == []
    assert world.registry.writes == []
    assert set(world.ledger.records_by_name) == set(world.standing()) == set(world.registry.repositories)
    assert {entry.kind for entry in world.ledger.all_entries} == {"swept"}
    assert summary["by_rule"]["naming"] == 3
    assert summary["opened"] == summary["by_rule"]


def test_what_a_sweep_finds_is_what_a_look_at_each_repository_would_find() -> None:
    world, looked = a_world(*many(9)), a_world(*many(9))
    world.sweep(T0)
    for name in looked.registry.repositories:
        looked.look(name, T0, "CreateRepository")
    for name, record in looked.ledger.records_by_name.items():
        swept = world.ledger.records_by_name[name]
        assert swept.findings == record.findings
        assert (swept.listed, swept.read, swept.owner, swept.due_at) == (record.listed, record.read, record.owner, record.due_at)


def test_nothing_is_read_again_of_what_cannot_have_changed() -> None:
    world = a_world(*many(9))
    world.sweep(T0)
    counted = reads(world)
    written = world.ledger.writes
    summary = world.sweep(T0 + HOUR)
    assert not counted
    assert world.ledger.writes == written
    assert summary["repositories"] == 9
    assert summary["checked"] == 0
    assert summary["opened"] == summary["resolved"] == {}
    assert summary["by_rule"] == {"lifecycle-policy": 3, "naming": 3, "required-tags": 3, "tag-mutability": 3, "unused": 3}


def test_another_policy_makes_everything_be_read_again() -> None:
    world = a_world(*many(9))
    world.sweep(T0)
    world.policy = a_policy(AUDITING.replace("[payments, search]", "[payments, search, other]"))
    summary = world.sweep(T0 + HOUR)
    assert summary["checked"] == 9
    assert summary["needs"] == {"other_policy": 9}
    assert summary["resolved"] == {"naming": 3}


def test_another_scanning_rule_of_the_registry_makes_everything_be_read_again() -> None:
    world = a_world(*many(6))
    world.sweep(T0)
    world.scanning = "ENHANCED"
    assert world.sweep(T0 + HOUR)["checked"] == 6
    assert world.sweep(T0 + 2 * HOUR)["checked"] == 0


def test_a_change_that_a_listing_shows_is_found_by_the_next_sweep_and_counted_as_unannounced() -> None:
    world = a_world(*many(9))
    world.sweep(T0)
    world.registry.repositories["search/good-0"] = used("search/good-0", tags={"owner": "alice"})
    summary = world.sweep(T0 + HOUR)
    assert summary["needs"] == {"changed": 1}
    assert summary["opened"] == {"required-tags": 1}
    assert summary["opened_in"] == ["search/good-0"]
    assert summary["event_loss"]["unannounced"] == 1
    assert summary["event_loss"]["rate"] == 1.0
    assert summary["event_loss"]["examples"] == ["search/good-0: settings or tags changed"]
    assert {finding.rule for finding in world.ledger.records_by_name["search/good-0"].findings} == {"required-tags"}


def test_a_change_that_only_a_read_shows_is_found_within_a_week_and_counted() -> None:
    world = a_world(*(used(f"search/good-{number}") for number in range(20)))
    world.sweep(T0)
    for name in list(world.registry.repositories):
        world.registry.repositories[name] = used(name, lifecycle_policy=None)
    found: Counter[str] = Counter()
    lost = 0
    for night in range(1, FULL_CHECK_DAYS + 1):
        summary = world.sweep(T0 + night * DAY)
        found.update(summary["opened"])
        lost += summary["event_loss"]["unannounced"]
        assert set(summary["needs"]) <= {"share"}
    assert found == {"lifecycle-policy": 20}
    assert lost == 20


def test_each_night_reads_a_share_and_a_week_reads_everything_once() -> None:
    world = a_world(*(used(f"search/good-{number}", last_pull=T0) for number in range(70)))
    world.sweep(T0)
    counted = reads(world)
    nightly = [world.sweep(T0 + night * DAY)["checked"] for night in range(1, FULL_CHECK_DAYS + 1)]
    assert set(counted.values()) == {1}
    assert len(counted) == 70
    assert max(nightly) <= 25


def test_a_night_that_was_missed_is_made_up_for() -> None:
    world = a_world(*(used(f"search/good-{number}") for number in range(20)))
    world.sweep(T0)
    assert world.sweep(T0 + 8 * DAY)["checked"] == 20


def test_an_announced_change_is_not_read_again_and_not_counted_as_lost() -> None:
    world = a_world(*many(9))
    world.sweep(T0)
    world.registry.repositories["search/good-0"] = used("search/good-0", lifecycle_policy=None)
    world.look("search/good-0", T0 + HOUR)
    counted = reads(world)
    summary = world.sweep(T0 + 2 * HOUR)
    assert not counted
    assert summary["opened"] == {"lifecycle-policy": 1}
    assert summary["event_loss"] == {"announced": 1, "unannounced": 0, "examples": [], "rate": 0.0}
    everything = world.sweep(T0 + 3 * HOUR, everything=True)
    assert everything["event_loss"]["unannounced"] == 0


def test_the_meter_compares_what_was_announced_with_what_was_not() -> None:
    world = a_world(*(used(f"search/good-{number}") for number in range(10)))
    world.sweep(T0)
    for number in range(10):
        name = f"search/good-{number}"
        world.registry.repositories[name] = used(name, repository_policy='{"Statement":[]}', tags={"team": "b", "owner": "alice"})
        if number < 7:
            world.look(name, T0 + HOUR)
    loss = world.sweep(T0 + 2 * HOUR, everything=True)["event_loss"]
    assert (loss["announced"], loss["unannounced"], loss["rate"]) == (7, 3, 0.3)


def test_a_repository_that_no_event_told_of_is_discovered() -> None:
    world = a_world(*many(6))
    world.sweep(T0)
    world.registry.repositories["search/new"] = a_repository("search/new", created_at=T0 + HOUR)
    world.registry.repositories["search/told"] = a_repository("search/told", created_at=T0 + HOUR)
    world.look("search/told", T0 + HOUR, "CreateRepository")
    world.history.found = [("search/new", Creation("e1", T0 + HOUR, CALLER))]
    summary = world.sweep(T0 + 5 * HOUR)
    assert summary["needs"] == {"unknown": 1}
    assert (summary["event_loss"]["announced"], summary["event_loss"]["unannounced"]) == (1, 1)
    record = world.ledger.records_by_name["search/new"]
    assert record.provenance.origin is Origin.API
    assert record.provenance.creation is not None
    assert world.standing()["search/new"].data["origin_confidence"] == "certain"
    (entry,) = [entry for entry in world.ledger.all_entries if entry.repository == "search/new"]
    assert entry.body["discovered"]


def test_a_creation_whose_event_may_still_be_under_way_is_not_called_lost() -> None:
    world = a_world(*many(3))
    world.sweep(T0)
    world.registry.repositories["search/new"] = a_repository("search/new", created_at=T0 + HOUR)
    assert world.sweep(T0 + HOUR + timedelta(minutes=3))["event_loss"]["unannounced"] == 0
    assert "search/new" in world.ledger.records_by_name


def test_a_repository_that_vanished_is_confirmed_by_a_look_before_its_record_ends() -> None:
    world = a_world(*many(6))
    world.sweep(T0)
    del world.registry.repositories["payments/bare-0"]
    summary = world.sweep(T0 + HOUR)
    assert summary["vanished"] == world.asked == ["payments/bare-0"]
    assert summary["event_loss"]["examples"] == ["payments/bare-0: deleted"]
    assert world.ledger.records_by_name["payments/bare-0"].gone_at is None
    world.looks(T0 + HOUR)
    assert world.ledger.records_by_name["payments/bare-0"].gone_at == T0 + HOUR
    after = world.sweep(T0 + 2 * HOUR)
    assert (after["vanished"], after["repositories"]) == ([], 5)


def test_a_deletion_that_was_announced_is_counted_so_and_asks_for_nothing() -> None:
    world = a_world(*many(6))
    world.sweep(T0)
    del world.registry.repositories["payments/bare-0"]
    world.look("payments/bare-0", T0 + HOUR, "DeleteRepository")
    summary = world.sweep(T0 + 2 * HOUR)
    assert (summary["vanished"], summary["event_loss"]["announced"]) == ([], 1)
    assert summary["resolved"]["lifecycle-policy"] == 1


def test_a_repository_that_was_made_anew_starts_over() -> None:
    world = a_world(*many(6))
    world.sweep(T0)
    world.registry.repositories["search/good-0"] = a_repository("search/good-0", created_at=T0 + HOUR)
    summary = world.sweep(T0 + 2 * HOUR)
    assert summary["needs"] == {"recreated": 1}
    assert world.asked == []
    assert summary["event_loss"]["examples"] == ["search/good-0: created"]
    assert world.ledger.records_by_name["search/good-0"].created_at == T0 + HOUR
    entries = [entry for entry in world.ledger.all_entries if entry.repository == "search/good-0"]
    assert [(entry.kind, entry.body["gone"], entry.body["discovered"]) for entry in entries[-2:]] == [
        ("swept", True, False),
        ("swept", False, True),
    ]


def test_a_repository_that_is_deleted_while_the_sweep_reads_it_is_neither_judged_nor_lost() -> None:
    world = a_world(*many(6))
    laid = world.lay_out("execution", T0)
    del world.registry.repositories["payments/bare-0"]
    for shard in laid.shards:
        world.check(laid.run, shard, T0)
    decide_over(laid.run, world.services, world, T0)
    summary = report(laid.run, world.services, T0)
    assert summary["complete"]
    assert summary["repositories"] == 5
    assert summary["vanished"] == ["payments/bare-0"]


def test_a_repository_becomes_unused_by_time_alone_and_is_read_only_then() -> None:
    world = a_world(used("search/idle", last_pull=T0 - 80 * DAY), used("search/busy", last_pull=T0))
    world.sweep(T0)
    due = world.standing()["search/idle"].due_at
    assert due is not None
    assert due - (T0 + 10 * DAY) <= DAY
    counted = reads(world)
    for night in range(1, 6):
        world.sweep(T0 + night * HOUR)
    assert not counted
    summary = world.sweep(due + timedelta(minutes=1))
    assert summary["opened"] == {"unused": 1}
    assert summary["unused"] == 1
    assert world.standing()["search/idle"].unused is True


def test_a_pull_meanwhile_moves_the_day_on() -> None:
    world = a_world(used("search/idle", last_pull=T0 - 80 * DAY))
    world.sweep(T0)
    due = world.standing()["search/idle"].due_at
    assert due is not None
    world.registry.repositories["search/idle"] = used("search/idle", last_pull=T0 + 3 * DAY)
    assert world.sweep(due + HOUR)["opened"] == {}
    moved = world.standing()["search/idle"].due_at
    assert moved is not None
    assert moved >= T0 + 93 * DAY


# What is not known


@pytest.mark.parametrize("fact", [Fact.LIFECYCLE_POLICY, Fact.TAGS, Fact.USAGE])
def test_a_denied_fact_is_undetermined_and_makes_the_sweep_incomplete(fact: Fact) -> None:
    world = a_world(*many(6))
    world.sweep(T0)
    before = {name: record.findings for name, record in world.ledger.records_by_name.items()}
    world.registry.denied = {fact}
    summary = world.sweep(T0 + HOUR, everything=True)
    assert not summary["complete"]
    assert summary["incomplete_because"]
    assert summary["undetermined"]
    assert summary["opened"] == summary["resolved"] == {}
    assert {name: record.findings for name, record in world.ledger.records_by_name.items()} == before
    world.registry.denied = set()
    healed = world.sweep(T0 + 2 * HOUR)
    assert healed["complete"]
    assert healed["opened"] == healed["resolved"] == {}
    assert healed["needs"] == {"undetermined": 6} or fact is Fact.TAGS


def test_a_history_that_may_not_be_read_is_told_and_nothing_else_suffers() -> None:
    world = a_world(*many(3))
    world.history.denied = "cloudtrail:LookupEvents: AccessDeniedException"
    summary = world.sweep(T0)
    assert summary["incomplete_because"] == ["cloudtrail:LookupEvents: AccessDeniedException"]
    assert summary["checked"] == 3


def test_registry_rules_that_may_not_be_read_are_told() -> None:
    world = a_world(*many(3))
    world.registry.templates = None
    world.scanning = Unreadable("ecr:GetRegistryScanningConfiguration: AccessDeniedException")
    why = world.sweep(T0)["incomplete_because"]
    assert "ecr:DescribeRepositoryCreationTemplates: AccessDeniedException" in why
    assert "ecr:GetRegistryScanningConfiguration: AccessDeniedException" in why


def test_a_list_that_is_not_to_be_had_is_trouble_and_never_no_repositories() -> None:
    world = a_world(*many(6))
    world.sweep(T0)

    def refuse(what: str) -> None:
        if what == "DescribeRepositories":
            raise THROTTLED

    world.before = refuse
    with pytest.raises(Throttled):
        world.sweep(T0 + HOUR)
    assert world.asked == []
    assert world.book.ended is not None
    assert world.book.ended.started_at == T0


# What is put right


def test_what_may_be_put_right_is_asked_for_and_then_found_in_order() -> None:
    world = a_world(*many(6), policy=ENFORCING)
    world.sweep(T0)
    summary = world.sweep(T0 + HOUR)
    assert summary["to_be_put_right"] == sorted(world.asked) == ["payments/bare-0", "payments/bare-1"]
    assert world.registry.writes == []
    world.looks(T0 + HOUR)
    assert world.registry.writes
    assert [entry.kind for entry in world.ledger.all_entries if entry.repository == "payments/bare-0"] == ["swept", "intent", "change"]
    after = world.sweep(T0 + 2 * HOUR)
    assert after["to_be_put_right"] == []
    assert after["resolved"]["lifecycle-policy"] == 2


def test_over_the_cap_nothing_is_put_right_and_the_summary_says_so() -> None:
    world = a_world(*many(9), policy=ENFORCING + "limits: {remedies_per_sweep: 2}\n")
    world.sweep(T0)
    summary = world.sweep(T0 + HOUR)
    assert world.asked == []
    assert summary["to_be_put_right"] == []
    assert summary["withheld"] == "3 repositories are to be put right, and limits.remedies_per_sweep is 2: nothing was put right"


def test_what_is_withheld_is_in_the_ledger_all_the_same() -> None:
    world = a_world(*many(3), policy=ENFORCING + "limits: {remedies_per_sweep: 0}\n")
    world.sweep(T0)
    world.registry.repositories["search/late"] = a_repository("search/late", created_at=T0)
    world.history.found = [("search/late", Creation("e1", T0, CALLER))]
    assert "search/late" not in world.sweep(T0 + HOUR)["to_be_put_right"]
    record = world.ledger.records_by_name["search/late"]
    assert {finding.rule for finding in record.findings} >= {"lifecycle-policy", "tag-mutability"}
    # Who created it is known to the look that comes some day.
    assert record.provenance.origin is Origin.API


def test_a_sweep_does_not_end_a_pause_that_a_look_has_begun() -> None:
    world = a_world(*many(3), policy=ENFORCING)
    world.sweep(T0)
    name = "payments/bare-0"
    stored = world.ledger.records_by_name[name]
    paused = replace(stored, paused={"PutLifecyclePolicy": T0}, failing=("put it",), pending=("gone long ago",))
    world.ledger.write(paused)
    world.sweep(T0 + HOUR)
    after = world.ledger.records_by_name[name]
    assert (after.paused, after.failing, after.pending) == (paused.paused, paused.failing, ())


def test_at_the_cap_all_is_put_right() -> None:
    world = a_world(*many(9), policy=ENFORCING + "limits: {remedies_per_sweep: 3}\n")
    world.sweep(T0)
    assert len(world.sweep(T0 + HOUR)["to_be_put_right"]) == 3


def test_a_cap_of_nought_means_none() -> None:
    world = a_world(*many(9), policy=ENFORCING + "limits: {remedies_per_sweep: 0}\n")
    world.sweep(T0)
    assert world.sweep(T0 + HOUR)["withheld"]
    assert world.asked == []


def test_the_policy_is_the_one_that_the_sweep_began_with() -> None:
    world = a_world(*many(6))
    laid = world.lay_out("execution", T0)
    world.policy = a_policy(AUDITING.replace("tag_mutability: IMMUTABLE", "tag_mutability: MUTABLE"))
    for shard in laid.shards:
        world.check(laid.run, shard, T0)
    decide_over(laid.run, world.services, world, T0)
    summary = report(laid.run, world.services, T0)
    assert summary["policy_hash"] == a_policy(AUDITING).hash
    assert summary["by_rule"]["tag-mutability"] == 2


def test_a_policy_version_that_says_something_else_by_now_stops_the_sweep() -> None:
    world = a_world(*many(6))
    laid = world.lay_out("execution", T0)
    world.policy_at[world.policy.hash] = a_policy(ENFORCING)
    with pytest.raises(PolicyChanged):
        world.check(laid.run, laid.shards[0], T0)


def test_what_an_event_wrote_meanwhile_is_not_written_over() -> None:
    world = a_world(*many(3))
    laid = world.lay_out("execution", T0)
    world.ledger.before_write = lambda: world.look("payments/bare-0", T0)
    (shard,) = laid.shards
    checked = world.check(laid.run, shard, T0)
    assert checked.looks == []
    assert {entry.kind for entry in world.ledger.all_entries if entry.repository == "payments/bare-0"} == {"change"}


# One at a time


def test_a_second_sweep_is_refused_while_one_is_under_way() -> None:
    world = a_world(*many(6))
    world.lay_out("execution-a", T0)
    with pytest.raises(SweepRunning, match="holds the lease until"):
        world.lay_out("execution-b", T0 + HOUR / 2)
    assert world.lay_out("execution-b", T0 + HOUR).shards


def test_a_sweep_that_lost_its_lease_does_nothing_any_more() -> None:
    world = a_world(*many(6), policy=ENFORCING)
    world.sweep(T0)
    laid = world.lay_out("execution-a", T0 + HOUR)
    for shard in laid.shards:
        world.check(laid.run, shard, T0 + HOUR)
    later = world.lay_out("execution-b", T0 + 2 * HOUR)
    for step in (
        lambda: world.check(laid.run, laid.shards[0], T0 + 2 * HOUR),
        lambda: decide_over(laid.run, world.services, world, T0 + 2 * HOUR),
        lambda: report(laid.run, world.services, T0 + 2 * HOUR),
    ):
        with pytest.raises(LeaseLost):
            step()
    assert world.asked == []
    assert later.run != laid.run


def test_the_lease_is_given_back_with_the_report() -> None:
    world = a_world(*many(3))
    world.sweep(T0)
    assert world.book.lease is None


# Interrupted


def test_a_shard_that_is_not_finished_makes_the_sweep_incomplete_and_is_taken_up_by_the_next_one() -> None:
    world = a_world(*many(9))
    world.sweep(T0)
    world.policy = a_policy(AUDITING + "owner_tag: holder\n")
    laid = world.lay_out("execution-x", T0 + HOUR)
    decide_over(laid.run, world.services, world, T0 + HOUR)
    summary = report(laid.run, world.services, T0 + HOUR)
    assert not summary["complete"]
    assert summary["incomplete_because"] == ["shard 0001 was not finished: no repository of it was checked"]
    assert set(world.standing()) == set(world.registry.repositories)
    healed = world.sweep(T0 + 2 * HOUR)
    assert healed["complete"]
    assert healed["opened"] == healed["resolved"] == {}
    assert healed["checked"] == 9
    assert healed["opened"] == {}


def kill_at(world: SweepWorld, position: int) -> None:
    """Let the process end at a call, counted from now."""
    calls = 0

    def before(_: str) -> None:
        nonlocal calls
        calls += 1
        if calls == position:
            raise Killed

    world.before = before


def calls_of_check(repositories: list[Repository]) -> int:
    world = a_world(*repositories)
    laid = world.lay_out("execution", T0)
    calls = 0

    def before(_: str) -> None:
        nonlocal calls
        calls += 1

    world.before = before
    for shard in laid.shards:
        world.check(laid.run, shard, T0)
    return calls


def test_a_step_that_is_killed_at_any_call_is_begun_again_and_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecr_governor.app.sweep.checking.BLOCK", 3)
    undisturbed = a_world(*many(10))
    expected = undisturbed.sweep(T0)
    total = calls_of_check(many(10))
    assert total > 20
    for position in range(1, total + 1):
        world = a_world(*many(10))
        laid = world.lay_out("execution-1", T0)
        kill_at(world, position)
        for shard in laid.shards:
            with pytest.raises(Killed):
                world.check(laid.run, shard, T0)
        world.before = lambda _: None
        for shard in laid.shards:
            world.check(laid.run, shard, T0)
        decide_over(laid.run, world.services, world, T0)
        summary = report(laid.run, world.services, T0)
        assert without_time(world.standing()) == without_time(undisturbed.standing()), position
        different = {key for key in summary if summary[key] != expected[key]} - {"calls", "cost_estimate_usd"}
        assert different == set(), position
        findings = {name: record.findings for name, record in world.ledger.records_by_name.items()}
        assert findings == {name: record.findings for name, record in undisturbed.ledger.records_by_name.items()}
        assert len(world.ledger.all_entries) == len(undisturbed.ledger.all_entries)


def test_listing_that_is_killed_at_any_call_is_begun_again_and_lays_out_the_same() -> None:
    undisturbed = a_world(*many(7))
    undisturbed.history.found = [(name, Creation(name, T0 - DAY, CALLER)) for name in undisturbed.registry.repositories]
    expected = undisturbed.lay_out("execution-1", T0)
    position = 0
    while True:
        position += 1
        world = a_world(*many(7))
        world.history.found = undisturbed.history.found
        kill_at(world, position)
        try:
            world.lay_out("execution-1", T0)
        except Killed:
            world.before = lambda _: None
            assert world.lay_out("execution-1", T0) == expected
            key = f"sweeps/{expected.run}/to-check/0001"
            assert sorted(world.runs.files[key]) == sorted(undisturbed.runs.files[key])
        else:
            break
    assert position > 15


@pytest.mark.parametrize("every", range(1, 12))
def test_throttling_at_every_kth_call_gives_the_same_result(every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecr_governor.app.sweep.checking.BLOCK", 2)
    expected = a_world(*many(10))
    expected.sweep(T0)
    world = a_world(*many(10))
    laid = world.lay_out("execution-1", T0)
    calls = 0

    def before(_: str) -> None:
        nonlocal calls
        calls += 1
        if every > 1 and calls % (7 * every) == 0:
            raise THROTTLED

    world.before = before
    for shard in laid.shards:
        for _ in range(100):
            try:
                checked = world.check(laid.run, shard, T0)
            except Throttled:
                continue
            if not checked.again:
                break
        else:
            pytest.fail("no progress")
    world.before = lambda _: None
    decide_over(laid.run, world.services, world, T0)
    assert report(laid.run, world.services, T0)["complete"]
    assert without_time(world.standing()) == without_time(expected.standing())


def test_steps_that_run_out_of_time_go_on_where_they_were() -> None:
    world = a_world(*many(3 * BLOCK))
    world.history.found = [(f"search/x-{number}", Creation(str(number), T0 - number * HOUR, CALLER)) for number in range(1, 10)]
    world.time_left = lambda: 1.0
    counted = reads(world)
    summary = world.sweep(T0)
    assert summary["complete"]
    assert summary["checked"] == 3 * BLOCK
    assert set(counted.values()) == {1}
    # Each call of the first step had time for one page, and began at the oldest of the last.
    assert len(world.history.asked) >= 4
    assert sum(1 for key in world.runs.files if "/creations/" in key) >= 3


def test_steps_may_be_repeated_without_harm() -> None:
    world = a_world(*many(6), policy=ENFORCING)
    world.sweep(T0)
    laid = world.lay_out("execution-9", T0 + HOUR)
    assert world.lay_out("execution-9", T0 + HOUR) == laid
    for _ in range(2):
        for shard in laid.shards:
            world.check(laid.run, shard, T0 + HOUR)
        decide_over(laid.run, world.services, world, T0 + HOUR)
    assert report(laid.run, world.services, T0 + HOUR)["checked"] == 6


def test_the_backfill_looks_ninety_days_back_at_first_and_then_no_farther_than_the_last_sweep() -> None:
    world = a_world(*many(3))
    world.sweep(T0)
    world.sweep(T0 + DAY)
    (first, _), (second, until) = world.history.asked
    assert first == T0 - 90 * DAY
    assert T0 - 2 * HOUR <= second <= T0
    assert until == T0 + DAY


def test_of_a_name_that_was_created_twice_the_newer_creation_counts() -> None:
    world = a_world(a_repository("search/again", created_at=T0 - DAY))
    world.history.found = [
        ("search/again", Creation("old", T0 - 9 * DAY, replace(CALLER, arn="arn:aws:iam::123456789012:user/bob"))),
        ("search/again", Creation("new", T0 - DAY, CALLER)),
    ]
    world.sweep(T0)
    creation = world.ledger.records_by_name["search/again"].provenance.creation
    assert creation is not None
    assert creation.event_id == "new"


def test_older_repositories_are_classified_by_the_registrys_rules_with_less_confidence() -> None:
    world = a_world(a_repository("docker-hub/library/nginx", created_at=OLD), a_repository("search/x", created_at=OLD))
    world.registry.caches = ("docker-hub",)
    world.registry.templates = (CreationTemplate("docker-hub", frozenset({"PULL_THROUGH_CACHE"})),)
    world.sweep(T0)
    lines = world.standing()
    assert lines["search/x"].data["origin_confidence"] == "none"
    assert lines["docker-hub/library/nginx"].origin in {"unknown", "pull_through_cache"}


def test_an_exempt_finding_is_told_apart_and_does_not_make_a_repository_violating() -> None:
    exempting = AUDITING + 'exemptions: [{match: "other/*", rules: [naming], reason: "known for long", owner: x, expires: 2027-01-01}]\n'
    world = a_world(used("other/x"), policy=exempting)
    summary = world.sweep(T0)
    assert (summary["exempt"], summary["violating"]) == ({"naming": 1}, 0)
    (finding,) = world.ledger.records_by_name["other/x"].findings
    assert finding.state is FindingState.EXEMPT


def test_what_is_exempt_since_the_last_sweep_is_not_counted_as_resolved_and_is_told_once() -> None:
    world = a_world(used("other/x"))
    world.sweep(T0)
    world.policy = a_policy(
        AUDITING + 'exemptions: [{match: "other/*", rules: [naming], reason: "known for long", owner: x, expires: 2027-01-01}]\n'
    )
    summary = world.sweep(T0 + DAY)
    assert (summary["exempt"], summary["resolved"], summary["violating"]) == ({"naming": 1}, {}, 0)
    world.sweep(T0 + 2 * DAY)
    told = [[finding["rule"] for finding in entry.body["exempted"]] for entry in world.ledger.entries("other/x")]
    assert told == [[], ["naming"]]


def test_counts_are_told_by_namespace_and_owner() -> None:
    world = a_world(used("other/x"), a_repository("payments/y", tags={"owner": "bob"}), a_repository("payments/z"))
    summary = world.sweep(T0)
    assert summary["by_owner"] == {"alice": 1, "bob": 1, "nobody": 1}
    assert summary["by_namespace"] == {"ROOT": 3}
    assert summary["by_severity"]


def test_scanning_that_changed_for_one_repository_is_a_change() -> None:
    scanning = AUDITING + "    scan_frequency: SCAN_ON_PUSH\n"
    world = a_world(used("search/x", scan_frequency=ScanFrequency.SCAN_ON_PUSH), policy=scanning)
    world.sweep(T0)
    world.registry.repositories["search/x"] = used("search/x", scan_frequency=ScanFrequency.MANUAL, scan_on_push=True)
    assert world.sweep(T0 + HOUR)["opened"] == {"scanning": 1}


def test_the_cap_counts_all_that_is_outstanding_and_not_only_what_was_read_tonight() -> None:
    """A mistake in the policy must not change the registry bit by bit, a share of it each night."""
    repositories = [a_repository(f"payments/bare-{number}", created_at=OLD) for number in range(40)]
    world = a_world(*repositories, policy=ENFORCING + "limits: {remedies_per_sweep: 20}\n")
    for night in range(10):
        summary = world.sweep(T0 + night * DAY)
        assert world.asked == []
        assert night == 0 or summary["withheld"].startswith("40 repositories are to be put right")
    world.policy = a_policy(ENFORCING + "limits: {remedies_per_sweep: 40}\n")
    assert world.sweep(T0 + 10 * DAY)["to_be_put_right_count"] == 40


def test_what_is_outstanding_is_asked_for_again_although_it_is_not_read_again() -> None:
    world = a_world(*many(6), policy=ENFORCING)
    world.sweep(T0)
    asked = world.sweep(T0 + HOUR)["to_be_put_right"]
    # The looks were lost.
    world.asked.clear()
    again = world.sweep(T0 + 2 * HOUR)
    assert (again["checked"], again["to_be_put_right"]) == (0, asked)


def test_until_one_sweep_has_seen_everything_nothing_is_put_right() -> None:
    world = a_world(*many(6), policy=ENFORCING)
    laid = world.lay_out("execution-x", T0)
    decide_over(laid.run, world.services, world, T0)
    report(laid.run, world.services, T0)
    second = world.sweep(T0 + HOUR)
    assert second["first"]
    assert world.asked == []
    assert world.sweep(T0 + 2 * HOUR)["to_be_put_right"]


def test_a_look_after_the_list_was_made_knows_better() -> None:
    world = a_world(*many(6))
    world.sweep(T0)
    laid = world.lay_out("execution-x", T0 + HOUR, everything=True)
    world.registry.repositories["search/good-0"] = used("search/good-0", tags={"owner": "alice"})
    world.look("search/good-0", T0 + 2 * HOUR, "UntagResource")
    # The list still says that the tag is there.
    before = world.ledger.records_by_name["search/good-0"]
    for shard in laid.shards:
        world.check(laid.run, shard, T0 + 2 * HOUR)
    decide_over(laid.run, world.services, world, T0 + 2 * HOUR)
    summary = report(laid.run, world.services, T0 + 2 * HOUR)
    assert world.ledger.records_by_name["search/good-0"] == before
    assert summary["opened"] == {"required-tags": 1}
    assert {finding["rule"] for finding in world.standing()["search/good-0"].findings} == {"required-tags"}
    assert world.sweep(T0 + 3 * HOUR)["event_loss"]["unannounced"] == 0


def test_another_policy_is_no_change_of_anything() -> None:
    world = a_world(*many(6))
    world.sweep(T0)
    world.policy = a_policy(AUDITING + "    scan_frequency: MANUAL\n")
    summary = world.sweep(T0 + HOUR)
    assert summary["checked"] == 6
    assert summary["event_loss"]["unannounced"] == 0


@pytest.mark.parametrize("damage", [[], [b"no json"], [b"{}"]])
def test_an_inventory_that_is_lost_or_damaged_is_told_and_everything_is_read(damage: list[bytes]) -> None:
    world = a_world(*many(6))
    world.sweep(T0)
    assert world.book.ended is not None
    world.runs.files[world.book.ended.inventory] = damage
    summary = world.sweep(T0 + HOUR)
    assert not summary["complete"]
    assert "the inventory of the sweep" in summary["incomplete_because"][0]
    assert summary["checked"] == 6
    assert summary["event_loss"]["rate"] is None
    assert world.sweep(T0 + 2 * HOUR)["complete"]


def test_a_line_that_is_damaged_costs_one_read() -> None:
    world = a_world(*many(6))
    world.sweep(T0)
    assert world.book.ended is not None
    lines = world.runs.files[world.book.ended.inventory]
    lines[0] = lines[0].replace(b'"judged_by"', b'"judged"')
    summary = world.sweep(T0 + HOUR)
    assert (summary["complete"], summary["checked"]) == (True, 1)


def test_one_repository_that_aws_cannot_answer_for_does_not_cost_the_others_their_verdicts() -> None:
    world = a_world(*many(9))
    read = world.registry.read

    def failing(name: str, facts: frozenset[Fact], idle_since: datetime | None = None) -> Repository | None:
        if name == "payments/bare-1":
            raise Throttled("ecr:GetLifecyclePolicy: ServerException")
        return read(name, facts, idle_since)

    world.registry.read = failing  # type: ignore[method-assign]
    summary = world.sweep(T0)
    assert summary["checked"] == 9
    assert not summary["complete"]
    assert any("ServerException" in why for why in summary["incomplete_because"])
    assert world.standing()["payments/bare-1"].undetermined
    assert not world.standing()["payments/bare-0"].undetermined


def test_a_report_whose_answer_was_lost_is_given_again() -> None:
    world = a_world(*many(3))
    summary = world.sweep(T0)
    assert report(summary["run"], world.services, T0 + HOUR) == summary
    assert len(world.book.entries) == 1


def test_a_policy_that_is_invalid_does_not_make_every_repository_due_within_the_hour() -> None:
    world = a_world(*many(6))
    current = world.current
    world.current = lambda now: replace(current(now), problem="broken")  # type: ignore[method-assign]
    world.sweep(T0)
    assert [record.due_at for record in world.ledger.records_by_name.values()] == [None] * 6


def test_an_announced_creation_stays_announced_after_a_sweep_that_was_given_up() -> None:
    world = a_world(*many(3))
    world.sweep(T0)
    world.registry.repositories["search/new"] = a_repository("search/new", created_at=T0 + HOUR)
    world.look("search/new", T0 + HOUR, "CreateRepository")
    laid = world.lay_out("given-up", T0 + 2 * HOUR, everything=True)
    world.check(laid.run, laid.shards[0], T0 + 2 * HOUR)
    loss = world.sweep(T0 + 4 * HOUR)["event_loss"]
    assert (loss["announced"], loss["unannounced"]) == (1, 0)
