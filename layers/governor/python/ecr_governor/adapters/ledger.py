"""The ledger on DynamoDB: one item for a repository's present record, one for each entry, one for each delivery.

| pk | sk | holds |
|---|---|---|
| `repository#NAME` | `record` | the record as JSON, its `version`; `due`/`due_at` index what needs a later look |
| `repository#NAME` | `entry#000000000007` | one entry of the hash chain; never overwritten |
| `repository#NAME` | `push` | the newest push that an event told of |
| `repository#NAME` | `told#000000000007` | the channels that were told of that entry |
| `repository#@policy` | `record` | the policy versions last judged and last good; `@` occurs in no ECR name |
| `repository#@sweep` | `lease` | who sweeps now, until when, and the fencing token |
| `repository#@sweep` | `record`, `entry#…` | how the last sweep ended; one entry for each |

`touched`/`touched_at` index the records by when a look has last changed them, for the next sweep.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter, ValidationError

from ecr_governor.adapters.aws import code_of, raise_translated
from ecr_governor.app.errors import Contended, LeaseLost, SweepRunning, Throttled, Unintelligible
from ecr_governor.core.announcement import Told
from ecr_governor.core.origin import Push
from ecr_governor.core.record import GENESIS, Entry, RepositoryRecord, entry_hash
from ecr_governor.core.sweep import LEDGER_NAME as SWEEP
from ecr_governor.core.sweep import EndedSweep, Lease

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger(__name__)

DUE_INDEX = "due"
POLICY = "@policy"
TOUCHED_INDEX = "touched"
PROBLEM_LIMIT = 10_000
"""Characters of a policy file's problems that are kept."""
BATCH = 100
"""Items that one BatchGetItem takes."""
BATCH_ROUNDS = 8
_RECORD = TypeAdapter(RepositoryRecord)
_PUSH = TypeAdapter(Push)


@cache
def _ended() -> TypeAdapter[EndedSweep]:
    # Most functions never read how a sweep ended: it is not made at their start.
    return TypeAdapter(EndedSweep)


class DynamoDbLedger:
    """The ledger table. Every write of a record is conditional on the version it was read at."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._dynamodb = client
        self._table = table

    def read(self, name: str) -> RepositoryRecord | None:
        """Read a repository's record as last written."""
        item = self._get(_key(name, "record"))
        return _record_of(name, item) if item else None

    def records(self, names: Sequence[str]) -> Mapping[str, RepositoryRecord]:
        """Read many records as last written; those of repositories that the ledger does not know are left out.

        So is a record that this release does not understand: it is left as it is, and a look will say so. Raises Throttled, Denied.
        """
        found: dict[str, RepositoryRecord] = {}
        for start in range(0, len(names), BATCH):
            wanted: Any = {self._table: {"Keys": [_key(name, "record") for name in names[start : start + BATCH]], "ConsistentRead": True}}
            for _ in range(BATCH_ROUNDS):
                try:
                    answer = self._dynamodb.batch_get_item(RequestItems=wanted)
                except ClientError as error:
                    raise_translated(error, "dynamodb:BatchGetItem")
                for item in answer["Responses"].get(self._table, ()):
                    name = item["pk"]["S"].partition("#")[2]
                    try:
                        found[name] = _record_of(name, item)
                    except Unintelligible:
                        logger.exception("record not read", extra={"repository": name})
                wanted = answer.get("UnprocessedKeys")
                if not wanted:
                    break
            else:
                raise Throttled("dynamodb:BatchGetItem: keys stay unprocessed")
        return found

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

    def touched(self, since: datetime) -> Iterator[tuple[str, datetime]]:
        """Names of repositories whose record a look has changed since then, and when last. Raises Throttled, Denied.

        By an index, which may lag some seconds behind.
        """
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=TOUCHED_INDEX,
            KeyConditionExpression="touched = :touched AND touched_at >= :since",
            ExpressionAttributeValues={":touched": {"S": "touched"}, ":since": {"S": _text(since)}},
        )
        try:
            for page in pages:
                for item in page["Items"]:
                    yield item["pk"]["S"].partition("#")[2], datetime.fromisoformat(item["touched_at"]["S"])
        except ClientError as error:
            raise_translated(error, "dynamodb:Query")

    def take_lease(self, execution: str, run: str, now: datetime, until: datetime) -> Lease:
        """Take the lease, or go on with it if this execution holds it already. Raises SweepRunning, Throttled, Denied."""
        mine = self._update_lease(
            "SET until_at = :until", "execution = :execution", {":until": _text(until), ":execution": execution}
        ) or self._update_lease(
            "SET execution = :execution, run = :run, until_at = :until, taken_at = :now ADD #token :one",
            "attribute_not_exists(execution) OR until_at < :now",
            {":execution": execution, ":run": run, ":until": _text(until), ":now": _text(now), ":one": 1},
        )
        if mine:
            return _lease_of(mine)
        held = self._get(_key(SWEEP, "lease")) or {}
        if held.get("execution", {}).get("S") == execution:
            # The answer of an earlier attempt was lost, not its effect.
            return _lease_of(held)
        keys = ("run", "taken_at", "until_at", "execution")
        who, when, by_when, named = (held.get(name, {}).get("S", "unknown") for name in keys)
        raise SweepRunning(f"the sweep {who} began at {when} and holds the lease until {by_when}; its execution is {named}")

    def renew_lease(self, lease: Lease, now: datetime, until: datetime) -> None:
        """Hold the lease for longer. Raises LeaseLost, Throttled, Denied."""
        values: dict[str, str | int] = {":until": _text(until), ":execution": lease.execution, ":token": lease.token}
        if not self._update_lease("SET until_at = :until", "execution = :execution AND #token = :token", values):
            raise LeaseLost(f"the sweep {lease.run} does not hold the lease any more at {_text(now)}: it does nothing further")

    def give_back(self, lease: Lease) -> None:
        """Give the lease back; nothing happens if it is somebody else's. Raises Throttled, Denied."""
        values: dict[str, str | int] = {":execution": lease.execution, ":token": lease.token}
        self._update_lease("REMOVE execution", "execution = :execution AND #token = :token", values)

    def last_sweep(self) -> EndedSweep | None:
        """The last sweep that left an inventory; None before the first. Raises Throttled, Denied."""
        item = self._get(_key(SWEEP, "record"))
        return _ended().validate_json(item["document"]["S"]) if item else None

    def end_sweep(self, lease: Lease, ended: EndedSweep, entry: Mapping[str, Any]) -> None:
        """Note how a sweep ended, tell of it by an entry, and give the lease back, all or nothing. Raises LeaseLost, Throttled, Denied."""
        item = self._get(_key(SWEEP, "record")) or {}
        number = int(item.get("version", {"N": "0"})["N"])
        previous = item.get("head", {"S": GENESIS})["S"]
        told = Entry(SWEEP, number + 1, "sweep", entry, previous, entry_hash(SWEEP, number + 1, "sweep", entry, previous))
        record = {
            **_key(SWEEP, "record"),
            "version": {"N": str(number + 1)},
            "document": {"S": _ended().dump_json(ended).decode()},
            "head": {"S": told.hash},
        }
        release: Any = {
            "TableName": self._table,
            "Key": _key(SWEEP, "lease"),
            "UpdateExpression": "REMOVE execution",
            "ConditionExpression": "execution = :execution AND #token = :token",
            "ExpressionAttributeNames": {"#token": "token"},
            "ExpressionAttributeValues": {":execution": {"S": lease.execution}, ":token": {"N": str(lease.token)}},
        }
        puts: list[Any] = [{"Put": self._conditional(record, number)}, {"Put": self._put_entry(told)}]
        try:
            self._dynamodb.transact_write_items(TransactItems=[*puts, {"Update": release}])
        except ClientError as error:
            if _lost_the_race(error):
                raise LeaseLost(f"the sweep {lease.run} does not hold the lease any more: its end is not recorded") from error
            raise_translated(error, "dynamodb:PutItem")

    def _update_lease(self, update: str, condition: str, values: Mapping[str, str | int]) -> dict[str, Any] | None:
        names: Any = {"ExpressionAttributeNames": {"#token": "token"}} if "#token" in update + condition else {}
        try:
            answer = self._dynamodb.update_item(
                TableName=self._table,
                Key=_key(SWEEP, "lease"),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues={
                    name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in values.items()
                },
                ReturnValues="ALL_NEW",
                **names,
            )
        except ClientError as error:
            if _lost_the_race(error):
                return None
            raise_translated(error, "dynamodb:UpdateItem")
        return dict(answer["Attributes"])

    def note_policy(self, version: str, problem: str | None, at: datetime) -> bool:
        """Note which policy version was last judged, and the problem it has; True if that is news."""
        # An item holds 400 KB, and a person reads no more of it.
        problem = problem and problem[:PROBLEM_LIMIT]
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

    def all_records(self) -> Iterator[RepositoryRecord]:
        """Every repository's record, in no order. A scan: for the command line, not for a function."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="sk = :record",
            ExpressionAttributeValues={":record": {"S": "record"}},
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                if "document" in item and "@" not in item["pk"]["S"]:
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
            item |= {"due": {"S": "due"}, "due_at": {"S": _text(record.due_at)}}
        if record.looked_at:
            item |= {"touched": {"S": "touched"}, "touched_at": {"S": _text(record.looked_at)}}
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


def _record_of(name: str, item: Mapping[str, Any]) -> RepositoryRecord:
    try:
        return _RECORD.validate_json(item["document"]["S"])
    except ValidationError as error:
        raise Unintelligible(
            f"the record of {name} was written by another release: {error.error_count()} fields are not understood"
        ) from error


def _lease_of(item: Mapping[str, Any]) -> Lease:
    return Lease(item["execution"]["S"], item["run"]["S"], int(item["token"]["N"]), datetime.fromisoformat(item["taken_at"]["S"]))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _key(name: str, sort: str) -> dict[str, Any]:
    return {"pk": {"S": f"repository#{name}"}, "sk": {"S": sort}}


def _told(number: int) -> str:
    return f"told#{number:012}"


def _lost_the_race(error: ClientError) -> bool:
    if code_of(error) in {"ConditionalCheckFailedException", "TransactionConflictException"}:
        return True
    reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", ())}
    return code_of(error) == "TransactionCanceledException" and bool(reasons & {"ConditionalCheckFailed", "TransactionConflict"})
