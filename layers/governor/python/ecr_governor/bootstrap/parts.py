"""What several kinds of work share. Nothing is made at import: a client that an event does not need is never built."""

import os
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import botocore.session

from ecr_governor.adapters.aws import CLIENT_CONFIG
from ecr_governor.adapters.ledger import DynamoDbLedger
from ecr_governor.adapters.policy_store import S3PolicySource
from ecr_governor.observability import count
from ecr_governor.settings import AskingSettings, JudgingSettings, Settings, from_environment

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_sqs import SQSClient

    from ecr_governor.adapters.queues import Looks


def now() -> datetime:
    """The time. The only clock that is read."""
    return datetime.now(UTC)


@cache
def session() -> Any:
    """The session that every client comes from: credentials, Region, endpoints."""
    # boto3's clients are botocore's; without boto3 a cold start saves the import of s3transfer and multiprocessing.
    return botocore.session.get_session()


def client(service: str) -> Any:
    """Make a client of an AWS service."""
    return session().create_client(service, config=CLIENT_CONFIG)


@cache
def ecr() -> "ECRClient":
    """The client of ECR."""
    return cast("ECRClient", client("ecr"))


@cache
def sqs() -> "SQSClient":
    """The client of SQS."""
    return cast("SQSClient", client("sqs"))


@cache
def ledger() -> DynamoDbLedger:
    """The ledger."""
    return DynamoDbLedger(client("dynamodb"), from_environment(Settings, os.environ).ledger_table)


@cache
def policies(*, notes: bool = True) -> S3PolicySource:
    """The policy file; `notes` where the function may write into the ledger which version it has judged."""
    settings = from_environment(JudgingSettings, os.environ)
    return S3PolicySource(
        client("s3"),
        settings.policy_bucket,
        settings.policy_key,
        ceiling=settings.mode,
        ledger=ledger(),
        on_problem=lambda _: count("PolicyInvalid"),
        notes=notes,
    )


@cache
def looks() -> "Looks":
    """The queue of what must be looked at."""
    from ecr_governor.adapters.queues import Looks  # noqa: PLC0415 - most functions ask for no look

    settings = from_environment(AskingSettings, os.environ)
    return Looks(sqs(), settings.repository_events_queue_url, settings.account, settings.region)
