"""A repository as `DescribeRepositories` tells it: read in one way, whoever asked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ecr_governor.core.repository import Repository, encryption_of, tag_mutability_of


def repository_of(found: Mapping[str, Any], created_at: datetime, **fetched: Any) -> Repository:
    """Read an item of the answer's `repositories`; `fetched` are facts that were read by other calls, by their fields."""
    arn = found["repositoryArn"]
    encryption = found.get("encryptionConfiguration") or {"encryptionType": "AES256"}
    filters = found.get("imageTagMutabilityExclusionFilters")
    return Repository(
        name=found["repositoryName"],
        arn=arn,
        account=found["registryId"],
        region=arn.split(":", 4)[3],
        created_at=created_at,
        tag_mutability=tag_mutability_of(
            found.get("imageTagMutability", "MUTABLE"), frozenset(each["filter"] for each in filters) if filters else frozenset()
        ),
        encryption=encryption_of(encryption["encryptionType"], encryption.get("kmsKey")),
        scan_on_push=bool(found.get("imageScanningConfiguration", {}).get("scanOnPush", False)),
        **fetched,
    )
