"""Amazon ECR: which names there are, and what the creation templates would make of another one. Reads only."""

from typing import Any, Final

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import raise_translated
from ecr_governor.adapters.described import repository_of
from ecr_governor.adapters.ecr_reading import EcrReading
from ecr_governor.core.creation_template import TemplateSettings

PAGE: Final = 1000
TEMPLATES: Final = "ecr:DescribeRepositoryCreationTemplates"
LIST: Final = "ecr:DescribeRepositories"


class EcrProspects(EcrReading):
    """One account's registry in one Region."""

    def names(self) -> tuple[str, ...]:
        """List all names, 1,000 for a call. Raises Throttled, Denied."""
        pages = self._ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": PAGE})
        try:
            return tuple(each["repositoryName"] for page in pages for each in page["repositories"])
        except ClientError as error:
            raise_translated(error, LIST)

    def templates(self) -> tuple[TemplateSettings, ...]:
        """Read the creation templates with their settings. Raises Throttled, Denied."""
        pages = self._ecr.get_paginator("describe_repository_creation_templates").paginate(PaginationConfig={"PageSize": PAGE})
        try:
            return tuple(_template(each) for page in pages for each in page.get("repositoryCreationTemplates", ()))
        except ClientError as error:
            raise_translated(error, TEMPLATES)


def _template(found: Any) -> TemplateSettings:
    # Its settings are written as those of a repository, so that they are read by the same code.
    described = {"repositoryName": "", "repositoryArn": "arn:aws:ecr::", "registryId": "", **found}
    settings = repository_of(described, found["createdAt"])
    return TemplateSettings(
        prefix=found["prefix"],
        applied_for=frozenset(found.get("appliedFor", ())),
        tag_mutability=settings.tag_mutability,
        encryption=settings.encryption,
        tags={tag["Key"]: tag.get("Value", "") for tag in found.get("resourceTags", ())},
        lifecycle_policy=found.get("lifecyclePolicy") or None,
        repository_policy=found.get("repositoryPolicy") or None,
        has_role=bool(found.get("customRoleArn")),
    )
