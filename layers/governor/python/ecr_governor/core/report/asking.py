"""What somebody asks a glance for: all of it, the part of an owner or of a namespace, or one repository."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ecr_governor.core.report.build import ORDER
from ecr_governor.core.report.glance import DayCount, Glance, counted
from ecr_governor.core.report.model import ReportedRepository, Step
from ecr_governor.core.report.words import repositories

LONGEST: Final = 256
"""Characters that a repository's name or a tag's value may have."""
TEXTS: Final = ("owner", "namespace", "repository")
FLAGS: Final = ("unowned",)
KNOWN: Final = (*TEXTS, *FLAGS)


class Misasked(Exception):
    """What was asked has no answer: what is wrong, why, and what to do."""

    def __init__(self, what: str, why: str, do: str) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.do = do


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for; "" where it is left open. `unowned` asks for what has no known owner."""

    owner: str = ""
    unowned: bool = False
    namespace: str = ""
    repository: str = ""

    @property
    def everything(self) -> bool:
        """Whether nothing narrows it down."""
        return not (self.owner or self.unowned or self.namespace)


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a glance that was asked for: in a sentence, its repositories, the gravest first, its steps and how many those are by day."""

    said: str
    repositories: tuple[ReportedRepository, ...]
    steps: tuple[Step, ...]
    days: tuple[DayCount, ...]


def asked(parameters: Mapping[str, Any]) -> Asked:
    """Read what is asked for. Raises Misasked for what nobody can be asked."""
    if unknown := sorted(str(name)[:LONGEST] for name in parameters.keys() - KNOWN):
        raise Misasked(f"there is no parameter {', '.join(unknown)}", f"known are {', '.join(KNOWN)}", "correct the widget's parameters")
    for name in TEXTS:
        value = parameters.get(name, "")
        if not isinstance(value, str) or len(value) > LONGEST:
            raise Misasked(
                f"{name} is no text that could be asked for", f"it must be a text of at most {LONGEST} characters", f"{name}: payments"
            )
    for name in FLAGS:
        if not isinstance(parameters.get(name, False), bool):
            raise Misasked(f"{name} is neither true nor false", "it is a choice", f"{name}: true")
    found = Asked(
        parameters.get("owner", ""),
        parameters.get("unowned", False),
        parameters.get("namespace", "").strip("/"),
        parameters.get("repository", "").strip(),
    )
    if found.owner and found.unowned:
        raise Misasked("owner and unowned are both asked for", "what has an owner is not unowned", "leave one of them out")
    return found


def part_of(glance: Glance, wanted: Asked) -> Part:
    """Give the part of a glance that is asked for."""
    report = glance.report
    needing = tuple(each for each in report.repositories if each.open_findings or each.undetermined)
    if wanted.everything:
        return Part(report.verdict, needing, report.steps, glance.days)
    theirs = tuple(each for each in needing if _fits(each.name, each.owner, wanted))
    steps = tuple(step for step in report.steps if _fits(step.repository, step.owner, wanted))
    return Part(_said(glance, wanted, theirs, steps), theirs, steps, counted(steps))


def one_of(glance: Glance, name: str) -> ReportedRepository:
    """Give one repository of a glance. Raises Misasked if it is not among those that a glance holds."""
    found = next((each for each in glance.report.repositories if each.name == name), None)
    if found is None:
        raise Misasked(
            f"{name} is not among the repositories that are shown here",
            "these are the gravest of those that need somebody, and what goes next: it may be in order, less grave, or not there",
            "ecr-governor explain NAME",
        )
    return found


def _fits(name: str, owner: str | None, wanted: Asked) -> bool:
    by_owner = owner is None if wanted.unowned else not wanted.owner or owner == wanted.owner
    return by_owner and (not wanted.namespace or f"{name}/".startswith(f"{wanted.namespace}/"))


def _said(glance: Glance, wanted: Asked, theirs: Sequence[ReportedRepository], steps: Sequence[Step]) -> str:
    whose = "without a known owner" if wanted.unowned else f"of {wanted.owner}" if wanted.owner else ""
    who = " ".join(part for part in (whose, f"below {wanted.namespace}" if wanted.namespace else "") if part)
    counts = next((each for each in glance.report.owners if each.owner == (wanted.owner or None)), None) if whose else None
    least = "" if glance.whole else "at least "
    if counts and not wanted.namespace:
        violating, said = counts.violating, f"{counts.violating:,} of {repositories(counts.repositories)} {who}"
        grave: Mapping[str, int] = counts.by_severity
    else:
        violating = sum(bool(each.open_findings) for each in theirs)
        if not theirs and not steps:
            return f"Nothing {who} needs somebody{'' if glance.whole else ', as far as it is shown here'}."
        said = f"{least}{repositories(violating)} {who}"
        found = Counter(finding.severity for each in theirs for finding in each.open_findings)
        grave = {severity.value: found[severity] for severity in ORDER if found[severity]}
    listed = f" ({', '.join(f'{count:,} {severity}' for severity, count in grave.items())})" if grave else ""
    going = len({step.repository for step in steps})
    told = f"{said} violate{'s' if violating == 1 else ''} the policy{listed}"
    further = f"; {least}{going:,} go{'es' if going == 1 else ''} a step further towards retirement" if going else ""
    unjudged = sum(bool(each.undetermined) for each in theirs)
    weak = f" {least}{repositories(unjudged)} could not be judged in full." if unjudged else ""
    return f"{told[:1].upper()}{told[1:]}{further}.{weak[:1]}{weak[1:2].upper()}{weak[2:]}"
