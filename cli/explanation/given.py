"""All that an explanation rests on: facts as they were read, the policy, and what a deployment's ledger knows besides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ecr_governor.core.granted import with_granted
from ecr_governor.core.origin import Push
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.repository import Fact, Repository, Unreadable
from ecr_governor.core.retirement.snapshot import Snapshot
from ecr_governor.core.templates.foreseeing import Foreseen


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the ledger of a deployment says. `delivered_at` is when the notice of a mark reached somebody."""

    stack: str
    record: RepositoryRecord | None
    noted: Push | None
    delivered_at: datetime | None = None

    def of(self, repository: Repository) -> RepositoryRecord | None:
        """Give the record if it is of this very repository, and not of a former one of the same name."""
        record = self.record
        same = record is not None and record.gone_at is None and record.created_at == repository.created_at
        return record if same else None


@dataclass(frozen=True, slots=True)
class Given:
    """What is to be explained.

    `foreseen` is None for a repository that there is. `snapshot` is what retirement looks at, None where the policy asks for none.
    `names` are those of the registry, `recorded` is None where no deployment was asked. `unread_rules` says which of the registry's rules
    could not be read.
    """

    read: Reading
    repository: Repository
    now: datetime
    names: Sequence[str] | Unreadable
    foreseen: Foreseen | None = None
    snapshot: Snapshot | None = None
    recorded: Recorded | None = None
    unread_rules: Sequence[str] = ()

    @property
    def told(self) -> Reading:
        """The policy for those who ask where each value comes from: the whole address of one in a bucket is told once, beside them."""
        return replace(self.read, source=self.read.source.rpartition("/")[2]) if "://" in self.read.source else self.read

    @property
    def exists(self) -> bool:
        """Whether there is such a repository."""
        return self.foreseen is None

    @property
    def policy(self) -> Policy:
        """The policy to judge by, with what was confirmed in Slack for this repository.

        One that is switched off is asked all the same: that is what explaining is for.
        """
        policy = self.read.policy.in_mode(Mode.AUDIT) if self.read.policy.mode is Mode.OFF else self.read.policy
        return with_granted(policy, self.repository.name, self.record.exemptions) if self.record else policy

    @property
    def record(self) -> RepositoryRecord | None:
        """What the ledger knows of this very repository."""
        return self.recorded.of(self.repository) if self.recorded and self.exists else None

    def missing(self, facts: frozenset[Fact]) -> list[str]:
        """Say which of these facts could not be read, and why."""
        if not self.exists:
            return []
        unread = (value.why for fact in sorted(facts) if isinstance(value := getattr(self.repository, fact.value), Unreadable))
        parts = self.snapshot.unreadable if self.snapshot else ()
        return list(dict.fromkeys((*self.unread_rules, *unread, *parts)))
