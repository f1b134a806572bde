"""The command `ecr-governor`. JSON goes to stdout, words for people to stderr. Heavy imports wait until a command needs them."""

import gc
import os
import sys
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cli import asking, completion, exempt
from cli.days import moment_of
from cli.explain import explain
from cli.options import POLICY_HERE, Endpoint, Output, PolicyOption, PolicyOrBundled, Profile, Region, Stack, output_of
from cli.output import INTERRUPTED, whole_output
from cli.policy import app as policy
from cli.starting import BETWEEN_COLLECTIONS, narrowed, pass_over, put_off
from cli.templates import app as templates
from cli.trouble import Exit, Trouble
from cli.usage import refused

app = typer.Typer(
    name="ecr-governor",
    help="Keeps an Amazon ECR registry in order.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 clean, 1 violations, 2 usage or policy, 3 incomplete, 4 credentials.",
)
local = typer.Typer(
    help="The embedded AWS: the deployed system on this machine, without an account.", no_args_is_help=True, rich_markup_mode=None
)
ledger = typer.Typer(help="What was decided over each repository, and why.", no_args_is_help=True, rich_markup_mode=None)
evidence = typer.Typer(help="Files of evidence: who uses images where AWS cannot tell.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(ledger, name="ledger")
app.add_typer(local, name="local")
app.add_typer(evidence, name="evidence")
app.add_typer(policy.app, name="policy")
app.add_typer(templates.app, name="templates")
app.add_typer(exempt.app, name="exempt")

Seconds = Annotated[float, typer.Option("--timeout", help="Seconds to wait at most.")]


@app.command()
def audit(
    policy_path: PolicyOrBundled = None,
    regions: Annotated[
        list[str] | None,
        typer.Option("--region", envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], help="AWS Region; give it again for several."),
    ] = None,
    output: Annotated[str, output_of("table", "json", "jsonl", "csv", "markdown", "sarif", "html")] = "table",
    count_images: Annotated[
        bool, typer.Option("--count-images", help="List all images, to tell how many there are and how large.")
    ] = False,
    calls_per_second: Annotated[
        int | None,
        typer.Option(
            "--calls-per-second", min=1, max=10_000, help="Calls per second for each operation at most, instead of the policy's limit."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    facts: Annotated[bool, typer.Option("--facts", help="Keep all that was read, for policy diff; only with --output jsonl.")] = False,
    permissions: Annotated[
        bool, typer.Option("--permissions", help="Only print the IAM policy that an audit by this policy needs.")
    ] = False,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
) -> None:
    """Judge every repository of a registry by a policy. Needs no deployment, only reads. Exit code 1 if anything is open.

    Example: ecr-governor audit --policy policy.yaml --region eu-west-1 --output json
    """
    from cli import audit as auditing  # noqa: PLC0415 - botocore is heavy

    wish = auditing.Wish(policy_path, regions or (), output, endpoint_url, profile, count_images, calls_per_second, quiet, facts)
    if permissions:
        auditing.print_permissions(wish)
        return
    raise typer.Exit(auditing.run(wish))


@app.command("check-name")
def check_name(
    names: Annotated[list[str], typer.Argument(help="Repository names.", autocompletion=completion.names)],
    policy_path: PolicyOption = POLICY_HERE,
    output: Annotated[str, output_of("text", "json", "github")] = "text",
) -> None:
    """Say before a push whether a name keeps the convention, and the nearest one that does. Exit code 1 if one does not.

    Example: ecr-governor check-name payments/check_out --policy policy.yaml
    """
    from cli.policy import names as naming  # noqa: PLC0415 - pydantic is heavy

    raise typer.Exit(naming.run(names, policy_path, output))


@app.command()
def findings(
    repository: Annotated[str | None, typer.Option("--repository", help="Only of this repository.")] = None,
    state: Annotated[
        str,
        typer.Option(
            "--state", help="open, resolved, exempt or all.", autocompletion=completion.among("open", "resolved", "exempt", "all")
        ),
    ] = "open",
    output: Output = "table",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    stack: Stack = "ecr-governor",
) -> None:
    """List findings from the ledger. Exit code 1 if any is open.

    Example: ecr-governor findings --state open --output json
    """
    from cli import deployment, ledger  # noqa: PLC0415 - boto3 is heavy

    stack_here = deployment.Deployment(stack, endpoint_url, region, profile)
    raise typer.Exit(ledger.list_findings(stack_here, repository, state, output))


@app.command()
def repository(
    name: Annotated[str, typer.Argument(help="The repository's name.")],
    output: Output = "table",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    stack: Stack = "ecr-governor",
) -> None:
    """Show what the deployment has on record of a repository: facts, origin with evidence, pusher, owner, findings.

    Judges nothing; ecr-governor explain says what the policy says of it now, and why.

    Example: ecr-governor repository payments/api --output json
    """
    from cli import deployment, ledger  # noqa: PLC0415 - boto3 is heavy

    ledger.show_repository(deployment.Deployment(stack, endpoint_url, region, profile), name, output)


app.command()(explain)


@app.command()
def sweep(
    everything: Annotated[bool, typer.Option("--everything", help="Read every repository in full, whatever is known of it.")] = False,
    last: Annotated[bool, typer.Option("--last", help="Begin none; show what the last one found.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to wait for its end.")] = True,
    output: Output = "table",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    stack: Stack = "ecr-governor",
) -> None:
    """Begin the deployed sweep now and show what it found. Exit code 1 if anything violates, 3 if it is incomplete.

    Example: ecr-governor sweep --everything --output json
    """
    from cli import deployment  # noqa: PLC0415 - boto3 is heavy
    from cli import sweep as sweeping  # noqa: PLC0415 - boto3 is heavy

    stack_here = deployment.Deployment(stack, endpoint_url, region, profile)
    if last:
        raise typer.Exit(sweeping.last(stack_here, output))
    raise typer.Exit(sweeping.begin(stack_here, output, everything=everything, wait=wait))


@app.command()
def plan(
    out: Annotated[Path | None, typer.Option("--out", help="Write the plan as JSON to this file.", show_default=False)] = None,
    repository: Annotated[str | None, typer.Option("--repository", help="Only of this repository, with every reason.")] = None,
    output: Output = "table",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    stack: Stack = "ecr-governor",
) -> None:
    """Show what the last run made of every unused repository: its stage, what comes next and when, and what stands against it.

    Example: ecr-governor plan --repository payments/api
    """
    from cli import deployment, retirement  # noqa: PLC0415 - boto3 is heavy

    stack_here = deployment.Deployment(stack, endpoint_url, region, profile)
    raise typer.Exit(retirement.show_plan(stack_here, repository, out, output))


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="A plan that ecr-governor plan --out has written.")],
    repository: Annotated[list[str] | None, typer.Option("--repository", help="Only this one; may be given several times.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Take the plan's deletions, and nothing else.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    stack: Stack = "ecr-governor",
) -> None:
    """Have exactly the steps of a plan taken, also above the caps. Refused as a whole if anything has changed since.

    Example: ecr-governor apply plan.json --repository payments/api
    """
    from cli import deployment, retirement  # noqa: PLC0415 - boto3 is heavy

    stack_here = deployment.Deployment(stack, endpoint_url, region, profile)
    raise typer.Exit(retirement.apply(stack_here, file, repository or [], delete=delete, sure=yes))


@app.command()
def calendar(
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How far ahead, for example 7, 30 or 90.")] = 30,
    output: Annotated[str, output_of("table", "json", "ics")] = "table",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    stack: Stack = "ecr-governor",
) -> None:
    """Show what goes in the next days, if nothing speaks against it until then.

    Example: ecr-governor calendar --days 90 --output ics > retirements.ics
    """
    from cli import deployment, retirement  # noqa: PLC0415 - boto3 is heavy

    raise typer.Exit(retirement.show_calendar(deployment.Deployment(stack, endpoint_url, region, profile), days, output))


@app.command()
def report(
    output: Annotated[str, output_of("html", "csv", "json", "markdown", "sarif", "ics")] = "html",
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead of stdout.", show_default=False)] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Only print the JSON Schema of the report as JSON.")] = False,
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    stack: Stack = "ecr-governor",
) -> None:
    """Write the report: verdict, numbers, next steps, owners, rules, trends, and every repository with its reasons.

    Example: ecr-governor report --out report.html
    """
    from cli import deployment  # noqa: PLC0415 - boto3 is heavy
    from cli import report as reporting  # noqa: PLC0415 - boto3 is heavy

    if schema:
        reporting.print_schema()
        return
    raise typer.Exit(reporting.write_report(deployment.Deployment(stack, endpoint_url, region, profile), output, out))


@app.command()
def restore(
    name: Annotated[str, typer.Argument(help="The repository's name.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come back, and what cannot.")] = False,
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    stack: Stack = "ecr-governor",
) -> None:
    """Take a repository out of retirement: its policy, and its images from the archive. Says what cannot come back.

    Example: ecr-governor restore payments/api --dry-run
    """
    from cli import deployment, retirement  # noqa: PLC0415 - boto3 is heavy

    stack_here = deployment.Deployment(stack, endpoint_url, region, profile)
    raise typer.Exit(retirement.restore(stack_here, name, dry_run=dry_run))


@ledger.command("show")
def show_ledger(
    name: Annotated[str, typer.Argument(help="The repository's name.")],
    output: Output = "table",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    stack: Stack = "ecr-governor",
) -> None:
    """Show every decision over a repository, oldest first: what changed, what was intended, what came of it, and why.

    Example: ecr-governor ledger show payments/api
    """
    from cli import deployment, entries  # noqa: PLC0415 - boto3 is heavy

    raise typer.Exit(entries.show(deployment.Deployment(stack, endpoint_url, region, profile), name, output))


@ledger.command("verify")
def verify_ledger(
    name: Annotated[
        str | None, typer.Argument(help="Only this repository, or @policy, @report, @retirement or @sweep.", show_default=False)
    ] = None,
    output: Output = "table",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    stack: Stack = "ecr-governor",
) -> None:
    """Check that no entry was changed or taken out, and that nothing was retired but in order, intended, and after its notice.

    Example: ecr-governor ledger verify
    """
    from cli import deployment, entries  # noqa: PLC0415 - boto3 is heavy

    raise typer.Exit(entries.verify(deployment.Deployment(stack, endpoint_url, region, profile), name, output))


ledger.command()(asking.blame)
app.command()(asking.replay)


@evidence.command()
def collect(
    kubeconfig: Annotated[
        str | None,
        typer.Option("--kubeconfig", envvar="KUBECONFIG", help="Without one ~/.kube/config, or in a pod its service account."),
    ] = None,
    context: Annotated[str | None, typer.Option("--context", help="The kubeconfig's context, instead of its current one.")] = None,
    issuer: Annotated[
        str | None, typer.Option("--issuer", help="Who says so, one name for each cluster; without it the cluster's in the kubeconfig.")
    ] = None,
    valid_hours: Annotated[int, typer.Option("--valid-hours", min=1, max=168, help="Hours until the file gets stale.")] = 24,
    namespaces: Annotated[
        list[str] | None, typer.Option("--namespace", help="Only of this namespace; give it again for several.", show_default=False)
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also",
            help="A custom resource that starts pods, for example keda.sh/v1alpha1/scaledjobs; give it again for several.",
            show_default=False,
        ),
    ] = None,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="Write the file even if there is no pod at all.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write to this file instead of stdout, whole or not at all.", show_default=False)
    ] = None,
    deliver: Annotated[
        bool, typer.Option("--deliver", help="Put it where the deployed stack reads it; takes --issuer and the options of AWS.")
    ] = False,
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    stack: Stack = "ecr-governor",
) -> None:
    """Write which images a Kubernetes cluster uses, or could start again. Only reads; what cannot be read ends it without a file.

    Example: ecr-governor evidence collect --issuer eks-production --deliver
    """
    from cli import deployment  # noqa: PLC0415 - boto3 is heavy
    from cli import evidence as collecting  # noqa: PLC0415 - pydantic is heavy

    wish = collecting.Wish(kubeconfig, context, issuer, valid_hours, namespaces or (), also or (), allow_empty, out)
    stack_here = deployment.Deployment(stack, endpoint_url, region, profile) if deliver else None
    raise typer.Exit(collecting.collect(wish, stack_here))


@evidence.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Files of evidence.")],
    output: Output = "table",
) -> None:
    """Check files of evidence: who says so, as of when, until when, of how many images. Exit code 2 if one would not be relied on.

    Example: ecr-governor evidence check eks-production.json
    """
    from cli import evidence as checking  # noqa: PLC0415 - pydantic is heavy

    raise typer.Exit(checking.check(files, output))


@local.command()
def up(
    policy_path: PolicyOrBundled = None,
    start_time: Annotated[
        datetime | None,
        typer.Option("--start-time", parser=moment_of, metavar="MOMENT", help="What time it is in there, for example 2026-01-01T00:00:00."),
    ] = None,
    port: Annotated[int, typer.Option("--port", help="Port of the AWS endpoint; 0 takes a free one.")] = 0,
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            help="The deployment's parameter Mode: audit, or enforce to let the policy decide.",
            autocompletion=completion.among("audit", "enforce"),
        ),
    ] = "enforce",
    create_on_push_record: Annotated[
        str,
        typer.Option(
            "--create-on-push-record", help="CloudTrail's form of a creation on push: service_linked_role, caller or custom_role."
        ),
    ] = "service_linked_role",
    channels: Annotated[
        bool, typer.Option("--channels", help="Deploy the channels beside Slack as well: e-mail, Security Hub, webhook.")
    ] = False,
) -> None:
    """Start the embedded AWS, deploy the built system into it, and stay in the foreground until stopped.

    Prints one line of JSON when it is ready.

    Example: ecr-governor local up --policy policy.yaml
    """
    from cli.up import up as run  # noqa: PLC0415 - pydantic is heavy

    run(policy_path, start_time, port, mode, create_on_push_record, channels=channels)


@local.command()
def settle(timeout: Seconds = 60.0) -> None:
    """Wait until all queues, streams and functions are idle; print the counts. Exit code 3 if they are not idle in time.

    Example: ecr-governor local settle --timeout 120
    """
    from cli import control  # noqa: PLC0415 - only for a running embedded AWS

    raise typer.Exit(control.settle(timeout))


@local.command()
def advance(span: Annotated[str, typer.Argument(help="How far, for example 14d, 6h or 30m.")]) -> None:
    """Move the clock and fire what falls due on the way.

    Example: ecr-governor local advance 14d
    """
    from cli import control  # noqa: PLC0415 - only for a running embedded AWS

    control.advance(span)


@local.command()
def lose(
    share: Annotated[str, typer.Argument(help="How many of them, for example 30%; 0% loses none.")],
    seed: Annotated[int, typer.Option("--seed", help="Another seed loses others.")] = 0,
) -> None:
    """Lose a share of CloudTrail's events on their way to EventBridge, as if AWS had; print what was lost so far.

    Example: ecr-governor local lose 30%
    """
    from cli import control  # noqa: PLC0415 - only for a running embedded AWS

    control.lose(share, seed)


@local.command()
def status() -> None:
    """Show what runs where, and how much has happened.

    Example: ecr-governor local status
    """
    from cli import control  # noqa: PLC0415 - only for a running embedded AWS

    control.status()


@local.command()
def down() -> None:
    """Stop the embedded AWS.

    Example: ecr-governor local down
    """
    from cli import control  # noqa: PLC0415 - only for a running embedded AWS

    control.down()


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Where summary, Slack page and ledger go.")] = Path("out/demo"),
) -> None:
    """Tell the whole story on the embedded AWS: pushes, judgements, remedies, messages. No account, no Docker.

    Example: ecr-governor demo --out out/demo
    """
    from cli.demo import story  # noqa: PLC0415 - moto is heavy

    story.tell(out)


def version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from importlib.metadata import version as installed  # noqa: PLC0415 - slow, and rarely wanted

        typer.echo(f"ecr-governor {installed('ecr-governor')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Keeps an Amazon ECR registry in order."""


def main() -> None:
    """Run the command line; a trouble that a person can mend is three lines, never a traceback."""
    # Nothing here uses a plugin of pydantic's, and to look for one every installed package is opened. It still imports what it would look
    # with, and with that half of Python's mail.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    put_off("importlib.metadata")
    # botocore would load it for what it takes from urllib3 itself anyway.
    pass_over("urllib3.contrib.pyopenssl")
    # What is loaded is there to stay: to look among it for what could go, over and over, is a tenth of a start.
    gc.set_threshold(BETWEEN_COLLECTIONS)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A name or a reason that the terminal's encoding lacks is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    try:
        with whole_output():
            sys.exit(narrowed(app, sys.argv[1:])(standalone_mode=False) or Exit.CLEAN)
    except Trouble as trouble:
        _stop(trouble)
    except typer.TyperException as error:
        if written := refused(error):
            _stop(written)
        typer.echo(error, err=True)
        sys.exit(Exit.USAGE)
    except typer.Abort:
        typer.echo("\ninterrupted", err=True)
        sys.exit(INTERRUPTED)


def _stop(trouble: Trouble) -> NoReturn:
    gap = "" if trouble.why.startswith("\n") else " "
    typer.echo(f"error: {trouble.what}\n  why:{gap}{trouble.why}\n  do:  {trouble.do}", err=True)
    sys.exit(trouble.exit_code)


__all__ = ["Exit", "app", "main"]
