"""The errors ECR answers with; the codes are the shape names of botocore's ECR model, the words ECR's own."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class EcrError(ServiceException):
    """An error of the ECR API."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


def invalid(parameter: str, constraint: str) -> EcrError:
    """Say that a parameter breaks a rule."""
    return EcrError("InvalidParameterException", f"Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'")


def repository_not_found(name: str, registry: str) -> EcrError:
    """Say that no repository has the name."""
    return EcrError("RepositoryNotFoundException", f"The repository with name '{name}' does not exist in the registry with id '{registry}'")


def image_not_found(image_id: dict[str, str], name: str, registry: str) -> EcrError:
    """Say that no image has the digest or the tag."""
    shown = f"{{imageDigest:'{image_id.get('imageDigest', 'null')}', imageTag:'{image_id.get('imageTag', 'null')}'}}"
    return EcrError(
        "ImageNotFoundException",
        f"The image with imageId {shown} does not exist within the repository with name '{name}' in the registry with id '{registry}'",
    )


def tag_immutable(tag: str, name: str) -> EcrError:
    """Say that the tag exists and may not move."""
    return EcrError(
        "ImageTagAlreadyExistsException",
        f"The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the tag is immutable.",
    )


def access_denied(principal_arn: str, action: str, resource: str, why: str = "") -> EcrError:
    """Say that a policy does not let the caller do this."""
    reason = f" {why}" if why else ""
    return EcrError(
        "AccessDeniedException", f"User: {principal_arn} is not authorized to perform: {action} on resource: {resource}{reason}"
    )
