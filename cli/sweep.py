"""`ecr-governor sweep`: begin the deployed sweep now, wait for its end, and show what it found."""

import json
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from cli.deployment import Deployment, refused
from cli.harmless import harmless
from cli.trouble import Exit, Trouble, check_output
from ecr_governor.adapters.state_machine import Execution
from ecr_governor.app.errors import GovernorError

FIRST_LOOK = 0.2
LONGEST_PAUSE = 5.0
SAY_EVERY = 10.0


def begin(deployment: Deployment, output: str, *, everything: bool, wait: bool) -> Exit:
    """Begin a sweep; unless told otherwise, wait for its end and print its summary. The exit code says what it found."""
    check_output(output, "table", "json")
    try:
        machine = deployment.sweep()
        arn = machine.start({"everything": everything})
        if not wait:
            sys.stdout.write(json.dumps({"execution": arn}) + "\n" if output == "json" else f"{arn}\n")
            return Exit.CLEAN
        sys.stderr.write(f"sweep begun: {arn.rpartition(':')[2]}\n")
        execution = _ended(deployment, arn)
        if execution.status != "SUCCEEDED":
            raise _failed(execution)
        summary = deployment.runs().document(f"sweeps/{execution.output['run']}/summary")
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
    return _shown(summary, output)


def last(deployment: Deployment, output: str) -> Exit:
    """Print the summary of the last sweep."""
    check_output(output, "table", "json")
    try:
        ended = deployment.sweep_book().last_sweep()
        if ended is None:
            raise Trouble("there has been no sweep yet", "the ledger knows of none", "begin one: ecr-governor sweep")
        summary = deployment.runs().document(f"sweeps/{ended.run}/summary")
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
    return _shown(summary, output)


def _ended(deployment: Deployment, arn: str) -> Execution:
    machine, pause, begun = deployment.sweep(), FIRST_LOOK, time.monotonic()
    said = begun
    while (execution := machine.execution(arn)).running:
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 1.5)
        if time.monotonic() - said > SAY_EVERY:
            said = time.monotonic()
            sys.stderr.write(f"under way for {said - begun:.0f} s\n")
    return execution


def _failed(execution: Execution) -> Trouble:
    cause = execution.cause
    with suppress(ValueError, KeyError, TypeError):
        # Lambda's error, as Step Functions hands it on.
        cause = str(json.loads(cause)["errorMessage"])
    if execution.error == "SweepRunning":
        return Trouble("another sweep is under way", cause, "begin this one again when that one has ended", Exit.INCOMPLETE)
    what = f"the sweep ended as {execution.status}"
    return Trouble(what, f"{execution.error}: {cause}", "see docs/operations.md#sweep-failed", Exit.INCOMPLETE)


def _shown(summary: Mapping[str, Any] | None, output: str) -> Exit:
    if summary is None:
        raise Trouble(
            "the sweep left no summary", "its file is not in the reports bucket", "sweep again: ecr-governor sweep", Exit.INCOMPLETE
        )
    if output == "json":
        sys.stdout.write(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    else:
        _page(summary)
    if not summary["complete"]:
        return Exit.INCOMPLETE
    return Exit.VIOLATIONS if summary["violating"] else Exit.CLEAN


def _page(summary: Mapping[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    verdict = "complete" if summary["complete"] else "INCOMPLETE"
    first = ", the first one here: it puts nothing right" if summary["first"] else ""
    console.print(harmless(f"sweep {summary['run']}: {verdict}{first}", style="bold"))
    for why in summary["incomplete_because"]:
        console.print(harmless(f"  could not find out: {why}", style="yellow"))
    loss = summary["event_loss"]
    rate = (
        "none: nothing changed"
        if loss["rate"] is None
        else f"{100 * loss['rate']:.1f} % of {loss['announced'] + loss['unannounced']} changes"
    )
    for label, value in (
        ("repositories", f"{summary['repositories']:,}, {summary['checked']:,} of them read in full"),
        ("violating", f"{summary['violating']:,}"),
        ("unused", f"{summary['unused']:,}"),
        ("events lost", rate),
        ("calls", f"{sum(summary['calls'].values()):,}"),
        ("duration", f"{summary['duration_seconds']:,.0f} s"),
        ("cost estimate", f"{summary['cost_estimate_usd']:.4f} USD"),
    ):
        console.print(harmless(f"  {label:<14}{value}"))
    table = Table("rule", "open", "opened", "resolved", "exempt", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for rule in sorted({*summary["by_rule"], *summary["opened"], *summary["resolved"], *summary["exempt"]}):
        counts = (f"{summary[name].get(rule, 0):,}" for name in ("by_rule", "opened", "resolved", "exempt"))
        table.add_row(rule, *counts)
    if table.row_count:
        console.print()
        console.print(table)
    if summary["withheld"]:
        console.print()
        console.print(harmless(f"withheld: {summary['withheld']}", style="yellow"))
    for name in summary["to_be_put_right"]:
        console.print(harmless(f"is being put right: {name}"))
    for name in summary["vanished"]:
        console.print(harmless(f"not there any more: {name}"))
