"""`ecr-governor report`: what the last sweep found and what goes next, as a page, a table or data."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from cli.deployment import Deployment, refused
from cli.trouble import Exit, Trouble, check_output
from ecr_governor.app.errors import GovernorError
from ecr_governor.app.reporting import make_report
from ecr_governor.rendering.report import CONTENT_TYPES, rendered
from ecr_governor.rendering.report.documents import schema


def write_report(deployment: Deployment, output: str, out: Path | None) -> Exit:
    """Write the report of a deployment to a file or to stdout. It is as old as the last sweep, and says so."""
    check_output(output, *CONTENT_TYPES)
    try:
        report = make_report(deployment.sweep_book(), deployment.runs(), deployment.ledger(), datetime.now(UTC))
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
    if report is None:
        raise Trouble("there is nothing to report yet", "no sweep has ended since the stack was deployed", "begin one: ecr-governor sweep")
    put(rendered(report, output), out)
    sys.stderr.write(f"{report.verdict}\n")
    return Exit.CLEAN


def print_schema() -> None:
    """Print the JSON Schema of a report as JSON."""
    sys.stdout.write(json.dumps(schema(), indent=2, sort_keys=True) + "\n")


def put(text: bytes, out: Path | None) -> None:
    """Write to a file, whole or not at all; without one to stdout."""
    if out is None:
        sys.stdout.buffer.write(text)
        sys.stdout.flush()
        return
    try:
        draft = out.with_name(f".{out.name}.draft")
        draft.write_bytes(text)
        draft.replace(out)
    except OSError as error:
        raise Trouble(f"{out} cannot be written", str(error), "name another file with --out") from error
