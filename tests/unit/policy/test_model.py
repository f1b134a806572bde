"""What a valid policy expects, and how far it goes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.core.evaluate import evaluate
from ecr_governor.core.origin import longest_prefix
from ecr_governor.core.policy.load import load
from ecr_governor.core.policy.model import Mode, Policy, is_tag_value, render, weaker
from ecr_governor.core.severity import Severity
from tests.fakes import a_repository

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

NAMESPACES = """\
version: 1
namespaces:
  ROOT: {scan_frequency: SCAN_ON_PUSH, tag_mutability: IMMUTABLE, trusted_accounts: ["111111111111"]}
  payments: {tag_mutability: MUTABLE}
  payments/web/: {scan_frequency: CONTINUOUS_SCAN, tag_mutability: null}
"""


def policy(text: str) -> Policy:
    return load("version: 1\n" + text if "version" not in text else text, "policy.yaml")


@pytest.mark.parametrize(
    ("name", "namespace", "scan", "mutability"),
    [
        ("search", "ROOT", "SCAN_ON_PUSH", "IMMUTABLE"),
        ("payments", "ROOT", "SCAN_ON_PUSH", "IMMUTABLE"),  # a prefix never covers its own bare name
        ("payments-old/api", "ROOT", "SCAN_ON_PUSH", "IMMUTABLE"),
        ("payments/api", "payments", "SCAN_ON_PUSH", "MUTABLE"),
        ("payments/webshop/x", "payments", "SCAN_ON_PUSH", "MUTABLE"),
        ("payments/web", "payments", "SCAN_ON_PUSH", "MUTABLE"),
        ("payments/web/shop", "payments/web", "CONTINUOUS_SCAN", None),  # from ROOT, not from payments; null asks for nothing
    ],
)
def test_the_longest_prefix_wins_and_completes_itself_from_root(name: str, namespace: str, scan: str, mutability: str | None) -> None:
    expectation = policy(NAMESPACES).expectation_for(name)

    assert expectation.namespace == namespace
    assert expectation.settings.scan_frequency == scan
    assert (expectation.settings.tag_mutability and expectation.settings.tag_mutability.mode) == mutability
    assert expectation.settings.trusted_accounts == ("111111111111",)


PART = st.text(alphabet="ab", min_size=1, max_size=2)
PATH = st.lists(PART, min_size=1, max_size=4).map("/".join)


@settings(max_examples=50)
@given(st.lists(PATH, max_size=5, unique=True), PATH.filter(lambda name: len(name) > 1))
def test_namespaces_match_as_creation_templates_do(prefixes: list[str], name: str) -> None:
    made = Policy.model_validate({"version": 1, "namespaces": {prefix: {} for prefix in prefixes}})

    assert made.namespace_of(name) == (longest_prefix(prefixes, name) or "ROOT")


def test_without_a_root_nothing_is_expected_outside_the_namespaces() -> None:
    expectation = policy("namespaces: {payments: {encryption: KMS}}").expectation_for("search/api")

    assert expectation.namespace == "ROOT"
    assert expectation.settings.encryption is None


def test_the_convention_does_not_speak_of_ignored_names() -> None:
    made = policy('naming: {convention: "{team}/{service}", ignore: ["docker-hub/*"]}')

    assert made.expectation_for("docker-hub/library/nginx").naming is None
    assert made.expectation_for("a/b").segments == {"team": "a", "service": "b"}
    assert made.expectation_for("docker-hub/nginx").segments == {}


@pytest.mark.parametrize(
    ("top", "rule", "mode"),
    [
        ("", None, Mode.AUDIT),
        ("mode: enforce", None, Mode.ENFORCE),
        ("mode: enforce", "audit", Mode.AUDIT),
        ("mode: audit", "enforce", Mode.AUDIT),
        ("mode: off", "enforce", Mode.OFF),
        ("mode: enforce", "off", Mode.OFF),
        ("mode: enforce", "{severity: high}", Mode.ENFORCE),
    ],
)
def test_no_rule_goes_farther_than_the_policy(top: str, rule: str | None, mode: Mode) -> None:
    made = policy(f"{top}\nrules: {{{f'naming: {rule}' if rule else ''}}}")

    assert made.mode_of("naming", "ROOT") is mode


@given(st.sampled_from(Mode), st.sampled_from(Mode), st.sampled_from(Mode))
def test_the_weaker_of_modes_is_a_minimum(one: Mode, two: Mode, three: Mode) -> None:
    assert weaker(one, two) is weaker(two, one)
    assert weaker(weaker(one, two), three) is weaker(one, weaker(two, three))
    assert weaker(one, one) is one
    assert weaker(one, Mode.OFF) is Mode.OFF
    assert weaker(one, Mode.ENFORCE) is one


def test_a_rule_may_be_given_another_severity() -> None:
    made = policy("rules: {naming: {severity: critical}, scanning: off}")

    assert made.severity_of("naming", "ROOT") is Severity.CRITICAL
    assert made.severity_of("scanning", "ROOT") is None
    assert made.severity_of("encryption", "ROOT") is None


RULES = """\
version: 1
mode: enforce
rules: {tag-mutability: {mode: audit, severity: high}, required-tags: off}
namespaces:
  ROOT: {required_tags: {owner: {}}, tag_mutability: IMMUTABLE, rules: {lifecycle-policy: {mode: audit, severity: low}}}
  payments/: {rules: {tag-mutability: enforce, required-tags: {mode: audit, severity: critical}, lifecycle-policy: {severity: medium}}}
  search: {}
"""


@pytest.mark.parametrize(
    ("namespace", "rule", "mode", "severity"),
    [
        ("ROOT", "tag-mutability", Mode.AUDIT, Severity.HIGH),
        ("search", "tag-mutability", Mode.AUDIT, Severity.HIGH),
        ("payments", "tag-mutability", Mode.ENFORCE, Severity.HIGH),  # the severity is left to what holds for all
        ("search", "required-tags", Mode.OFF, None),
        ("payments", "required-tags", Mode.AUDIT, Severity.CRITICAL),
        ("search", "lifecycle-policy", Mode.AUDIT, Severity.LOW),
        ("payments", "lifecycle-policy", Mode.AUDIT, Severity.MEDIUM),  # the mode is ROOT's
        ("payments", "naming", Mode.ENFORCE, None),
    ],
)
def test_a_namespace_says_how_far_a_rule_goes_and_has_the_rest_from_root_and_from_the_top(
    namespace: str, rule: str, mode: Mode, severity: Severity | None
) -> None:
    made = policy(RULES)

    assert (made.mode_of(rule, namespace), made.severity_of(rule, namespace)) == (mode, severity)
    for ceiling in Mode:
        assert made.limited_to(ceiling).mode_of(rule, namespace) is weaker(mode, ceiling)


def test_every_repository_is_judged_as_its_namespace_says() -> None:
    made = policy(RULES)
    judged = {
        name: {each.rule: (each.mode.value, each.severity.value) for each in evaluate(a_repository(name), made, NOW).judgements}
        for name in ("search/api", "payments/api")
    }

    assert judged["search/api"] == {"repository-policy": ("enforce", "high"), "tag-mutability": ("audit", "high")}
    assert judged["payments/api"] == {
        "repository-policy": ("enforce", "high"),
        "required-tags": ("audit", "critical"),
        "tag-mutability": ("enforce", "high"),
    }


def test_rules_of_namespaces_make_another_policy_only_where_they_say_something() -> None:
    one = policy("namespaces: {ROOT: {rules: {naming: off}}, a: {}}")

    assert policy("namespaces: {ROOT: {}, a: {}}").hash == policy("namespaces: {ROOT: {}, a: {rules: {}}}").hash
    assert one.hash != policy("namespaces: {ROOT: {}, a: {}}").hash
    assert one.hash == policy("namespaces: {ROOT: {rules: {naming: {mode: off}}}, a: {rules: {naming: off}}}").hash


EXEMPT = """\
version: 1
exemptions:
  - {match: "legacy/*", rules: [naming], reason: "moves with the cluster", owner: platform, expires: 2027-01-31}
  - {match: "legacy/a*", rules: "*", reason: "moves with the cluster", owner: platform, expires: 2027-03-31}
"""


@pytest.mark.parametrize(
    ("name", "rule", "now", "until"),
    [
        ("legacy/b", "naming", "2026-01-01T00:00", "2027-01-31"),
        ("legacy/b", "naming", "2027-01-31T23:59", "2027-01-31"),
        ("legacy/b", "naming", "2027-02-01T00:00", None),
        ("legacy/b", "scanning", "2026-01-01T00:00", None),
        ("legacy/a/b", "naming", "2026-01-01T00:00", "2027-03-31"),
        ("legacy/a", "scanning", "2026-01-01T00:00", "2027-03-31"),
        ("modern/a", "naming", "2026-01-01T00:00", None),
    ],
)
def test_an_exemption_holds_through_its_last_day_in_utc(name: str, rule: str, now: str, until: str | None) -> None:
    exemption = policy(EXEMPT).exemption_for(name, rule, datetime.fromisoformat(now).replace(tzinfo=UTC))

    assert (exemption and exemption.expires.isoformat()) == until


def test_the_next_expiry_is_the_midnight_after_the_last_day() -> None:
    made = policy(EXEMPT)
    february = datetime(2027, 2, 1, tzinfo=UTC)

    assert made.next_expiry("legacy/a", datetime(2027, 1, 1, tzinfo=UTC)) == february
    assert made.next_expiry("legacy/a", february) == datetime(2027, 4, 1, tzinfo=UTC)
    assert made.next_expiry("legacy/a", datetime(2027, 4, 1, tzinfo=UTC)) is None
    assert made.next_expiry("modern/a", datetime(2027, 1, 1, tzinfo=UTC)) is None
    assert [exemption.match for exemption in made.expired_exemptions(february)] == ["legacy/*"]


@given(st.integers(-100, 200), st.sampled_from(["legacy/a", "legacy/b", "x"]), st.sampled_from(["naming", "scanning"]))
def test_an_exemption_never_changes_before_the_next_expiry(days: int, name: str, rule: str) -> None:
    made = policy(EXEMPT)
    now = datetime(2027, 1, 1, 12, tzinfo=UTC) + timedelta(days=days)
    end = made.next_expiry(name, now)
    later = end - timedelta(seconds=1) if end else now + timedelta(days=10_000)

    assert made.exemption_for(name, rule, now) == made.exemption_for(name, rule, later)


def test_the_hash_goes_by_what_is_said_not_by_how() -> None:
    one = policy("# a comment\nversion: 1\nnamespaces: {ROOT: {encryption: KMS}, a: {scan_frequency: MANUAL}}")
    same = policy(
        "namespaces:\n  a/: {encryption: {type: KMS}, scan_frequency: MANUAL}\n  ROOT: {encryption: KMS}\nmode: audit\nowner_tag: owner"
    )
    other = policy("version: 1\nnamespaces: {ROOT: {encryption: KMS}, a: {scan_frequency: MANUAL, encryption: null}}")

    assert one.hash == same.hash
    assert one.hash != other.hash
    assert len(one.hash) == 12


def test_a_section_on_templates_that_says_nothing_makes_no_other_policy() -> None:
    assert policy("mode: audit").hash == policy("mode: audit\ntemplates: {create_on_push_at_root: false}").hash
    assert policy("mode: audit").hash != policy("mode: audit\ntemplates: {create_on_push_at_root: true}").hash


@pytest.mark.parametrize("known_before", [True, False])
@pytest.mark.parametrize("mode", list(Mode))
def test_in_another_mode_it_is_the_same_file(mode: Mode, known_before: bool) -> None:
    made = policy("version: 1\nmode: off\nrules: {naming: audit, scanning: off}")
    before = made.hash if known_before else ""
    other = made.in_mode(mode)

    assert (other.hash, made.mode, other.mode) == (before or made.hash, Mode.OFF, mode)
    assert other.mode_of("naming", "ROOT") is weaker(mode, Mode.AUDIT)
    assert other.mode_of("scanning", "ROOT") is Mode.OFF
    assert other.mode_of("unused", "ROOT") is mode


def test_limits_are_careful_where_nothing_is_said() -> None:
    limits = policy("version: 1").limits

    assert (limits.calls_per_second, limits.pull_metrics, limits.remedies_per_sweep) == (20, False, 200)


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        policy("mode: audit").mode = Mode.ENFORCE  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "values", "rendered"),
    [
        ("{team}-{pusher}", {"team": "a", "pusher": "b"}, "a-b"),
        ("{team}", {}, None),
        ("plain", {}, "plain"),
        ("{a}{a}", {"a": "{b}", "b": "x"}, "{b}{b}"),  # what is filled in is not read again
        ("{a}", {"a": "\\1"}, "\\1"),
    ],
)
def test_placeholders_are_filled_in_only_if_all_are_known(text: str, values: dict[str, str], rendered: str | None) -> None:
    assert render(text, values) == rendered


@pytest.mark.parametrize(
    ("value", "fine"),
    [
        ("", True),
        ("Ärger und Söhne", True),
        ("a@b.c/d+e=f:g_h-i", True),
        ("a,b", False),
        ("a\nb", False),
        ("x" * 257, False),
        ("\ud800", False),
    ],
)
def test_tag_values_are_what_aws_takes(value: str, fine: bool) -> None:
    assert is_tag_value(value) is fine
