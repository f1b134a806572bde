"""A real registry client pushes and pulls."""

import base64
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local import ecr
from local.ecr import manifests
from local.registry import Registry
from local.trail import Trail

SKOPEO = shutil.which("skopeo")
pytestmark = [pytest.mark.skopeo, pytest.mark.skipif(SKOPEO is None, reason="skopeo is not on the PATH")]


@pytest.fixture
def trail() -> Iterator[Trail]:
    trail = Trail(lambda _event: None)
    ecr.install(trail)
    with mock_aws():
        yield trail


@pytest.fixture
def registry(trail: Trail) -> Iterator[str]:
    registry = Registry()
    registry.start()
    yield registry.address
    registry.stop()


@pytest.fixture
def api(registry: str) -> Any:
    return boto3.client("ecr", region_name="eu-west-1", aws_access_key_id="alice", aws_secret_access_key="x")


def layout(folder: Path, content: bytes) -> str:
    """Write an OCI layout of one image of one file; return its digest."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def stored(blob: bytes) -> tuple[str, int]:
        digest = manifests.digest_of(blob)
        (blobs / digest.removeprefix("sha256:")).write_bytes(blob)
        return digest, len(blob)

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("file")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    diff = f"sha256:{hashlib.sha256(archive.getvalue()).hexdigest()}"
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff]}}
    text = manifests.image_manifest(stored(json.dumps(config).encode()), [stored(gzip.compress(archive.getvalue(), mtime=0))])
    digest, size = stored(text.encode())
    named = {"org.opencontainers.image.ref.name": "image"}
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    entry_of = {"mediaType": manifests.OCI_MANIFEST, "digest": digest, "size": size, "annotations": named}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry_of]}))
    return digest


def copy(api: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    token = api.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    credentials = [part.replace("CREDS", base64.b64decode(token).decode()) for part in arguments]
    return subprocess.run([str(SKOPEO), "copy", *credentials], capture_output=True, text=True, timeout=30, check=False)


def push(api: Any, folder: Path, target: str) -> subprocess.CompletedProcess[str]:
    return copy(api, "--dest-tls-verify=false", "--dest-creds", "CREDS", f"oci:{folder}:image", f"docker://{target}")


def test_push_and_pull(api: Any, registry: str, trail: Trail, tmp_path: Path) -> None:
    api.create_repository_creation_template(prefix="team", appliedFor=["CREATE_ON_PUSH"], imageTagMutability="IMMUTABLE")
    digest = layout(tmp_path / "one", b"one")
    pushed = push(api, tmp_path / "one", f"{registry}/team/service:v1")
    assert pushed.returncode == 0, pushed.stderr
    (image,) = api.describe_images(repositoryName="team/service")["imageDetails"]
    assert (image["imageDigest"], image["imageTags"]) == (digest, ["v1"])
    assert "lastRecordedPullTime" not in image
    writes = [event["detail"]["eventName"] for event in trail.history if event["detail"].get("readOnly") is False]
    assert [name for name in writes if name in {"CreateRepository", "PutImage"}] == ["CreateRepository", "PutImage"]

    source = ["--src-tls-verify=false", "--src-creds", "CREDS", f"docker://{registry}/team/service:v1"]
    pulled = copy(api, *source, f"oci:{tmp_path / 'out'}:image")
    assert pulled.returncode == 0, pulled.stderr
    assert (tmp_path / "out/blobs/sha256" / digest.removeprefix("sha256:")).exists()
    assert "lastRecordedPullTime" in api.describe_images(repositoryName="team/service")["imageDetails"][0]


def test_what_a_client_is_told(api: Any, registry: str, tmp_path: Path) -> None:
    layout(tmp_path / "one", b"one")
    layout(tmp_path / "two", b"two")
    unknown = push(api, tmp_path / "one", f"{registry}/team/service:v1")
    assert unknown.returncode != 0
    assert "name unknown: The repository with name 'team/service' does not exist" in unknown.stderr
    api.create_repository_creation_template(prefix="team", appliedFor=["CREATE_ON_PUSH"], imageTagMutability="IMMUTABLE")
    assert push(api, tmp_path / "one", f"{registry}/team/service:v1").returncode == 0
    again = push(api, tmp_path / "two", f"{registry}/team/service:v1")
    assert again.returncode != 0
    assert "cannot be overwritten because the tag is immutable" in again.stderr
