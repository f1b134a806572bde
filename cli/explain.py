"""`ecr-governor explain`: why a repository is judged as it is, what follows, and what would change it."""

from typing import Annotated

import typer

from cli import completion
from cli.options import Endpoint, Output, PolicyOrBundled, Profile, Region
from cli.starting import pass_over_crt


def explain(
    name: Annotated[str, typer.Argument(help="The repository's name; there need not be one yet.", autocompletion=completion.names)],
    policy_path: PolicyOrBundled = None,
    stack: Annotated[
        str | None,
        typer.Option(
            "--stack",
            help="Ask this deployment as well: origin, owner, age of findings; and, without --policy, its policy.",
            show_default=False,
        ),
    ] = None,
    output: Output = "table",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Explain what the policy says of a repository, or of a name before anybody pushes to it, and why: each value with its source and age.

    Judges now, by what ECR has now; ecr-governor repository shows what the deployment has on record. Needs no deployment, only reads.
    Exit code 1 if a finding is open or would be, or if ECR would refuse the push.

    Example: ecr-governor explain payments/check_out --policy policy.yaml
    """
    pass_over_crt()
    from cli import explanation  # noqa: PLC0415 - botocore is heavy

    wish = explanation.Wish(name, policy_path, stack, region, endpoint_url, profile)
    raise typer.Exit(explanation.run(wish, output))
