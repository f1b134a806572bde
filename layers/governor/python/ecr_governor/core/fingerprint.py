"""Short names for what a repository's settings are: two that differ tell that something changed."""

import hashlib
from collections.abc import Mapping
from itertools import chain

from ecr_governor.core.repository import NOT_FETCHED, Repository, Unreadable

FINGERPRINT_LENGTH = 12


def listed_fingerprint(repository: Repository, tags: Mapping[str, str] | Unreadable) -> str:
    """Identify what a listing tells of a repository, and its tags; "" if a part of it could not be read."""
    mutability, encryption = repository.tag_mutability, repository.encryption
    if isinstance(mutability, Unreadable) or isinstance(encryption, Unreadable) or isinstance(tags, Unreadable):
        return ""
    settings = (
        mutability.mutability,
        ",".join(sorted(mutability.exclusion_filters)) if mutability.exclusion_filters else "",
        encryption.type,
        encryption.kms_key or "",
        "scan on push" if repository.scan_on_push else "",
    )
    return _fingerprint(*settings, *chain.from_iterable(sorted(tags.items())))


def read_fingerprint(repository: Repository) -> str:
    """Identify the settings that are read for each repository; "" if one of them could not be read."""
    known: list[str] = []
    for value in (repository.lifecycle_policy, repository.repository_policy, repository.scan_frequency):
        if not isinstance(value, Unreadable):
            known += ("none",) if value is None else ("is", value)
        elif value == NOT_FETCHED:
            # What no rule asks for is missing each time in the same way.
            known.append("not asked for")
        else:
            return ""
    return _fingerprint(*known)


def _fingerprint(*parts: str) -> str:
    # None of them can hold the separator: AWS takes no control characters in tags, and JSON has none.
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=FINGERPRINT_LENGTH // 2).hexdigest()
