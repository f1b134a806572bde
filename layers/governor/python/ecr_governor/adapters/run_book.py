"""How much retirement took away lately, in the ledger's table."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import raise_translated
from ecr_governor.adapters.ledger_table import LedgerTable, key_of, text_of
from ecr_governor.app.errors import Contended
from ecr_governor.core.record import GENESIS, Entry, entry_hash

RETIREMENT: Final = "@retirement"
ASKED: Final = "approval-asked"
ASK_AGAIN: Final = timedelta(days=7)
"""After which people are asked once more of a list that is still the same."""
LISTED: Final = 500
"""Steps that an entry names: an item holds 400 KB, and a step's names 512 characters. The plan names all."""


class DynamoDbRunBook(LedgerTable):
    """One item for each time that a repository was taken a stage further."""

    def taken_since(self, since: datetime) -> int:
        """Count the repositories that were taken a stage further at that time or later. Raises Throttled, Denied."""
        values: Any = {":pk": key_of(RETIREMENT, "")["pk"], ":since": {"S": f"taken#{text_of(since)}"}, ":end": {"S": "taken$"}}
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            # "$" comes right after "#".
            KeyConditionExpression="pk = :pk AND sk BETWEEN :since AND :end",
            ExpressionAttributeValues=values,
            ConsistentRead=True,
            Select="COUNT",
        )
        try:
            return sum(page["Count"] for page in pages)
        except ClientError as error:
            raise_translated(error, "dynamodb:Query")

    def note_taken(self, name: str, at: datetime) -> None:
        """Count one; the same repository at the same time counts once. Raises Throttled, Denied."""
        try:
            self._dynamodb.put_item(TableName=self._table, Item=key_of(RETIREMENT, f"taken#{text_of(at)}#{name}"))
        except ClientError as error:
            raise_translated(error, "dynamodb:PutItem")

    def ask(self, question: Mapping[str, Any], at: datetime) -> bool:
        """Write a question for people as an entry; False if they were asked the same within a week. Raises Throttled, Denied."""
        item = self._get(key_of(RETIREMENT, "record")) or {}
        known = {name: value["S"] for name, value in item.items() if "S" in value}
        steps = question["steps"]
        # Without the words of the caps, whose counts change from day to day.
        asked = hashlib.sha256(json.dumps([question.get("approves", ""), steps], sort_keys=True).encode()).hexdigest()
        if known.get("asked") == asked and at - datetime.fromisoformat(known["asked_at"]) < ASK_AGAIN:
            return False
        number, previous = int(item.get("version", {"N": "0"})["N"]), known.get("head", GENESIS)
        body = {**question, "steps": steps[:LISTED], "count": len(steps)}
        entry = Entry(RETIREMENT, number + 1, ASKED, body, previous, entry_hash(RETIREMENT, number + 1, ASKED, body, previous))
        record = {
            **key_of(RETIREMENT, "record"),
            "version": {"N": str(number + 1)},
            "asked": {"S": asked},
            "asked_at": {"S": text_of(at)},
            "head": {"S": entry.hash},
            # What came of presses: one that comes again is not decided again because people were asked anew.
            **({"answered": item["answered"]} if "answered" in item else {}),
        }
        try:
            self._append(record, number, entry, "somebody else has asked")
        except Contended:
            return False
        return True
