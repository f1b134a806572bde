"""A repository is scanned as often as expected."""

from datetime import datetime
from typing import Final

from ecr_governor.core.policy.model import Expectation
from ecr_governor.core.repository import Fact, Repository, ScanFrequency, Unreadable
from ecr_governor.core.rule import Rule
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation

_OFTEN: Final = {ScanFrequency.MANUAL: 0, ScanFrequency.SCAN_ON_PUSH: 1, ScanFrequency.CONTINUOUS_SCAN: 2}


def _applies(expectation: Expectation) -> bool:
    return expectation.settings.scan_frequency is not None


def _check(repository: Repository, expectation: Expectation, _now: datetime) -> Verdict:
    wanted = expectation.settings.scan_frequency
    match repository.scan_frequency:
        case Unreadable(why):
            return Undetermined(f"its scan frequency could not be read: {why}")
        case ScanFrequency() as actual if wanted is None or _OFTEN[actual] >= _OFTEN[wanted]:
            return Compliant()
        case actual:
            return Violation(f"is scanned by {actual}, expected is {wanted}")


RULE: Final = Rule(
    id="scanning",
    summary="Images are scanned for vulnerabilities",
    why="What is never scanned is known to attackers first.",
    # The setting of a single repository is deprecated in favour of the registry's (ECR user guide, image scanning).
    fix="Scanning is set for the whole registry: add a filter that matches the name to its scanning rules (PutRegistryScanningConfiguration).",
    severity=Severity.HIGH,
    needs=frozenset({Fact.SCAN_FREQUENCY}),
    applies=_applies,
    check=_check,
)
