"""One repository as it was read, with what is known of it, judged. Every look and every sweep judges by this."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ecr_governor.app.ports import Ledger
from ecr_governor.core.evaluate import Evaluation, evaluate
from ecr_governor.core.finding import Finding, follow
from ecr_governor.core.granted import with_granted
from ecr_governor.core.origin import AutomaticCreation, News, Provenance, classify, learn, milestones
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.repository import Repository

CLOCK_TOLERANCE = timedelta(minutes=5)
"""CloudTrail's times and ECR's are whole seconds of different clocks."""

Automatic = Callable[[], AutomaticCreation]
"""Reads the registry's rules that make ECR create repositories, when they are needed. Raises Throttled."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A repository with its provenance, the record from before, and the verdicts. `opened` are the findings as they go on from there."""

    before: RepositoryRecord
    repository: Repository
    evaluation: Evaluation
    opened: tuple[Finding, ...]


def sight(
    repository: Repository, stored: RepositoryRecord | None, news: News, ledger: Ledger, automatic: Automatic, policy: Policy, now: datetime
) -> Sighting:
    """Judge a repository that was read just now, in the light of what the ledger and events tell of its past. Raises Throttled."""
    before = _incarnation(repository, stored, ledger)
    again = stored is not None and stored.gone_at is not None
    provenance = _provenance(before.provenance, repository, news, automatic, again=again)
    seen = replace(repository, provenance=provenance)
    evaluation = evaluate(seen, judging(policy, before), now)
    return Sighting(before, seen, evaluation, follow(before.findings, evaluation, now))


def judging(policy: Policy, record: RepositoryRecord) -> Policy:
    """The policy that one repository is judged by: with the exemptions that were confirmed for it in Slack."""
    return with_granted(policy, record.name, record.exemptions)


def _incarnation(repository: Repository, stored: RepositoryRecord | None, ledger: Ledger) -> RepositoryRecord:
    """The record of this very repository: a name that was deleted and created again starts anew, on the same ledger."""
    fresh = RepositoryRecord(repository.name, created_at=repository.created_at)
    if stored is None:
        return fresh
    if stored.gone_at is None and stored.created_at == repository.created_at:
        return stored
    # A push to the new repository may have been noted before its creation was.
    noted = ledger.noted_push(repository.name)
    pushes = (noted,) if noted and noted.at >= repository.created_at else ()
    provenance = learn(Provenance(), News(pushes=pushes))
    # What an interrupted step may have done to this repository instead of the former one has to be seen to.
    unsettled = stored.retirement if stored.retirement and stored.retirement.intended else None
    return replace(fresh, version=stored.version, entries=stored.entries, head=stored.head, provenance=provenance, retirement=unsettled)


def _provenance(known: Provenance, repository: Repository, news: News, automatic: Automatic, *, again: bool) -> Provenance:
    # Of a name that was used before, even a push of a minute earlier belongs to the former repository.
    earliest = repository.created_at.replace(microsecond=0) if again else repository.created_at - CLOCK_TOLERANCE
    ours = News(
        creation=news.creation if news.creation and news.creation.at >= earliest else None,
        pushes=tuple(push for push in news.pushes if push.at >= earliest),
        noticed=frozenset((origin, at) for origin, at in news.noticed if at >= earliest),
    )
    learned = learn(known, ours)
    # Evidence without weight says what could not be read: it may be readable by now.
    settled = known.evidence and all(signal.weight for signal in known.evidence)
    if settled and milestones(learned) == milestones(known):
        return learned
    return classify(learned, repository.name, automatic())
