"""One sweep: what it goes by, what it may have put right, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ecr_governor.core.policy.model import Limits, Mode
from ecr_governor.core.registry_rules import RegistryRules
from ecr_governor.core.tally import Tally
from ecr_governor.core.tally import as_data as tally_as_data

LEDGER_NAME: Final = "@sweep"
"""Under which the ledger keeps sweeps; `@` occurs in no ECR name."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to sweep. `token` grows by one with each new holder, so that a former holder can be told from the present one."""

    execution: str
    run: str
    token: int
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class EndedSweep:
    """A sweep that left an inventory, of so many `repositories`. `registry` is the fingerprint of the registry's settings at the time.

    `finished`: every shard was checked to its end, whatever could not be read.
    """

    run: str
    started_at: datetime
    ended_at: datetime
    inventory: str
    complete: bool
    registry: str
    finished: bool = True
    repositories: int = 0


@dataclass(frozen=True, slots=True)
class Sweep:
    """What every step of one sweep goes by, fixed when it began.

    `everything`: all repositories are read, whatever is known of them. `first`: the first sweep here, which puts nothing right.
    `policy_version` is the policy file's. `former` is the sweep before, whose inventory this one starts from.
    """

    lease: Lease
    account: str
    region: str
    started_at: datetime
    everything: bool
    first: bool
    policy_version: str
    policy_hash: str
    mode: Mode
    problem: str | None
    former: EndedSweep | None
    rules: RegistryRules

    @property
    def same_registry(self) -> bool:
        """Whether the registry's own settings are what they were at the last sweep."""
        return self.former is not None and self.former.registry == self.rules.fingerprint

    @property
    def run(self) -> str:
        """The sweep's name: its time and the beginning of its execution's."""
        return self.lease.run

    def key(self, *parts: str) -> str:
        """Where a part of the sweep is kept."""
        return "/".join(("sweeps", self.run, *parts))


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a sweep as a whole. `withheld` says why nothing is put right; "" if nothing is withheld.

    `looks` are repositories that are to be looked at again and put right; `vanished` those that are to be confirmed gone.
    """

    looks: tuple[str, ...]
    vanished: tuple[str, ...]
    withheld: str = ""


def decide(needing_remedies: Sequence[str], vanished: Sequence[str], limits: Limits) -> Decision:
    """Decide over the whole sweep: over the cap, nothing at all is put right, and people are asked."""
    names = tuple(sorted(set(needing_remedies)))
    gone = tuple(sorted(set(vanished)))
    if len(names) > limits.remedies_per_sweep:
        cap = limits.remedies_per_sweep
        why = f"{len(names)} repositories are to be put right, and limits.remedies_per_sweep is {cap}: nothing was put right"
        return Decision((), gone, why)
    return Decision(names, gone)


PRICE_PER_METRIC: Final = 0.01 / 1000
"""USD that CloudWatch's GetMetricData costs for one metric (us-east-1, 2026)."""
PRICE_PER_GB_SECOND: Final = 0.0000133334
"""USD of a Lambda function on arm64 (us-east-1, 2026)."""
GB: Final = 0.25
METRICS_A_CALL: Final = 500


def cost_estimate(calls: Mapping[str, int], seconds: float) -> float:
    """Estimate what a sweep cost in USD: ECR's and the tagging API's calls are free; CloudWatch's and the functions' time are not."""
    metrics = calls.get("cloudwatch:GetMetricData", 0) * METRICS_A_CALL
    return round(metrics * PRICE_PER_METRIC + seconds * GB * PRICE_PER_GB_SECOND, 6)


def summary_as_data(
    sweep: Sweep, tally: Tally, decision: Decision, incomplete_because: Sequence[str], busy_seconds: float, now: datetime
) -> dict[str, Any]:
    """Give a sweep's summary as a JSON object. `busy_seconds` is the time of all its functions together."""
    counted = tally_as_data(tally)
    meter, loss = counted.pop("meter"), tally.meter.loss
    return {
        "version": 1,
        "run": sweep.run,
        "account": sweep.account,
        "region": sweep.region,
        "policy_hash": sweep.policy_hash,
        "policy_problem": sweep.problem,
        "mode": sweep.mode.value,
        "first": sweep.first,
        "started_at": sweep.started_at.isoformat(),
        "ended_at": now.isoformat(),
        "duration_seconds": round((now - sweep.started_at).total_seconds(), 1),
        "compared_with": sweep.former.run if sweep.former else None,
        "complete": not incomplete_because,
        "incomplete_because": list(incomplete_because),
        **counted,
        "event_loss": {**meter, "rate": None if loss is None else round(loss, 4)},
        "to_be_put_right": list(decision.looks),
        "to_be_put_right_count": len(decision.looks),
        "withheld": decision.withheld,
        "vanished": list(decision.vanished),
        "vanished_count": len(decision.vanished),
        "cost_estimate_usd": cost_estimate(tally.calls, busy_seconds),
    }


def worth_telling(summary: Mapping[str, Any]) -> bool:
    """Whether people should hear of a sweep: a night in which nothing has changed is no news."""
    return bool(
        summary["first"]
        or not summary["complete"]
        or summary["opened"]
        or summary["resolved"]
        or summary["withheld"]
        or summary["to_be_put_right"]
        or summary["vanished"]
        or summary["event_loss"]["unannounced"]
    )
