"""`ecr-governor audit`: look at a registry from the operator's machine, with credentials that may only read."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from cli.access import account_of, check_credentials, distinct, partition_of, refusal, regions_of, session_of
from cli.audit_output import OUTPUTS, AuditWriter, writer_for
from cli.audit_output.progress import shown
from cli.audit_output.table import TableWriter
from cli.output import BROKEN_PIPE, INTERRUPTED, leave
from cli.policy.files import OPTION, chosen, in_source_tree, say_chosen
from cli.policy.files import read as read_policy
from cli.trouble import Exit, Trouble
from ecr_governor.adapters.inventory import CONCURRENCY, RESOURCELESS, EcrInventory, actions_for, pace_of
from ecr_governor.adapters.policy_store import bundled_policy
from ecr_governor.adapters.signed import SignedClient
from ecr_governor.app.audit import Progress, audit, wanted_by
from ecr_governor.core.audit import AuditSummary
from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.report.words import repositories
from ecr_governor.rendering.words import effort

BUNDLED = "default_policy.yaml"
MOST_THREADS = 64
"""A call may take a second, so that as many are under way as may be made in one, within limits."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line."""

    policy_path: Path | None
    regions: Sequence[str]
    output: str = "table"
    endpoint_url: str | None = None
    profile: str | None = None
    count_images: bool = False
    calls_per_second: int | None = None
    quiet: bool = False
    facts: bool = False


def run(wish: Wish) -> Exit:
    """Audit one or more Regions; the exit code says whether anything is open, or not known.

    Ctrl+C and a reader that went away end the process at once: the calls that are under way would bring nothing that anybody wants.
    """
    try:
        ended = _run(wish)
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        leave(INTERRUPTED)
    except BrokenPipeError:
        leave(BROKEN_PIPE)
    return ended


def print_permissions(wish: Wish) -> None:
    """Print the least-privilege policy document that an audit by this policy needs."""
    policy = _auditing(wish.policy_path)
    say_chosen(wish.policy_path)
    actions = frozenset[str]().union(
        *(
            actions_for(wanted.facts, pulls=policy.limits.pull_metrics and wanted.idle_since is not None)
            for wanted in wanted_by(policy, datetime.now(UTC), count_images=wish.count_images).values()
        )
    )
    arns = [f"arn:{partition_of(region)}:ecr:{region}:*:repository/*" for region in distinct(wish.regions)] or [
        "arn:aws:ecr:*:*:repository/*"
    ]
    statements = [
        {"Sid": "ReadRepositories", "Effect": "Allow", "Action": sorted(actions - RESOURCELESS), "Resource": arns},
        # These actions have no resource level.
        {"Sid": "ReadRegistry", "Effect": "Allow", "Action": sorted(actions & RESOURCELESS), "Resource": "*"},
    ]
    sys.stdout.write(json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n")


def _run(wish: Wish) -> Exit:
    if wish.output not in OUTPUTS:
        raise Trouble(f"there is no output {wish.output}", f"an audit is printed as {', '.join(OUTPUTS)}", f"--output {'|'.join(OUTPUTS)}")
    if wish.facts and wish.output != "jsonl":
        raise Trouble("facts are kept in JSON Lines only", f"--output is {wish.output}", "--facts --output jsonl")
    policy = _auditing(wish.policy_path)
    session = session_of(wish.profile, wish.endpoint_url)
    regions = regions_of(session, wish.regions, wish.endpoint_url)
    check_credentials(session)
    account = account_of(session, regions[0], wish.endpoint_url)
    say_chosen(wish.policy_path)
    policy_file = in_source_tree(path) if (path := chosen(wish.policy_path)) else BUNDLED
    writer = writer_for(wish.output, sys.stdout, len(regions), policy_file, policy.namespace_of, datetime.now(UTC))
    results = [_audit(wish, session, policy, account, region, writer) for region in regions]
    for summary, _ in results:
        for why in summary.incomplete_because:
            sys.stderr.write(f"incomplete: {summary.region}: {why}\n")
    for _, refused in results:
        if refused:
            raise refused
    if not all(summary.complete for summary, _ in results):
        return Exit.INCOMPLETE
    return Exit.VIOLATIONS if any(summary.violating for summary, _ in results) else Exit.CLEAN


def _audit(
    wish: Wish, session: botocore.session.Session, policy: Policy, account: str, region: str, writer: AuditWriter
) -> tuple[AuditSummary, Trouble | None]:
    """Audit one Region. It is told to its end even if the credentials are refused halfway; the refusal is given back."""
    now, begun, progress = datetime.now(UTC), time.monotonic(), Progress()
    refused: Trouble | None = None
    writer.begin(account, region, policy.hash)
    rate = wish.calls_per_second or policy.limits.calls_per_second
    with EcrInventory(
        SignedClient(session, region, wish.endpoint_url, "ecr-governor audit"),
        pace_of(rate),
        concurrency=max(CONCURRENCY, min(MOST_THREADS, rate)),
        pull_metrics=policy.limits.pull_metrics,
        now=now,
    ) as inventory:
        # A table and its bar share the terminal; what other formats write would run through the bar.
        beside = not sys.stdout.isatty() or wish.output in {"table", "markdown"}
        console = writer.console if isinstance(writer, TableWriter) and sys.stdout.isatty() else None
        with shown(inventory, region, quiet=wish.quiet or not beside, console=console):
            try:
                for repository in audit(inventory, policy, now, progress, count_images=wish.count_images, keep_facts=wish.facts):
                    writer.repository(repository)
            except (ClientError, BotoCoreError) as error:
                progress.missing(f"not every repository was looked at: {error}")
                refused = refusal(error, region)
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
    if not wish.quiet and wish.output not in {"table", "markdown"}:
        sys.stderr.write(f"{region}: {summary.violating:,} of {repositories(summary.repositories)} violating, {effort(summary)}\n")
    return summary, refused


def _auditing(named: Path | None) -> Policy:
    """Read the policy that counts. An audit judges by a policy that is switched off, too: that is what it is for."""
    path = chosen(named)
    return (read_policy(path, OPTION) if path else bundled_policy()).in_mode(Mode.AUDIT)
