"""The registry protocol on ECR: each request becomes the ECR call that AWS records for it (user guide, "Logging using CloudTrail")."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from local.ecr.calls import Request, perform, record, through_ecr
from local.ecr.constraints import check
from local.ecr.creation import create_on_push
from local.ecr.errors import EcrError
from local.ecr.manifests import OCI_INDEX, digest_of, parse
from local.ecr.operations import OPERATIONS
from local.ecr.operations.images import peek_image
from local.registry.answers import Answer, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.ecr.models import Backend
    from local.principals import Principal

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_MAX_PAGE = 1000
_MAX_REFERRERS = 50


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of a registry client."""

    backend: Backend
    principal: Principal
    name: str
    query: dict[str, str]
    body: bytes
    content_type: str
    accept: tuple[str, ...]

    def answer(self, method: str, kind: str, reference: str) -> Answer:
        """Answer the request. ECR deletes by its API only."""
        check("DeleteRepository", {"repositoryName": self.name})
        handlers: dict[tuple[str, str], Callable[[], Answer]] = {
            ("HEAD", "blob"): partial(self._head_blob, reference),
            ("GET", "blob"): partial(self._get_blob, reference),
            ("POST", "upload"): self._begin,
            ("GET", "upload"): partial(self._progress, reference),
            ("PATCH", "upload"): partial(self._append, reference),
            ("PUT", "upload"): partial(self._finish, reference),
            ("HEAD", "manifest"): partial(self._get_manifest, reference, peek=True),
            ("GET", "manifest"): partial(self._get_manifest, reference, peek=False),
            ("PUT", "manifest"): partial(self._put_manifest, reference),
            ("GET", "tags"): self._tags,
            ("GET", "referrers"): partial(self._referrers, reference),
        }
        handler = handlers.get((method, kind))
        if handler is None:
            raise Refused(405, "UNSUPPORTED", "The operation is unsupported.")
        return handler()

    def _call(
        self, operation: str, parameters: dict[str, Any], *, run: Callable[[Request], dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        return perform(
            operation,
            {"registryId": self.backend.account_id, "repositoryName": self.name} | parameters,
            backend=self.backend,
            caller=through_ecr(self.principal),
            run=run or OPERATIONS[operation],
        )

    def _create_if_missing(self) -> None:
        """Create the repository of a first push. Without a template the call that follows fails, and is recorded as failed.

        Creation comes before authorization of the push: a user saw blank repositories left by pushes that were then denied
        (github.com/aws/containers-roadmap/issues/853).
        """
        if self.name not in self.backend.repositories:
            try:
                create_on_push(self.backend, self.name, self.principal, datetime.now(UTC))
            except EcrError as error:
                if error.code != "RepositoryNotFoundException":
                    raise

    def _head_blob(self, digest: str) -> Answer:
        self._create_if_missing()
        found = self._call("BatchCheckLayerAvailability", {"layerDigests": [digest]})["layers"]
        if not found or found[0]["layerAvailability"] != "AVAILABLE":
            raise Refused(404, "BLOB_UNKNOWN", "blob unknown to registry")
        return Answer(200, {"Content-Length": str(found[0]["layerSize"]), "Docker-Content-Digest": digest})

    def _get_blob(self, digest: str) -> Answer:
        try:
            self._call("GetDownloadUrlForLayer", {"layerDigest": digest})
        except EcrError as error:
            if error.code != "LayersNotFoundException":
                raise
            raise Refused(404, "BLOB_UNKNOWN", "blob unknown to registry") from error
        content = self.backend.repository(self.name).blobs.get(digest)
        if content is None:
            raise Refused(404, "BLOB_UNKNOWN", "the bytes of this layer were never put into the embedded registry")
        return Answer(200, {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}, content)

    def _begin(self) -> Answer:
        self._create_if_missing()
        mounted = self.query.get("mount")
        if mounted and self._mount(mounted):
            return self._created(mounted)
        upload = self._call("InitiateLayerUpload", {})["uploadId"]
        if "digest" in self.query:
            return self._finish(upload)
        return self._accepted(upload)

    def _mount(self, digest: str) -> bool:
        """Mount a layer from another repository, which the account setting BLOB_MOUNTING must allow."""
        source = self.backend.repositories.get(self.query.get("from", ""))
        with self.backend.lock:
            target = self.backend.repositories.get(self.name)
            if (
                self.backend.account_settings["BLOB_MOUNTING"] != "ENABLED"
                or source is None
                or target is None
                or digest not in source.layers
            ):
                return False
            target.layers[digest] = source.layers[digest]
            if digest in source.blobs:
                target.blobs[digest] = source.blobs[digest]
        parameters = {"registryId": self.backend.account_id, "repositoryName": self.name, "layerDigest": digest}
        record(
            "MountLayer",
            Request(self.backend, parameters, through_ecr(self.principal), datetime.now(UTC)),
            response={"layerDigest": digest},
        )
        return True

    def _received(self, upload: str) -> int:
        repository = self.backend.repository(self.name)
        content = repository.uploads.get(upload)
        if content is None:
            raise Refused(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        return len(content)

    def _accepted(self, upload: str, *, status: int = 202) -> Answer:
        return Answer(
            status,
            {
                "Location": f"/v2/{self.name}/blobs/uploads/{upload}",
                "Range": f"0-{max(self._received(upload) - 1, 0)}",
                "Docker-Upload-UUID": upload,
            },
        )

    def _created(self, digest: str) -> Answer:
        return Answer(201, {"Location": f"/v2/{self.name}/blobs/{digest}", "Docker-Content-Digest": digest})

    def _progress(self, upload: str) -> Answer:
        return self._accepted(upload, status=204)

    def _append(self, upload: str) -> Answer:
        first = self._received(upload)
        if self.body:
            last = first + len(self.body) - 1
            part = {"uploadId": upload, "partFirstByte": first, "partLastByte": last, "layerPartBlob": self.body}
            self._call("UploadLayerPart", part)
        return self._accepted(upload)

    def _finish(self, upload: str) -> Answer:
        digest = self.query.get("digest", "")
        if not digest:
            raise Refused(400, "DIGEST_INVALID", "digest missing")
        self._append(upload)
        try:
            self._call("CompleteLayerUpload", {"uploadId": upload, "layerDigests": [digest]})
        except EcrError as error:
            if error.code != "LayerAlreadyExistsException":
                raise
        return self._created(digest)

    def _get_manifest(self, reference: str, *, peek: bool) -> Answer:
        """Return a manifest. UNCONFIRMED: that a HEAD, which pushing clients send too, is no pull."""
        image_id = {"imageDigest": reference} if ":" in reference else {"imageTag": reference}
        accepted: dict[str, Any] = {"acceptedMediaTypes": list(self.accept)} if self.accept else {}
        answer = self._call("BatchGetImage", {"imageIds": [image_id]} | accepted, run=peek_image if peek else None)
        if not answer["images"]:
            raise Refused(404, "MANIFEST_UNKNOWN", f"Requested image not found: {reference}")
        image = answer["images"][0]
        content = image["imageManifest"].encode()
        headers = {"Content-Type": image["imageManifestMediaType"], "Docker-Content-Digest": image["imageId"]["imageDigest"]}
        return Answer(200, headers | {"Content-Length": str(len(content))}, content)

    def _put_manifest(self, reference: str) -> Answer:
        if ":" not in reference and not _TAG.fullmatch(reference):
            raise Refused(400, "TAG_INVALID", f"{reference} is no image tag")
        self._create_if_missing()
        try:
            text = self.body.decode()
        except UnicodeDecodeError as error:
            raise Refused(400, "MANIFEST_INVALID", "the manifest is not UTF-8") from error
        named = {"imageDigest": reference} if ":" in reference else {"imageTag": reference}
        media_type = {"imageManifestMediaType": self.content_type} if self.content_type else {}
        try:
            self._call("PutImage", {"imageManifest": text} | media_type | named)
        except EcrError as error:
            # The client sees success when there is nothing to change.
            if error.code != "ImageAlreadyExistsException":
                raise
        digest = digest_of(self.body)
        subject = parse(text, self.content_type or None).subject
        headers = {"Location": f"/v2/{self.name}/manifests/{digest}", "Docker-Content-Digest": digest}
        return Answer(201, headers | ({"OCI-Subject": subject} if subject else {}))

    def _pages(self, operation: str, member: str, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        following: dict[str, str] = {}
        while True:
            answer = self._call(operation, parameters | following)
            yield from answer[member]
            if "nextToken" not in answer:
                return
            following = {"nextToken": answer["nextToken"]}

    def _tags(self) -> Answer:
        entries = self._pages("ListImages", "imageIds", {"maxResults": _MAX_PAGE, "filter": {"tagStatus": "TAGGED"}})
        tags = sorted(entry["imageTag"] for entry in entries)
        found = [tag for tag in tags if tag > self.query.get("last", "")]
        wanted = self.query.get("n", "")
        size = int(wanted) if wanted.isdecimal() else len(found)
        headers = {"Content-Type": "application/json"}
        if 0 < size < len(found):
            headers["Link"] = f'</v2/{self.name}/tags/list?n={size}&last={found[size - 1]}>; rel="next"'
        return Answer(200, headers, json.dumps({"name": self.name, "tags": found[:size]}).encode())

    def _referrers(self, subject: str) -> Answer:
        wanted = self.query.get("artifactType")
        narrowed = {"filter": {"artifactTypes": [wanted]}} if wanted else {}
        parameters = {"maxResults": _MAX_REFERRERS, "subjectId": {"imageDigest": subject}} | narrowed
        found = list(self._pages("ListImageReferrers", "referrers", parameters))
        descriptors = [{key: value for key, value in item.items() if key != "artifactStatus"} for item in found]
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}
        headers = {"Content-Type": OCI_INDEX} | ({"OCI-Filters-Applied": "artifactType"} if wanted else {})
        return Answer(200, headers, json.dumps(index).encode())
