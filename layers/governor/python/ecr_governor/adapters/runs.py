"""Where sweeps keep what they find: in S3, or in a directory of this machine. Lines are compressed; files of lines join by their bytes."""

import gzip
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import code_of, raise_translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LEVEL = 3
"""Of compression: the next one takes twice the time for a tenth less."""
IN_MEMORY = 1 << 20
"""Bytes of a file of lines that are kept in memory before it goes to a file without a name."""
CHUNK = 1 << 16
AT_ONCE = 100
"""Lines that are packed together: each write costs as much as packing a line."""


class S3RunStore:
    """A bucket, under a prefix."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._s3 = client
        self._bucket = bucket

    def document(self, key: str) -> dict[str, Any] | None:
        """Read a JSON object; None if there is none. Raises Throttled, Denied."""
        body = self._open(f"{key}.json")
        return dict(json.loads(body.read())) if body else None

    def put_document(self, key: str, document: Mapping[str, Any]) -> None:
        """Write a JSON object, over the one that is there. Raises Throttled, Denied."""
        self._put(f"{key}.json", json.dumps(document, indent=1).encode(), "application/json")

    def lines(self, key: str) -> Iterator[bytes]:
        """Read a file line by line, without line breaks; none if there is no such file. Raises Throttled, Denied."""
        body = self._open(f"{key}.jsonl.gz")
        if body:
            yield from _unpacked(body)

    def put_lines(self, key: str, lines: Iterable[bytes]) -> None:
        """Write a file of lines, over the one that is there. Raises Throttled, Denied."""
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
            _pack(file, lines)
            file.seek(0)
            self._put(f"{key}.jsonl.gz", file, "application/gzip")

    def join(self, keys: Iterable[str], target: str) -> None:
        """Write one file with the lines of all; those that do not exist have none. Raises Throttled, Denied."""
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
            for key in keys:
                if body := self._open(f"{key}.jsonl.gz"):
                    _copy(body, file)
            file.seek(0)
            self._put(f"{target}.jsonl.gz", file, "application/gzip")

    def _open(self, key: str) -> Any:
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        except ClientError as error:
            if code_of(error) == "NoSuchKey":
                return None
            raise_translated(error, "s3:GetObject")

    def _put(self, key: str, body: Any, kind: str) -> None:
        try:
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=kind)
        except ClientError as error:
            raise_translated(error, "s3:PutObject")


class DirectoryRunStore:
    """A directory, for sweeps from the operator's machine."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def document(self, key: str) -> dict[str, Any] | None:
        """Read a JSON object; None if there is none."""
        path = self._directory / f"{key}.json"
        return dict(json.loads(path.read_bytes())) if path.exists() else None

    def put_document(self, key: str, document: Mapping[str, Any]) -> None:
        """Write a JSON object, over the one that is there."""
        self._path(f"{key}.json").write_text(json.dumps(document, indent=1))

    def lines(self, key: str) -> Iterator[bytes]:
        """Read a file line by line, without line breaks; none if there is no such file."""
        path = self._directory / f"{key}.jsonl.gz"
        if path.exists():
            with path.open("rb") as file:
                yield from _unpacked(file)

    def put_lines(self, key: str, lines: Iterable[bytes]) -> None:
        """Write a file of lines, over the one that is there."""
        with self._path(f"{key}.jsonl.gz").open("wb") as file:
            _pack(file, lines)

    def join(self, keys: Iterable[str], target: str) -> None:
        """Write one file with the lines of all; those that do not exist have none."""
        with self._path(f"{target}.jsonl.gz").open("wb") as file:
            for key in keys:
                path = self._directory / f"{key}.jsonl.gz"
                if path.exists():
                    with path.open("rb") as part:
                        _copy(part, file)

    def _path(self, key: str) -> Path:
        path = self._directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _pack(file: Any, lines: Iterable[bytes]) -> None:
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=LEVEL, mtime=0) as packed:
        rest = iter(lines)
        while some := list(islice(rest, AT_ONCE)):
            packed.write(b"\n".join(some) + b"\n")


def _unpacked(file: Any) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file, mode="rb") as packed:
        rest = b""
        # As it comes, so that what stands before a damage is not lost with it.
        while chunk := packed.read1(CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
        if rest:
            yield rest


def _copy(source: Any, target: Any) -> None:
    while chunk := source.read(CHUNK):
        target.write(chunk)
