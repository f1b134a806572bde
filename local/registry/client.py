"""A small registry client over `http.client`, for machines without skopeo or docker. It speaks the OCI distribution protocol."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode

from local.ecr.manifests import OCI_INDEX, OCI_MANIFEST, digest_of, image_manifest, index_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

_CREATED = 201
_ACCEPTED = 202
_OK = 200


class RegistryRefused(Exception):
    """The registry said no."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if code else f"HTTP {status}")
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class PulledImage:
    """What a pull brought: the manifest that was asked for, and all layers below it."""

    digest: str
    manifest: dict[str, Any]
    layers: dict[str, bytes] = field(default_factory=dict)


class Client:
    """A connection to a registry. `token` is the `authorizationToken` of `GetAuthorizationToken`."""

    def __init__(self, address: str, token: str | None) -> None:
        host, _, port = address.removeprefix("http://").partition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=30)
        self._authorization = {"Authorization": f"Basic {token}"} if token else {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send one request and return status, headers and body."""
        self._connection.request(method, path, body=body, headers=self._authorization | (headers or {}))
        response = self._connection.getresponse()
        return response.status, response.headers, response.read()

    def expect(
        self, status: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPMessage, bytes]:
        """Send one request that must end with the status, or fail with the registry's words."""
        found, answered, content = self.send(method, path, body, headers)
        if found != status:
            raise _refused(found, content)
        return answered, content

    def push_blob(self, repository: str, content: bytes) -> tuple[str, int]:
        """Upload a blob unless the repository has it; return its digest and size."""
        digest = digest_of(content)
        base = f"/v2/{repository}/blobs/"
        if self.send("HEAD", base + digest)[0] != _OK:
            headers, _ = self.expect(_ACCEPTED, "POST", base + "uploads/", b"")
            headers, _ = self.expect(_ACCEPTED, "PATCH", headers["Location"], content, {"Content-Type": "application/octet-stream"})
            self.expect(_CREATED, "PUT", f"{headers['Location']}?{urlencode({'digest': digest})}", b"")
        return digest, len(content)

    def push_manifest(self, repository: str, reference: str, text: str, media_type: str) -> str:
        """Put a manifest under a tag or a digest; return its digest."""
        path = f"/v2/{repository}/manifests/{quote(reference, safe=':')}"
        headers, _ = self.expect(_CREATED, "PUT", path, text.encode(), {"Content-Type": media_type})
        return headers["Docker-Content-Digest"]

    def get_manifest(self, repository: str, reference: str) -> tuple[str, dict[str, Any]]:
        """Fetch a manifest by tag or digest; return its digest and its document."""
        accept = {"Accept": f"{OCI_MANIFEST}, {OCI_INDEX}"}
        _, content = self.expect(_OK, "GET", f"/v2/{repository}/manifests/{quote(reference, safe=':')}", headers=accept)
        return digest_of(content), json.loads(content)


def _refused(status: int, content: bytes) -> RegistryRefused:
    try:
        error = json.loads(content)["errors"][0]
    except (ValueError, KeyError, IndexError):
        return RegistryRefused(status, "", content.decode(errors="replace"))
    return RegistryRefused(status, error.get("code", ""), error.get("message", ""))


def _push_single(client: Client, repository: str, reference: str | None, layers: Sequence[bytes], note: str) -> tuple[str, int]:
    # Every layer is sent before the configuration, as docker does.
    blobs = [client.push_blob(repository, layer) for layer in layers]
    config = json.dumps({"architecture": note.rpartition("/")[2] or "amd64", "os": "linux", "rootfs": {"type": "layers"}}).encode()
    text = image_manifest(client.push_blob(repository, config), blobs)
    return client.push_manifest(repository, reference or digest_of(text.encode()), text, OCI_MANIFEST), len(text)


def push_image(
    address: str, token: str, repository: str, tag: str, *, layers: Sequence[bytes] = (b"layer",), platforms: Sequence[str] = ()
) -> str:
    """Push an image of these layers and return its digest; with `platforms`, an index with one child for each."""
    with Client(address, token) as client:
        if not platforms:
            return _push_single(client, repository, tag, layers, "")[0]
        children = []
        for platform in platforms:
            own = [*layers, f"for {platform}".encode()]
            children.append((*_push_single(client, repository, None, own, platform), platform))
        return client.push_manifest(repository, tag, index_manifest(children), OCI_INDEX)


def pull_image(address: str, token: str, repository: str, reference: str) -> PulledImage:
    """Pull an image, of an index the first child, with its layers."""
    with Client(address, token) as client:
        digest, manifest = client.get_manifest(repository, reference)
        image = client.get_manifest(repository, manifest["manifests"][0]["digest"])[1] if manifest.get("manifests") else manifest
        layers = {
            part["digest"]: client.expect(_OK, "GET", f"/v2/{repository}/blobs/{part['digest']}")[1]
            for part in [image["config"], *image["layers"]]
        }
        for named, content in layers.items():
            if digest_of(content) != named:
                raise RegistryRefused(_OK, "DIGEST_INVALID", f"the bytes of {named} have another digest")
        return PulledImage(digest, manifest, layers)
