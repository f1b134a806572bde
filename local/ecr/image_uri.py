"""What an image reference of a task or a function points to in this registry."""

from __future__ import annotations

from local.ecr.store import backend_of


def digest_behind(uri: str) -> str | None:
    """Give the digest of `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME[:TAG][@DIGEST]`; None if it names no image that is here.

    A reference by digest names that digest, wherever its registry is.
    """
    path, _, digest = uri.partition("@")
    if digest:
        return digest
    host, _, named = path.partition("/")
    name, _, tag = named.partition(":")
    parts = host.split(".")
    if parts[1:3] != ["dkr", "ecr"]:
        return None
    repository = backend_of(parts[0], parts[3]).repositories.get(name)
    image = repository.find({"imageTag": tag or "latest"}) if repository else None
    return image.digest if image else None
