"""A repository's name keeps the naming convention."""

from datetime import datetime
from typing import Final

from ecr_governor.core.origin import Origin, Provenance
from ecr_governor.core.policy.model import Expectation
from ecr_governor.core.repository import Repository
from ecr_governor.core.rule import Rule
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation


def _applies(expectation: Expectation) -> bool:
    return expectation.naming is not None


def _check(repository: Repository, expectation: Expectation, _now: datetime) -> Verdict:
    return judge(repository.name, repository.provenance, expectation)


def judge(name: str, provenance: Provenance, expectation: Expectation) -> Verdict:
    """Judge a name by what the policy expects of it and by where the repository came from."""
    # A cached repository is called what its upstream calls it.
    if expectation.naming is None or provenance.origin is Origin.PULL_THROUGH_CACHE:
        return Compliant()
    convention = expectation.naming.compiled
    if convention.match(name) is not None:
        return Compliant()
    if provenance.may_be_cache:
        return Undetermined("it may be a pull through cache: its name would be its upstream's")
    misfits = convention.misfits(name)
    wrong = convention.diagnose(name, misfits)
    if nearest := convention.nearest(name):
        return Violation(f"{wrong}; nearest allowed name: {nearest}")
    words = ", ".join(f"nearest allowed {segment}: {word}" for segment, word in convention.nearest_words(misfits).items())
    return Violation(f"{wrong}; {words or f'the convention is {convention.text}'}")


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
