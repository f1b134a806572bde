"""Operations on repositories and their settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.ecr import paging, repository_policy, tags
from local.ecr.errors import EcrError, invalid
from local.ecr.models import REPOSITORY_ARN
from local.ecr.templates import check_lifecycle_policy, check_mutability

if TYPE_CHECKING:
    from local.ecr.calls import Request
    from local.ecr.models import Repository


def _named(repository: Repository) -> dict[str, Any]:
    return {"registryId": repository.registry_id, "repositoryName": repository.name}


def create_repository(request: Request) -> dict[str, Any]:
    """Create a repository as asked; creation templates play no part here."""
    parameters, backend = request.parameters, request.backend
    name = parameters["repositoryName"]
    if name in backend.repositories:
        raise EcrError(
            "RepositoryAlreadyExistsException",
            f"The repository with name '{name}' already exists in the registry with id '{backend.account_id}'",
        )
    mutability = parameters.get("imageTagMutability", "MUTABLE")
    filters = parameters.get("imageTagMutabilityExclusionFilters")
    check_mutability(mutability, filters)
    wanted = tags.merged({}, parameters.get("tags", []))
    repository = backend.add_repository(name, created_at=request.now)
    repository.mutability, repository.exclusion_filters, repository.tags = mutability, list(filters or []), wanted
    repository.scan_on_push = bool(parameters.get("imageScanningConfiguration", {}).get("scanOnPush", False))
    encryption = dict(parameters.get("encryptionConfiguration") or {"encryptionType": "AES256"})
    if encryption["encryptionType"] != "AES256":
        encryption.setdefault("kmsKey", f"arn:aws:kms:{backend.region_name}:{backend.account_id}:alias/aws/ecr")
    repository.encryption = encryption
    return {"repository": repository.described()}


def describe_repositories(request: Request) -> dict[str, Any]:
    """List repositories by pages of 100 to 1,000, or up to 100 by name."""
    parameters, backend = request.parameters, request.backend
    names = parameters.get("repositoryNames")
    if names is not None:
        if "nextToken" in parameters or "maxResults" in parameters:
            raise invalid("repositoryNames", "maxResults and nextToken cannot be used with repositoryNames")
        return {"repositories": [backend.repository(name, parameters.get("registryId")).described() for name in names]}
    found, following = paging.page(backend.repositories, parameters)
    return {"repositories": [backend.repositories[name].described() for name in found], **following}


def delete_repository(request: Request) -> dict[str, Any]:
    """Delete a repository. UNCONFIRMED: that archived images count as content."""
    repository = request.repository()
    if repository.images and not request.parameters.get("force"):
        raise EcrError(
            "RepositoryNotEmptyException",
            f"The repository with name '{repository.name}' in registry with id '{repository.registry_id}' "
            "cannot be deleted because it still contains images",
        )
    del request.backend.repositories[repository.name]
    return {"repository": repository.described()}


def put_image_tag_mutability(request: Request) -> dict[str, Any]:
    """Set which tags may move; tags that are there already are not touched."""
    repository, parameters = request.repository(), request.parameters
    filters = parameters.get("imageTagMutabilityExclusionFilters")
    check_mutability(parameters["imageTagMutability"], filters)
    repository.mutability, repository.exclusion_filters = parameters["imageTagMutability"], list(filters or [])
    answer = _named(repository) | {"imageTagMutability": repository.mutability}
    return answer | ({"imageTagMutabilityExclusionFilters": filters} if filters else {})


def put_image_scanning_configuration(request: Request) -> dict[str, Any]:
    """Set the repository's own scan setting, which registry rules override."""
    repository = request.repository()
    repository.scan_on_push = bool(request.parameters["imageScanningConfiguration"].get("scanOnPush", False))
    return _named(repository) | {"imageScanningConfiguration": {"scanOnPush": repository.scan_on_push}}


def set_repository_policy(request: Request) -> dict[str, Any]:
    """Replace the repository policy; without `force` not by one that locks the caller out of replacing it again."""
    repository, text = request.repository(), request.parameters["policyText"]
    repository_policy.check_policy(text)
    if not request.parameters.get("force") and repository_policy.denies(text, request.principal, "ecr:SetRepositoryPolicy"):
        raise invalid("PolicyText", "The policy would prevent the caller from setting a new policy; use force to set it anyway")
    repository.policy = repository_policy.formatted(text)
    return _named(repository) | {"policyText": repository.policy}


def _policy_of(repository: Repository) -> str:
    if repository.policy is None:
        raise EcrError(
            "RepositoryPolicyNotFoundException",
            f"Repository policy does not exist for the repository with name '{repository.name}' "
            f"in the registry with id '{repository.registry_id}'",
        )
    return repository.policy


def get_repository_policy(request: Request) -> dict[str, Any]:
    """Return the repository policy."""
    repository = request.repository()
    return _named(repository) | {"policyText": _policy_of(repository)}


def delete_repository_policy(request: Request) -> dict[str, Any]:
    """Remove the repository policy and return it."""
    repository = request.repository()
    text = _policy_of(repository)
    repository.policy = None
    return _named(repository) | {"policyText": text}


def put_lifecycle_policy(request: Request) -> dict[str, Any]:
    """Replace the lifecycle policy."""
    repository, text = request.repository(), request.parameters["lifecyclePolicyText"]
    check_lifecycle_policy(text)
    repository.lifecycle_policy = text
    return _named(repository) | {"lifecyclePolicyText": text}


def _lifecycle_policy_of(repository: Repository) -> str:
    if repository.lifecycle_policy is None:
        raise EcrError(
            "LifecyclePolicyNotFoundException",
            f"Lifecycle policy does not exist for the repository with name '{repository.name}' "
            f"in the registry with id '{repository.registry_id}'",
        )
    return repository.lifecycle_policy


def get_lifecycle_policy(request: Request) -> dict[str, Any]:
    """Return the lifecycle policy. UNCONFIRMED: what `lastEvaluatedAt` is before the first evaluation; here the present time."""
    repository = request.repository()
    return _named(repository) | {"lifecyclePolicyText": _lifecycle_policy_of(repository), "lastEvaluatedAt": request.now}


def delete_lifecycle_policy(request: Request) -> dict[str, Any]:
    """Remove the lifecycle policy and return it."""
    repository = request.repository()
    text = _lifecycle_policy_of(repository)
    repository.lifecycle_policy = None
    return _named(repository) | {"lifecyclePolicyText": text, "lastEvaluatedAt": request.now}


def _by_arn(request: Request) -> Repository:
    found = REPOSITORY_ARN.fullmatch(request.parameters["resourceArn"])
    if found is None:
        raise invalid("resourceArn", "Invalid ARN")
    return request.backend.repository(found["name"], found["account"])


def tag_resource(request: Request) -> dict[str, Any]:
    """Give a repository more tags."""
    repository = _by_arn(request)
    repository.tags = tags.merged(repository.tags, request.parameters["tags"])
    return {}


def untag_resource(request: Request) -> dict[str, Any]:
    """Take tags from a repository; keys that it does not have are no error."""
    repository = _by_arn(request)
    for key in request.parameters["tagKeys"]:
        repository.was_tagged |= repository.tags.pop(key, None) is not None
    return {}


def list_tags_for_resource(request: Request) -> dict[str, Any]:
    """List a repository's tags."""
    return {"tags": tags.listed(_by_arn(request).tags)}


OPERATIONS = {
    "CreateRepository": create_repository,
    "DescribeRepositories": describe_repositories,
    "DeleteRepository": delete_repository,
    "PutImageTagMutability": put_image_tag_mutability,
    "PutImageScanningConfiguration": put_image_scanning_configuration,
    "SetRepositoryPolicy": set_repository_policy,
    "GetRepositoryPolicy": get_repository_policy,
    "DeleteRepositoryPolicy": delete_repository_policy,
    "PutLifecyclePolicy": put_lifecycle_policy,
    "GetLifecyclePolicy": get_lifecycle_policy,
    "DeleteLifecyclePolicy": delete_lifecycle_policy,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
