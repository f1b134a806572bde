"""A repository has a lifecycle policy that removes at least what is expected."""

import functools
from datetime import datetime
from typing import Final

from ecr_governor.core.documents import lifecycle
from ecr_governor.core.policy.model import Expectation
from ecr_governor.core.remedy import PutLifecyclePolicy
from ecr_governor.core.repository import Fact, Repository, Unreadable
from ecr_governor.core.rule import Rule
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation

# Most repositories of a registry carry one of a few texts.
_parse: Final = functools.lru_cache(maxsize=512)(lifecycle.parse)


def _applies(expectation: Expectation) -> bool:
    return expectation.settings.lifecycle_policy is not None


def _check(repository: Repository, expectation: Expectation, _now: datetime) -> Verdict:
    settings = expectation.settings
    if settings.lifecycle_policy is None:
        return Compliant()
    wanted = lifecycle.render(settings.lifecycle_policy)
    match repository.lifecycle_policy:
        case Unreadable(why):
            return Undetermined(f"its lifecycle policy could not be read: {why}")
        case None:
            return Violation("has no lifecycle policy, so images pile up for ever", (PutLifecyclePolicy(None, wanted),))
        case text:
            # A team's own policy is its own, even a weak one, unless the policy file claims it.
            remedies = (PutLifecyclePolicy(text, wanted),) if settings.replace_lifecycle_policy else ()
            try:
                actual = _parse(text)
            except lifecycle.LifecycleInvalid as error:
                return Violation(f"its lifecycle policy is not valid: {error}", remedies)
            if gaps := lifecycle.uncovered(actual, _parse(wanted)):
                return Violation(f"its lifecycle policy does not ensure that {', and that '.join(map(str, gaps))}", remedies)
            return Compliant()


RULE: Final = Rule(
    id="lifecycle-policy",
    summary="A lifecycle policy expires what is no longer needed",
    why="Without one every image ever pushed is stored, paid for and scanned for ever.",
    fix="Put a lifecycle policy that expires at least what the policy file's expires, no later; a stricter one is fine.",
    severity=Severity.MEDIUM,
    needs=frozenset({Fact.LIFECYCLE_POLICY}),
    applies=_applies,
    check=_check,
)
