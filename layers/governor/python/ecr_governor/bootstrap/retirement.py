"""Where the functions that retire are put together."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, Protocol

from ecr_governor import batches
from ecr_governor.adapters.approvals import DynamoDbApprovals
from ecr_governor.adapters.deleting import EcrDeleting
from ecr_governor.adapters.plan_file import approval_of
from ecr_governor.adapters.queues import DeadLetters
from ecr_governor.adapters.retiring import EcrRetiring
from ecr_governor.adapters.run_book import DynamoDbRunBook
from ecr_governor.adapters.runs import S3RunStore
from ecr_governor.adapters.sweep_book import DynamoDbSweepBook
from ecr_governor.adapters.tombstones import S3Tombstones
from ecr_governor.adapters.usage.witnesses import AwsWitnesses
from ecr_governor.app.errors import Contended, SweepRunning
from ecr_governor.app.ports import PolicyInForce
from ecr_governor.app.pressing import Approvers
from ecr_governor.app.retirement.cases import Services
from ecr_governor.app.retirement.ports import RetiringRegistry
from ecr_governor.app.retirement.runs import RunServices, apply, reap, retire
from ecr_governor.app.retirement.taking_back import release
from ecr_governor.batches import Arrival
from ecr_governor.bootstrap import started
from ecr_governor.bootstrap.parts import client, ecr, ledger, now, policies, sqs
from ecr_governor.bootstrap.parts import now as clock
from ecr_governor.core.press import refusal_body
from ecr_governor.core.record import RELEASE_ASKED
from ecr_governor.core.retirement.state import Stage
from ecr_governor.events import parse_refusal
from ecr_governor.observability import count, logger
from ecr_governor.settings import EventSettings, RetireSettings, SweepSettings, from_environment

TIME_FOR_MORE = 60_000
"""Milliseconds that must be left before more is begun."""
TIME_TO_ACT = 300_000
"""Milliseconds that must be left when everybody was heard: whoever has much to say does not keep anything from being given back."""


class Context(Protocol):
    """As much of Lambda's context as is used."""

    @property
    def aws_request_id(self) -> str:
        """The invocation's id."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is ended."""


def retire_unused(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Take every step that can be taken back. The event holds `execution`; with an `approval`, exactly its steps are taken.

    With an `answer`, the place of a message in Slack, people are told there if they are not.
    """
    deployed = from_environment(RetireSettings, os.environ)
    services = _run(EcrRetiring(ecr), context, tells_people=bool(deployed.slack_secret), deletes=deployed.deletes)
    if "approval" in event:
        approval = approval_of(event["approval"])
        done = apply(f"approved-{context.aws_request_id}", approval, services, now())
        if "answer" in event and (refused := done.get("refused")):
            _tell_refused(event["answer"], approval.by, refused)
        return done
    summary = retire(event["execution"], services, now())
    _count(summary)
    return summary


def delete_retired(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Delete what has gone through every stage; with an `approval`, exactly what it names."""
    deleting = EcrDeleting(lambda: client("ecr"))
    if "approval" in event:
        approved = approval_of(event["approval"])
        return apply(f"approved-{context.aws_request_id}", approved, _run(deleting, context), now(), deleting)
    try:
        summary = reap(f"deletion-{context.aws_request_id}", _run(deleting, context), deleting, now())
    except SweepRunning as running:
        logger.info("not now", extra={"why": str(running)})
        return {"skipped": str(running)}
    _count(summary)
    return summary


def release_refused(event: Mapping[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Answer a batch of events of refused calls: what is in quarantine is released at once."""
    settings, services = from_environment(EventSettings, os.environ), _steps(EcrRetiring(ecr), context)

    def take(arrival: Arrival) -> None:
        who, what, until = arrival.trigger.actor or "somebody", arrival.trigger.event, arrival.keep_until
        asked = what == RELEASE_ASKED or until is not None
        keeps = f"{who} keeps it until {until:%Y-%m-%d}" if until else f"{who} asked for it"
        attempt = f"{who} was refused {what}" if what != RELEASE_ASKED else keeps
        done = release(arrival.repository, attempt, services, now(), asked=asked, keep_until=until)
        if done.stage is Stage.OBSERVED:
            count("RetirementsReleased")

    dead_letters = DeadLetters(sqs(), settings.dead_letter_queue_url)
    return batches.settle(event, take, dead_letters, settings.account, settings.region, parse_refusal)


def _tell_refused(answer: Mapping[str, Any], by: str, refused: Sequence[str]) -> None:
    approvals = DynamoDbApprovals(client("dynamodb"), _settings().ledger_table)
    body = refusal_body(by, refused, str(answer["channel"]), str(answer["ts"]), now())
    try:
        # Nothing was done: whoever still wants it approves it once more, when what stood against it has passed.
        approvals.write(Approvers(version=approvals.read().version), body)
    except Contended:
        # Somebody has pressed at the same moment, and is told what is true then.
        logger.warning("refusal not told", extra={"why": refused[:1]})


def _count(summary: Mapping[str, Any]) -> None:
    for stage in Stage:
        count(f"Repositories{stage.value.capitalize()}", summary.get(stage.value, 0))
    count("RetirementStepsNotCompleted", len(summary.get("not_completed", ())))
    count("RetirementsWithheld", 1 if summary.get("withheld") else 0)


def _run(registry: RetiringRegistry, context: Context, *, tells_people: bool = True, deletes: bool = True) -> RunServices:
    return RunServices(
        steps=replace(_steps(registry, context), tells_people=tells_people),
        book=DynamoDbSweepBook(client("dynamodb"), _settings().ledger_table, "retirement-lease"),
        runs=S3RunStore(client("s3"), _settings().reports_bucket),
        account=_settings().account,
        region=_settings().region,
        deletes=deletes,
    )


class _PolicyNow:
    """The policy as it is when it is asked for, not as of the run's beginning: `stop` stops a run that is under way."""

    def current(self, now: datetime) -> PolicyInForce:  # noqa: ARG002 - the run's time stands still, the policy does not
        return policies().current(clock())


def _steps(registry: RetiringRegistry, context: Context) -> Services:
    settings = _settings()
    return Services(
        registry=registry,
        ledger=ledger(),
        policies=_PolicyNow(),
        witnesses=AwsWitnesses(
            client,
            account=settings.account,
            region=settings.region,
            bucket=settings.reports_bucket,
            may_go_on=lambda: context.get_remaining_time_in_millis() > TIME_TO_ACT,
        ),
        tombstones=S3Tombstones(client("s3"), settings.reports_bucket),
        book=DynamoDbRunBook(client("dynamodb"), settings.ledger_table),
        may_go_on=lambda: context.get_remaining_time_in_millis() > TIME_FOR_MORE,
    )


@cache
def _settings() -> SweepSettings:
    return from_environment(SweepSettings, os.environ)


started()
