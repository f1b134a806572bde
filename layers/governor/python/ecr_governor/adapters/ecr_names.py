"""Amazon ECR: which names there are. Reads only."""

from typing import Final

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import raise_translated
from ecr_governor.adapters.ecr_reading import EcrReading

PAGE: Final = 1000
LIST: Final = "ecr:DescribeRepositories"


class EcrNames(EcrReading):
    """One account's registry in one Region."""

    def names(self) -> tuple[str, ...]:
        """List all names, 1,000 for a call. Raises Throttled, Denied."""
        pages = self._ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": PAGE})
        try:
            return tuple(each["repositoryName"] for page in pages for each in page["repositories"])
        except ClientError as error:
            raise_translated(error, LIST)
