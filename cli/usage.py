"""What Typer has against a command line, told as any other trouble."""

from typing import Any

import typer

from cli.trouble import Trouble


def refused(error: typer.TyperException) -> Trouble | None:
    """Tell in three lines what is wrong with how a command was written; None where Typer has only the help to show."""
    # What it knows beside its text, Typer keeps in classes of its own.
    known: Any = error
    context, told = getattr(known, "ctx", None), str(known.format_message())
    if "\n" in told:
        return None
    what, _, more = told.removesuffix(".").partition(". ")
    why = "it is written " + " ".join(context.get_usage().removeprefix("Usage:").split()) if context else "it is written otherwise"
    do = f"{context.command_path} --help tells more" if context else "--help behind the command tells more"
    if isinstance(error, typer.BadParameter) and known.message:
        name = known.param.get_error_hint().strip("'") if known.param else "what was given"
        reason = known.message.partition(", unable to parse")[0].replace("Input should", "it should", 1)
        return Trouble(f"the value of {name} cannot be used", reason, do)
    if possible := getattr(known, "possibilities", None):
        what, more = known.message, f"{' or '.join(sorted(possible))};"
    return Trouble(what[:1].lower() + what[1:], why, f"{more} {do}".strip())
