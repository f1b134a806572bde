"""What is written of a step: the intent before it, the outcome after it; and whether what was written can be relied on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from ecr_governor.app.errors import Contended, Overtaken
from ecr_governor.app.retirement.cases import Services
from ecr_governor.core.record import RepositoryRecord, append
from ecr_governor.core.retirement import history
from ecr_governor.core.retirement.decide import Decision, Reason
from ecr_governor.core.retirement.history import INTENT, OUTCOME
from ecr_governor.core.retirement.state import Retirement, Stage, as_data

WRITES: Final = 4
HELD_BACK: Final = frozenset({Stage.QUARANTINED, Stage.ARCHIVED})
"""Stages that are not reached, and are undone, if somebody wants the repository kept while the step is under way."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a step: the stage that was reached, or why none was."""

    repository: str
    stage: Stage | None
    why: str = ""


def intend(record: RepositoryRecord, retirement: Retirement, decision: Decision, services: Services, now: datetime) -> RepositoryRecord:
    """Write what is about to be done. Raises Contended: then somebody else is at it, and nothing is done."""
    to = retirement.intended
    body = {
        "at": now.isoformat(),
        "from": retirement.stage.value,
        "to": to.value if to else None,
        "state": as_data(retirement),
        "reasons": reasons_as_data(decision),
    }
    intended, entry = append(record, INTENT, body, retirement=retirement)
    return services.ledger.write(intended, entry)


def reached(
    intended: RepositoryRecord,
    stage: Stage,
    decision: Decision,
    services: Services,
    now: datetime,
    *,
    owner: str | None,
    policy_hash: str = "",
) -> Done:
    """A step was completed: write so. Raises Overtaken, Contended."""
    if intended.retirement is None:
        raise AssertionError("a step without a retirement")
    noticed_at = now if stage is Stage.MARKED else intended.retirement.noticed_at
    reached = replace(intended.retirement, stage=stage, since=now, intended=None, noticed_at=noticed_at)
    write_outcome(intended, reached, decision, services, now, {"owner": owner, **({"policy_hash": policy_hash} if policy_hash else {})})
    return Done(intended.name, stage)


def stays(intended: RepositoryRecord, why: str, decision: Decision, services: Services, now: datetime) -> Done:
    """A step was not completed: it stays intended, and the ledger says why."""
    if intended.retirement is None:
        raise AssertionError("a step without a retirement")
    write_outcome(intended, intended.retirement, decision, services, now, {"why": why})
    return Done(intended.name, None, why)


def write_outcome(
    record: RepositoryRecord,
    retirement: Retirement,
    decision: Decision,
    services: Services,
    now: datetime,
    more: Mapping[str, Any],
) -> None:
    """Write what came of a step. A look that wrote meanwhile changes nothing of it: it is what was done.

    Raises Overtaken if somebody else has taken the retirement another way, Contended.
    """
    before = record.retirement
    for _ in range(WRITES):
        if retirement.noticed_at is not None and (before is None or before.noticed_at != retirement.noticed_at):
            # The notice is the entry that is about to be written, whoever wrote meanwhile.
            retirement = replace(retirement, notice=record.entries + 1)
        body = {
            "at": now.isoformat(),
            "from": before.stage.value if before else Stage.OBSERVED.value,
            "to": retirement.stage.value,
            "intended": retirement.intended.value if retirement.intended else None,
            "delete_after": retirement.delete_after,
            "policy_hash": record.policy_hash,
            "state": as_data(retirement),
            "reasons": reasons_as_data(decision),
            **more,
        }
        updated, entry = append(record, OUTCOME, body, retirement=retirement)
        try:
            services.ledger.write(updated, entry)
        except Contended:
            current = services.ledger.read(record.name)
            if current is None or current.created_at != record.created_at:
                raise
            if current.retirement != before or (retirement.stage in HELD_BACK and _said_of_it(current) != _said_of_it(record)):
                raise Overtaken(record.name) from None
            record = current
        else:
            return
    raise Contended(f"{record.name}: the outcome of its retirement could not be written")


def still_ours(intended: RepositoryRecord, services: Services) -> bool:
    """Whether nobody has taken the retirement another way since the step began, such as a refused pull, or wants it kept by now."""
    current = services.ledger.read(intended.name)
    return current is not None and _said_of_it(current) == _said_of_it(intended)


def _said_of_it(record: RepositoryRecord) -> tuple[Any, ...]:
    return record.retirement, record.kept_until, [each for each in record.exemptions if each.confirmed_by]


def tampered(record: RepositoryRecord, services: Services) -> str:
    """Why the ledger cannot be relied on; "" if it can. Raises Throttled, Denied."""
    if broken := history.tampered(record, tuple(services.ledger.entries(record.name))):
        # A look may have written between the two reads: the second time it counts.
        record = services.ledger.read(record.name) or record
        broken = history.tampered(record, tuple(services.ledger.entries(record.name)))
    return broken


def reasons_as_data(decision: Decision) -> list[dict[str, Any]]:
    """Give every reason of a decision as a JSON object: the form that ledger, plan and command line share."""
    return [_reason_as_data(reason) for reason in decision.reasons]


def _reason_as_data(reason: Reason) -> dict[str, Any]:
    data = {"check": reason.check, "seen": reason.seen, "weight": reason.weight.value}
    if reason.until:
        data["until"] = reason.until.isoformat()
    return data
