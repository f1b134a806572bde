"""One registry under one seed: a janitor who retires, and everybody who uses, changes and objects between any two of his calls.

Whoever is not the janitor acts at once and wholly, between two calls of his, as often as chance has it. That covers every interleaving
of his calls with theirs, needs no threads, and so runs some hundred schedules a second.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from ecr_governor.app.errors import Contended, Denied, Refused, Throttled
from ecr_governor.app.ports import PolicyInForce
from ecr_governor.app.pressing import Services as Pressing
from ecr_governor.app.pressing import take
from ecr_governor.app.retirement.cases import PEOPLE, Services
from ecr_governor.app.retirement.planning import carry_out_plan, plan
from ecr_governor.app.retirement.taking_back import release
from ecr_governor.core.origin import Push
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.press import Action, Press, Result, Subject, kept_until, mark_of
from ecr_governor.core.record import GENESIS, Entry, RepositoryRecord
from ecr_governor.core.retirement.evidence import Evidence, Use
from ecr_governor.core.retirement.history import breaches
from ecr_governor.core.retirement.snapshot import ARCHIVED, DELETE_AFTER, OURS, STATE, HeldImage
from ecr_governor.core.retirement.state import Stage
from tests.fakes import T0, InMemoryLedger
from tests.retiring import (
    CI,
    DAY,
    ORIGINAL,
    TERMS,
    HeldRepository,
    MemoryRegistry,
    MemoryRunBook,
    MemoryTombstones,
    MemoryWitnesses,
    an_image,
    retiring_policy,
)

NAMES = ("payments/api", "search/web")
AFTER = 30 * DAY
EXEMPT = "exemptions: [{match: 'payments/*', rules: ['*'], reason: needed for the audit, owner: alice, expires: 2030-01-01}]\n"
POLICIES = (
    TERMS,
    TERMS,
    TERMS.replace("quarantine_days: 3", "quarantine_days: 4"),
    TERMS.replace("then: delete", "then: archive"),
    TERMS + EXEMPT,
    TERMS.replace("  sources: [ecs]", "  stop: true\n  sources: [ecs]"),
    TERMS.replace("mode: enforce", "mode: audit"),
)
LAG = timedelta(hours=24)
SKEW = timedelta(minutes=5)
"""How wrong a clock of ours can be: AWS refuses requests that are signed with a time farther from its own."""
NIGHTS = (3, 4, 5)
ALL = (Stage.OBSERVED, Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED, Stage.DELETED)


@cache
def policy_of(text: str) -> Policy:
    return retiring_policy(lambda _: text)


@cache
def in_force(text: str, broken: bool) -> PolicyInForce:
    policy = policy_of(text)
    return PolicyInForce(policy, policy.hash, "broken" if broken else None)


class Crash(Exception):
    """The janitor's process ended here."""


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that did not hold, where and how."""

    invariant: str
    repository: str
    how: str


class SimRegistry(MemoryRegistry):
    """ECR, whose pull times lag behind; others act before each call, and each call may be refused, lose its answer, or be the last."""

    world: "World"

    def seen_images(self, held: HeldRepository) -> tuple[HeldImage, ...]:
        if not (recorded := self.world.recorded):
            return tuple(held.images.values())
        at = held.created_at
        return tuple([self._as_recorded(image, recorded.get((at, image.digest))) for image in held.images.values()])

    def _as_recorded(self, image: HeldImage, pulled: Mapping[str, Any] | None) -> HeldImage:
        # A pull shows at its time or up to a day later.
        if pulled is None:
            return image
        at = pulled["at"] if pulled["shows"] <= self.world.clock else pulled["before"]
        return image if at == image.pulled_at else replace(image, pulled_at=at)

    def _called(self, what: str, name: str) -> None:
        super()._called(what, name)
        self.world.janitor_calls(what, name)

    def _changed(self, what: str, name: str) -> HeldRepository | None:
        self.world.others_act()
        held = super()._changed(what, name)
        self.world.before_change(what, name)
        self.world.lose_the_answer_after = self.world.strikes(0.02)
        return held

    def removed(self, name: str, digest: str | None) -> None:
        self.world.removed(name, digest)


class SimLedger(InMemoryLedger):
    """The ledger; crashes come before and after a write."""

    world: "World"

    def write(self, record: RepositoryRecord, entry: Entry | None = None) -> RepositoryRecord:
        self.world.others_act()
        self.world.may_crash()
        written = super().write(record, entry)
        self.world.may_crash()
        return written


class SimReleases:
    """The queue of what somebody keeps by a button."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, datetime]] = []

    def ask(self, repository: str, by: str, keep_until: datetime, at: datetime) -> None:
        del by, at
        self.waiting.append((repository, keep_until))


class SimWitnesses(MemoryWitnesses):
    """ECS, which is sometimes silent."""

    world: "World"

    def evidence(self, sources: Sequence[str], now: datetime) -> Sequence[Evidence]:
        self.world.others_act()
        self.silent = {"ecs"} if self.world.silent or self.world.strikes(0.05) else set()
        return super().evidence(sources, now)


class SimPolicies:
    """The policy file."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.text = TERMS
        self.broken = False

    def current(self, now: datetime) -> PolicyInForce:
        self._world.others_act()
        if not self._world.depth:
            # What the janitor himself read.
            self._world.policy_read = (self.text, self.broken)
        return in_force(self.text, self.broken)


Janitor = Callable[["World"], None]


class World:
    """An account under one seed; `run` plays it with a janitor and gives what was broken.

    All that others do and all trouble is counted in `happened`; what is `muted`, by its number, does not take place.
    """

    def __init__(self, choose: random.Random, muted: AbstractSet[int] = frozenset()) -> None:
        self.rng = choose
        self.muted = muted
        self.happened = 0
        self.clock = T0 + 60 * DAY
        self.faulty = True
        self.calm = False
        self.trace: list[str] = []
        self.breaches: list[Breach] = []
        self.true_activity: dict[str, datetime] = {}
        self.recorded: dict[tuple[datetime, str], Mapping[str, Any]] = {}
        self.originals: dict[str, str | None] = {}
        self.inbox: list[str] = []
        self.removed_this_run: set[str] = set()
        self.recreated: set[str] = set()
        self.overlapped: set[str] = set()
        self.excused: set[str] = set()
        self.kept_until: dict[str, datetime] = {}
        self.skew = timedelta()
        self.janitor: Janitor = governor
        self.policy_read: tuple[str, bool] = (TERMS, False)
        self.lose_the_answer_after = False
        self.pushes = 100
        self.depth = 0
        self.withheld: tuple[str, ...] = ()
        self.fenced = False
        self.registry = SimRegistry(lambda: self.clock)
        self.ledger = SimLedger()
        self.witnesses = SimWitnesses()
        for part in (self.registry, self.ledger, self.witnesses):
            part.world = self
        # In some accounts nobody may ask ECS.
        self.silent = self.rng.random() < 0.15
        self.policies = SimPolicies(self)
        self.tombstones = MemoryTombstones()
        self.book = MemoryRunBook()
        self.presses = 0
        self.releases = SimReleases()
        nobody: Any = None
        self.pressing = Pressing(self.ledger, self.policies, nobody, self.releases, *[nobody] * 7, link_hours=0)
        self.services = Services(self.registry, self.ledger, self.policies, self.witnesses, self.tombstones, self.book)
        for number, name in enumerate(NAMES):
            images = [an_image(10 * number + each, tags=[f"v{each}"]) for each in range(self.rng.choice((0, 1, 2, 3)))]
            tags = {"owner": "alice"} if self.rng.random() < 0.5 else {}
            self._place(name, T0, images, tags, self.rng.choice((ORIGINAL, None)))
            if images and self.rng.random() < 0.4:
                # It has been running for long, by a digest, and has pulled nothing since.
                self.witnesses.uses.setdefault("ecs", []).append(Use(f"service of {name}", digest=images[-1].digest))
        self._look()

    def _place(self, name: str, at: datetime, images: Sequence[HeldImage], tags: dict[str, str], policy: str | None) -> None:
        self.registry.hold(name, *images, created_at=at, tags=tags, policy=policy)
        self.true_activity[name] = at
        self.originals[name] = policy

    def _look(self) -> None:
        """The ledger learns of repositories that are new, as it does by events and the sweep."""
        for name, held in self.registry.repositories.items():
            known = self.ledger.records_by_name.get(name)
            if known is None or known.created_at != held.created_at:
                self._discover(name, held.created_at)

    def _discover(self, name: str, at: datetime) -> None:
        known = self.ledger.records_by_name.get(name)
        self.ledger.records_by_name[name] = RepositoryRecord(
            name,
            version=known.version if known else 1,
            created_at=at,
            watched_since=at,
            retirement=known.retirement if known and known.retirement and known.retirement.intended else None,
            entries=known.entries if known else 0,
            head=known.head if known else GENESIS,
        )

    # The schedule

    def run(self, janitor: Janitor, nights: int | None = None) -> "World":
        """Play some nights, then let trouble stop and everything come to rest."""
        self.janitor = janitor
        for _ in range(nights or self.rng.choice(NIGHTS)):
            self.clock += self.rng.choice((1, 3, 4, 8)) * DAY
            self.others_act()
            self._night()
            self._deliver()
        self.come_to_rest()
        return self

    def come_to_rest(self) -> None:
        self.faulty, self.calm = False, True
        self._deliver()
        for _ in range(2):
            self.clock += timedelta(hours=25)
            self._night()
            if not any(record.retirement and record.retirement.intended for record in self.ledger.records_by_name.values()):
                break
        self._check_rest()

    def _night(self) -> None:
        self.removed_this_run, self.recreated, self.overlapped = set(), set(), set()
        self.skew = self.rng.choice((-SKEW, timedelta(), timedelta(), SKEW)) if self.faulty else timedelta()
        if self.calm or self.rng.random() < 0.8:
            self._look()
        try:
            self.janitor(self)
        except (Crash, Throttled, Contended, Refused) as end:
            self.trace.append(f"  the run ended: {type(end).__name__}")
            # Deleted and created again between a read and a write of the janitor's, who then died: he cannot know.
            self.excused |= self.recreated
        self._within_caps()

    def _within_caps(self) -> None:
        caps = policy_of(self.policy_read[0]).retirement.caps
        if len(self.removed_this_run) > caps.per_run:
            self.breaches.append(Breach("I6", "", f"{len(self.removed_this_run)} repositories were removed in one run"))

    def _deliver(self) -> None:
        """Tell owners of marks, and the janitor of refused pulls: late, twice, or (except in the calm) not at all."""
        for entry in self.ledger.all_entries:
            if entry.kind != "retirement" or entry.body["to"] != "marked" or self.ledger.told_at(entry.repository, entry.number, PEOPLE):
                continue
            if self.calm or self.rng.random() < 0.8:
                self.ledger.mark_delivered(entry.repository, entry.number, PEOPLE, self.clock)
        kept, self.releases.waiting = self.releases.waiting, []
        for name, until in kept:
            if self.calm or self.rng.random() < 0.8:
                self._release_kept(name, until)
        waiting, self.inbox = self.inbox, []
        for name in waiting:
            if self.calm or self.rng.random() < 0.8:
                self._release(name)

    def _release(self, name: str) -> None:
        try:
            release(name, "a pull was refused", self.services, self.clock)
            if self.registry.quarantined(name):
                self.breaches.append(Breach("I9", name, "a refused pull did not release it"))
        except (Crash, Throttled, Contended):
            self.excused |= self.recreated
            self.inbox.append(name)

    def _release_kept(self, name: str, until: datetime) -> None:
        """Give back what somebody keeps by a button. What is lost is lost: the press itself holds."""
        with suppress(Crash, Throttled, Contended):
            release(name, "somebody in Slack keeps it", self.services, self.clock, asked=True, keep_until=until)

    # What strikes

    def strikes(self, likelihood: float) -> bool:
        return self.faulty and self.rng.random() < likelihood and self._takes_place()

    @property
    def took_place(self) -> int:
        """How much of what happened was not muted."""
        return self.happened - sum(number <= self.happened for number in self.muted)

    def _takes_place(self) -> bool:
        self.happened += 1
        return self.happened not in self.muted

    def may_crash(self) -> None:
        if self.strikes(0.02):
            raise Crash

    def janitor_calls(self, what: str, name: str) -> None:
        self.trace.append(f"  janitor: {what} {name}".rstrip())
        try:
            self._strike(what)
        except (Crash, Throttled):
            # The same as where a whole run dies: this step does, and the run goes on with the others.
            self.excused |= self.recreated & {name}
            raise
        self.others_act()

    def _strike(self, what: str) -> None:
        self.may_crash()
        if self.lose_the_answer_after:
            self.lose_the_answer_after = False
            raise Throttled("the answer was lost")
        if self.strikes(0.02):
            raise Throttled(what)

    # Everybody else

    def others_act(self) -> None:
        if self.calm or self.depth:
            return
        somebody_acts = self.rng.random() < 0.06
        if not somebody_acts and not self.inbox:
            # As it is nearly always.
            return
        self.depth = 1
        while somebody_acts:
            self._act(self.rng.choice(self._actions), self.rng.choice(NAMES), self.rng.choice((0, 1, 10)) * timedelta(minutes=1))
            somebody_acts = self.rng.random() < 0.06
        if self.inbox and self.rng.random() < 0.3:
            # The refusal is heard while the janitor is still at work.
            name = self.inbox.pop()
            self.overlapped.add(name)
            self._release(name)
        self.depth = 0

    def _act(self, action: Callable[["World", str], None], name: str, later: timedelta) -> None:
        self.clock += later
        if self._takes_place():
            self.trace.append(f"{action.__name__.strip('_')} {name} at {self.clock:%m-%d %H:%M}")
            action(self, name)

    def _denied(self, name: str) -> bool:
        if not self.registry.quarantined(name):
            return False
        self.inbox.append(name)
        return True

    def _pull(self, name: str) -> None:
        held = self.registry.repositories.get(name)
        if held is None or self._denied(name):
            return
        usable = [image for image in held.images.values() if image.status != ARCHIVED]
        if usable:
            image = self.rng.choice(usable)
            known = self.recorded.get((held.created_at, image.digest), {})
            self.recorded[held.created_at, image.digest] = {
                "at": self.clock,
                "shows": self.clock + LAG * self.rng.random(),
                "before": known.get("at") if known.get("shows", self.clock) <= self.clock else known.get("before"),
            }
            self.true_activity[name] = self.clock

    def _push(self, name: str) -> None:
        held = self.registry.repositories.get(name)
        if held is None:
            self._place(name, self.clock, [], {}, None)
            held = self.registry.repositories[name]
        elif self._denied(name):
            return
        self.pushes += 1
        image = an_image(self.pushes, self.clock)
        held.images[image.digest] = image
        self.true_activity[name] = self.clock
        self.ledger.note_push(name, Push("event", self.clock, CI, None, image.digest))

    def _retag(self, name: str) -> None:
        held = self.registry.repositories.get(name)
        if held is None or not held.images or self._denied(name):
            return
        image = self.rng.choice(list(held.images.values()))
        held.images[image.digest] = replace(image, tags=image.tags | {f"r{self.pushes}"})
        self.true_activity[name] = self.clock
        self.ledger.note_push(name, Push("event", self.clock, CI, "r", image.digest))

    def _deploy(self, name: str) -> None:
        """Start something that runs an image and may not pull it again for a year: it pulls once."""
        held = self.registry.repositories.get(name)
        if held is None or not held.images or self._denied(name):
            return
        usable = [image for image in held.images.values() if image.status != ARCHIVED]
        if usable:
            self._pull(name)
            self.witnesses.uses.setdefault("ecs", []).append(Use(f"service of {name}", digest=self.rng.choice(usable).digest))

    def _undeploy(self, name: str) -> None:
        self.witnesses.uses["ecs"] = [use for use in self.witnesses.uses.get("ecs", ()) if use.user != f"service of {name}"]

    def _veto(self, name: str) -> None:
        if held := self.registry.repositories.get(name):
            held.tags.pop(DELETE_AFTER, None)

    def _protect(self, name: str) -> None:
        if held := self.registry.repositories.get(name):
            held.tags["ecr-governor:protect"] = "yes"

    def _recreate(self, name: str) -> None:
        if self.registry.repositories.pop(name, None):
            self.recreated.add(name)
            self.kept_until.pop(name, None)
            self.clock += timedelta(seconds=1)
            self._place(name, self.clock, [], {}, None)

    def _edit(self, _name: str) -> None:
        self.policies.text = self.rng.choice(POLICIES)
        self.policies.broken = self.rng.random() < 0.1

    def _keep(self, name: str) -> None:
        """Press the button in Slack that keeps it for a month. It speaks of the repository that the ledger knows, and of no later one."""
        held, known = self.registry.repositories.get(name), self.ledger.records_by_name.get(name)
        if known is None or not (mark := mark_of(known.retirement)):
            return
        self.presses += 1
        shown_for = Subject(name, known.created_at, mark, AFTER.days)
        press = Press(f"press-{self.presses}", Action.KEEP, "U0ANN000001", "ann", self.clock, shown_for, "C0MAIN00001", "1.1")
        try:
            done = take(press, self.pressing, self.clock)
        except (Crash, Throttled, Contended):
            return
        begun = known.retirement is not None and known.retirement.intended is Stage.DELETED
        if held and known.created_at == held.created_at and done is Result.DONE and not begun:
            self.kept_until[name] = kept_until(press)

    def _apply(self, name: str) -> None:
        """Terraform puts back all that it finds changed, and it does not know our tags."""
        if held := self.registry.repositories.get(name):
            held.policy = self.originals[name]
            held.tags = {key: value for key, value in held.tags.items() if not key.startswith(OURS)}

    def _run_besides(self, _name: str) -> None:
        """Another run of ours, wholly between two calls of the first: its lease ended while it was at work."""
        outer = self.policy_read, self.removed_this_run, self.skew
        self.policy_read, self.removed_this_run, self.skew = (self.policies.text, self.policies.broken), set(), timedelta()
        self.overlapped |= {*NAMES}
        with suppress(Crash, Throttled, Contended, Refused):
            self.janitor(self)
        self._within_caps()
        self.policy_read, self.removed_this_run, self.skew = outer

    def _stall(self, _name: str) -> None:
        """Nothing happens for long, and whoever is at work does not notice."""
        self.clock += self.rng.choice((1, 26)) * timedelta(hours=1)

    _actions = (
        *(_pull, _pull, _pull, _push, _push, _retag, _deploy, _undeploy, _veto, _protect, _recreate, _edit, _edit),
        *(_keep, _apply, _run_besides, _stall),
    )

    # What must be true

    def before_change(self, what: str, name: str) -> None:
        """I4: what is about to be done stands in the ledger."""
        record = self.ledger.records_by_name.get(name)
        held = self.registry.repositories.get(name)
        if what.startswith("delete") and self.fenced and held is not None and STATE not in held.tags:
            # The deleting role may delete only what carries the tag.
            raise Denied(what)
        if record is None or held is None or record.created_at != held.created_at:
            return
        if name not in self.overlapped and (record.retirement is None or record.retirement.intended is None):
            self.breaches.append(Breach("I4", name, f"{what} without an intent"))

    def removed(self, name: str, digest: str | None) -> None:
        what = f"{name}@{digest}" if digest else name
        self.removed_this_run.add(name)
        self.trace.append(f"    removed {what}")
        if self.clock - self.true_activity[name] < AFTER - LAG and self.registry.repositories.get(name, HeldRepository(T0)).images != {}:
            self.breaches.append(Breach("I1", name, f"{what} was used at {self.true_activity[name]} and removed at {self.clock}"))
        if digest and any(use.digest == digest for use in self.witnesses.uses.get("ecs", ())):
            self.breaches.append(Breach("I1", name, f"{what} is deployed"))
        text, broken = self.policy_read
        policy = policy_of(text)
        if broken or policy.retirement.stop or policy.mode.value != "enforce":
            self.breaches.append(Breach("I2", name, "removed although the policy in force says no"))
        if policy.exemption_for(name, "unused", self.clock):
            self.breaches.append(Breach("I2", name, "removed although exempt"))
        if self.clock < self.kept_until.get(name, T0):
            self.breaches.append(Breach("I2", name, f"removed although somebody keeps it until {self.kept_until[name]}"))
        self._was_announced(name)

    def _was_announced(self, name: str) -> None:
        """I2: marked, told, and then let alone for the grace; quarantined before that is gone which holds images."""
        entries = [entry for entry in self.ledger.all_entries if entry.repository == name and entry.kind == "retirement"]
        last = {}
        for entry in entries:
            if entry.body["to"] == "observed":
                last = {}
            elif entry.body.get("intended") is None:
                # A notice that is given again counts from then on.
                last[entry.body["to"]] = entry
        marked = last.get("marked")
        told = self.ledger.told_at(name, marked.number, PEOPLE) if marked else None
        if told is None or self.clock - told < 3 * DAY - SKEW:
            self.breaches.append(Breach("I2", name, "removed without a notice long enough ago"))

    def _check_rest(self) -> None:
        for name, record in self.ledger.records_by_name.items():
            entries = self.ledger.entries(name)
            told = partial(self.ledger.told_at, name, channel=PEOPLE)
            self.breaches += (Breach("history", name, how) for how in breaches(record, entries, told))
            held = self.registry.repositories.get(name)
            if record.retirement and record.retirement.intended is not None and not self.withheld:
                self.breaches.append(Breach("L3", name, f"{record.retirement.intended} is still intended"))
            stage = record.retirement.stage if record.retirement else Stage.OBSERVED
            if held is not None and held.created_at == record.created_at:
                intended = record.retirement.intended if record.retirement else None
                if self.registry.quarantined(name) and stage.rank < Stage.QUARANTINED.rank and intended is not Stage.QUARANTINED:
                    self.breaches.append(Breach("I9", name, "quarantined, and the ledger does not know it"))
                if stage is Stage.OBSERVED and intended is None and name not in self.excused and held.policy != self.originals[name]:
                    self.breaches.append(Breach("I9", name, f"its policy is not what it was: {held.policy}"))


def governor(world: World) -> None:
    """The product."""
    world.fenced = True
    names = {*NAMES, *world.ledger.retiring()}
    now = world.clock + world.skew
    made = plan(names, len(NAMES), ALL, world.services, now)
    world.withheld = made.withheld
    carry_out_plan(made, ALL, world.services, now, world.registry)


def naive(world: World) -> None:
    """Look at pull times, then delete: what most scripts do."""
    for name in NAMES:
        snapshot = world.registry.snapshot(name)
        if snapshot and snapshot.held and world.clock - snapshot.last_activity > AFTER + DAY:
            world.registry.delete_images(name, [image.digest for image in snapshot.held])
            world.registry.delete_repository(name)


def rechecking(world: World) -> None:
    """Mark at one time, look again later, then delete: what careful tools do."""
    for name in NAMES:
        first = world.registry.snapshot(name)
        if not (first and first.held and world.clock - first.last_activity > AFTER + DAY):
            continue
        again = world.registry.snapshot(name)
        if again and world.clock - again.last_activity > AFTER + DAY and not world.witnesses.uses.get("ecs"):
            world.registry.delete_images(name, [image.digest for image in again.held])
            world.registry.delete_repository(name)


def play(seed: int, janitor: Janitor = governor, muted: AbstractSet[int] = frozenset(), nights: int | None = None) -> World:
    """Play one schedule, without what is muted."""
    return World(random.Random(seed), muted).run(janitor, nights)
