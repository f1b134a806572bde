"""The ledger of repositories on DynamoDB."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter, ValidationError

from ecr_governor.adapters.aws import raise_translated
from ecr_governor.adapters.ledger_table import LedgerTable, key_of, lost_the_race, text_of
from ecr_governor.app.errors import Contended, Throttled, Unintelligible
from ecr_governor.core.announcement import Told
from ecr_governor.core.origin import Push
from ecr_governor.core.record import GENESIS, Chain, Entry, RepositoryRecord, entry_hash

logger = logging.getLogger(__name__)

DUE_INDEX = "due"
POLICY = "@policy"
TOUCHED_INDEX = "touched"
RETIRING_INDEX = "retiring"
PROBLEM_LIMIT = 10_000
"""Characters of a policy file's problems that are kept."""
BATCH = 100
"""Items that one BatchGetItem takes."""
BATCH_ROUNDS = 8
_RECORD = TypeAdapter(RepositoryRecord)
_PUSH = TypeAdapter(Push)


class DynamoDbLedger(LedgerTable):
    """Records, entries and deliveries of repositories, and what is known of the policy file."""

    def read(self, name: str) -> RepositoryRecord | None:
        """Read a repository's record as last written. What stands under a name that is no repository's, such as `@report`, is none."""
        item = None if name.startswith("@") else self._get(key_of(name, "record"))
        return _record_of(name, item) if item else None

    def records(self, names: Sequence[str]) -> Mapping[str, RepositoryRecord]:
        """Read many records as last written; those of repositories that the ledger does not know are left out.

        So is a record that this release does not understand: it is left as it is, and a look will say so. Raises Throttled, Denied.
        """
        found: dict[str, RepositoryRecord] = {}
        for start in range(0, len(names), BATCH):
            wanted: Any = {self._table: {"Keys": [key_of(name, "record") for name in names[start : start + BATCH]], "ConsistentRead": True}}
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
            if lost_the_race(error):
                raise Contended(f"{record.name}: version {record.version} was written over") from error
            raise_translated(error, "dynamodb:PutItem")
        return written

    def note_push(self, name: str, push: Push) -> None:
        """Keep the newest push to a repository that an event told of, apart from the record. Raises Throttled, Denied."""
        at = push.at.astimezone(UTC).isoformat()
        item = {**key_of(name, "push"), "at": {"S": at}, "document": {"S": _PUSH.dump_json(push).decode()}}
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(pk) OR #at < :at",
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":at": {"S": at}},
            )
        except ClientError as error:
            if not lost_the_race(error):
                raise_translated(error, "dynamodb:PutItem")

    def noted_push(self, name: str) -> Push | None:
        """Give the newest push that was noted."""
        item = self._get(key_of(name, "push"))
        return _PUSH.validate_json(item["document"]["S"]) if item else None

    def delivered(self, repository: str, number: int) -> frozenset[str]:
        """The channels that were told of an entry."""
        item = self._get(key_of(repository, _told(number)))
        return frozenset(item["channels"]["SS"]) if item else frozenset()

    def mark_delivered(self, repository: str, number: int, channel: str, at: datetime) -> None:
        """Note that a channel was told of an entry. Raises Throttled, Denied."""
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=key_of(repository, _told(number)),
                # A time for each: an owner's grace must not begin anew because somebody else was told later. The time of the last one
                # is for a former release, should somebody go back to it.
                UpdateExpression="ADD channels :channel SET #told_at = :at, told_at = :at",
                ExpressionAttributeNames={"#told_at": f"told_at_{channel}"},
                ExpressionAttributeValues={":channel": {"SS": [channel]}, ":at": {"S": at.isoformat()}},
            )
        except ClientError as error:
            raise_translated(error, "dynamodb:UpdateItem")

    def told_at(self, repository: str, number: int, channel: str) -> datetime | None:
        """When a channel was told of an entry. None if it was not told."""
        item = self._get(key_of(repository, _told(number)))
        if item is None or channel not in item["channels"]["SS"]:
            return None
        # Of what was told before each channel had a time of its own, there is the time of the last.
        at = item.get(f"told_at_{channel}") or item.get("told_at")
        return datetime.fromisoformat(at["S"]) if at else None

    def retiring(self) -> Iterator[str]:
        """Names of repositories whose retirement is under way, the longest first. Raises Throttled, Denied.

        By an index, which may lag some seconds behind.
        """
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=RETIRING_INDEX,
            KeyConditionExpression="retiring = :retiring",
            ExpressionAttributeValues={":retiring": {"S": "retiring"}},
        )
        try:
            for page in pages:
                for item in page["Items"]:
                    yield item["pk"]["S"].partition("#")[2]
        except ClientError as error:
            raise_translated(error, "dynamodb:Query")

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
            ExpressionAttributeValues={":touched": {"S": "touched"}, ":since": {"S": text_of(since)}},
        )
        try:
            for page in pages:
                for item in page["Items"]:
                    yield item["pk"]["S"].partition("#")[2], datetime.fromisoformat(item["touched_at"]["S"])
        except ClientError as error:
            raise_translated(error, "dynamodb:Query")

    def note_policy(self, version: str, problem: str | None, at: datetime) -> bool:
        """Note which policy version was last judged, and the problem it has; True if that is news."""
        # An item holds 400 KB, and a person reads no more of it.
        problem = problem and problem[:PROBLEM_LIMIT]
        item = self._get(key_of(POLICY, "record")) or {}
        known = {name: value["S"] for name, value in item.items() if "S" in value}
        if known.get("policy_version") == version and known.get("problem", "") == (problem or ""):
            return False
        number = int(item.get("version", {"N": "0"})["N"])
        body = {"at": at.isoformat(), "version": version, "problem": problem}
        kind = "policy" if problem else "policy-accepted"
        previous = known.get("head", GENESIS)
        entry = Entry(POLICY, number + 1, kind, body, previous, entry_hash(POLICY, number + 1, kind, body, previous))
        record = {
            **key_of(POLICY, "record"),
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
            if lost_the_race(error):
                return False
            raise_translated(error, "dynamodb:PutItem")
        return True

    def last_good_policy(self) -> str | None:
        """The version of the last valid policy file."""
        item = self._get(key_of(POLICY, "record")) or {}
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

    def chain(self, name: str) -> Chain:
        """What is known of the entries under a name that is no repository's, such as `@report`."""
        item = self._get(key_of(name, "record"))
        return Chain(name, int(item["version"]["N"]), item["head"]["S"]) if item else Chain(name)

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
                yield _entry_of(item)

    def recent(self, name: str, limit: int) -> Sequence[Entry]:
        """A repository's newest entries, at most so many, oldest first. Raises Throttled, Denied."""
        try:
            answer = self._dynamodb.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :entry)",
                ExpressionAttributeValues={":pk": {"S": f"repository#{name}"}, ":entry": {"S": "entry#"}},
                ConsistentRead=True,
                ScanIndexForward=False,
                Limit=limit,
            )
        except ClientError as error:
            raise_translated(error, "dynamodb:Query")
        return [_entry_of(item) for item in reversed(answer["Items"])]

    def entry(self, name: str, number: int) -> Entry | None:
        """One entry of a repository; None if there is none of that number. Raises Throttled, Denied."""
        item = self._get(key_of(name, f"entry#{number:012}"))
        return _entry_of(item) if item else None

    def _put_record(self, record: RepositoryRecord, read_at: int) -> dict[str, Any]:
        item = {
            **key_of(record.name, "record"),
            "version": {"N": str(record.version)},
            "document": {"S": _RECORD.dump_json(record).decode()},
        }
        if record.due_at:
            item |= {"due": {"S": "due"}, "due_at": {"S": text_of(record.due_at)}}
        if record.looked_at:
            item |= {"touched": {"S": "touched"}, "touched_at": {"S": text_of(record.looked_at)}}
        if record.retirement and record.retirement.under_way:
            item |= {"retiring": {"S": "retiring"}, "retiring_since": {"S": text_of(record.retirement.since)}}
        return self._conditional(item, read_at)


def told_from_image(image: Mapping[str, Any]) -> Told:
    """Read an entry from the new image of a stream record."""
    return Told(
        repository=image["repository"]["S"],
        number=int(image["number"]["N"]),
        kind=image["kind"]["S"],
        body=json.loads(image["body"]["S"]),
    )


def _entry_of(item: Mapping[str, Any]) -> Entry:
    return Entry(
        repository=item["repository"]["S"],
        number=int(item["number"]["N"]),
        kind=item["kind"]["S"],
        body=json.loads(item["body"]["S"]),
        previous=item["previous"]["S"],
        hash=item["hash"]["S"],
    )


def _record_of(name: str, item: Mapping[str, Any]) -> RepositoryRecord:
    try:
        return _RECORD.validate_json(item["document"]["S"])
    except ValidationError as error:
        raise Unintelligible(
            f"the record of {name} was written by another release: {error.error_count()} fields are not understood"
        ) from error


def _told(number: int) -> str:
    return f"told#{number:012}"
