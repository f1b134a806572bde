"""Bucket policies. moto leaves their conditions aside, so that a statement against plain HTTP would shut out everybody."""

import json
from collections.abc import Mapping
from typing import Any

from moto.iam.access_control import IAMPolicy
from moto.s3.models import FakeBucket

CONTEXT = {"aws:SecureTransport": "true"}
"""The endpoint stands for AWS's own, which is reached by TLS; on loopback there is none to speak of."""


def install() -> None:
    """Let buckets heed the conditions of their policies."""
    replaceable: Any = FakeBucket
    replaceable.get_permission = _get_permission


def _get_permission(bucket: FakeBucket, action: str, resource: str) -> Any:
    document = json.loads(bucket.policy.decode()) if bucket.policy else {}
    listed = document.get("Statement", [])
    statements = [statement for statement in (listed if isinstance(listed, list) else [listed]) if _holds(statement.get("Condition", {}))]
    return IAMPolicy(json.dumps({"Version": "2012-10-17", "Statement": statements})).is_action_permitted(action, resource)


def _holds(condition: Mapping[str, Mapping[str, Any]]) -> bool:
    for operator, keys in condition.items():
        for key, value in keys.items():
            if operator != "Bool" or key not in CONTEXT:
                raise NotImplementedError(f"the embedded AWS does not know the bucket policy condition {operator} {key}")
            wanted = value if isinstance(value, list) else [value]
            if CONTEXT[key] not in [str(each).lower() for each in wanted]:
                return False
    return True
