"""The reference of all commands in docs/cli.md, made of the commands themselves: `python -m cli.reference docs/cli.md`."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import typer.main

from cli import generated

EXAMPLE: Final = "Example: "
SHARED_FROM: Final = 5
"""So many commands have an option in the same words that it is told once for all."""
_TAKES: Final = {Path: "FILE", int: "NUMBER", float: "NUMBER", datetime: "DATE", str: "TEXT"}
_COMPLETION: Final = frozenset({"--install-completion", "--show-completion"})


@dataclass(frozen=True, slots=True)
class Option:
    """One option, or argument, as the page tells it."""

    spelt: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its path, what it does in paragraphs, examples, arguments, options."""

    path: str
    paragraphs: Sequence[str]
    examples: Sequence[str]
    arguments: Sequence[Option]
    options: Sequence[Option]


def commands() -> Sequence[Command]:
    """Give every command, groups left out, in the order in which --help lists them."""
    from cli.main import app  # noqa: PLC0415 - the commands need nothing of this

    return [_command(path, each) for path, each in _walk(typer.main.get_command(app), ()) if not getattr(each, "commands", None)]


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield (*path, name), below
            yield from _walk(below, (*path, name))


def _command(path: tuple[str, ...], command: Any) -> Command:
    paragraphs = [" ".join(each.split()) for each in (command.help or "").split("\n\n")]
    arguments = [each for each in command.params if each.param_type_name == "argument" and not each.hidden]
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden and "--help" not in each.opts]
    return Command(
        " ".join(path),
        [each for each in paragraphs if not each.startswith(EXAMPLE)],
        [each.removeprefix(EXAMPLE) for each in paragraphs if each.startswith(EXAMPLE)],
        [Option(each.name.upper() + ("…" if each.nargs == -1 or each.multiple else ""), _meaning(each)) for each in arguments],
        [Option(_spelt(each), _meaning(each)) for each in options if not _COMPLETION & set(each.opts)],
    )


def _spelt(option: Any) -> str:
    names = "/".join((*option.opts, *option.secondary_opts))
    if option.is_flag:
        return names
    return f"{names} {_TAKES.get(_bare(option.type_descriptor.annotation), 'TEXT')}"


def _bare(annotation: Any) -> Any:
    """Strip a type of `| None` and `list[]`."""
    inner = [each for each in getattr(annotation, "__args__", ()) if each is not type(None)]
    return _bare(inner[0]) if inner else annotation


def _meaning(parameter: Any) -> str:
    said = parameter.help or ""
    more = []
    if parameter.required and parameter.param_type_name == "option":
        more.append("required")
    if parameter.min is not None or parameter.max is not None:
        more.append(f"{parameter.min:,} to {parameter.max:,}" if parameter.max is not None else f"at least {parameter.min:,}")
    if parameter.default not in (None, False, "", ()):
        more.append(f"default `{parameter.opts[0] if parameter.default is True else parameter.default}`")
    if parameter.envvar:
        names = [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar
        more.append("or " + ", ".join(f"`{name}`" for name in names))
    return said.removesuffix(".") + (f"; {', '.join(more)}" if more else "")


# --- the page -------------------------------------------------------------------------------------------------------------------------


def parts() -> dict[str, str]:
    """Give what is generated, by its name."""
    known = commands()
    shared = _shared(known)
    return {
        "commands": "\n".join(_index(known)) + "\n",
        "shared options": "\n".join(_table(sorted(shared, key=lambda option: option.spelt), "Option")) + "\n",
        "reference": "\n".join(line for command in known for line in _section(command, shared)).rstrip("\n") + "\n",
    }


def _shared(known: Sequence[Command]) -> frozenset[Option]:
    counted = Counter(option for command in known for option in command.options)
    return frozenset(option for option, count in counted.items() if count >= SHARED_FROM)


def _index(known: Sequence[Command]) -> Iterator[str]:
    yield "| Command | What it does |"
    yield "|---|---|"
    for command in known:
        anchor = f"ecr-governor-{command.path}".replace(" ", "-")
        yield f"| [`{command.path}`](#{anchor}) | {_cell(command.paragraphs[0].partition('. ')[0].removesuffix('.'))} |"


def _section(command: Command, shared: frozenset[Option]) -> Iterator[str]:
    yield f"### ecr-governor {command.path}"
    yield ""
    for paragraph in command.paragraphs:
        yield _text(paragraph)
        yield ""
    yield "```sh"
    yield from command.examples
    yield "```"
    yield ""
    if command.arguments:
        yield from _table(command.arguments, "Argument")
        yield ""
    if own := [option for option in command.options if option not in shared]:
        yield from _table(own, "Option")
        yield ""
    if also := [option for option in command.options if option in shared]:
        names = ", ".join(f"`{option.spelt.partition(' ')[0]}`" for option in also)
        yield f"And {names}, [as everywhere](#options-of-many-commands)."
        yield ""


def _table(options: Sequence[Option], title: str) -> Iterator[str]:
    yield f"| {title} | Meaning |"
    yield "|---|---|"
    yield from (f"| `{option.spelt}` | {_cell(option.meaning)} |" for option in options)


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _text(text: str) -> str:
    # A star or an underscore in a help text is one, and formats nothing.
    return text.replace("*", "\\*").replace("_", "\\_") if "`" not in text else text


if __name__ == "__main__":
    generated.write_into(Path(sys.argv[1]), parts())
