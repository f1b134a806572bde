"""All sources of evidence that this release knows, by the names that a policy calls them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol

from ecr_governor.adapters.usage.app_runner import AppRunnerUsage
from ecr_governor.adapters.usage.aws_usage import AwsUsage
from ecr_governor.adapters.usage.batch import BatchUsage
from ecr_governor.adapters.usage.codebuild import CodeBuildUsage
from ecr_governor.adapters.usage.ecs import EcsUsage
from ecr_governor.adapters.usage.files import SOURCE, FilesUsage
from ecr_governor.adapters.usage.functions import LambdaUsage
from ecr_governor.adapters.usage.inspector import InspectorUsage
from ecr_governor.adapters.usage.sagemaker import SageMakerUsage
from ecr_governor.core.retirement.evidence import Evidence

AWS: Final[Sequence[type[AwsUsage[Any]]]] = (
    EcsUsage,
    LambdaUsage,
    AppRunnerUsage,
    BatchUsage,
    CodeBuildUsage,
    InspectorUsage,
    SageMakerUsage,
)
"""The services of AWS that are asked where a policy names them."""


class Witness(Protocol):
    """One source."""

    def evidence(self, now: datetime) -> Sequence[Evidence]:
        """Say what it knows, or why it cannot be read."""


class AwsWitnesses:
    """One account in one Region, and the bucket with files from elsewhere."""

    def __init__(
        self,
        client: Callable[[str], Any],
        *,
        account: str,
        region: str,
        bucket: str,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        """`client` makes a client of a service, when its source is asked: what a policy does not count on costs nothing.

        `may_go_on` says whether there is time to hear more. A source that is cut short is one that cannot be read.
        """
        self._witnesses: Mapping[str, Witness] = {
            **{each.source: each(partial(client, each.service), account, region, may_go_on) for each in AWS},
            SOURCE: FilesUsage(partial(client, "s3"), bucket, account, region),
        }

    def evidence(self, sources: Sequence[str], now: datetime) -> Sequence[Evidence]:
        """Ask each source once, in the order given. An unknown one is a source that cannot be read."""
        found: list[Evidence] = []
        for name in dict.fromkeys(sources):
            witness = self._witnesses.get(name)
            found += witness.evidence(now) if witness else [Evidence(name, now, trouble="this release knows no such source")]
        return found
