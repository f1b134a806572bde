"""Where reports are kept for people: in S3."""

from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import code_of, raise_translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SECONDS_OF_AN_HOUR = 3600


class S3ReportStore:
    """A bucket. Its client signs by Signature Version 4: no other is taken for what is encrypted or in newer Regions."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._s3 = client
        self._bucket = bucket

    def put(self, key: str, body: bytes, kind: str) -> str:
        """Keep a file of a media type, over the one that is there; give its `s3://` address. Raises Throttled, Denied."""
        try:
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=kind)
        except ClientError as error:
            raise_translated(error, "s3:PutObject")
        return self.address(key)

    def address(self, key: str) -> str:
        """Give a file's `s3://` address."""
        return f"s3://{self._bucket}/{key}"

    def made_at(self, key: str) -> datetime | None:
        """When a file was put; None if there is none. Raises Throttled, Denied.

        Who may not list the bucket is refused what is not there: it takes `s3:ListBucket` to tell the two apart.
        """
        try:
            # A HEAD would do, but its answer has no body that could name an error.
            return self._s3.get_object(Bucket=self._bucket, Key=key, Range="bytes=0-0")["LastModified"]
        except ClientError as error:
            if code_of(error) == "NoSuchKey":
                return None
            raise_translated(error, "s3:GetObject")

    def link(self, key: str, hours: int) -> str:
        """Sign an address for so many hours. It ends before that with the session of the credentials that sign it, which nobody can extend."""
        wanted = {"Bucket": self._bucket, "Key": key}
        return self._s3.generate_presigned_url("get_object", Params=wanted, ExpiresIn=hours * SECONDS_OF_AN_HOUR)
