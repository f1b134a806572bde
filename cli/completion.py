"""What the shell offers behind an option when Tab is pressed. Nothing here asks AWS, and what cannot be read offers nothing."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ecr_governor.core.policy.model import Policy

Completer = Callable[[str], list[str]]


def among(*words: str) -> Completer:
    """Offer some words."""

    def complete(incomplete: str) -> list[str]:
        return _beginning(words, incomplete)

    return complete


def rule_ids(incomplete: str) -> list[str]:
    """Offer the ids of the rules, and the star that stands for all."""
    from ecr_governor.core.rules import RULES  # noqa: PLC0415 - only where they are asked for

    return _beginning((*RULES, "*"), incomplete)


def checks(incomplete: str) -> list[str]:
    """Offer the checks of a policy file that can be ignored."""
    from ecr_governor.core.policy.lint.remark import CHECKS, Level  # noqa: PLC0415 - only where they are asked for

    return _beginning((code for code, check in CHECKS.items() if check.level is not Level.ERROR), incomplete)


def names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer how a repository's name may begin: the namespaces of the policy file, and what the convention lists."""
    from ecr_governor.core.documents.names import ROOT  # noqa: PLC0415 - only where they are asked for
    from ecr_governor.core.templates.compile import beginnings  # noqa: PLC0415 - with it

    policy = _policy(ctx)
    if policy is None:
        return []
    listed = beginnings(policy.naming.convention, policy.naming.segments) if policy.naming else []
    prefixes = [prefix for prefix in policy.namespaces if prefix != ROOT]
    return _beginning(dict.fromkeys(f"{each}/" for each in (*prefixes, *listed)), incomplete)


def exempted(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the globs of the policy file's exemptions."""
    policy = _policy(ctx)
    return _beginning((each.match for each in policy.exemptions), incomplete) if policy else []


def _policy(ctx: typer.Context) -> "Policy | None":
    """Read the policy file that the words so far name, or the one that would be read without; None if it cannot be read."""
    from cli.options import POLICY_HERE  # noqa: PLC0415 - it has these completions
    from cli.policy import files  # noqa: PLC0415 - pydantic is heavy
    from cli.trouble import Trouble  # noqa: PLC0415 - with it
    from ecr_governor.core.policy.yaml_text import PolicyInvalid  # noqa: PLC0415 - with it

    named = next((ctx.params[key] for key in ("policy_path", "policy", "file") if ctx.params.get(key)), POLICY_HERE)
    try:
        return files.reading(Path(named)).policy
    except (Trouble, PolicyInvalid):
        return None


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]
