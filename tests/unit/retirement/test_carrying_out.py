"""Carrying out: the whole life of a repository, every way back, and what interruptions and others may do between any two calls."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any

import pytest

from ecr_governor.app.errors import Denied, Refused, Unintelligible
from ecr_governor.app.retirement.carrying_out import carry_out
from ecr_governor.app.retirement.cases import PEOPLE, Services, hear
from ecr_governor.app.retirement.deleting import BATCH
from ecr_governor.app.retirement.planning import Plan, carry_out_plan, plan
from ecr_governor.app.retirement.recording import Done
from ecr_governor.app.retirement.taking_back import release
from ecr_governor.core.origin import Push
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.record import append, break_in
from ecr_governor.core.retirement.evidence import Use
from ecr_governor.core.retirement.history import INTENT, OUTCOME
from ecr_governor.core.retirement.quarantine import is_in_force, quarantined
from ecr_governor.core.retirement.snapshot import ARCHIVED, DELETE_AFTER, PROTECT, STACK, STATE, HeldImage
from ecr_governor.core.retirement.state import Retirement, Stage
from tests.fakes import T0, FixedPolicy, InMemoryLedger
from tests.retiring import (
    CI,
    DAY,
    INDEX,
    LIFECYCLE,
    MUTATING,
    ORIGINAL,
    TERMS,
    HeldRepository,
    MemoryRegistry,
    MemoryRunBook,
    MemoryTombstones,
    MemoryWitnesses,
    an_image,
    digest,
    retiring_policy,
    same_policy,
    watched,
)

NAME = "payments/api"
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
FORWARD = (Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED, Stage.DELETED)
REVERSIBLE = FORWARD[:3]
WAITS = {Stage.MARKED: 31 * DAY, Stage.QUARANTINED: 7 * DAY, Stage.ARCHIVED: 3 * DAY, Stage.DELETED: 5 * DAY}
EXEMPT = "exemptions: [{match: 'payments/*', rules: ['*'], reason: needed for the audit, owner: alice, expires: 2030-01-01}]\n"
THEIRS = an_image(9, T0, status=ARCHIVED, archived_at=T0 + DAY)
"""An image that its owner archived."""
LAID_OUT = json.dumps(json.loads(ORIGINAL), indent=3)


@cache
def policy_of(text: str) -> Policy:
    return retiring_policy(lambda _: text)


class Crash(Exception):
    """The process ended here."""


@dataclass
class Beats:
    """Counts the calls of all parts, before and after each; `strike` acts at one of them."""

    at: int = -1
    strike: Callable[[], None] = lambda: None
    heard: list[str] = field(default_factory=list)
    struck: bool = False

    def beat(self, what: str) -> None:
        self.heard.append(what)
        if len(self.heard) - 1 == self.at:
            self.struck = True
            self.strike()

    def begin(self, at: int, strike: Callable[[], None]) -> None:
        self.heard, self.at, self.strike, self.struck = [], at, strike, False

    def stop(self) -> None:
        self.at = -1


class Through:
    """A part whose calls are counted."""

    def __init__(self, part: Any, beats: Beats) -> None:
        self._part, self._beats = part, beats

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._part, name)

        def call(*args: Any, **more: Any) -> Any:
            self._beats.beat(f"before {name}")
            answer = attribute(*args, **more)
            self._beats.beat(f"after {name}")
            return answer

        return call


class World:
    """An account in memory that is governed by one policy."""

    def __init__(self, text: str = TERMS) -> None:
        self.now = T0
        self.beats = Beats()
        self.registry = MemoryRegistry(lambda: self.now)
        self.ledger = InMemoryLedger()
        self.policies = FixedPolicy(policy_of(text))
        self.witnesses = MemoryWitnesses()
        self.tombstones = MemoryTombstones()
        self.book = MemoryRunBook()
        parts = (self.registry, self.ledger, self.policies, self.witnesses, self.tombstones, self.book)
        self.undisturbed = Services(*parts)
        self.services = Services(*(Through(part, self.beats) for part in parts))  # type: ignore[arg-type]

    def hold(self, name: str = NAME, *images: HeldImage, **more: Any) -> "World":
        self.registry.hold(name, *images, **{"tags": {"owner": "alice"}, "policy": LAID_OUT, **more})
        self.ledger.records_by_name[name] = watched(name, T0, T0)
        return self

    @property
    def held(self) -> HeldRepository:
        return self.registry.repositories[NAME]

    @property
    def retirement(self) -> Retirement:
        retirement = self.ledger.records_by_name[NAME].retirement
        assert retirement is not None
        return retirement

    @property
    def stage(self) -> Stage:
        retirement = self.ledger.records_by_name[NAME].retirement
        return retirement.stage if retirement else Stage.OBSERVED

    def text(self, text: str) -> None:
        self.policies.policy = policy_of(text)

    def plan(self) -> Plan:
        names = tuple(self.ledger.records_by_name)
        return plan(names, len(names), tuple(Stage), self.services, self.now)

    def carry(self, made: Plan, stages: Sequence[Stage] = tuple(Stage)) -> dict[str, Done]:
        # The first word on each repository counts.
        return {each.repository: each for each in reversed(self.all_done(made, stages))}

    def all_done(self, made: Plan, stages: Sequence[Stage] = tuple(Stage)) -> Sequence[Done]:
        return carry_out_plan(made, stages, self.services, self.now, self.services.registry)  # type: ignore[arg-type]

    def night(self) -> dict[str, Done]:
        return self.carry(self.plan())

    def tell(self) -> None:
        """Tell the owners of what was marked."""
        for entry in self.ledger.all_entries:
            if (
                entry.kind == OUTCOME
                and entry.body["to"] == "marked"
                and self.ledger.told_at(entry.repository, entry.number, PEOPLE) is None
            ):
                self.ledger.mark_delivered(entry.repository, entry.number, PEOPLE, self.now)

    def look(self) -> None:
        """Learn of repositories that are new, as events and the sweep do."""
        for name, held in self.registry.repositories.items():
            known = self.ledger.records_by_name[name]
            if known.created_at != held.created_at:
                unsettled = known.retirement if known.retirement and known.retirement.intended else None
                again = replace(watched(name, held.created_at, self.now), version=known.version, entries=known.entries, head=known.head)
                self.ledger.records_by_name[name] = replace(again, retirement=unsettled)

    def ready(self, to: Stage) -> "World":
        """Come to the moment at which the step to that stage is due."""
        for stage in FORWARD[: FORWARD.index(to)]:
            self.now += WAITS[stage]
            done = self.night()
            assert {each.stage for each in done.values()} == {stage}, done
            self.tell()
        self.now += WAITS[to]
        return self

    def reach(self, stage: Stage) -> "World":
        """Come to the moment after that step."""
        self.ready(stage).night()
        self.tell()
        self.now += HOUR
        return self

    def settle(self) -> "World":
        """Two more undisturbed runs."""
        self.beats.stop()
        for _ in range(2):
            self.now += HOUR
            self.look()
            self.night()
        return self

    def state(self) -> Any:
        """All that matters in the end."""
        records = {name: record.retirement for name, record in self.ledger.records_by_name.items()}
        assert all(break_in(record, self.ledger.entries(name)) == "" for name, record in self.ledger.records_by_name.items())
        return (
            {
                name: (held.created_at, held.tags, held.policy, {each: (image.status, image.tags) for each, image in held.images.items()})
                for name, held in self.registry.repositories.items()
            },
            {
                name: each and (each.stage, each.intended, each.original_policy, bool(each.archiving_since), each.birth)
                for name, each in records.items()
            },
        )


def a_world(text: str = TERMS) -> World:
    """One repository with two images, and a third one that its owner archived."""
    return World(text).hold(NAME, an_image(1, tags=["v1"]), an_image(2), THEIRS)


def an_empty_world() -> World:
    return World().hold(NAME)


def told(world: World) -> list[tuple[str, str, str, str | None]]:
    return [(entry.kind, entry.body["from"], entry.body["to"], entry.body.get("intended")) for entry in world.ledger.all_entries]


def is_untouched(world: World, name: str = NAME) -> bool:
    """Whether a repository is as it was before anything was done to it."""
    held = world.registry.repositories[name]
    ours = [key for key in held.tags if key in {DELETE_AFTER, STATE}]
    archived = {each for each, image in held.images.items() if image.status == ARCHIVED}
    return not ours and held.policy == LAID_OUT and archived <= {THEIRS.digest}


# The whole life


def test_a_repository_is_marked_quarantined_archived_and_deleted_in_its_time() -> None:
    world = a_world()
    world.now += 31 * DAY - SECOND
    assert world.night() == {}
    world.now += SECOND
    assert world.night() == {NAME: Done(NAME, Stage.MARKED)}
    assert world.held.tags == {"owner": "alice", DELETE_AFTER: "2026-12-10", STATE: "marked"}
    assert world.held.policy == LAID_OUT
    world.now += 30 * DAY
    assert world.night() == {}, "nobody was told"
    world.tell()
    world.now += 7 * DAY
    assert world.night() == {NAME: Done(NAME, Stage.QUARANTINED)}
    assert world.held.tags[STATE] == "quarantined"
    assert is_in_force(world.held.policy)
    assert json.loads(world.held.policy or "")["Statement"][0] == json.loads(ORIGINAL)["Statement"][0]
    assert not any(image.status == ARCHIVED for image in world.held.images.values() if image.digest != THEIRS.digest)
    world.now += 3 * DAY
    assert world.night() == {NAME: Done(NAME, Stage.ARCHIVED)}
    assert world.held.tags[STATE] == "archived"
    assert {image.status for image in world.held.images.values()} == {ARCHIVED}
    world.now += 5 * DAY
    assert world.night() == {NAME: Done(NAME, Stage.DELETED)}
    assert world.registry.repositories == {}
    assert told(world) == [
        (INTENT, "observed", "marked", None),
        (OUTCOME, "observed", "marked", None),
        (OUTCOME, "marked", "marked", None),
        (INTENT, "marked", "quarantined", None),
        (OUTCOME, "marked", "quarantined", None),
        (INTENT, "quarantined", "archived", None),
        (OUTCOME, "quarantined", "archived", None),
        (INTENT, "archived", "deleted", None),
        (OUTCOME, "archived", "deleted", None),
    ]
    assert break_in(world.ledger.records_by_name[NAME], world.ledger.entries(NAME)) == ""
    stone = world.tombstones.kept[NAME, T0]
    assert len(stone.images) == 3
    assert (stone.settings.lifecycle_policy, stone.tags) == (LIFECYCLE, {"owner": "alice"})
    assert isinstance(stone.snapshot.policy, str)
    assert same_policy(stone.snapshot.policy, ORIGINAL)
    assert [name for _, name in world.book.taken] == [NAME] * 3
    assert world.night() == {}


def test_the_ledger_tells_why_and_to_whom() -> None:
    world = a_world().reach(Stage.DELETED)
    intent, outcome, *_, last = world.ledger.all_entries
    assert intent.body["at"] == outcome.body["at"] == (T0 + 31 * DAY).isoformat()
    assert intent.body["reasons"] == outcome.body["reasons"]
    assert {"check": "nobody uses it", "seen": "ecs named nobody", "weight": "for"} in outcome.body["reasons"]
    watching = {"check": "watched long enough", "seen": "since 2026-11-02, 30 days are asked for", "weight": "for"}
    assert {**watching, "until": (T0 + 30 * DAY).isoformat()} in outcome.body["reasons"]
    assert (outcome.body["owner"], outcome.body["delete_after"]) == ("alice", "2026-12-10")
    assert outcome.body["policy_hash"] == world.policies.policy.hash
    assert last.body["images"] == 3
    assert world.retirement == replace(world.retirement, stage=Stage.DELETED, since=T0 + 46 * DAY, intended=None, notice=2)


def test_an_empty_repository_is_deleted_after_its_mark() -> None:
    world = an_empty_world().reach(Stage.MARKED)
    world.now += 7 * DAY
    assert world.night() == {NAME: Done(NAME, Stage.DELETED)}
    assert world.registry.repositories == {}


def test_every_change_is_intended_in_the_ledger_before_it_is_made() -> None:
    for to in FORWARD:
        world = a_world().ready(to)
        before = len(world.registry.calls), world.ledger.writes
        world.beats.begin(-1, lambda: None)
        world.night()
        changing = [index for index, what in enumerate(world.beats.heard) if what.removeprefix("before ") in MUTATING]
        writing = [index for index, what in enumerate(world.beats.heard) if what == "after write"]
        assert writing[0] < changing[0]
        assert changing[-1] < writing[-1]
        assert before[1] + 2 == world.ledger.writes


def test_a_policy_that_does_not_delete_ends_before() -> None:
    for then, last in (("mark", Stage.MARKED), ("quarantine", Stage.QUARANTINED), ("archive", Stage.ARCHIVED)):
        world = a_world(TERMS.replace("then: delete", f"then: {then}")).reach(last)
        world.now += 300 * DAY
        assert world.night() == {}
        assert world.stage is last


def test_without_the_right_to_delete_nothing_is_deleted() -> None:
    world = a_world().ready(Stage.DELETED)
    before = world.state()
    [done] = carry_out_plan(world.plan(), [Stage.DELETED], world.services, world.now)
    assert done == Done(NAME, None, "deletion is not enabled in this deployment")
    assert world.state() == before


def test_only_the_stages_that_were_asked_for_are_taken() -> None:
    world = a_world().ready(Stage.QUARANTINED)
    assert world.carry(world.plan(), [Stage.DELETED, Stage.MARKED, Stage.ARCHIVED]) == {}
    assert world.stage is Stage.MARKED


# Every way back


def by_removing_the_mark(world: World) -> None:
    del world.held.tags[DELETE_AFTER]


def by_moving_the_mark(world: World) -> None:
    world.held.tags[DELETE_AFTER] = "2030-01-01"


def by_a_pull(world: World) -> None:
    world.held.images[digest(1)] = replace(world.held.images[digest(1)], pulled_at=world.now)


def by_a_late_pull(world: World) -> None:
    world.held.images[digest(1)] = replace(world.held.images[digest(1)], pulled_at=T0 + HOUR)


def by_a_push(world: World) -> None:
    world.held.images[digest(77)] = an_image(77, world.now)


def by_moving_a_tag(world: World) -> None:
    world.held.images[digest(2)] = replace(world.held.images[digest(2)], tags=frozenset({"v1"}))


def by_a_push_that_only_an_event_told_of(world: World) -> None:
    world.ledger.note_push(NAME, Push("event", world.now, CI, "v1", digest(1)))


def by_an_exemption(world: World) -> None:
    world.text(TERMS + EXEMPT)


def by_other_terms(world: World) -> None:
    world.text(TERMS.replace("grace_days: 7", "grace_days: 8"))


def by_a_policy_without_retirement(world: World) -> None:
    world.text("mode: enforce")


def by_protecting_it(world: World) -> None:
    world.held.tags[PROTECT] = ""


def by_another_tag(world: World) -> None:
    world.held.tags["team"] = "payments"


def by_a_stack(world: World) -> None:
    world.held.tags[STACK] = "arn:aws:cloudformation:stack"


def by_a_service(world: World) -> None:
    world.witnesses.uses["ecs"] = [Use("a service", digest=digest(1))]


WAYS_BACK = {
    way.__name__: way
    for way in (
        by_removing_the_mark,
        by_moving_the_mark,
        by_a_pull,
        by_a_late_pull,
        by_a_push,
        by_moving_a_tag,
        by_a_push_that_only_an_event_told_of,
        by_an_exemption,
        by_other_terms,
        by_a_policy_without_retirement,
        by_protecting_it,
        by_another_tag,
        by_a_stack,
        by_a_service,
    )
}
VETOES = {"by_removing_the_mark", "by_moving_the_mark"}


@pytest.mark.parametrize("stage", REVERSIBLE)
@pytest.mark.parametrize("way", WAYS_BACK)
def test_each_way_back_restores_what_was_there(way: str, stage: Stage) -> None:
    world = a_world().reach(stage)
    WAYS_BACK[way](world)
    done = world.night()[NAME]
    assert done.stage is Stage.OBSERVED
    assert done.why
    assert is_untouched(world)
    assert world.held.images[THEIRS.digest] == THEIRS
    assert (world.retirement.stage, world.retirement.intended) == (Stage.OBSERVED, None)
    assert (world.retirement.original_policy, world.retirement.archiving_since, world.retirement.notice) == (None, None, 0)
    # An active image among archived ones counts as brought back, even if it was pushed.
    vetoed = way in VETOES or (way == "by_a_push" and stage is Stage.ARCHIVED)
    assert world.retirement.not_before == (world.now + 30 * DAY if vetoed else None)
    assert told(world)[-2:] == [(INTENT, stage.value, "observed", None), (OUTCOME, stage.value, "observed", None)]
    assert break_in(world.ledger.records_by_name[NAME], world.ledger.entries(NAME)) == ""


def test_what_is_taken_back_is_told_once() -> None:
    world = a_world().reach(Stage.QUARANTINED)
    by_an_exemption(world)
    done = world.all_done(world.plan())
    assert [each.stage for each in done] == [Stage.OBSERVED]


@pytest.mark.parametrize("policy", [None, "{}", '{"Statement":{"Effect":"Deny","Principal":"*","Action":"ecr:ListImages"}}\n'])
@pytest.mark.parametrize("stage", [Stage.QUARANTINED, Stage.ARCHIVED])
def test_any_policy_comes_back_byte_for_byte(policy: str | None, stage: Stage) -> None:
    world = World().hold(NAME, an_image(1), policy=policy).reach(stage)
    # ECR gives a policy back in a layout of its own.
    world.held.policy = json.dumps(json.loads(world.held.policy or ""), indent=1, sort_keys=True)
    by_an_exemption(world)
    world.night()
    assert world.held.policy == policy


@pytest.mark.parametrize("stage", [Stage.QUARANTINED, Stage.ARCHIVED])
def test_lifting_the_quarantine_by_hand_is_a_veto_and_keeps_what_was_put_there(stage: Stage) -> None:
    world = a_world().reach(stage)
    world.held.policy = '{"Statement":[]}'
    assert world.night()[NAME].stage is Stage.OBSERVED
    assert world.held.policy == '{"Statement":[]}'
    assert world.retirement.not_before == world.now + 30 * DAY


@pytest.mark.parametrize("stage", [Stage.QUARANTINED, Stage.ARCHIVED])
def test_a_statement_that_others_added_in_quarantine_stays(stage: Stage) -> None:
    world = a_world().reach(stage)
    inside = json.loads(world.held.policy or "")
    added = {"Sid": "Added", "Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}
    world.held.policy = json.dumps({**inside, "Statement": [*inside["Statement"], added]})
    by_an_exemption(world)
    world.night()
    assert json.loads(world.held.policy or "")["Statement"] == [*json.loads(ORIGINAL)["Statement"], added]


def test_bringing_one_image_back_is_a_veto_and_brings_back_the_others() -> None:
    world = a_world().reach(Stage.ARCHIVED)
    world.registry.activate(NAME, digest(1))
    assert world.night()[NAME].stage is Stage.OBSERVED
    assert is_untouched(world)
    assert world.retirement.not_before is not None


def test_after_a_veto_it_is_let_alone_for_as_long_as_it_was_watched() -> None:
    world = a_world().reach(Stage.MARKED)
    by_removing_the_mark(world)
    world.night()
    world.now += 30 * DAY - SECOND
    assert world.night() == {}
    world.now += SECOND
    assert world.night() == {NAME: Done(NAME, Stage.MARKED)}


def test_what_was_taken_back_begins_anew_with_a_new_notice() -> None:
    world = a_world().reach(Stage.QUARANTINED)
    by_an_exemption(world)
    world.night()
    world.text(TERMS)
    assert world.night() == {NAME: Done(NAME, Stage.MARKED)}
    world.now += 300 * DAY
    assert world.night() == {}, "of the new mark nobody was told"
    world.tell()
    world.now += 7 * DAY
    assert world.night() == {NAME: Done(NAME, Stage.QUARANTINED)}


def test_images_that_refuse_to_come_back_are_asked_again() -> None:
    world = a_world().reach(Stage.ARCHIVED)
    by_an_exemption(world)
    activate, world.registry.activate = world.registry.activate, _refusing  # type: ignore[method-assign]
    done = world.night()[NAME]
    assert done == Done(NAME, None, "ECR refused to bring 2 images back from the archive")
    assert world.held.policy == LAID_OUT, "the policy comes first"
    assert (world.retirement.stage, world.retirement.intended) == (Stage.ARCHIVED, Stage.OBSERVED)
    world.registry.activate = activate  # type: ignore[method-assign]
    assert world.night()[NAME].stage is Stage.OBSERVED
    assert is_untouched(world)


def test_images_that_refuse_to_be_archived_hold_it_in_quarantine() -> None:
    world = a_world().ready(Stage.ARCHIVED)
    archive, world.registry.archive = world.registry.archive, _refusing  # type: ignore[method-assign]
    assert world.night()[NAME] == Done(NAME, None, "ECR refused to archive 2 images")
    assert (world.retirement.stage, world.retirement.intended) == (Stage.QUARANTINED, Stage.ARCHIVED)
    assert told(world)[-1] == (OUTCOME, "quarantined", "quarantined", "archived")
    world.registry.archive = archive  # type: ignore[method-assign]
    begun = world.retirement.archiving_since
    world.now += DAY
    assert world.night()[NAME].stage is Stage.ARCHIVED
    assert world.retirement.archiving_since == begun


def _refusing(*_: Any) -> Any:
    raise Refused("InvalidParameterException")


@pytest.mark.parametrize(
    ("part", "stage"),
    [
        *((part, stage) for stage in REVERSIBLE for part in ("tags",)),
        ("policy", Stage.MARKED),
        ("images", Stage.MARKED),
        ("policy", Stage.QUARANTINED),
        ("policy", Stage.ARCHIVED),
        ("images", Stage.QUARANTINED),
        ("images", Stage.ARCHIVED),
    ],
)
def test_what_could_not_be_read_is_taken_back_once_it_can_be(part: str, stage: Stage) -> None:
    world = a_world().reach(stage)
    by_an_exemption(world)
    world.registry.denied = {part}
    world.night()
    world.registry.denied = set()
    world.settle()
    assert is_untouched(world)


def test_images_archived_within_the_second_of_the_step_are_ours() -> None:
    world = a_world()
    world.registry.clock = lambda: world.now.replace(microsecond=0)
    world.now += timedelta(microseconds=500_000)
    world.reach(Stage.ARCHIVED)
    by_an_exemption(world)
    world.night()
    assert is_untouched(world)


# Refused pulls


@pytest.mark.parametrize("stage", [Stage.QUARANTINED, Stage.ARCHIVED])
def test_a_refused_pull_releases_at_once(stage: Stage) -> None:
    world = a_world().reach(stage)
    done = release(NAME, "ci was refused", world.services, world.now)
    assert done == Done(NAME, Stage.OBSERVED, "ci was refused")
    assert is_untouched(world)
    assert world.retirement.not_before is None


def test_a_refused_pull_of_what_is_in_no_quarantine_changes_nothing() -> None:
    for stage in (None, Stage.MARKED):
        world = a_world().reach(stage) if stage else a_world()
        before = world.state()
        assert release(NAME, "refused", world.services, world.now).stage is None
        assert release("search/web", "refused", world.services, world.now).stage is None
        assert world.state() == before


def test_a_refused_pull_of_what_is_gone_is_written_down() -> None:
    world = a_world().reach(Stage.QUARANTINED)
    del world.registry.repositories[NAME]
    done = release(NAME, "refused", world.services, world.now)
    assert done == Done(NAME, Stage.DELETED, "somebody else deleted it")


@pytest.mark.parametrize("stage", [Stage.QUARANTINED, Stage.ARCHIVED])
def test_an_interrupted_release_is_ended_by_the_next_run(stage: Stage) -> None:
    for at in count():
        world = a_world().reach(stage)
        world.beats.begin(at, _crash)
        try:
            release(NAME, "refused", world.services, world.now)
        except Crash:
            world.beats.stop()
            if world.stage is stage:
                begun = world.retirement.intended is Stage.OBSERVED
                world.night()
                assert (world.stage is Stage.OBSERVED) is begun, world.beats.heard
            assert is_untouched(world) is (world.stage is Stage.OBSERVED), world.beats.heard
        else:
            break
    assert at > 10


def test_after_a_refused_pull_it_is_let_alone_for_as_long_as_after_any_other() -> None:
    world = a_world().reach(Stage.QUARANTINED)
    release(NAME, "refused", world.services, world.now)
    world.now += 31 * DAY - SECOND
    assert world.night() == {}
    world.now += SECOND
    assert world.night() == {NAME: Done(NAME, Stage.MARKED)}


def test_who_used_it_once_is_remembered_although_nothing_of_it_is_recorded() -> None:
    world = a_world().ready(Stage.MARKED)
    by_a_service(world)
    assert world.night() == {}
    world.witnesses.uses = {}
    world.now += 31 * DAY - SECOND
    assert world.night() == {}
    world.now += SECOND
    assert world.night() == {NAME: Done(NAME, Stage.MARKED)}


@pytest.mark.parametrize(
    "step",
    [
        "to quarantined",
        "to archived",
        "to deleted",
        "to deleted, without an archive",
    ],
)
def test_a_pull_that_is_refused_during_a_step_wins(step: str) -> None:
    released: dict[World, int] = {}

    def pull(world: World) -> None:
        if NAME in world.registry.repositories and world.registry.quarantined(NAME):
            done = release(NAME, "refused", world.undisturbed, world.now)
            if done.stage is Stage.OBSERVED:
                released[world] = len(world.held.images)

    for world, _, where in disturbed(STEPS[step], pull):
        if world not in released or NAME not in world.registry.repositories:
            continue
        held, at = released[world], world.beats.at
        world.beats.stop()
        world.night()
        assert is_untouched(world), where
        assert world.stage is Stage.OBSERVED, where
        # Between the last question whether it is still ours and the deletion there is nothing that could tell.
        last = last_look(step, "delete_images") - 2 if "deleted" in step else at
        assert at > last or len(world.held.images) == held, where
    assert released


# Interruptions


def _crash() -> None:
    raise Crash


def interrupted(made: Callable[[], World]) -> Iterator[tuple[World, str]]:
    """The same run, interrupted before and after each of its calls in turn."""
    for at in count():
        world = made()
        world.beats.begin(at, _crash)
        try:
            world.night()
        except Crash:
            yield world, f"{at}: {world.beats.heard[-1]}"
        else:
            assert at > 10
            return


STEPS: dict[str, Callable[[], World]] = {
    **{f"to {stage.value}": (lambda stage=stage: a_world().ready(stage)) for stage in FORWARD},  # type: ignore[misc]
    "to deleted, empty": lambda: _advanced(an_empty_world().reach(Stage.MARKED), 7 * DAY),
    "to deleted, without an archive": lambda: _advanced(
        a_world(TERMS.replace("archive_days: 5", "archive_days: 0")).reach(Stage.QUARANTINED), 3 * DAY
    ),
}


def _advanced(world: World, by: timedelta) -> World:
    world.now += by
    return world


@pytest.mark.parametrize("step", STEPS)
def test_whenever_a_step_is_interrupted_the_next_run_ends_it(step: str) -> None:
    expected = STEPS[step]()
    expected.night()
    for world, where in interrupted(STEPS[step]):
        world.beats.stop()
        world.now += HOUR
        world.night()
        assert world.state() == expected.state(), where
        if world.registry.repositories:
            notice = list(world.ledger.entries(NAME))[world.retirement.notice - 1]
            assert (notice.kind, notice.body["to"]) == (OUTCOME, "marked"), where


@pytest.mark.parametrize("step", [step for step in STEPS if "deleted" not in step])
def test_whenever_a_step_is_interrupted_it_can_be_taken_back(step: str) -> None:
    for world, where in interrupted(STEPS[step]):
        world.beats.stop()
        by_an_exemption(world)
        world.now += HOUR
        world.night()
        assert is_untouched(world), where


@pytest.mark.parametrize("stage", REVERSIBLE)
@pytest.mark.parametrize("way", ["by_an_exemption", "by_a_pull", "by_removing_the_mark", "by_protecting_it"])
def test_whenever_a_way_back_is_interrupted_the_next_run_ends_it(way: str, stage: Stage) -> None:
    def made() -> World:
        world = a_world().reach(stage)
        WAYS_BACK[way](world)
        return world

    expected = made()
    expected.night()
    for world, where in interrupted(made):
        world.beats.stop()
        world.now += HOUR
        world.night()
        assert world.state() == expected.state(), where


def test_an_interrupted_way_back_is_no_veto() -> None:
    def made() -> World:
        world = a_world().reach(Stage.QUARANTINED)
        by_an_exemption(world)
        return world

    for world, where in interrupted(made):
        world.beats.stop()
        world.night()
        assert world.retirement.not_before is None, where


def test_what_was_taken_away_counts_whenever_the_run_was_interrupted() -> None:
    for stage in FORWARD[1:]:
        for world, where in interrupted(STEPS[f"to {stage.value}"]):
            world.beats.stop()
            world.now += HOUR
            world.night()
            counted = Counter(name for _, name in world.book.taken)
            assert counted[NAME] >= FORWARD.index(stage), f"{stage.value} {where}"


def test_an_interrupted_deletion_is_ended_where_empty_repositories_are_let_alone() -> None:
    text = TERMS.replace("empty_after_days: 20, ", "")
    for world, where in interrupted(lambda: a_world(text).ready(Stage.DELETED)):
        world.beats.stop()
        world.now += HOUR
        world.night()
        assert world.registry.repositories == {}, where


def test_a_repository_that_an_interrupted_run_deleted_counts_as_deleted_by_us() -> None:
    world = a_world().ready(Stage.DELETED)
    delete = world.registry.delete_repository

    def deleted_and_lost(name: str) -> None:
        delete(name)
        raise Crash

    world.registry.delete_repository = deleted_and_lost  # type: ignore[method-assign]
    with pytest.raises(Crash):
        world.night()
    assert world.night() == {NAME: Done(NAME, Stage.DELETED, "an interrupted run had deleted it")}
    assert world.book.taken[-1] == (world.now, NAME)
    assert world.night() == {}


@pytest.mark.parametrize("stage", REVERSIBLE)
def test_a_repository_that_somebody_else_deleted_is_ended(stage: Stage) -> None:
    world = a_world().reach(stage)
    taken = list(world.book.taken)
    del world.registry.repositories[NAME]
    assert world.night() == {NAME: Done(NAME, Stage.DELETED, "somebody else deleted it")}
    assert world.ledger.all_entries[-1].body["why"] == "somebody else deleted it"
    assert world.book.taken == taken
    assert world.night() == {}


# Others between any two calls


def disturbed(made: Callable[[], World], act: Callable[[World], None]) -> Iterator[tuple[World, dict[str, Done], str]]:
    """The same run, with somebody else acting before and after each of its calls in turn."""
    for at in count():
        world = made()
        world.beats.begin(at, lambda world=world: act(world))  # type: ignore[misc]
        done = world.night()
        if not world.beats.struck:
            assert at > 10
            return
        yield world, done, f"{at}: {world.beats.heard[at]}"


def keeps(world: World) -> None:
    """Somebody presses *Keep*, and what gives back has not come to it yet."""
    record = world.ledger.records_by_name[NAME]
    world.ledger.records_by_name[NAME] = replace(record, version=record.version + 1, kept_until=world.now + 30 * DAY)


@pytest.mark.parametrize("stage", [stage for stage in FORWARD if stage is not Stage.OBSERVED])
def test_what_somebody_keeps_goes_no_farther_whenever_it_is_given_back(stage: Stage) -> None:
    world = a_world().ready(stage)
    keeps(world)
    assert stage not in {done.stage for done in world.night().values()}
    world.settle()
    assert is_untouched(world)


@pytest.mark.parametrize("stage", [Stage.QUARANTINED, Stage.ARCHIVED])
def test_what_somebody_keeps_while_a_step_is_under_way_is_not_taken_there(stage: Stage) -> None:
    undone = 0
    for world, _, where in disturbed(STEPS[f"to {stage.value}"], keeps):
        since = world.beats.heard[int(where.partition(":")[0]) + 1 :]
        if "before write" in since:
            assert world.stage is not stage, where
            undone += 1
        world.settle()
        assert is_untouched(world), where
    assert undone > 10


@pytest.mark.parametrize("step", [step for step in STEPS if "deleted" in step])
def test_what_somebody_keeps_while_it_is_deleted_loses_nothing_more_once_that_is_read(step: str) -> None:
    stopped = 0
    for world, _, where in disturbed(STEPS[step], keeps):
        since = world.beats.heard[int(where.partition(":")[0]) + 1 :]
        known = since.index("after read") if "after read" in since else len(since)
        assert not [call for call in since[known:] if "delete" in call], where
        if NAME in world.registry.repositories:
            stopped += 1
            world.settle()
            assert world.stage is Stage.OBSERVED, where
            assert not {DELETE_AFTER, STATE} & world.held.tags.keys(), where
    assert stopped > 10


@pytest.mark.parametrize("step", [step for step in STEPS if "deleted" in step])
def test_what_is_pushed_during_the_deletion_survives_it(step: str) -> None:
    pushed: list[World] = []

    def push(world: World) -> None:
        if NAME in world.registry.repositories:
            by_a_push(world)
            pushed.append(world)

    outcomes: set[str] = set()
    for world, done, where in disturbed(STEPS[step], push):
        if world not in pushed:
            assert NAME not in world.registry.repositories, where
            continue
        assert digest(77) in world.held.images, where
        if NAME in done:
            assert done[NAME].stage is not Stage.DELETED, where
            assert done[NAME].why, where
            outcomes.add(done[NAME].why)
        world.settle()
        assert digest(77) in world.held.images, where
        assert world.held.policy == LAID_OUT, where
        assert not {DELETE_AFTER, STATE} & world.held.tags.keys(), where
        assert world.stage is Stage.OBSERVED, where
    assert "the repository was not deleted: it holds images" in outcomes
    assert any("it was used on" in why for why in outcomes)


def last_look(step: str, call: str) -> int:
    """At which beat of an undisturbed run the step itself reads everything anew, or asks everybody."""
    world = STEPS[step]()
    world.beats.begin(-1, lambda: None)
    world.night()
    if call == "snapshot":
        return [index for index, what in enumerate(world.beats.heard) if what == "before snapshot"][1]
    return max(index for index, what in enumerate(world.beats.heard) if what == f"before {call}")


@pytest.mark.parametrize("step", [step for step in STEPS if step != "to marked"])
@pytest.mark.parametrize("way", ["by_removing_the_mark", "by_protecting_it", "by_a_push", "by_an_exemption", "by_a_service"])
def test_an_objection_before_the_last_look_stops_the_step(step: str, way: str) -> None:
    if way == "by_a_service" and "empty" in step:
        return
    last = last_look(step, {"by_a_service": "evidence", "by_an_exemption": "current"}.get(way, "snapshot"))
    for world, done, where in disturbed(STEPS[step], WAYS_BACK[way]):
        if world.beats.at > last:
            break
        held = len(world.held.images)
        assert NAME not in done or done[NAME].stage in {Stage.OBSERVED, None}, where
        world.beats.stop()
        world.night()
        assert is_untouched(world), where
        assert world.stage is Stage.OBSERVED, where
        assert len(world.held.images) == held, where


def recreate(world: World) -> None:
    """Somebody deletes the repository and creates another one of its name, for something else."""
    world.registry.repositories.pop(NAME, None)
    world.registry.hold(NAME, an_image(88, world.now), created_at=world.now + SECOND, tags={"owner": "bob"})


def assert_reborn_is_its_own(world: World, where: str) -> None:
    assert set(world.held.images) == {digest(88)}, where
    assert world.held.images[digest(88)].status == "ACTIVE", where
    assert world.held.policy is None, where
    assert world.stage is Stage.OBSERVED, where
    retirement = world.ledger.records_by_name[NAME].retirement
    assert retirement is None or retirement.intended is None, where


@pytest.mark.parametrize("step", STEPS)
def test_another_repository_of_the_same_name_is_let_alone(step: str) -> None:
    for world, _, where in disturbed(STEPS[step], recreate):
        world.settle()
        assert_reborn_is_its_own(world, where)


def test_another_repository_of_the_same_name_carries_none_of_our_tags() -> None:
    for step in STEPS.values():
        for world, _, where in disturbed(step, recreate):
            world.settle()
            assert world.held.tags == {"owner": "bob"}, where


@pytest.mark.parametrize("stage", REVERSIBLE)
def test_another_repository_gets_nothing_of_the_formers_when_that_is_taken_back(stage: Stage) -> None:
    def made() -> World:
        world = a_world().reach(stage)
        by_an_exemption(world)
        return world

    for world, _, where in disturbed(made, recreate):
        world.settle()
        assert_reborn_is_its_own(world, where)
        assert world.held.tags == {"owner": "bob"}, where


def test_images_that_the_owner_of_another_repository_archived_stay_archived() -> None:
    world = a_world().reach(Stage.ARCHIVED)
    recreate(world)
    world.held.images[digest(88)] = replace(an_image(88, world.now), status=ARCHIVED, archived_at=world.now)
    assert world.night()[NAME].stage is Stage.OBSERVED
    assert world.held.policy is None


def test_what_the_owner_of_another_repository_archived_is_not_ours_to_bring_back() -> None:
    world = a_world().reach(Stage.ARCHIVED)
    recreate(world)
    world.held.images[digest(88)] = replace(an_image(88, world.now), status=ARCHIVED, archived_at=world.now)
    world.night()
    assert world.held.images[digest(88)].status == ARCHIVED


def _another_look(world: World) -> None:
    updated, entry = append(world.ledger.records_by_name[NAME], "change", {"at": world.now.isoformat()})
    world.ledger.write(updated, entry)


def test_a_look_that_writes_meanwhile_loses_nothing_of_the_step() -> None:
    for stage in FORWARD:
        expected = a_world().ready(stage)
        expected.night()
        for world, _, where in disturbed(STEPS[f"to {stage.value}"], _another_look):
            assert "change" in {entry.kind for entry in world.ledger.all_entries}, where
            world.settle()
            assert world.state() == expected.state(), where


def test_the_notice_is_the_entry_that_told_of_the_mark() -> None:
    for world, _, where in disturbed(STEPS["to marked"], _another_look):
        world.beats.stop()
        world.night()
        marks = [entry.number for entry in world.ledger.all_entries if entry.kind == OUTCOME and entry.body["to"] == "marked"]
        assert world.retirement.notice == marks[-1], where


def marked_untold() -> World:
    world = a_world()
    world.now += 31 * DAY
    assert world.night() == {NAME: Done(NAME, Stage.MARKED)}
    return world


def notices(world: World) -> list[int]:
    return [entry.number for entry in world.ledger.all_entries if entry.kind == OUTCOME and entry.body["to"] == "marked"]


def test_a_mark_of_which_nobody_was_told_is_told_again_once_a_day_until_somebody_is() -> None:
    world = marked_untold()
    started = world.retirement.since
    for hours, many in ((0, 1), (23, 1), (24, 2), (25, 2), (48, 3)):
        world.now = started + hours * HOUR
        assert world.night() == {}
        assert len(notices(world)) == many, hours
        assert world.retirement.notice == notices(world)[-1]
        assert world.retirement.since == started
    world.ledger.mark_delivered(NAME, notices(world)[-1], PEOPLE, world.now)
    world.now += 7 * DAY - SECOND
    assert world.night() == {}
    assert len(notices(world)) == 3
    world.now += SECOND
    assert world.night() == {NAME: Done(NAME, Stage.QUARANTINED)}
    assert all(each["weight"] == "for" for each in list(world.ledger.entries(NAME))[notices(world)[-1] - 1].body["reasons"])


def test_who_is_told_later_reads_a_later_day_than_the_mark_names() -> None:
    world = marked_untold()
    started, tag = world.now, world.retirement.delete_after
    for days in (1, 2):
        world.now = started + days * DAY
        world.night()
    told = [list(world.ledger.entries(NAME))[number - 1].body for number in notices(world)]
    assert [body["delete_after"] for body in told] == [(started + days * DAY + 7 * DAY).date().isoformat() for days in range(3)]
    assert [world.retirement.delete_after, world.registry.repositories[NAME].tags["ecr-governor:delete-after"]] == [tag, tag]
    assert told[-1]["delete_after"] > tag


def test_an_interrupted_deletion_tells_of_all_images_that_it_took() -> None:
    expected = STEPS["to deleted"]()
    images = len(expected.registry.repositories[NAME].images)
    for world, where in interrupted(STEPS["to deleted"]):
        world.beats.stop()
        world.now += HOUR
        world.night()
        ends = [entry.body for entry in world.ledger.all_entries if entry.kind == OUTCOME and entry.body["to"] == "deleted"]
        assert {body["images"] for body in ends if "images" in body and not body["intended"]} <= {images}, where


def test_a_tombstone_that_cannot_be_understood_keeps_nothing_from_being_given_back() -> None:
    world = a_world().ready(Stage.DELETED)
    delete = world.registry.delete_repository

    def broken(*_: object) -> None:
        raise Unintelligible("s3://reports/tombstones/x: not a gzip file")

    def crashing(_name: str) -> None:
        raise Crash

    world.registry.delete_repository = crashing  # type: ignore[method-assign]
    with pytest.raises(Crash):
        world.night()
    world.registry.delete_repository = delete  # type: ignore[method-assign]
    world.tombstones.read = broken  # type: ignore[method-assign]
    done = release(NAME, "bob was refused BatchGetImage", world.services, world.now)
    assert done.stage is Stage.OBSERVED
    assert not world.registry.quarantined(NAME)


@pytest.mark.parametrize(
    "text",
    [
        TERMS.replace("mode: enforce", "mode: audit"),
        TERMS + "\nnotifications: {slack: {enabled: false}}\n",
    ],
    ids=["audit", "without Slack"],
)
def test_nobody_is_told_again_where_nobody_is_to_be_told(text: str) -> None:
    world = marked_untold()
    world.text(text)
    world.now += 5 * DAY
    world.night()
    assert len(notices(world)) == 1


def test_where_no_channel_to_people_is_deployed_no_notice_is_written_anew() -> None:
    world = marked_untold()
    world.now += 5 * DAY
    made = world.plan()
    carry_out_plan(made, tuple(Stage), replace(world.services, tells_people=False), world.now)
    assert len(notices(world)) == 1
    carry_out_plan(made, tuple(Stage), world.services, world.now)
    assert len(notices(world)) == 2


def test_who_writes_the_record_meanwhile_keeps_a_notice_from_being_given_twice() -> None:
    world = marked_untold()
    world.now += 2 * DAY
    made = world.plan()
    world.tell()
    world.carry(made)
    assert len(notices(world)) == 1


# Deleting exactly what was judged


def test_an_index_goes_before_its_children_of_any_depth() -> None:
    images = [an_image(number, media_type=INDEX) for number in (1, 2, 3)] + [an_image(4), an_image(5), an_image(6, subject=digest(3))]
    world = World().hold(NAME, *images, children={digest(3): (digest(2),), digest(2): (digest(1), digest(4)), digest(1): (digest(5),)})
    assert world.ready(Stage.DELETED).night() == {NAME: Done(NAME, Stage.DELETED)}
    assert len([call for call in world.registry.calls if call[0] == "delete_images"]) == 3


def test_an_image_that_cannot_be_deleted_keeps_the_repository() -> None:
    world = World().hold(NAME, an_image(1), an_image(2), children={digest(9): (digest(2),)}).ready(Stage.DELETED)
    delete = world.registry.delete_images

    def stubborn(name: str, digests: Sequence[str]) -> Mapping[str, str]:
        failed = {each: "ImageReferencedByManifestList: referenced" for each in digests if each == digest(2)}
        return {**delete(name, [each for each in digests if each not in failed]), **failed}

    world.registry.delete_images = stubborn  # type: ignore[method-assign]
    done = world.night()[NAME]
    assert done.stage is None
    assert done.why == f"1 images were not deleted: {digest(2)}: ImageReferencedByManifestList: referenced"
    assert set(world.held.images) == {digest(2)}
    assert ("delete_repository", NAME) not in world.registry.calls
    assert (world.retirement.stage, world.retirement.intended) == (Stage.ARCHIVED, Stage.DELETED)
    world.registry.delete_images = delete  # type: ignore[method-assign]
    assert world.night() == {NAME: Done(NAME, Stage.DELETED)}
    assert len(world.tombstones.kept[NAME, T0].images) == 2


def test_at_most_three_reasons_are_told_of_many() -> None:
    world = World().hold(NAME, *(an_image(number) for number in range(1, 6))).ready(Stage.DELETED)
    world.registry.delete_images = lambda _name, digests: dict.fromkeys(digests, "refused")  # type: ignore[method-assign]
    told_of = "; ".join(f"{digest(number)}: refused" for number in (1, 2, 3))
    assert world.night()[NAME].why == f"5 images were not deleted: {told_of}"


def test_no_more_images_are_named_at_once_than_ecr_takes() -> None:
    world = World().hold(NAME, *(an_image(number) for number in range(2 * BATCH + 1))).ready(Stage.DELETED)
    sizes: list[int] = []
    delete = world.registry.delete_images

    def counted(name: str, digests: Sequence[str]) -> Mapping[str, str]:
        sizes.append(len(digests))
        return delete(name, digests)

    world.registry.delete_images = counted  # type: ignore[method-assign]
    assert world.night() == {NAME: Done(NAME, Stage.DELETED)}
    assert sizes == [100, 100, 1]


def test_a_repository_with_archived_images_is_not_empty() -> None:
    world = World().hold(NAME, THEIRS).reach(Stage.MARKED)
    assert THEIRS.digest in world.held.images
    world.now += 7 * DAY
    assert world.night() == {NAME: Done(NAME, Stage.QUARANTINED)}
    assert world.held.images == {THEIRS.digest: THEIRS}


def test_a_deletion_that_ecr_does_not_show_is_not_ended() -> None:
    world = a_world().ready(Stage.DELETED)
    world.registry.delete_repository = lambda _name: None  # type: ignore[method-assign]
    assert world.night()[NAME] == Done(NAME, None, "ECR still shows the repository")
    assert world.retirement.intended is Stage.DELETED


def test_the_last_step_asks_everybody_again() -> None:
    world = a_world().ready(Stage.DELETED)
    made = world.plan()
    by_a_service(world)
    done = world.carry(made)[NAME]
    assert done == Done(NAME, None, "ecs: a service")
    assert len(world.held.images) == 3
    assert is_in_force(world.held.policy), "who deletes takes nothing back"
    assert world.night()[NAME].stage is Stage.OBSERVED
    assert is_untouched(world)


# What stops everything


def tampered_body(world: World) -> None:
    first = world.ledger.all_entries[0]
    world.ledger.all_entries[0] = replace(first, body={**first.body, "at": "2020-01-01"})


def tampered_order(world: World) -> None:
    del world.ledger.all_entries[0]


def tampered_end(world: World) -> None:
    del world.ledger.all_entries[-1]


def tampered_head(world: World) -> None:
    world.ledger.records_by_name[NAME] = replace(world.ledger.records_by_name[NAME], head="f" * 64)


def tampered_count(world: World) -> None:
    record = world.ledger.records_by_name[NAME]
    world.ledger.records_by_name[NAME] = replace(record, entries=record.entries + 1)


TAMPERED = {each.__name__: each for each in (tampered_body, tampered_order, tampered_end, tampered_head, tampered_count)}


@pytest.mark.parametrize("stage", FORWARD[1:])
@pytest.mark.parametrize("how", TAMPERED)
def test_where_the_ledger_was_tampered_with_no_step_is_taken(how: str, stage: Stage) -> None:
    world = a_world().ready(stage)
    TAMPERED[how](world)
    before, writes = replace(world.held, tags=dict(world.held.tags), images=dict(world.held.images)), world.ledger.writes
    done = world.night()[NAME]
    assert done.stage is None
    assert done.why.startswith("its ledger was tampered with: ")
    assert (world.held, world.ledger.writes) == (before, writes)
    by_an_exemption(world)
    assert world.night()[NAME].stage is Stage.OBSERVED
    assert is_untouched(world)


@pytest.mark.parametrize(
    ("stage", "forged"), [(Stage.QUARANTINED, {"since": T0}), (Stage.QUARANTINED, {"stage": Stage.ARCHIVED, "since": T0})]
)
def test_where_the_record_was_tampered_with_no_step_is_taken(stage: Stage, forged: dict[str, Any]) -> None:
    world = a_world().reach(stage)
    record = world.ledger.records_by_name[NAME]
    world.ledger.records_by_name[NAME] = replace(record, retirement=replace(world.retirement, **forged))
    for each in (digest(1), digest(2)) if "stage" in forged else ():
        world.registry.archive(NAME, each)
    done = world.night()
    assert not done or done[NAME].stage is None


def many(*names: str, text: str = TERMS) -> World:
    world = World(text)
    for number, name in enumerate(names):
        world.hold(name, an_image(10 * number + 1), tags={"owner": f"owner-{number}"})
    return world


NAMES = ("a/api", "b/api", "c/api")


def capped(**some: int) -> str:
    """Terms with wide caps, but for some."""
    caps = {"per_run": 9, "percent": 100, "per_owner": 9, "per_namespace": 9, "per_day": 99, "marks": 9, **some}
    written = ", ".join(f"{cap}: {most}" for cap, most in caps.items())
    return TERMS[: TERMS.index("  caps:")] + f"  caps: {{{written}}}\n" + TERMS[TERMS.index("  window:") :]


def due_together(to: Stage, text: str = "") -> World:
    """Three repositories whose step to that stage is due, by caps that let them come so far."""
    world = many(*NAMES, text=capped()).ready(to)
    world.text(text or capped())
    return world


@pytest.mark.parametrize(
    ("cap", "most", "to", "times"),
    [
        ("per_run", 2, Stage.QUARANTINED, 1),
        ("per_run", 2, Stage.ARCHIVED, 1),
        ("per_run", 2, Stage.DELETED, 1),
        ("percent", 74, Stage.QUARANTINED, 1),
        ("per_day", 2, Stage.QUARANTINED, 1),
        ("marks", 2, Stage.MARKED, 1),
        ("per_owner", 0, Stage.QUARANTINED, 3),
        ("per_namespace", 2, Stage.DELETED, 1),
    ],
)
def test_over_a_cap_nothing_goes_on_but_what_must_go_back_does(cap: str, most: int, to: Stage, times: int) -> None:
    world = due_together(to)
    world.hold("d/api", an_image(50))
    vetoed = replace(world.ledger.records_by_name["d/api"], retirement=Retirement(Stage.MARKED, T0, T0, delete_after="2026-12-01"))
    world.ledger.records_by_name["d/api"] = vetoed
    world.book.taken = []
    before = {name: world.ledger.records_by_name[name] for name in NAMES}
    assert world.plan().withheld == ()
    world.text(capped(**{cap: most}))
    made = world.plan()
    assert len(made.withheld) == times
    assert f"caps.{cap} is {most}" in made.withheld[0]
    assert {name: done.stage for name, done in world.carry(made).items()} == {"d/api": Stage.OBSERVED}
    assert {name: world.ledger.records_by_name[name] for name in NAMES} == before


def test_what_went_on_within_a_day_counts_for_the_next_run() -> None:
    world = due_together(Stage.ARCHIVED, capped(per_day=4))
    world.book.taken = [(world.now - DAY, "x"), (world.now, "y")]
    assert [*world.plan().withheld] == ["2 repositories went on in the last 24 hours and 3 more would, caps.per_day is 4"]
    world.book.taken = [(world.now - DAY - SECOND, "x")] * 9
    assert world.plan().withheld == ()


def audit(world: World) -> None:
    world.text(TERMS.replace("mode: enforce", "mode: audit"))


def off(world: World) -> None:
    world.text(TERMS.replace("mode: enforce", "mode: off"))


def stop(world: World) -> None:
    world.text(TERMS.replace("  sources: [ecs]", "  stop: true\n  sources: [ecs]"))


def invalid(world: World) -> None:
    world.policies.problem = "policy.yaml:1:1: is not YAML"


def outside_of_the_days(world: World) -> None:
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    today = days.pop(world.now.weekday())
    assert today not in days
    world.text(TERMS.replace("[mon, tue, wed, thu, fri, sat, sun]", f"[{', '.join(days)}]"))


def outside_of_the_hours(world: World) -> None:
    world.text(TERMS.replace("sat, sun]", "sat, sun], from_hour: 10"))


STOPS = {
    "audit": (audit, "the mode is audit"),
    "off": (off, "the mode is off"),
    "stop": (stop, "the policy says stop"),
    "invalid": (invalid, "the policy file is invalid: nothing is taken away by the last good one"),
    "days": (outside_of_the_days, "it is outside of the policy's window"),
    "hours": (outside_of_the_hours, "it is outside of the policy's window"),
}


@pytest.mark.parametrize("to", FORWARD)
@pytest.mark.parametrize("what", STOPS)
def test_what_stops_everything_stops_every_step_forward_and_none_back(what: str, to: Stage) -> None:
    change, why = STOPS[what]
    world = a_world().ready(to)
    change(world)
    made = world.plan()
    assert made.withheld == (why,)
    assert [item.decision.to for item in made.items] == [to]
    before = world.state()
    assert world.carry(made) == {}
    assert world.state() == before
    if to is not Stage.MARKED:
        by_protecting_it(world)
        assert world.night()[NAME].stage is Stage.OBSERVED
        assert is_untouched(world)


@pytest.mark.parametrize("to", FORWARD)
@pytest.mark.parametrize("change", [stop, invalid, audit, lambda world: world.text(TERMS.replace("per_run: 2", "per_run: 3"))])
def test_a_policy_that_changed_since_the_plan_stops_the_step(change: Callable[[World], None], to: Stage) -> None:
    world = a_world().ready(to)
    made = world.plan()
    change(world)
    before = world.state()
    assert world.carry(made) == {NAME: Done(NAME, None, "the policy file was changed since the run began")}
    assert world.state() == before


def test_a_policy_that_says_stop_stops_a_step_of_its_own() -> None:
    world = a_world().ready(Stage.MARKED)
    stop(world)
    done = carry_out(NAME, Stage.MARKED, hear(world.services, world.now), world.services, world.now)
    assert done == Done(NAME, None, "the policy says stop")


def test_what_is_not_due_any_more_is_told_with_its_reasons() -> None:
    world = a_world().ready(Stage.QUARANTINED)
    made = world.plan()
    notice, told_at = world.retirement.notice, world.now - 7 * DAY
    world.ledger.mark_delivered(NAME, notice, PEOPLE, told_at + SECOND)
    assert world.carry(made) == {NAME: Done(NAME, None, "on 2026-12-03, grace runs until 2026-12-10")}
    world.ledger.mark_delivered(NAME, notice, PEOPLE, told_at)
    done = carry_out(NAME, Stage.ARCHIVED, made.hearing, world.services, world.now)
    assert done == Done(NAME, None, "nothing is to be done")
    assert world.stage is Stage.MARKED


def test_what_the_ledger_does_not_know_or_ecr_does_not_have_is_let_alone() -> None:
    world = a_world().ready(Stage.MARKED)
    hearing = hear(world.services, world.now)
    world.registry.hold("search/web")
    assert carry_out("search/web", Stage.MARKED, hearing, world.services, world.now) == Done(
        "search/web", None, "the ledger does not know it"
    )
    gone = carry_out("search/api", Stage.MARKED, hearing, world.services, world.now)
    assert gone == Done("search/api", None, "there is no such repository")
    assert world.ledger.all_entries == []


def test_a_policy_without_room_for_the_quarantine_stays_and_says_so() -> None:
    long = json.dumps({"Statement": [{"Sid": "x" * 10_000}]})
    world = World().hold(NAME, an_image(1), policy=long).ready(Stage.QUARANTINED)
    done = world.night()[NAME]
    assert done.stage is None
    assert "ECR takes 10240" in done.why
    assert (world.held.policy, world.stage) == (long, Stage.MARKED)


# Trouble with one of several


def test_unless_the_first_deletion_ends_well_no_other_follows() -> None:
    world = due_together(Stage.DELETED)
    world.book.taken = []
    world.registry.delete_images = lambda _name, digests: dict.fromkeys(digests, "refused")  # type: ignore[method-assign]
    done = world.night()
    assert done["a/api"].why.startswith("1 images were not deleted")
    assert {done["b/api"].why, done["c/api"].why} == {"not begun, since a/api did not end well"}
    assert set(world.registry.repositories) == set(NAMES)
    assert [len(each.images) for each in world.registry.repositories.values()] == [1, 1, 1]


def test_where_the_first_deletion_ends_well_the_others_follow() -> None:
    world = due_together(Stage.DELETED)
    world.book.taken = []
    assert {done.stage for done in world.night().values()} == {Stage.DELETED}
    assert world.registry.repositories == {}


@pytest.mark.parametrize("to", REVERSIBLE)
def test_what_is_denied_for_one_does_not_stop_the_others(to: Stage) -> None:
    world = due_together(to)
    world.book.taken = []
    _refuse_tags_of("a/api", world, Denied("ecr:TagResource: AccessDeniedException"))
    done = world.night()
    assert done["a/api"] == Done("a/api", None, "ecr:TagResource: AccessDeniedException")
    assert {done["b/api"].stage, done["c/api"].stage} == {to}


@pytest.mark.parametrize("to", REVERSIBLE)
def test_what_ecr_refuses_for_one_does_not_stop_the_others(to: Stage) -> None:
    world = due_together(to)
    world.book.taken = []
    _refuse_tags_of("a/api", world, Refused("ecr:TagResource: TooManyTagsException"))
    done = world.night()
    assert done["a/api"].stage is None
    assert {done["b/api"].stage, done["c/api"].stage} == {to}


def _refuse_tags_of(name: str, world: World, error: Exception) -> None:
    tag = world.registry.tag

    def refusing(snapshot: Any, tags: Mapping[str, str]) -> None:
        if snapshot.name == name:
            raise error
        tag(snapshot, tags)

    world.registry.tag = refusing  # type: ignore[method-assign]


def test_where_there_is_no_time_left_nothing_is_begun() -> None:
    world = due_together(Stage.MARKED)
    made = world.plan()
    left = iter([True, False, False])
    done = carry_out_plan(made, FORWARD, replace(world.services, may_go_on=lambda: next(left)), world.now)
    assert [each.stage for each in done] == [Stage.MARKED, None, None]
    assert done[2].why == "there was no time left: the next run goes on"


# Our statement, put there by others


def test_a_policy_copied_from_a_quarantined_repository_keeps_the_statements_of_others() -> None:
    world = a_world().ready(Stage.QUARANTINED)
    world.held.policy = quarantined(LAID_OUT)
    world.night()
    assert json.loads(world.held.policy or "")["Statement"][0] == json.loads(ORIGINAL)["Statement"][0]
    by_an_exemption(world)
    world.night()
    assert json.loads(world.held.policy or "{}").get("Statement") == json.loads(ORIGINAL)["Statement"]


def test_a_statement_added_after_an_interrupted_quarantine_stays() -> None:
    world = a_world().ready(Stage.QUARANTINED)
    tag, world.registry.tag = world.registry.tag, lambda *_: _crash()  # type: ignore[method-assign]
    with pytest.raises(Crash):
        world.night()
    world.registry.tag = tag  # type: ignore[method-assign]
    inside = json.loads(world.held.policy or "")
    added = {"Sid": "Added", "Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}
    world.held.policy = json.dumps({**inside, "Statement": [added, *inside["Statement"]]})
    world.night()
    assert world.stage is Stage.QUARANTINED
    by_an_exemption(world)
    world.night()
    assert json.loads(world.held.policy or "{}").get("Statement") == [added, *json.loads(ORIGINAL)["Statement"]]


# Whose pulls are recorded


def test_pulls_that_are_not_recorded_are_no_sign_of_disuse_unless_the_policy_names_whose() -> None:
    scanner = "arn:aws:iam::123456789012:role/scanner"
    world = a_world().ready(Stage.MARKED)
    world.registry.exclusions = [scanner]
    assert world.night() == {}
    world.text(TERMS + f"  pull_time_exclusions: ['{scanner}']\n")
    assert world.night() == {NAME: Done(NAME, Stage.MARKED)}


def test_where_it_cannot_be_seen_whose_pulls_are_recorded_nothing_goes_on() -> None:
    world = a_world().ready(Stage.MARKED)

    def denied() -> Sequence[str]:
        raise Denied("ecr:ListPullTimeUpdateExclusions: AccessDeniedException")

    world.registry.pull_time_exclusions = denied  # type: ignore[method-assign]
    assert world.night() == {}
    world.witnesses.silent = {"ecs"}
    assert world.night() == {}
