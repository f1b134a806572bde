"""What a start leaves out: commands that were not asked for, and a module that is loaded in vain."""

import copy
import importlib
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import typer
from typer.main import get_command_name
from typer.models import CommandInfo


def narrowed(whole: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """Give the app with the one command that the words name, which takes a fraction of building them all.

    Where they name none, as in a misspelt word or a call for help, it is the whole: what is said then speaks of all commands.
    """
    if not words:
        return whole
    first, *rest = words
    groups = [each for each in whole.registered_groups if each.name == first]
    commands = [each for each in whole.registered_commands if _name_of(each) == first]
    if len(groups) + len(commands) != 1:
        return whole
    only = copy.copy(whole)
    only.registered_commands, only.registered_groups = commands, [copy.copy(each) for each in groups]
    for group in only.registered_groups:
        if group.typer_instance is not None:
            group.typer_instance = narrowed(group.typer_instance, rest)
    return only


def _name_of(command: CommandInfo) -> str:
    return command.name or (get_command_name(command.callback.__name__) if command.callback else "")


BETWEEN_COLLECTIONS: Final = 50_000
"""So many objects more than before make Python look for cycles; it would do so at each 700."""


def pass_over(name: str) -> None:
    """Have a module be as if it were not installed."""
    # None is how Python itself marks a module that cannot be imported.
    if name not in sys.modules:
        sys.modules[name] = None  # type: ignore[assignment]


def pass_over_crt() -> None:
    """Have botocore do without AWS's library in C: to load it is a tenth of a start, and `aws login` alone takes anything of it here."""
    try:
        # As botocore finds it.
        place = os.path.expanduser(os.path.expandvars(os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")))  # noqa: PTH111 - Path's raises
        profiles = Path(place).read_text(errors="replace")
    except OSError:
        profiles = ""
    if "login_session" not in profiles:
        pass_over("awscrt")


def put_off(name: str) -> None:
    """Have a module be loaded once something of it is used, and not where it is only imported."""
    parent, _, own = name.rpartition(".")
    if name in sys.modules:
        return
    module = ModuleType(name)
    module.__spec__ = find_spec(name)

    def load(attribute: str) -> Any:
        if sys.modules.get(name) is module:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)

    module.__getattr__ = load  # type: ignore[method-assign]
    sys.modules[name] = module
    setattr(importlib.import_module(parent), own, module)
