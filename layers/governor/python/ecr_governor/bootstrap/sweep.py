"""Where the steps of the sweep are put together."""

import os
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from ecr_governor.adapters.creation_history import CloudTrailHistory
from ecr_governor.adapters.ecr import EcrRegistry
from ecr_governor.adapters.inventory import EcrInventory, pace_of
from ecr_governor.adapters.runs import S3RunStore
from ecr_governor.adapters.shelf import FileShelf
from ecr_governor.adapters.signed import SignedClient
from ecr_governor.adapters.sweep_book import DynamoDbSweepBook
from ecr_governor.app.sweep.checking import check
from ecr_governor.app.sweep.ending import abandon, decide_over, report
from ecr_governor.app.sweep.listing import Wish, lay_out
from ecr_governor.app.sweep.plan import SweepServices
from ecr_governor.bootstrap import started
from ecr_governor.bootstrap.parts import client, ecr, ledger, looks, now, policies, session
from ecr_governor.events import creation_in_record
from ecr_governor.observability import count
from ecr_governor.settings import SweepSettings, from_environment

if TYPE_CHECKING:
    from ecr_governor.adapters.pace import Pace
    from ecr_governor.app.ports import Inventory
    from ecr_governor.core.policy.model import Limits

PERCENT = 100
ENOUGH_TO_TELL = 10
"""Changes below which a share of them means nothing."""


class Context(Protocol):
    """As much of Lambda's context as is used."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is ended."""


def list_repositories(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """List every repository and lay out what must be read. The event holds `execution`, and the execution's own `input`."""
    settings = _settings()
    wish = Wish(everything=bool((event.get("input") or {}).get("everything", False)))
    laid = lay_out(event["execution"], settings.account, settings.region, _services(context), now(), wish)
    return {"run": laid.run, "shards": list(laid.shards), "repositories": laid.repositories, "again": laid.again}


def check_shard(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Read and judge one shard. The event holds `run` and `shard`."""
    services = _services(context)
    checked = check(event["run"], event["shard"], services, now())
    return {"shard": checked.shard, "done": checked.done, "rows": checked.rows, "again": checked.again}


def decide_over_all(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Decide over the sweep as a whole. The event holds `run`."""
    services = _services(context)
    decided = decide_over(event["run"], services, looks(), now())
    count("SweepLooks", decided["looks"] + decided["vanished"])
    return decided


def report_sweep(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Report, and give the lease back. The event holds `run`, and `trouble` if a step failed; or only the `execution` to give up."""
    services = _services(context)
    if "run" not in event:
        abandon(event["execution"], services, now())
        return {"run": None, "complete": False}
    summary = report(event["run"], services, now(), _trouble(event))
    loss = summary["event_loss"]
    count("SweepsCompleted" if summary["complete"] else "SweepsIncomplete")
    count("RepositoriesSwept", summary["repositories"])
    count("RepositoriesViolating", summary["violating"])
    count("EventsUnannounced", loss["unannounced"])
    if loss["rate"] is not None and loss["announced"] + loss["unannounced"] >= ENOUGH_TO_TELL:
        count("EventLossPercent", round(loss["rate"] * PERCENT))
    shown = ("run", "complete", "incomplete_because", "repositories", "checked", "violating", "withheld")
    return {name: summary[name] for name in shown}


def _trouble(event: Mapping[str, Any]) -> str:
    trouble = event.get("trouble")
    return f"{trouble.get('Error', 'unknown')}: {str(trouble.get('Cause', ''))[:500]}" if trouble else ""


def _services(context: Context) -> SweepServices:
    settings = _settings()
    return SweepServices(
        inventory=_inventory,
        registry=EcrRegistry(ecr),
        ledger=ledger(),
        book=_book(),
        policies=policies(),
        runs=S3RunStore(client("s3"), settings.reports_bucket),
        shelf=FileShelf,
        history=CloudTrailHistory(lambda: client("cloudtrail"), partial(creation_in_record, account=settings.account)),
        time_left=_time_left(context),
    )


def _book() -> DynamoDbSweepBook:
    return DynamoDbSweepBook(client("dynamodb"), _settings().ledger_table)


def _time_left(context: Context) -> Callable[[], float]:
    return lambda: context.get_remaining_time_in_millis() / 1000


def _inventory(limits: "Limits", at_once: int) -> "Inventory":
    """One step's view of the registry: of each operation's rate it takes the part that its `at_once` fellows leave it."""
    return EcrInventory(_signed(), _pace(limits.calls_per_second / at_once), pull_metrics=limits.pull_metrics, now=now())


@cache
def _signed() -> SignedClient:
    return SignedClient(session(), _settings().region, os.environ.get("AWS_ENDPOINT_URL"))


@cache
def _pace(calls_per_second: float) -> "Pace":
    # What an invocation has learned of AWS's limits, the next one in the same process need not learn anew.
    return pace_of(calls_per_second)


@cache
def _settings() -> SweepSettings:
    return from_environment(SweepSettings, os.environ)


started()
