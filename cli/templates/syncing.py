"""`ecr-governor templates sync`: shows what differs, then makes the registry's templates those of the policy."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from cli.policy import files
from cli.templates import comparing, page, registry
from cli.trouble import Exit, Trouble, check_output
from ecr_governor.adapters.creation_templates import EcrCreationTemplates
from ecr_governor.core.templates.compare import AGREEING, Compared, Standing, compare
from ecr_governor.core.templates.compile import Compiled, compiled
from ecr_governor.core.templates.steps import Change, Step, StepImpossible, steps
from ecr_governor.core.templates.template import Template


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator asks for besides what the policy says; prefixes may be written with their slash."""

    adopt: Sequence[str]
    delete: Sequence[str]
    known: Sequence[str]
    dry_run: bool
    sure: bool


def run(policy_path: Path, place: registry.Place, wish: Wish, output: str) -> Exit:
    """Show what differs, ask, change, and look again. Exit code 1 if anything differs in the end, 3 if a change was not completed."""
    check_output(output, "text", "json")
    policy = files.read(policy_path, files.OPTION)
    made, templates = compiled(policy), registry.templates_at(place)
    found = registry.read(templates)
    compared = compare(made.templates, found)
    planned = _steps(compared, wish)
    if output == "text":
        comparing.show(compared, wish.known)
    page.tell_left_out(made.left_out)
    if planned:
        sys.stderr.write(f"{'would be done' if wish.dry_run else 'to be done'}: {_told(planned)}\n")
    if planned and not wish.dry_run:
        _confirm(planned, wish)
        if registry.read(templates) != found:
            why = "ECR takes changes without conditions, and what was shown is not what is there any more"
            raise Trouble("nothing was done: somebody changed a template meanwhile", why, "run it again", Exit.INCOMPLETE)
        _take(templates, planned)
        compared = _looked_at_again(templates, made, planned)
        if output == "text":
            comparing.total(compared, wish.known)
    if output == "json":
        done = [] if wish.dry_run else [{"change": step.change.value, "prefix": step.prefix} for step in planned]
        value = {**comparing.as_json(policy.hash, made, compared, wish.known), "done": done}
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
    _tell_what_stays(compared, wish)
    return comparing.verdict(compared, wish.known)


def _steps(compared: Sequence[Compared], wish: Wish) -> tuple[Step, ...]:
    try:
        return steps(compared, _keys(wish.adopt), _keys(wish.delete))
    except StepImpossible as impossible:
        do = "see what there is: ecr-governor templates diff"
        raise Trouble(f"nothing was done: {impossible.prefix} was named", impossible.why, do) from impossible


def _keys(prefixes: Sequence[str]) -> list[str]:
    return [prefix.removesuffix("/") for prefix in prefixes]


def _told(planned: Sequence[Step]) -> str:
    return ", ".join(f"{step.change.value} {step.prefix}" for step in planned)


def _confirm(planned: Sequence[Step], wish: Wish) -> None:
    if not (wish.sure or (sys.stdin.isatty() and typer.confirm(f"Change {len(planned)} of the registry's templates?", err=True))):
        raise Trouble("nothing was done", "nobody confirmed it", "say yes at the prompt, or add --yes")


def _take(templates: EcrCreationTemplates, planned: Sequence[Step]) -> None:
    for step in planned:
        with registry.refusals():
            if step.wanted is None:
                templates.delete(_there(step))
            elif step.change is Change.CREATE:
                templates.create(step.wanted)
            else:
                templates.update(_there(step), step.wanted)
        sys.stderr.write(f"done: {step.change.value} {step.prefix}\n")


def _there(step: Step) -> Template:
    if step.found is None:
        raise ValueError(step)
    return step.found


def _looked_at_again(templates: EcrCreationTemplates, made: Compiled, planned: Sequence[Step]) -> tuple[Compared, ...]:
    """Read again, and believe only what is there: ECR may take a change and do less."""
    compared = compare(made.templates, registry.read(templates))
    changed = {step.prefix for step in planned}
    wrong = [each for each in compared if each.prefix in changed and each.standing not in AGREEING]
    if wrong:
        fields = ", ".join(f"{each.prefix} ({', '.join(one.field for one in each.differences) or each.standing.value})" for each in wrong)
        do = "see what there is: ecr-governor templates diff; delete the template by hand, and run it again"
        raise Trouble("ECR took the changes and does not have all of them", fields, do, Exit.INCOMPLETE)
    return compared


def _tell_what_stays(compared: Sequence[Compared], wish: Wish) -> None:
    for each in compared:
        if each.standing is Standing.TAKEN and each.prefix not in _keys(wish.adopt):
            sys.stderr.write(f"left alone: {each.prefix} is somebody else's; take it over with --adopt {each.prefix}\n")
        elif each.wanted is None and comparing.differs(each, wish.known) and each.prefix not in _keys(wish.delete):
            whose = "left over" if each.standing is Standing.LEFT_OVER else "somebody else's"
            sys.stderr.write(f"left alone: {each.prefix} is {whose}; delete it with --delete {each.prefix}\n")
