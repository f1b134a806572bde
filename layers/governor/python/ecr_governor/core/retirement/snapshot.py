"""One repository with everything that a step of its retirement rests on, as read at one time."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ecr_governor.core.repository import Unreadable

OURS: Final = "ecr-governor:"
"""With this the keys of our own tags begin."""
DELETE_AFTER: Final = "ecr-governor:delete-after"
"""The mark: since when a repository may go. Whoever removes it vetoes."""
STATE: Final = "ecr-governor:state"
"""The stage. The role that deletes may delete only what carries it."""
PROTECT: Final = "ecr-governor:protect"
"""Whatever its value: this repository stays. It can only keep, so anybody may set it."""
STACK: Final = "aws:cloudformation:stack-id"
"""CloudFormation's own tag on what it manages."""

ACTIVE: Final = "ACTIVE"
ARCHIVED: Final = "ARCHIVED"
_INDEXES: Final = frozenset({"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"})


@dataclass(frozen=True, slots=True)
class HeldImage:
    """One image of any status, as `DescribeImages` tells it. `subject` is the digest of what a signature or the like speaks of."""

    digest: str
    tags: frozenset[str]
    pushed_at: datetime
    pulled_at: datetime | None = None
    status: str = ACTIVE
    media_type: str = ""
    subject: str | None = None
    archived_at: datetime | None = None
    activated_at: datetime | None = None
    size_bytes: int = 0

    @property
    def last_activity(self) -> datetime:
        """The newest of push, recorded pull and return from the archive."""
        last = self.pushed_at
        for at in (self.pulled_at, self.activated_at):
            if at and at > last:
                last = at
        return last


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository as it is now. `policy` is the text of its repository policy, None where there is none."""

    name: str
    arn: str
    created_at: datetime
    tags: Mapping[str, str] | Unreadable
    policy: str | Unreadable | None
    images: tuple[HeldImage, ...] | Unreadable

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Why parts of it could not be read."""
        return tuple([part.why for part in (self.tags, self.policy, self.images) if isinstance(part, Unreadable)])

    @property
    def held(self) -> tuple[HeldImage, ...]:
        """Its images; none where they could not be read, which `unreadable` says."""
        return () if isinstance(self.images, Unreadable) else self.images

    @property
    def last_activity(self) -> datetime:
        """The newest of its creation and of anything that happened to its images."""
        return max([self.created_at, *[image.last_activity for image in self.held]])

    @property
    def size_bytes(self) -> int:
        """Compressed size of all images; layers that images share count each time."""
        return sum(image.size_bytes for image in self.held)

    def tag(self, key: str) -> str | None:
        """Give a tag's value."""
        return None if isinstance(self.tags, Unreadable) else self.tags.get(key)


def fingerprint(snapshot: Snapshot) -> str:
    """Identify what was judged: another push, pull, tag or return from the archive, or another tag of the repository, is another world.

    Our own tags, the repository policy and storage classes are left out: the retirement itself changes them, and they are looked at
    one by one. "" where a part could not be read.
    """
    if snapshot.unreadable or isinstance(snapshot.tags, Unreadable):
        return ""
    tags = json.dumps(sorted([key, value] for key, value in snapshot.tags.items() if not key.startswith(OURS)))
    world = "\n".join([snapshot.created_at.isoformat(), tags, *sorted(_row(image) for image in snapshot.held)])
    return hashlib.sha256(world.encode()).hexdigest()


def _row(image: HeldImage) -> str:
    # Neither a digest nor a tag has a space or a comma, so that no two images give the same line.
    pulled = image.pulled_at.isoformat() if image.pulled_at else ""
    activated = image.activated_at.isoformat() if image.activated_at else ""
    return f"{image.digest} {','.join(sorted(image.tags))} {image.pushed_at.isoformat()} {pulled} {activated}"


def deletion_order(images: Iterable[HeldImage]) -> Sequence[HeldImage]:
    """Order images so that none is deleted before what refers to it: indexes, then images, then what speaks of an image.

    ECR refuses to delete a child of an index that is there (ImageReferencedByManifestList). A signature goes after its subject, so that
    no image is left without it.
    """
    return sorted(images, key=lambda image: (image.subject is not None, image.media_type not in _INDEXES, image.digest))
