"""AWS App Runner: the images that services run, or would run once they are resumed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import code_of
from ecr_governor.adapters.usage.aws_usage import AwsUsage, Unheard, named
from ecr_governor.core.retirement.evidence import Use

if TYPE_CHECKING:
    from mypy_boto3_apprunner import AppRunnerClient

PAGE: Final = 20
"""Services that one answer to ListServices has at the most."""
DELETED: Final = "DELETED"


class AppRunnerUsage(AwsUsage["AppRunnerClient"]):
    """All services of one account in one Region, in whatever state but deleted."""

    source = "apprunner"
    service = "apprunner"

    def _uses(self, client: "AppRunnerClient") -> Iterator[Use | None]:
        for arn in _services(client):
            try:
                service = client.describe_service(ServiceArn=arn)["Service"]
            except ClientError as error:
                # It was deleted since it was listed.
                if code_of(error) == "ResourceNotFoundException":
                    continue
                raise
            origin = service["SourceConfiguration"]
            if service["Status"] == DELETED or "CodeRepository" in origin:
                # What is built from a repository of code comes out of no registry of ours.
                continue
            if "ImageRepository" not in origin:
                raise Unheard(f"DescribeService: no image is told of {named(arn)}")
            yield self._use(named(arn), origin["ImageRepository"]["ImageIdentifier"])


def _services(client: "AppRunnerClient") -> Iterator[str]:
    """Give the ARNs of the services that are listed. botocore has no paginator for it."""
    further: dict[str, Any] = {}
    while True:
        answer = client.list_services(MaxResults=PAGE, **further)
        yield from (each["ServiceArn"] for each in answer["ServiceSummaryList"])
        # Pages may be shorter than was asked for, whatever follows: only a missing token says that there is no more.
        token = answer.get("NextToken")
        if not token:
            return
        if token == further.get("NextToken"):
            raise Unheard("ListServices: the same page comes again and again")
        further = {"NextToken": token}
