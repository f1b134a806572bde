"""Gather all that a decision over one repository rests on."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ecr_governor.app.errors import Denied, Unintelligible
from ecr_governor.app.notify import CHAT
from ecr_governor.app.ports import Ledger, PolicyInForce, PolicySource
from ecr_governor.app.retirement.ports import RetiringRegistry, RunBook, Tombstones, Witnesses
from ecr_governor.core.granted import with_granted
from ecr_governor.core.policy.model import Expectation, Mode, Policy
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.retirement.asked import asked_of
from ecr_governor.core.retirement.decide import Case
from ecr_governor.core.retirement.evidence import Evidence
from ecr_governor.core.retirement.snapshot import Snapshot
from ecr_governor.core.retirement.state import Retirement, Stage
from ecr_governor.core.rules import naming
from ecr_governor.core.verdict import Violation

logger = logging.getLogger(__name__)

AT_BIRTH: Final = timedelta(hours=1)
"""How soon after a repository's creation we must have seen it to know that no push came before."""
PEOPLE = CHAT
"""The channel whose word counts as having told the owner."""


@dataclass(frozen=True, slots=True)
class Services:
    """The ports that retiring takes. `may_go_on`: whether there is time for more, asked within long steps as well.

    `tells_people`: whether this deployment has a channel to people at all.
    """

    registry: RetiringRegistry
    ledger: Ledger
    policies: PolicySource
    witnesses: Witnesses
    tombstones: Tombstones
    book: RunBook
    may_go_on: Callable[[], bool] = lambda: True
    tells_people: bool = True


@dataclass(frozen=True, slots=True)
class Hearing:
    """What is the same for all repositories of one run: the policy, the sources it counts on, who was heard, and whose pulls go unrecorded.

    `approved_by` is who has approved the run's steps, "" where nobody had to.
    """

    in_force: PolicyInForce
    sources: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    trusted_pulls: bool
    approved_by: str = ""

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.in_force.policy


def hear(services: Services, now: datetime, *, asked: bool = True, approved_by: str = "") -> Hearing:
    """Read the policy and ask every source once; none where nothing is to be decided, only undone. Raises Throttled."""
    in_force = services.policies.current(now)
    sources = tuple(source.value for source in in_force.policy.retirement.sources)
    if not asked:
        return Hearing(in_force, sources, (), trusted_pulls=False)
    try:
        known = set(in_force.policy.retirement.pull_time_exclusions)
        trusted = set(services.registry.pull_time_exclusions()) <= known
    except Denied:
        # What may be excluded and cannot be seen is not trusted.
        trusted = False
    return Hearing(in_force, sources, tuple(services.witnesses.evidence(sources, now)), trusted, approved_by)


def case_of(snapshot: Snapshot, record: RepositoryRecord | None, hearing: Hearing, services: Services, now: datetime) -> Case:
    """Put together one repository's case. Raises Throttled, Denied."""
    policy, name = hearing.policy, snapshot.name
    same = record is not None and record.created_at == snapshot.created_at and record.gone_at is None
    if record is not None and same:
        policy = with_granted(policy, name, record.exemptions)
    # A retirement of a former repository is shown as well: what it may have done to this one is to be undone.
    retirement = record.retirement if record is not None and record.gone_at is None else None
    asked, noted = asked_of(policy, name, now), services.ledger.noted_push(name)
    return Case(
        snapshot=snapshot,
        retirement=retirement,
        terms=asked.terms,
        watched_since=record.watched_since if record is not None and same else None,
        evidence=hearing.evidence,
        sources=hearing.sources,
        exempt=asked.exempt,
        audited=asked.audited,
        owner=snapshot.tag(policy.owner_tag) or (record.claimed_by if record is not None and same else "") or None,
        delivered_at=services.ledger.told_at(name, retirement.notice, PEOPLE) if retirement and retirement.notice else None,
        trusted_pulls=hearing.trusted_pulls,
        noted_push=noted.at if noted else None,
        judged=_judged(snapshot, retirement, services),
        used_at=record.used_at if record is not None and same else None,
        never_pushed=record is not None and same and noted is None and _never_pushed(record),
        misnamed=record is not None and same and _misnamed(record, policy, policy.expectation_for(name), now),
        kept_until=record.kept_until if record is not None and same else None,
    )


def _never_pushed(record: RepositoryRecord) -> bool:
    """Whether we have watched it since its creation, and saw no push. Of what was there before us, nobody knows."""
    born, watched = record.created_at, record.watched_since
    past = record.provenance
    # What a cache or a replication brought is noticed, and is no push.
    return born is not None and watched is not None and watched - born <= AT_BIRTH and past.first_push is None and not past.noticed


def _misnamed(record: RepositoryRecord, policy: Policy, expected: Expectation, now: datetime) -> bool:
    """Whether its name breaks the rule by the policy in force, and nothing exempts it. Not knowing where it came from is no guilt."""
    rule = naming.RULE.id
    off = expected.naming is None or policy.mode_of(rule, expected.namespace) is Mode.OFF
    if off or policy.exemption_for(record.name, rule, now):
        return False
    return isinstance(naming.judge(record.name, record.provenance, expected), Violation)


def _judged(snapshot: Snapshot, retirement: Retirement | None, services: Services) -> Snapshot | None:
    """What an interrupted deletion had judged: only then may images be missing without anybody else's doing."""
    if retirement is None or retirement.intended is not Stage.DELETED:
        return None
    try:
        stone = services.tombstones.read(snapshot.name, snapshot.created_at)
    except Unintelligible:
        # Then what the deletion took is a change like any other, which takes the rest back.
        logger.exception("tombstone not understood", extra={"repository": snapshot.name})
        return None
    return stone.snapshot if stone else None
