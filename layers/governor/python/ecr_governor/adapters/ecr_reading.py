"""Amazon ECR: reading one repository, whatever for. A part that may not be read says so; a repository that vanishes meanwhile is none."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import code_of, raise_translated
from ecr_governor.app.errors import Denied
from ecr_governor.core.repository import Unreadable

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import RepositoryTypeDef

Value = TypeVar("Value")


class Gone(Exception):
    """The repository vanished between two calls."""


class EcrReading:
    """What reading takes in one account's registry in one Region."""

    def __init__(self, client: Callable[[], "ECRClient"]) -> None:
        """`client` is called once, at the first need: what is decided without ECR costs no client."""
        self._make_client = client
        self._client: ECRClient | None = None

    @property
    def _ecr(self) -> "ECRClient":
        if self._client is None:
            self._client = self._make_client()
        return self._client

    def _found(self, name: str) -> "RepositoryTypeDef | None":
        """Describe a repository; None if there is none. Raises Throttled, Denied."""
        try:
            return self._described(name)
        except ClientError as error:
            if code_of(error) == "RepositoryNotFoundException":
                return None
            raise_translated(error, "ecr:DescribeRepositories")

    def _described(self, name: str) -> "RepositoryTypeDef":
        return self._ecr.describe_repositories(repositoryNames=[name])["repositories"][0]

    def _tags(self, arn: str) -> Mapping[str, str]:
        answer = self._ecr.list_tags_for_resource(resourceArn=arn)
        return {tag["Key"]: tag.get("Value", "") for tag in answer.get("tags", ())}

    def _lifecycle_policy(self, name: str) -> str | None:
        try:
            return self._ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
        except ClientError as error:
            if code_of(error) == "LifecyclePolicyNotFoundException":
                return None
            raise

    def _repository_policy(self, name: str) -> str | None:
        try:
            return self._ecr.get_repository_policy(repositoryName=name)["policyText"]
        except ClientError as error:
            if code_of(error) == "RepositoryPolicyNotFoundException":
                return None
            raise


def or_unreadable(action: str, read: Callable[[], Value]) -> Value | Unreadable:
    """Read a part, or say why it may not be read. Raises Gone, Throttled."""
    try:
        return read()
    except ClientError as error:
        if code_of(error) == "RepositoryNotFoundException":
            raise Gone from error
        try:
            raise_translated(error, action)
        except Denied as denied:
            return Unreadable(str(denied))
