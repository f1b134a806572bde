"""Carry out one step of one repository's retirement: all is read again, the intent is written, ECR is asked, the outcome is written.

A crash between any two calls leaves an intent. The next run sees what was intended and what is there, and goes on or takes it back.
"""

import logging
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, assert_never

from ecr_governor.app.errors import Overtaken, Refused
from ecr_governor.app.retirement.cases import PEOPLE, Hearing, Services, case_of, hear
from ecr_governor.app.retirement.deleting import delete
from ecr_governor.app.retirement.ports import DeletingRegistry
from ecr_governor.app.retirement.recording import Done, intend, reached, stays, still_ours, tampered, write_outcome
from ecr_governor.app.retirement.taking_back import ended, take_back, undo
from ecr_governor.app.retirement.traces import reborn, set_policy, tag
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.retirement.decide import Case, Decision, Reason, Weight, decide, mark_until
from ecr_governor.core.retirement.quarantine import is_ours, quarantined, released
from ecr_governor.core.retirement.snapshot import ACTIVE, DELETE_AFTER, STATE
from ecr_governor.core.retirement.state import Retirement, Stage

logger = logging.getLogger(__name__)

ASK_EVERY: Final = 20
"""Images between two looks whether the retirement is still ours."""


def carry_out(
    name: str,
    to: Stage,
    hearing: Hearing,
    services: Services,
    now: datetime,
    deleting: DeletingRegistry | None = None,
    *,
    approved: str = "",
) -> Done:
    """Take a repository to a stage, if reading everything anew leads to the same stage. Raises Throttled, Denied, Contended.

    `approved` is the fingerprint that a person has approved, "" where nobody had to. Without `deleting` nothing is ever deleted. A step back to `observed` undoes what was done.
    """
    # The record first: whoever takes the repository back meanwhile has written it again by the time anything is intended.
    record, snapshot = services.ledger.read(name), services.registry.snapshot(name)
    if snapshot is None:
        return ended(name, record, services, now)
    if record is None:
        return Done(name, None, "the ledger does not know it")
    # The last step goes by what everybody says now, not by what they said when the run began.
    case = case_of(snapshot, record, hear(services, now) if to is Stage.DELETED else hearing, services, now)
    decision = decide(case, now)
    if decision.to is Stage.OBSERVED:
        # Whatever was planned: what speaks against it now comes first. Who deletes undoes nothing: that is for the other role.
        if to is Stage.DELETED:
            return Done(name, None, "; ".join(reason.seen for reason in decision.against))
        return take_back(case, decision, record, services, now)
    if decision.to is not to:
        return Done(name, None, "; ".join(reason.seen for reason in decision.against) or "nothing is to be done")
    if approved and case.world != approved:
        return Done(name, None, "it has changed since it was approved")
    if hearing.approved_by:
        decision = replace(decision, reasons=(*decision.reasons, Reason("approved", f"by {hearing.approved_by}")))
    if changed := _changed_policy(hearing, services, now):
        return Done(name, None, changed)
    if broken := tampered(record, services):
        return Done(name, None, f"its ledger was tampered with: {broken}")
    match to:
        case Stage.MARKED:
            return _mark(case, decision, record, hearing, services, now)
        case Stage.QUARANTINED:
            return _quarantine(case, decision, record, services, now)
        case Stage.ARCHIVED:
            return _archive(case, decision, record, services, now)
        case Stage.DELETED:
            return delete(case, decision, record, hearing, services, now, deleting)
        case _:
            assert_never(to)


def _changed_policy(hearing: Hearing, services: Services, now: datetime) -> str:
    """Why the run's policy is not the one in force any more, or stops everything; "" if it still holds."""
    present = services.policies.current(now)
    if present.problem or present.policy.hash != hearing.policy.hash:
        return "the policy file was changed since the run began"
    return "the policy says stop" if present.policy.retirement.stop else ""


def _mark(case: Case, decision: Decision, record: RepositoryRecord, hearing: Hearing, services: Services, now: datetime) -> Done:
    if case.terms is None:
        return Done(record.name, None, "the policy asks for nothing")
    day = mark_until(case.terms, case.owner, now).isoformat()
    fresh = Retirement(Stage.OBSERVED, now, case.snapshot.created_at, case.world, case.terms.hash, delete_after=day, intended=Stage.MARKED)
    intended = intend(record, fresh, decision, services, now)
    if not tag(case.snapshot, {DELETE_AFTER: day, STATE: Stage.MARKED.value}, services):
        return reborn(intended, decision, services, now)
    return reached(intended, Stage.MARKED, decision, services, now, owner=case.owner, policy_hash=hearing.policy.hash)


def tell_again(item: Case, decision: Decision, services: Services, now: datetime) -> bool:
    """Write a mark's notice anew, if nobody was told of it so far: Slack may have been out of reach for longer than news is kept.

    Its grace begins with the notice that reaches somebody. Raises Throttled, Denied, Contended.
    """
    record = services.ledger.read(item.snapshot.name)
    marked = record.retirement if record else None
    if record is None or marked is None or marked != item.retirement or services.ledger.told_at(record.name, marked.notice, PEOPLE):
        return False
    reasons = tuple(reason for reason in decision.reasons if reason.weight is Weight.FOR)
    why = Decision(Stage.MARKED, reasons)
    more: dict[str, Any] = {"owner": item.owner}
    if item.terms is not None:
        # The tag keeps the day that it named at first; people are told the one that holds if they hear of it today.
        more["delete_after"] = max(marked.delete_after, mark_until(item.terms, item.owner, now).isoformat())
    write_outcome(record, replace(marked, noticed_at=now), why, services, now, more)
    return True


def _quarantine(case: Case, decision: Decision, record: RepositoryRecord, services: Services, now: datetime) -> Done:
    snapshot, former = case.snapshot, case.retirement
    original = snapshot.policy if isinstance(snapshot.policy, str) else None
    if former is None:
        return Done(record.name, None, "it was not marked")
    if is_ours(original):
        # An interrupted step set it already: what was there before is in its intent, what others have added since is not.
        original = released(original, former.original_policy)
    try:
        text = quarantined(original)
    except ValueError as error:
        return Done(record.name, None, str(error))
    if former.intended is not Stage.QUARANTINED:
        services.book.note_taken(record.name, now)
    intended = intend(record, replace(former, intended=Stage.QUARANTINED, original_policy=original), decision, services, now)
    if not set_policy(snapshot, text, services) or not tag(snapshot, {STATE: Stage.QUARANTINED.value}, services):
        return reborn(intended, decision, services, now)
    try:
        return reached(intended, Stage.QUARANTINED, decision, services, now, owner=case.owner)
    except Overtaken:
        return undo(intended, services, now)


def _archive(case: Case, decision: Decision, record: RepositoryRecord, services: Services, now: datetime) -> Done:
    former = case.retirement
    if former is None:
        return Done(record.name, None, "it was not quarantined")
    # What an interrupted attempt archived is ours as well; ECR tells whole seconds.
    since = former.archiving_since or now.replace(microsecond=0)
    if former.intended is not Stage.ARCHIVED:
        services.book.note_taken(record.name, now)
    intended = intend(record, replace(former, intended=Stage.ARCHIVED, archiving_since=since), decision, services, now)
    active = [image.digest for image in case.snapshot.held if image.status == ACTIVE]
    refused = 0
    try:
        for number, digest in enumerate(active):
            if number % ASK_EVERY == 0 and not still_ours(intended, services):
                return undo(intended, services, now)
            if not services.may_go_on():
                return stays(intended, f"there was no time left: {number} of {len(active)} images were archived", decision, services, now)
            try:
                services.registry.archive(case.snapshot.name, digest)
            except Refused as error:
                refused += 1
                logger.warning("image not archived", extra={"repository": record.name, "digest": digest, "why": str(error)})
        if refused:
            return stays(intended, f"ECR refused to archive {refused} images", decision, services, now)
        if not tag(case.snapshot, {STATE: Stage.ARCHIVED.value}, services):
            return reborn(intended, decision, services, now)
        return reached(intended, Stage.ARCHIVED, decision, services, now, owner=case.owner)
    except Overtaken:
        return undo(intended, services, now)
