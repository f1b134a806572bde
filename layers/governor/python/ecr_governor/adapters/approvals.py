"""Who has approved a list that only the caps withhold, in the ledger's table: beside what people were last asked, on the same chain."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ecr_governor.adapters.ledger_table import LedgerTable, key_of, text_of
from ecr_governor.adapters.run_book import RETIREMENT
from ecr_governor.app.pressing import Approvers
from ecr_governor.core.press import PRESS
from ecr_governor.core.record import GENESIS, Entry, entry_hash


class DynamoDbApprovals(LedgerTable):
    """The approvers of one list at a time: asking about another one forgets them, but not what came of their presses."""

    def read(self) -> Approvers:
        """Who has approved the list that people were last asked about. Raises Throttled, Denied."""
        item = self._get(key_of(RETIREMENT, "record")) or {}
        version = int(item.get("version", {"N": "0"})["N"])
        answered = json.loads(item["answered"]["S"]) if "answered" in item else {}
        if "approvers" not in item:
            return Approvers(version=version, answered=answered)
        known = json.loads(item["approvers"]["S"])
        since = datetime.fromisoformat(known["since"]) if known["since"] else None
        return Approvers(known["approves"], known["people"], since, answered, version)

    def write(self, approvers: Approvers, body: Mapping[str, Any]) -> None:
        """Keep who has approved, with an entry that says so. Raises Contended, Throttled, Denied."""
        item, number = self._get(key_of(RETIREMENT, "record")) or {}, approvers.version
        previous = item.get("head", {"S": GENESIS})["S"]
        entry = Entry(RETIREMENT, number + 1, PRESS, body, previous, entry_hash(RETIREMENT, number + 1, PRESS, body, previous))
        known = {
            "approves": approvers.approves,
            "people": dict(approvers.names),
            "since": text_of(approvers.since) if approvers.since else "",
        }
        record = {
            **item,
            **key_of(RETIREMENT, "record"),
            "version": {"N": str(number + 1)},
            "approvers": {"S": json.dumps(known)},
            "answered": {"S": json.dumps(dict(approvers.answered))},
            "head": {"S": entry.hash},
        }
        self._append(record, number, entry, "somebody else has approved, or people were asked anew")
