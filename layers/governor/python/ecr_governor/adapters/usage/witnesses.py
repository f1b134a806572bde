"""All sources of evidence that this release knows, by the names that a policy calls them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from ecr_governor.adapters.usage import ecs, files, functions
from ecr_governor.core.retirement.evidence import Evidence

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client


class Witness(Protocol):
    """One source."""

    def evidence(self, now: datetime) -> Sequence[Evidence]:
        """Say what it knows, or why it cannot be read."""


class AwsWitnesses:
    """One account in one Region, and the bucket with files from elsewhere."""

    def __init__(
        self,
        *,
        ecs_client: Callable[[], "ECSClient"],
        lambda_client: Callable[[], "LambdaClient"],
        s3_client: Callable[[], "S3Client"],
        account: str,
        region: str,
        bucket: str,
    ) -> None:
        """A client is made when its source is asked: what a policy does not count on costs nothing."""
        self._witnesses: Mapping[str, Witness] = {
            ecs.SOURCE: ecs.EcsUsage(ecs_client, account, region),
            functions.SOURCE: functions.LambdaUsage(lambda_client, account, region),
            files.SOURCE: files.FilesUsage(s3_client, bucket, account, region),
        }

    def evidence(self, sources: Sequence[str], now: datetime) -> Sequence[Evidence]:
        """Ask each source once, in the order given. An unknown one is a source that cannot be read."""
        found: list[Evidence] = []
        for name in dict.fromkeys(sources):
            witness = self._witnesses.get(name)
            found += witness.evidence(now) if witness else [Evidence(name, now, trouble="this release knows no such source")]
        return found
