"""Which repositories a sweep has to read: those of which it does not know for certain that nothing has changed."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ecr_governor.core.fingerprint import listed_fingerprint
from ecr_governor.core.repository import Repository, Unreadable
from ecr_governor.core.standing import Standing

FULL_CHECK_DAYS: Final = 7
"""Within so many days every repository is read in full, a share of them with each sweep: what no event told is found by then."""
_DAY: Final = timedelta(days=1)


class Need(StrEnum):
    """Why a repository is read in full."""

    UNKNOWN = "unknown"
    RECREATED = "recreated"
    OTHER_POLICY = "other_policy"
    UNDETERMINED = "undetermined"
    CHANGED = "changed"
    ANNOUNCED = "announced"
    DUE = "due"
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class Terms:
    """What one sweep goes by. `judged_by` names policy and mode; `everything`: nothing that is known counts.

    `share`: whether today's share is read; without it only what may have changed is. `announced` are repositories that events told
    of and that no look has read since.
    """

    judged_by: str
    now: datetime
    everything: bool = False
    share: bool = True
    announced: frozenset[str] = frozenset()


def need(listed: Repository, tags: Mapping[str, str] | Unreadable, known: Standing | None, terms: Terms) -> Need | None:
    """Tell why a repository, as it was listed, must be read; None if what is known of it still holds."""
    if known is None:
        return Need.UNKNOWN
    if known.created_at != listed.created_at:
        return Need.RECREATED
    if terms.everything or known.judged_by != terms.judged_by:
        return Need.OTHER_POLICY
    if known.undetermined or not known.read or not known.listed:
        return Need.UNDETERMINED
    if known.name in terms.announced:
        return Need.ANNOUNCED
    if known.listed != listed_fingerprint(listed, tags):
        return Need.CHANGED
    if known.due_at is not None and known.due_at <= terms.now:
        return Need.DUE
    return Need.SHARE if terms.share and _of_todays_share(known, terms.now) else None


def _of_todays_share(known: Standing, now: datetime) -> bool:
    age = now - known.checked_at
    if age >= FULL_CHECK_DAYS * _DAY - _DAY / 2:
        # A night was missed.
        return True
    # The same day of the cycle for a name each time, and another for another name.
    turn = zlib.crc32(known.name.encode()) % FULL_CHECK_DAYS == now.toordinal() % FULL_CHECK_DAYS
    return turn and age >= _DAY / 2
