"""Where the function that answers presses of buttons is put together."""

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from ecr_governor.adapters.approvals import DynamoDbApprovals
from ecr_governor.adapters.aws import raise_translated
from ecr_governor.adapters.plan_file import approval_as_data, plan_from
from ecr_governor.adapters.queues import DeadLetters, Releases
from ecr_governor.adapters.runs import S3RunStore
from ecr_governor.adapters.slack.incoming import press_of
from ecr_governor.app.errors import GovernorError, Rejected
from ecr_governor.app.pressing import Services, take
from ecr_governor.app.retirement.runs import PLAN, REVERSIBLE
from ecr_governor.bootstrap import started
from ecr_governor.bootstrap.parts import client, ledger, looks, now, policies, sqs
from ecr_governor.core.press import Press
from ecr_governor.core.retirement.approval import Approval
from ecr_governor.core.retirement.state import Stage
from ecr_governor.observability import count, logger
from ecr_governor.settings import PressesSettings, from_environment


def answer_presses(event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Answer an SQS batch of presses with the messages that must come again; what is no press is set aside with the reason."""
    failed = [record["messageId"] for record in event["Records"] if not _answered(record)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _answered(record: Mapping[str, Any]) -> bool:
    try:
        try:
            result = take(press_of(record["body"]), _services(), now())
        except Rejected as rejected:
            DeadLetters(sqs(), _settings().dead_letter_queue_url).send(record["body"], str(rejected))
            return True
    except GovernorError:
        logger.exception("press not answered, it will come again", extra={"message_id": record["messageId"]})
        return False
    if result:
        count(f"Presses{result.value.capitalize()}")
    return True


@cache
def _services() -> Services:
    settings = _settings()
    return Services(
        ledger=ledger(),
        policies=policies(),
        looks=looks(),
        releases=Releases(sqs(), settings.releases_queue_url, settings.account, settings.region),
        approvals=DynamoDbApprovals(client("dynamodb"), settings.ledger_table),
        last_plan=_last_plan,
        approve=_approve,
    )


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
