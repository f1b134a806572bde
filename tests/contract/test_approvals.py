"""Who has approved what: one suite over the stand-in of the tests and DynamoDB."""

from dataclasses import replace

import pytest

from ecr_governor.adapters.approvals import DynamoDbApprovals
from ecr_governor.adapters.ledger import DynamoDbLedger
from ecr_governor.adapters.run_book import DynamoDbRunBook
from ecr_governor.app.errors import Contended
from ecr_governor.app.pressing import ApprovalBook, Approvers
from ecr_governor.core.record import entry_hash
from local.server import EmbeddedAws
from tests.fakes import T0, InMemoryApprovals

FIRST = Approvers("list", {"U1": "slack:U1 (alice)"}, T0, {"press-1": "waits"})


@pytest.fixture(params=["memory", "embedded"])
def book(request: pytest.FixtureRequest, aws: EmbeddedAws, ledger_table: str) -> ApprovalBook:
    return InMemoryApprovals() if request.param == "memory" else DynamoDbApprovals(aws.client("dynamodb"), ledger_table)


def test_at_first_nobody_has_approved_anything(book: ApprovalBook) -> None:
    assert dict(book.read().names) == {}
    assert book.read().answered == {}


def test_what_is_kept_is_read_back(book: ApprovalBook) -> None:
    book.write(FIRST, {"at": "1"})
    known = book.read()
    assert replace(known, version=0) == FIRST
    book.write(replace(known, people={**known.names, "U2": "bob"}, answered={**known.answered, "press-2": "done"}), {"at": "2"})
    assert list(book.read().names) == ["U1", "U2"]


def test_of_two_who_press_at_once_one_decides_again(book: ApprovalBook) -> None:
    before = book.read()
    book.write(replace(FIRST, version=before.version), {"at": "1"})
    with pytest.raises(Contended):
        book.write(replace(FIRST, version=before.version), {"at": "2"})


def test_questions_and_presses_are_one_chain_and_a_new_question_forgets_who_approved(aws: EmbeddedAws, ledger_table: str) -> None:
    questions, book = DynamoDbRunBook(aws.client("dynamodb"), ledger_table), DynamoDbApprovals(aws.client("dynamodb"), ledger_table)
    asked = {"steps": [{"repository": "a", "to": "quarantined", "owner": None}], "approves": "list", "over": []}
    assert questions.ask(asked, T0)
    book.write(replace(FIRST, version=book.read().version), {"at": "1"})
    assert not questions.ask(asked, T0), "the same list within a week"
    assert book.read().approves == "list"
    assert questions.ask({**asked, "approves": "other"}, T0)
    assert book.read().approves == ""
    assert book.read().answered == FIRST.answered, "what came of a press is known for as long as it may come again"
    entries = list(DynamoDbLedger(aws.client("dynamodb"), ledger_table).entries("@retirement"))
    assert [entry.kind for entry in entries] == ["approval-asked", "press", "approval-asked"]
    for entry, previous in zip(entries, [None, *entries], strict=False):
        assert previous is None or entry.previous == previous.hash
        assert entry.hash == entry_hash(entry.repository, entry.number, entry.kind, entry.body, entry.previous)
