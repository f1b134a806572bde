"""The bucket that a trail delivers to: what lies there, and its files one by one."""

import errno
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError  # noqa: A004 - botocore's name for it

from ecr_governor.adapters.aws import code_of, raise_translated
from ecr_governor.adapters.signed import Unreached

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK: Final = 262_144
IN_MEMORY: Final = 8 * 1024 * 1024
"""Bytes of a file that are held in memory; what is longer lies on disk until it was read. A trail's files are far smaller."""
ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Delivered:
    """A file of the bucket: its key, and its size in bytes."""

    key: str
    size: int


class TrailBucket:
    """Reads a bucket, and never writes."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._s3 = client
        self._bucket = bucket

    def below(self, prefix: str) -> Iterator[Sequence[Delivered]]:
        """List what a key names, or what lies below it, in the order of keys, page by page. Raises Throttled, Denied."""
        folder = f"{prefix.removesuffix('/')}/" if prefix else ""
        token: dict[str, Any] = {}
        while True:
            try:
                answer = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **token)
            except ClientError as error:
                raise_translated(error, "s3:ListBucket")
            found = (Delivered(each["Key"], each["Size"]) for each in answer.get("Contents", ()))
            yield [each for each in found if each.key == prefix or each.key.startswith(folder)]
            if not answer.get("NextContinuationToken"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def read(self, key: str) -> io.BufferedReader:
        """Give the content of a file, all of which is here by then. Raises OSError for a file that is not to be had; Throttled, Denied."""
        for attempt in range(1, ATTEMPTS + 1):
            spool = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed with what is returned
            try:
                body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
                for chunk in body.iter_chunks(CHUNK):
                    spool.write(chunk)
            except ClientError as error:
                spool.close()
                self._raise_unreadable(error)
            except (HTTPClientError, ConnectionError, IncompleteReadError) as error:
                spool.close()
                # The file may be whole all the same: a connection that broke is no gap in the records.
                if attempt == ATTEMPTS:
                    raise Unreached(f"s3:GetObject: {error}") from error
            else:
                spool.seek(0)
                return io.BufferedReader(cast("io.RawIOBase", spool))
        raise AssertionError(ATTEMPTS)

    def _raise_unreadable(self, error: ClientError) -> None:
        match code_of(error):
            case "NoSuchKey":
                raise FileNotFoundError(errno.ENOENT, "it is not there any more") from error
            case "InvalidObjectState":
                raise OSError(errno.EACCES, "it lies in an archive class of S3, and has to be restored first") from error
            case _:
                raise_translated(error, "s3:GetObject")
