"""What was deleted, remembered in S3."""

import gzip
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import count

import pytest

from ecr_governor.adapters.tombstones import S3Tombstones
from ecr_governor.app.errors import Unintelligible
from ecr_governor.app.retirement.ports import Tombstones
from ecr_governor.core.repository import Unreadable
from ecr_governor.core.retirement.snapshot import ARCHIVED, HeldImage, Snapshot, fingerprint
from ecr_governor.core.retirement.tombstone import Settings, Tombstone
from local.server import EmbeddedAws
from tests.fakes import ACCOUNT, HOUR, REGION, T0

_numbers = count()
FULL = HeldImage(
    digest="sha256:" + "1" * 64,
    tags=frozenset({"v1", "latest"}),
    pushed_at=T0,
    pulled_at=T0 + HOUR,
    status=ARCHIVED,
    media_type="application/vnd.oci.image.index.v1+json",
    subject="sha256:" + "2" * 64,
    archived_at=T0 + 2 * HOUR,
    activated_at=T0 + HOUR,
    size_bytes=5_000_000_000,
)
SNAPSHOT = Snapshot(
    name="payments/api",
    arn=f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/payments/api",
    created_at=T0 - timedelta(microseconds=1),
    tags={"why": "because", "ecr-governor:state": "archived"},
    policy='{"Version": "2012-10-17", "Statement": []}',
    images=(FULL, HeldImage("sha256:" + "3" * 64, frozenset(), T0)),
)


SETTINGS = Settings(
    "IMMUTABLE_WITH_EXCLUSION", ("latest",), "KMS", "arn:aws:kms:eu-west-1:1:key/2", scan_on_push=True, lifecycle_policy='{"rules":[]}'
)


def a_stone(snapshot: Snapshot, at: datetime = T0) -> Tombstone:
    return Tombstone(snapshot, SETTINGS, at, "abc")


@pytest.fixture
def bucket(aws: EmbeddedAws) -> str:
    name = f"tombstones-{next(_numbers)}"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


@pytest.fixture(params=["embedded"])
def tombstones(request: pytest.FixtureRequest, aws: EmbeddedAws, bucket: str) -> Tombstones:
    return S3Tombstones(aws.client("s3"), bucket)


@pytest.mark.parametrize(
    "snapshot",
    [SNAPSHOT, replace(SNAPSHOT, policy=None, images=(), tags={}), replace(SNAPSHOT, tags={"why": "only"})],
    ids=["full", "empty", "a tag like a field"],
)
def test_a_snapshot_comes_back_as_it_was(tombstones: Tombstones, snapshot: Snapshot) -> None:
    assert tombstones.put(a_stone(snapshot)).endswith(".json.gz")
    read = tombstones.read(snapshot.name, snapshot.created_at)
    assert read == a_stone(snapshot)
    assert fingerprint(read.snapshot) == fingerprint(snapshot)


def test_there_is_none_of_what_was_never_deleted(tombstones: Tombstones) -> None:
    assert tombstones.read("payments/never", T0) is None


def test_each_life_of_a_name_has_its_own(tombstones: Tombstones) -> None:
    later = replace(SNAPSHOT, created_at=T0, images=())
    tombstones.put(a_stone(SNAPSHOT, T0))
    tombstones.put(a_stone(later, T0))
    assert tombstones.read(SNAPSHOT.name, SNAPSHOT.created_at) == a_stone(SNAPSHOT)
    assert tombstones.read(SNAPSHOT.name, T0) == a_stone(later)


def test_the_last_snapshot_of_a_life_counts_and_what_a_former_one_took_stays_known(tombstones: Tombstones) -> None:
    tombstones.put(a_stone(SNAPSHOT))
    without = replace(SNAPSHOT, policy=None, images=SNAPSHOT.images[1:])
    tombstones.put(a_stone(without, T0 + HOUR))
    read = tombstones.read(SNAPSHOT.name, SNAPSHOT.created_at)
    assert read == replace(a_stone(without, T0 + HOUR), taken_before=(FULL,))
    tombstones.put(a_stone(replace(without, images=()), T0 + 2 * HOUR))
    read = tombstones.read(SNAPSHOT.name, SNAPSHOT.created_at)
    assert read is not None
    assert {image.digest for image in read.images} == {FULL.digest, SNAPSHOT.held[1].digest}


def test_the_zone_that_a_time_is_told_in_does_not_matter(tombstones: Tombstones) -> None:
    elsewhere: datetime = SNAPSHOT.created_at.astimezone(timezone(timedelta(hours=9)))
    tombstones.put(a_stone(replace(SNAPSHOT, created_at=elsewhere), T0))
    assert tombstones.read(SNAPSHOT.name, SNAPSHOT.created_at) == a_stone(SNAPSHOT)


@pytest.mark.parametrize("part", ["tags", "policy", "images"])
def test_what_was_not_wholly_read_has_no_tombstone(aws: EmbeddedAws, bucket: str, part: str) -> None:
    gap = {part: Unreadable("ecr:X: AccessDeniedException")}
    with pytest.raises(ValueError, match="AccessDenied"):
        S3Tombstones(aws.client("s3"), bucket).put(a_stone(replace(SNAPSHOT, **gap), T0))  # type: ignore[arg-type]
    assert "Contents" not in aws.client("s3").list_objects_v2(Bucket=bucket)


def test_the_address_names_repository_and_life(aws: EmbeddedAws, bucket: str) -> None:
    address = S3Tombstones(aws.client("s3"), bucket).put(a_stone(replace(SNAPSHOT, created_at=T0), T0))
    assert address == f"s3://{bucket}/tombstones/payments/api/20261102T091407.000000Z/snapshot.json.gz"
    body = aws.client("s3").get_object(Bucket=bucket, Key=address.partition(f"{bucket}/")[2])["Body"].read()
    assert b'"policy_hash":"abc"' in gzip.decompress(body)


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: b"",
        lambda body: b"not gzip",
        lambda body: body[:-9],
        lambda body: body[:20] + b"\xff" + body[21:],
        lambda body: gzip.compress(b"{}"),
        lambda body: gzip.compress(b"{"),
        lambda body: gzip.compress(gzip.decompress(body).replace(b"payments/api", b"payments/web")),
    ],
    ids=["empty", "no gzip", "cut off", "a byte is wrong", "no snapshot", "no JSON", "another's"],
)
def test_a_damaged_one_is_no_snapshot_and_not_none(aws: EmbeddedAws, bucket: str, damage: object) -> None:
    s3, tombstones = aws.client("s3"), S3Tombstones(aws.client("s3"), bucket)
    key = tombstones.put(a_stone(SNAPSHOT, T0)).partition(f"{bucket}/")[2]
    s3.put_object(Bucket=bucket, Key=key, Body=damage(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))  # type: ignore[operator]
    with pytest.raises(Unintelligible, match=r"snapshot\.json\.gz"):
        tombstones.read(SNAPSHOT.name, SNAPSHOT.created_at)
