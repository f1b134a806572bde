"""What is said of templates, whoever made them."""

from dataclasses import replace

import pytest

from ecr_governor.core.policy.lint.remark import Level
from ecr_governor.core.templates.lint import CHECKS, remarks
from ecr_governor.core.templates.template import Template

PUSH, CACHE = frozenset({"CREATE_ON_PUSH"}), frozenset({"PULL_THROUGH_CACHE"})
FINE = Template(
    "payments",
    PUSH,
    lifecycle_policy='{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":9},"action":{"type":"expire"}}]}',
)
BELOW = replace(FINE, prefix="payments/web", tag_mutability="IMMUTABLE")

CASES: dict[str, tuple[list[Template], str]] = {
    "role-missing": ([replace(FINE, resource_tags={"a": "b"}, encryption="KMS")], "payments: sets tags and KMS, and names no role"),
    "lifecycle-invalid": (
        [replace(FINE, lifecycle_policy='{"rules":[]}')],
        "payments: lifecyclePolicy: rules: must be a list of at least one rule",
    ),
    "policy-malformed": (
        [replace(FINE, repository_policy="{}")],
        "payments: repositoryPolicy: has no list of statements",
    ),
    "root-opens-everything": ([replace(FINE, prefix="ROOT")], "ROOT: is for CREATE_ON_PUSH: a push to any name creates a repository"),
    "cache-immutable": (
        [replace(FINE, applied_for=CACHE, tag_mutability="IMMUTABLE_WITH_EXCLUSION", exclusion_filters=frozenset({"latest"}))],
        "payments: is for PULL_THROUGH_CACHE, and tags are IMMUTABLE_WITH_EXCLUSION except latest",
    ),
    "shadows": (
        [FINE, replace(BELOW, applied_for=CACHE, tag_mutability="MUTABLE")],
        "payments/web: is nearer than payments and not for CREATE_ON_PUSH, which payments is",
    ),
    "completes-nothing": ([FINE, replace(BELOW, lifecycle_policy=None)], "payments/web: has no lifecyclePolicy, while payments has"),
    "for-nothing": ([replace(FINE, applied_for=frozenset())], "payments: is for no way of creation: appliedFor is empty"),
    "redundant": ([FINE, replace(BELOW, tag_mutability="MUTABLE")], "payments/web: says what payments says"),
}


@pytest.mark.parametrize("code", CASES)
def test_a_check_finds_what_it_is_for_and_nothing_else(code: str) -> None:
    templates, words = CASES[code]
    (remark,) = remarks(templates)
    assert (remark.code, f"{remark.prefix}: {remark.what}") == (code, words)
    assert (remark.level, remark.why) == (CHECKS[code].level, CHECKS[code].why)
    assert remark.do


def test_every_check_has_a_case() -> None:
    assert CASES.keys() == CHECKS.keys()


def test_nothing_is_said_of_templates_that_are_fine_side_by_side() -> None:
    above = Template("ROOT", frozenset({"REPLICATION"}))
    below = replace(BELOW, applied_for=PUSH | {"REPLICATION"}, lifecycle_policy=FINE.lifecycle_policy)
    mirror = Template("mirror", CACHE | {"REPLICATION"}, encryption="KMS", custom_role_arn="arn:aws:iam::123456789012:role/r")
    assert remarks([above, replace(FINE, applied_for=PUSH | {"REPLICATION"}), below, mirror]) == ()


def test_the_gravest_comes_first() -> None:
    found = remarks([replace(FINE, prefix="ROOT"), *CASES["redundant"][0], *CASES["role-missing"][0]])
    assert [each.level for each in found] == sorted((each.level for each in found), key=list(Level).index)
