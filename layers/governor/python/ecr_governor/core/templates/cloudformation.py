"""Templates as resources of CloudFormation: `AWS::ECR::RepositoryCreationTemplate`."""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from ecr_governor.core.templates.template import Template, in_order

CLOUDFORMATION_MARK: Final = "From the policy file of ecr-governor, deployed by CloudFormation"
"""Another description than that of `sync`: what CloudFormation made, only CloudFormation changes."""


def document(templates: Iterable[Template], policy_hash: str) -> dict[str, Any]:
    """Write a template of CloudFormation that makes these creation templates."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"ECR repository creation templates, made of the policy {policy_hash}",
        "Resources": {
            logical_id(each.key): {"Type": "AWS::ECR::RepositoryCreationTemplate", "Properties": _properties(each)} for each in templates
        },
    }


def logical_id(prefix: str) -> str:
    """Name a resource by its prefix alone, so that no other prefix renames it: a renamed resource is made before the old one goes."""
    words = "".join(character if character.isalnum() else " " for character in prefix).split()
    # Where separators are lost, two prefixes may read alike.
    tail = hashlib.sha256(prefix.encode()).hexdigest()[:6] if words != [prefix] else ""
    return f"Template{''.join(word[:1].upper() + word[1:] for word in words)}{tail}"


def _properties(template: Template) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "Prefix": template.prefix,
        "Description": CLOUDFORMATION_MARK,
        "AppliedFor": in_order(template.applied_for),
        "ImageTagMutability": template.tag_mutability,
        "EncryptionConfiguration": {"EncryptionType": template.encryption, **({"KmsKey": template.kms_key} if template.kms_key else {})},
    }
    if template.exclusion_filters:
        properties["ImageTagMutabilityExclusionFilters"] = [
            {"ImageTagMutabilityExclusionFilterType": "WILDCARD", "ImageTagMutabilityExclusionFilterValue": each}
            for each in sorted(template.exclusion_filters)
        ]
    if template.lifecycle_policy:
        properties["LifecyclePolicy"] = template.lifecycle_policy
    if template.repository_policy:
        properties["RepositoryPolicy"] = template.repository_policy
    if template.resource_tags:
        properties["ResourceTags"] = [{"Key": key, "Value": value} for key, value in sorted(template.resource_tags.items())]
    if template.custom_role_arn:
        properties["CustomRoleArn"] = template.custom_role_arn
    return properties
