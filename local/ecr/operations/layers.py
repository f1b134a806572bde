"""Operations on layers: what `docker push` and `docker pull` call under the hood."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import TYPE_CHECKING, Any

from local.ecr.errors import EcrError, invalid
from local.ecr.manifests import digest_of
from local.ecr.wiring import wiring

if TYPE_CHECKING:
    from local.ecr.calls import Request
    from local.ecr.models import Repository

PART_SIZE = 20 * 1024 * 1024
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}")


def _upload(repository: Repository, upload_id: str) -> bytearray:
    content = repository.uploads.get(upload_id)
    if content is None:
        raise EcrError(
            "UploadNotFoundException",
            f"Upload with id '{upload_id}' could not be found for the repository with name '{repository.name}' "
            f"in the registry with id '{repository.registry_id}'",
        )
    return content


def initiate_layer_upload(request: Request) -> dict[str, Any]:
    """Begin an upload."""
    upload_id = str(uuid.uuid4())
    request.repository().uploads[upload_id] = bytearray()
    return {"uploadId": upload_id, "partSize": PART_SIZE}


def upload_layer_part(request: Request) -> dict[str, Any]:
    """Append a part; parts come in order."""
    repository, parameters = request.repository(), request.parameters
    content = _upload(repository, parameters["uploadId"])
    part = parameters["layerPartBlob"]
    try:
        received = part if isinstance(part, bytes) else base64.b64decode(part, validate=True)
    except (binascii.Error, TypeError) as error:
        raise invalid("layerPartBlob", "must be base64") from error
    if parameters["partFirstByte"] != len(content) or parameters["partLastByte"] != len(content) + len(received) - 1:
        raise EcrError(
            "InvalidLayerPartException",
            f"Invalid layer part upload for upload with id '{parameters['uploadId']}' "
            f"in the repository with name '{repository.name}' in the registry with id '{repository.registry_id}'",
        )
    content += received
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "uploadId": parameters["uploadId"],
        "lastByteReceived": len(content) - 1,
    }


def complete_layer_upload(request: Request) -> dict[str, Any]:
    """Finish an upload; its bytes must have the digest that the caller names."""
    repository, parameters = request.repository(), request.parameters
    content = bytes(_upload(repository, parameters["uploadId"]))
    digest = digest_of(content)
    if digest not in parameters["layerDigests"]:
        raise EcrError("InvalidLayerException", f"Layer digest {digest} does not match the given {parameters['layerDigests'][0]}")
    del repository.uploads[parameters["uploadId"]]
    known = digest in repository.layers
    repository.layers[digest], repository.blobs[digest] = len(content), content
    if known:
        raise EcrError(
            "LayerAlreadyExistsException",
            f"The image layer already exists in the associated repository: layer '{digest}' in '{repository.name}'",
        )
    return {
        "registryId": repository.registry_id,
        "repositoryName": repository.name,
        "uploadId": parameters["uploadId"],
        "layerDigest": digest,
    }


def batch_check_layer_availability(request: Request) -> dict[str, Any]:
    """Say which layers the repository has."""
    repository = request.repository()
    layers: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    for digest in request.parameters["layerDigests"]:
        if not _DIGEST.fullmatch(digest):
            code, reason = "InvalidLayerDigest", f"Invalid layer digest '{digest}'"
            failures.append({"layerDigest": digest, "failureCode": code, "failureReason": reason})
        elif digest in repository.layers:
            layers.append({"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": repository.layers[digest]})
        else:
            layers.append({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"})
    return {"layers": layers, "failures": failures}


def get_download_url_for_layer(request: Request) -> dict[str, Any]:
    """Say where a layer can be fetched: here the running registry, where AWS gives a presigned S3 address."""
    repository, backend = request.repository(), request.backend
    digest = request.parameters["layerDigest"]
    if digest not in repository.layers:
        raise EcrError("LayersNotFoundException", f"The layer '{digest}' does not exist in the repository '{repository.name}'")
    address = wiring.registries.get((backend.account_id, backend.region_name), "127.0.0.1")
    return {"downloadUrl": f"http://{address}/v2/{repository.name}/blobs/{digest}", "layerDigest": digest}


OPERATIONS = {
    "InitiateLayerUpload": initiate_layer_upload,
    "UploadLayerPart": upload_layer_part,
    "CompleteLayerUpload": complete_layer_upload,
    "BatchCheckLayerAvailability": batch_check_layer_availability,
    "GetDownloadUrlForLayer": get_download_url_for_layer,
}
