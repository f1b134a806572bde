"""Commands that ask why something is as it is, or what would come of it. Heavy imports wait until a command needs them."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import Endpoint, Output, Profile, Region, Stack


def blame(
    name: Annotated[str, typer.Argument(help="The repository's name.")],
    events: Annotated[
        Path | None,
        typer.Option("--events", help="Read CloudTrail's records as well: a file, or a directory of a trail's files.", show_default=False),
    ] = None,
    lookup: Annotated[bool, typer.Option("--lookup", help="Ask CloudTrail's event history as well: 90 days, two calls a second.")] = False,
    output: Output = "table",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    stack: Stack = "ecr-governor",
) -> None:
    """Tell who last set each setting of a repository, when, and by which event or remedy. Exit code 3 if records could not be read.

    Example: ecr-governor ledger blame payments/api --lookup
    """
    from cli import blame as blaming  # noqa: PLC0415 - boto3 is heavy
    from cli import deployment  # noqa: PLC0415 - boto3 is heavy

    stack_here = deployment.Deployment(stack, endpoint_url, region, profile)
    raise typer.Exit(blaming.run(stack_here, name, output, events, lookup=lookup))


def replay(
    file: Annotated[Path, typer.Argument(help="An event as EventBridge delivers it, for example events/create-repository.json.")],
    inventory: Annotated[
        Path | None,
        typer.Option("--inventory", help="Judge what this inventory recorded, instead of what the stack sees now.", show_default=False),
    ] = None,
    policy_path: Annotated[
        Path | None,
        typer.Option(
            "--policy", help="Policy file to judge by; without one the stack's, with --inventory policy.yaml.", show_default=False
        ),
    ] = None,
    output: Output = "table",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
    stack: Stack = "ecr-governor",
) -> None:
    """Tell what one event would lead to: what would be judged, which remedies would be taken. Writes nothing. Exit code 1 if anything stays open.

    Example: ecr-governor replay events/create-repository.json --inventory inventory.jsonl --policy policy.yaml
    """
    from cli import deployment  # noqa: PLC0415 - boto3 is heavy
    from cli import replay as replaying  # noqa: PLC0415 - boto3 is heavy

    stack_here = deployment.Deployment(stack, endpoint_url, region, profile)
    raise typer.Exit(replaying.run(stack_here, file, output, inventory, policy_path))
