"""What a policy says of retirements, before anything is read of a repository."""

from datetime import UTC, datetime

import pytest

from ecr_governor.core.policy.retirement import Then
from ecr_governor.core.retirement.asked import asked_of, withheld
from tests.fakes import a_policy

NOW = datetime(2026, 11, 2, tzinfo=UTC)
TERMS = "namespaces:\n  ROOT: {retirement: {then: quarantine}}\n  ml: {MORE}\n  mirror: {retirement: null}\n"
EXEMPT = "exemptions: [{match: 'ml/*', rules: RULE, reason: in training, owner: ml, expires: 2026-12-31}]\n"
OFF = "the rule unused is off here"
KEPT = "the policy exempts it until 2026-12-31: in training"


def text(more: str = "", rules: str = "", exempt: str = "") -> str:
    return TERMS.replace("{MORE}", f"{{{more}}}") + rules + (EXEMPT.replace("RULE", exempt) if exempt else "")


@pytest.mark.parametrize(
    ("policy", "exempt", "audited"),
    [
        (text(), "", False),
        (text(rules="rules: {unused: enforce}\n"), "", False),
        (text(rules="rules: {unused: audit}\n"), "", True),
        (text(rules="rules: {unused: off}\n"), OFF, False),
        (text("rules: {unused: audit}"), "", True),
        (text("rules: {unused: off}"), OFF, False),
        (text("rules: {unused: enforce}", "rules: {unused: audit}\n"), "", False),
        (text(rules="rules: {naming: off}\n"), "", False),
        (text(exempt="unused"), KEPT, False),
        (text(exempt="naming"), "", False),
        (text(rules="rules: {unused: audit}\n", exempt="unused"), KEPT, True),
        (text(rules="rules: {unused: off}\n", exempt="unused"), OFF, False),
    ],
)
def test_rule_and_exemption_say_what_is_kept_and_what_only_audits(policy: str, exempt: str, audited: bool) -> None:
    asked = asked_of(a_policy(policy), "ml/model", NOW)

    assert asked.terms
    assert (asked.terms.then, asked.exempt, asked.audited) == (Then.QUARANTINE, exempt, audited)


def test_each_namespace_is_asked_for_itself_and_an_exemption_ends() -> None:
    policy = a_policy(text("rules: {unused: off}", exempt="unused"))

    assert asked_of(policy, "mirror/base", NOW).terms is None
    assert asked_of(policy, "web/shop", NOW).exempt == ""
    assert asked_of(a_policy(text(exempt="unused")), "ml/model", datetime(2027, 1, 1, tzinfo=UTC)).exempt == ""


def test_what_lets_no_retirement_go_forward() -> None:
    assert list(withheld(a_policy("mode: enforce"))) == []
    assert list(withheld(a_policy("mode: audit"))) == ["the mode is audit"]
    assert list(withheld(a_policy("mode: enforce\nretirement: {stop: true}"))) == ["the policy says stop"]
    assert list(withheld(a_policy("mode: off\nretirement: {stop: true}"))) == ["the mode is off", "the policy says stop"]
