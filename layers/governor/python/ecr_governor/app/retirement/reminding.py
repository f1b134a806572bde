"""Remind the owners of marked repositories before their grace ends. A reminder is an entry of the ledger, so that it is told as all else is."""

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from ecr_governor.app.errors import Contended, Unintelligible
from ecr_governor.app.retirement.cases import Services
from ecr_governor.app.retirement.planning import Item, Plan, following
from ecr_governor.core.record import append
from ecr_governor.core.retirement.asked import withheld
from ecr_governor.core.retirement.reminders import reminder_due, working_days
from ecr_governor.core.retirement.reported import REMINDER
from ecr_governor.core.retirement.state import Stage

logger = logging.getLogger(__name__)


def remind(made: Plan, services: Services, now: datetime) -> int:
    """Write a reminder for each marked repository of a plan that is due for one; give their number. Raises Throttled, Denied.

    Run again, it writes none twice. Who is written by somebody else at the same moment is reminded by the next run.
    """
    policy = made.hearing.policy
    if made.hearing.in_force.problem or any(withheld(policy)):
        # Nothing goes on now, so nothing is about to end.
        return 0
    reminded = 0
    for item in made.items:
        with suppress(Contended, Unintelligible):
            reminded += _remind(item, policy.hash, services, now)
    return reminded


def _remind(item: Item, policy_hash: str, services: Services, now: datetime) -> bool:
    retirement, told_at, ends, then = item.case.retirement, item.case.delivered_at, item.decision.next_at, following(item)
    if retirement is None or retirement.stage is not Stage.MARKED or retirement.intended or not (told_at and ends and then):
        return False
    record = services.ledger.read(item.name)
    if record is None or record.retirement != retirement:
        return False
    due = reminder_due(retirement, told_at, ends, record.reminded, now)
    if due is None:
        return False
    body = {
        "at": now.isoformat(),
        "to": then.value,
        "working_days": working_days(now, ends),
        "delete_after": ends.date().isoformat(),
        "owner": item.case.owner,
        "policy_hash": policy_hash,
    }
    services.ledger.write(*append(replace(record, reminded=due), REMINDER, body))
    logger.info("reminded", extra={"repository": item.name, "ends": ends.isoformat()})
    return True
