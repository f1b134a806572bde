"""The way back: what was done is undone, because something speaks for the repository, or somebody was refused it."""

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from ecr_governor.app.errors import Contended, Denied, Refused
from ecr_governor.app.retirement.cases import Services, case_of, hear
from ecr_governor.app.retirement.recording import Done, intend, stays, write_outcome
from ecr_governor.app.retirement.traces import set_policy
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.repository import Unreadable
from ecr_governor.core.retirement.decide import KEPT, USERS, Case, Decision, Reason, Weight
from ecr_governor.core.retirement.quarantine import is_ours, released
from ecr_governor.core.retirement.snapshot import ARCHIVED, DELETE_AFTER, STATE, Snapshot
from ecr_governor.core.retirement.state import Retirement, Stage

logger = logging.getLogger(__name__)

NOTED_EVERY: Final = timedelta(days=1)
TAKEN_BACK: Final = "it was taken back meanwhile"
NEVER_BEFORE: Final = datetime(1, 1, 1, tzinfo=UTC)


def release(name: str, attempt: str, services: Services, now: datetime, *, asked: bool = False, keep_until: datetime | None = None) -> Done:
    """Take a repository back because somebody was refused an image of it. Raises Throttled, Denied, Contended, Refused.

    Nothing has to be proved: who wants an image uses it. What is not retiring is left as it is, whatever the event says; what is only
    marked as well, unless somebody `asked` for it. With `keep_until` that is no sign of use: it is let alone until then, and no longer.
    """
    record = services.ledger.read(name)
    if record is None or record.retirement is None or record.retirement.stage is Stage.DELETED:
        # Most refused calls have nothing to do with us. What was taken back is looked at: a dying run may have left something behind.
        return Done(name, None, "it is not retiring")
    snapshot = services.registry.snapshot(name)
    if snapshot is None:
        return ended(name, record, services, now)
    if isinstance(snapshot.policy, Unreadable):
        raise Denied(snapshot.policy.why)
    retirement = record.retirement
    # An earlier attempt may have opened the policy and got no farther.
    begun = retirement.intended is Stage.OBSERVED or retirement.stage.rank >= Stage.QUARANTINED.rank
    if not (asked or begun or is_ours(snapshot.policy)):
        return Done(name, None, "it is in no quarantine")
    case = case_of(snapshot, record, hear(services, now, asked=False), services, now)
    wanted = Decision(Stage.OBSERVED, (Reason(KEPT if keep_until else USERS, attempt, Weight.CONTRARY),))
    return take_back(case, wanted, record, services, now, keep_until)


def note_use(name: str, services: Services, now: datetime) -> None:
    """Remember that somebody uses a repository, of which ECR's own times may say nothing. Raises Throttled, Denied.

    Whoever writes the record at the same moment is left alone: the next run sees the user again.
    """
    record = services.ledger.read(name)
    if record is not None and (record.used_at is None or now - record.used_at >= NOTED_EVERY):
        with suppress(Contended):
            services.ledger.write(replace(record, used_at=now))


def take_back(
    case: Case, decision: Decision, record: RepositoryRecord, services: Services, now: datetime, keep_until: datetime | None = None
) -> Done:
    """Undo every step: first the tag without which nothing is deleted, then the policy, then the archive, and the mark at last.

    Who was seen to use it, or until when somebody wants it kept, is written with the intent: an interruption does not make it forgotten.
    """
    snapshot, former, intended = case.snapshot, case.retirement or Retirement(Stage.OBSERVED, now, case.snapshot.created_at), record
    not_before, ours = former.not_before, former.birth == snapshot.created_at
    if decision.in_use:
        record = replace(record, used_at=now)
    if former.intended is not Stage.OBSERVED or decision.in_use or keep_until:
        if decision.vetoed and case.terms:
            not_before = now + timedelta(days=case.terms.after_days)
        if keep_until:
            not_before = max(keep_until, not_before or keep_until)
        intended = intend(record, replace(former, intended=Stage.OBSERVED, not_before=not_before), decision, services, now)
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
        return stays(intended, f"ECR refused to bring {refused} images back from the archive", decision, services, now)
    services.registry.untag(snapshot, [DELETE_AFTER] if snapshot.tag(DELETE_AFTER) is not None else [])
    if snapshot.unreadable:
        # What could not be read could not be undone: it stays to be done.
        return stays(intended, f"not all of it could be read: {'; '.join(snapshot.unreadable)}", decision, services, now)
    ended = Retirement(Stage.OBSERVED, now, snapshot.created_at, not_before=not_before)
    more = {"owner": case.owner, **({"lost_policy": lost} if lost else {})}
    write_outcome(intended, ended, decision, services, now, more)
    return Done(record.name, Stage.OBSERVED, "; ".join(reason.seen for reason in decision.against))


def undo(intended: RepositoryRecord, services: Services, now: datetime) -> Done:
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
    record = intend(record, begun, decision, services, now)
    case = case_of(snapshot, record, hear(services, now, asked=False), services, now)
    return take_back(case, decision, record, services, now)


def _open(snapshot: Snapshot, text: str | None, services: Services) -> str:
    """Put back the policy from before the quarantine; give it if ECR does not take it any more.

    ECR refuses a policy that names a role that is gone by now. Pulls matter more than it: then there is none, and the ledger keeps it.
    """
    try:
        set_policy(snapshot, text, services)
    except Refused as error:
        logger.warning("the former policy was refused", extra={"repository": snapshot.name, "why": str(error)})
        set_policy(snapshot, None, services)
        return text or ""
    return ""


def ended(name: str, record: RepositoryRecord | None, services: Services, now: datetime) -> Done:
    """The repository is gone: by us, if that was intended, or by somebody else."""
    if record is None or record.retirement is None or not record.retirement.under_way:
        return Done(name, None, "there is no such repository")
    ours = record.retirement.intended is Stage.DELETED
    ended = replace(record.retirement, stage=Stage.DELETED, since=now, intended=None)
    why = "an interrupted run had deleted it" if ours else "somebody else deleted it"
    write_outcome(record, ended, Decision(Stage.DELETED, ()), services, now, {"why": why})
    return Done(name, Stage.DELETED, why)
