"""Operations on repository creation templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.ecr import paging, templates
from local.ecr.errors import EcrError

if TYPE_CHECKING:
    from local.ecr.calls import Request


def _key(prefix: str) -> str:
    return prefix.rstrip("/")


def _found(request: Request) -> dict[str, Any]:
    prefix = request.parameters["prefix"]
    template = request.backend.templates.get(_key(prefix))
    if template is None:
        raise EcrError(
            "TemplateNotFoundException",
            f"The template with prefix '{prefix}' does not exist in the registry with id '{request.backend.account_id}'",
        )
    return template


def _answer(request: Request, template: dict[str, Any]) -> dict[str, Any]:
    return {"registryId": request.backend.account_id, "repositoryCreationTemplate": template}


def create_template(request: Request) -> dict[str, Any]:
    """Create a template for a prefix. That tags or KMS lack a role shows only when a repository is created."""
    prefix = request.parameters["prefix"]
    if _key(prefix) in request.backend.templates:
        raise EcrError(
            "TemplateAlreadyExistsException",
            f"A template with prefix '{prefix}' already exists in the registry with id '{request.backend.account_id}'",
        )
    defaults: dict[str, Any] = {"encryptionConfiguration": {"encryptionType": "AES256"}, "imageTagMutability": "MUTABLE"}
    template = defaults | request.parameters | {"createdAt": request.now, "updatedAt": request.now}
    templates.check(template)
    request.backend.templates[_key(prefix)] = template
    return _answer(request, template)


def update_template(request: Request) -> dict[str, Any]:
    """Change the members that are given; repositories that exist are not touched."""
    changed = _found(request) | request.parameters | {"updatedAt": request.now}
    if not changed["imageTagMutability"].endswith("_WITH_EXCLUSION") and "imageTagMutabilityExclusionFilters" not in request.parameters:
        changed.pop("imageTagMutabilityExclusionFilters", None)
    templates.check(changed)
    request.backend.templates[_key(request.parameters["prefix"])] = changed
    return _answer(request, changed)


def delete_template(request: Request) -> dict[str, Any]:
    """Delete a template and return it."""
    template = _found(request)
    del request.backend.templates[_key(request.parameters["prefix"])]
    return _answer(request, template)


def describe_templates(request: Request) -> dict[str, Any]:
    """List templates, all or by prefix. UNCONFIRMED: that prefixes without a template are passed over in silence."""
    backend, prefixes = request.backend, request.parameters.get("prefixes")
    keys = backend.templates.keys() if prefixes is None else {_key(prefix) for prefix in prefixes} & backend.templates.keys()
    found, following = paging.page(keys, request.parameters)
    return {"registryId": backend.account_id, "repositoryCreationTemplates": [backend.templates[key] for key in found], **following}


OPERATIONS = {
    "CreateRepositoryCreationTemplate": create_template,
    "UpdateRepositoryCreationTemplate": update_template,
    "DeleteRepositoryCreationTemplate": delete_template,
    "DescribeRepositoryCreationTemplates": describe_templates,
}
