"""What stands in Slack where: the memory that tests believe, and the items on DynamoDB that it stands for."""

import json
from dataclasses import replace

import pytest

from ecr_governor.adapters.conversations import SHARDS, DynamoDbConversations
from ecr_governor.adapters.ledger import DynamoDbLedger
from ecr_governor.app.errors import Contended
from ecr_governor.app.ports import Conversations
from ecr_governor.core.conversation import AGAIN, Conversation, Posted, RunningBurst
from ecr_governor.core.messages.burst import Burst, Opened
from ecr_governor.core.record import RepositoryRecord, append
from ecr_governor.core.severity import Severity
from local.server import EmbeddedAws
from tests.fakes import T0, InMemoryConversations

POSTED = Posted("C0123456789", "1700000000.000100")
TALK = Conversation(POSTED, "C0123456789", T0, "f" * 64)
BURST = RunningBurst(
    POSTED,
    T0,
    Burst(
        3, ("a", "b"), {"naming": Opened(Severity.HIGH, 3, ("a",))}, {"set the tags": 2}, {"scanning": 1}, {"naming": 2}, ("„x“",), 1, "abc"
    ),
    "batch-1",
)


@pytest.fixture(params=["memory", "dynamodb"])
def conversations(request: pytest.FixtureRequest) -> Conversations:
    if request.param == "memory":
        return InMemoryConversations()
    aws: EmbeddedAws = request.getfixturevalue("aws")
    return DynamoDbConversations(aws.client("dynamodb"), request.getfixturevalue("ledger_table"))


def test_where_a_message_is_is_kept_over_the_version_that_it_was_read_at(conversations: Conversations) -> None:
    assert conversations.read("payments/api") is None
    conversations.write("payments/api", TALK)
    with pytest.raises(Contended):
        conversations.write("payments/api", replace(TALK, shown="by who read nothing"))
    assert conversations.read("payments/api") == replace(TALK, version=1)
    conversations.write("payments/api", replace(TALK, birth=None, shown="other", version=1))
    with pytest.raises(Contended):
        conversations.write("payments/api", replace(TALK, version=1))
    assert conversations.read("payments/api") == replace(TALK, birth=None, shown="other", version=2)
    assert conversations.read("payments/web") is None


def test_what_a_former_release_kept_without_a_version_is_read_and_written_over(aws: EmbeddedAws, ledger_table: str) -> None:
    client = aws.client("dynamodb")
    kept = {"posted": {"channel": POSTED.channel, "ts": POSTED.ts}, "wanted": POSTED.channel, "birth": None, "shown": "f"}
    key = {"pk": {"S": "repository#payments/api"}, "sk": {"S": "message#slack"}}
    client.put_item(TableName=ledger_table, Item={**key, "document": {"S": json.dumps(kept)}})
    conversations = DynamoDbConversations(client, ledger_table)
    read = conversations.read("payments/api")
    assert read == Conversation(POSTED, POSTED.channel, None, "f")
    conversations.write("payments/api", read)
    assert conversations.read("payments/api") == replace(read, version=1)


def test_a_digest_is_kept_over_the_version_that_it_was_read_at(conversations: Conversations) -> None:
    assert conversations.burst("C0123456789") is None
    conversations.write_burst("C0123456789", BURST)
    with pytest.raises(Contended):
        conversations.write_burst("C0123456789", BURST)
    read = conversations.burst("C0123456789")
    assert read == replace(BURST, version=1)
    conversations.write_burst("C0123456789", replace(BURST, last="batch-2", version=1))
    assert conversations.burst("C0123456789") == replace(BURST, last="batch-2", version=2)
    assert conversations.burst("") is None


def test_what_is_out_of_date_is_remembered_until_it_is_not(conversations: Conversations) -> None:
    assert conversations.stale(10) == []
    conversations.note_stale([])
    conversations.note_stale(["b", "a"])
    conversations.note_stale(["a", "c"])
    assert len(conversations.stale(2)) == len({*conversations.stale(2)} & {"a", "b", "c"}) == 2
    conversations.note_fresh(["a", "never"])
    conversations.note_fresh([])
    assert sorted(conversations.stale(10)) == ["b", "c"]
    conversations.note_fresh(["b", "c"])
    assert conversations.stale(10) == []


def test_which_entries_wait_for_their_channel_is_remembered_until_they_do_not(conversations: Conversations) -> None:
    entries = [("payments/api", 12), ("payments/api", 2), ("@policy", 3), ("a/b.c-d_e/f", 1_000_000_000_000)]
    conversations.note_waiting([])
    conversations.note_waiting(entries)
    conversations.note_waiting(entries[:1])
    assert sorted(conversations.waiting(10)) == sorted(entries)
    assert len(set(conversations.waiting(3))) == 3
    conversations.note_settled([*entries[:2], ("never", 1)])
    assert sorted(conversations.waiting(10)) == sorted(entries[2:])
    assert conversations.stale(10) == []
    conversations.note_settled(entries[2:])
    assert conversations.waiting(10) == []


def test_of_a_full_registry_each_message_may_be_out_of_date(aws: EmbeddedAws, ledger_table: str) -> None:
    client = aws.client("dynamodb")
    DynamoDbConversations(client, ledger_table).note_stale([f"payments/{number}" for number in range(1000)])
    items = client.query(
        TableName=ledger_table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": "repository#@slack"}}
    )["Items"]
    held = [len(item["repositories"]["SS"]) for item in items]
    assert (len(held), sum(held)) == (SHARDS, 1000)
    assert max(held) < 3 * 1000 / SHARDS


def test_none_of_it_is_a_record_or_an_entry(aws: EmbeddedAws, ledger_table: str) -> None:
    client = aws.client("dynamodb")
    ledger, conversations = DynamoDbLedger(client, ledger_table), DynamoDbConversations(client, ledger_table)
    ledger.write(*append(RepositoryRecord("payments/api"), "change", {"a": 1}))
    conversations.write("payments/api", TALK)
    conversations.write_burst("C0123456789", BURST)
    conversations.note_stale(["payments/api"])
    conversations.note_waiting([("payments/api", 1)])
    conversations.ask_again()
    assert [record.name for record in ledger.all_records()] == ["payments/api"]
    assert [entry.kind for entry in ledger.entries("payments/api")] == ["change"]


def test_each_wish_to_be_called_again_is_a_change_of_the_table(aws: EmbeddedAws, ledger_table: str) -> None:
    client = aws.client("dynamodb")
    conversations = DynamoDbConversations(client, ledger_table)
    seen = []
    for _ in range(3):
        conversations.ask_again()
        seen.append(client.get_item(TableName=ledger_table, Key={"pk": {"S": "repository#@slack"}, "sk": {"S": AGAIN}})["Item"])
    assert [item["kind"]["S"] for item in seen] == [AGAIN] * 3
    assert len({json.dumps(item) for item in seen}) == 3
