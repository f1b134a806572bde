"""The commands `ecr-governor policy …`. Heavy imports wait until a command needs them."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli import completion
from cli.days import SHAPE, day_of
from cli.options import POLICY_HERE, PolicyFile, output_of

app = typer.Typer(help="The policy file.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def validate(
    file: PolicyFile = POLICY_HERE,
    output: Annotated[str, output_of("text", "json", "sarif", "github")] = "text",
    region: Annotated[str | None, typer.Option("--region", help="The AWS Region that the policy is for.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 if there is a warning.")] = False,
    ignored: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore", help="Say nothing of this check, a warning or a note; give it again for several.", autocompletion=completion.checks
        ),
    ] = None,
    on: Annotated[
        datetime | None,
        typer.Option("--on", parser=day_of, metavar=SHAPE, help="Look at exemptions as of this day, in UTC; today without it."),
    ] = None,
) -> None:
    """Check a policy file: every fault with its line, why it matters, what to do; and what it says in vain. Exit code 2 if it has errors.

    Example: ecr-governor policy validate policy.yaml --strict --output github
    """
    from cli.policy import validating  # noqa: PLC0415 - pydantic is heavy

    raise typer.Exit(validating.run(file, output, region=region, ignored=ignored or (), strict=strict, on=on))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the policy file, for editors.

    Example: ecr-governor policy schema > policy.schema.json
    """
    from cli.policy import reference  # noqa: PLC0415 - pydantic is heavy

    reference.print_schema()


@app.command()
def docs(
    into: Annotated[
        Path | None, typer.Option("--into", help="Write the tables anew that stand in this page between their marks.", show_default=False)
    ] = None,
) -> None:
    """Print the reference of the policy file as Markdown: every key, preset and check.

    Example: ecr-governor policy docs --into docs/policy.md
    """
    from cli.policy import reference  # noqa: PLC0415 - pydantic is heavy

    if into is None:
        reference.print_docs()
    else:
        reference.write_into(into)


@app.command()
def show(
    file: PolicyFile = POLICY_HERE,
    name: Annotated[
        str | None, typer.Option("--name", help="Only what is expected of the repository of this name.", autocompletion=completion.names)
    ] = None,
    output: Annotated[str, output_of("yaml", "json")] = "yaml",
) -> None:
    """Print the effective policy, with preset and defaults, and where each value comes from.

    Example: ecr-governor policy show policy.yaml --name payments/api
    """
    from cli.policy import showing  # noqa: PLC0415 - pydantic is heavy

    showing.run(file, output, name)


@app.command()
def bundle(
    file: PolicyFile = POLICY_HERE,
    into: Annotated[Path | None, typer.Option("--into", help="Write to this file instead of printing.", show_default=False)] = None,
) -> None:
    """Put the documents that a policy file leaves to files into it: one file, as a deployment reads it, with the same hash.

    Example: ecr-governor policy bundle policy.yaml --into whole.yaml
    """
    from cli.policy import bundling  # noqa: PLC0415 - pydantic is heavy

    bundling.run(file, into)


@app.command("test")
def try_cases(
    cases: Annotated[list[Path], typer.Argument(help="Files of cases.")],
    policy: Annotated[
        Path | None, typer.Option("--policy", help="The policy file, instead of the one that the cases name.", show_default=False)
    ] = None,
    require_tests: Annotated[
        bool, typer.Option("--require-tests", help="Every rule that is on, every namespace and every retirement must have a case.")
    ] = False,
    output: Annotated[str, output_of("text", "json", "junit", "markdown", "github")] = "text",
) -> None:
    """Try cases: repositories as you describe them, and what the policy should say of them. Exit code 1 if one does not come out so.

    Example: ecr-governor policy test policy.cases.yaml --require-tests --output junit
    """
    from cli.policy import testing  # noqa: PLC0415 - pydantic is heavy

    raise typer.Exit(testing.run(cases, policy, output, require_tests=require_tests))


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The policy file as it is.")],
    new: Annotated[Path, typer.Argument(help="The policy file as it would be.")],
    against: Annotated[Path, typer.Option("--against", help="An inventory: audit --facts --output jsonl, or a sweep's lines.")],
    max_new: Annotated[
        int | None, typer.Option("--max-new", help="Exit code 1 if more repositories than this would be newly violating.")
    ] = None,
    output: Annotated[str, output_of("text", "json", "markdown")] = "text",
    on: Annotated[
        datetime | None, typer.Option("--on", parser=day_of, metavar=SHAPE, help="Judge as of this day, in UTC; now without it.")
    ] = None,
) -> None:
    """Tell what a change of the policy would do to a registry: who becomes violating, who is freed, what would be retired, who is told.

    Example: ecr-governor policy diff main.yaml policy.yaml --against inventory.jsonl --max-new 20 --output markdown
    """
    from cli.policy import comparing  # noqa: PLC0415 - pydantic is heavy

    raise typer.Exit(comparing.run(old, new, against, output, max_new, on))


@app.command()
def backtest(
    file: PolicyFile = POLICY_HERE,
    events: Annotated[
        str | None,
        typer.Option(
            "--events",
            metavar="PATH",
            help="CloudTrail's records: a file, a directory of a trail's files as they are in S3, or s3://BUCKET/PREFIX itself.",
            show_default=False,
        ),
    ] = None,
    lookup: Annotated[
        bool, typer.Option("--lookup", help="Ask CloudTrail's event history instead: 90 days, 100 records a second.")
    ] = False,
    inventory: Annotated[
        Path | None,
        typer.Option("--inventory", help="How it is now: audit --facts --output jsonl. Tells what the records do not.", show_default=False),
    ] = None,
    enforce: Annotated[bool, typer.Option("--enforce", help="Play the policy as if it said mode: enforce.")] = False,
    account: Annotated[str | None, typer.Option("--account", help="The registry's account, if the records are of several.")] = None,
    region: Annotated[str | None, typer.Option("--region", help="The registry's Region; for --lookup and S3 the one to ask.")] = None,
    complete: Annotated[
        bool, typer.Option("--complete", help="The records are all there are: a day without any is one on which nothing happened.")
    ] = False,
    watched_since: Annotated[
        datetime | None,
        typer.Option(
            "--watched-since",
            parser=day_of,
            metavar=SHAPE,
            help="As if the repositories had been watched since this day; else since the records begin.",
        ),
    ] = None,
    delay: Annotated[int, typer.Option("--delay", min=0, max=3600, help="Seconds that an event takes to arrive.")] = 60,
    stack: Annotated[
        str, typer.Option("--stack", help="The deployed stack: what its roles did is played, not taken from the records.")
    ] = "ecr-governor",
    max_regret: Annotated[
        float | None, typer.Option("--max-regret", min=0, max=100, help="Exit code 1 if more percent of what is quarantined is regretted.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", help="Keep what was read in this file, and go on from it.", show_default=False)
    ] = None,
    output: Annotated[str, output_of("table", "json", "markdown")] = "table",
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    endpoint_url: Annotated[
        str | None, typer.Option("--endpoint-url", envvar="AWS_ENDPOINT_URL", help="Another AWS endpoint, for --lookup and S3.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", envvar="AWS_PROFILE", help="Profile of your AWS configuration, for --lookup and S3.")
    ] = None,
) -> None:
    """Tell what a policy would have done: play what CloudTrail has recorded, and see what was found, changed, retired and regretted.

    Example: ecr-governor policy backtest policy.yaml --events trail/ --inventory inventory.jsonl --enforce
    """
    from cli.backtest import command, objects  # noqa: PLC0415 - pydantic is heavy
    from cli.trouble import Trouble  # noqa: PLC0415 - with it

    if (events is None) is not lookup:
        raise Trouble("there must be one source of records", "give --events or --lookup, and not both", "--events trail/")
    asked = command.Asked(
        policy_path=file,
        events=objects.source(events) if events is not None else None,
        inventory_path=inventory,
        account=account,
        region=region,
        stack=stack,
        state=state,
        enforce=enforce,
        complete=complete,
        delay=delay,
        watched_since=watched_since,
        max_regret=max_regret,
        output=output,
        quiet=quiet,
        endpoint_url=endpoint_url,
        profile=profile,
    )
    raise typer.Exit(command.run(asked))
