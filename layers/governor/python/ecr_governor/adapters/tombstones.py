"""What was deleted, remembered in S3: one compressed JSON file for each life of a repository."""

import gzip
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ecr_governor.adapters.aws import code_of, raise_translated
from ecr_governor.app.errors import Unintelligible
from ecr_governor.core.retirement.snapshot import HeldImage, Snapshot
from ecr_governor.core.retirement.tombstone import Settings, Tombstone

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX: Final = "tombstones/"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A tombstone's parts as they are written: those of a snapshot that was wholly read."""

    at: datetime
    policy_hash: str
    name: str
    arn: str
    created_at: datetime
    tags: dict[str, str]
    policy: str | None
    images: tuple[HeldImage, ...]
    settings: Settings
    taken_before: tuple[HeldImage, ...]


_KEPT: Final = TypeAdapter(_Kept)


class S3Tombstones:
    """A bucket. A repository that was created anew under a former name has a tombstone of its own."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._s3 = client
        self._bucket = bucket

    def put(self, tombstone: Tombstone) -> str:
        """Keep a repository's tombstone; give its `s3://` address. Raises Throttled, Denied, Unintelligible.

        One of the same life may be there, of a deletion that was given up half way: what that one took stays known.
        Raises ValueError for a snapshot with a part that could not be read: it could not be restored from, so nothing may be deleted.
        """
        snapshot = tombstone.snapshot
        if snapshot.unreadable:
            raise ValueError(f"{snapshot.name} was not wholly read: {'; '.join(snapshot.unreadable)}")
        tombstone = tombstone.after(self.read(snapshot.name, snapshot.created_at))
        kept = _KEPT.validate_python(
            {
                "at": tombstone.at,
                "policy_hash": tombstone.policy_hash,
                "name": snapshot.name,
                "arn": snapshot.arn,
                "created_at": snapshot.created_at,
                "tags": snapshot.tags,
                "policy": snapshot.policy,
                "images": snapshot.images,
                "settings": tombstone.settings,
                "taken_before": tombstone.taken_before,
            }
        )
        key = _key(snapshot.name, snapshot.created_at)
        body = gzip.compress(_KEPT.dump_json(kept), mtime=0)
        try:
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/gzip")
        except ClientError as error:
            raise_translated(error, "s3:PutObject")
        return f"s3://{self._bucket}/{key}"

    def read(self, name: str, created_at: datetime) -> Tombstone | None:
        """Read a repository's tombstone back; None if there is none. Raises Unintelligible, Throttled, Denied."""
        key = _key(name, created_at)
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if code_of(error) == "NoSuchKey":
                return None
            raise_translated(error, "s3:GetObject")
        try:
            kept = _KEPT.validate_json(gzip.decompress(body))
        except (OSError, EOFError, zlib.error, ValidationError) as error:
            raise Unintelligible(f"s3://{self._bucket}/{key}: {error}") from error
        if (kept.name, kept.created_at) != (name, created_at):
            raise Unintelligible(f"s3://{self._bucket}/{key} tells of {kept.name}, created at {kept.created_at.isoformat()}")
        snapshot = Snapshot(kept.name, kept.arn, kept.created_at, kept.tags, kept.policy, kept.images)
        return Tombstone(snapshot, kept.settings, kept.at, kept.policy_hash, kept.taken_before)


def _key(name: str, created_at: datetime) -> str:
    # To the microsecond: a name can be created again within a second of its end.
    return f"{PREFIX}{name}/{created_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}/snapshot.json.gz"
