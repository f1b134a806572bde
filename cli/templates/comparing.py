"""`ecr-governor templates diff`: the wanted templates against the registry's."""

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from cli.policy import files
from cli.templates import page, registry
from cli.templates.compiling import counted
from cli.trouble import Exit, check_output
from ecr_governor.core.templates.compare import AGREEING, Compared, Standing, compare
from ecr_governor.core.templates.compile import Compiled, compiled
from ecr_governor.core.templates.template import as_data, in_order

_WORDS: Final = {
    Standing.SAME: "as wanted",
    Standing.MISSING: "missing",
    Standing.CHANGED: "changed",
    Standing.KEPT: "as wanted, and somebody else's",
    Standing.TAKEN: "somebody else's, and not as wanted",
    Standing.LEFT_OVER: "left over: made from the policy, and not wanted any more",
    Standing.FOREIGN: "somebody else's, at a prefix of which the policy wants nothing",
}
_STYLES: Final = {Standing.MISSING: "green", Standing.CHANGED: "yellow", Standing.TAKEN: "yellow", Standing.LEFT_OVER: "red"}


def run(policy_path: Path, place: registry.Place, known: Sequence[str], output: str) -> Exit:
    """Compare and print. Exit code 1 if anything differs that is not known to."""
    check_output(output, "text", "json")
    policy = files.read(policy_path, files.OPTION)
    made = compiled(policy)
    compared = compare(made.templates, registry.read(registry.templates_at(place)))
    if output == "json":
        sys.stdout.write(json.dumps(as_json(policy.hash, made, compared, known), indent=2) + "\n")
    else:
        show(compared, known)
    page.tell_left_out(made.left_out)
    return verdict(compared, known)


def verdict(compared: Iterable[Compared], known: Collection[str]) -> Exit:
    """Give the exit code: 1 if anything differs that is not known to."""
    return Exit.VIOLATIONS if any(differs(each, known) for each in compared) else Exit.CLEAN


def differs(compared: Compared, known: Collection[str]) -> bool:
    """Whether a prefix is not as the policy wants it. What somebody else keeps as it should be is as it should be."""
    return compared.standing not in AGREEING and not is_known(compared, known)


def is_known(compared: Compared, known: Iterable[str]) -> bool:
    """Whether it is a template of somebody else's that is meant to be there."""
    return compared.standing is Standing.FOREIGN and compared.prefix in {each.removesuffix("/") for each in known}


def show(compared: Sequence[Compared], known: Collection[str]) -> None:
    """Print what differs, field by field, and how many agree."""
    for each in compared:
        if each.standing is Standing.SAME:
            continue
        told = "somebody else's, as you know" if is_known(each, known) else _WORDS[each.standing]
        page.line(f"{each.prefix}: {told}", _STYLES.get(each.standing, ""))
        if each.standing is Standing.MISSING and each.wanted is not None:
            page.rows([(name, said) for name, said in page.settings(each.wanted, whole=True) if name != "description"], indent=4)
        elif each.differences:
            page.rows([(one.field, f"{one.found} -> {one.wanted}") for one in each.differences], indent=4)
        elif each.wanted is None and each.found is not None:
            page.rows([("appliedFor", ", ".join(in_order(each.found.applied_for)))], indent=4)
    total(compared, known)


def total(compared: Sequence[Compared], known: Collection[str]) -> None:
    """Say how many of the templates are as wanted."""
    agreeing = sum(each.standing in AGREEING for each in compared)
    page.line(f"{counted(agreeing)} as wanted, {sum(differs(each, known) for each in compared):,} not")


def as_json(policy_hash: str, made: Compiled, compared: Sequence[Compared], known: Collection[str]) -> dict[str, Any]:
    """Give a comparison for programs."""
    return {
        "policy_hash": policy_hash,
        "differs": any(differs(each, known) for each in compared),
        "templates": [
            {
                "prefix": each.prefix,
                "standing": each.standing.value,
                "wanted": as_data(each.wanted) if each.wanted else None,
                "found": as_data(each.found) if each.found else None,
                "differences": [{"field": one.field, "found": one.found, "wanted": one.wanted} for one in each.differences],
            }
            for each in compared
        ],
        "left_out": page.left_out_as_data(made.left_out),
    }
