"""How far one repository's retirement is. It stands in the repository's record, and goes with it when the repository does."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final


class Stage(StrEnum):
    """The stages, in their order. Some can be left out, none can be reached but from one before it."""

    OBSERVED = "observed"
    MARKED = "marked"
    QUARANTINED = "quarantined"
    ARCHIVED = "archived"
    DELETED = "deleted"

    @property
    def rank(self) -> int:
        """Its place in the order."""
        return _RANKS[self]


_LEAVES_TRACES: Final = frozenset({Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED})
_RANKS: Final = {stage: rank for rank, stage in enumerate(Stage)}


@dataclass(frozen=True, slots=True)
class Retirement:
    """A retirement under way.

    `since` is when its stage was entered, `birth` when the repository was created that it speaks of: another one of the same name begins
    anew. `notice` is the number of the newest ledger entry that told of the mark, `noticed_at` when it was written.

    `fingerprint` and `terms` are what was judged, and by what part of the policy. `delete_after` is the mark's value. `intended` is a
    step whose outcome is not recorded yet, `original_policy` the repository policy from before the quarantine, the images
    archived from `archiving_since` on are ours to bring back. `not_before` is when a repository may be marked again after a veto.
    """

    stage: Stage
    since: datetime
    birth: datetime | None = None
    fingerprint: str = ""
    terms: str = ""
    delete_after: str = ""
    notice: int = 0
    intended: Stage | None = None
    original_policy: str | None = None
    archiving_since: datetime | None = None
    not_before: datetime | None = None
    noticed_at: datetime | None = None

    @property
    def under_way(self) -> bool:
        """Whether anything has been done, or was about to be, that may have to be undone."""
        return self.intended is not None or self.stage in _LEAVES_TRACES


def as_data(retirement: Retirement) -> dict[str, Any]:
    """Give a retirement as a JSON object: what each entry about it holds, so that the chain's hashes cover it."""
    return {
        "stage": retirement.stage.value,
        "since": retirement.since.isoformat(),
        "birth": _moment(retirement.birth),
        "fingerprint": retirement.fingerprint,
        "terms": retirement.terms,
        "delete_after": retirement.delete_after,
        "notice": retirement.notice,
        "intended": retirement.intended.value if retirement.intended else None,
        "original_policy": retirement.original_policy,
        "archiving_since": _moment(retirement.archiving_since),
        "not_before": _moment(retirement.not_before),
        "noticed_at": _moment(retirement.noticed_at),
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
