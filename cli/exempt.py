"""The commands `ecr-governor exempt …`. Heavy imports wait until a command needs them."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli import completion
from cli.days import SHAPE, day_of
from cli.options import POLICY_HERE, Output, PolicyOption

app = typer.Typer(
    help="Exemptions in the policy file: who is spared which rule, why, and until when.", no_args_is_help=True, rich_markup_mode=None
)

Against = Annotated[
    Path | None,
    typer.Option("--against", help="An inventory: audit --facts --output jsonl, or a sweep's lines.", show_default=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be changed, and write nothing.")]


@app.command()
def add(
    match: Annotated[str, typer.Argument(help="A glob of repository names, in quotes.")],
    rules: Annotated[
        list[str],
        typer.Option("--rule", help="The rule, or * for every rule; give it again for several.", autocompletion=completion.rule_ids),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why, in at least 10 characters.")],
    owner: Annotated[str, typer.Option("--owner", help="Who answers for it.")],
    expires: Annotated[datetime, typer.Option("--expires", parser=day_of, metavar=SHAPE, help="The last day on which it holds, in UTC.")],
    policy_path: PolicyOption = POLICY_HERE,
    against: Against = None,
    dry_run: DryRun = False,
) -> None:
    """Add an exemption to the policy file; all else in it stays as it is. Refused if policy validate would complain of it.

    With --against it is refused as well if no repository is like it, and those that it frees are named.

    Example: ecr-governor exempt add "search/legacy_*" --rule naming --reason "moves with the index" --owner search --expires 2027-03-31
    """
    from cli.policy import exempting  # noqa: PLC0415 - pydantic is heavy

    added = exempting.Added(match, rules, reason, owner, expires.date())
    raise typer.Exit(exempting.add(policy_path, added, against, dry_run=dry_run))


@app.command("list")
def show(
    policy_path: PolicyOption = POLICY_HERE,
    name: Annotated[str | None, typer.Option("--repository", help="Only what speaks of this repository.", show_default=False)] = None,
    output: Output = "table",
    on: Annotated[
        datetime | None, typer.Option("--on", parser=day_of, metavar=SHAPE, help="As of this day, in UTC; today without it.")
    ] = None,
) -> None:
    """List the exemptions of the policy file: what holds, what ends within 14 days, what has ended.

    Example: ecr-governor exempt list --policy policy.yaml --repository search/legacy_index
    """
    from cli.policy import exempting  # noqa: PLC0415 - pydantic is heavy

    raise typer.Exit(exempting.show(policy_path, name, output, on))


@app.command()
def expire(
    match: Annotated[
        str, typer.Argument(help="The exemption's glob, as it stands in the file, in quotes.", autocompletion=completion.exempted)
    ],
    line: Annotated[
        int | None, typer.Option("--line", help="The line of the exemption, where several have the glob.", show_default=False)
    ] = None,
    policy_path: PolicyOption = POLICY_HERE,
    against: Against = None,
    dry_run: DryRun = False,
) -> None:
    """End an exemption now: yesterday becomes its last day. Says what is judged again, with --against which findings that opens.

    Example: ecr-governor exempt expire "search/legacy_*" --policy policy.yaml
    """
    from cli.policy import exempting  # noqa: PLC0415 - pydantic is heavy

    raise typer.Exit(exempting.expire(policy_path, match, line, against, dry_run=dry_run))
