"""The rules as a whole: what is found, and what each must have."""

from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ecr_governor.core import rules
from ecr_governor.core.policy.load import load
from ecr_governor.core.repository import Fact, ScanFrequency, Usage
from ecr_governor.core.rules import RULES, RuleMisplaced
from ecr_governor.core.verdict import Compliant, Undetermined, Violation
from tests.unit.rules.given import NOW, expectation, repository

FOLDER = Path(str(rules.__file__)).parent
# Everything a namespace can ask for.
EVERYTHING = """
    lifecycle_policy: {rules: [{rulePriority: 1, selection: {tagStatus: any, countType: imageCountMoreThan, countNumber: 9},
      action: {type: expire}}]},
    repository_policy: {Version: "2012-10-17", Statement: [{Sid: A, Effect: Deny, Principal: "*", Action: "ecr:*"}]},
    tag_mutability: IMMUTABLE, scan_frequency: SCAN_ON_PUSH, required_tags: {owner: "*"}, encryption: KMS, image_tags: "v*",
    auto_created: {}, unused: {after: 90d}
"""
LONG_AGO = NOW - timedelta(days=365)
NAMING = 'naming: {convention: "{team}/{service}"}'


def test_every_module_of_the_folder_is_a_rule_in_stable_order() -> None:
    files = [path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__"]

    assert list(RULES) == sorted(name.replace("_", "-") for name in files)
    assert list(RULES) == [
        "auto-created", "encryption", "image-tag", "lifecycle-policy", "naming", "repository-policy", "required-tags", "scanning",
        "tag-mutability", "unused",
    ]  # fmt: skip


def test_every_rule_has_a_test_of_its_own() -> None:
    tests = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}

    assert {rule_id.replace("-", "_") for rule_id in RULES} <= tests


def test_the_catalogue_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        RULES["naming"] = RULES["scanning"]  # type: ignore[index]


@pytest.mark.parametrize("rule_id", RULES)
def test_every_rule_explains_itself(rule_id: str) -> None:
    rule = RULES[rule_id]

    for text in (rule.summary, rule.why, rule.fix):
        assert text[0].isupper()
        assert len(text) > 20
    assert not rule.summary.endswith(".")
    assert rule.why.endswith(".")


@pytest.mark.parametrize("rule_id", RULES)
def test_without_the_facts_it_needs_no_rule_finds_fault(rule_id: str) -> None:
    rule = RULES[rule_id]
    asked = expectation(EVERYTHING, top=NAMING)

    assert rule.applies(asked)
    found = rule.check(repository(created_at=LONG_AGO), asked, NOW)
    if rule.needs and rule_id != "auto-created":  # whose subjects are few, and known by their origin
        assert isinstance(found, Undetermined)
        assert "not fetched" in found.why
    else:
        assert not isinstance(found, Undetermined)


@pytest.mark.parametrize("rule_id", RULES)
def test_where_nothing_is_asked_for_nothing_is_found(rule_id: str) -> None:
    rule = RULES[rule_id]
    asked = expectation()

    assert rule.applies(asked) is (rule_id == "repository-policy")  # strangers are never welcome
    assert isinstance(
        rule.check(repository(tags={}, repository_policy=None, lifecycle_policy=None, images=(), holds_image=False), asked, NOW),
        Compliant | Undetermined,
    )


def test_the_cheap_rules_need_no_facts() -> None:
    assert {rule_id for rule_id, rule in RULES.items() if not rule.needs} == {"encryption", "naming", "tag-mutability"}
    assert frozenset[Fact]().union(*(rule.needs for rule in RULES.values())) == frozenset(Fact)


@pytest.mark.parametrize(
    ("content", "told"),
    [(ModuleType("x"), "holds no RULE"), (RULES["naming"], "holds the rule 'naming'; its id must be its file's name")],
)
def test_a_module_that_is_not_its_rule_stops_everything(content: Any, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("scanning")
    module.RULE = content  # type: ignore[attr-defined]
    monkeypatch.setattr(rules, "import_module", lambda _name: module)

    with pytest.raises(RuleMisplaced, match=told):
        rules._discover()


def test_a_policy_may_name_every_rule() -> None:
    policy = load(f"version: 1\nrules: {{{', '.join(f'{rule_id}: off' for rule_id in RULES)}}}", "policy.yaml")

    assert set(policy.rules) == set(RULES)


def test_all_that_is_wrong_is_found() -> None:
    bare = repository(
        "api",
        created_at=LONG_AGO,
        tags={},
        lifecycle_policy=None,
        repository_policy=None,
        scan_frequency=ScanFrequency.MANUAL,
        images=(),
        holds_image=False,
        usage=Usage(),
    )
    found = {
        rule_id for rule_id, rule in RULES.items() if isinstance(rule.check(bare, expectation(EVERYTHING, "api", NAMING), NOW), Violation)
    }

    assert found == set(RULES) - {"image-tag", "auto-created"}
