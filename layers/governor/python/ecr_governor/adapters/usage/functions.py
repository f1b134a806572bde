"""AWS Lambda: the images of all versions of all functions."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import code_of
from ecr_governor.adapters.usage.references import Unheard, heard, use_of
from ecr_governor.core.retirement.evidence import Evidence, Use

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

SOURCE: Final = "lambda"


class LambdaUsage:
    """All functions of one account in one Region. An alias points at versions, and each version is read."""

    def __init__(self, client: Callable[[], "LambdaClient"], account: str, region: str) -> None:
        """`client` is called when it is asked."""
        self._client = client
        self._account = account
        self._region = region

    def evidence(self, now: datetime) -> Sequence[Evidence]:
        """Ask Lambda. Any call that fails is the `trouble` of the whole source."""
        return [heard(SOURCE, now, self._uses())]

    def _uses(self) -> Iterator[Use | None]:
        functions = self._client()
        seen: set[tuple[str, str]] = set()
        for page in functions.get_paginator("list_functions").paginate(FunctionVersion="ALL"):
            for found in page["Functions"]:
                # A list does not tell the image.
                named = found["FunctionName"], found.get("Version", "$LATEST")
                if found.get("PackageType") == "Image" and named not in seen:
                    seen.add(named)
                    yield from self._of_version(functions, *named)

    def _of_version(self, functions: "LambdaClient", name: str, version: str) -> Iterator[Use | None]:
        try:
            code = functions.get_function(FunctionName=name, Qualifier=version)["Code"]
        except ClientError as error:
            # It was deleted since it was listed.
            if code_of(error) == "ResourceNotFoundException":
                return
            raise
        # The one is what was asked for, mostly by tag; the other what Lambda made of it, by digest.
        references = [uri for uri in (code.get("ImageUri"), code.get("ResolvedImageUri")) if uri]
        if not references:
            raise Unheard(f"GetFunction: no image is told of {name}:{version}")
        for uri in references:
            yield use_of(f"{name}:{version}", uri, self._account, self._region)
