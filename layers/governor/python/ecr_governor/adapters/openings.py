"""Who has opened the report, in the ledger's table: a chain of entries of its own, since the report is of no repository."""

import json
from collections.abc import Mapping
from typing import Any

from ecr_governor.adapters.ledger_table import LedgerTable, key_of
from ecr_governor.core.press import PRESS, remembered
from ecr_governor.core.record import GENESIS, Entry, entry_hash

REPORT = "@report"
KEPT = 200
"""Presses that are remembered: a report in a channel of many is opened by many within the minutes in which a press may come again."""


class DynamoDbOpenings(LedgerTable):
    """The presses that opened the report, or did not. The last of them are remembered, so that none stands there twice."""

    def note(self, press: str, body: Mapping[str, Any]) -> str | None:
        """Keep an entry of a press. If it stands there already, give what came of it then. Raises Contended, Throttled, Denied."""
        item = self._get(key_of(REPORT, "record")) or {}
        number = int(item.get("version", {"N": "0"})["N"])
        answered = json.loads(item.get("answered", {"S": "{}"})["S"])
        if press in answered:
            return str(answered[press])
        previous = item.get("head", {"S": GENESIS})["S"]
        entry = Entry(REPORT, number + 1, PRESS, body, previous, entry_hash(REPORT, number + 1, PRESS, body, previous))
        record = {
            **key_of(REPORT, "record"),
            "version": {"N": str(number + 1)},
            "answered": {"S": json.dumps(remembered(answered, press, body["result"], KEPT))},
            "head": {"S": entry.hash},
        }
        self._append(record, number, entry, "somebody else has pressed")
        return None
