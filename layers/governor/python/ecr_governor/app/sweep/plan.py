"""What every step of one sweep goes by: fixed when it begins, and read back by each step."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from ecr_governor.app.errors import PolicyChanged
from ecr_governor.app.ports import Inventory, Ledger, PolicyInForce
from ecr_governor.app.sweep.ports import CreationHistory, Registry, RunStore, Shelf, SweepBook, SweepPolicies
from ecr_governor.core.policy.model import Limits
from ecr_governor.core.sweep import Sweep

_SWEEP = TypeAdapter(Sweep)
LEASE = timedelta(minutes=45)
"""How long a sweep may go on without a sign of life: three times as long as one step may take."""
CHECKS_AT_ONCE = 4
"""Shards that the state machine has checked at the same time: they share the rate of each operation."""
TIME_FOR_ONE_MORE = 60.0
"""Seconds that must be left before a step begins another block."""


@dataclass(frozen=True, slots=True)
class SweepServices:
    """The ports that a sweep takes. `time_left` are the seconds until the step is ended from outside.

    `inventory` gives a view of the registry within the policy's limits, shared by so many steps at once.
    """

    inventory: Callable[[Limits, int], Inventory]
    registry: Registry
    ledger: Ledger
    book: SweepBook
    policies: SweepPolicies
    runs: RunStore
    shelf: Callable[[], Shelf]
    history: CreationHistory
    time_left: Callable[[], float]

    def policy_of(self, sweep: Sweep) -> PolicyInForce:
        """The policy that the sweep began with, however the file has changed since. Raises PolicyChanged."""
        in_force = self.policies.pinned(sweep.policy_version)
        if in_force.policy.hash != sweep.policy_hash:
            raise PolicyChanged(f"the policy was {sweep.policy_hash} when the sweep began and is {in_force.policy.hash} now")
        # Whatever the file permits now, a sweep goes no farther than when it began; the first one only reports.
        limited = in_force.policy.limited_to(sweep.mode)
        return replace(in_force, policy=limited, problem=sweep.problem)

    def out_of_time(self) -> bool:
        """Whether the step had better stop here, and be called again."""
        return self.time_left() < TIME_FOR_ONE_MORE

    def renew(self, sweep: Sweep, now: datetime) -> None:
        """Show that the sweep is alive. Raises LeaseLost."""
        self.book.renew_lease(sweep.lease, now, now + LEASE)


def sweep_as_data(sweep: Sweep) -> dict[str, Any]:
    """Give what a sweep goes by as a JSON object."""
    return dict(_SWEEP.dump_python(sweep, mode="json"))


def sweep_from_data(data: Mapping[str, Any]) -> Sweep:
    """Read back what a sweep goes by."""
    return _SWEEP.validate_json(json.dumps(data))
