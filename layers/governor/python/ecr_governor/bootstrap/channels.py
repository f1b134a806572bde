"""Where the function that tells the channels beside Slack and the event bus is put together."""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Protocol

from ecr_governor.adapters.bus import EventBridgeBus
from ecr_governor.adapters.errands import errand_of
from ecr_governor.adapters.security_hub import AwsSecurityHub
from ecr_governor.adapters.topic import SnsTopic
from ecr_governor.adapters.webhook import SignedWebhook
from ecr_governor.app.channels import Services, tell
from ecr_governor.app.errors import Rejected
from ecr_governor.bootstrap import started
from ecr_governor.bootstrap.parts import client, ledger, now
from ecr_governor.core.errand import Errand
from ecr_governor.observability import count, logger
from ecr_governor.settings import ChannelsSettings, from_environment

TIME_FOR_ONE = 20_000
"""Milliseconds that a request at the webhook, another one after its secret was replaced, and their notes may take."""


class Context(Protocol):
    """As much of Lambda's context as is used."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is ended."""


def tell_channels(event: Mapping[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Answer an SQS batch of errands with the messages that must come again. What is no errand ends in the dead-letter queue by itself."""
    messages = {record["messageId"]: _errand(record) for record in event["Records"]}
    services = replace(_services(), may_go_on=lambda: context.get_remaining_time_in_millis() > TIME_FOR_ONE)
    failed = tell([errand for errand in messages.values() if errand], services, now())
    again = [message_id for message_id, errand in messages.items() if errand is None or errand in failed]
    count("ErrandsDone", len(messages) - len(again))
    count("ErrandsWaiting", len(again))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}


def _errand(record: Mapping[str, Any]) -> Errand | None:
    try:
        return errand_of(record["body"])
    except Rejected as rejected:
        logger.error("no errand", extra={"message_id": record["messageId"], "why": str(rejected)})
        return None


@cache
def _services() -> Services:
    settings = from_environment(ChannelsSettings, os.environ)
    return Services(
        ledger=ledger(),
        account=settings.account,
        region=settings.region,
        bus=EventBridgeBus(client("events"), settings.event_bus),
        alerts=SnsTopic(client("sns"), settings.alert_topic) if settings.alert_topic else None,
        slack_first=settings.alerts_after_slack,
        security_hub=AwsSecurityHub(client("securityhub"), settings.security_hub) if settings.security_hub else None,
        webhook=SignedWebhook(client("secretsmanager"), settings.webhook_secret) if settings.webhook_secret else None,
    )


started()
