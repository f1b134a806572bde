"""Creation templates: which one applies to a name, and what it makes of a new repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.ecr import lifecycle, repository_policy, tags
from local.ecr.errors import EcrError, invalid

if TYPE_CHECKING:
    from local.ecr.models import Backend, Repository

ROOT = "ROOT"


def best(templates: dict[str, dict[str, Any]], name: str) -> dict[str, Any] | None:
    """Return the template for a name: the longest prefix of whole path segments wins, `ROOT` catches the rest.

    A `/` is implied at a prefix's end: `prod` is for `prod/api`, neither for `production/api` nor for `prod` itself.
    """
    fitting = [prefix for prefix in templates if prefix != ROOT and name.startswith(prefix.rstrip("/") + "/")]
    return templates[max(fitting, key=len)] if fitting else templates.get(ROOT)


def applying(backend: Backend, name: str, purpose: str) -> dict[str, Any] | None:
    """Return the template that ECR uses when it creates the repository for the purpose, if any.

    UNCONFIRMED: a more specific template without the purpose hides a less specific one that has it.
    """
    template = best(backend.templates, name)
    return template if template is not None and purpose in template["appliedFor"] else None


def check(template: dict[str, Any]) -> None:
    """Refuse a template whose policies would be refused on a repository."""
    if template.get("lifecyclePolicy"):
        check_lifecycle_policy(template["lifecyclePolicy"])
    if template.get("repositoryPolicy"):
        repository_policy.check_policy(template["repositoryPolicy"])
    check_mutability(template.get("imageTagMutability", "MUTABLE"), template.get("imageTagMutabilityExclusionFilters"))
    tags.merged({}, template.get("resourceTags", []))


def check_lifecycle_policy(text: str) -> None:
    """Refuse a lifecycle policy in ECR's words."""
    try:
        lifecycle.check_policy(text)
    except lifecycle.PolicyRefused as error:
        raise invalid("LifecyclePolicyText", f"Lifecycle policy validation failure: {error}") from error


def check_mutability(mutability: str, filters: list[dict[str, str]] | None) -> None:
    """Refuse exclusion filters without a setting that has exclusions, and the reverse."""
    if bool(filters) != mutability.endswith("_WITH_EXCLUSION"):
        need = "can't be null" if not filters else "must be null"
        raise invalid(
            "imageTagMutabilityExclusionFilters",
            f"ImageTagMutabilityExclusionFilters {need} when imageTagMutability is set as {mutability}",
        )


def lacks_role(template: dict[str, Any]) -> bool:
    """Whether the template asks for tags or KMS without a role that may do it: such a creation fails."""
    kms = template.get("encryptionConfiguration", {}).get("encryptionType", "AES256") != "AES256"
    return bool(kms or template.get("resourceTags")) and not template.get("customRoleArn")


def apply(template: dict[str, Any], repository: Repository) -> None:
    """Give a new repository the template's settings."""
    if lacks_role(template):
        raise EcrError("AccessDeniedException", "The repository creation template needs a custom role for tags or KMS encryption")
    repository.mutability = template.get("imageTagMutability", "MUTABLE")
    repository.exclusion_filters = list(template.get("imageTagMutabilityExclusionFilters", []))
    repository.encryption = dict(template.get("encryptionConfiguration") or {"encryptionType": "AES256"})
    repository.lifecycle_policy = template.get("lifecyclePolicy") or None
    policy = template.get("repositoryPolicy")
    repository.policy = repository_policy.formatted(policy) if policy else None
    repository.tags = tags.merged({}, template.get("resourceTags", []))
