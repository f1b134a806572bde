"""What the commands on templates show to people: short lines in a pipe, columns that wrap in a terminal."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cli.harmless import harmless
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.templates.compile import LeftOut
from ecr_governor.core.templates.template import NONE, Template, told

GAP = 2


def line(text: str, style: str = "") -> None:
    """Print one line on stdout."""
    console(sys.stdout).print(Text(tidy(text), style=style))


def rows(pairs: Iterable[Sequence[str]], indent: int = 2, file: TextIO | None = None) -> None:
    """Print names and what is said of each; in a terminal what is said wraps beside its name."""
    known = [(tidy(name), tidy(said)) for name, said in pairs]
    width = max((len(name) for name, _ in known), default=0) + GAP
    out = file or sys.stdout
    if not out.isatty():
        for name, said in known:
            out.write(f"{' ' * indent}{name:<{width}}{said}\n")
        return
    table = Table.grid(padding=(0, GAP, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, said in known:
        table.add_row(harmless(name), harmless(said))
    console(out).print(Padding(table, (0, 0, 0, indent)))


def settings(template: Template, *, whole: bool = False) -> list[tuple[str, str]]:
    """Tell what a repository has from a template; with `whole` also what the template is for."""
    return [(name, said) for name, said in told(template).items() if said != NONE and (whole or name not in {"appliedFor", "description"})]


def tell_left_out(left_out: Iterable[LeftOut]) -> None:
    """Tell on stderr what the policy asks for and no template says."""
    err = console(sys.stderr)
    for each in left_out:
        err.print(Text(tidy(f"left out for {', '.join(each.prefixes)}: {each.what}")))
        if each.do:
            rows([("do:", each.do)], file=sys.stderr)


def left_out_as_data(left_out: Iterable[LeftOut]) -> list[dict[str, Any]]:
    """Give the same for programs."""
    return [{"prefixes": list(each.prefixes), "field": each.field, "what": each.what, "do": each.do} for each in left_out]


def console(file: Any) -> Console:
    """A pipe gets every line whole."""
    return Console(file=file, highlight=False, soft_wrap=not file.isatty())
