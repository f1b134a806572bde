"""What `sync` does: only what the comparison shows, and to what is somebody else's only what was asked for by its prefix."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ecr_governor.core.templates.compare import Compared, Standing
from ecr_governor.core.templates.template import Template

_ADOPTABLE = frozenset({Standing.TAKEN, Standing.KEPT})
_DELETABLE = frozenset({Standing.LEFT_OVER, Standing.FOREIGN})


class Change(StrEnum):
    """What is done to a template."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """One change. `found` is the template as it was judged, None where there is none; `wanted` is None for a deletion."""

    change: Change
    prefix: str
    found: Template | None
    wanted: Template | None


class StepImpossible(ValueError):
    """A prefix was named to be adopted or deleted that cannot be."""

    def __init__(self, prefix: str, why: str) -> None:
        super().__init__(f"{prefix}: {why}")
        self.prefix = prefix
        self.why = why


def steps(compared: Sequence[Compared], adopt: Collection[str] = (), delete: Collection[str] = ()) -> tuple[Step, ...]:
    """Give the steps that lead to what is wanted: what is missing first, so that no push is refused meanwhile; deletions last.

    `adopt` names prefixes at which somebody else's template becomes ours, `delete` those at which a template that the policy does not
    want is deleted. Raises `StepImpossible`.
    """
    _check(compared, adopt, _ADOPTABLE, "there is no template of somebody else's that the policy wants to be otherwise")
    _check(compared, delete, _DELETABLE, "there is no template that the policy does not want")
    created = [Step(Change.CREATE, each.prefix, None, each.wanted) for each in compared if each.standing is Standing.MISSING]
    updated = [
        Step(Change.UPDATE, each.prefix, each.found, each.wanted)
        for each in compared
        if each.standing is Standing.CHANGED or (each.standing in _ADOPTABLE and each.prefix in adopt)
    ]
    deleted = [Step(Change.DELETE, each.prefix, each.found, None) for each in compared if each.prefix in delete]
    return (*created, *updated, *deleted)


def _check(compared: Iterable[Compared], named: Collection[str], fitting: Collection[Standing], why: str) -> None:
    possible = {each.prefix for each in compared if each.standing in fitting}
    for prefix in named:
        if prefix not in possible:
            raise StepImpossible(prefix, why)
