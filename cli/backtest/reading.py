"""Read CloudTrail's records: files as a trail delivers them to S3, JSON, JSON lines; or the event history. One record at a time."""

import gzip
import io
import json
import os
import re
import zlib
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast

from cli.backtest.history import ECR, Elsewhere, History
from cli.trouble import Trouble
from ecr_governor.app.errors import Rejected

SUFFIXES: Final = (".json.gz", ".json", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
CHUNK: Final = 262_144
LONGEST: Final = 1_048_576
"""Characters of a record. CloudTrail's have at most 256 KB."""
_GZIP: Final = b"\x1f\x8b"
_ELSEWHERE_IN_TREE: Final = re.compile(
    r"/(?P<account>[0-9]{12})/(?P<kind>CloudTrail[A-Za-z-]*)/(?P<region>[a-z0-9-]+)/(?P<day>\d{4}/\d\d/\d\d)/"
)
_DELIVERED: Final = re.compile(r"_(\d{8}T\d{4})\d{0,2}Z")
_MOMENT: Final = re.compile(rb'"eventTime"\s*:\s*"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"')
_READ_ONLY: Final = re.compile(rb'"readOnly"\s*:\s*true')
_WRAPPED: Final = re.compile(rb'\s*(?:\{\s*"(?:Records|Events)"\s*:\s*)?\[')
_BETWEEN: Final = re.compile(r"[\s,]*")
_MEANT: Final = ECR.encode()
LATE: Final = timedelta(hours=1)
"""How much earlier than its delivery a file's records may be, where all are missing: CloudTrail delivers within some 5 to 15 minutes."""


class _Broken(Exception):
    """A file does not go on."""


@dataclass
class Progress:
    """How far it is, in bytes of files; or in records, where nobody knows how many there are."""

    total: int | None = None
    done: int = 0
    where: str = ""


class TrailFile(Protocol):
    """A file that may hold records, wherever it lies."""

    @property
    def name(self) -> str:
        """What people find it by, with its folders."""
        ...

    @property
    def size(self) -> int:
        """Its bytes."""
        ...

    @property
    def open(self) -> Callable[[], io.BufferedReader]:
        """Begin to read it. Raises OSError if it is not to be had."""
        ...


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A file on this machine."""

    path: Path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def size(self) -> int:
        """Its bytes; none where it cannot be read, which is told where it is opened."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def open(self) -> io.BufferedReader:
        """Begin to read it."""
        return self.path.open("rb")


Opened = Callable[[Sequence[TrailFile]], Iterator[tuple[TrailFile, Callable[[], io.BufferedReader]]]]
"""Gives each file in its turn, with how to open it."""


def in_turn(files: Sequence[TrailFile]) -> Iterator[tuple[TrailFile, Callable[[], io.BufferedReader]]]:
    """Open each file when its turn has come."""
    for file in files:
        yield file, file.open


def files_below(path: Path) -> list[TrailFile]:
    """List what may hold records, in order. Raises Trouble if there is nothing."""
    if path.is_file():
        return [OnDisk(path)]
    if not path.is_dir():
        raise Trouble(
            f"{path} is not there", "it is neither a file nor a directory", "give the directory into which you copied a trail's files"
        )
    found = sorted(Path(folder) / name for folder, _, names in os.walk(path) for name in names if name.endswith(SUFFIXES))
    if not found:
        raise Trouble(f"{path} holds no records", f"no file in it ends in {', '.join(SUFFIXES)}", "aws s3 sync s3://BUCKET/AWSLogs/ trail/")
    return [OnDisk(each) for each in found]


def read_files(
    files: Sequence[TrailFile], history: History, read: set[str], progress: Progress, saved: Callable[[], None], opened: Opened = in_turn
) -> None:
    """Read files that are not among those `read` already, and put them there. `saved` is called after each."""
    progress.total = sum(file.size for file in files)
    wanted: list[TrailFile] = []
    digests: list[TrailFile] = []
    for file in files:
        if _known(file) in read or (not _is_digest(file) and _is_elsewhere(file.name, history)):
            read.add(_known(file))
            progress.done += file.size
        else:
            (digests if _is_digest(file) else wanted).append(file)
    there = {_short(file.name) for file in files}
    # Digests last: they tell what is missing among the others.
    for some, take in ((wanted, _read_file), (digests, partial(_read_digest, there))):
        for file, opening in opened(some):
            progress.where = _short(file.name)
            take(file.name, opening, history)
            read.add(_known(file))
            saved()
            progress.done += file.size


def _known(file: TrailFile) -> str:
    return f"{file.name}:{file.size}"


def _is_digest(file: TrailFile) -> bool:
    return "/CloudTrail-Digest/" in file.name


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _is_elsewhere(name: str, history: History) -> bool:
    """Whether the path says that the file is of another registry than the chosen one, or of no records of calls."""
    found = _ELSEWHERE_IN_TREE.search(f"/{name}")
    if not found:
        return False
    if found["kind"] != "CloudTrail":
        return True
    place = (found["account"], found["region"])
    if history.chosen and history.place is not None and place != history.place:
        history.left_out[f"{place[0]} in {place[1]} (files)"] += 1
        return True
    return False


def _read_file(name: str, opening: Callable[[], io.BufferedReader], history: History) -> None:
    if found := _ELSEWHERE_IN_TREE.search(f"/{name}"):
        history.silent_days.add(found["day"].replace("/", "-"))
    before = history.of_ecr
    try:
        with opening() as raw:
            packed = raw.peek(2)[:2] == _GZIP
            stream = cast("BinaryIO", gzip.GzipFile(fileobj=raw, mode="rb")) if packed else raw
            _read_stream(stream, name, history, _days_of(name))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, _Broken, RecursionError) as error:
        told = f"after {history.of_ecr - before:,} records of ECR" if history.of_ecr - before else "from its beginning"
        history.doubt(name, f"it cannot be read {told}: {_why(error)}", _days_of(name))


def _why(error: BaseException) -> str:
    if isinstance(error, EOFError):
        return "it is cut short"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _days_of(name: str) -> tuple[str, ...] | None:
    """The days of which a file of this name may tell; None for all."""
    found = _DELIVERED.search(_short(name))
    if not found:
        return None
    at = datetime.strptime(found[1], "%Y%m%dT%H%M").replace(tzinfo=UTC)
    return tuple(sorted({(at - LATE).date().isoformat(), at.date().isoformat()}))


def _read_stream(stream: BinaryIO, where: str, history: History, days: tuple[str, ...] | None) -> None:
    head = cast("Any", stream).peek(512)[:512]
    if wrapped := _WRAPPED.match(head):
        stream.read(wrapped.end())
        for number, value in enumerate(_elements(stream), 1):
            _take(value, f"{where}, record {number:,}", history, days)
    elif head.split(b"\n", 1)[0].strip() == b"{":
        text = stream.read(LONGEST + 1)
        if len(text) > LONGEST:
            raise _Broken("it is longer than one record can be")
        _take(_parsed(text), where, history, days)
    else:
        _read_lines(stream, where, history, days)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise _Broken(f"it is no JSON: {error}") from error


def _elements(stream: BinaryIO) -> Iterator[Any]:
    """Give what stands in a JSON array, whose bracket is read already. Never more than one element and a chunk is held."""
    decode, scan = getincrementaldecoder("utf-8")().decode, json.JSONDecoder().raw_decode
    text, place = "", 0
    while True:
        between = _BETWEEN.match(text, place)
        place = between.end() if between else place
        if place < len(text) and text[place] == "]":
            return
        try:
            value, place = scan(text, place)
        except ValueError as error:
            # Of a file that is cut short, `read` would lose what comes before its end.
            more = cast("Any", stream).read1(CHUNK)
            if not more:
                raise _Broken("it ends within a record") from error
            if len(text) - place > LONGEST:
                raise _Broken(f"a record is no JSON, or longer than any of CloudTrail's: {error}") from error
            text, place = text[place:] + decode(more), 0
            continue
        yield value


def _read_lines(stream: BinaryIO, where: str, history: History, days: tuple[str, ...] | None) -> None:
    number = 0
    while line := stream.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            raise _Broken(f"line {number:,} is longer than any record of CloudTrail's")
        if _MEANT not in line:
            # What is of no interest is not parsed: that there was something on that day is all that it tells.
            if found := _MOMENT.search(line):
                history.see(found[1].decode(), read_only=_READ_ONLY.search(line) is not None)
            elif line.strip():
                history.doubt(f"{where}:{number}", "it is no record of CloudTrail's", days)
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            found = _MOMENT.search(line)
            history.doubt(f"{where}:{number}", f"it is no JSON: {error}", (found[1][:10].decode(),) if found else days)
            continue
        _take(value, f"{where}:{number}", history, days)


def _take(value: Any, where: str, history: History, days: tuple[str, ...] | None) -> None:
    if isinstance(value, dict) and "CloudTrailEvent" in value:
        # As LookupEvents gives it.
        value = _parsed(str(value["CloudTrailEvent"]).encode())
    if isinstance(value, dict) and isinstance(value.get("detail"), dict) and "detail-type" in value:
        # As EventBridge delivers it.
        value = value["detail"]
    if not isinstance(value, dict):
        history.doubt(where, "it is no JSON object", days)
        return
    try:
        history.take(value)
    except Rejected as rejected:
        moment = value.get("eventTime")
        history.doubt(where, str(rejected), (moment[:10],) if isinstance(moment, str) and _is_day(moment[:10]) else days)
    except Elsewhere as elsewhere:
        do = "name one: --account 123456789012 --region eu-west-1; the others are then left out, and counted"
        raise Trouble("the records are of more than one registry", f"of {elsewhere}: {where}", do) from elsewhere


def _is_day(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _read_digest(there: set[str], name: str, opening: Callable[[], io.BufferedReader], history: History) -> None:
    """Learn from a digest which hours were silent, and which files were delivered and are not `there`."""
    try:
        with opening() as raw:
            data = raw.read()
        digest = json.loads(gzip.decompress(data) if data[:2] == _GZIP else data)
        start, end = (datetime.fromisoformat(digest[key]) for key in ("digestStartTime", "digestEndTime"))
        place, listed = _place_of(name), [str(each["s3Object"]) for each in digest["logFiles"]]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        history.doubt(name, f"the digest cannot be read: {_why(error)}", _days_of(name))
        return
    if history.place is not None and place not in {None, history.place}:
        return
    days = {start.date().isoformat(), end.date().isoformat()}
    history.silent_days |= days
    for key in listed:
        if _short(key) not in there:
            history.doubt(_short(key), "a digest lists it, and it is not there", days)


def _place_of(name: str) -> tuple[str, str] | None:
    found = _ELSEWHERE_IN_TREE.search(f"/{name}")
    return (found["account"], found["region"]) if found else None


def read_pages(pages: Iterable[Sequence[str]], history: History, progress: Progress, saved: Callable[[], None]) -> None:
    """Read records as the event history gives them: texts of JSON, page by page."""
    for page in pages:
        for text in page:
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                history.doubt("the event history", f"a record is no JSON: {error}", None)
                continue
            _take(value, "the event history", history, None)
            progress.done += 1
        saved()
