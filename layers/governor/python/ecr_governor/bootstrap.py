"""The only place where classes meet. Nothing is made at import: a client that an event does not need is never built."""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import botocore.session

from ecr_governor import batches
from ecr_governor.adapters.aws import CLIENT_CONFIG
from ecr_governor.adapters.bus import EventBridgeBus
from ecr_governor.adapters.ecr import EcrRegistry
from ecr_governor.adapters.ledger import DynamoDbLedger, told_from_image
from ecr_governor.adapters.policy_store import S3PolicySource
from ecr_governor.adapters.queues import DeadLetters, Looks
from ecr_governor.adapters.slack import SlackWebhook
from ecr_governor.app import notify as telling
from ecr_governor.app.pushes import take_note
from ecr_governor.app.reconcile import Services, reconcile
from ecr_governor.batches import Arrival
from ecr_governor.core.record import Change
from ecr_governor.observability import count
from ecr_governor.settings import (
    AskingSettings,
    EventSettings,
    JudgingSettings,
    NotifySettings,
    PublishSettings,
    Settings,
    from_environment,
)

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_sqs import SQSClient

    from ecr_governor.core.announcement import Told

DUE_AT_ONCE = 500
"""Repositories per due check; what is left is taken by the next one."""


def now() -> datetime:
    """The time. The only clock that is read."""
    return datetime.now(UTC)


def look_at_repositories(event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Answer a batch of events that name repositories: look at each."""
    services = Services(EcrRegistry(_ecr), _ledger(), _policies())

    def look(arrival: Arrival) -> None:
        change = reconcile(arrival.repository, arrival.news, arrival.trigger, services, now())
        if change:
            _count_change(change)

    return _settled(event, look)


def look_at_pushes(event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Answer a batch of events that tell of images: take note, or hand on what needs a look at the repository."""

    def note(arrival: Arrival) -> None:
        if not take_note(arrival.repository, arrival.news, _ledger(), _policies(), now()):
            _looks().pass_on(arrival.bodies)

    return _settled(event, note)


def ask_for_what_is_due() -> dict[str, int]:
    """Ask for a look at repositories whose verdicts may have changed by time alone; give how many there were."""
    at = now()
    names = _ledger().due(at, DUE_AT_ONCE)
    _looks().ask(names, at)
    count("DueLooks", len(names))
    return {"asked_for": len(names)}


def _settled(event: Mapping[str, Any], take: Callable[[Arrival], None]) -> dict[str, list[dict[str, str]]]:
    settings = _event_settings()
    count("Events", len(event["Records"]))
    return batches.settle(event, take, DeadLetters(_sqs(), settings.dead_letter_queue_url), settings.account, settings.region)


def tell_people(event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Answer a batch of the ledger's stream with the entries that Slack could not be told of: Lambda goes on from the first."""
    people = _people()
    return _told(event, lambda entries: telling.tell_people(entries, people, now()) if people else frozenset())


def tell_programs(event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Answer a batch of the ledger's stream with the entries that the bus did not take: Lambda goes on from the first."""
    settings = from_environment(PublishSettings, os.environ)
    return _told(event, lambda entries: telling.tell_programs(entries, _bus(), _ledger(), settings.account, settings.region, now()))


def _told(event: Mapping[str, Any], tell: Callable[["list[Told]"], telling.Failed]) -> dict[str, list[dict[str, str]]]:
    sequence_numbers: dict[tuple[str, int], str] = {}
    entries: list[Told] = []
    for record in event["Records"]:
        told = told_from_image(record["dynamodb"]["NewImage"])
        entries.append(told)
        sequence_numbers[told.repository, told.number] = record["dynamodb"]["SequenceNumber"]
    failed = tell(entries)
    count("EntriesTold", len(entries) - len(failed))
    count("EntriesWaiting", len(failed))
    return {"batchItemFailures": [{"itemIdentifier": number} for entry, number in sequence_numbers.items() if entry in failed]}


def _count_change(change: Change) -> None:
    count("FindingsOpened", len(change.opened))
    count("FindingsResolved", len(change.resolved))
    for outcome in change.outcomes:
        count(f"Remedies{outcome.status.value.capitalize()}")


@cache
def _settings() -> Settings:
    return from_environment(Settings, os.environ)


@cache
def _event_settings() -> EventSettings:
    return from_environment(EventSettings, os.environ)


@cache
def _looks() -> Looks:
    settings = from_environment(AskingSettings, os.environ)
    return Looks(_sqs(), settings.repository_events_queue_url, settings.account, settings.region)


@cache
def _session() -> Any:
    # boto3's clients are botocore's; without boto3 a cold start saves the import of s3transfer and multiprocessing.
    return botocore.session.get_session()


def _client(service: str) -> Any:
    return _session().create_client(service, config=CLIENT_CONFIG)


@cache
def _ecr() -> "ECRClient":
    return cast("ECRClient", _client("ecr"))


@cache
def _sqs() -> "SQSClient":
    return cast("SQSClient", _client("sqs"))


@cache
def _ledger() -> DynamoDbLedger:
    return DynamoDbLedger(_client("dynamodb"), _settings().ledger_table)


@cache
def _policies() -> S3PolicySource:
    settings = from_environment(JudgingSettings, os.environ)
    return S3PolicySource(
        _client("s3"),
        settings.policy_bucket,
        settings.policy_key,
        ceiling=settings.mode,
        ledger=_ledger(),
        on_problem=lambda _: count("PolicyInvalid"),
    )


@cache
def _bus() -> EventBridgeBus:
    return EventBridgeBus(_client("events"), from_environment(PublishSettings, os.environ).event_bus)


@cache
def _people() -> telling.People | None:
    settings = from_environment(NotifySettings, os.environ)
    if not settings.slack_secret:
        return None
    chat = SlackWebhook(_client("secretsmanager"), settings.slack_secret)
    return telling.People(_ledger(), _policies(), chat, settings.account, settings.region)
