"""Options that many commands have, in the same words everywhere."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli import completion

POLICY_HERE: Final = Path("policy.yaml")
"""The policy file of every command that is given none: in the folder where it runs."""


def output_of(*known: str) -> Any:
    """Make the option of what a command prints; the shell offers what there is."""
    *most, last = known
    return typer.Option("--output", help=f"{', '.join(most)} or {last}.", autocompletion=completion.among(*known))


Endpoint = Annotated[
    str | None, typer.Option("--endpoint-url", envvar="AWS_ENDPOINT_URL", help="Another AWS endpoint, for example the embedded AWS.")
]
Region = Annotated[str | None, typer.Option("--region", envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], help="AWS Region.")]
Profile = Annotated[str | None, typer.Option("--profile", envvar="AWS_PROFILE", help="Profile of your AWS configuration.")]
Stack = Annotated[str, typer.Option("--stack", help="Name of the CloudFormation stack.")]
Output = Annotated[str, output_of("table", "json")]
PolicyFile = Annotated[Path, typer.Argument(help="The policy file.")]
PolicyOption = Annotated[Path, typer.Option("--policy", help="The policy file.")]
PolicyOrBundled = Annotated[
    Path | None,
    typer.Option(
        "--policy", help=f"The policy file; without it {POLICY_HERE}, or the bundled policy where there is none.", show_default=False
    ),
]
