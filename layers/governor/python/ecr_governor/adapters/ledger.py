"""The ledger on DynamoDB: one item for a repository's present record, one for each entry, one for each delivery.

| pk | sk | holds |
|---|---|---|
| `repository#NAME` | `record` | the record as JSON, its `version`; `due`/`due_at` index what needs a later look |
| `repository#NAME` | `entry#000000000007` | one entry of the hash chain; never overwritten |
| `repository#NAME` | `push` | the newest push that an event told of |
| `repository#NAME` | `told#000000000007` | the channels that were told of that entry |
| `repository#@policy` | `record` | the policy versions last judged and last good; `@` occurs in no ECR name |
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter, ValidationError

from ecr_governor.adapters.aws import code_of, raise_translated
from ecr_governor.app.errors import Contended, Unintelligible
from ecr_governor.core.announcement import Told
from ecr_governor.core.origin import Push
from ecr_governor.core.record import GENESIS, Entry, RepositoryRecord, entry_hash

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DUE_INDEX = "due"
POLICY = "@policy"
_RECORD = TypeAdapter(RepositoryRecord)
_PUSH = TypeAdapter(Push)


class DynamoDbLedger:
    """The ledger table. Every write of a record is conditional on the version it was read at."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._dynamodb = client
        self._table = table

    def read(self, name: str) -> RepositoryRecord | None:
        """Read a repository's record as last written."""
        item = self._get(_key(name, "record"))
        try:
            return _RECORD.validate_json(item["document"]["S"]) if item else None
        except ValidationError as error:
            raise Unintelligible(
                f"the record of {name} was written by another release: {error.error_count()} fields are not understood"
            ) from error

    def write(self, record: RepositoryRecord, entry: Entry | None = None) -> RepositoryRecord:
        """Write the record over the version it was read at, with a new entry, all or nothing. Raises Contended, Throttled."""
        written = replace(record, version=record.version + 1)
        puts: list[Any] = [self._put_record(written, record.version), *([self._put_entry(entry)] if entry else [])]
        try:
            if len(puts) == 1:
                self._dynamodb.put_item(**puts[0])
            else:
                self._dynamodb.transact_write_items(TransactItems=[{"Put": put} for put in puts])
        except ClientError as error:
            if _lost_the_race(error):
                raise Contended(f"{record.name}: version {record.version} was written over") from error
            raise_translated(error, "dynamodb:PutItem")
        return written

    def note_push(self, name: str, push: Push) -> None:
        """Keep the newest push to a repository that an event told of, apart from the record. Raises Throttled, Denied."""
        at = push.at.astimezone(UTC).isoformat()
        item = {**_key(name, "push"), "at": {"S": at}, "document": {"S": _PUSH.dump_json(push).decode()}}
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(pk) OR #at < :at",
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":at": {"S": at}},
            )
        except ClientError as error:
            if not _lost_the_race(error):
                raise_translated(error, "dynamodb:PutItem")

    def noted_push(self, name: str) -> Push | None:
        """Give the newest push that was noted."""
        item = self._get(_key(name, "push"))
        return _PUSH.validate_json(item["document"]["S"]) if item else None

    def delivered(self, repository: str, number: int) -> frozenset[str]:
        """The channels that were told of an entry."""
        item = self._get(_key(repository, _told(number)))
        return frozenset(item["channels"]["SS"]) if item else frozenset()

    def mark_delivered(self, repository: str, number: int, channel: str, at: datetime) -> None:
        """Note that a channel was told of an entry. Raises Throttled, Denied."""
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=_key(repository, _told(number)),
                UpdateExpression="ADD channels :channel SET told_at = :at",
                ExpressionAttributeValues={":channel": {"SS": [channel]}, ":at": {"S": at.isoformat()}},
            )
        except ClientError as error:
            raise_translated(error, "dynamodb:UpdateItem")

    def due(self, until: datetime, limit: int) -> Sequence[str]:
        """Names of repositories whose verdicts may change by time alone before `until`, the longest overdue first."""
        try:
            answer = self._dynamodb.query(
                TableName=self._table,
                IndexName=DUE_INDEX,
                KeyConditionExpression="due = :due AND due_at <= :until",
                ExpressionAttributeValues={":due": {"S": "due"}, ":until": {"S": until.astimezone(UTC).isoformat()}},
                Limit=limit,
            )
        except ClientError as error:
            raise_translated(error, "dynamodb:Query")
        return [item["pk"]["S"].partition("#")[2] for item in answer["Items"]]

    def note_policy(self, version: str, problem: str | None, at: datetime) -> bool:
        """Note which policy version was last judged, and the problem it has; True if that is news."""
        item = self._get(_key(POLICY, "record")) or {}
        known = {name: value["S"] for name, value in item.items() if "S" in value}
        if known.get("policy_version") == version and known.get("problem", "") == (problem or ""):
            return False
        number = int(item.get("version", {"N": "0"})["N"])
        body = {"at": at.isoformat(), "version": version, "problem": problem}
        kind = "policy" if problem else "policy-accepted"
        previous = known.get("head", GENESIS)
        entry = Entry(POLICY, number + 1, kind, body, previous, entry_hash(POLICY, number + 1, kind, body, previous))
        record = {
            **_key(POLICY, "record"),
            "version": {"N": str(number + 1)},
            "policy_version": {"S": version},
            "problem": {"S": problem or ""},
            "good_version": {"S": known.get("good_version", "") if problem else version},
            "head": {"S": entry.hash},
        }
        puts: list[Any] = [self._conditional(record, number), self._put_entry(entry)]
        try:
            self._dynamodb.transact_write_items(TransactItems=[{"Put": put} for put in puts])
        except ClientError as error:
            if _lost_the_race(error):
                return False
            raise_translated(error, "dynamodb:PutItem")
        return True

    def last_good_policy(self) -> str | None:
        """The version of the last valid policy file."""
        item = self._get(_key(POLICY, "record")) or {}
        return item.get("good_version", {"S": ""})["S"] or None

    def records(self) -> Iterator[RepositoryRecord]:
        """Every repository's record, in no order. A scan: for the command line, not for a function."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="sk = :record",
            ExpressionAttributeValues={":record": {"S": "record"}},
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                if "document" in item:
                    yield _RECORD.validate_json(item["document"]["S"])

    def entries(self, name: str) -> Iterator[Entry]:
        """A repository's ledger, oldest entry first."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :entry)",
            ExpressionAttributeValues={":pk": {"S": f"repository#{name}"}, ":entry": {"S": "entry#"}},
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                yield Entry(
                    repository=item["repository"]["S"],
                    number=int(item["number"]["N"]),
                    kind=item["kind"]["S"],
                    body=json.loads(item["body"]["S"]),
                    previous=item["previous"]["S"],
                    hash=item["hash"]["S"],
                )

    def _get(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        try:
            return self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        except ClientError as error:
            raise_translated(error, "dynamodb:GetItem")

    def _put_record(self, record: RepositoryRecord, read_at: int) -> dict[str, Any]:
        item = {
            **_key(record.name, "record"),
            "version": {"N": str(record.version)},
            "document": {"S": _RECORD.dump_json(record).decode()},
        }
        if record.due_at:
            item |= {"due": {"S": "due"}, "due_at": {"S": record.due_at.astimezone(UTC).isoformat()}}
        return self._conditional(item, read_at)

    def _conditional(self, item: Mapping[str, Any], read_at: int) -> dict[str, Any]:
        if read_at == 0:
            return {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
        return {
            "TableName": self._table,
            "Item": item,
            "ConditionExpression": "version = :read_at",
            "ExpressionAttributeValues": {":read_at": {"N": str(read_at)}},
        }

    def _put_entry(self, entry: Entry) -> dict[str, Any]:
        item = {
            **_key(entry.repository, f"entry#{entry.number:012}"),
            "kind": {"S": entry.kind},
            "repository": {"S": entry.repository},
            "number": {"N": str(entry.number)},
            "body": {"S": json.dumps(entry.body, sort_keys=True)},
            "previous": {"S": entry.previous},
            "hash": {"S": entry.hash},
        }
        return {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}


def told_from_image(image: Mapping[str, Any]) -> Told:
    """Read an entry from the new image of a stream record."""
    return Told(
        repository=image["repository"]["S"],
        number=int(image["number"]["N"]),
        kind=image["kind"]["S"],
        body=json.loads(image["body"]["S"]),
    )


def _key(name: str, sort: str) -> dict[str, Any]:
    return {"pk": {"S": f"repository#{name}"}, "sk": {"S": sort}}


def _told(number: int) -> str:
    return f"told#{number:012}"


def _lost_the_race(error: ClientError) -> bool:
    if code_of(error) in {"ConditionalCheckFailedException", "TransactionConflictException"}:
        return True
    reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", ())}
    return code_of(error) == "TransactionCanceledException" and bool(reasons & {"ConditionalCheckFailed", "TransactionConflict"})
