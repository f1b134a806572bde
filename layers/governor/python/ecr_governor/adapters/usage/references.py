"""References to images, as tasks, functions and files name them, and what use they prove."""

from dataclasses import dataclass
from typing import Final

import re2

from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.retirement.evidence import Use

REGISTRY: Final = r"([0-9]{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.[a-z0-9.-]+(?::[0-9]+)?"
"""Hosts of ECR's, in small letters. Partitions differ in what follows the Region. Evidence can only keep, so that no ending is one too many."""
_REGISTRY: Final = re2.compile(REGISTRY)
_DIGEST: Final = re2.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """`ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME[:TAG][@DIGEST]` in its parts; `account` and `region` are "" for a registry that is not ECR's."""

    account: str
    region: str
    repository: str
    tag: str | None = None
    digest: str | None = None


def parsed(text: str) -> Reference:
    """Read a reference. A scheme in front, as Kubernetes writes it (`docker-pullable://…`), is left out; nothing is raised."""
    _, scheme, rest = text.strip().partition("://")
    path, _, after = (rest if scheme else text.strip()).partition("@")
    if not after and _DIGEST.fullmatch(path):
        path, after = "", path
    digest = after if _DIGEST.fullmatch(after) else None
    host, _, named = path.partition("/")
    name, _, tag = named.partition(":")
    registry = _REGISTRY.fullmatch(host.lower())
    account, region = (registry[1], registry[2]) if registry else ("", "")
    return Reference(account, region, name, tag or None, digest)


def tells_which(text: str) -> bool:
    """Whether a reference says which image it means: by a digest, or by a registry and a repository that can exist there.

    What names no registry, such as `payments/api:v1`, may be an image of this one as well as of any other.
    """
    found = parsed(text)
    host, _, _ = text.strip().rpartition("://")[2].partition("/")
    if found.digest:
        return True
    if not found.repository or not ("." in host or ":" in host or host == "localhost"):
        return False
    return not found.account or is_repository_name(found.repository)


def use_of(user: str, text: str, account: str, region: str) -> Use | None:
    """Tell what a user's reference proves for the registry of this account and Region; None if nothing.

    In another registry the same digest may be the same image, by a pull through cache or by replication: only the digest counts then.
    """
    found = parsed(text)
    if (found.account, found.region) == (account, region) and found.repository:
        return Use(user, found.repository, found.digest, found.tag)
    return Use(user, digest=found.digest) if found.digest else None
