"""Start the embedded AWS and deploy the built system into it, as `sam deploy` would into an account."""

import json
import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from cli import control
from cli.build import ROOT, architecture, ensure_built
from cli.policy.bundling import text_of as bundled
from cli.trouble import Trouble
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
PATIENCE = 20.0
"""Seconds that the Slack in there waits for an answer: a function's first start takes longer on a busy machine than in Lambda."""
MAX_PORT = 65535
RECORDS = ("service_linked_role", "caller", "custom_role")


@contextmanager
def running(
    *,
    policy: bytes | None = None,
    start_time: datetime | None = None,
    port: int = 0,
    mode: str = "enforce",
    create_on_push_record: str = "service_linked_role",
    parameters: dict[str, str] | None = None,
) -> "Iterator[EmbeddedAws]":
    """Run the embedded AWS with the system deployed, its policy uploaded and its Slack connected."""
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
        outputs = aws.deploy(template, {**wanted, **(parameters or {})}, stack_name=STACK).outputs
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


def _check_port(port: int) -> None:
    if not 0 <= port <= MAX_PORT:
        raise Trouble(f"{port} is no port", f"a port is a number up to {MAX_PORT}", "--port 0 takes a free one")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Trouble(f"port {port} is not to be had", error.strerror or str(error), "--port 0 takes a free one") from error


def up(policy_path: Path | None, start_time: datetime | None, port: int, mode: str, create_on_push_record: str) -> None:
    """Run in the foreground until stopped. Prints one line of JSON when ready."""
    if mode not in {"audit", "enforce"}:
        raise Trouble(f"there is no mode {mode}", "the deployment's Mode is audit or enforce", "--mode audit|enforce")
    if create_on_push_record not in RECORDS:
        raise Trouble(
            f"there is no record form {create_on_push_record}", f"known: {', '.join(RECORDS)}", f"--create-on-push-record {RECORDS[0]}"
        )
    _check_port(port)
    policy = None
    if policy_path is not None:
        policy = bundled(policy_path).encode()
    if start_time is not None and start_time.tzinfo is None:
        start_time = start_time.replace(tzinfo=UTC)
    signalled = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: signalled.set())
    with running(policy=policy, start_time=start_time, port=port, mode=mode, create_on_push_record=create_on_push_record) as aws:
        where = ready(aws)
        control.remember(where)
        sys.stdout.write(json.dumps(where) + "\n")
        sys.stdout.flush()
        sys.stderr.write(
            f"export AWS_ENDPOINT_URL={aws.endpoint} AWS_DEFAULT_REGION={REGION}\nStop with Ctrl+C or: ecr-governor local down\n"
        )
        while not (signalled.wait(0.2) or aws.stopped.is_set()):
            pass
        control.forget()
