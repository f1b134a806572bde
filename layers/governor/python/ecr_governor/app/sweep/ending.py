"""The last steps: decide over the whole sweep, then report. Both may be repeated without harm."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ecr_governor.app.sweep.checking import progress_of, unchecked
from ecr_governor.app.sweep.plan import SweepServices, sweep_from_data
from ecr_governor.app.sweep.ports import Looks
from ecr_governor.core import standing as standings
from ecr_governor.core import tally as tallies
from ecr_governor.core.sweep import Decision, EndedSweep, Sweep, decide, summary_as_data
from ecr_governor.core.tally import Tally

ENTRY_LIST: Final = 20
"""Items that the ledger's entry keeps of a list or a count; all of them are in the summary."""
REASONS: Final = 20


@dataclass(frozen=True, slots=True)
class Gathered:
    """The shards of a sweep together. `unfinished` are those that were not checked to their end, with how far they came."""

    tally: Tally
    looks: tuple[str, ...]
    vanished: tuple[str, ...]
    parts: tuple[str, ...]
    kept: tuple[str, ...]
    unfinished: tuple[tuple[str, int, int], ...]
    seconds: float
    trouble: tuple[str, ...]


def decide_over(run: str, services: SweepServices, looks: Looks, now: datetime) -> dict[str, Any]:
    """Ask for looks at what is to be put right, within the policy's cap, and at what has vanished. Raises LeaseLost."""
    sweep = _sweep(run, services)
    services.renew(sweep, now)
    limits = services.policy_of(sweep).policy.limits
    gathered = gather(sweep, services)
    decision = decide(gathered.looks, gathered.vanished, limits)
    document = {"looks": list(decision.looks), "vanished": list(decision.vanished), "withheld": decision.withheld}
    services.runs.put_document(sweep.key("decision"), document)
    # Asked for twice, a look finds nothing to do.
    looks.ask((*decision.looks, *decision.vanished), now)
    return {"run": run, "looks": len(decision.looks), "vanished": len(decision.vanished), "withheld": decision.withheld}


def report(run: str, services: SweepServices, now: datetime, trouble: str = "") -> dict[str, Any]:
    """Write the sweep's report, which is the next one's inventory, and give the lease back. Raises LeaseLost.

    `trouble` is why the sweep did not come to its end; what it found until then is reported as incomplete.
    """
    sweep = _sweep(run, services)
    ended = services.book.last_sweep()
    if ended is not None and ended.run == run and (known := services.runs.document(sweep.key("summary"))):
        # It was reported, and only the answer was lost.
        return known
    services.renew(sweep, now)
    gathered = gather(sweep, services)
    decided = services.runs.document(sweep.key("decision")) or {"looks": [], "vanished": [], "withheld": "nothing was decided"}
    decision = Decision(tuple(decided["looks"]), tuple(decided["vanished"]), decided["withheld"])
    why = _incomplete_because(sweep, gathered, trouble)
    left_over = sweep.key("left-over")
    unfinished = [standings.to_line(stood) for stood in _unfinished(sweep, gathered, services)]
    left = len(unfinished)
    services.runs.put_lines(left_over, unfinished)
    inventory = sweep.key("repositories")
    services.runs.join([*gathered.kept, *gathered.parts, left_over], inventory)
    summary = summary_as_data(sweep, gathered.tally, decision, why, gathered.seconds, now)
    services.runs.put_document(sweep.key("summary"), summary)
    ended = EndedSweep(
        run=run,
        started_at=sweep.started_at,
        ended_at=now,
        inventory=inventory,
        complete=not why,
        registry=sweep.rules.fingerprint,
        finished=not gathered.unfinished and not trouble,
        repositories=gathered.tally.repositories + left,
    )
    services.book.end_sweep(sweep.lease, ended, entry_of(summary))
    return summary


def abandon(execution: str, services: SweepServices, now: datetime) -> None:
    """Give back the lease of a sweep that failed before it had anything to report."""
    lease = services.book.take_lease(execution, "", now, now)
    services.book.give_back(lease)


def gather(sweep: Sweep, services: SweepServices) -> Gathered:
    """Add up what the steps have left."""
    laid = services.runs.document(sweep.key("laid-out")) or {"shards": [], "kept": [], "vanished": [], "wanting": [], "trouble": []}
    listed = services.runs.document(sweep.key("tallies", "listed"))
    creations = services.runs.document(sweep.key("creations", "progress")) or {}
    tally = tallies.from_data(listed) if listed else Tally()
    looks: list[str] = list(laid["wanting"])
    vanished: list[str] = list(laid["vanished"])
    parts: list[str] = []
    unfinished: list[tuple[str, int, int]] = []
    seconds = 0.0
    for shard in laid["shards"]:
        found = progress_of(sweep, shard, services)
        if found is None:
            unfinished.append((shard, 0, -1))
            continue
        checked, part = found
        tally.merge(part)
        looks += checked.looks
        vanished += checked.vanished
        parts += (sweep.key("checked", name) for name in checked.parts)
        seconds += checked.seconds
        if checked.again:
            unfinished.append((shard, checked.done, checked.rows))
    return Gathered(
        tally=tally,
        looks=tuple(looks),
        vanished=tuple(vanished),
        parts=tuple(parts),
        kept=tuple(sweep.key("kept", name) for name in laid["kept"]),
        unfinished=tuple(unfinished),
        seconds=seconds,
        trouble=(*laid["trouble"], *([creations["denied"]] if "denied" in creations else ())),
    )


def entry_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Give a summary as the body of a ledger entry: long lists and counts are cut to their first or greatest items."""
    return {key: _cut(value) for key, value in summary.items()}


def _cut(value: Any) -> Any:
    if isinstance(value, list):
        return value[:ENTRY_LIST]
    if isinstance(value, dict) and len(value) > ENTRY_LIST:
        greatest = sorted(value.items(), key=lambda item: (-item[1], item[0]))[:ENTRY_LIST]
        return dict(greatest)
    return value


def _sweep(run: str, services: SweepServices) -> Sweep:
    begun = services.runs.document(f"sweeps/{run}/sweep")
    if begun is None:
        raise LookupError(f"there is no sweep {run}")
    return sweep_from_data(begun)


def _incomplete_because(sweep: Sweep, gathered: Gathered, trouble: str) -> list[str]:
    why = [trouble] if trouble else []
    for shard, done, rows in gathered.unfinished:
        how_far = f"{done} of {rows} repositories were checked" if rows >= 0 else "no repository of it was checked"
        why.append(f"shard {shard} was not finished: {how_far}")
    why += sweep.rules.unreadable
    why += gathered.trouble
    why += list(gathered.tally.undetermined)
    return why[:REASONS]


def _unfinished(sweep: Sweep, gathered: Gathered, services: SweepServices) -> Iterator[standings.Standing]:
    for shard, done, _ in gathered.unfinished:
        yield from unchecked(sweep, shard, done, services)
