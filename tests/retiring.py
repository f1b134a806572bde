"""Retirement in memory: a registry with ECR's behaviour as far as retiring meets it, and everybody who is asked."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ecr_governor.app.errors import Refused
from ecr_governor.core.origin import Actor
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.repository import Unreadable
from ecr_governor.core.retirement.evidence import Evidence, Use
from ecr_governor.core.retirement.quarantine import is_in_force
from ecr_governor.core.retirement.snapshot import ARCHIVED, HeldImage, Snapshot
from ecr_governor.core.retirement.tombstone import Settings, Tombstone
from tests.fakes import ACCOUNT, REGION, T0, a_policy

CI = Actor("arn:aws:sts::123456789012:assumed-role/ci/build-1", "123456789012", "AssumedRole", "", "arn:aws:iam::123456789012:role/ci")
DAY = timedelta(days=1)
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ORIGINAL = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"Pull","Effect":"Allow","Principal":{"AWS":"210987654321"},"Action":"ecr:BatchGetImage"}]}'
)

LIFECYCLE = '{"rules":[]}'

TERMS = """
mode: enforce
owner_tag: owner
namespaces:
  ROOT:
    retirement: {after_days: 30, empty_after_days: 20, grace_days: 7, unowned_grace_days: 3, quarantine_days: 3, archive_days: 5, then: delete}
retirement:
  sources: [ecs]
  caps: {per_run: 2, percent: 100, per_owner: 2, per_namespace: 2, per_day: 3, marks: 5}
  window: {days: [mon, tue, wed, thu, fri, sat, sun]}
"""


def retiring_policy(change: Callable[[str], str] = lambda text: text) -> Policy:
    """A policy that deletes in the end, quickly, changed as a test needs it."""
    return a_policy(change(TERMS))


def digest(number: int) -> str:
    """A digest that is easy to tell from others."""
    return f"sha256:{number:064x}"


def an_image(number: int, pushed_at: datetime = T0, **more: Any) -> HeldImage:
    """An image of that number."""
    return HeldImage(digest(number), frozenset(more.pop("tags", ())), pushed_at, **{"media_type": MANIFEST, "size_bytes": 1000, **more})


@dataclass
class HeldRepository:
    """What ECR holds under a name."""

    created_at: datetime
    tags: dict[str, str] = field(default_factory=dict)
    policy: str | None = None
    images: dict[str, HeldImage] = field(default_factory=dict)
    children: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class MemoryRegistry:
    """ECR in memory. `calls` are all of them by name, `denied` facts that may not be read."""

    clock: Callable[[], datetime]
    repositories: dict[str, HeldRepository] = field(default_factory=dict)
    exclusions: list[str] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    calls: list[tuple[str, str]] = field(default_factory=list)

    def hold(self, name: str, *images: HeldImage, created_at: datetime = T0, **more: Any) -> HeldRepository:
        """Put a repository there."""
        held = HeldRepository(created_at, images={image.digest: image for image in images}, **more)
        self.repositories[name] = held
        return held

    def snapshot(self, name: str) -> Snapshot | None:
        self._called("snapshot", name)
        held = self.repositories.get(name)
        if held is None:
            return None
        return Snapshot(
            name,
            f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}",
            held.created_at,
            Unreadable("tags: denied") if "tags" in self.denied else dict(held.tags),
            Unreadable("policy: denied") if "policy" in self.denied else held.policy,
            Unreadable("images: denied") if "images" in self.denied else self.seen_images(held),
        )

    def seen_images(self, held: HeldRepository) -> tuple[HeldImage, ...]:
        """The images as a caller sees them."""
        return tuple(held.images.values())

    def pull_time_exclusions(self) -> Sequence[str]:
        self._called("exclusions", "")
        return list(self.exclusions)

    def tag(self, snapshot: Snapshot, tags: Mapping[str, str]) -> None:
        if held := self._changed("tag", snapshot.name):
            held.tags |= tags

    def untag(self, snapshot: Snapshot, keys: Iterable[str]) -> None:
        if held := self._changed("untag", snapshot.name):
            for key in keys:
                held.tags.pop(key, None)

    def set_policy(self, name: str, text: str | None) -> None:
        if held := self._changed("set_policy", name):
            held.policy = text

    def archive(self, name: str, digest: str) -> None:
        held = self._changed("archive", name)
        image = held.images.get(digest) if held else None
        if held and image and image.status != ARCHIVED:
            held.images[digest] = replace(image, status=ARCHIVED, archived_at=self.clock())

    def activate(self, name: str, digest: str) -> None:
        held = self._changed("activate", name)
        image = held.images.get(digest) if held else None
        if held and image and image.status == ARCHIVED:
            held.images[digest] = replace(image, status="ACTIVE", activated_at=self.clock())

    def settings(self, name: str) -> Settings | None:
        self._called("settings", name)
        return Settings(lifecycle_policy=LIFECYCLE) if name in self.repositories else None

    def delete_images(self, name: str, digests: Sequence[str]) -> Mapping[str, str]:
        held = self._changed("delete_images", name)
        failed: dict[str, str] = {}
        for one in digests if held else ():
            if held is None:
                break
            if any(one in held.children.get(parent, ()) for parent in held.images):
                failed[one] = "ImageReferencedByManifestList: referenced"
            elif held.images.pop(one, None):
                self.removed(name, one)
        return failed

    def delete_repository(self, name: str) -> None:
        held = self._changed("delete_repository", name)
        if held is None:
            return
        if held.images:
            raise Refused("it holds images")
        del self.repositories[name]
        self.removed(name, None)

    def removed(self, name: str, digest: str | None) -> None:
        """Hook: something was removed for good."""

    def quarantined(self, name: str) -> bool:
        """Whether a push or a pull would be denied."""
        held = self.repositories.get(name)
        return held is not None and is_in_force(held.policy)

    def _called(self, what: str, name: str) -> None:
        self.calls.append((what, name))

    def _changed(self, what: str, name: str) -> HeldRepository | None:
        self._called(what, name)
        return self.repositories.get(name)


MUTATING = frozenset({"tag", "untag", "set_policy", "archive", "activate", "delete_images", "delete_repository"})


@dataclass
class MemoryWitnesses:
    """Everybody who is asked: what they say, by source; a source in `silent` cannot be read."""

    uses: dict[str, list[Use]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    def evidence(self, sources: Sequence[str], now: datetime) -> Sequence[Evidence]:
        return [
            Evidence(source, now, trouble="AccessDenied")
            if source in self.silent
            else Evidence(source, now, tuple(self.uses.get(source, ())))
            for source in sources
        ]


@dataclass
class MemoryTombstones:
    """What was deleted."""

    kept: dict[tuple[str, datetime], Tombstone] = field(default_factory=dict)

    def put(self, tombstone: Tombstone) -> str:
        life = tombstone.snapshot.name, tombstone.snapshot.created_at
        self.kept[life] = tombstone.after(self.kept.get(life))
        return f"tombstones/{tombstone.snapshot.name}"

    def read(self, name: str, created_at: datetime) -> Tombstone | None:
        return self.kept.get((name, created_at))


@dataclass
class MemoryRunBook:
    """How much was taken away lately."""

    taken: list[tuple[datetime, str]] = field(default_factory=list)
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    def taken_since(self, since: datetime) -> int:
        return sum(at >= since for at, _ in self.taken)

    def note_taken(self, name: str, at: datetime) -> None:
        self.taken.append((at, name))

    def ask(self, question: Mapping[str, Any], at: datetime) -> bool:
        self.asked.append(question)
        return True


def watched(name: str, created_at: datetime, since: datetime) -> RepositoryRecord:
    """The record of a repository that was first seen at that time."""
    return RepositoryRecord(name, version=1, created_at=created_at, watched_since=since)


def same_policy(one: str | None, other: str | None) -> bool:
    """Whether two policies say the same."""
    return one == other or (one is not None and other is not None and bool(json.loads(one) == json.loads(other)))
