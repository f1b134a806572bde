"""Carry out one step of one repository's retirement: all is read again, the intent is written, ECR is asked, the outcome is written.

A crash between any two calls leaves an intent. The next run sees what was intended and what is there, and goes on or takes it back.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, assert_never

from ecr_governor.app.errors import Contended, Denied, Overtaken, Refused
from ecr_governor.app.retirement.cases import Hearing, Services, case_of, hear
from ecr_governor.app.retirement.ports import DeletingRegistry
from ecr_governor.core.record import RepositoryRecord, append, break_in
from ecr_governor.core.repository import Unreadable
from ecr_governor.core.retirement.decide import USERS, Case, Decision, Reason, Weight, decide, mark_until
from ecr_governor.core.retirement.quarantine import is_ours, quarantined, released, same_text
from ecr_governor.core.retirement.snapshot import ACTIVE, ARCHIVED, DELETE_AFTER, STATE, Snapshot, deletion_order
from ecr_governor.core.retirement.state import Retirement, Stage, as_data

logger = logging.getLogger(__name__)

INTENT: Final = "retirement-intent"
OUTCOME: Final = "retirement"
ASK_EVERY: Final = 20
"""Images between two looks whether the retirement is still ours."""
NOTED_EVERY: Final = timedelta(days=1)
BATCH: Final = 100
"""Images that one BatchDeleteImage takes."""
TAKEN_BACK: Final = "it was taken back meanwhile"
REBORN: Final = "it was deleted and created again meanwhile"
WRITES: Final = 4
ROUNDS: Final = 5
"""How often images that others still refer to are tried: an index of indexes takes one round for each level."""
NEVER_BEFORE: Final = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a step: the stage that was reached, or why none was."""

    repository: str
    stage: Stage | None
    why: str = ""


def carry_out(name: str, to: Stage, hearing: Hearing, services: Services, now: datetime, deleting: DeletingRegistry | None = None) -> Done:
    """Take a repository to a stage, if reading everything anew leads to the same stage. Raises Throttled, Denied, Contended.

    Without `deleting` nothing is ever deleted. A step back to `observed` undoes what was done.
    """
    # The record first: whoever takes the repository back meanwhile has written it again by the time anything is intended.
    record, snapshot = services.ledger.read(name), services.registry.snapshot(name)
    if snapshot is None:
        return _ended(name, record, services, now)
    if record is None:
        return Done(name, None, "the ledger does not know it")
    # The last step goes by what everybody says now, not by what they said when the run began.
    case = case_of(snapshot, record, hear(services, now) if to is Stage.DELETED else hearing, services, now)
    decision = decide(case, now)
    if decision.to is Stage.OBSERVED:
        # Whatever was planned: what speaks against it now comes first. Who deletes undoes nothing: that is for the other role.
        if to is Stage.DELETED:
            return Done(name, None, "; ".join(reason.seen for reason in decision.against))
        return _take_back(case, decision, record, services, now)
    if decision.to is not to:
        return Done(name, None, "; ".join(reason.seen for reason in decision.against) or "nothing is to be done")
    if changed := _changed_policy(hearing, services, now):
        return Done(name, None, changed)
    if broken := _tampered(record, services):
        return Done(name, None, f"its ledger was tampered with: {broken}")
    match to:
        case Stage.MARKED:
            return _mark(case, decision, record, hearing, services, now)
        case Stage.QUARANTINED:
            return _quarantine(case, decision, record, services, now)
        case Stage.ARCHIVED:
            return _archive(case, decision, record, services, now)
        case Stage.DELETED:
            return _delete(case, decision, record, hearing, services, now, deleting)
        case _:
            assert_never(to)


def _tampered(record: RepositoryRecord, services: Services) -> str:
    """Why the ledger cannot be relied on: its entries do not follow one another, or the record says another thing than the newest."""
    entries = tuple(services.ledger.entries(record.name))
    if break_in(record, entries):
        # A look may have written between the two reads: the second time it counts.
        record, entries = services.ledger.read(record.name) or record, tuple(services.ledger.entries(record.name))
    if broken := break_in(record, entries):
        return broken
    newest = next((entry for entry in reversed(entries) if entry.kind in {INTENT, OUTCOME}), None)
    if record.retirement is None or (newest is not None and newest.body.get("state") == as_data(record.retirement)):
        return ""
    return "the record says another thing of its retirement than the newest entry"


def _changed_policy(hearing: Hearing, services: Services, now: datetime) -> str:
    """Why the run's policy is not the one in force any more, or stops everything; "" if it still holds."""
    present = services.policies.current(now)
    if present.problem or present.policy.hash != hearing.policy.hash:
        return "the policy file was changed since the run began"
    return "the policy says stop" if present.policy.retirement.stop else ""


def release(name: str, attempt: str, services: Services, now: datetime, *, asked: bool = False) -> Done:
    """Take a repository back because somebody was refused an image of it. Raises Throttled, Denied, Contended, Refused.

    Nothing has to be proved: who wants an image uses it. What is not retiring is left as it is, whatever the event says; what is only
    marked as well, unless an operator `asked` for it.
    """
    record = services.ledger.read(name)
    if record is None or record.retirement is None or record.retirement.stage is Stage.DELETED:
        # Most refused calls have nothing to do with us. What was taken back is looked at: a dying run may have left something behind.
        return Done(name, None, "it is not retiring")
    snapshot = services.registry.snapshot(name)
    if snapshot is None:
        return _ended(name, record, services, now)
    if isinstance(snapshot.policy, Unreadable):
        raise Denied(snapshot.policy.why)
    retirement = record.retirement
    # An earlier attempt may have opened the policy and got no farther.
    begun = retirement.intended is Stage.OBSERVED or retirement.stage.rank >= Stage.QUARANTINED.rank
    if not (asked or begun or is_ours(snapshot.policy)):
        return Done(name, None, "it is in no quarantine")
    case = case_of(snapshot, record, hear(services, now, asked=False), services, now)
    wanted = Decision(Stage.OBSERVED, (Reason(USERS, attempt, Weight.CONTRARY),))
    return _take_back(case, wanted, record, services, now)


def note_use(name: str, services: Services, now: datetime) -> None:
    """Remember that somebody uses a repository, of which ECR's own times may say nothing. Raises Throttled, Denied.

    Whoever writes the record at the same moment is left alone: the next run sees the user again.
    """
    record = services.ledger.read(name)
    if record is not None and (record.used_at is None or now - record.used_at >= NOTED_EVERY):
        with suppress(Contended):
            services.ledger.write(replace(record, used_at=now))


def _still_ours(intended: RepositoryRecord, services: Services) -> bool:
    """Whether nobody has taken the retirement another way since the step began, such as a refused pull."""
    current = services.ledger.read(intended.name)
    return current is not None and current.retirement == intended.retirement


def _undo(intended: RepositoryRecord, services: Services, now: datetime) -> Done:
    """Somebody took a repository back while a step of it was under way: what the step did after that is taken back as well."""
    record, snapshot = services.ledger.read(intended.name), services.registry.snapshot(intended.name)
    if record is None or snapshot is None or record.retirement is None or intended.retirement is None:
        return Done(intended.name, None, TAKEN_BACK)
    decision = Decision(Stage.OBSERVED, (Reason("no way back begun", TAKEN_BACK, Weight.CONTRARY),))
    begun = replace(
        record.retirement,
        intended=Stage.OBSERVED,
        birth=intended.retirement.birth,
        archiving_since=intended.retirement.archiving_since,
        original_policy=intended.retirement.original_policy,
    )
    record = _intend(record, begun, decision, services, now)
    case = case_of(snapshot, record, hear(services, now, asked=False), services, now)
    return _take_back(case, decision, record, services, now)


def _mark(case: Case, decision: Decision, record: RepositoryRecord, hearing: Hearing, services: Services, now: datetime) -> Done:
    if case.terms is None:
        return Done(record.name, None, "the policy asks for nothing")
    day = mark_until(case.terms, case.owner, now).isoformat()
    fresh = Retirement(Stage.OBSERVED, now, case.snapshot.created_at, case.world, case.terms.hash, delete_after=day, intended=Stage.MARKED)
    intended = _intend(record, fresh, decision, services, now)
    if not _tag(case.snapshot, {DELETE_AFTER: day, STATE: Stage.MARKED.value}, services):
        return _reborn(intended, decision, services, now)
    return _reached(intended, Stage.MARKED, decision, services, now, owner=case.owner, policy_hash=hearing.policy.hash)


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
    intended = _intend(record, replace(former, intended=Stage.QUARANTINED, original_policy=original), decision, services, now)
    if not _set_policy(snapshot, text, services) or not _tag(snapshot, {STATE: Stage.QUARANTINED.value}, services):
        return _reborn(intended, decision, services, now)
    try:
        return _reached(intended, Stage.QUARANTINED, decision, services, now, owner=case.owner)
    except Overtaken:
        return _undo(intended, services, now)


def _reborn(intended: RepositoryRecord, decision: Decision, services: Services, now: datetime) -> Done:
    """Another repository of the name is there, and was rid again of what it got: the retirement of the former one is over."""
    _write_outcome(intended, Retirement(Stage.OBSERVED, now), decision, services, now, {"why": REBORN})
    return Done(intended.name, None, REBORN)


def _tag(snapshot: Snapshot, tags: Mapping[str, str], services: Services) -> bool:
    """Set tags; False if another repository of the name got them, which was then rid of them again."""
    services.registry.tag(snapshot, tags)
    present = services.registry.snapshot(snapshot.name)
    if present is None or present.created_at == snapshot.created_at:
        return True
    services.registry.untag(present, tags)
    return False


def _set_policy(snapshot: Snapshot, text: str | None, services: Services) -> bool:
    """Set the repository policy; False if another repository of the name got it, which was then rid of it again.

    ECR knows no condition on a write: deleted and created again between two calls, the new one is met in the place of the old.
    """
    services.registry.set_policy(snapshot.name, text)
    present = services.registry.snapshot(snapshot.name)
    if present is None or present.created_at == snapshot.created_at:
        return True
    if text is not None and isinstance(present.policy, str) and same_text(present.policy, text):
        services.registry.set_policy(snapshot.name, None)
    return False


def _archive(case: Case, decision: Decision, record: RepositoryRecord, services: Services, now: datetime) -> Done:
    former = case.retirement
    if former is None:
        return Done(record.name, None, "it was not quarantined")
    # What an interrupted attempt archived is ours as well; ECR tells whole seconds.
    since = former.archiving_since or now.replace(microsecond=0)
    if former.intended is not Stage.ARCHIVED:
        services.book.note_taken(record.name, now)
    intended = _intend(record, replace(former, intended=Stage.ARCHIVED, archiving_since=since), decision, services, now)
    active = [image.digest for image in case.snapshot.held if image.status == ACTIVE]
    refused = 0
    try:
        for number, digest in enumerate(active):
            if number % ASK_EVERY == 0 and not _still_ours(intended, services):
                return _undo(intended, services, now)
            if not services.may_go_on():
                return _stays(intended, f"there was no time left: {number} of {len(active)} images were archived", decision, services, now)
            try:
                services.registry.archive(case.snapshot.name, digest)
            except Refused as error:
                refused += 1
                logger.warning("image not archived", extra={"repository": record.name, "digest": digest, "why": str(error)})
        if refused:
            return _stays(intended, f"ECR refused to archive {refused} images", decision, services, now)
        if not _tag(case.snapshot, {STATE: Stage.ARCHIVED.value}, services):
            return _reborn(intended, decision, services, now)
        return _reached(intended, Stage.ARCHIVED, decision, services, now, owner=case.owner)
    except Overtaken:
        return _undo(intended, services, now)


def _delete(
    case: Case,
    decision: Decision,
    record: RepositoryRecord,
    hearing: Hearing,
    services: Services,
    now: datetime,
    deleting: DeletingRegistry | None,
) -> Done:
    snapshot, former = case.snapshot, case.retirement
    if deleting is None:
        return Done(record.name, None, "deletion is not enabled in this deployment")
    if former is None or not case.world or case.world != former.fingerprint:
        return Done(record.name, None, "it is not as it was judged")
    # A former attempt's tombstone tells of images that are gone by now.
    if former.intended is not Stage.DELETED:
        services.tombstones.put(snapshot, now, hearing.policy.hash)
        services.book.note_taken(record.name, now)
    intended = _intend(record, replace(former, intended=Stage.DELETED), decision, services, now)
    failed = _delete_images(intended, snapshot, deleting, services)
    if not _still_ours(intended, services):
        return Done(record.name, None, TAKEN_BACK)
    if failed:
        why = "; ".join(f"{digest}: {reason}" for digest, reason in sorted(failed.items())[:3])
        return _stays(intended, f"{len(failed)} images were not deleted: {why}", decision, services, now)
    try:
        deleting.delete_repository(snapshot.name)
    except Refused as error:
        # Something was pushed since all was read: it survives, and the next run takes everything else back.
        return _stays(intended, f"the repository was not deleted: {error}", decision, services, now)
    left = services.registry.snapshot(snapshot.name)
    if left is not None and left.created_at == snapshot.created_at:
        return _stays(intended, "ECR still shows the repository", decision, services, now)
    ended = replace(former, stage=Stage.DELETED, since=now, intended=None)
    _write_outcome(intended, ended, decision, services, now, {"images": len(snapshot.held)})
    return Done(record.name, Stage.DELETED)


def _delete_images(intended: RepositoryRecord, snapshot: Snapshot, deleting: DeletingRegistry, services: Services) -> Mapping[str, str]:
    """Delete exactly the images that were judged, referring ones first; give what could not be deleted, and why.

    Before each batch it is asked whether the repository was taken back, and whether there is time.
    """
    left: Sequence[str] = [image.digest for image in deletion_order(snapshot.held)]
    for _ in range(ROUNDS):
        failed: dict[str, str] = {}
        for start in range(0, len(left), BATCH):
            if not services.may_go_on() or not _still_ours(intended, services):
                return dict.fromkeys(left[start:], "not begun")
            failed |= deleting.delete_images(snapshot.name, left[start : start + BATCH])
        if not failed or len(failed) == len(left):
            return failed
        left = [digest for digest in left if digest in failed]
    return failed


def _take_back(case: Case, decision: Decision, record: RepositoryRecord, services: Services, now: datetime) -> Done:
    """Undo every step: first the tag without which nothing is deleted, then the policy, then the archive, and the mark at last.

    Who was seen to use it is written with the intent: an interruption does not make it forgotten.
    """
    snapshot, former, intended = case.snapshot, case.retirement or Retirement(Stage.OBSERVED, now, case.snapshot.created_at), record
    not_before, ours = former.not_before, former.birth == snapshot.created_at
    if decision.in_use:
        record = replace(record, used_at=now)
    if former.intended is not Stage.OBSERVED or decision.in_use:
        if decision.vetoed and case.terms:
            not_before = now + timedelta(days=case.terms.after_days)
        intended = _intend(record, replace(former, intended=Stage.OBSERVED, not_before=not_before), decision, services, now)
    services.registry.untag(snapshot, [STATE] if snapshot.tag(STATE) is not None else [])
    lost = ""
    if isinstance(snapshot.policy, str) and is_ours(snapshot.policy):
        lost = _open(snapshot, released(snapshot.policy, former.original_policy, ours=ours), services)
    refused = 0
    for image in snapshot.held:
        if ours and former.archiving_since and image.status == ARCHIVED and (image.archived_at or NEVER_BEFORE) >= former.archiving_since:
            try:
                services.registry.activate(snapshot.name, image.digest)
            except Refused as error:
                refused += 1
                logger.warning("image not brought back", extra={"repository": record.name, "digest": image.digest, "why": str(error)})
    if refused:
        return _stays(intended, f"ECR refused to bring {refused} images back from the archive", decision, services, now)
    services.registry.untag(snapshot, [DELETE_AFTER] if snapshot.tag(DELETE_AFTER) is not None else [])
    if snapshot.unreadable:
        # What could not be read could not be undone: it stays to be done.
        return _stays(intended, f"not all of it could be read: {'; '.join(snapshot.unreadable)}", decision, services, now)
    ended = Retirement(Stage.OBSERVED, now, snapshot.created_at, not_before=not_before)
    more = {"owner": case.owner, **({"lost_policy": lost} if lost else {})}
    _write_outcome(intended, ended, decision, services, now, more)
    return Done(record.name, Stage.OBSERVED, "; ".join(reason.seen for reason in decision.against))


def _open(snapshot: Snapshot, text: str | None, services: Services) -> str:
    """Put back the policy from before the quarantine; give it if ECR does not take it any more.

    ECR refuses a policy that names a role that is gone by now. Pulls matter more than it: then there is none, and the ledger keeps it.
    """
    try:
        _set_policy(snapshot, text, services)
    except Refused as error:
        logger.warning("the former policy was refused", extra={"repository": snapshot.name, "why": str(error)})
        _set_policy(snapshot, None, services)
        return text or ""
    return ""


def _ended(name: str, record: RepositoryRecord | None, services: Services, now: datetime) -> Done:
    """The repository is gone: by us, if that was intended, or by somebody else."""
    if record is None or record.retirement is None or not record.retirement.under_way:
        return Done(name, None, "there is no such repository")
    ours = record.retirement.intended is Stage.DELETED
    ended = replace(record.retirement, stage=Stage.DELETED, since=now, intended=None)
    why = "an interrupted run had deleted it" if ours else "somebody else deleted it"
    _write_outcome(record, ended, Decision(Stage.DELETED, ()), services, now, {"why": why})
    return Done(name, Stage.DELETED, why)


# --- the ledger -----------------------------------------------------------------------------------------------------------------------


def _intend(record: RepositoryRecord, retirement: Retirement, decision: Decision, services: Services, now: datetime) -> RepositoryRecord:
    """Write what is about to be done. Raises Contended: then somebody else is at it, and nothing is done."""
    to = retirement.intended
    body = {
        "at": now.isoformat(),
        "from": retirement.stage.value,
        "to": to.value if to else None,
        "state": as_data(retirement),
        "reasons": reasons_as_data(decision),
    }
    intended, entry = append(replace(record, retirement=retirement), INTENT, body)
    return services.ledger.write(intended, entry)


def _reached(
    intended: RepositoryRecord,
    stage: Stage,
    decision: Decision,
    services: Services,
    now: datetime,
    *,
    owner: str | None,
    policy_hash: str = "",
) -> Done:
    if intended.retirement is None:
        raise AssertionError("a step without a retirement")
    reached = replace(intended.retirement, stage=stage, since=now, intended=None)
    _write_outcome(intended, reached, decision, services, now, {"owner": owner, **({"policy_hash": policy_hash} if policy_hash else {})})
    return Done(intended.name, stage)


def _stays(intended: RepositoryRecord, why: str, decision: Decision, services: Services, now: datetime) -> Done:
    """A step was not completed: it stays intended, and the ledger says why."""
    if intended.retirement is None:
        raise AssertionError("a step without a retirement")
    _write_outcome(intended, intended.retirement, decision, services, now, {"why": why})
    return Done(intended.name, None, why)


def _write_outcome(
    record: RepositoryRecord,
    retirement: Retirement,
    decision: Decision,
    services: Services,
    now: datetime,
    more: Mapping[str, Any],
) -> None:
    """Write what came of a step. A look that wrote meanwhile changes nothing of it: it is what was done.

    Raises Overtaken if somebody else has taken the retirement another way, Contended.
    """
    before = record.retirement
    for _ in range(WRITES):
        if retirement.stage is Stage.MARKED and before is not None and before.stage is Stage.OBSERVED:
            # The notice is the entry that is about to be written, whoever wrote meanwhile.
            retirement = replace(retirement, notice=record.entries + 1)
        body = {
            "at": now.isoformat(),
            "from": before.stage.value if before else Stage.OBSERVED.value,
            "to": retirement.stage.value,
            "intended": retirement.intended.value if retirement.intended else None,
            "delete_after": retirement.delete_after,
            "policy_hash": record.policy_hash,
            "state": as_data(retirement),
            "reasons": reasons_as_data(decision),
            **more,
        }
        updated, entry = append(replace(record, retirement=retirement), OUTCOME, body)
        try:
            services.ledger.write(updated, entry)
        except Contended:
            current = services.ledger.read(record.name)
            if current is None or current.created_at != record.created_at:
                raise
            if current.retirement != before:
                raise Overtaken(record.name) from None
            record = current
        else:
            return
    raise Contended(f"{record.name}: the outcome of its retirement could not be written")


def reasons_as_data(decision: Decision) -> list[dict[str, Any]]:
    """Give every reason of a decision as a JSON object: the form that ledger, plan and command line share."""
    return [
        {
            "check": reason.check,
            "seen": reason.seen,
            "weight": reason.weight.value,
            **({"until": reason.until.isoformat()} if reason.until else {}),
        }
        for reason in decision.reasons
    ]
