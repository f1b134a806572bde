"""A trail's files read from their bucket: as from a copy of it, gaps and all; and what the bucket does not give is told for what it is."""

import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, IncompleteReadError

from cli.backtest.objects import AHEAD, Address, InBucket, ahead, objects_at, source
from cli.deployment import Deployment
from cli.trouble import Trouble
from ecr_governor.adapters import trail_bucket
from ecr_governor.adapters.signed import Unreached
from ecr_governor.adapters.trail_bucket import ATTEMPTS, TrailBucket
from ecr_governor.app.errors import Denied, Throttled
from tests.commands import Ended, run
from tests.trails import ACCOUNT, REGION, Trail

NAME = "payments/api"
POLICY = "version: 1\nmode: enforce\nnamespaces: {ROOT: {tag_mutability: IMMUTABLE, retirement: {after_days: 30, grace_days: 1, then: quarantine}}}\n"


def answer(code: str, operation: str = "GetObject") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


class Body:
    """What a key holds, given in pieces; it may break on the way."""

    def __init__(self, data: bytes, breaks: Exception | None) -> None:
        self._data, self._breaks = data, breaks

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        for start in range(0, len(self._data), size):
            yield self._data[start : start + size]
            if self._breaks:
                raise self._breaks


class Bucket:
    """S3, as far as a bucket of records is read. `troubles` are raised, one for each time that a key is asked for."""

    def __init__(self, objects: dict[str, bytes], page: int = 2) -> None:
        self.objects, self.page = objects, page
        self.troubles: dict[str, list[Exception]] = {}
        self.got: list[str] = []

    def list_objects_v2(self, *, Bucket: str, Prefix: str, ContinuationToken: str = "0") -> dict[str, Any]:  # noqa: N803 - boto3's names
        if Bucket != "trail":
            raise answer("NoSuchBucket", "ListObjectsV2")
        keys = sorted(key for key in self.objects if key.startswith(Prefix))
        start = int(ContinuationToken)
        more = {"NextContinuationToken": str(start + self.page)} if start + self.page < len(keys) else {}
        return {"Contents": [{"Key": key, "Size": len(self.objects[key])} for key in keys[start : start + self.page]], **more}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.got.append(Key)
        trouble = self.troubles[Key].pop(0) if self.troubles.get(Key) else None
        if isinstance(trouble, ClientError):
            raise trouble
        return {"Body": Body(self.objects[Key], trouble)}


def copied(folder: Path) -> Bucket:
    return Bucket({path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()})


Backtest = Callable[..., Ended]


@pytest.fixture
def backtest(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Backtest:
    (tmp_path / "policy.yaml").write_text(POLICY)

    def call(bucket: Bucket | None, *arguments: object) -> Ended:
        monkeypatch.setattr(Deployment, "client", lambda _self, _service: bucket)
        return run(capsys, monkeypatch, "policy", "backtest", str(tmp_path / "policy.yaml"), *map(str, arguments))

    return call


def a_folder(folder: Path) -> Path:
    """Files of a trail: one for each day but one, one of them cut short, others of another account, and a digest that knows of one more."""
    for number in range(70):
        if number != 40:
            day = Trail().created(NAME) if number == 0 else Trail().call("DescribeImages", number)
            day.file(folder, number, cut=20 if number == 50 else 0)
    other = Trail("210987654321")
    other.created("payments/other").file(folder, 5)
    digest = (
        folder / f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/2026/01/08/{ACCOUNT}_CloudTrail-Digest_{REGION}_t_20260108T100000Z.json.gz"
    )
    digest.parent.mkdir(parents=True)
    listed = [{"s3Object": f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/01/08/lost.json.gz"}]
    span = {"digestStartTime": "2026-01-08T09:00:00Z", "digestEndTime": "2026-01-08T10:00:00Z"}
    digest.write_bytes(gzip.compress(json.dumps({**span, "logFiles": listed}).encode()))
    return folder


def test_a_bucket_says_what_a_copy_of_it_says_gaps_and_all(backtest: Backtest, tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "trail")
    options = ("--account", ACCOUNT, "--region", REGION, "--output", "json")
    there, here = copied(folder), backtest(None, "--events", folder, *options)
    read = backtest(there, "--events", "s3://trail/AWSLogs", *options)

    assert (read.code, here.code) == (3, 3)
    assert json.loads(read.out.replace("s3://trail", str(folder))) == json.loads(here.out)
    why = {gap["why"] for gap in json.loads(read.out)["gaps"]}
    assert {"it cannot be read from its beginning: it is cut short", "a digest lists it, and it is not there"} <= why
    # What is of another registry is not fetched, and counted.
    assert not [key for key in there.got if "210987654321" in key]
    assert len(there.got) == len(there.objects) - 1


def test_it_goes_on_where_it_was_when_the_bucket_could_not_be_reached(backtest: Backtest, tmp_path: Path) -> None:
    there, state = copied(a_folder(tmp_path / "trail")), tmp_path / "state.json"
    late = sorted(key for key in there.objects if "/CloudTrail/" in key)[60]
    there.troubles[late] = [IncompleteReadError(actual_bytes=1, expected_bytes=2)] * ATTEMPTS
    where = ("--events", "s3://trail/", "--account", ACCOUNT, "--region", REGION, "--state", state, "--output", "json")

    stopped = backtest(there, *where)
    assert stopped.code == 3
    assert stopped.err.startswith("error: s3://trail/ could not be read to its end\n  why: s3:GetObject: ")
    fetched = len(there.got)
    again = backtest(there, *where)
    assert json.loads(again.out) == json.loads(
        backtest(copied(tmp_path / "trail"), *(each for each in where if each not in ("--state", state))).out
    )
    assert len(there.got) - fetched < AHEAD + 10


@pytest.mark.parametrize(
    ("events", "what"),
    [
        ("s3://trail/nothing", "s3://trail/nothing holds no records"),
        ("s3://other/", "there is no bucket other"),
        ("s3:/trail", "'s3:/trail' is no address in S3"),
        ("s3://", "'s3://' is no address in S3"),
        ("s3://Trail/x", "'s3://Trail/x' is no address in S3"),
    ],
)
def test_what_can_be_mended_is_said_in_three_lines(backtest: Backtest, tmp_path: Path, events: str, what: str) -> None:
    ended = backtest(copied(a_folder(tmp_path / "trail")), "--events", events)

    assert ended.code == 2
    assert ended.err.startswith(f"error: {what}\n  why: ")


def test_an_address_is_a_folder_or_a_file(tmp_path: Path) -> None:
    bucket = TrailBucket(
        Bucket({"a/1.json": b"1", "a/b.json": b"22", "a/b.json.sig": b"3", "ab/1.json": b"4", "a/empty.json": b""}), "trail"
    )  # type: ignore[arg-type]

    def keys(address: str) -> list[tuple[str, int]]:
        found = source(address)
        assert isinstance(found, Address)
        return [(each.name, each.size) for each in objects_at(found, bucket)]

    assert keys("s3://trail/a") == keys("s3://trail/a/") == [("s3://trail/a/1.json", 1), ("s3://trail/a/b.json", 2)]
    assert keys("s3://trail/a/b.json") == [("s3://trail/a/b.json", 2)]
    assert len(keys("s3://trail")) == len(keys("s3://trail/")) == 3
    assert source("trail/a") == Path("trail/a")
    with pytest.raises(Trouble, match="holds no records"):
        keys("s3://trail/a/b")


@pytest.mark.parametrize(
    ("troubles", "raised", "asked"),
    [
        ([], None, 1),
        ([IncompleteReadError(actual_bytes=1, expected_bytes=2)], None, 2),
        ([IncompleteReadError(actual_bytes=1, expected_bytes=2)] * ATTEMPTS, Unreached, ATTEMPTS),
        ([answer("NoSuchKey")], FileNotFoundError, 1),
        ([answer("InvalidObjectState")], OSError, 1),
        ([answer("AccessDenied")], Denied, 1),
        ([answer("SlowDown")], Throttled, 1),
    ],
)
def test_a_broken_connection_is_no_broken_file(
    monkeypatch: pytest.MonkeyPatch, troubles: list[Exception], raised: type[Exception] | None, asked: int
) -> None:
    monkeypatch.setattr(trail_bucket, "CHUNK", 2)
    monkeypatch.setattr(trail_bucket, "IN_MEMORY", 4)
    s3 = Bucket({"x": b"content"})
    s3.troubles["x"] = troubles
    bucket = TrailBucket(s3, "trail")  # type: ignore[arg-type]

    if raised is None:
        with bucket.read("x") as read:
            assert read.peek(1)[:1] == b"c"
            assert read.read() == b"content"
    else:
        with pytest.raises(raised) as caught:
            bucket.read("x")
        assert isinstance(caught.value, OSError) is (raised not in {Unreached, Denied, Throttled})
    assert len(s3.got) == asked


def test_files_come_in_their_order_and_not_many_are_fetched_ahead() -> None:
    begun: list[int] = []

    def opening(number: int) -> io.BufferedReader:
        begun.append(number)
        return io.BufferedReader(io.BytesIO(str(number).encode()))  # type: ignore[arg-type]

    files = [InBucket(str(number), 1, lambda number=number: opening(number)) for number in range(3 * AHEAD)]  # type: ignore[misc]
    for place, (file, open_) in enumerate(ahead(files)):
        assert (file.name, open_().read()) == (str(place), str(place).encode())
        assert max(begun) <= place + AHEAD
    assert sorted(begun) == list(range(3 * AHEAD))
