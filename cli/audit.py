"""`ecr-governor audit`: look at a registry from the operator's machine, with credentials that may only read."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from cli.audit_output import writer_for
from cli.policy_file import read as read_policy
from cli.trouble import Exit, Trouble
from ecr_governor.adapters.aws import CLIENT_CONFIG
from ecr_governor.adapters.ecr import ACTION_OF, EcrRegistry
from ecr_governor.adapters.inventory import EcrInventory
from ecr_governor.adapters.pace import Pace
from ecr_governor.adapters.policy_store import bundled_policy
from ecr_governor.adapters.signed import SignedClient
from ecr_governor.app.audit import Progress, audit
from ecr_governor.app.errors import GovernorError
from ecr_governor.core.audit import AuditSummary
from ecr_governor.core.origin import AutomaticCreation
from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.rules import RULES

OUTPUTS = ("table", "json", "jsonl", "csv", "markdown", "sarif")
SAY_EVERY = 5.0
"""Seconds between lines of progress where no bar can be drawn."""


def run(
    *,
    policy_path: Path | None,
    regions: Sequence[str],
    output: str,
    endpoint_url: str | None,
    profile: str | None,
    count_images: bool,
    quiet: bool,
) -> Exit:
    """Audit one or more Regions; the exit code says whether anything is open, or not known."""
    if output not in OUTPUTS:
        raise Trouble(f"there is no output {output}", f"known: {', '.join(OUTPUTS)}", "--output " + "|".join(OUTPUTS))
    policy = auditing(policy_path)
    session = _session(profile)
    wanted = list(regions) or [session.get_config_variable("region") or ""]
    if "" in wanted:
        raise Trouble("no AWS Region", "neither --region nor AWS_REGION nor the profile names one", "add --region eu-west-1")
    account = _account(session, wanted[0], endpoint_url)
    writer = writer_for(output, sys.stdout, regions=len(wanted))
    summaries = []
    for region in wanted:
        now, begun, progress = datetime.now(UTC), time.monotonic(), Progress()
        inventory = _inventory(session, region, endpoint_url, policy, now)
        writer.begin(account, region, policy.hash)
        with _shown(inventory, progress, quiet=quiet) as show:
            automatic = _automatic(session, region, endpoint_url, progress)
            for repository in audit(inventory, automatic, policy, now, progress, count_images=count_images):
                writer.repository(repository)
                show()
        summary = AuditSummary(
            account=account,
            region=region,
            policy_hash=policy.hash,
            complete=not progress.incomplete_because,
            incomplete_because=tuple(progress.incomplete_because),
            repositories=progress.looked_at,
            violating=progress.violating,
            calls=dict(sorted(inventory.calls.items())),
            seconds=round(time.monotonic() - begun, 1),
        )
        writer.end(summary)
        summaries.append(summary)
    if not all(summary.complete for summary in summaries):
        for summary in summaries:
            for why in summary.incomplete_because:
                sys.stderr.write(f"incomplete: {summary.region}: {why}\n")
        return Exit.INCOMPLETE
    return Exit.VIOLATIONS if any(summary.violating for summary in summaries) else Exit.CLEAN


def auditing(policy_path: Path | None) -> Policy:
    """Read the policy, or the bundled one. An audit judges by a policy that is switched off, too: that is what it is for."""
    policy = read_policy(policy_path) if policy_path else bundled_policy()
    return policy if policy.mode is Mode.AUDIT else policy.model_copy(update={"mode": Mode.AUDIT})


def print_permissions() -> None:
    """Print the least-privilege policy document that an audit needs."""
    facts = {ACTION_OF[fact] for rule in RULES.values() for fact in rule.needs}
    everywhere = {
        "ecr:DescribeRepositoryCreationTemplates",
        "ecr:DescribePullThroughCacheRules",
        "tag:GetResources",
        "cloudwatch:GetMetricData",
    }
    on_repositories = (facts | {"ecr:DescribeRepositories", "ecr:ListTagsForResource"}) - everywhere
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "ReadRepositories", "Effect": "Allow", "Action": sorted(on_repositories), "Resource": "arn:*:ecr:*:*:repository/*"},
            {"Sid": "ReadInBulk", "Effect": "Allow", "Action": sorted(everywhere), "Resource": "*"},
        ],
    }
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def _session(profile: str | None) -> botocore.session.Session:
    session = botocore.session.Session(profile=profile)
    try:
        if session.get_credentials() is None:
            raise Trouble("no AWS credentials", "neither environment nor profile has any", "log in, or give --profile", Exit.CREDENTIALS)
    except ProfileNotFound as error:
        raise Trouble(f"there is no profile {profile}", str(error), "check --profile", Exit.CREDENTIALS) from error
    return session


def _account(session: botocore.session.Session, region: str, endpoint_url: str | None) -> str:
    sts = session.create_client("sts", region_name=region, endpoint_url=endpoint_url, config=CLIENT_CONFIG)
    try:
        return str(sts.get_caller_identity()["Account"])
    except (ClientError, NoCredentialsError) as error:
        raise Trouble("AWS does not accept the credentials", str(error), "log in again, or give --profile", Exit.CREDENTIALS) from error
    except BotoCoreError as error:
        raise Trouble("AWS cannot be reached", str(error), "check --endpoint-url and --region", Exit.INCOMPLETE) from error


def _inventory(session: botocore.session.Session, region: str, endpoint_url: str | None, policy: Policy, now: datetime) -> EcrInventory:
    client = SignedClient(session, region, endpoint_url)
    return EcrInventory(client, Pace(policy.limits.calls_per_second), pull_metrics=policy.limits.pull_metrics, now=now)


def _automatic(session: botocore.session.Session, region: str, endpoint_url: str | None, progress: Progress) -> AutomaticCreation:
    ecr: Any = session.create_client("ecr", region_name=region, endpoint_url=endpoint_url, config=CLIENT_CONFIG)
    try:
        return EcrRegistry(lambda: ecr).automatic_creation()
    except (GovernorError, ClientError, BotoCoreError) as error:
        progress.missing(f"the rules by which ECR creates repositories could not be read: {error}")
        return AutomaticCreation()


@contextmanager
def _shown(inventory: EcrInventory, progress: Progress, *, quiet: bool) -> Iterator[Any]:
    """Show on stderr how far it is: a bar with the time left on a terminal, a line now and then elsewhere."""
    console = Console(stderr=True)
    if quiet:
        yield lambda: None
    elif console.is_terminal:
        # Listing names alone costs one call for 1,000 repositories, and tells how much there is to do.
        total = sum(len(page) for page in inventory.pages())
        columns = (
            TextColumn("looking at repositories"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}/s"),
            TimeRemainingColumn(),
        )
        begun = time.monotonic()
        with Bar(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=total, rate=0)

            def draw() -> None:
                rate = round(progress.looked_at / max(time.monotonic() - begun, 0.001))
                bar.update(task, completed=progress.looked_at, rate=rate)

            yield draw
    else:
        begun = said = time.monotonic()

        def say() -> None:
            nonlocal said
            if time.monotonic() - said >= SAY_EVERY:
                said = time.monotonic()
                sys.stderr.write(f"{progress.looked_at} repositories, {progress.looked_at / (said - begun):.0f}/s\n")

        yield say
