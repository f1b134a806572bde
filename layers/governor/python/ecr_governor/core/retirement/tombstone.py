"""What is kept of a repository that was deleted: enough to set it up again, and to know what it held."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ecr_governor.core.retirement.snapshot import OURS, HeldImage, Snapshot

_AWS: str = "aws:"
"""With this the keys of AWS's own tags begin, which nobody else may set."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a repository was set up, in ECR's own words. `lifecycle_policy` is the document's text, None where there was none."""

    tag_mutability: str = "MUTABLE"
    exclusion_filters: tuple[str, ...] = ()
    encryption: str = "AES256"
    kms_key: str | None = None
    scan_on_push: bool = False
    lifecycle_policy: str | None = None


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A repository's last snapshot, with the policy that it had before its quarantine; when it was taken, and by which policy file.

    `taken_before` are images that an earlier deletion had taken before the rest was given back.
    """

    snapshot: Snapshot
    settings: Settings
    at: datetime
    policy_hash: str
    taken_before: tuple[HeldImage, ...] = ()

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags that it had of its own."""
        tags = self.snapshot.tags if isinstance(self.snapshot.tags, Mapping) else {}
        return {key: value for key, value in tags.items() if not key.startswith((OURS, _AWS))}

    @property
    def images(self) -> tuple[HeldImage, ...]:
        """All images that were deleted, oldest push first."""
        return tuple(sorted((*self.taken_before, *self.snapshot.held), key=lambda image: (image.pushed_at, image.digest)))

    def after(self, former: "Tombstone | None") -> "Tombstone":
        """Give it with what a former one of the same repository knows of images that are gone by now."""
        if former is None:
            return self
        there = {image.digest for image in self.snapshot.held}
        gone = tuple(image for image in (*former.taken_before, *former.snapshot.held) if image.digest not in there)
        return Tombstone(self.snapshot, self.settings, self.at, self.policy_hash, gone)
