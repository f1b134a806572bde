"""Amazon ECR, as far as it takes to retire a repository and to take that back. Nothing here deletes, and nothing here pulls."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import code_of, raise_translated
from ecr_governor.adapters.ecr_reading import EcrReading, Gone, or_unreadable
from ecr_governor.app.errors import Refused
from ecr_governor.core.retirement.snapshot import ACTIVE, ARCHIVED, HeldImage, Snapshot

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef

PAGE: Final = 1000
EXCLUSIONS_PAGE: Final = 100
ACTIVATING: Final = "ACTIVATING"
SHOWN: Final = 300
"""Characters of ECR's own words that are passed on."""
GONE: Final = frozenset({"RepositoryNotFoundException", "RepositoryPolicyNotFoundException", "ImageNotFoundException"})
"""What was to be changed is not there any more: there is nothing left to do."""
REFUSALS: Final = frozenset(
    {
        "ImageStorageClassUpdateNotSupportedException",
        "InvalidParameterException",
        "InvalidTagParameterException",
        "KmsException",
        "TooManyTagsException",
        "ValidationException",
    }
)
"""Answers that will be the same tomorrow."""


class EcrRetiring(EcrReading):
    """One account's registry in one Region."""

    def snapshot(self, name: str) -> Snapshot | None:
        """Read a repository with all its images, of any status; None if there is none. Raises Throttled, Denied.

        A part whose call is denied is `Unreadable`; one whose call is throttled makes the whole read fail, to be tried again.
        """
        found = self._found(name)
        if found is None:
            return None
        arn = found["repositoryArn"]
        try:
            return Snapshot(
                name=found["repositoryName"],
                arn=arn,
                created_at=found["createdAt"],
                tags=or_unreadable("ecr:ListTagsForResource", lambda: self._tags(arn)),
                policy=or_unreadable("ecr:GetRepositoryPolicy", lambda: self._repository_policy(name)),
                images=or_unreadable("ecr:DescribeImages", lambda: self._images(name)),
            )
        except Gone:
            return None

    def pull_time_exclusions(self) -> Sequence[str]:
        """List the ARNs of the principals whose pulls leave `lastRecordedPullTime` alone. Raises Throttled, Denied."""
        arns: list[str] = []
        further: dict[str, Any] = {}
        while True:
            # botocore has no paginator for it.
            try:
                answer = self._ecr.list_pull_time_update_exclusions(maxResults=EXCLUSIONS_PAGE, **further)
            except ClientError as error:
                raise_translated(error, "ecr:ListPullTimeUpdateExclusions")
            arns += answer.get("pullTimeUpdateExclusions", ())
            token = answer.get("nextToken")
            if not token:
                return arns
            further = {"nextToken": token}

    def tag(self, snapshot: Snapshot, tags: Mapping[str, str]) -> None:
        """Set tags of the repository; others stay. Raises Refused, Throttled, Denied."""
        pairs: Any = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
        if pairs:
            self._change("ecr:TagResource", lambda: self._ecr.tag_resource(resourceArn=snapshot.arn, tags=pairs))

    def untag(self, snapshot: Snapshot, keys: Iterable[str]) -> None:
        """Remove tags of the repository; those that it does not have are no trouble. Raises Refused, Throttled, Denied."""
        wanted = sorted(keys)
        if wanted:
            self._change("ecr:UntagResource", lambda: self._ecr.untag_resource(resourceArn=snapshot.arn, tagKeys=wanted))

    def set_policy(self, name: str, text: str | None) -> None:
        """Set the repository policy; None removes it. Raises Refused, Throttled, Denied."""
        if text is None:
            self._change("ecr:DeleteRepositoryPolicy", lambda: self._ecr.delete_repository_policy(repositoryName=name))
        else:
            self._change("ecr:SetRepositoryPolicy", lambda: self._ecr.set_repository_policy(repositoryName=name, policyText=text))

    def archive(self, name: str, digest: str) -> None:
        """Move one image to the archive. Raises Refused, Throttled, Denied."""
        self._store(name, digest, "ARCHIVE", frozenset({ARCHIVED}))

    def activate(self, name: str, digest: str) -> None:
        """Begin to bring one image back from the archive; ECR takes up to 20 minutes for it. Raises Refused, Throttled, Denied."""
        self._store(name, digest, "STANDARD", frozenset({ACTIVE, ACTIVATING}))

    def _store(self, name: str, digest: str, target: Literal["ARCHIVE", "STANDARD"], wished: frozenset[str]) -> None:
        try:
            self._change(
                "ecr:UpdateImageStorageClass",
                lambda: self._ecr.update_image_storage_class(
                    repositoryName=name, imageId={"imageDigest": digest}, targetStorageClass=target
                ),
            )
        except Refused:
            # ECR refuses as well what is done already, by an interrupted run or by somebody else.
            if self._status(name, digest) not in wished:
                raise

    def _status(self, name: str, digest: str) -> str | None:
        """Read one image's status; None where ECR does not show the image."""
        try:
            found = self._ecr.describe_images(repositoryName=name, imageIds=[{"imageDigest": digest}], filter={"imageStatus": "ANY"})[
                "imageDetails"
            ]
        except ClientError as error:
            if code_of(error) in GONE | REFUSALS:
                return None
            raise_translated(error, "ecr:DescribeImages")
        return next((each.get("imageStatus", ACTIVE) for each in found), None)

    def _change(self, action: str, change: Callable[[], object]) -> None:
        try:
            change()
        except ClientError as error:
            code = code_of(error)
            if code in GONE:
                return
            if code in REFUSALS:
                raise Refused(f"{action}: {code}: {error.response['Error'].get('Message', '')[:SHOWN]}") from error
            raise_translated(error, action)

    def _images(self, name: str) -> tuple[HeldImage, ...]:
        # Without imageStatus ANY, archived images are hidden and a full repository looks empty.
        pages = self._ecr.get_paginator("describe_images").paginate(
            repositoryName=name, filter={"imageStatus": "ANY"}, PaginationConfig={"PageSize": PAGE}
        )
        return tuple(_held(each) for page in pages for each in page["imageDetails"])


def _held(detail: "ImageDetailTypeDef") -> HeldImage:
    return HeldImage(
        digest=detail["imageDigest"],
        tags=frozenset(detail.get("imageTags", ())),
        pushed_at=detail["imagePushedAt"],
        pulled_at=detail.get("lastRecordedPullTime"),
        # A status that is newer than this release is no known one, and stops what asks for one.
        status=detail.get("imageStatus", ACTIVE),
        media_type=detail.get("imageManifestMediaType", ""),
        subject=detail.get("subjectManifestDigest"),
        archived_at=detail.get("lastArchivedAt"),
        activated_at=detail.get("lastActivatedAt"),
        size_bytes=detail.get("imageSizeInBytes", 0),
    )
