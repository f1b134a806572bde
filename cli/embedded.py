"""Start the embedded AWS and deploy the built system into it, as `sam deploy` would into an account."""

import json
import os
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from cli.build import ROOT, architecture, ensure_built
from local.dashboard.page import ADDRESS
from local.queues.mapping import Pace
from local.server import EmbeddedAws

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "123456789012"
REGION = "eu-west-1"
STACK = "ecr-governor"
SLACK_SECRET = "ecr-governor/slack"  # noqa: S105 - a name, not a secret
NOTIFICATION_WINDOW = 1
WEBHOOK_SECRET = "ecr-governor/webhook"  # noqa: S105 - a name, not a secret
CHANNELS = {"CriticalAlerts": "always", "SecurityHubFindings": "true", "WebhookSecretName": WEBHOOK_SECRET}
"""The parameters of the channels beside Slack."""
READER = "platform@example.com"
PATIENCE = 20.0
"""Seconds that the Slack in there waits for an answer: a function's first start takes longer on a busy machine than in Lambda."""


@contextmanager
def running(
    *,
    policy: bytes | None = None,
    start_time: datetime | None = None,
    port: int = 0,
    mode: str = "enforce",
    create_on_push_record: str = "service_linked_role",
    channels: bool = False,
    parameters: dict[str, str] | None = None,
) -> "Iterator[EmbeddedAws]":
    """Run the embedded AWS with the system deployed, its policy uploaded and its Slack connected, and with `channels` all others too."""
    template = ensure_built()
    aws = EmbeddedAws(
        port=port,
        start_time=start_time,
        account=ACCOUNT,
        region=REGION,
        create_on_push_record=cast("Literal['service_linked_role', 'caller', 'custom_role']", create_on_push_record),
        state_dir=ROOT / ".build",
        # A push follows its repository's creation within a moment; one message tells of both.
        pace=Pace(window_limit=NOTIFICATION_WINDOW),
    )
    aws.start()
    try:
        aws.client("secretsmanager").create_secret(Name=SLACK_SECRET, SecretString=aws.slack.secret)
        wanted = {
            "Mode": mode,
            "SlackSecretName": SLACK_SECRET,
            "SlackButtons": "true",
            "NotificationWindow": str(NOTIFICATION_WINDOW),
            "Architecture": architecture(),
        }
        outputs = aws.deploy(template, {**wanted, **(CHANNELS if channels else {}), **(parameters or {})}, stack_name=STACK).outputs
        if channels:
            _connect(aws, outputs["AlertTopicArn"])
        # What a person enters in the app's settings, under Interactivity.
        aws.slack.interaction.request_url = outputs.get("SlackRequestUrl", "")
        aws.slack.interaction.patience = PATIENCE
        # A policy of one's own names channels that nobody has made here.
        aws.slack.welcoming = True
        if policy is not None:
            upload_policy(aws, policy)
        yield aws
    finally:
        aws.stop()


def _connect(aws: EmbeddedAws, topic: str) -> None:
    """Do what a person does beside the deployment: subscribe and confirm, enable Security Hub, keep the webhook's secret."""
    aws.client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint=READER)
    aws.mail.confirm(READER)
    aws.client("securityhub").enable_security_hub()
    aws.client("secretsmanager").create_secret(Name=WEBHOOK_SECRET, SecretString=aws.sink.secret)


def upload_policy(aws: EmbeddedAws, policy: bytes) -> None:
    """Put a policy file where the deployment looks for it, valid or not."""
    names = json.loads(aws.client("ssm").get_parameter(Name=f"/{STACK}/names")["Parameter"]["Value"])
    aws.client("s3").put_object(Bucket=names["policy_bucket"], Key=names["policy_key"], Body=policy)


def ready(aws: EmbeddedAws) -> dict[str, Any]:
    """Say where everything is."""
    return {
        "aws_endpoint": aws.endpoint,
        "registry": aws.registry_address,
        "slack": aws.slack.url,
        "dashboard": aws.endpoint + ADDRESS,
        "account": ACCOUNT,
        "region": REGION,
        "pid": os.getpid(),
    }
