"""Files of evidence: what other accounts, clusters and machines use, put into the reports bucket by whoever knows it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

from ecr_governor.adapters.aws import code_of
from ecr_governor.adapters.invalid import first_problem
from ecr_governor.adapters.usage.aws_usage import Unheard
from ecr_governor.adapters.usage.references import tells_which, use_of
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.retirement.evidence import Evidence, Use

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SOURCE: Final = "files"
PREFIX: Final = "evidence/"
LIMIT: Final = 5_000_000
"""Bytes that a file may have."""
SHOWN: Final = 100
"""Characters of a text that cannot be relied on that are passed on."""

_Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class EvidenceFile(BaseModel):
    """A file: who says so, as of when, until when it holds, and the digests and references of the images in use."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    issuer: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    at: AwareDatetime
    expires_at: AwareDatetime
    digests: tuple[_Digest, ...] = ()
    images: tuple[str, ...] = ()


def read_file(body: bytes) -> EvidenceFile:
    """Read a file of evidence. Raises Unheard, with the first thing that is wrong."""
    if len(body) > LIMIT:
        raise Unheard(f"it has more than {LIMIT:,} bytes")
    try:
        file = EvidenceFile.model_validate_json(body)
    except ValidationError as error:
        raise Unheard(first_problem(error)) from error
    for number, text in enumerate(file.images):
        if not tells_which(text):
            # Whoever wrote it meant an image: leaving it out would be to say that nobody uses it.
            raise Unheard(f"images.{number}: {tidy(text)[:SHOWN]!r} names neither a registry with a repository nor a digest")
    return file


class EvidenceFiles:
    """Where whoever knows it puts files of evidence: a bucket, under `evidence/`."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._s3 = client
        self._bucket = bucket

    def put(self, name: str, body: bytes) -> str:
        """Put a file in place of the last one of that name; give its `s3://` address. Raises botocore's ClientError."""
        key = f"{PREFIX}{name}.json"
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")
        return f"s3://{self._bucket}/{key}"


class FilesUsage:
    """A bucket, under `evidence/`."""

    def __init__(self, client: Callable[[], "S3Client"], bucket: str, account: str, region: str) -> None:
        """`client` is called when it is asked; `account` and `region` are the registry's."""
        self._client = client
        self._bucket = bucket
        self._account = account
        self._region = region

    def evidence(self, now: datetime) -> Sequence[Evidence]:
        """Read every `*.json`: one piece of evidence for each, with source `files:KEY`, and one for them all, with source `files`."""
        found: list[Evidence] = []
        try:
            found.extend(self._read(now))
        except ClientError as error:
            return [*found, Evidence(SOURCE, now, trouble=f"{error.operation_name}: {code_of(error)}")]
        except BotoCoreError as error:
            return [*found, Evidence(SOURCE, now, trouble=f"{type(error).__name__}: {error}")]
        return [*found, Evidence(SOURCE, now, trouble="" if found else "no file of evidence is there")]

    def _read(self, now: datetime) -> Iterator[Evidence]:
        s3 = self._client()
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=PREFIX):
            for each in page.get("Contents", ()):
                if each["Key"].endswith(".json") and (evidence := self._of_file(s3, each["Key"], now)):
                    yield evidence

    def _of_file(self, s3: "S3Client", key: str, now: datetime) -> Evidence | None:
        source = f"{SOURCE}:{key}"
        try:
            body = s3.get_object(Bucket=self._bucket, Key=key)["Body"].read(LIMIT + 1)
        except ClientError as error:
            # It was removed since it was listed.
            if code_of(error) == "NoSuchKey":
                return None
            return Evidence(source, now, trouble=f"{error.operation_name}: {code_of(error)}")
        try:
            file = read_file(body)
        except Unheard as error:
            return Evidence(source, now, trouble=str(error))
        uses = dict.fromkeys(Use(file.issuer, digest=digest) for digest in file.digests)
        uses |= dict.fromkeys(use for text in file.images if (use := use_of(file.issuer, text, self._account, self._region)))
        return Evidence(source, file.at, tuple(uses), expires_at=file.expires_at)
