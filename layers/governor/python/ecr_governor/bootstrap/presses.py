"""Where the function that answers presses of buttons is put together."""

import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol

from botocore.exceptions import ClientError

from ecr_governor.adapters.approvals import DynamoDbApprovals
from ecr_governor.adapters.aws import raise_translated
from ecr_governor.adapters.openings import DynamoDbOpenings
from ecr_governor.adapters.plan_file import approval_as_data, plan_from
from ecr_governor.adapters.queues import DeadLetters, Releases
from ecr_governor.adapters.report_store import S3ReportStore
from ecr_governor.adapters.runs import S3RunStore
from ecr_governor.adapters.slack.groups import KeptGroups, SlackGroups
from ecr_governor.adapters.slack.incoming import press_of
from ecr_governor.app.errors import GovernorError, Rejected
from ecr_governor.app.pressing import Services, take
from ecr_governor.app.retirement.runs import PLAN, REVERSIBLE
from ecr_governor.bootstrap import started
from ecr_governor.bootstrap.parts import client, ledger, looks, now, policies, sqs
from ecr_governor.bootstrap.report_store import report_store
from ecr_governor.bootstrap.slack import chat, ways
from ecr_governor.core.press import Press
from ecr_governor.core.retirement.approval import Approval
from ecr_governor.core.retirement.state import Stage
from ecr_governor.observability import count, logger
from ecr_governor.settings import PressesSettings, from_environment


class Context(Protocol):
    """As much of Lambda's context as is used."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is ended."""


def answer_presses(event: Mapping[str, Any], context: Context) -> dict[str, list[dict[str, str]]]:
    """Answer an SQS batch of presses with the messages that must come again; what is no press is set aside with the reason."""
    services = _services(lambda: context.get_remaining_time_in_millis() / 1000)
    failed = [record["messageId"] for record in event["Records"] if not _answered(record, services)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _answered(record: Mapping[str, Any], services: Services) -> bool:
    try:
        try:
            result = take(press_of(record["body"]), services, now())
        except Rejected as rejected:
            DeadLetters(sqs(), _settings().dead_letter_queue_url).send(record["body"], str(rejected))
            return True
    except GovernorError:
        logger.exception("press not answered, it will come again", extra={"message_id": record["messageId"]})
        return False
    if result:
        count(f"Presses{result.value.capitalize()}")
    return True


def _services(time_left: Callable[[], float]) -> Services:
    settings = _settings()
    return Services(
        ledger=ledger(),
        policies=policies(),
        looks=looks(),
        releases=Releases(sqs(), settings.releases_queue_url, settings.account, settings.region),
        approvals=_approvals(),
        last_plan=_last_plan,
        approve=_approve,
        openings=_openings(),
        reports=_reports(),
        aside=chat(settings.slack_secret, time_left),
        groups=SlackGroups(_groups(), time_left),
        link_hours=settings.link_hours,
    )


@cache
def _approvals() -> DynamoDbApprovals:
    return DynamoDbApprovals(client("dynamodb"), _settings().ledger_table)


@cache
def _openings() -> DynamoDbOpenings:
    return DynamoDbOpenings(client("dynamodb"), _settings().ledger_table)


@cache
def _groups() -> KeptGroups:
    return KeptGroups(ways(_settings().slack_secret)[2])


@cache
def _reports() -> S3ReportStore:
    return report_store(_settings().reports_bucket)


def _last_plan() -> Approval | None:
    """The steps of the last run's plan that can be taken back, approved by nobody. Raises Throttled, Denied, Unintelligible."""
    document = S3RunStore(client("s3"), _settings().reports_bucket).document(PLAN)
    if document is None:
        return None
    plan = plan_from(document)
    return plan.approval(plan.forward([stage for stage in REVERSIBLE if stage is not Stage.OBSERVED]), by="nobody")


def _approve(approval: Approval, press: Press) -> None:
    """Have exactly these steps taken. Raises Throttled, Denied."""
    place = {"channel": press.channel, "ts": press.ts}
    payload = json.dumps({"approval": approval_as_data(approval), "answer": place}).encode()
    try:
        client("lambda").invoke(FunctionName=_settings().retire_function, InvocationType="Event", Payload=payload)
    except ClientError as error:
        raise_translated(error, "lambda:InvokeFunction")


@cache
def _settings() -> PressesSettings:
    return from_environment(PressesSettings, os.environ)


started()
