"""The last step: exactly the images that were judged, and then the repository, which ECR deletes only if nothing was pushed since."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from ecr_governor.app.errors import Refused
from ecr_governor.app.retirement.cases import Hearing, Services
from ecr_governor.app.retirement.ports import DeletingRegistry
from ecr_governor.app.retirement.recording import Done, intend, stays, still_ours, write_outcome
from ecr_governor.app.retirement.taking_back import TAKEN_BACK
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.retirement.decide import Case, Decision
from ecr_governor.core.retirement.quarantine import released
from ecr_governor.core.retirement.snapshot import Snapshot, deletion_order
from ecr_governor.core.retirement.state import Retirement, Stage
from ecr_governor.core.retirement.tombstone import Tombstone

BATCH: Final = 100
"""Images that one BatchDeleteImage takes."""
ROUNDS: Final = 5
"""How often images that others still refer to are tried: an index of indexes takes one round for each level."""


def delete(
    case: Case,
    decision: Decision,
    record: RepositoryRecord,
    hearing: Hearing,
    services: Services,
    now: datetime,
    deleting: DeletingRegistry | None,
) -> Done:
    """Delete a repository that is as it was judged; a tombstone is written first. Raises Throttled, Denied, Contended."""
    snapshot, former = case.snapshot, case.retirement
    if deleting is None:
        return Done(record.name, None, "deletion is not enabled in this deployment")
    if former is None or not former.fingerprint or case.world != former.fingerprint:
        return Done(record.name, None, "it is not as it was judged")
    # A former attempt's tombstone tells of images that are gone by now.
    if former.intended is not Stage.DELETED:
        settings = deleting.settings(snapshot.name)
        if settings is None:
            return Done(record.name, None, TAKEN_BACK)
        services.tombstones.put(Tombstone(_before_quarantine(snapshot, former), settings, now, hearing.policy.hash))
        services.book.note_taken(record.name, now)
    intended = intend(record, replace(former, intended=Stage.DELETED), decision, services, now)
    failed = _delete_images(intended, snapshot, deleting, services)
    if not still_ours(intended, services):
        return Done(record.name, None, TAKEN_BACK)
    if failed:
        why = "; ".join(f"{digest}: {reason}" for digest, reason in sorted(failed.items())[:3])
        return stays(intended, f"{len(failed)} images were not deleted: {why}", decision, services, now)
    try:
        deleting.delete_repository(snapshot.name)
    except Refused as error:
        # Something was pushed since all was read: it survives, and the next run takes everything else back.
        return stays(intended, f"the repository was not deleted: {error}", decision, services, now)
    left = services.registry.snapshot(snapshot.name)
    if left is not None and left.created_at == snapshot.created_at:
        return stays(intended, "ECR still shows the repository", decision, services, now)
    ended = replace(former, stage=Stage.DELETED, since=now, intended=None)
    judged = case.judged.held if case.judged else snapshot.held
    write_outcome(intended, ended, decision, services, now, {"images": len(judged)})
    return Done(record.name, Stage.DELETED)


def _before_quarantine(snapshot: Snapshot, former: Retirement) -> Snapshot:
    return replace(snapshot, policy=released(snapshot.policy, former.original_policy)) if isinstance(snapshot.policy, str) else snapshot


def _delete_images(intended: RepositoryRecord, snapshot: Snapshot, deleting: DeletingRegistry, services: Services) -> Mapping[str, str]:
    """Delete exactly the images that were judged, referring ones first; give what could not be deleted, and why.

    Before each batch it is asked whether the repository was taken back, and whether there is time.
    """
    left: Sequence[str] = [image.digest for image in deletion_order(snapshot.held)]
    for _ in range(ROUNDS):
        failed: dict[str, str] = {}
        for start in range(0, len(left), BATCH):
            if not services.may_go_on() or not still_ours(intended, services):
                return dict.fromkeys(left[start:], "not begun")
            failed |= deleting.delete_images(snapshot.name, left[start : start + BATCH])
        if not failed or len(failed) == len(left):
            return failed
        left = [digest for digest in left if digest in failed]
    return failed
