"""The life of a finding: every state under every verdict."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest

from ecr_governor.core.evaluate import Evaluation, Judgement
from ecr_governor.core.finding import Finding, FindingState, close_all, follow
from ecr_governor.core.policy.model import Exemption, Mode
from ecr_governor.core.remedy import PutLifecyclePolicy
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation
from tests.fakes import T0

LATER = T0 + timedelta(hours=1)
NAME = "payments/api"
OPEN = Finding(NAME, "naming", Severity.MEDIUM, FindingState.OPEN, Mode.AUDIT, "breaks it", (), T0)
EXEMPT = replace(OPEN, state=FindingState.EXEMPT, resolution="until 2027-01-01, platform: it moves next quarter")
RESOLVED = replace(OPEN, state=FindingState.RESOLVED, resolved_at=T0, resolution="it is compliant again")
EXEMPTION = Exemption(match="*", rules=("naming",), reason="it moves next quarter", owner="platform", expires=date(2027, 1, 1))
VIOLATION = Violation("breaks it")


def judged(*judgements: Judgement) -> Evaluation:
    return Evaluation(NAME, "hash", judgements)


def naming(verdict: Verdict, exemption: Exemption | None = None, mode: Mode = Mode.AUDIT) -> Judgement:
    return Judgement("naming", Severity.MEDIUM, mode, verdict, exemption)


KEPT: dict[str, Any] = {"state": FindingState.RESOLVED, "resolved_at": LATER, "resolution": "it is compliant again"}
DROPPED: dict[str, Any] = {"state": FindingState.RESOLVED, "resolved_at": LATER, "resolution": "the policy no longer asks for it"}
TABLE: list[tuple[Finding | None, Judgement | None, Finding | None]] = [
    (None, None, None),
    (None, naming(Compliant()), None),
    (None, naming(Undetermined("no")), None),
    (None, naming(VIOLATION), replace(OPEN, opened_at=LATER)),
    (None, naming(VIOLATION, EXEMPTION), replace(EXEMPT, opened_at=LATER)),
    (OPEN, None, replace(OPEN, **DROPPED)),
    (OPEN, naming(Compliant()), replace(OPEN, **KEPT)),
    (OPEN, naming(Undetermined("no")), OPEN),
    (OPEN, naming(VIOLATION), OPEN),
    (OPEN, naming(Violation("otherwise")), replace(OPEN, reason="otherwise")),
    (OPEN, naming(VIOLATION, mode=Mode.ENFORCE), replace(OPEN, mode=Mode.ENFORCE)),
    (OPEN, naming(VIOLATION, EXEMPTION), replace(EXEMPT, opened_at=LATER)),
    (EXEMPT, None, replace(EXEMPT, **DROPPED)),
    (EXEMPT, naming(Compliant()), replace(EXEMPT, **KEPT)),
    (EXEMPT, naming(Undetermined("no")), EXEMPT),
    (EXEMPT, naming(VIOLATION), replace(OPEN, opened_at=LATER)),
    (EXEMPT, naming(VIOLATION, EXEMPTION), EXEMPT),
    (RESOLVED, None, RESOLVED),
    (RESOLVED, naming(Compliant()), RESOLVED),
    (RESOLVED, naming(Undetermined("no")), RESOLVED),
    (RESOLVED, naming(VIOLATION), replace(OPEN, opened_at=LATER)),
    (RESOLVED, naming(VIOLATION, EXEMPTION), replace(EXEMPT, opened_at=LATER)),
]


@pytest.mark.parametrize(("known", "judgement", "expected"), TABLE)
def test_a_finding_follows_the_verdict(known: Finding | None, judgement: Judgement | None, expected: Finding | None) -> None:
    findings = (known,) if known else ()
    evaluation = judged(*(judgement,) if judgement else ())
    followed = follow(findings, evaluation, LATER)
    assert followed == ((expected,) if expected else ())
    assert follow(followed, evaluation, LATER + timedelta(hours=1)) == followed


def test_the_remedies_of_a_finding_are_kept_in_words_in_every_mode() -> None:
    (finding,) = follow((), judged(naming(Violation("no", (PutLifecyclePolicy(None, "{}"),)))), T0)
    assert finding.remedies == ("put the lifecycle policy of the namespace",)


def test_findings_do_not_touch_each_other_and_come_in_the_order_of_their_rules() -> None:
    verdicts: dict[str, Verdict] = {"c": VIOLATION, "a": Compliant(), "b": Undetermined("no")}
    judgements = [replace(naming(verdict), rule=rule) for rule, verdict in verdicts.items()]
    known = [replace(OPEN, rule=rule) for rule in "abcd"]
    expected = ["a:resolved", "b:open", "c:open", "d:resolved"]
    for order in permutations(judgements):
        followed = follow(reversed(known), judged(*order), LATER)
        assert [f"{finding.rule}:{finding.state}" for finding in followed] == expected


def test_a_repository_that_is_gone_closes_what_is_open_or_exempt_and_keeps_what_was_resolved() -> None:
    other = replace(EXEMPT, rule="scanning")
    old = replace(RESOLVED, rule="tag-mutability")
    closed = close_all((OPEN, other, old), "the repository was deleted", LATER)
    assert closed[2] == old
    assert all(
        (finding.state, finding.resolved_at, finding.resolution) == (FindingState.RESOLVED, LATER, "the repository was deleted")
        for finding in closed[:2]
    )
