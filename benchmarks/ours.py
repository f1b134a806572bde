"""ECR Governor in the comparison: the use cases of `audit` and of the sweep, with files of this machine for bucket and ledger.

    python -m benchmarks.ours --findings OUT                        audit everything
    python -m benchmarks.ours --findings OUT --write-state STATE    sweep everything, and leave an inventory in the directory STATE
    python -m benchmarks.ours --findings OUT --incremental STATE    sweep again, where every fiftieth repository was announced as changed

STATE may also be a JSON file `{name: [has a lifecycle policy, repository policy, last activity]}` that another program remembered.
`--share` has the sweep read its nightly seventh in full as well.
"""

import argparse
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from pydantic import TypeAdapter

from benchmarks import rules
from ecr_governor.adapters.inventory import EcrInventory, pace_of
from ecr_governor.adapters.pace import Pace
from ecr_governor.adapters.runs import DirectoryRunStore
from ecr_governor.adapters.shelf import FileShelf
from ecr_governor.adapters.signed import SignedClient
from ecr_governor.app.audit import Progress, audit
from ecr_governor.app.facts import read_facts
from ecr_governor.app.ports import PolicyInForce
from ecr_governor.app.sweep.checking import check
from ecr_governor.app.sweep.ending import decide_over, report
from ecr_governor.app.sweep.listing import Wish, lay_out
from ecr_governor.app.sweep.plan import SweepServices
from ecr_governor.bootstrap import started
from ecr_governor.core.evaluate import evaluate
from ecr_governor.core.origin import AutomaticCreation, Creation, Push
from ecr_governor.core.policy.load import load_bytes
from ecr_governor.core.policy.model import Limits, Policy
from ecr_governor.core.record import Entry, RepositoryRecord
from ecr_governor.core.registry_rules import RegistryRules
from ecr_governor.core.repository import Repository, ScanFrequency, Usage
from ecr_governor.core.standing import name_in
from ecr_governor.core.sweep import EndedSweep, Lease
from ecr_governor.core.verdict import Violation

POLICY = Path(__file__).with_name("policy.yaml")
FINDING = re.compile(rb'"rule":"([a-z-]+)","severity":"[a-z]+","reason":"([^"\\\\]*(?:\\\\.[^"\\\\]*)*)"')
"""A finding in an inventory's line: rule and reason."""
REPOSITORY_POLICY = "repository-policy"
WORDS = {
    "naming": (rules.NAME,),
    "lifecycle-policy": (rules.LIFECYCLE_MISSING,),
    "scanning": (rules.SCAN_OFF,),
    "tag-mutability": (rules.MUTABLE,),
    "required-tags": (rules.TAGS_MISSING,),
    "unused": (rules.UNUSED,),
}
"""Our rules in the comparison's words; a repository policy can break several of its rules, and only the reason tells which."""
ENDED = TypeAdapter(EndedSweep)
SOME_LIFECYCLE_POLICY = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1},
                "action": {"type": "expire"},
            }
        ]
    }
)
"""Stands for the policy of which another program remembered only that there was one."""


class Findings:
    """What was found, in the comparison's words."""

    def __init__(self) -> None:
        # As bytes, which take a third less memory: these lists are the comparison's, not the product's.
        self.by_rule: dict[str, list[bytes]] = {rule: [] for rule in rules.RULES}

    def add(self, name: str, found: Iterable[tuple[str, str]]) -> None:
        """Take down a repository's violations: rule and reason each."""
        written = name.encode()
        for rule, reason in found:
            for theirs in _of_repository_policy(reason) if rule == REPOSITORY_POLICY else WORDS.get(rule, ()):
                self.by_rule[theirs].append(written)

    def write(self, path: Path) -> None:
        """Write them, each rule's in the order of names."""
        with path.open("w") as file:
            for number, (rule, names) in enumerate(self.by_rule.items()):
                names.sort()
                file.write(f"{', ' if number else '{'}{json.dumps(rule)}: [")
                file.writelines(f"{', ' if place else ''}{json.dumps(name.decode())}" for place, name in enumerate(names))
                file.write("]")
            file.write("}")


def _of_repository_policy(reason: str) -> Iterator[str]:
    if "has no repository policy" in reason:
        yield rules.POLICY_MISSING
    if " admits everybody" in reason:
        yield rules.POLICY_PUBLIC
    if " admits " in reason:
        yield rules.POLICY_UNTRUSTED


def _inventory(policy: Policy, now: datetime) -> EcrInventory:
    client, pace = _connection(policy.limits.calls_per_second)
    return WithoutCaches(client, pace, pull_metrics=policy.limits.pull_metrics, now=now)


@cache
def _connection(calls_per_second: int) -> tuple[SignedClient, Pace]:
    session = botocore.session.get_session()
    client = SignedClient(session, os.environ.get("AWS_REGION", rules.REGION), os.environ.get("AWS_ENDPOINT_URL"))
    return client, pace_of(calls_per_second)


class WithoutCaches(EcrInventory):
    """The comparison's account as its rules see it: they know no pull through caches, whose settings would be their upstream's."""

    def automatic_creation(self) -> tuple[AutomaticCreation, Sequence[str]]:
        return AutomaticCreation((), ()), ()


def audit_everything(policy: Policy, findings: Findings, now: datetime) -> None:
    """Audit, as `ecr-governor audit` does."""
    progress = Progress()
    for audited in audit(_inventory(policy, now), policy, now, progress):
        findings.add(audited.name, ((finding.rule, finding.reason) for finding in audited.findings))
    if progress.incomplete_because:
        raise SystemExit(f"incomplete: {', '.join(progress.incomplete_because)}")


class NoLedger:
    """A ledger that knows nothing: what it is told is forgotten."""

    def read(self, name: str) -> RepositoryRecord | None:
        return None

    def records(self, names: Sequence[str]) -> Mapping[str, RepositoryRecord]:
        return {}

    def write(self, record: RepositoryRecord, entry: Entry | None = None) -> RepositoryRecord:
        return record

    def touched(self, since: datetime) -> Iterator[tuple[str, datetime]]:
        return iter(())

    def note_push(self, name: str, push: Push) -> None:
        raise NotImplementedError

    def noted_push(self, name: str) -> Push | None:
        return None

    def delivered(self, repository: str, number: int) -> frozenset[str]:
        return frozenset()

    def mark_delivered(self, repository: str, number: int, channel: str, at: datetime) -> None:
        raise NotImplementedError

    def told_at(self, repository: str, number: int, channel: str) -> datetime | None:
        return None

    def entries(self, name: str) -> Iterator[Entry]:
        return iter(())

    def recent(self, name: str, limit: int) -> Sequence[Entry]:
        return ()

    def entry(self, name: str, number: int) -> Entry | None:
        return None

    def retiring(self) -> Iterator[str]:
        return iter(())

    def due(self, until: datetime, limit: int) -> Sequence[str]:
        return ()

    def note_policy(self, version: str, problem: str | None, at: datetime) -> bool:
        return False

    def last_good_policy(self) -> str | None:
        return None


class NoHistory:
    """A CloudTrail that remembers nothing."""

    calls = 0

    def creations(self, since: datetime, until: datetime) -> Iterator[Sequence[tuple[str, Creation]]]:
        return iter(())


@dataclass
class SweepHere:
    """A sweep on this machine: the ports that are not worth a class of their own."""

    policy: Policy
    directory: Path
    now: datetime

    @property
    def _last(self) -> Path:
        return self.directory / "last.json"

    # Registry

    def rules(self) -> RegistryRules:
        return RegistryRules((), (), "")

    # SweepPolicies

    def current(self, now: datetime) -> PolicyInForce:
        return PolicyInForce(self.policy, "file")

    def pinned(self, version: str) -> PolicyInForce:
        return PolicyInForce(self.policy, version)

    # SweepBook

    def take_lease(self, execution: str, run: str, now: datetime, until: datetime) -> Lease:
        return Lease(execution, run, 1, now)

    def renew_lease(self, lease: Lease, now: datetime, until: datetime) -> None:
        pass

    def give_back(self, lease: Lease) -> None:
        pass

    def last_sweep(self) -> EndedSweep | None:
        return ENDED.validate_json(self._last.read_bytes()) if self._last.exists() else None

    def end_sweep(self, lease: Lease, ended: EndedSweep, entry: Mapping[str, Any]) -> None:
        self._last.write_bytes(ENDED.dump_json(ended))

    # Looks

    def ask(self, repositories: Iterable[str], at: datetime) -> None:
        pass

    def inventory(self, _limits: Limits, _at_once: int) -> EcrInventory:
        return _inventory(self.policy, self.now)

    @property
    def services(self) -> SweepServices:
        return SweepServices(
            inventory=self.inventory,
            registry=self,
            ledger=NoLedger(),
            book=self,
            policies=self,
            runs=DirectoryRunStore(self.directory),
            shelf=FileShelf,
            history=NoHistory(),
            time_left=lambda: 900.0,
        )

    @property
    def _changed(self) -> Path:
        return self.directory / "changed.json"

    def foretell(self) -> None:
        """Note which repositories will have changed by the next sweep, every fiftieth: in a deployment, events tell it."""
        ended = self.last_sweep()
        lines = DirectoryRunStore(self.directory).lines(ended.inventory) if ended else iter(())
        self._changed.write_text(json.dumps([name_in(line) for number, line in enumerate(lines) if number % rules.CHANGED_EVERY == 0]))

    def announced(self) -> frozenset[str]:
        """Tell what was foretold."""
        return frozenset(json.loads(self._changed.read_bytes()))

    def run(self, wish: Wish, findings: Findings) -> None:
        """Sweep, and take down what stands afterwards."""
        services = self.services
        laid = lay_out(f"{self.now:%Y%m%d%H%M%S%f}", rules.ACCOUNT, rules.REGION, services, self.now, wish)
        for shard in laid.shards:
            check(laid.run, shard, services, self.now)
        decide_over(laid.run, services, self, self.now)
        summary = report(laid.run, services, self.now)
        if not summary["complete"]:
            raise SystemExit(f"incomplete: {', '.join(summary['incomplete_because'])}")
        ended = self.last_sweep()
        for line in DirectoryRunStore(self.directory).lines(ended.inventory) if ended else ():
            findings.add(name_in(line), ((rule.decode(), reason.decode()) for rule, reason in FINDING.findall(line)))


def from_remembered_facts(policy: Policy, remembered: Mapping[str, Any], findings: Findings, now: datetime) -> None:
    """Judge by another program's memory, and read only what it calls changed or does not know."""
    inventory, place = _inventory(policy, now), 0
    for page in inventory.pages():
        known, unknown = [], []
        for repository, tags in zip(page, inventory.tags_of(page), strict=True):
            listed = replace(repository, tags=tags)
            facts = remembered.get(repository.name) if place % rules.CHANGED_EVERY else None
            place += 1
            if facts is None:
                unknown.append(listed)
            else:
                known.append(_with(listed, *facts))
        for repository in (*known, *read_facts(inventory, unknown, policy, now)):
            violations = (
                (judgement.rule, judgement.verdict.reason)
                for judgement in evaluate(repository, policy, now).judgements
                if isinstance(judgement.verdict, Violation)
            )
            findings.add(repository.name, violations)


def _with(listed: Repository, has_lifecycle_policy: bool, repository_policy: str | None, active: float) -> Repository:  # noqa: FBT001 - a row
    return replace(
        listed,
        lifecycle_policy=SOME_LIFECYCLE_POLICY if has_lifecycle_policy else None,
        repository_policy=repository_policy,
        scan_frequency=ScanFrequency.SCAN_ON_PUSH if listed.scan_on_push else ScanFrequency.MANUAL,
        usage=Usage(last_push=datetime.fromtimestamp(active, UTC)),
    )


def main() -> None:
    """Do what the arguments say."""
    started()
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--findings", type=Path, required=True)
    arguments.add_argument("--write-state", type=Path)
    arguments.add_argument("--incremental", type=Path)
    arguments.add_argument("--share", action="store_true")
    given = arguments.parse_args()
    policy, findings, now = load_bytes(POLICY.read_bytes(), POLICY.name), Findings(), datetime.now(UTC)
    if given.incremental and given.incremental.is_file():
        from_remembered_facts(policy, json.loads(given.incremental.read_bytes()), findings, now)
    elif given.incremental:
        # A night later, so that the share has its turn.
        here = SweepHere(policy, given.incremental, now + (timedelta(days=1) if given.share else timedelta()))
        here.run(Wish(share=given.share, announced=here.announced()), findings)
    elif given.write_state:
        here = SweepHere(policy, given.write_state, now)
        here.run(Wish(everything=True), findings)
        here.foretell()
    else:
        audit_everything(policy, findings, now)
    findings.write(given.findings)


if __name__ == "__main__":
    main()
