"""Where the functions that retire are put together."""

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
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
from ecr_governor.app.errors import SweepRunning
from ecr_governor.app.ports import PolicyInForce
from ecr_governor.app.pressing import take_approved
from ecr_governor.app.retirement.cases import Services
from ecr_governor.app.retirement.ports import RetiringRegistry
from ecr_governor.app.retirement.runs import RunServices, apply, reap, retire
from ecr_governor.app.retirement.taking_back import release
from ecr_governor.batches import Arrival
from ecr_governor.bootstrap import started
from ecr_governor.bootstrap.parts import client, ecr, ledger, now, policies, sqs
from ecr_governor.bootstrap.parts import now as clock
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
        steps = partial(apply, f"approved-{context.aws_request_id}", approval, services, now())
        if "answer" not in event:
            return steps()
        return take_approved(steps, approval.by, event["answer"], DynamoDbApprovals(client("dynamodb"), _settings().ledger_table), now())
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
        # An exemption's last day ends with the midnight after it.
        keeps = f"{who} keeps it until {until - datetime.resolution:%Y-%m-%d}" if until else f"{who} asked for it"
        attempt = f"{who} was refused {what}" if what != RELEASE_ASKED else keeps
        done = release(arrival.repository, attempt, services, now(), asked=asked, keep_until=until)
        if done.stage is Stage.OBSERVED:
            count("RetirementsReleased")

    dead_letters = DeadLetters(sqs(), settings.dead_letter_queue_url)
    return batches.settle(event, take, dead_letters, settings.account, settings.region, parse_refusal)


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
