"""What says that an image is in use. Evidence can only keep: where a source cannot be read, it protects all it could have vouched for."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ecr_governor.core.retirement.snapshot import Snapshot

LONGEST_LIFE: Final = timedelta(days=7)
"""How long a file of evidence may be good at the most, whatever it says of itself."""


@dataclass(frozen=True, slots=True)
class Use:
    """One user of an image: a task, a function, a pod. `repository` is None where only a digest is known.

    `at` is when it was last seen to use the image, where a source remembers past use; None is now.
    """

    user: str
    repository: str | None = None
    digest: str | None = None
    tag: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one source knows, read at a time. `trouble` is why it could not be read, or not wholly; `expires_at` when it is stale."""

    source: str
    read_at: datetime
    uses: tuple[Use, ...] = ()
    trouble: str = ""
    expires_at: datetime | None = None

    def doubt(self, now: datetime) -> str:
        """Why it cannot be relied on; "" if it can."""
        if self.trouble:
            return f"{self.source} could not be read: {self.trouble}"
        if self.read_at > now:
            return f"{self.source} is from the future: {self.read_at.isoformat()}"
        return f"{self.source} is stale: it was good until {self.good_until.isoformat()}" if now > self.good_until else ""

    @property
    def good_until(self) -> datetime:
        """When it gets stale, whatever it says of itself."""
        longest = self.read_at + LONGEST_LIFE
        return min(self.expires_at or longest, longest)


def users_of(snapshot: Snapshot, evidence: Iterable[Evidence]) -> Iterator[str]:
    """Name who uses a repository or any image in it. A whole repository goes at once: one user of one image keeps all of it."""
    return (f"{source}: {use.user}" for source, use in _uses_of(snapshot, evidence) if use.at is None)


def last_used(snapshot: Snapshot, evidence: Iterable[Evidence]) -> datetime | None:
    """Give when a repository or any image in it was last in use, by sources that remember it; None if none does."""
    return max((use.at for _, use in _uses_of(snapshot, evidence) if use.at is not None), default=None)


def _uses_of(snapshot: Snapshot, evidence: Iterable[Evidence]) -> Iterator[tuple[str, Use]]:
    uses = [(each.source, use) for each in evidence for use in each.uses]
    digests = {image.digest for image in snapshot.held} if uses else set()
    for source, use in uses:
        if use.repository == snapshot.name or use.digest in digests:
            yield source, use


def missing(required: Sequence[str], evidence: Iterable[Evidence]) -> tuple[str, ...]:
    """Name the sources that the policy counts on and that said nothing at all."""
    heard = {each.source for each in evidence}
    return tuple(source for source in required if source not in heard)
