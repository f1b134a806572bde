"""Operations on images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from local.ecr import manifests, paging
from local.ecr.calls import storage_class_detail
from local.ecr.errors import EcrError, image_not_found, invalid, tag_immutable
from local.ecr.models import RESTORE_TIME, Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.ecr.calls import Request
    from local.ecr.manifests import Manifest
    from local.ecr.models import Repository

_DIGEST = re.compile(r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]{64}")
REFERRERS_PAGE = 20


def put_image(request: Request) -> dict[str, Any]:
    """Store a manifest and its tag. The digest is that of the manifest's bytes; a mutable tag moves and leaves its image untagged."""
    repository, parameters = request.repository(), request.parameters
    manifest = manifests.parse(parameters["imageManifest"], parameters.get("imageManifestMediaType"))
    claimed = parameters.get("imageDigest")
    if claimed is not None and claimed != manifest.digest:
        raise EcrError(
            "ImageDigestDoesNotMatchException",
            f"The specified digest '{claimed}' does not match the calculated digest '{manifest.digest}' of the image manifest",
        )
    tag = parameters.get("imageTag")
    image = repository.images.get(manifest.digest)
    if image is not None and (tag is None or tag in image.tags):
        raise EcrError(
            "ImageAlreadyExistsException",
            f"Image with digest '{manifest.digest}' and tag '{tag}' already exists in the repository with name '{repository.name}' "
            f"in registry with id '{repository.registry_id}'",
        )
    _check_parts(repository, manifest)
    if tag is not None and repository.tagged.get(tag, manifest.digest) != manifest.digest and repository.is_immutable(tag):
        raise tag_immutable(tag, repository.name)
    if image is None:
        image = Image(manifest=manifest, pushed_at=request.now, size=repository.size_of(manifest))
        repository.add_image(image)
    # UNCONFIRMED: that a push of an archived manifest makes it active; documented for replication only.
    image.status = "ACTIVE"
    if tag is not None:
        repository.put_tag(image, tag)
    request.emit("ECR Image Action", _image_action(repository, image, "PUSH", tag))
    return {"image": _as_image(repository, image, tag)}


def _check_parts(repository: Repository, manifest: Manifest) -> None:
    """Refuse a manifest whose layers or children are not in the repository."""
    if missing := sorted(digest for digest, _ in manifest.blobs if digest not in repository.layers):
        raise EcrError("LayersNotFoundException", f"The following layers could not be found: {', '.join(missing)}")
    if missing := sorted(digest for digest in manifest.children if digest not in repository.images):
        raise EcrError("ReferencedImagesNotFoundException", f"The following images could not be found: {', '.join(missing)}")


def _image_action(repository: Repository, image: Image, action: str, tag: str | None) -> dict[str, Any]:
    detail = {"result": "SUCCESS", "repository-name": repository.name, "image-digest": image.digest, "action-type": action}
    return detail | ({"image-tag": tag} if tag else {})


def _image_id(image: Image, tag: str | None) -> dict[str, str]:
    return {"imageDigest": image.digest} | ({"imageTag": tag} if tag else {})


def _as_image(repository: Repository, image: Image, tag: str | None) -> dict[str, Any]:
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageId": _image_id(image, tag),
        "imageManifest": image.manifest.text,
        "imageManifestMediaType": image.manifest.media_type,
    }


def _detail(repository: Repository, image: Image) -> dict[str, Any]:
    document: dict[str, Any] = {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageDigest": image.digest,
        "imageSizeInBytes": image.size,
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": image.manifest.media_type,
        "artifactMediaType": image.manifest.artifact_media_type,
        "lastRecordedPullTime": image.pulled_at,
        "subjectManifestDigest": image.manifest.subject,
        "imageStatus": image.status,
        "lastArchivedAt": image.archived_at,
        "lastActivatedAt": image.activated_at,
    }
    # An untagged image has no `imageTags` member at all.
    document["imageTags"] = list(image.tags) or None
    return {key: value for key, value in document.items() if value is not None}


def _selected(repository: Repository, wanted: dict[str, str]) -> Iterator[Image]:
    """Select by `filter`; without `imageStatus` only ACTIVE images are listed, archived ones are hidden."""
    tag_status, status = wanted.get("tagStatus", "ANY"), wanted.get("imageStatus", "ACTIVE")
    for image in repository.images.values():
        if status not in {"ANY", image.status}:
            continue
        if tag_status == "ANY" or bool(image.tags) == (tag_status == "TAGGED"):
            yield image


def describe_images(request: Request) -> dict[str, Any]:
    """Describe images by pages, or up to 100 by id. UNCONFIRMED: that images named by id are shown whatever their status."""
    repository, parameters = request.repository(), request.parameters
    ids = parameters.get("imageIds")
    if ids is not None:
        if {"nextToken", "maxResults"} & set(parameters):
            raise invalid("imageIds", "maxResults and nextToken cannot be used with imageIds")
        found: dict[str, Image] = {}
        for image_id in ids:
            image = repository.find(image_id)
            if image is None:
                raise image_not_found(image_id, repository.name, repository.registry_id)
            found[image.digest] = image
        return {"imageDetails": [_detail(repository, image) for image in found.values()]}
    digests, following = paging.page((image.digest for image in _selected(repository, parameters.get("filter", {}))), parameters)
    return {"imageDetails": [_detail(repository, repository.images[digest]) for digest in digests], **following}


def list_images(request: Request) -> dict[str, Any]:
    """List pairs of digest and tag: an image with two tags is listed twice."""
    repository, parameters = request.repository(), request.parameters
    entries = (f"{image.digest}@{tag}" for image in _selected(repository, parameters.get("filter", {})) for tag in (image.tags or [""]))
    found, following = paging.page(entries, parameters)
    pairs = [entry.partition("@") for entry in found]
    return {"imageIds": [{"imageDigest": digest} | ({"imageTag": tag} if tag else {}) for digest, _, tag in pairs], **following}


def batch_get_image(request: Request) -> dict[str, Any]:
    """Return manifests. The call is a pull; it leaves pull times alone if the caller is excluded from them.

    UNCONFIRMED: that CloudWatch counts an excluded caller's pulls too.
    """
    return _get(request, pulls=True, dated=request.principal.policy_arn not in request.backend.pull_time_exclusions)


def peek_image(request: Request) -> dict[str, Any]:
    """Return manifests without counting a pull: for the HEAD of a registry client."""
    return _get(request, pulls=False, dated=False)


def _get(request: Request, *, pulls: bool, dated: bool) -> dict[str, Any]:
    """Find images. UNCONFIRMED: the failure code of an archived one; the guide says only that its pull is answered with 404."""
    repository = request.repository()
    images: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    for image_id in request.parameters["imageIds"]:
        if failure := _malformed(image_id):
            failures.append(failure)
            continue
        image = repository.find(image_id)
        if image is None:
            failures.append(_failure(image_id, "ImageNotFound", "Requested image not found"))
        elif image.status != "ACTIVE":
            failures.append(_failure(image_id, "ImageInaccessible", "Requested image is archived"))
        else:
            if pulls:
                request.backend.count_pull(repository.name, request.now)
            if dated:
                image.pulled_at = request.now
            images.append(_as_image(repository, image, image_id.get("imageTag")))
    return {"images": images, "failures": failures}


def _failure(image_id: dict[str, str], code: str, reason: str) -> dict[str, Any]:
    return {"imageId": dict(image_id), "failureCode": code, "failureReason": reason}


def _malformed(image_id: dict[str, str]) -> dict[str, Any] | None:
    digest = image_id.get("imageDigest")
    if digest is None and image_id.get("imageTag") is None:
        return _failure(image_id, "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null")
    if digest is not None and not _DIGEST.fullmatch(digest):
        return _failure(
            image_id,
            "InvalidImageDigest",
            "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
        )
    return None


def batch_delete_image(request: Request) -> dict[str, Any]:
    """Delete images, in the order given. The answer is 200 also when some or all could not be deleted."""
    repository = request.repository()
    deleted: list[dict[str, str]] = []
    failures: list[dict[str, Any]] = []
    for image_id in request.parameters["imageIds"]:
        failure = _malformed(image_id) or _undeletable(repository, image_id)
        if failure:
            failures.append(failure)
        else:
            deleted += _delete(request, repository, image_id)
    return {"imageIds": deleted, "failures": failures}


def _undeletable(repository: Repository, image_id: dict[str, str]) -> dict[str, Any] | None:
    image = repository.find(image_id)
    if image is None:
        known = repository.images.get(image_id.get("imageDigest", ""))
        if known is not None and image_id.get("imageTag") in repository.tagged:
            return _failure(image_id, "ImageTagDoesNotMatchDigest", "The image tag does not match the image digest")
        return _failure(image_id, "ImageNotFound", "Requested image not found")
    if _only_untags(image, image_id):
        return None
    if parents := repository.parents_of(image.digest):
        return _failure(image_id, "ImageReferencedByManifestList", f"Requested image referenced by manifest list: [{', '.join(parents)}]")
    return None


def _only_untags(image: Image, image_id: dict[str, str]) -> bool:
    """By tag only the tag goes while others remain. UNCONFIRMED: that tag and digest together mean the tag."""
    return "imageTag" in image_id and len(image.tags) > 1


def _delete(request: Request, repository: Repository, image_id: dict[str, str]) -> list[dict[str, str]]:
    image = repository.find(image_id)
    if image is None:
        raise image_not_found(image_id, repository.name, repository.registry_id)
    if _only_untags(image, image_id):
        repository.remove_tag(image_id["imageTag"])
        removed: list[str | None] = [image_id["imageTag"]]
    else:
        removed = list(image.tags) or [None]
        repository.remove_image(image)
    for tag in removed:
        request.emit("ECR Image Action", _image_action(repository, image, "DELETE", tag))
    return [_image_id(image, tag) for tag in removed]


def update_image_storage_class(request: Request) -> dict[str, Any]:
    """Archive an image, or start its restore, which takes up to 20 minutes."""
    repository, parameters = request.repository(), request.parameters
    image = repository.find(parameters["imageId"])
    if image is None:
        raise image_not_found(parameters["imageId"], repository.name, repository.registry_id)
    target = parameters["targetStorageClass"]
    if target == "ARCHIVE":
        # UNCONFIRMED: which states refuse the change; the model has the error but no list.
        if image.status != "ACTIVE":
            raise _unsupported(image, target)
        image.status, image.archived_at = "ARCHIVED", request.now
        request.emit("ECR Image Action", storage_class_detail(repository.name, image, target))
    else:
        if image.status != "ARCHIVED":
            raise _unsupported(image, target)
        image.status, image.ready_at = "ACTIVATING", request.now + RESTORE_TIME
        request.backend.activating.append((repository.name, image.digest))
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "imageId": _image_id(image, parameters["imageId"].get("imageTag")),
        "imageStatus": image.status,
    }


def _unsupported(image: Image, target: str) -> EcrError:
    return EcrError(
        "ImageStorageClassUpdateNotSupportedException",
        f"The storage class of an image with status {image.status} cannot be updated to {target}",
    )


def list_image_referrers(request: Request) -> dict[str, Any]:
    """List the artifacts whose `subject` is the image. UNCONFIRMED: that it leaves pull times alone."""
    repository, parameters = request.repository(), request.parameters
    wanted = parameters.get("filter", {})
    types, status = wanted.get("artifactTypes"), wanted.get("artifactStatus", "ACTIVE")
    subject = parameters["subjectId"]["imageDigest"]
    matching = (
        image.digest
        for image in repository.images.values()
        if image.manifest.subject == subject and status in {"ANY", image.status} and (not types or image.manifest.artifact_type in types)
    )
    digests, following = paging.page(matching, parameters, default=REFERRERS_PAGE)
    return {"referrers": [_referrer(repository.images[digest]) for digest in digests], **following}


def _referrer(image: Image) -> dict[str, Any]:
    document: dict[str, Any] = {
        "digest": image.digest,
        "mediaType": image.manifest.media_type,
        "artifactType": image.manifest.artifact_type,
        "size": len(image.manifest.text.encode()),
        "annotations": dict(image.manifest.annotations) or None,
        "artifactStatus": image.status,
    }
    return {key: value for key, value in document.items() if value is not None}


OPERATIONS = {
    "PutImage": put_image,
    "DescribeImages": describe_images,
    "ListImages": list_images,
    "BatchGetImage": batch_get_image,
    "BatchDeleteImage": batch_delete_image,
    "UpdateImageStorageClass": update_image_storage_class,
    "ListImageReferrers": list_image_referrers,
}
