"""Who has opened the report: one suite over the stand-in of the tests and DynamoDB."""

import pytest

from ecr_governor.adapters.ledger import DynamoDbLedger
from ecr_governor.adapters.openings import KEPT, REPORT, DynamoDbOpenings
from ecr_governor.app.errors import Contended
from ecr_governor.app.pressing import OpeningBook
from ecr_governor.core.record import break_in
from local.server import EmbeddedAws
from tests.fakes import InMemoryOpenings

PRESSES = [f"press-{number}" for number in range(4)]
DONE = {"result": "done"}


@pytest.fixture(params=["memory", "embedded"])
def book(request: pytest.FixtureRequest, aws: EmbeddedAws, ledger_table: str) -> OpeningBook:
    return InMemoryOpenings() if request.param == "memory" else DynamoDbOpenings(aws.client("dynamodb"), ledger_table)


def test_a_press_stands_there_once(book: OpeningBook) -> None:
    results = ["done", "forbidden"]
    assert [book.note(press, {"result": result}) for press, result in zip(PRESSES, results, strict=False)] == [None, None]
    assert [book.note(press, DONE) for press in PRESSES[:2]] == results, "it says what came of it the first time"


def test_presses_are_one_chain_and_nobody_writes_over_another(aws: EmbeddedAws, ledger_table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    book = DynamoDbOpenings(aws.client("dynamodb"), ledger_table)
    assert not any(book.note(press, {"press": press, **DONE}) for press in PRESSES)
    assert book.note(PRESSES[-1], DONE) == "done"
    ledger = DynamoDbLedger(aws.client("dynamodb"), ledger_table)
    entries = list(ledger.entries(REPORT))
    assert [(entry.kind, entry.body["press"]) for entry in entries] == [("press", press) for press in PRESSES]
    assert break_in(ledger.chain(REPORT), entries) == ""
    assert "counts 4 entries, and there are 3" in break_in(ledger.chain(REPORT), entries[:-1])
    # Somebody writes between our reading and our writing.
    read = book._get({"pk": {"S": f"repository#{REPORT}"}, "sk": {"S": "record"}})
    assert book.note("between", DONE) is None
    monkeypatch.setattr(book, "_get", lambda _key: read)
    with pytest.raises(Contended):
        book.note("late", DONE)


def test_the_last_presses_are_remembered_and_no_more(aws: EmbeddedAws, ledger_table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEPT >= 200, "a report in a channel of many is opened by many at once"
    monkeypatch.setattr("ecr_governor.adapters.openings.KEPT", 2)
    book = DynamoDbOpenings(aws.client("dynamodb"), ledger_table)
    assert [book.note(press, DONE) for press in (*PRESSES[:3], *PRESSES[:3])] == [None, None, None, None, None, None]
    assert book.note(PRESSES[2], DONE) == "done"
