"""Where sweeps keep what they find, and the shelf that they look things up on."""

from itertools import count
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from ecr_governor.adapters.runs import CHUNK, DirectoryRunStore, S3RunStore
from ecr_governor.adapters.shelf import FileShelf
from ecr_governor.app.sweep.ports import RunStore, Shelf
from local.server import EmbeddedAws
from tests.sweeping import MemoryRunStore, MemoryShelf

_numbers = count()


@pytest.fixture(params=["memory", "directory", "s3"])
def runs(request: pytest.FixtureRequest, aws: EmbeddedAws, tmp_path: Path) -> RunStore:
    if request.param == "memory":
        return MemoryRunStore()
    if request.param == "directory":
        return DirectoryRunStore(tmp_path)
    bucket = f"runs-{next(_numbers)}"
    aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return S3RunStore(aws.client("s3"), bucket)


@pytest.fixture(params=[MemoryShelf, FileShelf], ids=["memory", "file"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    made: Shelf = request.param()
    return made


def test_a_document_is_what_was_written_last(runs: RunStore) -> None:
    assert runs.document("sweeps/a/sweep") is None
    runs.put_document("sweeps/a/sweep", {"number": 1, "text": "ü"})
    runs.put_document("sweeps/a/sweep", {"number": 2, "text": "ü"})
    assert runs.document("sweeps/a/sweep") == {"number": 2, "text": "ü"}
    assert runs.document("sweeps/b/sweep") is None


def test_lines_come_back_in_order_and_none_where_there_is_no_file(runs: RunStore) -> None:
    lines = [f'{{"number": {number}}}'.encode() for number in range(3_000)]
    assert list(runs.lines("sweeps/a/lines")) == []
    runs.put_lines("sweeps/a/lines", iter(lines))
    assert list(runs.lines("sweeps/a/lines")) == lines
    runs.put_lines("sweeps/a/lines", [b"1"])
    assert list(runs.lines("sweeps/a/lines")) == [b"1"]
    runs.put_lines("sweeps/a/lines", [])
    assert list(runs.lines("sweeps/a/lines")) == []


def test_lines_of_any_length_come_back_whole(runs: RunStore) -> None:
    lines = [bytes([65 + number % 26]) * length for number, length in enumerate([1, CHUNK - 2, 1, CHUNK, 3 * CHUNK + 7, 0, 5])]
    runs.put_lines("sweeps/a/long", lines)
    assert list(runs.lines("sweeps/a/long")) == lines


@pytest.mark.parametrize("cut", [5, 400])
def test_what_stands_before_a_damage_is_not_lost_with_it(tmp_path: Path, cut: int) -> None:
    runs, lines = DirectoryRunStore(tmp_path), [f"{number:05} {number * 7919}".encode() for number in range(90)]
    runs.put_lines("whole", lines)
    path = tmp_path / "whole.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-cut])
    read: list[bytes] = []
    try:
        for line in runs.lines("whole"):
            read.append(line)  # noqa: PERF402 - those before the error count
    except EOFError:
        pass
    else:
        pytest.fail("the damage was not told")
    assert read
    assert lines[: len(read)] == read


def test_files_join_to_one_without_those_that_do_not_exist(runs: RunStore) -> None:
    runs.put_lines("a/1", [b"1", b"2"])
    runs.put_lines("a/2", [])
    runs.put_lines("a/3", [b"3"])
    runs.join(["a/1", "a/2", "a/missing", "a/3"], "a/whole")
    assert list(runs.lines("a/whole")) == [b"1", b"2", b"3"]
    runs.join([], "a/empty")
    assert list(runs.lines("a/empty")) == []


def test_the_same_lines_are_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        DirectoryRunStore(tmp_path / folder).put_lines("x", [b"1", b"2"])
    assert (tmp_path / "a" / "x.jsonl.gz").read_bytes() == (tmp_path / "b" / "x.jsonl.gz").read_bytes()


def test_a_bucket_that_is_not_there_is_no_empty_store(aws: EmbeddedAws) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        S3RunStore(aws.client("s3"), "runs-nobody-made").document("x")


def test_a_shelf_gives_the_last_value_of_a_name(shelf: Shelf) -> None:
    for number in range(500):
        shelf.put(f"name-{number % 250}", f"value-{number}".encode() * 30)
    assert shelf.read("name-3") == b"value-253" * 30
    assert shelf.take("name-249") == b"value-499" * 30
    assert shelf.read("name-250") is None
    assert shelf.take("") is None


def test_what_was_not_taken_is_the_rest(shelf: Shelf) -> None:
    for name in ("a", "b", "c"):
        shelf.put(name, name.encode())
    shelf.put("a", b"again")
    shelf.read("b")
    assert shelf.take("c") == b"c"
    assert sorted(shelf.rest()) == [("a", b"again"), ("b", b"b")]


@pytest.mark.parametrize("size", [0, 1, 1_000, 1_023, 1_024, 5_000, 70_000])
def test_values_of_any_size_and_names_of_any_letters_come_back(shelf: Shelf, size: int) -> None:
    shelf.put("ü/\n", b"x" * size)
    shelf.put("n" * 1_100, b"y" * size)
    assert shelf.read("ü/\n") == b"x" * size
    assert shelf.read("n" * 1_100) == b"y" * size


def test_values_come_back_in_any_order_while_others_are_put(shelf: Shelf) -> None:
    values = {f"team/service-{number}": bytes([number]) * (number * 37 % 3000) for number in range(200)}
    for number, (name, value) in enumerate(values.items()):
        shelf.put(name, value)
        earlier = f"team/service-{number * 7 % (number + 1)}"
        assert shelf.read(earlier) == values[earlier]
    assert [shelf.take(name) for name in reversed(values)] == list(reversed(values.values()))


def test_names_of_the_same_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecr_governor.adapters.shelf.hash", lambda _: 7, raising=False)
    shelf = FileShelf()
    for name in ("a", "b", "c", "a"):
        shelf.put(name, f"{name}!".encode())
    shelf.put("b", b"newer")
    assert [shelf.take(name) for name in ("a", "b", "c", "d")] == [b"a!", b"newer", b"c!", None]
    assert list(shelf.rest()) == []
