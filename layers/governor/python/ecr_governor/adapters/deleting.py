"""Amazon ECR, for the only function that deletes: exactly the images that are named by digest, and repositories that hold none."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import code_of, raise_translated
from ecr_governor.adapters.rebuilding import settings_of
from ecr_governor.adapters.retiring import EcrRetiring
from ecr_governor.app.errors import Refused
from ecr_governor.core.retirement.tombstone import Settings

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

BATCH: Final = 100
"""Images that one BatchDeleteImage takes."""
OF_A_REPOSITORY: Final = frozenset({"repositoryName", "registryId"})
OF_IMAGES: Final = OF_A_REPOSITORY | {"imageIds"}


class EcrDeleting(EcrRetiring):
    """One account's registry in one Region, with the two calls that delete."""

    def __init__(self, client: Callable[[], "ECRClient"]) -> None:
        """`client` is called once, at the first need. The client then refuses every deletion that names more than it must."""
        super().__init__(lambda: _guarded(client()))

    def settings(self, name: str) -> Settings | None:
        """Read how a repository is set up; None if there is none. Raises Throttled, Denied."""
        try:
            return settings_of(self._described(name), self._lifecycle_policy(name))
        except ClientError as error:
            if code_of(error) == "RepositoryNotFoundException":
                return None
            raise_translated(error, f"ecr:{error.operation_name}")

    def delete_images(self, name: str, digests: Sequence[str]) -> Mapping[str, str]:
        """Delete images by digest, at most 100; give why for each that was not deleted. Raises Throttled, Denied, Refused.

        An image goes with all its tags. One that is not there any more, or whose repository is not, counts as deleted. A reason is
        ECR's `failureCode: failureReason`.
        """
        if len(digests) > BATCH:
            raise ValueError(f"{len(digests)} images at once, ECR takes {BATCH}")
        failures: list[Any] = []

        def delete() -> None:
            ids: Any = [{"imageDigest": digest} for digest in digests]
            failures.extend(self._ecr.batch_delete_image(repositoryName=name, imageIds=ids).get("failures", ()))

        if digests:
            self._change("ecr:BatchDeleteImage", delete)
        return {
            failure.get("imageId", {}).get(
                "imageDigest", "an image"
            ): f"{failure.get('failureCode', '')}: {failure.get('failureReason', '')}"
            for failure in failures
            if failure.get("failureCode") != "ImageNotFound"
        }

    def delete_repository(self, name: str) -> None:
        """Delete a repository that holds no image. ECR refuses for one that does. Raises Throttled, Denied, Refused."""

        def delete() -> None:
            try:
                self._ecr.delete_repository(repositoryName=name)
            except ClientError as error:
                if code_of(error) == "RepositoryNotEmptyException":
                    raise Refused("it holds images") from error
                raise

        self._change("ecr:DeleteRepository", delete)


def _guarded(client: "ECRClient") -> "ECRClient":
    """Let a client refuse, before anything is sent, a deletion that could take more than what was judged."""
    events = client.meta.events
    events.register("before-parameter-build.ecr.DeleteRepository", _refuse_more_than_a_name, unique_id="ecr-governor-repository")
    events.register("before-parameter-build.ecr.BatchDeleteImage", _refuse_more_than_digests, unique_id="ecr-governor-images")
    return client


def _refuse_more_than_a_name(params: Mapping[str, Any], **_: Any) -> None:
    # With any other parameter ECR might delete a repository together with its images.
    if params.keys() - OF_A_REPOSITORY:
        raise PermissionError(f"a repository is deleted by its name alone, never with {sorted(params.keys() - OF_A_REPOSITORY)}")


def _refuse_more_than_digests(params: Mapping[str, Any], **_: Any) -> None:
    # A tag may point to another image than the one that was judged.
    if params.keys() - OF_IMAGES or any(set(each) != {"imageDigest"} for each in params.get("imageIds", ())):
        raise PermissionError("images are deleted by their digests alone")
