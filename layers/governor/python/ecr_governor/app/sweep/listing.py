"""The first step: take the lease, fix what the sweep goes by, list every repository, and lay out what must be read."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from pydantic import TypeAdapter

from ecr_governor.app.errors import Denied
from ecr_governor.app.sweep.plan import LEASE, SweepServices, sweep_as_data, sweep_from_data
from ecr_governor.app.sweep.ports import Shelf
from ecr_governor.core import listed
from ecr_governor.core import standing as standings
from ecr_governor.core import tally as tallies
from ecr_governor.core.origin import Creation
from ecr_governor.core.policy.model import Mode, Policy, weaker
from ecr_governor.core.repository import Repository, Unreadable
from ecr_governor.core.selection import Terms, need
from ecr_governor.core.standing import Standing, from_record, judgement_basis
from ecr_governor.core.sweep import Sweep
from ecr_governor.core.tally import Tally

SHARD: Final = 250
"""Repositories of one shard: at 20 calls a second an invocation of minutes, and 400 shards for 100,000 repositories."""
KEPT_FILE: Final = 5_000
"""Lines of one file of what is kept."""
RECORDS: Final = 100
HISTORY: Final = timedelta(days=90)
"""How far CloudTrail's event history goes back."""
OVERLAP: Final = timedelta(hours=1)
"""What a look changed so shortly before the last sweep may have been missing in its index."""
UNCERTAIN: Final = timedelta(minutes=15)
"""CloudTrail mostly delivers within this time: what is younger may still be announced."""
CREATION = TypeAdapter(Creation)


@dataclass(frozen=True, slots=True)
class Laid:
    """What the step came to: the sweep's run and the shards to be checked. `again`: it was not finished and must be called again."""

    run: str
    shards: tuple[str, ...] = ()
    repositories: int = 0
    again: bool = False


@dataclass
class _Layout:
    """The files of the step, while it fills them, and by which terms it does."""

    terms: Terms
    # None where the former inventory does not tell what has changed.
    since: datetime | None = None
    wanting: list[str] = field(default_factory=list)
    trouble: dict[str, None] = field(default_factory=dict)
    shards: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    to_check: list[bytes] = field(default_factory=list)
    to_keep: list[bytes] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    listed: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """What whoever began the sweep asks of it.

    `everything`: all repositories are read, whatever is known of them. `share`: whether today's share is read in full. `announced` are
    repositories that events told of and that no look has read since.
    """

    everything: bool = False
    share: bool = True
    announced: frozenset[str] = frozenset()


def lay_out(execution: str, account: str, region: str, services: SweepServices, now: datetime, wish: Wish | None = None) -> Laid:
    """Begin a sweep, or go on with it where an interrupted step left off.

    Raises SweepRunning if another one is under way; Throttled and Denied where not even a list of repositories is to be had.
    """
    wish = wish or Wish()
    sweep = _begin(execution, account, region, services, now, everything=wish.everything)
    if laid := services.runs.document(sweep.key("laid-out")):
        return Laid(sweep.run, tuple(laid["shards"]), laid["repositories"])
    if not _creations_known(sweep, services):
        return Laid(sweep.run, again=True)
    terms = Terms(judgement_basis(sweep.policy_hash, sweep.mode), sweep.started_at, sweep.everything, wish.share, wish.announced)
    layout = _Layout(terms)
    policy = services.policy_of(sweep).policy
    former, known, creations = _former(sweep, services, layout), services.shelf(), _creations(sweep, services)
    _looked_at(sweep, services, former, known)
    inventory = services.inventory(policy.limits, 1)
    made = Counter(inventory.calls)
    for page in inventory.pages():
        for repository, tags in zip(page, inventory.tags_of(page), strict=True):
            _place(repository, tags, sweep, policy, former, known, creations, layout)
        _flush(sweep, services, layout)
    _flush(sweep, services, layout, whole=True)
    vanished = _vanished(former, known, layout)
    layout.tally.calls.update(Counter(inventory.calls) - made)
    progress = services.runs.document(sweep.key("creations", "progress")) or {}
    layout.tally.calls["cloudtrail:LookupEvents"] += progress.get("pages", 0)
    services.runs.put_document(sweep.key("tallies", "listed"), tallies.as_data(layout.tally))
    done = {
        "shards": layout.shards,
        "kept": layout.kept,
        "vanished": vanished,
        "wanting": layout.wanting,
        "repositories": layout.listed,
        "trouble": list(layout.trouble),
    }
    services.runs.put_document(sweep.key("laid-out"), done)
    return Laid(sweep.run, tuple(layout.shards), layout.listed)


def _begin(execution: str, account: str, region: str, services: SweepServices, now: datetime, *, everything: bool) -> Sweep:
    run = f"{now:%Y-%m-%dT%H-%M-%SZ}-{hashlib.sha256(execution.encode()).hexdigest()[:8]}"
    lease = services.book.take_lease(execution, run, now, now + LEASE)
    if begun := services.runs.document(f"sweeps/{lease.run}/sweep"):
        return replace(sweep_from_data(begun), lease=lease)
    in_force, former, rules = services.policies.current(now), services.book.last_sweep(), services.registry.rules()
    sweep = Sweep(
        lease=lease,
        account=account,
        region=region,
        started_at=now,
        # What concerns all repositories, such as a scanning rule, may have changed the verdict on any of them.
        everything=everything or former is None or former.registry != rules.fingerprint,
        # Until one sweep has seen every repository, nobody has had a report to object to.
        first=former is None or not former.finished,
        policy_version=in_force.version,
        policy_hash=in_force.policy.hash,
        mode=in_force.policy.mode if former and former.finished else weaker(in_force.policy.mode, Mode.AUDIT),
        problem=in_force.problem,
        former=former,
        rules=rules,
    )
    services.runs.put_document(sweep.key("sweep"), sweep_as_data(sweep))
    return sweep


def _creations_known(sweep: Sweep, services: SweepServices) -> bool:
    """Read who created repositories since the last sweep, the first time for 90 days; False if there was no time to end it.

    What was read is kept page by page, so that the next call goes on from the oldest.
    """
    progress = services.runs.document(sweep.key("creations", "progress")) or {
        "pages": 0,
        "until": sweep.started_at.isoformat(),
        "done": False,
    }
    since = max(sweep.started_at - HISTORY, sweep.former.started_at - OVERLAP if sweep.former else sweep.started_at - HISTORY)
    if progress["done"]:
        return True
    try:
        for page in services.history.creations(since, datetime.fromisoformat(progress["until"])):
            lines = [json.dumps([name, CREATION.dump_python(creation, mode="json")]).encode() for name, creation in page]
            services.runs.put_lines(sweep.key("creations", f"{progress['pages']:05}"), lines)
            oldest = min((creation.at for _, creation in page), default=None)
            got_on = oldest is not None and oldest < datetime.fromisoformat(progress["until"])
            until = oldest.isoformat() if oldest else progress["until"]
            progress = {**progress, "pages": progress["pages"] + 1, "until": until}
            services.runs.put_document(sweep.key("creations", "progress"), progress)
            # A page that gets no farther is the last one, or one of many creations within the same second.
            if got_on and services.out_of_time():
                return False
    except Denied as denied:
        progress = {**progress, "denied": str(denied)}
    services.runs.put_document(sweep.key("creations", "progress"), {**progress, "done": True})
    return True


def _creations(sweep: Sweep, services: SweepServices) -> Shelf:
    """Who created which repository; of a name that was created several times the newest counts."""
    shelf = services.shelf()
    progress = services.runs.document(sweep.key("creations", "progress")) or {"pages": 0}
    for page in reversed(range(progress["pages"])):
        for line in reversed(list(services.runs.lines(sweep.key("creations", f"{page:05}")))):
            shelf.put(json.loads(line)[0], line)
    return shelf


def _former(sweep: Sweep, services: SweepServices, layout: _Layout) -> Shelf:
    """The inventory of the last sweep. Where it is not to be had whole, everything is read, and nobody can say what has changed."""
    shelf = services.shelf()
    if sweep.former is None:
        return shelf
    lines = 0
    try:
        for line in services.runs.lines(sweep.former.inventory):
            shelf.put(standings.name_in(line), line)
            lines += 1
    except (ValueError, EOFError, OSError) as damage:
        layout.trouble[f"the inventory of the sweep {sweep.former.run} is damaged: {damage}"] = None
    if lines < sweep.former.repositories:
        layout.trouble[f"the inventory of the sweep {sweep.former.run} has {lines} of {sweep.former.repositories} repositories"] = None
        layout.terms = replace(layout.terms, everything=True)
    else:
        layout.since = sweep.former.started_at
    return shelf


def _stood(line: bytes | None) -> Standing | None:
    """How a repository stood; None where its line does not tell."""
    try:
        return standings.from_line(line) if line else None
    except ValueError:
        return None


def _looked_at(sweep: Sweep, services: SweepServices, former: Shelf, known: Shelf) -> None:
    """Put on the shelf what looks have learned since the last sweep: of these repositories nothing has to be read again."""
    since = sweep.former.started_at - OVERLAP if sweep.former else sweep.started_at - HISTORY
    touched = services.ledger.touched(since)
    while batch := dict(islice(touched, RECORDS)):
        for name, record in services.ledger.records(tuple(batch)).items():
            fresh = from_record(record, _stood(former.read(name)), batch[name])
            known.put(name, standings.to_line(fresh) if fresh else b"")


def _place(
    repository: Repository,
    tags: Mapping[str, str] | Unreadable,
    sweep: Sweep,
    policy: Policy,
    former: Shelf,
    known: Shelf,
    creations: Shelf,
    layout: _Layout,
) -> None:
    """Put one repository where it belongs: among what must be read, or among what is kept."""
    name = repository.name
    before, since = former.take(name), known.take(name)
    layout.listed += 1
    was = _stood(before)
    stands = _stood(since) if since else was if since is None else None
    why = need(repository, tags, stands, layout.terms)
    if isinstance(tags, Unreadable):
        layout.trouble[tags.why] = None
    _hear_creation(repository, was, sweep, layout, announced=bool(since))
    if why is None and stands is not None:
        layout.to_keep.append(standings.to_line(stands) if since else before or b"")
        layout.tally.add(stands, policy.namespace_of(name), was)
        if stands.to_be_put_right:
            layout.wanting.append(name)
        if layout.since and was and stands is not was and (stands.listed, stands.read) != (was.listed, was.read):
            layout.tally.meter.hear(announced=True, name=name, what="changed")
        return
    row: dict[str, Any] = {"repository": listed.as_data(replace(repository, tags=tags)), "need": str(why), "looked_at": since is not None}
    if was is not None:
        row["former"] = was.data
    if creation := creations.take(name):
        row["creation"] = json.loads(creation)[1]
    layout.to_check.append(json.dumps(row, separators=(",", ":")).encode())


def _hear_creation(repository: Repository, was: Standing | None, sweep: Sweep, layout: _Layout, *, announced: bool) -> None:
    """Count a repository that was created since the last sweep, unless its event may still be under way."""
    if layout.since is None or (was is not None and was.created_at == repository.created_at):
        return
    if layout.since - UNCERTAIN <= repository.created_at < sweep.started_at - UNCERTAIN:
        layout.tally.meter.hear(announced=announced, name=repository.name, what="created")


def _flush(sweep: Sweep, services: SweepServices, layout: _Layout, *, whole: bool = False) -> None:
    """Write full files; at the end those that are not full as well."""
    for lines, size, names, folder in (
        (layout.to_check, SHARD, layout.shards, "to-check"),
        (layout.to_keep, KEPT_FILE, layout.kept, "kept"),
    ):
        for part in _full(lines, size, whole=whole):
            name = f"{len(names) + 1:04}"
            services.runs.put_lines(sweep.key(folder, name), part)
            names.append(name)


def _full(lines: list[bytes], size: int, *, whole: bool) -> Iterator[Sequence[bytes]]:
    while len(lines) >= size or (whole and lines):
        yield lines[:size]
        del lines[:size]


def _vanished(former: Shelf, known: Shelf, layout: _Layout) -> list[str]:
    """Name the repositories that were there and are not listed any more; of those that an event announced, nothing is left to do."""
    missing: list[str] = []
    since = dict.fromkeys((name for name, line in known.rest() if line), False) | dict.fromkeys(
        (name for name, line in known.rest() if not line), True
    )
    for name, line in former.rest():
        announced = since.pop(name, False)
        if was := _stood(line):
            layout.tally.gone(was)
        if layout.since:
            layout.tally.meter.hear(announced=announced, name=name, what="deleted")
        if not announced:
            missing.append(name)
    # Created and deleted since the last sweep.
    missing += (name for name, announced in since.items() if not announced)
    return missing
