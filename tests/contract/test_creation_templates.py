"""What every registry's creation templates do: those in memory, and Amazon ECR's as the embedded AWS has them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ecr_governor.adapters.creation_templates import EcrCreationTemplates
from ecr_governor.app.errors import Denied, Refused
from ecr_governor.core.templates.compare import differing
from ecr_governor.core.templates.template import Template
from local import ecr
from local.server import EmbeddedAws
from tests.templates import FakeCreationTemplates

WHOLE = Template(
    "payments",
    frozenset({"CREATE_ON_PUSH", "REPLICATION"}),
    "made by a test",
    tag_mutability="IMMUTABLE_WITH_EXCLUSION",
    exclusion_filters=frozenset({"latest", "dev-*"}),
    encryption="KMS",
    kms_key="arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    lifecycle_policy='{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":9},"action":{"type":"expire"}}]}',
    repository_policy='{"Version":"2012-10-17","Statement":[{"Sid":"Pull","Effect":"Allow","Principal":{"AWS":"210987654321"},"Action":"ecr:BatchGetImage"}]}',
    resource_tags={"team": "payments"},
    custom_role_arn="arn:aws:iam::123456789012:role/ecr-creation",
)
BARE = Template("payments", frozenset({"PULL_THROUGH_CACHE"}), "bare")


@pytest.fixture(params=["memory", "ecr"])
def templates(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        yield FakeCreationTemplates()
        return
    aws: EmbeddedAws = request.getfixturevalue("aws")
    real = EcrCreationTemplates(aws.client("ecr"))
    yield real
    for each in real.read():
        real.delete(each)


@pytest.mark.parametrize("template", [WHOLE, BARE, replace(BARE, prefix="ROOT"), replace(WHOLE, prefix="payments/web/")])
def test_what_is_made_is_read_again_whole(templates: Any, template: Template) -> None:
    templates.create(template)
    assert templates.read() == (template,)


@pytest.mark.parametrize(("before", "after"), [(WHOLE, BARE), (BARE, WHOLE)])
def test_an_update_leaves_nothing_of_what_was_there(templates: Any, before: Template, after: Template) -> None:
    templates.create(before)
    (found,) = templates.read()
    templates.update(found, after)
    (then,) = templates.read()
    assert list(differing(after, then)) == []
    assert then.description == after.description


def test_a_template_is_found_by_its_prefix_with_its_slash_or_without(templates: Any) -> None:
    templates.create(replace(BARE, prefix="payments/"))
    (found,) = templates.read()
    templates.update(found, WHOLE)
    assert [(each.key, each.encryption) for each in templates.read()] == [("payments", "KMS")]
    templates.delete(WHOLE)
    assert templates.read() == ()


def test_what_is_not_so_any_more_is_refused(templates: Any) -> None:
    with pytest.raises(Refused, match="TemplateNotFoundException"):
        templates.update(BARE, WHOLE)
    with pytest.raises(Refused, match="TemplateNotFoundException"):
        templates.delete(BARE)
    templates.create(BARE)
    with pytest.raises(Refused, match="TemplateAlreadyExistsException"):
        templates.create(BARE)


def test_more_than_a_page_is_read(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecr_governor.adapters.creation_templates.PAGE", 2)
    real = EcrCreationTemplates(aws.client("ecr"))
    for number in range(5):
        real.create(replace(BARE, prefix=f"page-{number}"))
    assert [each.key for each in real.read()] == [f"page-{number}" for number in range(5)]
    for each in real.read():
        real.delete(each)


@pytest.mark.usefixtures("no_trouble_left")
def test_a_refusal_for_lack_of_permission_names_the_action(aws: EmbeddedAws) -> None:
    real = EcrCreationTemplates(aws.client("ecr"))
    ecr.faults.add("DescribeRepositoryCreationTemplates", "AccessDeniedException")
    with pytest.raises(Denied, match="ecr:DescribeRepositoryCreationTemplates: AccessDeniedException"):
        real.read()
    ecr.faults.add("CreateRepositoryCreationTemplate", "AccessDeniedException")
    with pytest.raises(Denied, match="ecr:CreateRepositoryCreationTemplate: AccessDeniedException"):
        real.create(WHOLE)


@pytest.mark.usefixtures("no_trouble_left")
def test_a_quota_is_no_reason_to_try_again(aws: EmbeddedAws) -> None:
    ecr.faults.add("CreateRepositoryCreationTemplate", "LimitExceededException")
    with pytest.raises(Refused, match="LimitExceededException"):
        EcrCreationTemplates(aws.client("ecr")).create(WHOLE)
