"""Deliberately bad variants of the system: each must be caught by the invariant that it breaks, or the invariants watch nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ecr_governor.app import notify, reconcile, sighting
from ecr_governor.core.evaluate import Evaluation
from ecr_governor.core.finding import follow
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.verdict import Compliant, Undetermined, Violation
from tests.fakes import InMemoryLedger
from tests.simulation.baton import Baton
from tests.simulation.invariants import check_history
from tests.simulation.world import SimLedger, World

SEEDS = range(100)


def _writes_over_whatever_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    careful = InMemoryLedger.write

    def careless(self: SimLedger, record: RepositoryRecord, entry: Any = None) -> RepositoryRecord:
        stored = self.records_by_name.get(record.name)
        return careful(self, replace(record, version=stored.version if stored else 0), entry)

    monkeypatch.setattr(InMemoryLedger, "write", careless)


def _acts_without_intent(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(found: Any, services: Any, now: Any) -> Any:
        return found.before, tuple(services.registry.apply(found.repository, remedy) for remedy in found.evaluation.remedies)

    monkeypatch.setattr(reconcile, "_put_right", at_once)


def _fights_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RepositoryRecord, "budget_left", lambda self, operation, now: True)


def _puts_right_in_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    def every_remedy(self: Evaluation) -> tuple[Any, ...]:
        violations = [judgement.verdict for judgement in self.judgements if isinstance(judgement.verdict, Violation)]
        return tuple(remedy for violation in violations for remedy in violation.remedies)

    monkeypatch.setattr(Evaluation, "remedies", property(every_remedy))


def _takes_not_knowing_for_compliance(monkeypatch: pytest.MonkeyPatch) -> None:
    def trusting(findings: Any, evaluation: Evaluation, now: Any) -> Any:
        judgements = [
            replace(judgement, verdict=Compliant()) if isinstance(judgement.verdict, Undetermined) else judgement
            for judgement in evaluation.judgements
        ]
        return follow(findings, replace(evaluation, judgements=tuple(judgements)), now)

    monkeypatch.setattr(reconcile, "follow", trusting)
    monkeypatch.setattr(sighting, "follow", trusting)


def _forgets_what_an_interrupted_look_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "_recovered", lambda before, found: ())


def _keeps_findings_of_what_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "close_all", lambda findings, why, now: tuple(findings))


def _opens_findings_anew_at_each_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "_was_open", lambda finding, earlier: False)


def _tells_what_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "_untold", lambda entries, channel, ledger: list(entries))


MUTANTS: dict[str, list[Callable[[pytest.MonkeyPatch], None]]] = {
    "chain": [_writes_over_whatever_is_there],
    "intent": [_acts_without_intent],
    "budget": [_fights_for_ever],
    "permitted": [_puts_right_in_audit],
    "seen": [_takes_not_knowing_for_compliance],
    "outcome": [_forgets_what_an_interrupted_look_did],
    "present": [_keeps_findings_of_what_is_gone],
    "news": [_opens_findings_anew_at_each_look],
    "told": [_tells_what_was_told],
}


@pytest.mark.parametrize(("invariant", "mutate"), [(invariant, mutate) for invariant, mutants in MUTANTS.items() for mutate in mutants])
def test_a_bad_variant_is_caught(invariant: str, mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    for seed in SEEDS:
        world = World(seed).run(Baton)
        if invariant in {breach.invariant for breach in check_history(world.ledger, world)}:
            return
    pytest.fail(f"{SEEDS.stop} schedules, and none breaks the invariant {invariant!r}")
