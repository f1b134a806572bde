"""A repository's name keeps the naming convention."""

from datetime import datetime
from typing import Final

from ecr_governor.core.origin import Origin
from ecr_governor.core.policy.model import Expectation
from ecr_governor.core.repository import Repository
from ecr_governor.core.rule import Rule
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation


def _applies(expectation: Expectation) -> bool:
    return expectation.naming is not None


def _check(repository: Repository, expectation: Expectation, _now: datetime) -> Verdict:
    # A cached repository is called what its upstream calls it.
    if expectation.naming is None or repository.provenance.origin is Origin.PULL_THROUGH_CACHE:
        return Compliant()
    convention = expectation.naming.compiled
    if convention.match(repository.name) is not None:
        return Compliant()
    if repository.provenance.may_be_cache:
        return Undetermined("it may be a pull through cache: its name would be its upstream's")
    nearest = convention.nearest(repository.name)
    hint = f"nearest allowed name: {nearest}" if nearest else f"the convention is {convention.text}"
    return Violation(f"{convention.diagnose(repository.name)}; {hint}")


RULE: Final = Rule(
    id="naming",
    summary="The repository's name keeps the naming convention",
    why="Names say whose a repository is; settings, permissions and reports go by their prefixes.",
    fix="A repository cannot be renamed: push to the allowed name, move those who pull, then delete the old repository.",
    severity=Severity.MEDIUM,
    needs=frozenset(),
    applies=_applies,
    check=_check,
)
