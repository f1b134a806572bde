import json
from typing import Any

import pytest

from ecr_governor.core.remedy import PutLifecyclePolicy
from ecr_governor.core.repository import Unreadable
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation
from tests.unit.rules.given import expectation, repository, verdict

RULE: dict[str, Any] = {
    "rulePriority": 1,
    "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14},
    "action": {"type": "expire"},
}
WANTED = json.dumps({"rules": [RULE]}, separators=(",", ":"))
KEEPS = f"lifecycle_policy: {WANTED}"
CLAIMS = f"{KEEPS}, replace_lifecycle_policy: true"
WEAK = json.dumps({"rules": [{**RULE, "selection": {**RULE["selection"], "countNumber": 15}}]})
STRONG = json.dumps({"rules": [{**RULE, "description": "mine", "selection": {**RULE["selection"], "countNumber": 7}}]}, indent=2)
GAP = "its lifecycle policy does not ensure that untagged images expire 14 days after their push"
INVALID = "its lifecycle policy is not valid: rules: must be a list of at least one rule"


@pytest.mark.parametrize(
    ("present", "settings", "expected"),
    [
        (WANTED, KEEPS, Compliant()),
        (STRONG, KEEPS, Compliant()),
        (None, KEEPS, Violation("has no lifecycle policy, so images pile up for ever", (PutLifecyclePolicy(None, WANTED),))),
        (WEAK, KEEPS, Violation(GAP)),
        (WEAK, CLAIMS, Violation(GAP, (PutLifecyclePolicy(WEAK, WANTED),))),
        ("{}", KEEPS, Violation(INVALID)),
        ("{}", CLAIMS, Violation(INVALID, (PutLifecyclePolicy("{}", WANTED),))),
        (Unreadable("denied"), CLAIMS, Undetermined("its lifecycle policy could not be read: denied")),
    ],
)
def test_a_repository_expires_what_it_should(present: Any, settings: str, expected: Verdict) -> None:
    assert verdict("lifecycle-policy", repository(lifecycle_policy=present), expectation(settings)) == expected


def test_every_gap_is_told() -> None:
    settings = f"lifecycle_policy: {json.dumps({'rules': [RULE, {**RULE, 'rulePriority': 2, 'selection': {**RULE['selection'], 'tagStatus': 'any'}}]})}"
    found = verdict("lifecycle-policy", repository(lifecycle_policy=WEAK), expectation(settings))

    assert found == Violation(GAP + ", and that any images expire 14 days after their push")


def test_the_remedy_heals_what_it_is_for() -> None:
    for present in (None, WEAK, "{}"):
        found = verdict("lifecycle-policy", repository(lifecycle_policy=present), expectation(CLAIMS))
        assert isinstance(found, Violation)
        (remedy,) = found.remedies
        assert isinstance(remedy, PutLifecyclePolicy)
        assert verdict("lifecycle-policy", repository(lifecycle_policy=remedy.after), expectation(CLAIMS)) == Compliant()
