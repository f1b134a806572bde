"""Presets lie beneath what a policy file says, and leave every act to it."""

from datetime import UTC, datetime, timedelta

import pytest

from ecr_governor.core.policy.lint import remarks
from ecr_governor.core.policy.load import PolicyInvalid, load, read
from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.policy.presets import Preset, over, source_of, text_of
from ecr_governor.core.policy.retirement import Then
from ecr_governor.core.severity import Severity

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def policy(text: str) -> Policy:
    return load(f"version: 1\n{text}", "policy.yaml")


@pytest.mark.parametrize("preset", Preset)
def test_a_preset_is_a_policy_that_acts_on_nothing(preset: Preset) -> None:
    alone = load(text_of(preset), source_of(preset))

    assert alone.mode is Mode.AUDIT
    assert alone.preset is None
    assert alone.naming is None
    assert set(alone.namespaces) == {"ROOT"}
    terms = alone.namespaces["ROOT"].retirement
    assert terms is None or terms.then in {Then.MARK, Then.QUARANTINE}
    assert not alone.exemptions
    assert text_of(preset).startswith("# yaml-language-server: $schema=")


@pytest.mark.parametrize("preset", Preset)
def test_a_file_that_only_names_a_preset_is_that_preset(preset: Preset) -> None:
    reading = read(f"version: 1\npreset: {preset.value}\n", "policy.yaml")

    assert reading.policy.hash == load(text_of(preset), source_of(preset)).hash
    assert reading.policy.preset is preset
    assert remarks(reading, NOW) == ()


def test_without_a_preset_nothing_lies_beneath() -> None:
    assert policy("").hash == policy("preset: null").hash
    assert policy("").namespaces == {}


def test_a_setting_of_the_file_replaces_that_of_the_preset_whole() -> None:
    settings = policy("preset: recommended\nnamespaces: {ROOT: {required_tags: {team: {}}, tag_mutability: null}}").namespaces["ROOT"]

    assert set(settings.required_tags or {}) == {"team"}
    assert settings.tag_mutability is None
    assert settings.scan_frequency == "SCAN_ON_PUSH"
    assert settings.lifecycle_policy is not None


def test_a_namespace_has_from_root_what_the_preset_says_there() -> None:
    made = policy("preset: strict\nnamespaces: {payments/: {scan_frequency: MANUAL}}")

    settings = made.expectation_for("payments/api").settings
    assert settings.scan_frequency == "MANUAL"
    assert settings.tag_mutability is not None
    assert settings.tag_mutability.mode == "IMMUTABLE"
    assert settings.unused is not None
    assert settings.unused.after == timedelta(days=90)


def test_a_rule_keeps_what_the_file_does_not_say_of_it() -> None:
    made = policy("preset: strict\nrules: {naming: off, scanning: {severity: low}}")

    assert (made.mode_of("naming", "ROOT"), made.severity_of("naming", "ROOT")) == (Mode.OFF, Severity.HIGH)
    assert made.severity_of("scanning", "ROOT") is Severity.LOW
    assert made.severity_of("tag-mutability", "ROOT") is Severity.HIGH


def test_sections_are_laid_over_key_by_key() -> None:
    made = policy("preset: audit-only\nretirement: {caps: {per_run: 3}}\nnotifications: {slack: {digest_above: 9}}\nmode: enforce")

    assert (made.retirement.stop, made.retirement.caps.per_run, made.retirement.caps.per_day) == (True, 3, 20)
    assert made.notifications.slack.digest_above == 9
    sandbox = policy("preset: sandbox\nnotifications: {slack: {digest_above: 9}}").notifications.slack
    assert (sandbox.digest_above, sandbox.min_severity) == (9, Severity.MEDIUM)


def test_caps_and_the_window_are_laid_over_one_by_one_too() -> None:
    beneath = {"retirement": {"caps": {"per_day": 1}, "window": {"days": ["mon"]}}, "naming": {"ignore": ["a"]}}
    above = {"retirement": {"caps": {"per_run": 3}, "window": {"from_hour": 7}}, "naming": {"convention": "{a}"}}

    assert over(beneath, above) == {
        "retirement": {"caps": {"per_day": 1, "per_run": 3}, "window": {"days": ["mon"], "from_hour": 7}},
        "naming": {"convention": "{a}"},
    }


def test_audit_only_puts_nothing_right_under_enforce_until_a_rule_says_so() -> None:
    with_remedy = ("lifecycle-policy", "repository-policy", "required-tags", "tag-mutability")
    held, let_go = policy("preset: audit-only\nmode: enforce"), policy("preset: audit-only\nmode: enforce\nrules: {required-tags: enforce}")

    assert {held.mode_of(rule, "ROOT") for rule in with_remedy} == {Mode.AUDIT}
    assert let_go.mode_of("required-tags", "ROOT") is Mode.ENFORCE


def test_a_preset_that_does_not_exist_is_told_with_the_nearest() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        policy("preset: strikt")

    assert str(caught.value) == (
        "policy.yaml:2:9: preset: 'strikt' is not one of the allowed values → did you mean strict? write one of recommended, strict, "
        "audit-only, sandbox"
    )


@pytest.mark.parametrize("value", ["[strict]", "{strict: 1}", "7", "true"])
def test_a_preset_is_a_word(value: str) -> None:
    with pytest.raises(PolicyInvalid, match=r"policy\.yaml:2:"):
        policy(f"preset: {value}")


def test_what_a_file_and_its_preset_say_against_each_other_is_told_at_the_file() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        policy("preset: sandbox\nnamespaces: {ROOT: {retirement: {then: archive, archive_days: 0}}, a: [1]}")

    assert [(each.source, each.line) for each in caught.value.problems] == [("policy.yaml", 3)] * 2
