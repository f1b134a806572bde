"""What retiring needs of the world, besides the ledger and the policy."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from ecr_governor.core.retirement.evidence import Evidence
from ecr_governor.core.retirement.snapshot import Snapshot
from ecr_governor.core.retirement.tombstone import Settings, Tombstone


class RetiringRegistry(Protocol):
    """Amazon ECR, as far as it takes to retire. What ECR refuses is `Refused`; trouble that passes is `Throttled`.

    A repository that is not there any more is no trouble: there is nothing left to do to it.
    """

    def snapshot(self, name: str) -> Snapshot | None:
        """Read a repository with all its images, of any status; None if there is none. Raises Throttled, Denied."""

    def pull_time_exclusions(self) -> Sequence[str]:
        """List the roles whose pulls ECR does not record. Raises Throttled, Denied."""

    def tag(self, snapshot: Snapshot, tags: Mapping[str, str]) -> None:
        """Set tags of the repository."""

    def untag(self, snapshot: Snapshot, keys: Iterable[str]) -> None:
        """Remove tags of the repository."""

    def set_policy(self, name: str, text: str | None) -> None:
        """Set the repository policy; None removes it."""

    def archive(self, name: str, digest: str) -> None:
        """Move one image to the archive."""

    def activate(self, name: str, digest: str) -> None:
        """Begin to bring one image back from the archive."""


class DeletingRegistry(RetiringRegistry, Protocol):
    """The same, for the only function that deletes."""

    def settings(self, name: str) -> Settings | None:
        """Read how a repository is set up; None if there is none. Raises Throttled, Denied."""

    def delete_images(self, name: str, digests: Sequence[str]) -> Mapping[str, str]:
        """Delete images by digest, at most 100; give why for each that was not deleted. Raises Throttled, Refused."""

    def delete_repository(self, name: str) -> None:
        """Delete a repository that holds no image. ECR refuses for one that does. Raises Throttled, Refused."""


class Witnesses(Protocol):
    """Who is asked for use."""

    def evidence(self, sources: Sequence[str], now: datetime) -> Sequence[Evidence]:
        """Ask each source. One that cannot be read says so in its evidence; nothing is raised for it."""


class Tombstones(Protocol):
    """Where what was deleted is remembered."""

    def put(self, tombstone: Tombstone) -> str:
        """Keep what is known of a repository before it is deleted; give where. Raises Throttled, Denied, Unintelligible."""

    def read(self, name: str, created_at: datetime) -> Tombstone | None:
        """Read it back; None if there is none. Raises Throttled, Denied, Unintelligible."""


class RunBook(Protocol):
    """How much was taken away lately."""

    def taken_since(self, since: datetime) -> int:
        """Count the repositories that were taken a stage further since then."""

    def note_taken(self, name: str, at: datetime) -> None:
        """Count one."""

    def ask(self, question: Mapping[str, Any], at: datetime) -> bool:
        """Have people asked about a list that only they can let pass; False if they were asked of the same one lately."""
