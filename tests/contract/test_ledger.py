"""What every ledger does: the one in memory that tests believe, and the one on DynamoDB that they stand for."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from cli import entries
from cli.trouble import Trouble
from ecr_governor.adapters.ledger import DUE_INDEX, POLICY, RETIRING_INDEX, TOUCHED_INDEX, DynamoDbLedger, told_from_image
from ecr_governor.app.errors import Contended, Unintelligible
from ecr_governor.app.ports import Ledger
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.origin import Actor, Creation, Origin, Provenance, Push, Signal
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.record import GENESIS, Entry, RepositoryRecord, append, entry_hash
from ecr_governor.core.retirement.state import Retirement, Stage
from ecr_governor.core.severity import Severity
from local.server import EmbeddedAws
from tests.fakes import HOUR, T0, InMemoryLedger

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
CI = Actor(
    "arn:aws:sts::123456789012:assumed-role/ci/ü-1", "123456789012", "AssumedRole", "ecr.amazonaws.com", "arn:aws:iam::123456789012:role/ci"
)
FULL = RepositoryRecord(
    name="payments/api",
    created_at=T0,
    provenance=Provenance(
        Origin.CREATE_ON_PUSH,
        (Signal("it was seen", (Origin.CREATE_ON_PUSH, Origin.REPLICATION), 2),),
        Creation("c1", T0, CI, "AwsServiceEvent", "ecr.amazonaws.com", "agent"),
        Push("p1", T0 + timedelta(microseconds=1), CI, None, "sha256:1"),
        Push("p2", T0 + HOUR, CI, "v1"),
        (Origin.PULL_THROUGH_CACHE,),
    ),
    owner="",
    findings=(
        Finding("payments/api", "naming", Severity.HIGH, FindingState.OPEN, Mode.ENFORCE, "„anders“ \U0001f4a5", ("mend it",), T0),
        Finding("payments/api", "scanning", Severity.LOW, FindingState.RESOLVED, Mode.AUDIT, "", (), T0, T0 + HOUR, "kept"),
    ),
    undetermined={"encryption": "denied"},
    pending=("set the tags",),
    write_rounds={"PutLifecyclePolicy": (T0, T0 + HOUR)},
    paused={"PutLifecyclePolicy": T0},
    due_at=T0 + HOUR,
    policy_hash="abc",
)


@dataclass
class Bench:
    """A ledger, and how to see its entries."""

    ledger: Ledger
    entries: Callable[[str], Sequence[Entry]]


@pytest.fixture(params=["memory", "dynamodb"])
def bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "memory":
        memory = InMemoryLedger()
        return Bench(memory, lambda name: [entry for entry in memory.all_entries if entry.repository == name])
    aws: EmbeddedAws = request.getfixturevalue("aws")
    real = DynamoDbLedger(aws.client("dynamodb"), request.getfixturevalue("ledger_table"))
    return Bench(real, lambda name: list(real.entries(name)))


@pytest.fixture
def ledger(bench: Bench) -> Ledger:
    return bench.ledger


def test_what_was_never_written_is_not_there(ledger: Ledger) -> None:
    assert ledger.read("payments/api") is None
    assert ledger.delivered("payments/api", 1) == frozenset()
    assert ledger.last_good_policy() is None
    assert list(ledger.due(T0 + 1000 * HOUR, 10)) == []


@pytest.mark.parametrize("record", [RepositoryRecord("payments/api"), FULL, replace(FULL, gone_at=T0 + HOUR, due_at=None, owner=None)])
def test_a_record_comes_back_as_it_was_written_one_version_on(ledger: Ledger, record: RepositoryRecord) -> None:
    written = ledger.write(record)
    assert written == replace(record, version=1)
    assert ledger.read("payments/api") == written


def test_a_record_that_was_written_over_is_contended_and_stays(ledger: Ledger) -> None:
    first = ledger.write(RepositoryRecord("payments/api"))
    second = ledger.write(replace(first, owner="alice"))
    for stale in (first, RepositoryRecord("payments/api"), replace(first, version=7)):
        with pytest.raises(Contended):
            ledger.write(replace(stale, owner="bob"))
    assert ledger.read("payments/api") == second


def test_a_record_that_was_never_written_cannot_be_written_over(ledger: Ledger) -> None:
    with pytest.raises(Contended):
        ledger.write(RepositoryRecord("payments/api", version=3))
    assert ledger.read("payments/api") is None


def test_an_entry_is_written_with_its_record_or_not_at_all(bench: Bench) -> None:
    record, entry = append(RepositoryRecord("payments/api"), "change", {"b": 1, "a": ["ü", None, True], "n": {"x": 1.5}})
    bench.ledger.write(record, entry)
    with pytest.raises(Contended):
        bench.ledger.write(*append(RepositoryRecord("payments/api"), "change", {"lost": True}))
    assert list(bench.entries("payments/api")) == [entry]
    stored = bench.ledger.read("payments/api")
    assert stored is not None
    assert (stored.head, stored.entries) == (entry.hash, 1)


def test_the_entries_of_a_repository_are_its_own_and_come_in_order_as_an_unbroken_chain(bench: Bench) -> None:
    for name in ("payments/api", "payments/api-2", "payments"):
        record = RepositoryRecord(name)
        for number in range(12):
            record = bench.ledger.write(*append(record, "intent" if number % 2 else "change", {"number": number, "name": name}))
    entries = bench.entries("payments/api")
    previous = GENESIS
    for number, entry in enumerate(entries, start=1):
        assert (entry.number, entry.previous) == (number, previous)
        assert entry.hash == entry_hash(entry.repository, entry.number, entry.kind, entry.body, entry.previous)
        previous = entry.hash
    assert [entry.body["name"] for entry in entries] == ["payments/api"] * 12


def test_the_newest_entries_come_oldest_first_and_no_more_than_asked_for(bench: Bench) -> None:
    record = RepositoryRecord("payments/api")
    for number in range(12):
        record = bench.ledger.write(*append(record, "change", {"number": number}))
    assert [entry.number for entry in bench.ledger.recent("payments/api", 3)] == [10, 11, 12]
    assert bench.ledger.recent("payments/api", 100) == list(bench.entries("payments/api"))
    assert bench.ledger.recent("payments/web", 3) == []


def test_of_many_who_write_at_once_one_wins(bench: Bench) -> None:
    record = bench.ledger.write(RepositoryRecord("payments/api"))

    def write(number: int) -> bool:
        try:
            bench.ledger.write(*append(replace(record, owner=f"writer-{number}"), "change", {"number": number}))
        except Contended:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = [number for number, success in enumerate(pool.map(write, range(8))) if success]
    assert len(won) == 1
    assert [entry.body["number"] for entry in bench.entries("payments/api")] == won


def test_what_was_delivered_is_remembered_for_each_entry_and_channel(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.mark_delivered("payments/api", 1, "slack", T0)
    ledger.mark_delivered("payments/api", 1, "event-bus", T0 + HOUR)
    ledger.mark_delivered("payments/api", 2, "slack", T0)
    assert ledger.delivered("payments/api", 1) == {"slack", "event-bus"}
    assert ledger.delivered("payments/api", 2) == {"slack"}
    assert ledger.delivered("payments/web", 1) == frozenset()
    assert ledger.read("payments/api") is None


def test_what_is_due_comes_longest_overdue_first_and_no_more_than_asked_for(ledger: Ledger) -> None:
    records = {
        name: ledger.write(RepositoryRecord(name, due_at=T0 + hours * HOUR if hours is not None else None))
        for name, hours in {"later": 5, "second": 2, "first": 1, "now": 3, "never": None}.items()
    }
    assert list(ledger.due(T0 + 3 * HOUR, 10)) == ["first", "second", "now"]
    assert list(ledger.due(T0 + 3 * HOUR, 2)) == ["first", "second"]
    assert list(ledger.due(T0, 10)) == []
    ledger.write(replace(records["first"], due_at=None))
    ledger.write(replace(records["second"], due_at=T0 + 9 * HOUR))
    assert list(ledger.due(T0 + 3 * HOUR, 10)) == ["now"]


def test_moments_with_and_without_fractions_of_a_second_are_due_in_their_order(ledger: Ledger) -> None:
    for name, microseconds in {"b": 1, "a": 0, "c": 999_999}.items():
        ledger.write(RepositoryRecord(name, due_at=T0.replace(microsecond=microseconds)))
    assert list(ledger.due(T0.replace(microsecond=1), 10)) == ["a", "b"]
    assert list(ledger.due(T0 + timedelta(seconds=1), 10)) == ["a", "b", "c"]


def test_the_policy_is_noted_once_for_each_version_and_problem(ledger: Ledger) -> None:
    assert ledger.note_policy("v1", None, T0)
    assert not ledger.note_policy("v1", None, T0 + HOUR)
    assert ledger.last_good_policy() == "v1"
    assert ledger.note_policy("v2", "unknown key", T0)
    assert not ledger.note_policy("v2", "unknown key", T0 + HOUR)
    assert ledger.last_good_policy() == "v1"
    assert ledger.note_policy("v2", "may not be read", T0)
    assert ledger.note_policy("v3", None, T0)
    assert ledger.last_good_policy() == "v3"
    assert ledger.note_policy("v1", None, T0)
    assert ledger.last_good_policy() == "v1"


def test_a_first_policy_that_is_invalid_is_noted_and_none_is_good(ledger: Ledger) -> None:
    assert ledger.note_policy("v1", "unknown key", T0)
    assert ledger.last_good_policy() is None


def test_the_chains_that_are_no_repositorys_are_verified_alone_and_with_the_rest(
    aws: EmbeddedAws, ledger_table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client = aws.client("dynamodb")
    ledger = DynamoDbLedger(client, ledger_table)
    here: Any = SimpleNamespace(ledger=lambda: ledger)
    ledger.note_policy("v1", "unknown key", T0)
    ledger.note_policy("v2", None, T0)
    assert entries.verify(here, None, "table") == 0
    assert entries.verify(here, POLICY, "table") == 0
    assert capsys.readouterr().out == "0 repositories, 2 entries: nothing is wrong\n" * 2
    key = {"pk": {"S": f"repository#{POLICY}"}, "sk": {"S": "entry#000000000001"}}
    forged = {":body": {"S": '{"forged": true}'}}
    client.update_item(TableName=ledger_table, Key=key, UpdateExpression="SET body = :body", ExpressionAttributeValues=forged)
    for name in (None, POLICY):
        assert entries.verify(here, name, "table") == 1
        assert "@policy: entry 1 was changed after it was written" in capsys.readouterr().out
    assert ledger.read(POLICY) is None
    for unknown in ("@report", "@slack", "payments/api"):
        with pytest.raises(Trouble, match=f"does not know {unknown}"):
            entries.verify(here, unknown, "table")


def test_many_records_are_read_at_once_and_unknown_names_are_left_out(ledger: Ledger) -> None:
    names = [f"payments/service-{number}" for number in range(230)]
    for name in names:
        ledger.write(RepositoryRecord(name, created_at=T0))
    found = ledger.records([*names, "payments/unknown"])
    assert set(found) == set(names)
    assert found[names[7]] == ledger.read(names[7])
    assert ledger.records([]) == {}


def test_what_looks_have_changed_is_known_by_its_time(ledger: Ledger) -> None:
    first = ledger.write(RepositoryRecord("payments/a", created_at=T0, looked_at=T0))
    ledger.write(RepositoryRecord("payments/b", created_at=T0, looked_at=T0 + HOUR))
    ledger.write(RepositoryRecord("payments/c", created_at=T0))
    assert sorted(ledger.touched(T0)) == [("payments/a", T0), ("payments/b", T0 + HOUR)]
    assert list(ledger.touched(T0 + timedelta(seconds=1))) == [("payments/b", T0 + HOUR)]
    ledger.write(replace(first, looked_at=T0 + 2 * HOUR, swept_by="run"))
    assert dict(ledger.touched(T0))["payments/a"] == T0 + 2 * HOUR


def test_the_policy_is_no_repository(bench: Bench) -> None:
    bench.ledger.write(replace(FULL, version=0))
    bench.ledger.note_policy("v1", "unknown key", T0)
    assert list(bench.ledger.due(T0 + 100 * HOUR, 10)) == ["payments/api"]
    if isinstance(bench.ledger, DynamoDbLedger):
        assert [record.name for record in bench.ledger.all_records()] == ["payments/api"]


def test_an_entry_is_told_as_the_stream_brings_it(aws: EmbeddedAws, ledger_table: str) -> None:
    client = aws.client("dynamodb")
    ledger = DynamoDbLedger(client, ledger_table)
    ledger.write(*append(RepositoryRecord("payments/api"), "change", {"a": 1}))
    ledger.note_policy("v1", "unknown key", T0)
    told = [told_from_image(item) for item in client.scan(TableName=ledger_table)["Items"] if item["sk"]["S"].startswith("entry#")]
    assert {(each.repository, each.number, each.kind) for each in told} == {("payments/api", 1, "change"), ("@policy", 1, "policy")}
    assert next(each.body for each in told if each.kind == "policy") == {"at": T0.isoformat(), "version": "v1", "problem": "unknown key"}


def test_a_ledger_of_more_than_a_page_is_read_to_its_end(aws: EmbeddedAws, ledger_table: str) -> None:
    ledger = DynamoDbLedger(aws.client("dynamodb"), ledger_table)
    record = RepositoryRecord("payments/api")
    for _ in range(8):
        record = ledger.write(*append(record, "change", {"text": "x" * 200_000}))
    assert [entry.number for entry in ledger.entries("payments/api")] == list(range(1, 9))
    assert len(json.dumps(next(ledger.entries("payments/api")).body)) > 200_000


def test_the_table_here_is_the_templates(aws: EmbeddedAws, ledger_table: str) -> None:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)
    resources = yaml.load(TEMPLATE.read_text(), Loader)["Resources"].values()  # noqa: S506 - a SafeLoader
    (wanted,) = [each["Properties"] for each in resources if each["Type"] == "AWS::DynamoDB::Table"]
    table = aws.client("dynamodb").describe_table(TableName=ledger_table)["Table"]
    assert table["KeySchema"] == wanted["KeySchema"]
    indexes = [{key: index[key] for key in ("IndexName", "KeySchema", "Projection")} for index in table["GlobalSecondaryIndexes"]]
    assert indexes == wanted["GlobalSecondaryIndexes"]
    assert [index["IndexName"] for index in indexes] == [DUE_INDEX, TOUCHED_INDEX, RETIRING_INDEX]


def test_an_entry_is_never_overwritten(bench: Bench) -> None:
    """Not even by a writer whose record has the right version."""
    record, entry = append(RepositoryRecord("payments/api"), "change", {"first": True})
    written = bench.ledger.write(record, entry)
    if isinstance(bench.ledger, DynamoDbLedger):
        _, forged = append(RepositoryRecord("payments/api"), "change", {"second": True})
        with pytest.raises(Contended):
            bench.ledger.write(written, forged)
        assert list(bench.entries("payments/api")) == [entry]


def test_the_newest_push_is_kept_whatever_the_order(ledger: Ledger) -> None:
    actor = Actor("arn:aws:iam::123456789012:user/alice", "123456789012", "IAMUser")
    older, newer = Push("p1", T0, actor, "v1"), Push("p2", T0 + HOUR, actor, "v2", "sha256:2")
    for push in (newer, older, newer):
        ledger.note_push("payments/api", push)
    assert ledger.noted_push("payments/api") == newer
    assert ledger.noted_push("payments/other") is None


def test_a_record_of_another_release_is_said_to_be_unintelligible(aws: EmbeddedAws, ledger_table: str) -> None:
    ledger = DynamoDbLedger(aws.client("dynamodb"), ledger_table)
    item = {
        "pk": {"S": "repository#payments/api"},
        "sk": {"S": "record"},
        "version": {"N": "1"},
        "document": {"S": '{"name": "payments/api", "mode": "tomorrow"}'},
    }
    aws.client("dynamodb").put_item(TableName=ledger_table, Item=item)
    with pytest.raises(Unintelligible, match="written by another release"):
        ledger.read("payments/api")


def test_when_a_channel_was_told_is_remembered(ledger: Ledger) -> None:
    assert ledger.told_at("payments/api", 1, "slack") is None
    ledger.mark_delivered("payments/api", 1, "slack", T0)
    assert ledger.told_at("payments/api", 1, "slack") == T0
    assert ledger.told_at("payments/api", 1, "pager") is None
    ledger.mark_delivered("payments/api", 1, "pager", T0 + HOUR)
    assert ledger.told_at("payments/api", 1, "slack") == T0
    assert ledger.told_at("payments/api", 1, "pager") == T0 + HOUR


def test_when_somebody_was_told_is_still_known_of_rows_from_before_each_channel_had_a_time(aws: EmbeddedAws, ledger_table: str) -> None:
    ledger = DynamoDbLedger(aws.client("dynamodb"), ledger_table)
    key = {"pk": {"S": "repository#payments/api"}, "sk": {"S": "told#000000000001"}}
    aws.client("dynamodb").put_item(TableName=ledger_table, Item={**key, "channels": {"SS": ["slack"]}, "told_at": {"S": T0.isoformat()}})
    assert ledger.told_at("payments/api", 1, "slack") == T0
    # Who is told of such an entry later moves it, which can only make a grace longer.
    ledger.mark_delivered("payments/api", 1, "event-bus", T0 + HOUR)
    assert ledger.told_at("payments/api", 1, "slack") == T0 + HOUR


def test_a_release_that_knew_one_time_for_all_channels_finds_the_latest(aws: EmbeddedAws, ledger_table: str) -> None:
    ledger = DynamoDbLedger(aws.client("dynamodb"), ledger_table)
    ledger.mark_delivered("payments/api", 1, "slack", T0)
    ledger.mark_delivered("payments/api", 1, "event-bus", T0 + HOUR)
    key = {"pk": {"S": "repository#payments/api"}, "sk": {"S": "told#000000000001"}}
    assert aws.client("dynamodb").get_item(TableName=ledger_table, Key=key)["Item"]["told_at"]["S"] == (T0 + HOUR).isoformat()


def test_what_retires_is_listed_and_nothing_else(ledger: Ledger) -> None:
    for name, retirement in {
        "marked": Retirement(Stage.MARKED, T0),
        "begun": Retirement(Stage.OBSERVED, T0, intended=Stage.MARKED),
        "kept": Retirement(Stage.OBSERVED, T0),
        "deleted": Retirement(Stage.DELETED, T0),
        "none": None,
    }.items():
        ledger.write(RepositoryRecord(name, retirement=retirement))
    assert sorted(ledger.retiring()) == ["begun", "marked"]


def test_a_retirement_comes_back_as_it_was_written(ledger: Ledger) -> None:
    retirement = Retirement(
        Stage.QUARANTINED, T0, T0, "f", "t", "2026-12-01", 7, Stage.ARCHIVED, '{"Statement": []}', T0 + HOUR, T0 + 2 * HOUR
    )
    ledger.write(RepositoryRecord("payments/api", watched_since=T0, retirement=retirement))
    found = ledger.read("payments/api")
    assert found is not None
    assert (found.retirement, found.watched_since) == (retirement, T0)
