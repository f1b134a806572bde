"""Amazon Inspector: the images that ECS tasks and EKS pods run, and those that they ran lately."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import re2

from ecr_governor.adapters.usage.aws_usage import AwsUsage, Unheard
from ecr_governor.core.retirement.evidence import Use

if TYPE_CHECKING:
    from mypy_boto3_inspector2 import Inspector2Client
    from mypy_boto3_inspector2.type_defs import CoverageFilterCriteriaTypeDef

PAGE: Final = 200
"""Resources that one answer to ListCoverage has at the most."""
BEFORE_ANY: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""Earlier than Inspector told of any use."""
USER: Final = "ECS tasks or EKS pods"
_IMAGE: Final = re2.compile(r"arn:[a-z0-9-]+:ecr:([a-z0-9-]+):([0-9]{12}):repository/(.+)/(sha256:[0-9a-f]{64})")


class InspectorUsage(AwsUsage["Inspector2Client"]):
    """All images of one account in one Region that Inspector scans. What it does not scan it knows nothing of."""

    source = "inspector"
    service = "inspector2"

    def _uses(self, client: "Inspector2Client") -> Iterator[Use | None]:
        # Where Inspector does not scan ECR there is nothing in its list, which would look as if nothing were in use.
        if (status := self._status(client)) != "ENABLED":
            raise Unheard(f"Inspector's scanning of ECR is {status}")
        yield from self._covered(client, {"ecrImageInUseCount": [{"lowerInclusive": 1}]}, running=True)
        yield from self._covered(client, {"ecrImageLastInUseAt": [{"startInclusive": BEFORE_ANY}]}, running=False)

    def _status(self, client: "Inspector2Client") -> str:
        accounts = client.batch_get_account_status(accountIds=[self._account])["accounts"]
        return next((each["resourceState"]["ecr"]["status"] for each in accounts if each["accountId"] == self._account), "not told")

    def _covered(self, client: "Inspector2Client", criteria: "CoverageFilterCriteriaTypeDef", *, running: bool) -> Iterator[Use | None]:
        """Tell the images that meet the criteria. Whoever administers an organisation is shown other accounts' as well: not here."""
        criteria = {
            **criteria,
            "accountId": [{"comparison": "EQUALS", "value": self._account}],
            "resourceType": [{"comparison": "EQUALS", "value": "AWS_ECR_CONTAINER_IMAGE"}],
        }
        for page in client.get_paginator("list_coverage").paginate(filterCriteria=criteria, PaginationConfig={"PageSize": PAGE}):
            for resource in page.get("coveredResources", ()):
                image = _IMAGE.fullmatch(resource["resourceId"])
                if image is None:
                    raise Unheard(f"ListCoverage: {resource['resourceId']} is no image")
                region, account, repository, digest = image.groups()
                ours = (account, region) == (self._account, self._region)
                used_at = None if running else resource.get("resourceMetadata", {}).get("ecrImage", {}).get("lastInUseAt")
                yield Use(USER, repository if ours else None, digest, at=used_at)
