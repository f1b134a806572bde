"""The commands `ecr-governor templates …`. Heavy imports wait until a command needs them."""

from typing import Annotated

import typer

from cli import completion
from cli.options import POLICY_HERE, Endpoint, PolicyOption, Profile, Region, output_of

app = typer.Typer(help="Creation templates, made of the policy file.", no_args_is_help=True, rich_markup_mode=None)

Output = Annotated[str, output_of("text", "json")]
PolicyOnly = Annotated[bool, typer.Option("--policy-only", help="Look at the templates of the policy file, and ask no registry.")]
Known = Annotated[
    list[str] | None,
    typer.Option(
        "--known", metavar="PREFIX", help="Somebody else's template at this prefix is meant to be there; give it again for several."
    ),
]


@app.command("compile")
def compile_(
    policy: PolicyOption = POLICY_HERE,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            help="json, as ECR's API takes it; yaml, as CloudFormation takes it.",
            autocompletion=completion.among("json", "yaml"),
        ),
    ] = "json",
    registry_policy: Annotated[
        bool,
        typer.Option(
            "--registry-policy", help="Instead: a registry policy that keeps CreateRepository to the prefixes; needs --account, --region."
        ),
    ] = False,
    scp: Annotated[bool, typer.Option("--scp", help="Instead: a service control policy that does the same.")] = False,
    admins: Annotated[
        list[str] | None,
        typer.Option(
            "--admin",
            metavar="ARN",
            help="With --scp: nobody but this principal may change templates; give it again for several, * stands for anything.",
        ),
    ] = None,
    account: Annotated[str | None, typer.Option("--account", help="With --registry-policy: the registry's account id.")] = None,
    region: Region = None,
) -> None:
    """Print the creation templates that the policy wants; what it asks for and no template can say is told on stderr.

    Example: ecr-governor templates compile --policy policy.yaml --output yaml
    """
    from cli.templates import compiling  # noqa: PLC0415 - pydantic is heavy

    if registry_policy or scp:
        compiling.print_guard(policy, admins or (), account, region, registry=registry_policy, scp=scp)
    else:
        compiling.print_templates(policy, output, admins or ())


@app.command()
def diff(
    policy: PolicyOption = POLICY_HERE,
    known: Known = None,
    output: Output = "text",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Compare the templates that the policy wants with the registry's, field by field. Exit code 1 if they differ.

    Example: ecr-governor templates diff --policy policy.yaml --known mirror
    """
    from cli.templates import comparing, registry  # noqa: PLC0415 - boto3 is heavy

    raise typer.Exit(comparing.run(policy, registry.Place(endpoint_url, region, profile), known or (), output))


@app.command()
def sync(
    policy: PolicyOption = POLICY_HERE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    adopt: Annotated[
        list[str] | None,
        typer.Option(
            "--adopt", metavar="PREFIX", help="Take over somebody else's template at a prefix of the policy; give it again for several."
        ),
    ] = None,
    delete: Annotated[
        list[str] | None,
        typer.Option(
            "--delete", metavar="PREFIX", help="Delete the template at a prefix that the policy does not want; give it again for several."
        ),
    ] = None,
    known: Known = None,
    output: Output = "text",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Make the registry's templates those of the policy, after showing what differs. Exit code 1 if anything still differs.

    Templates that somebody else made stay as they are unless you name their prefix. Repositories that exist are not touched.

    Example: ecr-governor templates sync --policy policy.yaml --dry-run
    """
    from cli.templates import registry, syncing  # noqa: PLC0415 - boto3 is heavy

    wish = syncing.Wish(adopt or (), delete or (), known or (), dry_run, yes)
    raise typer.Exit(syncing.run(policy, registry.Place(endpoint_url, region, profile), wish, output))


@app.command()
def which(
    name: Annotated[str, typer.Argument(help="A repository name.", autocompletion=completion.names)],
    policy_only: PolicyOnly = False,
    policy: PolicyOption = POLICY_HERE,
    output: Output = "text",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Say what ECR would do with a name that is not there yet: by which template, and with what. Exit code 1 if a push creates nothing.

    Example: ecr-governor templates which payments/api
    """
    from cli.templates import applying, registry  # noqa: PLC0415 - boto3 is heavy

    place = None if policy_only else registry.Place(endpoint_url, region, profile)
    raise typer.Exit(applying.run(name, policy, place, output))


@app.command()
def lint(
    policy_only: PolicyOnly = False,
    policy: PolicyOption = POLICY_HERE,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 if there is a warning, too.")] = False,
    output: Output = "text",
    endpoint_url: Endpoint = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Say what templates do by mistake or in vain, whoever made them. Exit code 1 if a creation by one of them would fail.

    Example: ecr-governor templates lint --strict
    """
    from cli.templates import linting, registry  # noqa: PLC0415 - boto3 is heavy

    place = None if policy_only else registry.Place(endpoint_url, region, profile)
    raise typer.Exit(linting.run(policy, place, output, strict=strict))
