"""The ledger's table on DynamoDB: how its items are named, read, and written over no one else's.

| pk | sk | holds |
|---|---|---|
| `repository#NAME` | `record` | the record as JSON, its `version`; `due`/`due_at` index what needs a later look |
| `repository#NAME` | `entry#000000000007` | one entry of the hash chain; never overwritten |
| `repository#NAME` | `push` | the newest push that an event told of |
| `repository#NAME` | `told#000000000007` | the channels that were told of that entry |
| `repository#NAME` | `message#slack` | where in Slack its message is, and what it shows |
| `repository#@policy` | `record` | the policy versions last judged and last good; `@` occurs in no ECR name |
| `repository#@sweep` | `lease` | who sweeps now, until when, and the fencing token |
| `repository#@sweep` | `retirement-lease` | who retires now, in the same form |
| `repository#@sweep` | `record`, `entry#…` | how the last sweep ended; one entry for each |
| `repository#@retirement` | `taken#TIME#NAME` | one repository that was taken a stage further, for the caps |
| `repository#@retirement` | `record`, `entry#…` | the list that people were last asked to approve; one entry for each |
| `repository#@report` | `record`, `entry#…` | who opened the report last; one entry for each press |
| `repository#@slack` | `burst#CHANNEL` | the channel's digest of a burst, as long as it grows |
| `repository#@slack` | `stale#SHARD` | repositories whose messages show less than the ledger says, spread over 64 items |
| `repository#@slack` | `waiting#SHARD` | entries as `NAME#NUMBER` whose channel was refused, spread in the same way |
| `repository#@slack` | `again` | a write of it has the stream call `notify` where there is no news, but something was left for later |

`touched`/`touched_at` index the records by when a look has last changed them, for the next sweep; `retiring`/`retiring_since` those
whose retirement is under way.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import code_of, raise_translated
from ecr_governor.app.errors import Contended
from ecr_governor.core.record import Entry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class LedgerTable:
    """The table. Every write over an item is conditional on the version it was read at."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._dynamodb = client
        self._table = table

    def _get(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        try:
            return self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        except ClientError as error:
            raise_translated(error, "dynamodb:GetItem")

    def _conditional(self, item: Mapping[str, Any], read_at: int) -> dict[str, Any]:
        if read_at == 0:
            return {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
        return {
            "TableName": self._table,
            "Item": item,
            "ConditionExpression": "version = :read_at",
            "ExpressionAttributeValues": {":read_at": {"N": str(read_at)}},
        }

    def _append(self, record: Mapping[str, Any], read_at: int, entry: Entry, lost: str) -> None:
        """Write a chain's record over the version it was read at, and its next entry, both or neither.

        Raises Contended with what is `lost` if somebody else wrote first, Throttled, Denied.
        """
        puts: list[Any] = [{"Put": self._conditional(record, read_at)}, {"Put": self._put_entry(entry)}]
        try:
            self._dynamodb.transact_write_items(TransactItems=puts)
        except ClientError as error:
            if lost_the_race(error):
                raise Contended(lost) from error
            raise_translated(error, "dynamodb:PutItem")

    def _put_entry(self, entry: Entry) -> dict[str, Any]:
        item = {
            **key_of(entry.repository, f"entry#{entry.number:012}"),
            "kind": {"S": entry.kind},
            "repository": {"S": entry.repository},
            "number": {"N": str(entry.number)},
            "body": {"S": json.dumps(entry.body, sort_keys=True)},
            "previous": {"S": entry.previous},
            "hash": {"S": entry.hash},
        }
        return {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}


def text_of(moment: datetime) -> str:
    """Give a time as the table keeps it: texts sort as times do."""
    return moment.astimezone(UTC).isoformat()


def key_of(name: str, sort: str) -> dict[str, Any]:
    """Give an item's key."""
    return {"pk": {"S": f"repository#{name}"}, "sk": {"S": sort}}


def lost_the_race(error: ClientError) -> bool:
    """Tell whether a write was refused because somebody else wrote first."""
    if code_of(error) in {"ConditionalCheckFailedException", "TransactionConflictException"}:
        return True
    reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", ())}
    return code_of(error) == "TransactionCanceledException" and bool(reasons & {"ConditionalCheckFailed", "TransactionConflict"})
