"""Amazon ECR's repository creation templates: read, made, changed, deleted, for an operator with permissions of their own."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import change, raise_translated
from ecr_governor.core.templates.template import PLAIN_ENCRYPTION, Template, as_data

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

PAGE: Final = 1000
REFUSALS: Final = frozenset(
    {
        "InvalidParameterException",
        # Here it is the number of templates, which waiting does not change.
        "LimitExceededException",
        "TemplateAlreadyExistsException",
        "TemplateNotFoundException",
        "ValidationException",
    }
)


class EcrCreationTemplates:
    """One registry's templates in one Region. ECR has no conditional writes: the caller reads again before it changes."""

    def __init__(self, client: "ECRClient") -> None:
        self._ecr = client

    def read(self) -> tuple[Template, ...]:
        """Read all templates. Raises Throttled, Denied."""
        try:
            pages = self._ecr.get_paginator("describe_repository_creation_templates").paginate(PaginationConfig={"PageSize": PAGE})
            return tuple(template_of(each) for page in pages for each in page.get("repositoryCreationTemplates", ()))
        except ClientError as error:
            raise_translated(error, "ecr:DescribeRepositoryCreationTemplates")

    def create(self, template: Template) -> None:
        """Make a template. Raises Refused, Throttled, Denied."""
        create: Any = self._ecr.create_repository_creation_template
        change("ecr:CreateRepositoryCreationTemplate", lambda: create(**as_data(template)), REFUSALS)

    def update(self, found: Template, template: Template) -> None:
        """Make the template that is there what it should be, field by field. Raises Refused, Throttled, Denied."""
        update: Any = self._ecr.update_repository_creation_template
        change("ecr:UpdateRepositoryCreationTemplate", lambda: update(**_changes(found, template)), REFUSALS)

    def delete(self, found: Template) -> None:
        """Delete a template; repositories stay as they are. Raises Refused, Throttled, Denied."""
        change("ecr:DeleteRepositoryCreationTemplate", lambda: self._ecr.delete_repository_creation_template(prefix=found.prefix), REFUSALS)


def template_of(found: Mapping[str, Any]) -> Template:
    """Read an item of the answer's `repositoryCreationTemplates`, in ECR's own words whatever they are."""
    encryption = found.get("encryptionConfiguration") or {}
    return Template(
        prefix=found["prefix"],
        applied_for=frozenset(found.get("appliedFor", ())),
        description=found.get("description", ""),
        tag_mutability=found.get("imageTagMutability", "MUTABLE"),
        exclusion_filters=frozenset(each["filter"] for each in found.get("imageTagMutabilityExclusionFilters", ())),
        encryption=encryption.get("encryptionType", PLAIN_ENCRYPTION),
        kms_key=encryption.get("kmsKey") or None,
        lifecycle_policy=found.get("lifecyclePolicy") or None,
        repository_policy=found.get("repositoryPolicy") or None,
        resource_tags={each["Key"]: each.get("Value", "") for each in found.get("resourceTags", ())},
        custom_role_arn=found.get("customRoleArn") or None,
    )


def _changes(found: Template, template: Template) -> dict[str, Any]:
    """Give the parameters of the update: every field of the template, and what has to go as an empty value.

    The model takes an empty text for the two documents, and no empty list of filters, which go by themselves with a setting that has
    none. UNCONFIRMED: that an empty value removes what was there. Whoever changes reads again and looks.
    """
    emptied: dict[str, Any] = {
        "lifecyclePolicy": "" if found.lifecycle_policy else None,
        "repositoryPolicy": "" if found.repository_policy else None,
        "resourceTags": [] if found.resource_tags else None,
        "customRoleArn": "" if found.custom_role_arn else None,
    }
    removed = {name: value for name, value in emptied.items() if value is not None}
    return {**removed, **as_data(template), "prefix": found.prefix}
