"""Who sweeps, and how the last sweep ended, in the ledger's table."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter

from ecr_governor.adapters.aws import raise_translated
from ecr_governor.adapters.ledger_table import LedgerTable, key_of, lost_the_race, text_of
from ecr_governor.app.errors import LeaseLost, SweepRunning
from ecr_governor.core.record import GENESIS, Entry, entry_hash
from ecr_governor.core.sweep import LEDGER_NAME as SWEEP
from ecr_governor.core.sweep import EndedSweep, Lease

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ENDED = TypeAdapter(EndedSweep)


class DynamoDbSweepBook(LedgerTable):
    """A lease, the end of the last sweep, and an entry for each. What need not wait for a sweep takes a `lease` of another name."""

    def __init__(self, client: "DynamoDBClient", table: str, lease: str = "lease") -> None:
        super().__init__(client, table)
        self._lease = key_of(SWEEP, lease)

    def take_lease(self, execution: str, run: str, now: datetime, until: datetime) -> Lease:
        """Take the lease, or go on with it if this execution holds it already. Raises SweepRunning, Throttled, Denied."""
        mine = self._update_lease(
            "SET until_at = :until", "execution = :execution", {":until": text_of(until), ":execution": execution}
        ) or self._update_lease(
            "SET execution = :execution, run = :run, until_at = :until, taken_at = :now ADD #token :one",
            "attribute_not_exists(execution) OR until_at < :now",
            {":execution": execution, ":run": run, ":until": text_of(until), ":now": text_of(now), ":one": 1},
        )
        if mine:
            return _lease_of(mine)
        held = self._get(self._lease) or {}
        if held.get("execution", {}).get("S") == execution:
            # The answer of an earlier attempt was lost, not its effect.
            return _lease_of(held)
        keys = ("run", "taken_at", "until_at", "execution")
        who, when, by_when, named = (held.get(name, {}).get("S", "unknown") for name in keys)
        raise SweepRunning(f"the run {who} began at {when} and holds the lease until {by_when}; its execution is {named}")

    def renew_lease(self, lease: Lease, now: datetime, until: datetime) -> None:
        """Hold the lease for longer. Raises LeaseLost, Throttled, Denied."""
        values: dict[str, str | int] = {":until": text_of(until), ":execution": lease.execution, ":token": lease.token}
        if not self._update_lease("SET until_at = :until", "execution = :execution AND #token = :token", values):
            raise LeaseLost(f"the sweep {lease.run} does not hold the lease any more at {text_of(now)}: it does nothing further")

    def give_back(self, lease: Lease) -> None:
        """Give the lease back; nothing happens if it is somebody else's. Raises Throttled, Denied."""
        values: dict[str, str | int] = {":execution": lease.execution, ":token": lease.token}
        self._update_lease("REMOVE execution", "execution = :execution AND #token = :token", values)

    def last_sweep(self) -> EndedSweep | None:
        """The last sweep that left an inventory; None before the first. Raises Throttled, Denied."""
        item = self._get(key_of(SWEEP, "record"))
        return _ENDED.validate_json(item["document"]["S"]) if item else None

    def end_sweep(self, lease: Lease, ended: EndedSweep, entry: Mapping[str, Any]) -> None:
        """Note how a sweep ended, tell of it by an entry, and give the lease back, all or nothing. Raises LeaseLost, Throttled, Denied."""
        item = self._get(key_of(SWEEP, "record")) or {}
        number = int(item.get("version", {"N": "0"})["N"])
        previous = item.get("head", {"S": GENESIS})["S"]
        told = Entry(SWEEP, number + 1, "sweep", entry, previous, entry_hash(SWEEP, number + 1, "sweep", entry, previous))
        record = {
            **key_of(SWEEP, "record"),
            "version": {"N": str(number + 1)},
            "document": {"S": _ENDED.dump_json(ended).decode()},
            "head": {"S": told.hash},
        }
        release: Any = {
            "TableName": self._table,
            "Key": self._lease,
            "UpdateExpression": "REMOVE execution",
            "ConditionExpression": "execution = :execution AND #token = :token",
            "ExpressionAttributeNames": {"#token": "token"},
            "ExpressionAttributeValues": {":execution": {"S": lease.execution}, ":token": {"N": str(lease.token)}},
        }
        puts: list[Any] = [{"Put": self._conditional(record, number)}, {"Put": self._put_entry(told)}]
        try:
            self._dynamodb.transact_write_items(TransactItems=[*puts, {"Update": release}])
        except ClientError as error:
            if lost_the_race(error):
                raise LeaseLost(f"the sweep {lease.run} does not hold the lease any more: its end is not recorded") from error
            raise_translated(error, "dynamodb:PutItem")

    def _update_lease(self, update: str, condition: str, values: Mapping[str, str | int]) -> dict[str, Any] | None:
        names: Any = {"ExpressionAttributeNames": {"#token": "token"}} if "#token" in update + condition else {}
        try:
            answer = self._dynamodb.update_item(
                TableName=self._table,
                Key=self._lease,
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues={
                    name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in values.items()
                },
                ReturnValues="ALL_NEW",
                **names,
            )
        except ClientError as error:
            if lost_the_race(error):
                return None
            raise_translated(error, "dynamodb:UpdateItem")
        return dict(answer["Attributes"])


def _lease_of(item: Mapping[str, Any]) -> Lease:
    return Lease(item["execution"]["S"], item["run"]["S"], int(item["token"]["N"]), datetime.fromisoformat(item["taken_at"]["S"]))
