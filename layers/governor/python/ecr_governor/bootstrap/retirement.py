"""Where the functions that retire are put together."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol

from ecr_governor import batches
from ecr_governor.adapters.deleting import EcrDeleting
from ecr_governor.adapters.queues import DeadLetters
from ecr_governor.adapters.retiring import EcrRetiring
from ecr_governor.adapters.run_book import DynamoDbRunBook
from ecr_governor.adapters.runs import S3RunStore
from ecr_governor.adapters.sweep_book import DynamoDbSweepBook
from ecr_governor.adapters.tombstones import S3Tombstones
from ecr_governor.adapters.usage.witnesses import AwsWitnesses
from ecr_governor.app.errors import SweepRunning
from ecr_governor.app.retirement.carrying_out import release
from ecr_governor.app.retirement.cases import Services, hear
from ecr_governor.app.retirement.ports import RetiringRegistry
from ecr_governor.app.retirement.runs import RunServices, reap, retire
from ecr_governor.batches import Arrival
from ecr_governor.bootstrap import started
from ecr_governor.bootstrap.parts import client, ecr, ledger, now, policies, sqs
from ecr_governor.core.retirement.state import Stage
from ecr_governor.events import RELEASE_ASKED, parse_refusal
from ecr_governor.observability import count, logger
from ecr_governor.settings import EventSettings, SweepSettings, from_environment


class Context(Protocol):
    """As much of Lambda's context as is used."""

    @property
    def aws_request_id(self) -> str:
        """The invocation's id."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is ended."""


def retire_unused(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Take every step that can be taken back. The event holds `execution`."""
    summary = retire(event["execution"], _run(EcrRetiring(ecr), context), now())
    _count(summary)
    return summary


def delete_retired(context: Context) -> dict[str, Any]:
    """Delete what has gone through every stage."""
    deleting = EcrDeleting(lambda: client("ecr"))
    try:
        summary = reap(f"deletion-{context.aws_request_id}", _run(deleting, context), deleting, now())
    except SweepRunning as running:
        logger.info("not now", extra={"why": str(running)})
        return {"skipped": str(running)}
    _count(summary)
    return summary


def release_refused(event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Answer a batch of events of refused calls: what is in quarantine is released at once."""
    settings, services = from_environment(EventSettings, os.environ), _steps(EcrRetiring(ecr))

    def take(arrival: Arrival) -> None:
        who, what = arrival.trigger.actor or "somebody", arrival.trigger.event
        attempt = f"{who} asked for it" if what == RELEASE_ASKED else f"{who} was refused {what}"
        done = release(arrival.repository, attempt, hear(services, now(), asked=False), services, now())
        if done.stage is Stage.OBSERVED:
            count("RetirementsReleased")

    dead_letters = DeadLetters(sqs(), settings.dead_letter_queue_url)
    return batches.settle(event, take, dead_letters, settings.account, settings.region, parse_refusal)


def _count(summary: Mapping[str, Any]) -> None:
    for stage in Stage:
        count(f"Repositories{stage.value.capitalize()}", summary.get(stage.value, 0))
    count("RetirementStepsNotCompleted", len(summary.get("not_completed", ())))
    count("RetirementsWithheld", 1 if summary.get("withheld") else 0)


def _run(registry: RetiringRegistry, context: Context) -> RunServices:
    return RunServices(
        steps=_steps(registry),
        book=DynamoDbSweepBook(client("dynamodb"), _settings().ledger_table, "retirement-lease"),
        runs=S3RunStore(client("s3"), _settings().reports_bucket),
        time_left=_time_left(context),
        account=_settings().account,
        region=_settings().region,
    )


def _time_left(context: Context) -> Callable[[], float]:
    return lambda: context.get_remaining_time_in_millis() / 1000


def _steps(registry: RetiringRegistry) -> Services:
    settings = _settings()
    return Services(
        registry=registry,
        ledger=ledger(),
        policies=policies(),
        witnesses=AwsWitnesses(
            ecs_client=lambda: client("ecs"),
            lambda_client=lambda: client("lambda"),
            s3_client=lambda: client("s3"),
            account=settings.account,
            region=settings.region,
            bucket=settings.reports_bucket,
        ),
        tombstones=S3Tombstones(client("s3"), settings.reports_bucket),
        book=DynamoDbRunBook(client("dynamodb"), settings.ledger_table),
    )


@cache
def _settings() -> SweepSettings:
    return from_environment(SweepSettings, os.environ)


started()
