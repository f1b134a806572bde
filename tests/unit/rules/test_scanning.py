from typing import Any

import pytest

from ecr_governor.core.repository import ScanFrequency, Unreadable
from ecr_governor.core.verdict import Compliant, Undetermined, Violation
from tests.unit.rules.given import expectation, repository, verdict


@pytest.mark.parametrize(
    ("actual", "wanted", "expected"),
    [
        (ScanFrequency.SCAN_ON_PUSH, "SCAN_ON_PUSH", Compliant()),
        (ScanFrequency.CONTINUOUS_SCAN, "SCAN_ON_PUSH", Compliant()),
        (ScanFrequency.MANUAL, "MANUAL", Compliant()),
        (ScanFrequency.MANUAL, "SCAN_ON_PUSH", Violation("is scanned by MANUAL, expected is SCAN_ON_PUSH")),
        (ScanFrequency.SCAN_ON_PUSH, "CONTINUOUS_SCAN", Violation("is scanned by SCAN_ON_PUSH, expected is CONTINUOUS_SCAN")),
        (Unreadable("throttled"), "MANUAL", Undetermined("its scan frequency could not be read: throttled")),
    ],
)
def test_a_repository_is_scanned_as_often_as_expected_or_more(actual: Any, wanted: str, expected: object) -> None:
    assert verdict("scanning", repository(scan_frequency=actual), expectation(f"scan_frequency: {wanted}")) == expected
