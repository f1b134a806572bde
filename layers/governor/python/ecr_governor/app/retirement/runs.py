"""The runs: after each sweep everything but deletion; at its own hours, and only where it is enabled, deletion."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ecr_governor.app.errors import GovernorError
from ecr_governor.app.retirement.cases import Services
from ecr_governor.app.retirement.planning import PLAN_VERSION, Item, Plan, carry_out_plan, plan, plan_as_data
from ecr_governor.app.retirement.ports import DeletingRegistry
from ecr_governor.app.retirement.recording import Done
from ecr_governor.app.retirement.reminding import remind
from ecr_governor.app.sweep.ports import RunStore, SweepBook
from ecr_governor.core import standing as standings
from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.retirement.approval import Approval, ApprovedStep, Finds, LastPlan, objections
from ecr_governor.core.retirement.state import Stage
from ecr_governor.core.rules import naming, unused
from ecr_governor.core.sweep import EndedSweep

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(minutes=20)
"""Longer than any function runs."""
NEW_AT_ONCE: Final = 2_000
"""Repositories that one run looks at for the first time."""
REVERSIBLE: Final = (Stage.OBSERVED, Stage.MARKED, Stage.QUARANTINED, Stage.ARCHIVED)
PLAN: Final = "retirement/plan"
"""Where the last run's plan is kept."""
NO_SWEEP: Final = "no sweep has seen every repository yet"


@dataclass(frozen=True, slots=True)
class RunServices:
    """What a run takes besides what a step takes. `deletes`: whether anything in this deployment can."""

    steps: Services
    book: SweepBook
    runs: RunStore
    account: str
    region: str
    deletes: bool = True


@contextmanager
def _leased(execution: str, what: str, services: RunServices, now: datetime) -> Iterator[None]:
    """Have the only run while the block lasts. Raises SweepRunning, Throttled."""
    lease = services.book.take_lease(execution, what, now, now + LEASE)
    try:
        yield
    finally:
        try:
            services.book.give_back(lease)
        except GovernorError:
            # What was done is done, and is told as that: the lease ends by itself.
            logger.exception("lease not given back")


def retire(execution: str, services: RunServices, now: datetime) -> dict[str, Any]:
    """Look at what the last sweep found unused and at what is retiring, and take every step that can be taken back.

    Raises SweepRunning where a sweep or another run is under way, Throttled.
    """
    with _leased(execution, "retirement", services, now):
        ended, policy = services.book.last_sweep(), services.steps.policies.current(now).policy
        new = list(_unused(ended, policy, services.runs))
        retiring = list(services.steps.ledger.retiring())
        doubts = [] if ended is not None and ended.finished else [NO_SWEEP]
        names, repositories = (*retiring, *new[:NEW_AT_ONCE]), ended.repositories if ended else 0
        made = plan(names, repositories, REVERSIBLE, services.steps, now, doubts)
        done = carry_out_plan(made, REVERSIBLE, services.steps, now)
        # The plan is told as it was made; what came of it is in the ledger.
        where = {"account": services.account, "region": services.region}
        services.runs.put_document(
            PLAN, {**where, **plan_as_data(made, deletes=services.deletes), "done": [_done_as_data(each) for each in done]}
        )
        remind(made, services.steps, now)
        if question := made.question:
            services.steps.book.ask(question, now)
    return _summary(made, done)


def reap(execution: str, services: RunServices, deleting: DeletingRegistry, now: datetime) -> dict[str, Any]:
    """Delete what has gone through every stage, as far as the policy permits. Raises SweepRunning, Throttled."""
    names = list(services.steps.ledger.retiring())
    if not names:
        return {"retiring": 0}
    with _leased(execution, "deletion", services, now):
        ended = services.book.last_sweep()
        doubts = [] if ended is not None and ended.finished else [NO_SWEEP]
        made = plan(names, ended.repositories if ended else 0, [Stage.DELETED], services.steps, now, doubts)
        done = carry_out_plan(made, [Stage.DELETED], services.steps, now, deleting)
    return _summary(made, done)


def apply(
    execution: str, approval: Approval, services: RunServices, now: datetime, deleting: DeletingRegistry | None = None
) -> dict[str, Any]:
    """Take exactly the steps that a person has approved, or none. Caps give way to the approval, but for those that are 0.

    With `deleting` they must all be deletions, without it none may be. Raises SweepRunning, Throttled.
    """
    stages = [Stage.DELETED] if deleting else [stage for stage in REVERSIBLE if stage is not Stage.OBSERVED]
    if wrong := [step for step in approval.steps if step.to not in stages]:
        return {"refused": [f"{step.repository}: this function takes nothing to {step.to.value}" for step in wrong]}
    with _leased(execution, "approved steps", services, now):
        ended = services.book.last_sweep()
        doubts = [] if ended is not None and ended.finished else [NO_SWEEP]
        names, repositories = [step.repository for step in approval.steps], ended.repositories if ended else 0
        made = plan(names, repositories, stages, services.steps, now, doubts, approved_by=approval.by)
        found = {item.name: _finds(item) for item in made.items}
        where, last = (services.account, services.region), last_plan(services.runs.document(PLAN))
        refused = [*made.withheld, *objections(approval, *where, made.hearing.policy.hash, found, last, now)]
        if refused:
            return {"refused": refused}
        done = carry_out_plan(made, stages, services.steps, now, deleting)
    return {"done": [_done_as_data(each) for each in done]}


def last_plan(document: Mapping[str, Any] | None) -> LastPlan | None:
    """Read what the newest run has planned. It was written by a release of ours, perhaps an earlier one: then it has to be made anew."""
    if document is None or document.get("version") != PLAN_VERSION:
        return None
    due = (item for item in document["items"] if item["next"])
    steps = frozenset(ApprovedStep(item["repository"], Stage(item["next"]), item["fingerprint"]) for item in due)
    return LastPlan(datetime.fromisoformat(document["at"]), steps)


def _finds(item: Item) -> Finds:
    return Finds(item.decision.to, item.case.world, tuple(reason.seen for reason in item.decision.against))


def _unused(ended: EndedSweep | None, policy: Policy, runs: RunStore) -> Iterator[str]:
    """Name what the last sweep found unused, without any image, or wrongly named, where the policy asks for retirement."""
    misnamed_ones: list[str] = []
    for line in runs.lines(ended.inventory) if ended else ():
        stood = standings.from_line(line)
        expected = policy.expectation_for(stood.name)
        off = policy.setting_of(unused.RULE.id, expected.namespace).mode is Mode.OFF
        terms = None if off else expected.settings.retirement
        misnamed = terms is not None and terms.misnamed_after_days is not None and naming.RULE.id in stood.open_rules
        if terms and (stood.unused or stood.data["images"] == 0):
            yield stood.name
        elif misnamed:
            misnamed_ones.append(stood.name)
    # Most of them are in use: they must not take the place of what is not.
    yield from misnamed_ones


def _summary(made: Plan, done: Sequence[Done]) -> dict[str, Any]:
    reached = [each.stage.value for each in done if each.stage]
    return {
        "looked_at": len(made.items),
        "withheld": list(made.withheld),
        **{stage: reached.count(stage) for stage in sorted(set(reached))},
        "not_completed": [_done_as_data(each) for each in done if each.stage is None][:20],
    }


def _done_as_data(done: Done) -> Mapping[str, Any]:
    return {"repository": done.repository, "reached": done.stage.value if done.stage else None, "why": done.why}
