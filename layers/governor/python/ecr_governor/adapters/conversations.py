"""What stands in Slack where, in the ledger's table. By updates only: whoever tells people has no right to put or delete an item there."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter

from ecr_governor.adapters.aws import raise_translated
from ecr_governor.adapters.ledger_table import LedgerTable, key_of, lost_the_race
from ecr_governor.app.errors import Contended
from ecr_governor.core.conversation import Conversation, RunningBurst

SLACK = "@slack"
MESSAGE = "message#slack"
_CONVERSATION = TypeAdapter(Conversation)
_BURST = TypeAdapter(RunningBurst)


class DynamoDbConversations(LedgerTable):
    """Messages of repositories, digests of channels, and which messages show less than the ledger says."""

    def read(self, name: str) -> Conversation | None:
        """Where a repository's message is. Raises Throttled, Denied."""
        item = self._get(key_of(name, MESSAGE))
        return _CONVERSATION.validate_json(item["document"]["S"]) if item else None

    def write(self, name: str, conversation: Conversation) -> None:
        """Keep where a repository's message is. Raises Throttled, Denied.

        The stream brings all entries of a repository one after another, so nobody else writes meanwhile.
        """
        self._update(
            key_of(name, MESSAGE), "SET document = :document", {":document": {"S": _CONVERSATION.dump_json(conversation).decode()}}
        )

    def burst(self, channel: str) -> RunningBurst | None:
        """The channel's last digest. Raises Throttled, Denied."""
        item = self._get(key_of(SLACK, f"burst#{channel}"))
        return _BURST.validate_json(item["document"]["S"]) if item else None

    def write_burst(self, channel: str, running: RunningBurst) -> None:
        """Keep a channel's digest over the version that it was read at. Raises Contended, Throttled, Denied."""
        written = replace(running, version=running.version + 1)
        values: dict[str, Any] = {":document": {"S": _BURST.dump_json(written).decode()}, ":version": {"N": str(written.version)}}
        condition = "attribute_not_exists(pk)"
        if running.version:
            condition, values[":read_at"] = "version = :read_at", {"N": str(running.version)}
        self._update(
            key_of(SLACK, f"burst#{channel}"), "SET document = :document, version = :version", values, ConditionExpression=condition
        )

    def note_stale(self, names: Sequence[str]) -> None:
        """Remember that messages show less than the ledger says. Raises Throttled, Denied."""
        if names:
            self._update(key_of(SLACK, "stale"), "ADD repositories :names", {":names": {"SS": sorted(names)}})

    def stale(self, limit: int) -> Sequence[str]:
        """Some of the repositories whose messages show less than the ledger says. Raises Throttled, Denied."""
        item = self._get(key_of(SLACK, "stale")) or {}
        return sorted(item.get("repositories", {"SS": []})["SS"])[:limit]

    def note_fresh(self, names: Sequence[str]) -> None:
        """Remember that messages show all. Raises Throttled, Denied."""
        if names:
            self._update(key_of(SLACK, "stale"), "DELETE repositories :names", {":names": {"SS": sorted(names)}})

    def _update(self, key: dict[str, Any], expression: str, values: dict[str, Any], **more: Any) -> None:
        try:
            self._dynamodb.update_item(
                TableName=self._table, Key=key, UpdateExpression=expression, ExpressionAttributeValues=values, **more
            )
        except ClientError as error:
            if lost_the_race(error):
                raise Contended(f"{key['sk']['S']} was written over") from error
            raise_translated(error, "dynamodb:UpdateItem")
