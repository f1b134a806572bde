"""How much retirement took away lately, in the ledger's table."""

from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import raise_translated
from ecr_governor.adapters.ledger_table import LedgerTable, key_of, text_of

RETIREMENT = "@retirement"


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
