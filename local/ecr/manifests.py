"""What ECR reads out of an image manifest: OCI image specification 1.1 and Docker image manifest V2 schema 2."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from local.ecr.errors import EcrError, invalid

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_LIST})


def digest_of(content: bytes) -> str:
    """Return the digest that names a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest and what follows from its text."""

    text: str
    digest: str
    media_type: str
    artifact_media_type: str | None
    artifact_type: str | None
    subject: str | None
    children: tuple[str, ...]
    blobs: tuple[tuple[str, int], ...]
    annotations: tuple[tuple[str, str], ...]

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests."""
        return self.media_type in INDEX_TYPES

    @property
    def layer_bytes(self) -> int:
        """Return the compressed size of what the manifest names."""
        return sum(size for _, size in self.blobs)


def parse(text: str, media_type: str | None = None) -> Manifest:
    """Read a manifest; the media type comes from the request or from the manifest itself."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise invalid("ImageManifest", "Invalid JSON syntax") from error
    if not isinstance(document, dict):
        raise invalid("ImageManifest", "Invalid JSON syntax")
    declared = document.get("mediaType") or media_type
    if not declared:
        raise EcrError("InvalidParameterException", "image manifest mediatype not provided in manifest or parameter")
    if media_type and declared != media_type:
        raise invalid("imageManifestMediaType", "Media type must match the one of the manifest")
    config = document.get("config") or {}
    try:
        blobs = [(part["digest"], int(part["size"])) for part in _blobs(document)]
        children = tuple(child["digest"] for child in document.get("manifests", ()))
        subject = document["subject"]["digest"] if document.get("subject") else None
    except (KeyError, TypeError, ValueError) as error:
        raise invalid("ImageManifest", "Invalid image manifest provided") from error
    return Manifest(
        text=text,
        digest=digest_of(text.encode()),
        media_type=declared,
        artifact_media_type=document.get("artifactType") or config.get("mediaType"),
        artifact_type=document.get("artifactType") or config.get("mediaType"),
        subject=subject,
        children=children,
        blobs=tuple(blobs),
        annotations=tuple((document.get("annotations") or {}).items()),
    )


def _blobs(document: dict[str, Any]) -> list[dict[str, Any]]:
    """List config and layers; foreign layers, which carry `urls`, are not stored in the registry."""
    parts = [document["config"]] if document.get("config") else []
    return parts + [layer for layer in document.get("layers", ()) if not layer.get("urls")]


def image_manifest(config: tuple[str, int], layers: list[tuple[str, int]], **extra: Any) -> str:
    """Write an OCI image manifest over blobs given as digest and size."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": config[0], "size": config[1]},
        "layers": [{"mediaType": OCI_LAYER, "digest": digest, "size": size} for digest, size in layers],
    }
    return json.dumps(document | extra, separators=(",", ":"))


def index_manifest(children: list[tuple[str, int, str]], **extra: Any) -> str:
    """Write an OCI index over children given as digest, size of the manifest and platform such as `linux/arm64`."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            {
                "mediaType": OCI_MANIFEST,
                "digest": digest,
                "size": size,
                "platform": {"os": platform.split("/")[0], "architecture": platform.split("/")[1]},
            }
            for digest, size, platform in children
        ],
    }
    return json.dumps(document | extra, separators=(",", ":"))
