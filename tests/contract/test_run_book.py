"""How much retirement took away lately, as DynamoDB keeps it."""

from datetime import timedelta
from itertools import pairwise

import pytest

from ecr_governor.adapters.ledger import DynamoDbLedger
from ecr_governor.adapters.run_book import DynamoDbRunBook
from ecr_governor.app.errors import Denied, Throttled
from ecr_governor.app.retirement.ports import RunBook
from local.server import EmbeddedAws
from tests.fakes import HOUR, T0


@pytest.fixture(params=["embedded"])
def book(request: pytest.FixtureRequest, aws: EmbeddedAws, ledger_table: str) -> RunBook:
    return DynamoDbRunBook(aws.client("dynamodb"), ledger_table)


def test_nothing_was_taken_before_the_first(book: RunBook) -> None:
    assert book.taken_since(T0) == 0


def test_what_was_taken_then_or_later_counts(book: RunBook) -> None:
    for hours in range(5):
        book.note_taken("payments/api", T0 + hours * HOUR)
    book.note_taken("payments/web", T0 + 4 * HOUR)
    assert book.taken_since(T0) == 6
    assert book.taken_since(T0 + 3 * HOUR) == 3
    assert book.taken_since(T0 + 4 * HOUR) == 2
    assert book.taken_since(T0 + 4 * HOUR + timedelta(microseconds=1)) == 0


def test_fractions_of_a_second_are_in_order(book: RunBook) -> None:
    book.note_taken("a", T0)
    book.note_taken("a", T0 + timedelta(microseconds=1))
    book.note_taken("a", T0 + timedelta(seconds=1))
    assert [book.taken_since(T0 + timedelta(microseconds=each)) for each in (0, 1, 2, 1_000_000, 1_000_001)] == [3, 2, 1, 1, 0]


def test_the_same_step_noted_twice_counts_once(book: RunBook) -> None:
    book.note_taken("payments/api", T0)
    book.note_taken("payments/api", T0)
    assert book.taken_since(T0) == 1


def test_more_than_a_page_is_counted(aws: EmbeddedAws, ledger_table: str) -> None:
    # A page of Query ends at 1 MB.
    book = DynamoDbRunBook(aws.client("dynamodb"), ledger_table)
    for number in range(12):
        book.note_taken("payments/api", T0 + timedelta(seconds=number))
        item = {"pk": {"S": "repository#@retirement"}, "sk": {"S": f"taken#{T0.isoformat()}#{number}"}, "pad": {"S": "x" * 300_000}}
        aws.client("dynamodb").put_item(TableName=ledger_table, Item=item)
    assert book.taken_since(T0) == 24


def test_it_is_no_repository_of_the_ledger(aws: EmbeddedAws, ledger_table: str) -> None:
    DynamoDbRunBook(aws.client("dynamodb"), ledger_table).note_taken("payments/api", T0)
    ledger = DynamoDbLedger(aws.client("dynamodb"), ledger_table)
    assert list(ledger.all_records()) == []
    assert ledger.read("payments/api") is None


@pytest.mark.parametrize(("code", "trouble"), [("ThrottlingException", Throttled), ("AccessDeniedException", Denied)])
def test_trouble_is_named(aws: EmbeddedAws, ledger_table: str, code: str, trouble: type[Exception]) -> None:
    client = aws.client("dynamodb")

    def refuse(**_: object) -> tuple[object, dict[str, object]]:
        class Answer:
            status_code = 400
            headers: dict[str, str] = {}  # noqa: RUF012

        return Answer(), {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}}

    client.meta.events.register("before-call.dynamodb", refuse, unique_id="refuse")
    try:
        with pytest.raises(trouble):
            DynamoDbRunBook(client, ledger_table).note_taken("payments/api", T0)
        with pytest.raises(trouble):
            DynamoDbRunBook(client, ledger_table).taken_since(T0)
    finally:
        client.meta.events.unregister("before-call.dynamodb", refuse, unique_id="refuse")


QUESTION = {"over": ["3 repositories would go on, caps.per_run is 2"], "steps": [{"repository": "a", "to": "archived", "owner": None}]}


def test_people_are_asked_once_of_the_same_list_until_a_week_has_passed(aws: EmbeddedAws, ledger_table: str) -> None:
    book, ledger = DynamoDbRunBook(aws.client("dynamodb"), ledger_table), DynamoDbLedger(aws.client("dynamodb"), ledger_table)
    known = len(list(ledger.entries("@retirement")))
    week = 7 * 24 * HOUR
    assert book.ask(QUESTION, T0)
    assert not book.ask(QUESTION, T0 + week - timedelta(seconds=1))
    assert book.ask(QUESTION, T0 + week)
    assert not book.ask({**QUESTION, "over": ["another count"]}, T0 + week)
    assert book.ask({**QUESTION, "steps": []}, T0 + week)
    many = [{"repository": f"r{number}", "to": "archived", "owner": "o" * 256} for number in range(2_500)]
    assert book.ask({**QUESTION, "steps": many}, T0 + week)
    entries = list(ledger.entries("@retirement"))[known:]
    assert [(entry.kind, entry.body["count"], len(entry.body["steps"])) for entry in entries] == [
        *[("approval-asked", 1, 1)] * 2,
        ("approval-asked", 0, 0),
        ("approval-asked", 2_500, 500),
    ]
    assert all(later.previous == former.hash for former, later in pairwise(entries))
