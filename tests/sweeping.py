"""A registry, a ledger and a run store in memory, for sweeps: held to the same contract as the real ones."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ecr_governor.app.errors import Denied, LeaseLost, SweepRunning
from ecr_governor.app.ports import Inventory, PolicyInForce
from ecr_governor.app.reconcile import Services, reconcile
from ecr_governor.app.sweep.checking import Checked, check
from ecr_governor.app.sweep.ending import decide_over, report
from ecr_governor.app.sweep.listing import Laid, Wish, lay_out
from ecr_governor.app.sweep.plan import SweepServices
from ecr_governor.core.origin import Creation, News
from ecr_governor.core.policy.model import Limits, Policy
from ecr_governor.core.record import Trigger
from ecr_governor.core.registry_rules import RegistryRules
from ecr_governor.core.repository import NOT_FETCHED, CreationTemplate, Fact, Repository, Unreadable
from ecr_governor.core.sweep import EndedSweep, Lease
from tests.fakes import ACCOUNT, REGION, FakeRegistry, FixedPolicy, InMemoryLedger

PAGE = 3
"""Repositories of a page here: so few that every test has more than one."""


class MemoryRunStore:
    """Documents and files in memory. `before` is called before each access."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.files: dict[str, list[bytes]] = {}
        self.before: Callable[[str], None] = lambda _: None

    def document(self, key: str) -> dict[str, Any] | None:
        self.before(f"document {key}")
        found = self.documents.get(key)
        return dict(found) if found is not None else None

    def put_document(self, key: str, document: Mapping[str, Any]) -> None:
        self.before(f"put {key}")
        self.documents[key] = dict(document)

    def lines(self, key: str) -> Iterator[bytes]:
        self.before(f"lines {key}")
        yield from self.files.get(key, ())

    def put_lines(self, key: str, lines: Iterable[bytes]) -> None:
        self.before(f"put {key}")
        self.files[key] = list(lines)

    def join(self, keys: Iterable[str], target: str) -> None:
        self.before(f"put {target}")
        self.files[target] = [line for key in keys for line in self.files.get(key, ())]


class MemoryShelf:
    """Values in a dict."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self._taken: set[str] = set()

    def put(self, name: str, value: bytes) -> None:
        self._values[name] = value

    def read(self, name: str) -> bytes | None:
        return self._values.get(name)

    def take(self, name: str) -> bytes | None:
        self._taken.add(name)
        return self._values.get(name)

    def rest(self) -> Iterator[tuple[str, bytes]]:
        return ((name, value) for name, value in self._values.items() if name not in self._taken)


class MemoryBook:
    """The lease and the last sweep."""

    def __init__(self) -> None:
        self.lease: tuple[Lease, datetime] | None = None
        self.token = 0
        self.ended: EndedSweep | None = None
        self.entries: list[Mapping[str, Any]] = []

    def take_lease(self, execution: str, run: str, now: datetime, until: datetime) -> Lease:
        if self.lease and self.lease[0].execution == execution:
            self.lease = self.lease[0], until
        elif self.lease and self.lease[1] >= now:
            raise SweepRunning(f"the sweep {self.lease[0].run} holds the lease until {self.lease[1]}")
        else:
            self.token += 1
            self.lease = Lease(execution, run, self.token, now), until
        return self.lease[0]

    def renew_lease(self, lease: Lease, now: datetime, until: datetime) -> None:
        self._check(lease)
        self.lease = lease, until

    def end_sweep(self, lease: Lease, ended: EndedSweep, entry: Mapping[str, Any]) -> None:
        self._check(lease)
        self.lease, self.ended = None, ended
        self.entries.append(entry)

    def give_back(self, lease: Lease) -> None:
        if self.lease and self.lease[0] == lease:
            self.lease = None

    def last_sweep(self) -> EndedSweep | None:
        return self.ended

    def _check(self, lease: Lease) -> None:
        if self.lease is None or (self.lease[0].execution, self.lease[0].token) != (lease.execution, lease.token):
            raise LeaseLost(lease.run)


class MemoryHistory:
    """Creations that CloudTrail remembers."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Creation]] = []
        self.denied = ""
        self.calls = 0
        self.asked: list[tuple[datetime, datetime]] = []

    def creations(self, since: datetime, until: datetime) -> Iterator[Sequence[tuple[str, Creation]]]:
        self.asked.append((since, until))
        if self.denied:
            raise Denied(self.denied)
        wanted = sorted(
            ((name, creation) for name, creation in self.found if since <= creation.at <= until),
            key=lambda pair: pair[1].at,
            reverse=True,
        )
        for start in range(0, max(1, len(wanted)), PAGE):
            self.calls += 1
            yield wanted[start : start + PAGE]


class MemoryInventory:
    """A registry in bulk. `before` is called before each call, with its name."""

    def __init__(self, registry: FakeRegistry, before: Callable[[str], None]) -> None:
        self._registry = registry
        self._before = before
        self.calls: Counter[str] = Counter()

    def _call(self, name: str) -> None:
        self._before(name)
        self.calls[f"ecr:{name}"] += 1

    def pages(self) -> Iterator[Sequence[Repository]]:
        names = list(self._registry.repositories)
        for start in range(0, max(1, len(names)), PAGE):
            self._call("DescribeRepositories")
            yield [
                replace(_as_listed(self._registry.repositories[name]), tags=Unreadable("not fetched"))
                for name in names[start : start + PAGE]
                if name in self._registry.repositories
            ]

    def tags_of(self, repositories: Sequence[Repository]) -> Sequence[Mapping[str, str] | Unreadable]:
        self._call("GetResources")
        if Fact.TAGS in self._registry.denied:
            return [Unreadable("tags: AccessDeniedException")] * len(repositories)
        return [self._registry.repositories[repository.name].tags for repository in repositories]

    def complete(self, page: Sequence[Repository], facts: frozenset[Fact], idle_since: datetime | None) -> Sequence[Repository]:
        found = []
        for listed in page:
            self._call("DescribeImages")
            read = self._registry.read(listed.name, facts, idle_since)
            if read is not None:
                found.append(replace(read, tags=listed.tags))
        return found


@dataclass
class SweepWorld:
    """An account that is swept. `before` is called before each call to AWS, with a word for it; it may raise."""

    policy: Policy
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    ledger: InMemoryLedger = field(default_factory=InMemoryLedger)
    book: MemoryBook = field(default_factory=MemoryBook)
    runs: MemoryRunStore = field(default_factory=MemoryRunStore)
    history: MemoryHistory = field(default_factory=MemoryHistory)
    scanning: str | Unreadable = "BASIC"
    asked: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    time_left: Callable[[], float] = lambda: 900.0
    executions: int = 0
    policy_at: dict[str, Policy] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.runs.before = self._asked_for

    def _asked_for(self, what: str) -> None:
        self.before(what)

    # The ports that are too small for a class of their own.

    def rules(self) -> RegistryRules:
        self.before("rules")
        templates: tuple[CreationTemplate, ...] | Unreadable = (
            Unreadable("ecr:DescribeRepositoryCreationTemplates: AccessDeniedException")
            if self.registry.templates is None
            else self.registry.templates
        )
        caches = self.registry.caches
        return RegistryRules(
            templates,
            Unreadable("ecr:DescribePullThroughCacheRules: AccessDeniedException") if caches is None else caches,
            self.scanning,
        )

    def current(self, now: datetime) -> PolicyInForce:
        self.policy_at[self.policy.hash] = self.policy
        return PolicyInForce(self.policy, self.policy.hash)

    def pinned(self, version: str) -> PolicyInForce:
        return PolicyInForce(self.policy_at[version], version)

    def ask(self, repositories: Iterable[str], at: datetime) -> None:
        self.asked += repositories

    def inventory(self, _limits: Limits, _at_once: int) -> Inventory:
        return MemoryInventory(self.registry, self._asked_for)

    @property
    def services(self) -> SweepServices:
        return SweepServices(
            inventory=self.inventory,
            registry=self,
            ledger=self.ledger,
            book=self.book,
            policies=self,
            runs=self.runs,
            shelf=MemoryShelf,
            history=self.history,
            time_left=self.time_left,
        )

    # What happens.

    def lay_out(self, execution: str, now: datetime, *, everything: bool = False) -> Laid:
        wish = Wish(everything=everything)
        laid = lay_out(execution, ACCOUNT, REGION, self.services, now, wish)
        while laid.again:
            laid = lay_out(execution, ACCOUNT, REGION, self.services, now, wish)
        return laid

    def check(self, run: str, shard: str, now: datetime) -> Checked:
        checked = check(run, shard, self.services, now)
        while checked.again:
            checked = check(run, shard, self.services, now)
        return checked

    def sweep(self, now: datetime, *, everything: bool = False) -> dict[str, Any]:
        """Sweep once, as the state machine does, and give the summary."""
        self.executions += 1
        laid = self.lay_out(f"execution-{self.executions}", now, everything=everything)
        for shard in laid.shards:
            self.check(laid.run, shard, now)
        decide_over(laid.run, self.services, self, now)
        return report(laid.run, self.services, now)

    def look(self, name: str, now: datetime, event: str = "PutLifecyclePolicy") -> None:
        """Let an event about a repository be handled."""
        services = Services(self.registry, self.ledger, FixedPolicy(self.policy))
        reconcile(name, News(), Trigger(event), services, now)

    def looks(self, now: datetime) -> None:
        """Let everything be looked at that a sweep has asked for."""
        asked, self.asked = self.asked, []
        for name in asked:
            self.look(name, now, "Due Check")

    def standing(self) -> dict[str, Any]:
        """The inventory of the last sweep, by name."""
        from ecr_governor.core.standing import from_line  # noqa: PLC0415 - only here

        assert self.book.ended is not None
        return {found.name: found for found in map(from_line, self.runs.files[self.book.ended.inventory])}


def _as_listed(repository: Repository) -> Repository:
    """The repository with only what a listing tells, and its tags."""
    nothing: dict[str, Any] = {fact.value: NOT_FETCHED for fact in Fact if fact is not Fact.TAGS}
    return replace(repository, **nothing)
