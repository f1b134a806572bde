"""One account in a simulation: two workers, a notifier, and people who change things meanwhile; every fault that a seed brings."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from ecr_governor.app.errors import Contended, Denied, Throttled, Undeliverable
from ecr_governor.app.notify import People, tell_people, tell_programs
from ecr_governor.app.ports import PolicyInForce
from ecr_governor.app.pushes import take_note
from ecr_governor.app.reconcile import Services, reconcile
from ecr_governor.core.announcement import Told
from ecr_governor.core.origin import Actor, AutomaticCreation, Creation, News, Push
from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.record import Entry, RepositoryRecord, Trigger
from ecr_governor.core.remedy import Outcome, OutcomeStatus, Remedy
from ecr_governor.core.repository import CreationTemplate, Fact, Repository, TagMutability, TagMutabilitySetting
from tests.fakes import (
    ACCOUNT,
    ENFORCING,
    REGION,
    T0,
    FakeBus,
    FakeChat,
    FakeRegistry,
    InMemoryConversations,
    InMemoryLedger,
    a_policy,
    a_repository,
)

NAMES = ("payments/api", "paymets/web")
CI = Actor("arn:aws:sts::123456789012:assumed-role/ci/build-1", "123456789012", "AssumedRole", "", "arn:aws:iam::123456789012:role/ci")
ECR = replace(CI, invoked_by="ecr.amazonaws.com")
MUTABLE = TagMutabilitySetting(TagMutability.MUTABLE)
POLICIES = (
    ENFORCING,
    ENFORCING.replace("mode: enforce", "mode: audit"),
    ENFORCING + "rules: {tag-mutability: audit}\n",
    ENFORCING.replace("tag_mutability: IMMUTABLE", "tag_mutability: MUTABLE"),
    ENFORCING.replace("    required_tags:", "    image_tags: {regex: 'v[0-9]+'}\n    required_tags:"),
)
QUIET = "quiet"


class Crash(Exception):
    """The worker's process ended here."""


@dataclass(frozen=True, slots=True)
class Message:
    """An event on its way. `image` ones are judged from the event alone where that is possible."""

    name: str
    news: News
    trigger: Trigger
    image: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened: who did it in which of his looks, that look's time, and what it was.

    `what` is the policy in force for a `look`, the facts for a `read`, the remedy for a `write`, record and entry for a `record`.
    """

    actor: str
    look: int
    at: datetime
    kind: str
    repository: str
    what: Any


@cache
def policy_of(text: str) -> Policy:
    return a_policy(text)


class SimRegistry(FakeRegistry):
    """ECR, with throttles, lost answers and crashes after each call."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self._world = world
        self.templates = (CreationTemplate("ROOT", frozenset({"CREATE_ON_PUSH"})),)

    def _call(self, name: str) -> None:
        self._world.pause()
        if self._world.strikes(0.03):
            raise Throttled(f"{name}: ThrottlingException")

    def read(self, name: str, facts: frozenset[Fact], idle_since: datetime | None = None) -> Repository | None:
        found = super().read(name, facts, idle_since)
        self._world.note("read", name, found)
        self._world.may_crash()
        return found

    def automatic_creation(self) -> AutomaticCreation:
        found = super().automatic_creation()
        self._world.may_crash()
        return found

    def apply(self, repository: Repository, remedy: Remedy) -> Outcome:
        outcome = super().apply(repository, remedy)
        if outcome.status is OutcomeStatus.APPLIED:
            self._world.note("write", repository.name, (repository, remedy))
        self._world.may_crash()
        if self._world.strikes(0.02):
            raise Throttled("the answer was lost")
        return outcome


class SimLedger(InMemoryLedger):
    """The ledger, with a pause before each call and crashes after each write."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self._world = world
        self.marks: Counter[tuple[str, int, str]] = Counter()

    def read(self, name: str) -> RepositoryRecord | None:
        self._world.pause()
        return super().read(name)

    def write(self, record: RepositoryRecord, entry: Entry | None = None) -> RepositoryRecord:
        self._world.pause()
        written = super().write(record, entry)
        self._world.note("record", record.name, (written, entry))
        self._world.may_crash()
        return written

    def mark_delivered(self, repository: str, number: int, channel: str, at: datetime) -> None:
        self.marks[repository, number, channel] += 1
        super().mark_delivered(repository, number, channel, at)


class SimPolicies:
    """The policy file: edited, broken and mended while looks are under way."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.text = ENFORCING
        self.broken = False

    def current(self, now: datetime) -> PolicyInForce:
        self._world.pause()
        policy = policy_of(self.text)
        in_force = PolicyInForce(policy.limited_to(Mode.AUDIT), "good", "broken") if self.broken else PolicyInForce(policy, "good")
        self._world.begin_look(in_force, now)
        return in_force


class World:
    """An account under one seed. `run` plays the schedule and then lets it come to rest."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.clock = T0
        self.log: list[Step] = []
        self.faulty = True
        self.registry = SimRegistry(self)
        self.ledger = SimLedger(self)
        self.policies = SimPolicies(self)
        self.chat = FakeChat()
        self.conversations = InMemoryConversations()
        self.bus = FakeBus()
        self.inbox: list[Message] = []
        self.withheld: list[Message] = []
        self.emitted: list[Message] = []
        self._looks: Counter[str] = Counter()
        self._look_at: dict[str, datetime] = {}
        self._under_way = 0
        self._busy_people = 4
        self._told = 0
        self._events = 0
        self._baton: Any = None

    def run(self, baton: Callable[[Callable[[int], int]], Any]) -> "World":
        """Play the schedule with a baton of that kind, then stop all trouble and deliver what is left."""
        self._baton = baton(self.rng.randrange)
        bodies: dict[str, Callable[[], None]] = {
            "worker-1": self._work,
            "worker-2": self._work,
            "developer": lambda: self._person(self._develop),
            "terraform": lambda: self._person(self._terraform),
            "editor": lambda: self._person(self._edit),
            "iam": lambda: self._person(self._deny),
            "notifier": self._notify,
        }
        self._baton.run(bodies)
        self._come_to_rest()
        return self

    @property
    def actor(self) -> str:
        return self._baton.holder or QUIET

    def pause(self) -> None:
        self.clock += timedelta(seconds=self.rng.choice((0, 0, 1, 2)))
        self._baton.pause()

    def strikes(self, likelihood: float) -> bool:
        return self.faulty and self.rng.random() < likelihood

    def may_crash(self) -> None:
        if self.strikes(0.05):
            raise Crash

    def begin_look(self, policy: PolicyInForce, now: datetime) -> None:
        self._looks[self.actor] += 1
        self._look_at[self.actor] = now
        self.note("look", "", policy)

    def note(self, kind: str, repository: str, what: object) -> None:
        actor = self.actor
        self.log.append(Step(actor, self._looks[actor], self._look_at.get(actor, self.clock), kind, repository, what))

    # The system

    def _work(self) -> None:
        while self._busy_people:
            self.pause()
            if not self.inbox:
                continue
            message = self.inbox.pop(self.rng.randrange(len(self.inbox)))
            self._under_way += 1
            try:
                self.deliver(message)
            except (Throttled, Denied, Contended, Crash):
                self.inbox.append(message)
            finally:
                self._under_way -= 1

    def deliver(self, message: Message) -> None:
        now = self.clock
        if not message.image:
            reconcile(message.name, message.news, message.trigger, Services(self.registry, self.ledger, self.policies), now)
        elif not take_note(message.name, message.news, self.ledger, self.policies, now):
            self.inbox.append(replace(message, image=False))

    def _notify(self) -> None:
        while self._busy_people:
            for _ in range(20):
                self.pause()
            for refused in (self.chat, self.bus):
                if self.strikes(0.2):
                    refused.refusals.append(Undeliverable("500"))
            self.tell()

    def tell(self) -> bool:
        """Tell a batch of the stream; it goes on from the first entry that failed. False at the end of the stream."""
        entries = [entry for entry in self.ledger.all_entries if entry.kind == "change"]
        batch = entries[self._told : self._told + 4]
        told = [Told(entry.repository, entry.number, entry.kind, entry.body) for entry in batch]
        failed = tell_programs(told, self.bus, self.ledger, ACCOUNT, REGION, self.clock)
        failed |= tell_people(told, People(self.ledger, self.policies, self.chat, self.conversations, ACCOUNT, REGION), self.clock)
        self._told += next((at for at, entry in enumerate(batch) if (entry.repository, entry.number) in failed), len(batch))
        return self._told < len(entries)

    # Everybody else

    def _person(self, script: Callable[[], None]) -> None:
        script()
        self._busy_people -= 1

    def emit(self, event: str, name: str, *, by: str = "alice", creation: bool = False, tag: str | None = None) -> None:
        """Publish an event: it may be withheld, doubled, and overtaken by others."""
        self._events += 1
        event_id = f"e{self._events}"
        news = News(
            creation=Creation(event_id, self.clock, ECR, source_ip="ecr.amazonaws.com") if creation else None,
            pushes=(Push(event_id, self.clock, CI, tag, "sha256:1"),) if tag else (),
        )
        message = Message(name, news, Trigger(event, by), image=tag is not None)
        self.emitted.append(message)
        if self.rng.random() < 0.15:
            self.withheld.append(message)
        else:
            self.inbox.extend([message] * self.rng.choice((1, 1, 1, 2)))

    def wait(self, longest: timedelta) -> None:
        """Let others work, and let time pass, but never within a look: a function's time is short."""
        for _ in range(self.rng.randint(1, 40)):
            self.pause()
        if not self._under_way:
            self.clock += longest * self.rng.random()

    def create(self, name: str) -> None:
        self.clock += timedelta(seconds=1)
        self.registry.repositories[name] = a_repository(name, created_at=self.clock)
        self.emit("CreateRepository", name, creation=True)

    def delete(self, name: str) -> None:
        if self.registry.repositories.pop(name, None):
            self.emit("DeleteRepository", name)

    def push(self, name: str) -> None:
        if name not in self.registry.repositories:
            self.create(name)
        self.clock += timedelta(seconds=1)
        self.emit("PutImage", name, by="ci/build-1", tag=self.rng.choice(("v1", "v2", "latest")))

    def recreate(self, name: str) -> None:
        self.delete(name)
        if self.rng.random() < 0.5:
            self.wait(timedelta(minutes=20))
        self.create(name)
        self.push(name)

    def change(self, name: str, event: str, **facts: Any) -> None:
        if found := self.registry.repositories.get(name):
            self.registry.repositories[name] = replace(found, **facts)
            self.emit(event, name)

    def _develop(self) -> None:
        actions: tuple[Callable[[str], None], ...] = (
            self.push,
            self.push,
            self.delete,
            self.recreate,
            lambda name: self.change(name, "DeleteLifecyclePolicy", lifecycle_policy=None),
            lambda name: self.change(name, "UntagResource", tags={}),
        )
        self.push(NAMES[0])
        for _ in range(6):
            self.wait(timedelta(minutes=4))
            self.rng.choice(actions)(self.rng.choice(NAMES))

    def _terraform(self) -> None:
        for _ in range(self.rng.choice((0, 3, 12))):
            self.wait(timedelta(minutes=2))
            self.change(NAMES[0], "PutImageTagMutability", tag_mutability=MUTABLE, lifecycle_policy=None)

    def _edit(self) -> None:
        for _ in range(self.rng.choice((0, 2, 4))):
            self.wait(timedelta(minutes=4))
            self.policies.broken = self.rng.random() < 0.3
            if not self.policies.broken:
                self.policies.text = self.rng.choice(POLICIES)

    def _deny(self) -> None:
        for _ in range(self.rng.choice((0, 2))):
            for denied in ({self.rng.choice((Fact.LIFECYCLE_POLICY, Fact.TAGS))}, set()):
                self.wait(timedelta(minutes=4))
                self.registry.denied = denied

    # The end

    def _come_to_rest(self) -> None:
        self.faulty = False
        self.registry.denied = set()
        self.policies.broken = False
        self.chat.refusals.clear()
        self.bus.refusals.clear()
        self.clock += timedelta(hours=2)
        # Events that were taken do not come again in every account; the rest then has a look of its own.
        again = self.emitted if self.rng.random() < 0.5 else []
        self.inbox += [*self.withheld, *again]
        self.rng.shuffle(self.inbox)
        self._deliver_all()
        self._look_at_all()
        while self.tell():
            pass

    def again(self) -> tuple[int, int]:
        """Deliver every event once more; give how many entries and writes that made."""
        entries, writes = len(self.ledger.all_entries), len(self.registry.writes)
        self.inbox = list(self.emitted)
        self._deliver_all()
        self._look_at_all()
        return len(self.ledger.all_entries) - entries, len(self.registry.writes) - writes

    def _deliver_all(self) -> None:
        while self.inbox:
            self.deliver(self.inbox.pop(0))

    def _look_at_all(self) -> None:
        for name in NAMES:
            self.deliver(Message(name, News(), Trigger("Due Check")))
