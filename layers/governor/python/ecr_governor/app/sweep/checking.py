"""The second step, once for each shard: read what must be read, judge it, and bring the ledger in line; block by block."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic_core import from_json

from ecr_governor.app.errors import Contended, Throttled
from ecr_governor.app.facts import read_facts, unread
from ecr_governor.app.ports import Inventory, PolicyInForce
from ecr_governor.app.reconcile import end_former, is_another, next_due, take_in
from ecr_governor.app.sighting import sight
from ecr_governor.app.sweep.listing import CREATION
from ecr_governor.app.sweep.plan import CHECKS_AT_ONCE, SweepServices, sweep_from_data
from ecr_governor.core import listed
from ecr_governor.core import standing as standings
from ecr_governor.core import tally as tallies
from ecr_governor.core.origin import AutomaticCreation, News
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.repository import Repository
from ecr_governor.core.standing import Standing, from_record, standing_of
from ecr_governor.core.sweep import Sweep
from ecr_governor.core.tally import Tally

IN_VAIN: Final = 3
"""Repositories in a row that cannot be read even alone: then it is AWS that has trouble, and the step is tried again later."""
RECENT: Final = timedelta(minutes=15)
"""The tagging API follows ECR within seconds, mostly."""
BLOCK: Final = 50
"""Repositories between two checkpoints: what an interrupted step reads twice at most."""


@dataclass
class Checked:
    """How far a shard is. `looks` are repositories where something is to be put right, `vanished` those that were gone when they were read."""

    shard: str
    rows: int = 0
    done: int = 0
    parts: list[str] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def again(self) -> bool:
        """Whether there is more to do."""
        return self.done < self.rows


@dataclass(frozen=True, slots=True)
class _Row:
    """One repository to be checked: as it was listed, how it stood, and what is known of its creation."""

    repository: Repository
    need: str
    former: Standing | None
    news: News


def check(run: str, shard: str, services: SweepServices, now: datetime) -> Checked:
    """Check one shard from where an earlier attempt left off. Raises LeaseLost, PolicyChanged, Throttled, Denied.

    The result says `again` if there was no time to end it.
    """
    begun = services.runs.document(f"sweeps/{run}/sweep")
    if begun is None:
        raise LookupError(f"there is no sweep {run}")
    sweep = sweep_from_data(begun)
    services.renew(sweep, now)
    in_force = services.policy_of(sweep)
    inventory = services.inventory(in_force.policy.limits, _fellows(sweep, services))
    rows = [_row(line, sweep) for line in services.runs.lines(sweep.key("to-check", shard))]
    checked, tally = _progress(sweep, shard, services)
    checked.rows = len(rows)
    left = services.time_left()
    step = _Step(sweep, in_force, services, inventory, sweep.rules.automatic_creation, now)
    while checked.again:
        block = rows[checked.done : checked.done + BLOCK]
        before = Counter(inventory.calls)
        stood = list(step.check(block, checked, tally))
        tally.calls.update(Counter(inventory.calls) - before)
        part = f"{shard}-{len(checked.parts) + 1:03}"
        services.runs.put_lines(sweep.key("checked", part), (standings.to_line(standing) for standing in stood))
        checked.parts.append(part)
        checked.done += len(block)
        left, spent = services.time_left(), left - services.time_left()
        checked.seconds += spent
        services.runs.put_document(sweep.key("progress", shard), {"checked": _as_data(checked), "tally": tallies.as_data(tally)})
        if services.out_of_time():
            break
    return checked


def progress_of(sweep: Sweep, shard: str, services: SweepServices) -> tuple[Checked, Tally] | None:
    """How far a shard came; None if it never began."""
    found = services.runs.document(sweep.key("progress", shard))
    if found is None:
        return None
    return Checked(**found["checked"]), tallies.from_data(found["tally"])


def unchecked(sweep: Sweep, shard: str, done: int, services: SweepServices) -> Iterator[Standing]:
    """How the repositories stood that a shard did not come to: the next sweep finds them as this one did."""
    for number, line in enumerate(services.runs.lines(sweep.key("to-check", shard))):
        if number >= done and (former := _row(line, sweep).former):
            yield former


def _fellows(sweep: Sweep, services: SweepServices) -> int:
    """How many shards are checked at the same time."""
    laid = services.runs.document(sweep.key("laid-out")) or {"shards": []}
    return max(1, min(CHECKS_AT_ONCE, len(laid["shards"])))


def _progress(sweep: Sweep, shard: str, services: SweepServices) -> tuple[Checked, Tally]:
    return progress_of(sweep, shard, services) or (Checked(shard), Tally())


def _as_data(checked: Checked) -> dict[str, Any]:
    return {
        "shard": checked.shard,
        "rows": checked.rows,
        "done": checked.done,
        "parts": checked.parts,
        "looks": checked.looks,
        "vanished": checked.vanished,
        "seconds": round(checked.seconds, 3),
    }


def _row(line: bytes, sweep: Sweep) -> _Row:
    data: Mapping[str, Any] = from_json(line)
    creation = data.get("creation")
    return _Row(
        repository=replace(listed.from_data(data["repository"]), creation_templates=sweep.rules.creation_templates),
        need=data["need"],
        former=Standing(data["former"]) if "former" in data else None,
        news=News(creation=CREATION.validate_python(creation)) if creation else News(),
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """What checking a block takes, the same for all blocks of a step."""

    sweep: Sweep
    in_force: PolicyInForce
    services: SweepServices
    inventory: Inventory
    automatic: AutomaticCreation
    now: datetime

    def check(self, block: Sequence[_Row], checked: Checked, tally: Tally) -> Iterator[Standing]:
        """Read and judge some repositories; those that are gone by now are noted and left out. Raises Throttled."""
        rows = {row.repository.name: row for row in block}
        records = self.services.ledger.records(tuple(rows))
        read = self._read([row.repository for row in block])
        for name, row in rows.items():
            tally.needs[row.need] += 1
            if name not in read:
                checked.vanished.append(name)
                if row.former:
                    tally.gone(row.former)
                continue
            tally.checked += 1
            standing = self._judge(row, read[name], records.get(name), tally)
            if standing.to_be_put_right:
                checked.looks.append(name)
            tally.add(standing, self.in_force.policy.namespace_of(name), row.former)
            yield standing

    def _read(self, listed: Sequence[Repository]) -> dict[str, Repository]:
        """Read them together. Where AWS fails for good, read each alone, so that one of them does not cost the others their verdicts."""
        try:
            return {found.name: found for found in read_facts(self.inventory, listed, self.in_force.policy, self.now)}
        except Throttled:
            found: dict[str, Repository] = {}
            in_vain = 0
            for repository in listed:
                try:
                    found |= {one.name: one for one in read_facts(self.inventory, [repository], self.in_force.policy, self.now)}
                    in_vain = 0
                except Throttled as trouble:
                    in_vain += 1
                    if in_vain == IN_VAIN:
                        raise
                    found[repository.name] = unread(repository, self.in_force.policy, str(trouble))
            return found

    def _judge(self, row: _Row, repository: Repository, record: RepositoryRecord | None, tally: Tally) -> Standing:
        policy, ledger = self.in_force.policy, self.services.ledger
        if record is not None and record.looked_at is not None and record.looked_at >= self.sweep.started_at - RECENT:
            # A look was here after the list was made, or so shortly before that bulk tags may lag behind: it knows better.
            fresher = from_record(record, row.former, record.looked_at)
            if fresher is not None and fresher.created_at == repository.created_at:
                return fresher
        if record is not None and is_another(repository, record):
            end_former(record, policy, ledger, self.now)
            record = ledger.read(repository.name)
        seen = sight(repository, record, row.news, ledger, lambda: self.automatic, policy, self.now)
        before = seen.before if record is not None else None
        standing = standing_of(seen.repository, seen.evaluation, policy, self.now, next_due(seen, policy, self.now), before)
        self._hear(row, record, standing, tally)
        # Whoever is quicker is a look, which saw at least as much.
        with suppress(Contended):
            take_in(record, seen, self.sweep.run, ledger, self.in_force, self.now)
        return standing

    def _hear(self, row: _Row, record: RepositoryRecord | None, standing: Standing, tally: Tally) -> None:
        """Tell a change that an event announced from one that none did: by whether a look had seen it before the sweep."""
        if row.former is None or row.former.created_at != standing.created_at:
            return
        known = record if record is not None and record.created_at == standing.created_at else None
        others = known is not None and known.swept_by not in {"", self.sweep.run}
        if known is not None and others and (known.listed, known.read) != (row.former.listed, row.former.read):
            # A sweep that did not come to its end has written here: nobody can say any more what a look had seen.
            return
        # What this sweep wrote itself, in an attempt that was interrupted, is no sign of an event.
        by_look = known if known is not None and known.swept_by != self.sweep.run else None
        # Under another policy, or other rules of the registry, other facts were read.
        same_facts = row.former.judged_by == standing.judged_by and self.sweep.same_registry
        parts = (
            ("settings or tags", standing.listed, row.former.listed, by_look.listed if by_look else ""),
            ("policies or scanning", standing.read, row.former.read if same_facts else "", by_look.read if by_look else ""),
        )
        changed = [(what, now_is == seen) for what, now_is, was, seen in parts if now_is and was and now_is != was]
        if changed:
            what = " and ".join(what for what, seen in changed if not seen)
            tally.meter.hear(announced=not what, name=standing.name, what=f"{what} changed")
