"""Where a repository's retirement leads, and when at the earliest: by the decision that the deployment makes, and the days of its terms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from cli.explanation.given import Given
from cli.explanation.seen import owner_of
from cli.policy.rehearsal import withheld
from ecr_governor.core.evaluate import evaluate
from ecr_governor.core.policy.retirement import LEAST_QUARANTINE, Window
from ecr_governor.core.retirement.asked import asked_of
from ecr_governor.core.retirement.decide import USERS, Case, Decision, decide, mark_until, next_stage
from ecr_governor.core.retirement.snapshot import DELETE_AFTER, PROTECT, Snapshot
from ecr_governor.core.retirement.state import Stage
from ecr_governor.core.rules import naming, unused
from ecr_governor.core.verdict import Violation

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Outlook:
    """How far a retirement is, every reason, the steps to come with their earliest time, what saves it, what is taken for granted.

    `to_come` is empty where something other than time stands against the next step, or where the policy ends. `withheld` says why the
    policy lets nothing go forward at present, whatever the reasons.
    """

    stage: Stage
    kind: str
    withheld: Sequence[str]
    decision: Decision
    to_come: Sequence[tuple[Stage, datetime]]
    saves: Sequence[str]
    granted: Sequence[str]


def outlook_of(given: Given) -> Outlook | None:
    """Tell what comes of a repository; None where the policy asks for no retirement and none is under way, or there is no repository."""
    record, snapshot = given.record, given.snapshot
    if snapshot is None:
        return None
    case = _case(given, snapshot)
    decision = decide(case, given.now)
    stage = case.retirement.stage if case.retirement else Stage.OBSERVED
    to_come = tuple(_to_come(case, decision, stage, given.policy.retirement.window, given.now))
    return Outlook(
        stage=stage,
        kind=case.kind.value,
        withheld=(*withheld(given.read.policy), *([f"the rule {unused.RULE.id} audits here"] if case.audited else [])),
        # Nobody was asked here, so that nothing is to be told of it but that the deployment asks.
        decision=replace(decision, reasons=tuple(reason for reason in decision.reasons if reason.check != USERS)),
        to_come=to_come,
        saves=tuple(_saves(stage, to_come, given.now)),
        granted=tuple(_granted(given, known=record is not None)),
    )


def _case(given: Given, snapshot: Snapshot) -> Case:
    policy, repository, record = given.policy, given.repository, given.record
    asks = asked_of(policy, repository.name, given.now)
    known = given.recorded is not None
    noted = given.recorded.noted if given.recorded else None
    return Case(
        snapshot=snapshot,
        retirement=record.retirement if record else None,
        terms=asks.terms,
        # Without a ledger nobody can tell; that it was watched all the time is told among what is taken for granted.
        watched_since=record.watched_since if record else None if known else repository.created_at,
        # Whom the deployment asks for use is not asked here, and told among what is taken for granted.
        evidence=(),
        sources=(),
        exempt=asks.exempt,
        audited=asks.audited,
        owner=owner_of(repository, policy.owner_tag) or (record.claimed_by if record else "") or None,
        delivered_at=given.recorded.delivered_at if given.recorded else None,
        noted_push=noted.at if noted else None,
        used_at=record.used_at if record else None,
        misnamed=_misnamed(given),
        kept_until=record.kept_until if record else None,
    )


def _misnamed(given: Given) -> bool:
    return any(
        each.rule == naming.RULE.id and each.exemption is None and isinstance(each.verdict, Violation)
        for each in evaluate(given.repository, given.policy, given.now).judgements
    )


def _to_come(case: Case, decision: Decision, stage: Stage, window: Window, now: datetime) -> Iterator[tuple[Stage, datetime]]:
    """Tell the steps to come, each at its earliest: at once where nothing stands against it, else when the days are over.

    Either way on a day and at an hour at which the window lets it be taken.
    """
    terms = case.terms
    begins = now if decision.to not in {None, Stage.OBSERVED} else decision.next_at
    if terms is None or begins is None:
        return
    at = begins
    while (following := next_stage(stage, terms, empty=case.empty)) is not None:
        at = window.opens(at)
        yield following, at
        stage = following
        if stage is Stage.MARKED:
            # The day that the mark names, and no earlier than the same time of the day.
            at += (mark_until(terms, case.owner, at) - at.date()).days * _DAY
        elif stage is Stage.QUARANTINED:
            at += max(terms.quarantine_days, LEAST_QUARANTINE) * _DAY
        elif stage is Stage.ARCHIVED:
            at += terms.archive_days * _DAY


def _saves(stage: Stage, to_come: Sequence[tuple[Stage, datetime]], now: datetime) -> Iterator[str]:
    # What falls due now is with the next run; until when there is time is told by what comes after it.
    later = next(((following, at) for following, at in to_come if at > now), None)
    if later is not None:
        following, at = later
        yield f"kept if anything is pushed or pulled before {at:%Y-%m-%d}, when it is {following.value} at the earliest"
    if to_come:
        if stage is not Stage.OBSERVED:
            yield f"kept if its tag {DELETE_AFTER} is removed"
        yield f"kept with the tag {PROTECT}, or an exemption from the rule {unused.RULE.id}"


def _granted(given: Given, *, known: bool) -> Iterator[str]:
    policy = given.policy
    if not known and given.recorded is None:
        yield "that the deployment has watched it since it was created, and has begun nothing: only the ledger knows, --stack"
    yield f"that nobody uses it by {', '.join(source.value for source in policy.retirement.sources)}, whom the deployment asks before each step"
    yield "that no cap is exceeded, and the owner is told at once"
