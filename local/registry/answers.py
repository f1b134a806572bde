"""Answers of the registry, and how an error of ECR reads to a registry client (OCI distribution specification, "Error codes")."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.ecr.errors import EcrError

_ERRORS = {
    "RepositoryNotFoundException": (404, "NAME_UNKNOWN"),
    "AccessDeniedException": (403, "DENIED"),
    "ImageTagAlreadyExistsException": (400, "TAG_INVALID"),
    "ImageNotFoundException": (404, "MANIFEST_UNKNOWN"),
    "ImageDigestDoesNotMatchException": (400, "DIGEST_INVALID"),
    "LayersNotFoundException": (404, "MANIFEST_BLOB_UNKNOWN"),
    "ReferencedImagesNotFoundException": (404, "MANIFEST_BLOB_UNKNOWN"),
    "InvalidLayerException": (400, "DIGEST_INVALID"),
    "InvalidLayerPartException": (416, "BLOB_UPLOAD_INVALID"),
    "UploadNotFoundException": (404, "BLOB_UPLOAD_UNKNOWN"),
    "ThrottlingException": (429, "TOOMANYREQUESTS"),
    "ServerException": (500, "UNKNOWN"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Refused(Exception):
    """A request that ends with an error of the registry protocol."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.answer = Answer(status, (headers or {}) | {"Content-Type": "application/json"}, _body(code, message))


def _body(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def refusal_of(error: EcrError) -> Refused:
    """Say an error of ECR in the registry protocol."""
    if error.code == "InvalidParameterException":
        return Refused(400, "NAME_INVALID" if "'repositoryName'" in error.message else "MANIFEST_INVALID", error.message)
    status, code = _ERRORS.get(error.code, (400, "UNSUPPORTED"))
    return Refused(status, code, error.message)
