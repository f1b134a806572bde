"""What stands in Slack where, in the ledger's table. By updates only: whoever tells people has no right to put or delete an item there."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from botocore.exceptions import ClientError
from pydantic import TypeAdapter

from ecr_governor.adapters.aws import code_of, raise_translated
from ecr_governor.adapters.ledger_table import LedgerTable, key_of, lost_the_race
from ecr_governor.app.errors import Contended, Full
from ecr_governor.core.conversation import AGAIN, Conversation, RunningBurst

SLACK = "@slack"
MESSAGE = "message#slack"
STALE, WAITING = "stale", "waiting"
HELD: Final = {STALE: "repositories", WAITING: "entries"}
"""The sets, and the attribute that holds the members of each."""
SHARDS: Final = 64
"""Items that a set is spread over: one holds 400 KB, which are fewer than 1,600 of the longest names; all hold those of a full registry."""
_CONVERSATION = TypeAdapter(Conversation)
_BURST = TypeAdapter(RunningBurst)


class DynamoDbConversations(LedgerTable):
    """Messages of repositories, digests of channels, which messages show less than the ledger says, and which entries wait for their channel."""

    def read(self, name: str) -> Conversation | None:
        """Where a repository's message is. Raises Throttled, Denied."""
        item = self._get(key_of(name, MESSAGE))
        return _CONVERSATION.validate_json(item["document"]["S"]) if item else None

    def write(self, name: str, conversation: Conversation) -> None:
        """Keep where a repository's message is, over the version that it was read at. Raises Contended, Throttled, Denied."""
        written = replace(conversation, version=conversation.version + 1)
        self._write_over(key_of(name, MESSAGE), _CONVERSATION.dump_json(written), conversation.version)

    def burst(self, channel: str) -> RunningBurst | None:
        """The channel's last digest. Raises Throttled, Denied."""
        item = self._get(key_of(SLACK, f"burst#{channel}"))
        return _BURST.validate_json(item["document"]["S"]) if item else None

    def write_burst(self, channel: str, running: RunningBurst) -> None:
        """Keep a channel's digest over the version that it was read at. Raises Contended, Throttled, Denied."""
        written = replace(running, version=running.version + 1)
        self._write_over(key_of(SLACK, f"burst#{channel}"), _BURST.dump_json(written), running.version)

    def note_stale(self, names: Sequence[str]) -> None:
        """Remember that messages show less than the ledger says. Raises Full, Throttled, Denied."""
        self._add(STALE, names)

    def stale(self, limit: int) -> Sequence[str]:
        """Some of the repositories whose messages show less than the ledger says. Raises Throttled, Denied."""
        return list(islice(self._members(STALE), limit))

    def note_fresh(self, names: Sequence[str]) -> None:
        """Remember that messages show all. Raises Throttled, Denied."""
        self._remove(STALE, names)

    def note_waiting(self, entries: Sequence[tuple[str, int]]) -> None:
        """Remember entries, by repository and number, whose channel is refused. Raises Full, Throttled, Denied."""
        self._add(WAITING, [f"{repository}#{number}" for repository, number in entries])

    def waiting(self, limit: int) -> Sequence[tuple[str, int]]:
        """Some of the entries whose channel was refused. Raises Throttled, Denied."""
        parted = (member.rpartition("#") for member in islice(self._members(WAITING), limit))
        return [(repository, int(number)) for repository, _, number in parted]

    def note_settled(self, entries: Sequence[tuple[str, int]]) -> None:
        """Remember that entries wait no more. Raises Throttled, Denied."""
        self._remove(WAITING, [f"{repository}#{number}" for repository, number in entries])

    def ask_again(self, in_vain: int = 0) -> None:
        """Have the table's stream call whoever tells people once more. Raises Throttled, Denied."""
        # A write that changes nothing is not in the stream: hence the count.
        expression = "SET kind = :again, in_vain = :in_vain ADD times :one"
        self._update(key_of(SLACK, AGAIN), expression, {":again": {"S": AGAIN}, ":in_vain": {"N": str(in_vain)}, ":one": {"N": "1"}})

    def _add(self, kind: str, members: Iterable[str]) -> None:
        for key, some in _spread(kind, members):
            try:
                self._update(key, f"ADD {HELD[kind]} :some", {":some": {"SS": some}})
            except ClientError as error:
                # The only thing of it that can be wrong is the item's size.
                if code_of(error) == "ValidationException":
                    raise Full(f"{key['sk']['S']} holds as much as an item can") from error
                raise

    def _remove(self, kind: str, members: Iterable[str]) -> None:
        for key, some in _spread(kind, members):
            self._update(key, f"DELETE {HELD[kind]} :some", {":some": {"SS": some}})

    def _members(self, kind: str) -> Iterator[str]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :kind)",
            ExpressionAttributeValues={":pk": key_of(SLACK, "")["pk"], ":kind": {"S": f"{kind}#"}},
            ConsistentRead=True,
        )
        try:
            for page in pages:
                for item in page["Items"]:
                    yield from sorted(item.get(HELD[kind], {"SS": []})["SS"])
        except ClientError as error:
            raise_translated(error, "dynamodb:Query")

    def _write_over(self, key: dict[str, Any], document: bytes, read_at: int) -> None:
        values: dict[str, Any] = {":document": {"S": document.decode()}, ":version": {"N": str(read_at + 1)}}
        # What a former release wrote over one another without a version counts as never written.
        condition = "attribute_not_exists(version)"
        if read_at:
            condition, values[":read_at"] = "version = :read_at", {"N": str(read_at)}
        self._update(key, "SET document = :document, version = :version", values, ConditionExpression=condition)

    def _update(self, key: dict[str, Any], expression: str, values: dict[str, Any], **more: Any) -> None:
        try:
            self._dynamodb.update_item(
                TableName=self._table, Key=key, UpdateExpression=expression, ExpressionAttributeValues=values, **more
            )
        except ClientError as error:
            if lost_the_race(error):
                raise Contended(f"{key['sk']['S']} was written over") from error
            raise_translated(error, "dynamodb:UpdateItem")


def _spread(kind: str, members: Iterable[str]) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Give the items of a set that these members belong to, and which of them to which."""
    shards: dict[int, set[str]] = defaultdict(set)
    for member in members:
        shards[zlib.crc32(member.encode()) % SHARDS].add(member)
    for shard, some in sorted(shards.items()):
        yield key_of(SLACK, f"{kind}#{shard:02}"), sorted(some)
