"""A trail's files where the trail puts them: read from the bucket itself, some of them ahead."""

import io
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.backtest.reading import SUFFIXES, TrailFile
from cli.trouble import Trouble

if TYPE_CHECKING:
    from ecr_governor.adapters.trail_bucket import TrailBucket

AT_ONCE: Final = 8
AHEAD: Final = 16
"""Files that are fetched before they are read: each takes S3 some 30 ms, and there is one every five minutes."""
_ADDRESS: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")


@dataclass(frozen=True, slots=True)
class Address:
    """A place in S3: a bucket, and the key of a file or what the keys of several begin with."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def source(text: str) -> Path | Address:
    """Understand where records are: a path, or an address in S3. Raises Trouble."""
    if not text.startswith("s3:"):
        return Path(text)
    found = _ADDRESS.fullmatch(text)
    if not found:
        do = "--events s3://BUCKET/AWSLogs/123456789012/CloudTrail/eu-west-1/2026/"
        raise Trouble(f"{text!r} is no address in S3", "it has a bucket's name, and what the keys begin with", do)
    return Address(found[1], found[2] or "")


@dataclass(frozen=True, slots=True)
class InBucket:
    """A file in a bucket."""

    name: str
    size: int
    open: Callable[[], io.BufferedReader]


def objects_at(address: Address, bucket: "TrailBucket") -> list[TrailFile]:
    """List what may hold records, in order. Raises Trouble if there is nothing; Throttled, Denied."""
    found: list[TrailFile] = [
        InBucket(f"s3://{address.bucket}/{each.key}", each.size, partial(bucket.read, each.key))
        for page in bucket.below(address.prefix)
        for each in page
        if each.key.endswith(SUFFIXES) and each.size
    ]
    if not found:
        do = f"give what the keys begin with: --events s3://{address.bucket}/AWSLogs/123456789012/CloudTrail/eu-west-1/2026/"
        raise Trouble(f"{address} holds no records", f"no key below it ends in {', '.join(SUFFIXES)}", do)
    return found


def ahead(files: Sequence[TrailFile]) -> Iterator[tuple[TrailFile, Callable[[], io.BufferedReader]]]:
    """Give each file in its turn, with how to open it, while the next ones are fetched."""
    fetched: deque[tuple[TrailFile, Future[io.BufferedReader]]] = deque()
    waiting = iter(files)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for file in waiting:
                fetched.append((file, pool.submit(file.open)))
                if len(fetched) == AHEAD:
                    first, future = fetched.popleft()
                    yield first, future.result
            while fetched:
                first, future = fetched.popleft()
                yield first, future.result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
