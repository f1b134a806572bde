"""A person's word on a plan: exactly these steps, of this registry, by this policy, for a day, and only while nothing has changed."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ecr_governor.core.retirement.state import Stage

GOOD_FOR: Final = timedelta(hours=24)
"""How long after it was made a plan may be approved: one night's sweep does not outlive the next."""


LIST_IDENTITY: Final = 16
"""Hexadecimal digits that identify a list."""


@dataclass(frozen=True, slots=True)
class ApprovedStep:
    """One step as it stood in the plan: the stage that it leads to, and the fingerprint of what it was judged by."""

    repository: str
    to: Stage
    fingerprint: str


def list_identity(steps: Iterable[ApprovedStep]) -> str:
    """Identify a list of steps: another repository, stage or fingerprint is another list."""
    rows = sorted([step.repository, step.to.value, step.fingerprint] for step in steps)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:LIST_IDENTITY]


@dataclass(frozen=True, slots=True)
class LastPlan:
    """What the newest run has planned: when, and every step that it found due."""

    at: datetime
    steps: frozenset[ApprovedStep] = frozenset()


@dataclass(frozen=True, slots=True)
class Approval:
    """What was approved, by whom (an ARN), and the plan that it was read from. All of it is what the caller says."""

    by: str
    account: str
    region: str
    policy_hash: str
    plan_at: datetime
    steps: tuple[ApprovedStep, ...]


@dataclass(frozen=True, slots=True)
class Finds:
    """What a step finds now: where it would lead, its fingerprint, and what stands against it."""

    to: Stage | None
    fingerprint: str
    against: tuple[str, ...] = ()


def objections(
    approval: Approval,
    account: str,
    region: str,
    policy_hash: str,
    found: Mapping[str, Finds],
    last: LastPlan | None,
    now: datetime,
) -> Iterator[str]:
    """Say why an approval does not hold, each reason in words; nothing where it does. `found` is what the approved repositories are now.

    One step that does not hold any more is an objection to all of them: a list is approved as a whole. `last` is the plan that the
    newest run has kept, None where there is none: nobody can approve what no run has planned.
    """
    if (approval.account, approval.region) != (account, region):
        yield f"the plan is of {approval.account}, {approval.region}, and this is {account}, {region}"
    if approval.policy_hash != policy_hash:
        yield f"the plan was made by the policy {approval.policy_hash}, and {policy_hash} is in force"
    if approval.plan_at > now:
        yield f"the plan was made at {approval.plan_at.isoformat()}, later than now"
    elif now - approval.plan_at > GOOD_FOR:
        hours = GOOD_FOR // timedelta(hours=1)
        yield f"the plan was made at {approval.plan_at.isoformat()}, more than {hours} hours ago"
    if last is None or approval.plan_at > last.at:
        yield f"no run has made a plan at {approval.plan_at.isoformat()}"
    if not approval.steps:
        yield "no step was approved"
    if len({step.repository for step in approval.steps}) != len(approval.steps):
        yield "a repository was approved twice"
    for step in approval.steps:
        if last is not None and step not in last.steps:
            yield f"{step.repository} does not stand in the newest plan as a step to {step.to.value}"
        present = found.get(step.repository)
        if present is None:
            yield f"{step.repository} is not there any more, or cannot be read"
        elif not step.fingerprint or present.fingerprint != step.fingerprint:
            yield f"{step.repository} has changed since"
        elif present.to is not step.to:
            yield f"{step.repository} would not be {step.to.value} now: {'; '.join(present.against) or 'nothing is to be done'}"
