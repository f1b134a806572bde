"""Wanted templates against a registry's: how each prefix stands, what differs, and what is done about it."""

from dataclasses import replace

import pytest

from ecr_governor.core.templates.compare import Compared, Standing, compare, differing
from ecr_governor.core.templates.compile import MARK
from ecr_governor.core.templates.steps import Step, StepImpossible, steps
from ecr_governor.core.templates.template import Template

PULL = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"Pull","Effect":"Allow","Principal":{"AWS":"210987654321"},"Action":"ecr:BatchGetImage"}]}'
)
AS_AWS_WRITES_IT = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"Pull","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::210987654321:root"]},'
    '"Action":["ecr:BatchGetImage"]}]}'
)
LIFECYCLE = '{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":9},"action":{"type":"expire"}}]}'
WANTED = Template(
    "payments",
    frozenset({"CREATE_ON_PUSH"}),
    MARK,
    tag_mutability="IMMUTABLE_WITH_EXCLUSION",
    exclusion_filters=frozenset({"latest"}),
    encryption="KMS",
    lifecycle_policy=LIFECYCLE,
    repository_policy=PULL,
    resource_tags={"team": "payments"},
    custom_role_arn="arn:aws:iam::123456789012:role/ecr-creation",
)


def standing(wanted: list[Template], found: list[Template]) -> dict[str, Standing]:
    return {each.prefix: each.standing for each in compare(wanted, found)}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], Standing.MISSING),
        ([WANTED], Standing.SAME),
        ([replace(WANTED, prefix="payments/")], Standing.SAME),
        ([replace(WANTED, tag_mutability="MUTABLE")], Standing.CHANGED),
        ([replace(WANTED, description="by terraform")], Standing.KEPT),
        ([replace(WANTED, description="", tag_mutability="MUTABLE")], Standing.TAKEN),
        ([replace(WANTED, description=f"{MARK}.")], Standing.KEPT),  # who rewrites the mark takes the template over
    ],
)
def test_how_a_prefix_of_the_policy_stands(found: list[Template], expected: Standing) -> None:
    assert standing([WANTED], found) == {"payments": expected}


def test_what_the_policy_does_not_want_is_ours_left_over_or_somebody_elses() -> None:
    found = [replace(WANTED, prefix="old"), replace(WANTED, prefix="mirror", description="by hand")]
    assert standing([], found) == {"old": Standing.LEFT_OVER, "mirror": Standing.FOREIGN}


@pytest.mark.parametrize(
    ("found", "field", "words"),
    [
        ({"applied_for": frozenset({"CREATE_ON_PUSH", "REPLICATION"})}, "appliedFor", "CREATE_ON_PUSH, REPLICATION"),
        ({"applied_for": frozenset()}, "appliedFor", "none"),
        ({"exclusion_filters": frozenset({"dev-*"})}, "imageTagMutability", "IMMUTABLE_WITH_EXCLUSION except dev-*"),
        ({"encryption": "AES256"}, "encryptionConfiguration", "AES256"),
        ({"lifecycle_policy": None}, "lifecyclePolicy", "none"),
        ({"lifecycle_policy": LIFECYCLE.replace("9", "8")}, "lifecyclePolicy", "any images expire beyond the newest 8"),
        ({"lifecycle_policy": LIFECYCLE.replace('"rulePriority":1', '"rulePriority":2')}, "lifecyclePolicy", None),
        ({"lifecycle_policy": "no json"}, "lifecyclePolicy", "a document that ECR does not take"),
        ({"repository_policy": PULL.replace("Pull", "Push")}, "repositoryPolicy", "Allow Push"),
        ({"repository_policy": PULL.replace("2012", "2008")}, "repositoryPolicy", "Allow Pull, written otherwise"),
        ({"repository_policy": "no json"}, "repositoryPolicy", "a document that cannot be read"),
        ({"resource_tags": {"team": "pay"}}, "resourceTags", "team=pay"),
        ({"custom_role_arn": None}, "customRoleArn", "none"),
    ],
)
def test_what_differs_is_told_by_its_field(found: dict[str, object], field: str, words: str | None) -> None:
    (difference,) = differing(WANTED, replace(WANTED, **found))  # type: ignore[arg-type]
    assert difference.field == field
    assert difference.found == (words or f"{difference.wanted}, written otherwise")


@pytest.mark.parametrize(
    "found",
    [
        {"description": ""},
        {"lifecycle_policy": LIFECYCLE.replace(",", ",\n ")},
        {"repository_policy": AS_AWS_WRITES_IT},
        {"kms_key": "arn:aws:kms:eu-west-1:123456789012:key/aws-managed"},
    ],
)
def test_what_only_looks_otherwise_does_not_differ(found: dict[str, object]) -> None:
    assert list(differing(WANTED, replace(WANTED, **found))) == []  # type: ignore[arg-type]


def test_a_key_of_ones_own_is_asked_for_by_name() -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/1"
    assert [each.field for each in differing(replace(WANTED, kms_key=key), WANTED)] == ["encryptionConfiguration"]


def test_a_statement_more_is_a_difference() -> None:
    more = PULL.replace('"Statement":[', '"Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:*"},')
    (difference,) = differing(WANTED, replace(WANTED, repository_policy=more))
    assert difference.found == "Allow without a Sid, Allow Pull"


# --- steps ----------------------------------------------------------------------------------------------------------------------------


def everything() -> tuple[Compared, ...]:
    wanted = [replace(WANTED, prefix=prefix) for prefix in ("missing", "same", "changed", "kept", "taken")]
    found = [
        replace(WANTED, prefix="same"),
        replace(WANTED, prefix="changed", tag_mutability="MUTABLE"),
        replace(WANTED, prefix="kept", description="x"),
        replace(WANTED, prefix="taken", description="x", tag_mutability="MUTABLE"),
        replace(WANTED, prefix="left"),
        replace(WANTED, prefix="foreign", description="x"),
    ]
    return compare(wanted, found)


def told(found: tuple[Step, ...]) -> list[str]:
    return [f"{step.change.value} {step.prefix}" for step in found]


def test_of_its_own_accord_it_makes_and_changes_only_what_is_ours() -> None:
    assert told(steps(everything())) == ["create missing", "update changed"]


def test_what_is_somebody_elses_is_touched_only_by_its_name() -> None:
    found = steps(everything(), adopt=["kept", "taken"], delete=["left", "foreign"])
    assert told(found) == ["create missing", "update changed", "update kept", "update taken", "delete foreign", "delete left"]


@pytest.mark.parametrize("prefix", ["missing", "same", "changed", "left", "foreign", "nowhere"])
def test_what_cannot_be_adopted_stops_everything(prefix: str) -> None:
    with pytest.raises(StepImpossible, match=f"^{prefix}: there is no template of somebody else's"):
        steps(everything(), adopt=[prefix])


@pytest.mark.parametrize("prefix", ["missing", "same", "changed", "kept", "taken", "nowhere"])
def test_what_the_policy_wants_is_not_deleted(prefix: str) -> None:
    with pytest.raises(StepImpossible, match=f"^{prefix}: there is no template that the policy does not want"):
        steps(everything(), delete=[prefix])
