"""Which repositories a run looks at, and what is known of them beyond what ECR tells."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ecr_governor.app.retirement.cases import Services, case_of, hear
from ecr_governor.app.retirement.runs import PLAN, RunServices, retire
from ecr_governor.core.origin import Origin, Provenance, Push, Signal
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.retirement.decide import Case, Kind
from ecr_governor.core.sweep import EndedSweep
from tests.fakes import ACCOUNT, REGION, T0, FixedPolicy, InMemoryLedger, a_policy
from tests.retiring import CI, DAY, TERMS, MemoryRegistry, MemoryRunBook, MemoryTombstones, MemoryWitnesses, an_image, watched
from tests.sweeping import MemoryBook, MemoryRunStore

NAME, WRONG = "payments/api", "Payments_api"
PUSH = Push("event", T0, CI, "v1", "sha256:" + "1" * 64)
HOUR = timedelta(hours=1)


def the_policy(extra: str = "", terms: str = "misnamed_after_days: 9, ") -> Policy:
    text = TERMS.replace("retirement: {after_days", f"retirement: {{{terms}after_days", 1)
    return a_policy(f"naming: {{convention: '{{team}}/{{app}}', segments: {{team: [payments], app: [api]}}}}\n{text}{extra}")


class Account:
    def __init__(self, policy: Policy) -> None:
        self.now = T0 + 100 * DAY
        self.registry, self.ledger = MemoryRegistry(lambda: self.now), InMemoryLedger()
        self.steps = Services(self.registry, self.ledger, FixedPolicy(policy), MemoryWitnesses(), MemoryTombstones(), MemoryRunBook())

    def case(self, record: RepositoryRecord) -> Case:
        self.ledger.records_by_name[record.name] = record
        snapshot = self.registry.snapshot(record.name)
        assert snapshot is not None
        return case_of(snapshot, record, hear(self.steps, self.now), self.steps, self.now)


def empty(record: RepositoryRecord, *, noted: bool = False) -> Case:
    account = Account(the_policy())
    account.registry.hold(NAME)
    if noted:
        account.ledger.note_push(NAME, PUSH)
    return account.case(record)


@pytest.mark.parametrize(("since", "kind"), [(T0, Kind.BLANK), (T0 + HOUR, Kind.BLANK), (T0 + HOUR + timedelta(seconds=1), Kind.EMPTY)])
def test_only_what_was_watched_from_its_birth_is_known_to_be_blank(since: Any, kind: Kind) -> None:
    assert empty(watched(NAME, T0, since)).kind is kind


def test_a_push_that_was_ever_seen_means_that_it_is_not_blank() -> None:
    record = watched(NAME, T0, T0)
    assert empty(record).kind is Kind.BLANK
    assert empty(replace(record, provenance=Provenance(first_push=PUSH))).kind is Kind.EMPTY
    assert empty(record, noted=True).kind is Kind.EMPTY
    assert empty(replace(record, provenance=Provenance(noticed=(Origin.REPLICATION,)))).kind is Kind.EMPTY
    assert empty(replace(record, watched_since=None)).kind is Kind.EMPTY
    assert empty(replace(record, created_at=T0 - DAY)).kind is Kind.EMPTY


def misnamed(name: str, policy: Policy, provenance: Provenance = Provenance(origin=Origin.API)) -> bool:  # noqa: B008 - it is frozen
    account = Account(policy)
    account.registry.hold(name, an_image(1))
    return account.case(replace(watched(name, T0, T0), provenance=provenance)).misnamed


def test_a_name_is_judged_by_the_policy_in_force() -> None:
    assert misnamed(WRONG, the_policy())
    assert not misnamed(NAME, the_policy())
    assert not misnamed(WRONG, the_policy("\nrules: {naming: off}\n"))
    exempt = f"\nexemptions: [{{match: {WRONG}, rules: [naming], reason: an old name, owner: ann, expires: 2027-06-01}}]\n"
    assert not misnamed(WRONG, the_policy(exempt))
    assert not misnamed(WRONG, the_policy(), Provenance(origin=Origin.PULL_THROUGH_CACHE))
    # It may be a cache: not knowing is no guilt.
    in_doubt = Signal("a rule covers the name", (), 0, cache_rules=True)
    assert not misnamed(WRONG, the_policy(), Provenance(evidence=(in_doubt,)))


def test_where_the_rule_is_off_nothing_is_retired_and_where_it_audits_nothing_goes_further() -> None:
    def case(rules: str) -> Case:
        account = Account(the_policy(rules))
        account.registry.hold(NAME, an_image(1))
        return account.case(watched(NAME, T0, T0))

    assert (case("").exempt, case("").audited) == ("", False)
    assert case("\nrules: {unused: off}\n").exempt == "the rule unused is off here"
    assert (case("\nrules: {unused: audit}\n").exempt, case("\nrules: {unused: audit}\n").audited) == ("", True)
    assert not case("\nrules: {unused: enforce}\n").audited


@pytest.mark.parametrize(("rule", "looked_at"), [("off", 0), ("audit", 1), ("enforce", 1)])
def test_what_is_empty_is_no_candidate_where_the_rule_is_off(rule: str, looked_at: int) -> None:
    assert _looked_at(the_policy(f"\nrules: {{unused: {rule}}}\n"), line(NAME, images=0))["looked_at"] == looked_at


def line(name: str, *, unused: bool | None = False, images: int | None = 1, rules: tuple[str, ...] = (), state: str = "open") -> bytes:
    found = [{"rule": rule, "severity": "medium", "reason": "", "state": state} for rule in rules]
    keys = ["origin", "owner", "size_bytes", "due_at", "listed", "read", "last_push", "last_pull"]
    times = {"created_at": T0.isoformat(), "checked_at": T0.isoformat()}
    rest = {"findings": found, "undetermined": {}, "unused": unused, "images": images, "judged_by": "p/enforce"}
    return json.dumps({**dict.fromkeys(keys), **times, "name": name, **rest}).encode()


@pytest.mark.parametrize(
    ("found", "terms", "looked_at"),
    [
        (line(NAME), "", 0),
        (line(NAME, unused=True), "", 1),
        (line(NAME, unused=None), "", 0),
        (line(NAME, images=0), "", 1),
        (line(NAME, images=None), "", 0),
        (line(NAME, rules=("naming",)), "", 0),
        (line(NAME, rules=("naming",)), "misnamed_after_days: 9, ", 1),
        (line(NAME, rules=("naming",), state="exempt"), "misnamed_after_days: 9, ", 0),
        (line(NAME, rules=("scanning",)), "misnamed_after_days: 9, ", 0),
    ],
)
def test_what_the_last_sweep_found_is_looked_at_where_the_policy_asks_for_it(found: bytes, terms: str, looked_at: int) -> None:
    done = _looked_at(the_policy(terms=terms), found)
    assert done["looked_at"] == looked_at
    assert [item["kind"] for item in done["plan"]["items"]] == ["unused"] * looked_at


def _looked_at(policy: Policy, found: bytes) -> dict[str, Any]:
    """What a night makes of a line of the last sweep, and its plan."""
    account = Account(policy)
    account.registry.hold(NAME, an_image(1))
    account.ledger.records_by_name[NAME] = watched(NAME, T0, T0)
    book, runs = MemoryBook(), MemoryRunStore()
    book.ended = EndedSweep("run", T0, T0, "inventory", complete=True, registry="", repositories=1)
    runs.files["inventory"] = [found]
    done = retire("night", RunServices(account.steps, book, runs, ACCOUNT, REGION), account.now)
    return {**done, "plan": runs.documents[PLAN]}
