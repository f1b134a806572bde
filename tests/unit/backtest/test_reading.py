"""Records are read from whatever files they are in; what cannot be read is a gap with file and reason, never silence."""

import gzip
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli.backtest import history as history_module
from cli.backtest import reading
from cli.backtest.command import _is_ours
from cli.backtest.history import History, knowledge_of
from cli.backtest.reading import Progress, files_below, read_files, read_pages
from cli.trouble import Trouble
from tests.trails import ACCOUNT, BORN, DAY, REGION, Trail

NAME = "payments/api"


def read(path: Path, *, place: tuple[str, str] | None = None) -> History:
    history = History(partial(_is_ours, "ecr-governor"), place, place is not None)
    read_files(files_below(path), history, set(), Progress(), lambda: None)
    return history


def a_trail(count: int = 3) -> Trail:
    trail = Trail().created(NAME)
    for number in range(count):
        trail.pulled(NAME, number + 0.5)
    return trail


def told(history: History) -> list[tuple[int, str]]:
    return [(each.at, each.what.value) for each in history.pasts[NAME].in_order()]


def gaps(history: History) -> list[tuple[str, str, tuple[str, ...] | None]]:
    return [(Path(gap.where).name, gap.why, gap.days) for gap in history.gaps]


# --- forms ----------------------------------------------------------------------------------------------------------------------------


def written(trail: Trail, form: str, folder: Path) -> Path:
    path = folder / "records.json"
    match form:
        case "as a trail delivers it":
            return trail.file(folder)
        case "unpacked":
            path.write_text(json.dumps({"Records": trail.records}))
        case "with spaces":
            path.write_text(json.dumps({"Records": trail.records}, indent=2))
        case "lines":
            trail.lines(path)
        case "packed lines":
            path = folder / "records.jsonl.gz"
            path.write_bytes(gzip.compress(trail.lines(folder / "plain").read_bytes()))
            (folder / "plain").unlink()
        case "a list":
            path.write_text(json.dumps(trail.records))
        case "looked up":
            path.write_text(json.dumps({"Events": [{"EventId": "1", "CloudTrailEvent": json.dumps(each)} for each in trail.records]}))
        case "envelopes":
            path.write_text(
                "".join(json.dumps({"detail-type": "AWS API Call via CloudTrail", "detail": each}) + "\n" for each in trail.records)
            )
        case "one event for each file":
            for number, each in enumerate(trail.records):
                (folder / f"{number}.json").write_text(json.dumps({"detail-type": "AWS API Call via CloudTrail", "detail": each}, indent=2))
    return folder


FORMS = (
    "as a trail delivers it",
    "unpacked",
    "with spaces",
    "lines",
    "packed lines",
    "a list",
    "looked up",
    "envelopes",
    "one event for each file",
)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_the_same(tmp_path: Path, form: str) -> None:
    trail = a_trail()
    history = read(written(trail, form, tmp_path))
    assert told(history) == told(read(trail.lines(tmp_path / "lines.jsonl")))
    assert (history.of_ecr, history.gaps, history.place) == (4, [], (ACCOUNT, REGION))


def test_a_file_is_read_in_pieces_smaller_than_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK", 7)
    assert read(a_trail().file(tmp_path)).of_ecr == len(a_trail().records)


def test_records_of_other_services_tell_only_that_there_was_a_day(tmp_path: Path) -> None:
    trail = a_trail().call("AssumeRole", 7, source="sts.amazonaws.com").call("GetObject", 8, source="s3.amazonaws.com")
    for history in (read(trail.lines(tmp_path / "a.jsonl")), read(trail.file(tmp_path / "b"))):
        assert (history.records, history.of_ecr) == (6, 4)
        assert {str((BORN + 7 * DAY).date()), str((BORN + 8 * DAY).date())} <= history.days
        assert str((BORN + 7 * DAY).date()) not in history.read_days


def test_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="holds no records"):
        files_below(tmp_path)
    with pytest.raises(Trouble, match="is not there"):
        files_below(tmp_path / "none")


# --- gaps -----------------------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_cut_short_is_a_gap_of_its_days_and_what_it_holds_is_read(tmp_path: Path) -> None:
    trail = a_trail(300)
    trail.file(tmp_path, 10, cut=100)
    history = read(tmp_path)
    ((name, why, days),) = gaps(history)
    assert name.endswith(".json.gz")
    assert why.endswith("records of ECR: it is cut short")
    assert days == (str((BORN + 10 * DAY).date()),)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x1f\x8b no gzip", "Unknown compression method"),
        (gzip.compress(b'{"Records": [{]}'), "it ends within a record"),
        (gzip.compress(b'{"Records": [' + b"[" * 100_000), "it is nested too deeply"),
        (b'{"Records": [\xff\xfe', "invalid start byte"),
        (b"{\n nothing", "it is no JSON"),
    ],
    ids=["no gzip", "broken", "nested", "no text", "no JSON"],
)
def test_what_is_no_file_of_records_is_a_gap(tmp_path: Path, content: bytes, why: str) -> None:
    path = a_trail().file(tmp_path, 3)
    path.write_bytes(content)
    ((_, said, days),) = gaps(read(tmp_path))
    assert why in said
    assert days == (str((BORN + 3 * DAY).date()),)


def test_a_file_that_cannot_be_opened_is_a_gap(tmp_path: Path) -> None:
    a_trail().lines(tmp_path / "a.jsonl")
    (tmp_path / "b.json").symlink_to(tmp_path / "nowhere")
    assert gaps(read(tmp_path)) == [("b.json", "it cannot be read from its beginning: No such file or directory", None)]


def test_very_many_gaps_are_told_as_some_and_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "MOST_GAPS", 3)
    path = a_trail().lines(tmp_path / "a.jsonl")
    path.write_text(path.read_text() + "nothing\n" * 10)
    found = gaps(read(path))
    assert [where for where, _, _ in found] == ["a.jsonl:5", "a.jsonl:6", "and elsewhere"]


def test_a_record_that_never_ends_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 1000)
    monkeypatch.setattr(reading, "CHUNK", 100)
    (tmp_path / "a.json").write_text('{"Records": [{"x": "' + "y" * 100_000)
    (tmp_path / "b.jsonl").write_text('{"x": "' + "y" * 100_000)
    assert [why.partition(": ")[2][:25] for _, why, _ in gaps(read(tmp_path))] == ["a record is no JSON, or l", "line 1 is longer than any"]


def bad(record: dict[str, Any], **but: Any) -> dict[str, Any]:
    return {**record, **but}


@pytest.mark.parametrize(
    ("but", "why"),
    [
        ({"eventVersion": "2.0"}, "record version 2.0 is unknown"),
        ({"eventTime": "yesterday"}, "it has no eventTime"),
        ({"recipientAccountId": None}, "it does not say of which account and Region"),
        ({"requestParameters": None}, "a CloudTrail record"),
        ({"requestParameters": {"repositoryName": "../x"}}, "is no name that ECR accepts"),
    ],
)
def test_a_record_that_cannot_be_read_is_a_gap_of_its_day(tmp_path: Path, but: dict[str, Any], why: str) -> None:
    trail = a_trail()
    trail.records.append(bad(trail.records[1], **but) | ({"eventName": 7} if but == {"requestParameters": None} else {}))
    history = read(trail.lines(tmp_path / "a.jsonl"))
    if but == {"requestParameters": None}:
        # A call that nobody knows is nothing that counts.
        assert history.gaps == []
        return
    ((where, said, days),) = gaps(history)
    assert where == "a.jsonl:5"
    assert why in said
    assert days == (None if "eventTime" in but else (str((BORN + 0.5 * DAY).date()),))


def test_a_line_that_is_no_json_is_a_gap_of_the_day_that_it_still_names(tmp_path: Path) -> None:
    path = a_trail().lines(tmp_path / "a.jsonl")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1][:-5], "nothing at all"]))
    first, second = gaps(read(path))
    assert first[2] == (str((BORN + 0.5 * DAY).date()),)
    assert second[1:] == ("it is no record of CloudTrail's", None)


# --- whose records --------------------------------------------------------------------------------------------------------------------


def test_records_of_two_registries_need_a_word(tmp_path: Path) -> None:
    a_trail().file(tmp_path)
    other = Trail("210987654321", "us-east-1").created(NAME)
    other.file(tmp_path)
    with pytest.raises(Trouble, match="more than one registry"):
        read(tmp_path)
    history = read(tmp_path, place=(ACCOUNT, REGION))
    assert history.left_out == {"210987654321 in us-east-1 (files)": 1}
    assert read(tmp_path, place=("210987654321", "us-east-1")).of_ecr == 1
    other.lines(tmp_path / "lines.jsonl")
    assert read(tmp_path / "lines.jsonl", place=(ACCOUNT, REGION)).left_out == {"210987654321 in us-east-1": 1}


def test_our_own_calls_on_a_registry_of_others_are_left_out(tmp_path: Path) -> None:
    trail = a_trail().call("BatchGetImage", 1, "eks/pause", registryId="602401143452")
    history = read(trail.lines(tmp_path / "a.jsonl"))
    assert history.pasts.keys() == {NAME}
    assert history.left_out == {f"602401143452 in {REGION}": 1}


# --- digests, and days ----------------------------------------------------------------------------------------------------------------


def a_digest(folder: Path, day: float, *listed: str, account: str = ACCOUNT) -> None:
    start = BORN + day * DAY
    digest = {
        "digestStartTime": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "digestEndTime": f"{start + DAY / 24:%Y-%m-%dT%H:%M:%SZ}",
        "logFiles": [{"s3Object": name} for name in listed],
    }
    path = (
        folder / f"AWSLogs/{account}/CloudTrail-Digest/{REGION}/{start:%Y/%m/%d}/{account}_CloudTrail-Digest_{start:%Y%m%dT%H%M%SZ}.json.gz"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(digest).encode()))


def test_a_day_without_any_record_is_a_gap_unless_a_digest_says_that_nothing_was_delivered(tmp_path: Path) -> None:
    trail = Trail().created(NAME).pulled(NAME, 0).pulled(NAME, 4)
    trail.file(tmp_path, 4)
    a_digest(tmp_path, 1)
    a_digest(tmp_path, 3, account="210987654321")
    history = read(tmp_path)
    missing = [(gap.where, gap.why) for gap in knowledge_of(history, complete=False).gaps]
    day = BORN.date()
    assert missing == [(f"{day + 2 * DAY} to {day + 3 * DAY}", "there is no record at all")]
    assert knowledge_of(history, complete=True).gaps == ()


def test_a_file_that_a_digest_lists_and_that_is_not_there_is_a_gap(tmp_path: Path) -> None:
    there = a_trail().file(tmp_path)
    a_digest(tmp_path, 0, f"AWSLogs/x/{there.name}", "AWSLogs/x/lost.json.gz")
    (gap,) = gaps(read(tmp_path))
    assert gap == ("lost.json.gz", "a digest lists it, and it is not there", (str(BORN.date()),))


def test_a_day_with_changes_and_without_one_read_event_tells_nothing_of_pulls(tmp_path: Path) -> None:
    trail = Trail().created(NAME).pulled(NAME, 0).pushed(NAME, 1).pulled(NAME, 2)
    found = knowledge_of(read(trail.lines(tmp_path / "a.jsonl")), complete=False)
    assert [(gap.where, gap.why) for gap in found.gaps] == [(str((BORN + DAY).date()), "there are records, but not one read event")]
    assert not any(dark.writes for dark in found.dark)


# --- the event history, and going on --------------------------------------------------------------------------------------------------


def test_pages_of_the_event_history_are_read(tmp_path: Path) -> None:
    trail = a_trail()
    history = History(partial(_is_ours, "ecr-governor"), (ACCOUNT, REGION), chosen=True)
    read_pages([[json.dumps(each) for each in trail.records], ["no JSON"]], history, Progress(), lambda: None)
    assert told(history) == told(read(trail.lines(tmp_path / "a.jsonl")))
    assert [gap.where for gap in history.gaps] == ["the event history"]


def test_what_was_read_is_taken_up_again_as_it_was() -> None:
    history = History(partial(_is_ours, "ecr-governor"))
    for record in a_trail().tagged(NAME, 1, owner="x").records:
        history.take(record)
    history.doubt("somewhere", "why", None)
    again = History(history.ours)
    again.go_on_from(json.loads(json.dumps(history.as_data())))
    assert again == history
