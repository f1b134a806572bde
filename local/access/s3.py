"""What an S3 request must be allowed. S3 is addressed by method, path and query, not by operation name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from moto.s3.models import s3_backends

from local.access.policy import Access

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSIONED = {"GetObject": "GetObjectVersion", "DeleteObject": "DeleteObjectVersion"}
RENAMED = {"HeadBucket": "ListBucket"}
SUBRESOURCES = {
    "publicAccessBlock": "BucketPublicAccessBlock",
    "encryption": "EncryptionConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "object-lock": "BucketObjectLockConfiguration",
}
"""Bucket settings that moto's own table of actions leaves to its default."""


def needs(
    action: str, method: str, query: Mapping[str, Any], headers: Mapping[str, str], bucket: str | None, key: str | None
) -> Iterator[Access]:
    """Every access that the request must be allowed; `action` is what moto's routing made of it."""
    if bucket is None:
        yield Access(f"s3:{action}", "*")
        return
    arn = f"arn:aws:s3:::{bucket}"
    if key is None:
        for name, suffix in SUBRESOURCES.items():
            if name in query:
                action = {"GET": "Get", "PUT": "Put", "DELETE": "Put"}.get(method, "Get") + suffix
        action = RENAMED.get(action, action)
        prefix = query.get("prefix")
        context = {"s3:prefix": (str(prefix[0] if isinstance(prefix, list) else prefix),)} if prefix else {}
        many = action == "DeleteObject"
        yield Access(f"s3:{action}", f"{arn}/*" if many else arn, context)
        return
    if query.get("versionId"):
        action = VERSIONED.get(action, action)
    yield Access(f"s3:{action}", f"{arn}/{key}")
    if action == "PutObject":
        if headers.get("x-amz-tagging"):
            yield Access("s3:PutObjectTagging", f"{arn}/{key}")
        if source := headers.get("x-amz-copy-source"):
            path, _, version = unquote(source).lstrip("/").partition("?versionId=")
            yield Access("s3:GetObjectVersion" if version else "s3:GetObject", f"arn:aws:s3:::{path}")


def listing_needed(account: str, action: str, bucket: str | None, key: str | None) -> Access | None:
    """Without `s3:ListBucket` a missing key answers 403, not 404, so that its absence stays secret."""
    if action not in {"GetObject", "GetObjectVersion"} or not bucket or not key:
        return None
    stored = s3_backends[account]["aws"].buckets.get(bucket)
    if stored is None or key in stored.keys:
        return None
    return Access("s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": (key,)})
