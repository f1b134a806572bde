"""Look at one repository and bring ledger, findings and settings in line with what is true now.

Every event ends here, and so does every later look. An event supplies a name and hints of the past; the present is read from
ECR. So duplicates, reordering, replays and forgeries change nothing that the true state would not have changed.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ecr_governor.app.errors import Contended
from ecr_governor.app.facts import facts_to_read
from ecr_governor.app.ports import Ledger, PolicyInForce, PolicySource, Registry
from ecr_governor.app.sighting import Sighting, judging, sight
from ecr_governor.core.due import next_look
from ecr_governor.core.evaluate import Evaluation, evaluate
from ecr_governor.core.finding import Finding, FindingState, close_all, follow
from ecr_governor.core.fingerprint import listed_fingerprint, read_fingerprint
from ecr_governor.core.origin import News, milestones
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.record import WRITE_ROUNDS_PER_HOUR, Change, RepositoryRecord, Trigger, append, applied, change_as_data
from ecr_governor.core.remedy import CHANGES, Outcome, OutcomeStatus, as_data, describe, operation_of
from ecr_governor.core.repository import Repository, Unreadable
from ecr_governor.core.rules.unused import idle_since
from ecr_governor.core.verdict import Undetermined

logger = logging.getLogger(__name__)

ATTEMPTS = 4
SWEEP = Trigger("Sweep")
TOO_OFTEN = f"put right {WRITE_ROUNDS_PER_HOUR} times within an hour and changed back each time: something else manages this setting"
NEW_FOR = timedelta(hours=1)
"""A repository that is older when it is first seen was there before us."""


@dataclass(frozen=True, slots=True)
class Services:
    """The ports that looking at a repository takes."""

    registry: Registry
    ledger: Ledger
    policies: PolicySource


def reconcile(name: str, news: News, trigger: Trigger, services: Services, now: datetime) -> Change | None:
    """Look at a repository; give what that changed, or None if nothing did. Raises Throttled, Denied, Contended."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _look(name, news, trigger, services, now)
        except Contended:
            if attempt == ATTEMPTS:
                raise
            logger.info("ledger record changed meanwhile, looking again", extra={"repository": name, "attempt": attempt})
    raise AssertionError("unreachable")


def _look(name: str, news: News, trigger: Trigger, services: Services, now: datetime) -> Change | None:
    in_force = services.policies.current(now)
    policy = in_force.policy
    facts, since = facts_to_read(policy, name), idle_since(policy.expectation_for(name), now)
    stored = services.ledger.read(name)
    repository = services.registry.read(name, facts, since)
    if repository is None:
        return _gone(stored, trigger, policy, services.ledger, now)
    if is_another(repository, stored):
        # Deleted and created again before we looked: the end of the old one first, then the new one from its beginning.
        _gone(stored, trigger, policy, services.ledger, now)
        return _look(name, news, trigger, services, now)
    found = sight(repository, stored, news, services.ledger, services.registry.automatic_creation, policy, now)
    record, outcomes = _put_right(found, services, now)
    left = found
    if applied(outcomes):
        touched = facts & frozenset(fact for outcome in outcomes for fact in CHANGES[type(outcome.remedy)])
        reread = services.registry.read(name, touched, since)
        if reread is None or reread.created_at != repository.created_at:
            return _gone(record, trigger, policy, services.ledger, now, outcomes)
        kept: dict[str, Any] = {fact.value: getattr(repository, fact.value) for fact in facts - touched}
        repository = replace(reread, provenance=found.repository.provenance, **kept)
        left = replace(found, repository=repository, evaluation=evaluate(repository, judging(policy, found.before), now))
    change, updated = _concluded(record, found, left, outcomes, trigger, in_force, now)
    return _commit(stored, updated, change, services.ledger, kind="change", looked_at=now)


def is_another(repository: Repository, stored: RepositoryRecord | None) -> bool:
    """Whether the ledger still holds an earlier repository of the same name, and does not know yet that it is gone."""
    return stored is not None and stored.gone_at is None and stored.created_at != repository.created_at


def take_in(
    stored: RepositoryRecord | None, seen: Sighting, run: str, ledger: Ledger, in_force: PolicyInForce, now: datetime
) -> Change | None:
    """Bring the ledger in line with a repository that the sweep `run` has read. What is to be put right is left to a look.

    Its news is part of the sweep's own, so that people are told once. Raises Contended, Throttled.
    """
    before = seen.before
    # An invalid policy file is no reason to look at everything again within the hour: the next sweep will.
    change, updated = _concluded(before, seen, seen, (), SWEEP, in_force, now, by_look=False)
    if needed := {describe(remedy) for remedy in seen.evaluation.remedies}:
        # Nothing was tried: what the last attempt came to still stands.
        pending = tuple(words for words in before.pending if words in needed)
        updated = replace(updated, pending=pending, paused=before.paused, failing=before.failing)
    return _commit(stored, replace(updated, swept_by=run), change, ledger, kind="swept", looked_at=None)


def end_former(stored: RepositoryRecord, policy: Policy, ledger: Ledger, now: datetime) -> None:
    """Note that a repository is gone whose name another one has by now. Raises Contended, Throttled."""
    _gone(stored, SWEEP, policy, ledger, now, kind="swept")


def next_due(seen: Sighting, policy: Policy, now: datetime) -> datetime | None:
    """When a look may find something else although nothing happened."""
    return next_look(seen.before, seen.repository, judging(policy, seen.before), now, waiting=False)


def _concluded(
    record: RepositoryRecord,
    found: Sighting,
    left: Sighting,
    outcomes: tuple[Outcome, ...],
    trigger: Trigger,
    in_force: PolicyInForce,
    now: datetime,
    *,
    by_look: bool = True,
) -> tuple[Change, RepositoryRecord]:
    """Say what a look changed: from what was there `before`, by what it `found`, to what is `left` after the remedies."""
    policy, held_back = in_force.policy, in_force.problem is not None
    before, repository, opened = found.before, left.repository, found.opened
    remaining = follow(opened, left.evaluation, now)
    refused = {operation_of(outcome.remedy) for outcome in outcomes if outcome.status is OutcomeStatus.REFUSED}
    change = Change(
        repository=repository.name,
        at=now,
        trigger=trigger,
        policy_hash=policy.hash,
        discovered=not before.policy_hash,
        created=repository.provenance.creation is not None or now - repository.created_at < NEW_FOR,
        origin=repository.provenance.origin,
        opened=_newly_open((*opened, *remaining), before.findings),
        changed=_changed(remaining, before.findings),
        exempted=tuple(finding for finding in remaining if _is_exempt(finding) and _was_open(finding, before.findings)),
        resolved=tuple(finding for finding in remaining if _is_resolved(finding) and _was_open(finding, (*before.findings, *opened))),
        outcomes=tuple(outcome for outcome in outcomes if _is_news(outcome, before)),
        recovered=_recovered(before, found.evaluation),
        held_back=held_back,
    )
    # Somebody was quicker, so their event will bring us back; if it should be lost, the hour does.
    waiting = by_look and (held_back or any(outcome.status is OutcomeStatus.UNCHANGED for outcome in outcomes))
    updated = replace(
        record,
        created_at=repository.created_at,
        provenance=repository.provenance,
        owner=_owner(repository, policy, before),
        tags=_tags_told(repository, policy, before.tags),
        findings=remaining,
        undetermined={
            judgement.rule: judgement.verdict.why for judgement in left.evaluation.judgements if isinstance(judgement.verdict, Undetermined)
        },
        watched_since=before.watched_since or now,
        pending=(),
        paused={operation: before.paused.get(operation, now) for operation in sorted(refused)},
        failing=tuple(describe(outcome.remedy) for outcome in outcomes if outcome.status is OutcomeStatus.FAILED),
        listed=listed_fingerprint(repository, repository.tags) or before.listed,
        read=read_fingerprint(repository) or before.read,
        swept_by="",
        policy_hash=policy.hash,
        mode=policy.mode,
    )
    return change, replace(updated, due_at=next_look(updated, repository, judging(policy, updated), now, waiting=waiting))


def _put_right(found: Sighting, services: Services, now: datetime) -> tuple[RepositoryRecord, tuple[Outcome, ...]]:
    """Apply what the evaluation permits, each remedy with its intent in the ledger first."""
    record, repository, evaluation = found.before, found.repository, found.evaluation
    remedies = [remedy for remedy in evaluation.remedies if record.budget_left(operation_of(remedy), now)]
    refused = tuple(Outcome(remedy, OutcomeStatus.REFUSED, TOO_OFTEN) for remedy in evaluation.remedies if remedy not in remedies)
    if not remedies:
        return record, refused
    # An interrupted look's intents stay pending beside the new ones, and the round counts now: a crash must not make it free.
    pending = tuple(dict.fromkeys((*record.pending, *(describe(remedy) for remedy in remedies))))
    rounds = {operation: (*record.recent_rounds(operation, now), now) for operation in {operation_of(remedy) for remedy in remedies}}
    intended = replace(record, pending=pending, write_rounds={**record.write_rounds, **rounds})
    intended, entry = append(intended, "intent", {"at": now.isoformat(), "remedies": [as_data(remedy) for remedy in remedies]})
    intended = services.ledger.write(replace(intended, looked_at=now, swept_by=""), entry)
    outcomes = tuple(services.registry.apply(repository, remedy) for remedy in remedies)
    for outcome in outcomes:
        extra = {"repository": repository.name, "remedy": describe(outcome.remedy), "status": outcome.status.value, "why": outcome.why}
        logger.info("remedy", extra=extra)
    return intended, outcomes + refused


def _recovered(before: RepositoryRecord, found: Evaluation) -> tuple[str, ...]:
    """What an interrupted look had intended and is not needed any more: it was done."""
    needed = {describe(remedy) for remedy in found.remedies}
    return tuple(words for words in before.pending if words not in needed)


def _gone(
    stored: RepositoryRecord | None,
    trigger: Trigger,
    policy: Policy,
    ledger: Ledger,
    now: datetime,
    outcomes: tuple[Outcome, ...] = (),
    kind: str = "change",
) -> Change | None:
    """There is no such repository: not an error. A name that we never knew leaves no trace."""
    if stored is None or stored.gone_at is not None:
        return None
    closed = close_all(stored.findings, "the repository was deleted", now)
    change = Change(
        repository=stored.name,
        at=now,
        trigger=trigger,
        policy_hash=policy.hash,
        gone=True,
        origin=stored.provenance.origin,
        resolved=tuple(finding for finding in closed if _was_open(finding, stored.findings)),
        outcomes=outcomes,
    )
    updated = replace(stored, gone_at=now, findings=closed, undetermined={}, pending=(), paused={}, due_at=None)
    return _commit(stored, updated, change, ledger, kind=kind, looked_at=now)


def _commit(
    stored: RepositoryRecord | None,
    updated: RepositoryRecord,
    change: Change,
    ledger: Ledger,
    *,
    kind: str,
    looked_at: datetime | None,
) -> Change | None:
    """Write the record if it says anything new, with an entry if that is worth one: of `kind` if anybody is to be told."""
    if stored is not None and replace(updated, looked_at=stored.looked_at, swept_by=stored.swept_by).same_but_for_version(stored):
        return None
    updated = replace(updated, looked_at=looked_at or updated.looked_at)
    worth = kind if change.announced or change.recovered else "learned" if _learned(stored, updated) else None
    if worth is None:
        ledger.write(updated)
        return None
    updated, entry = append(updated, worth, change_as_data(change))
    ledger.write(updated, entry)
    extra = {
        "repository": change.repository,
        "opened": [finding.rule for finding in change.opened],
        "resolved": [finding.rule for finding in change.resolved],
        "origin": change.origin.value,
    }
    logger.info("%s recorded", worth, extra=extra)
    return change


def _learned(stored: RepositoryRecord | None, updated: RepositoryRecord) -> bool:
    return stored is None or milestones(stored.provenance) != milestones(updated.provenance)


def _owner(repository: Repository, policy: Policy, known: RepositoryRecord) -> str | None:
    if isinstance(repository.tags, Unreadable):
        return known.owner
    return repository.tags.get(policy.owner_tag) or known.claimed_by or None


def _tags_told(repository: Repository, policy: Policy, known: Mapping[str, str]) -> Mapping[str, str]:
    """The tags by which the policy says where people are told of the repository."""
    if isinstance(repository.tags, Unreadable):
        return known
    wanted = policy.notifications.slack.tag_keys
    return {key: value for key, value in sorted(repository.tags.items()) if key in wanted}


def _is_news(outcome: Outcome, before: RepositoryRecord) -> bool:
    """Whether an outcome is worth telling: a remedy that still fails, or still waits, was told the first time."""
    match outcome.status:
        case OutcomeStatus.REFUSED:
            return operation_of(outcome.remedy) not in before.paused
        case OutcomeStatus.FAILED:
            return describe(outcome.remedy) not in before.failing
        case _:
            return True


def _changed(after: Iterable[Finding], before: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that stay open and say something else than before: an open finding must not hide what comes on top of it."""
    earlier = {finding.rule: finding for finding in before if _is_open(finding)}
    return tuple(
        finding
        for finding in after
        if _is_open(finding)
        and (known := earlier.get(finding.rule))
        and (known.reason, known.severity) != (finding.reason, finding.severity)
    )


def _newly_open(seen: Iterable[Finding], before: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that this look opened, whether or not it resolved them as well."""
    earlier = tuple(before)
    return tuple({finding.rule: finding for finding in seen if _is_open(finding) and not _was_open(finding, earlier)}.values())


def _is_open(finding: Finding) -> bool:
    return finding.state is FindingState.OPEN


def _is_resolved(finding: Finding) -> bool:
    return finding.state is FindingState.RESOLVED


def _is_exempt(finding: Finding) -> bool:
    return finding.state is FindingState.EXEMPT


def _was_open(finding: Finding, earlier: Iterable[Finding]) -> bool:
    return any(other.rule == finding.rule and _is_open(other) for other in earlier)
