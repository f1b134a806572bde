"""What must be true of every history, whatever was thrown at it. It decides for itself what was allowed and asks no use case."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from ecr_governor.app.notify import BUS, CHAT
from ecr_governor.app.ports import PolicyInForce
from ecr_governor.app.sighting import CLOCK_TOLERANCE
from ecr_governor.core.announcement import Told, bus_events
from ecr_governor.core.evaluate import evaluate
from ecr_governor.core.origin import Provenance
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.record import GENESIS, WRITE_ROUNDS_PER_HOUR, Entry, entry_hash
from ecr_governor.core.remedy import Remedy, describe, operation_of
from ecr_governor.core.repository import Repository
from ecr_governor.core.verdict import Compliant, Undetermined, Violation
from tests.fakes import ACCOUNT, REGION

if TYPE_CHECKING:
    from ecr_governor.core.evaluate import Judgement
    from ecr_governor.core.record import RepositoryRecord
    from tests.simulation.world import SimLedger, World

_evaluate = evaluate


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that did not hold, where and how."""

    invariant: str
    repository: str
    how: str


def check_history(ledger: "SimLedger", world: "World") -> list[Breach]:
    """Everything that is wrong with a history; nothing is wrong with a good one."""
    return [
        *_chain(ledger),
        *_intents_have_ends(ledger, world),
        *_writes_are_announced_and_permitted(world),
        *_rounds_are_few(world),
        *_records_say_what_was_seen(world),
        *_findings_open_and_close_in_turn(ledger, world),
        *_every_repository_is_discovered_once(ledger, world),
        *_the_present_is_known(ledger, world),
        *_everything_is_told_once(ledger, world),
        *_rest(world),
    ]


def _by_repository(ledger: "SimLedger") -> Iterator[tuple[str, list[Entry]]]:
    for name, entries in groupby(sorted(ledger.all_entries, key=lambda entry: entry.repository), key=lambda entry: entry.repository):
        yield name, list(entries)


def _chain(ledger: "SimLedger") -> Iterator[Breach]:
    for name, entries in _by_repository(ledger):
        previous = GENESIS
        for number, entry in enumerate(entries, start=1):
            digest = entry_hash(entry.repository, entry.number, entry.kind, entry.body, entry.previous)
            if (entry.number, entry.previous, entry.hash) != (number, previous, digest):
                yield Breach("chain", name, f"entry {entry.number} does not follow entry {number - 1}")
            previous = entry.hash
        record = ledger.records_by_name[name]
        if (record.entries, record.head) != (len(entries), previous):
            yield Breach("chain", name, "the record's head is not the newest entry")


def _records_with_entries(world: "World") -> dict[tuple[str, int], "RepositoryRecord"]:
    """Each entry's record as it was written with it."""
    return {(step.repository, step.what[1].number): step.what[0] for step in world.log if step.kind == "record" and step.what[1]}


def _intents_have_ends(ledger: "SimLedger", world: "World") -> Iterator[Breach]:
    """Each remedy of an intent ends as an outcome or as recovered; the end of the repository ends them all."""
    written = _records_with_entries(world)
    for name, entries in _by_repository(ledger):
        pending: set[str] = set()
        created_at = None
        for entry in entries:
            record = written[name, entry.number]
            if record.created_at != created_at:
                if pending:
                    yield Breach("outcome", name, f"entry {entry.number} starts anew over the open intents {sorted(pending)}")
                pending, created_at = set(), record.created_at
            if entry.kind == "intent":
                pending |= set(record.pending)
                continue
            for outcome in entry.body["outcomes"]:
                if outcome["status"] == "applied" and outcome["words"] not in pending:
                    yield Breach("outcome", name, f"entry {entry.number} has an outcome that nobody intended: {outcome['words']}")
                pending.discard(outcome["words"])
            pending -= set(entry.body["recovered"])
            if entry.body["gone"]:
                pending = set()
        if pending:
            yield Breach("outcome", name, f"intended, and nobody knows what became of it: {sorted(pending)}")
        if ledger.records_by_name[name].pending:
            yield Breach("outcome", name, "the record still has pending remedies")


def _violations(judgements: Iterable["Judgement"]) -> Iterator["tuple[Judgement, Violation]"]:
    for judgement in judgements:
        if isinstance(judgement.verdict, Violation) and judgement.exemption is None:
            yield judgement, judgement.verdict


def _permitted(seen: Repository, provenances: Iterable[Provenance], in_force: PolicyInForce, at: datetime) -> list[Remedy]:
    if in_force.problem:
        return []
    return [
        remedy
        for provenance in provenances
        for judgement, violation in _violations(_evaluate(replace(seen, provenance=provenance), in_force.policy, at).judgements)
        if in_force.policy.mode is Mode.ENFORCE
        and in_force.policy.mode_of(judgement.rule, in_force.policy.namespace_of(seen.name)) is Mode.ENFORCE
        for remedy in violation.remedies
    ]


def _writes_are_announced_and_permitted(world: "World") -> Iterator[Breach]:
    policies: dict[tuple[str, int], PolicyInForce] = {}
    reads: dict[tuple[str, int], Repository | None] = {}
    intents: dict[tuple[str, int], tuple[str, ...]] = {}
    for step in world.log:
        look = (step.actor, step.look)
        match step.kind:
            case "look":
                policies[look] = step.what
            case "read":
                reads[look] = step.what
            case "record" if step.what[1] and step.what[1].kind == "intent":
                intents[look] = step.what[0].pending
            case "write":
                repository, remedy = step.what
                if describe(remedy) not in intents.get(look, ()):
                    yield Breach("intent", step.repository, f"{step.actor} wrote without an intent: {describe(remedy)}")
                seen = reads[look]
                if seen is None or remedy not in _permitted(seen, (repository.provenance,), policies[look], step.at):
                    yield Breach("permitted", step.repository, f"{step.actor} wrote what the policy does not permit: {describe(remedy)}")


def _rounds_are_few(world: "World") -> Iterator[Breach]:
    rounds: dict[tuple[str, datetime, str], dict[tuple[str, int], datetime]] = {}
    for step in world.log:
        if step.kind == "write":
            setting = (step.repository, step.what[0].created_at, operation_of(step.what[1]))
            rounds.setdefault(setting, {})[step.actor, step.look] = step.at
    for (name, _, _), looks in rounds.items():
        times = sorted(looks.values())
        for first, last in zip(times, times[WRITE_ROUNDS_PER_HOUR:], strict=False):
            if last - first < timedelta(hours=1):
                yield Breach("budget", name, f"put right more than {WRITE_ROUNDS_PER_HOUR} times between {first} and {last}")
                break


def _records_say_what_was_seen(world: "World") -> Iterator[Breach]:
    """A finding opens because a look saw the violation, and closes because one saw that it was mended; not knowing does neither."""
    policies: dict[tuple[str, int], PolicyInForce] = {}
    reads: dict[tuple[str, int], list[Repository | None]] = {}
    known: dict[str, RepositoryRecord] = {}
    for step in world.log:
        look = (step.actor, step.look)
        match step.kind:
            case "look":
                policies[look] = step.what
            case "read":
                reads.setdefault(look, []).append(step.what)
            case "record":
                record, entry = step.what
                before = known.get(step.repository)
                known[step.repository] = record
                same = before and before.gone_at is None and before.created_at == record.created_at
                was = {finding.rule for finding in before.open_findings()} if before and same else set()
                intent = entry is not None and entry.kind == "intent"
                seen = [] if intent else reads.get(look, [])
                if record.gone_at is not None:
                    # A repository that was created again is another one.
                    seen = [None if each is None or each.created_at != record.created_at else each for each in seen]
                expected = _expected(was, seen, record.provenance, policies[look], step.at)
                actual = {finding.rule for finding in record.open_findings()}
                if actual != expected:
                    yield Breach(
                        "seen", step.repository, f"version {record.version} has {sorted(actual)} open, seen were {sorted(expected)}"
                    )


def _expected(was: set[str], seen: Iterable[Repository | None], provenance: Provenance, in_force: PolicyInForce, at: datetime) -> set[str]:
    is_open = set(was)
    for repository in seen:
        if repository is None:
            is_open = set()
            continue
        judgements = _evaluate(replace(repository, provenance=provenance), in_force.policy, at).judgements
        is_open &= {judgement.rule for judgement in judgements}
        for judgement in judgements:
            match judgement.verdict:
                case Compliant():
                    is_open.discard(judgement.rule)
                case Violation():
                    is_open.add(judgement.rule)
                case Undetermined():
                    pass
    return is_open


def _findings_open_and_close_in_turn(ledger: "SimLedger", world: "World") -> Iterator[Breach]:
    """What the ledger's stream says: nothing opens twice, nothing closes that was not open, and nothing stays open unsaid."""
    written = _records_with_entries(world)
    for name, entries in _by_repository(ledger):
        is_open: set[str] = set()
        created_at = None
        for entry in entries:
            if (now_created_at := written[name, entry.number].created_at) != created_at:
                if is_open:
                    yield Breach("news", name, f"entry {entry.number} starts anew and never says that {sorted(is_open)} are closed")
                is_open, created_at = set(), now_created_at
            if entry.kind == "intent":
                continue
            opened, resolved = ({finding["rule"] for finding in entry.body[key]} for key in ("opened", "resolved"))
            if twice := opened & is_open:
                yield Breach("news", name, f"entry {entry.number} opens {sorted(twice)} again")
            if unknown := resolved - is_open - opened:
                yield Breach("news", name, f"entry {entry.number} resolves {sorted(unknown)}, which were not open")
            is_open = (is_open | opened) - resolved
        if is_open != (present := {finding.rule for finding in ledger.records_by_name[name].open_findings()}):
            yield Breach("news", name, f"the entries leave {sorted(is_open)} open, the record {sorted(present)}")


def _every_repository_is_discovered_once(ledger: "SimLedger", world: "World") -> Iterator[Breach]:
    known = {
        (step.repository, step.what[0].created_at)
        for step in world.log
        if step.kind == "record" and step.what[1] and step.what[1].kind != "intent" and not step.what[1].body["gone"]
    }
    discovered = Counter(entry.repository for entry in ledger.all_entries if entry.kind == "change" and entry.body["discovered"])
    for name, incarnations in Counter(name for name, _ in known).items():
        if discovered[name] != incarnations:
            yield Breach("discovery", name, f"was created {incarnations} times and discovered {discovered[name]} times")


def _the_present_is_known(ledger: "SimLedger", world: "World") -> Iterator[Breach]:
    in_force = PolicyInForce(world.policies.current(world.clock).policy, "good")
    for name, record in ledger.records_by_name.items():
        if name not in world.registry.repositories and (record.gone_at is None or record.open_findings()):
            yield Breach("present", name, "is gone, and the ledger does not know it or keeps findings open")
    for name, repository in world.registry.repositories.items():
        known = ledger.records_by_name.get(name)
        if known is None or known.gone_at is not None or known.created_at != repository.created_at:
            yield Breach("present", name, "is there, and the ledger does not know it")
            continue
        present = replace(repository, provenance=known.provenance, creation_templates=world.registry.templates or ())
        expected = {judgement.rule for judgement, _ in _violations(_evaluate(present, in_force.policy, world.clock).judgements)}
        actual = {finding.rule for finding in known.open_findings()}
        if actual != expected or known.undetermined:
            yield Breach(
                "present", name, f"{sorted(expected)} are violated, {sorted(actual)} are open, undetermined are {known.undetermined}"
            )
        if left := _permitted(present, (known.provenance,), in_force, world.clock):
            yield Breach("present", name, f"nothing hinders, and these were not put right: {[describe(remedy) for remedy in left]}")
        pushed = any(push.at >= repository.created_at for message in world.emitted if message.name == name for push in message.news.pushes)
        if pushed and known.provenance.pusher is None:
            yield Breach("present", name, "somebody pushed to it, and nobody is known to have done so")
        if known.provenance.first_push and known.provenance.first_push.at < repository.created_at - CLOCK_TOLERANCE:
            yield Breach("present", name, "a push to a repository of the same name before it is taken for its own")


def _everything_is_told_once(ledger: "SimLedger", world: "World") -> Iterator[Breach]:
    on_the_bus = Counter((detail["repository"], detail["ledger_entry"], kind) for kind, detail in world.bus.events)
    due: Counter[tuple[str, int, str]] = Counter()
    for entry in ledger.all_entries:
        if entry.kind != "change":
            continue
        told = Told(entry.repository, entry.number, entry.kind, entry.body)
        due.update((entry.repository, entry.number, kind) for kind, _ in bus_events(told, ACCOUNT, REGION))
        for channel in (BUS, CHAT):
            if (times := ledger.marks[entry.repository, entry.number, channel]) != 1:
                yield Breach("told", entry.repository, f"{channel} was told {times} times of entry {entry.number}")
    if on_the_bus != due:
        yield Breach("told", "", f"events on the bus that should not be, {on_the_bus - due}, or should, {due - on_the_bus}")


def _rest(world: "World") -> Iterator[Breach]:
    world.again()  # what was heard only once may tell something the second time, but not the third
    entries, writes = world.again()
    if entries or writes:
        yield Breach("rest", "", f"delivering everything again made {entries} entries and {writes} writes")
