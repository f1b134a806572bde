"""Where the functions behind the ledger's stream are put together."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from ecr_governor.adapters.bus import EventBridgeBus
from ecr_governor.adapters.conversations import DynamoDbConversations
from ecr_governor.adapters.errands import SqsErrands
from ecr_governor.adapters.ledger import told_from_image
from ecr_governor.adapters.queues import DeadLetters
from ecr_governor.app import notify as telling
from ecr_governor.bootstrap import started
from ecr_governor.bootstrap.parts import client, ledger, now, policies, sqs
from ecr_governor.bootstrap.slack import chat
from ecr_governor.core.conversation import AGAIN
from ecr_governor.core.errand import Channel
from ecr_governor.observability import count
from ecr_governor.settings import NotifySettings, PublishSettings, from_environment

if TYPE_CHECKING:
    from ecr_governor.core.announcement import Told


class Context(Protocol):
    """As much of Lambda's context as is used."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is ended."""


def tell_people(event: Mapping[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Answer a batch of the ledger's stream with the entries that Slack could not be told of: Lambda goes on from the first."""
    people = _people(context)
    answer = _told(event, lambda entries: telling.tell_people(entries, people, now()) if people else frozenset())
    asked = [record for record in event["Records"] if _kind(record) == AGAIN]
    if people and asked:
        telling.go_on(people, now(), int(asked[-1]["dynamodb"]["NewImage"].get("in_vain", {"N": "0"})["N"]))
    return answer


def tell_programs(event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Answer a batch of the ledger's stream with the entries that the bus did not take: Lambda goes on from the first."""
    settings = from_environment(PublishSettings, os.environ)
    return _told(
        event, lambda entries: telling.tell_programs(entries, _bus(), ledger(), settings.account, settings.region, now(), _outlets())
    )


def _told(event: Mapping[str, Any], tell: Callable[["list[Told]"], telling.Failed]) -> dict[str, list[dict[str, str]]]:
    sequence_numbers: dict[tuple[str, int], str] = {}
    entries: list[Told] = []
    for record in event["Records"]:
        if _kind(record) == AGAIN:
            # No news: it has been written so that somebody is here.
            continue
        told = told_from_image(record["dynamodb"]["NewImage"])
        entries.append(told)
        sequence_numbers[told.repository, told.number] = record["dynamodb"]["SequenceNumber"]
    failed = tell(entries)
    count("EntriesTold", len(entries) - len(failed))
    count("EntriesWaiting", len(failed))
    return {"batchItemFailures": [{"itemIdentifier": number} for entry, number in sequence_numbers.items() if entry in failed]}


def _kind(record: Mapping[str, Any]) -> str:
    return str(record["dynamodb"]["NewImage"]["kind"]["S"])


@cache
def _bus() -> EventBridgeBus:
    return EventBridgeBus(client("events"), from_environment(PublishSettings, os.environ).event_bus)


@cache
def _outlets() -> telling.Outlets | None:
    settings = from_environment(PublishSettings, os.environ)
    channels = frozenset(Channel(name) for name in settings.channels.split(",") if name)
    return telling.Outlets(SqsErrands(sqs(), settings.channels_queue_url), channels, settings.alerts_wait) if channels else None


def _people(context: Context) -> telling.People | None:
    settings = from_environment(NotifySettings, os.environ)
    if not settings.slack_secret:
        return None
    slack = chat(settings.slack_secret, lambda: context.get_remaining_time_in_millis() / 1000, answered=settings.slack_buttons)
    return telling.People(ledger(), policies(notes=False), slack, _conversations(), settings.account, settings.region, _SetAside())


class _SetAside:
    """The dead letters, with a client only once there is one: it would cost every start some time."""

    def send(self, body: str, reason: str) -> None:
        DeadLetters(sqs(), from_environment(NotifySettings, os.environ).dead_letter_queue_url).send(body, reason)


@cache
def _conversations() -> DynamoDbConversations:
    return DynamoDbConversations(client("dynamodb"), from_environment(NotifySettings, os.environ).ledger_table)


started()
