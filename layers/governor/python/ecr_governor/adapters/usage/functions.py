"""AWS Lambda: the images of all versions of all functions."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import code_of
from ecr_governor.adapters.usage.aws_usage import AwsUsage, Unheard
from ecr_governor.core.retirement.evidence import Use

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class LambdaUsage(AwsUsage["LambdaClient"]):
    """All functions of one account in one Region. An alias points at versions, and each version is read."""

    source = "lambda"
    service = "lambda"

    def _uses(self, client: "LambdaClient") -> Iterator[Use | None]:
        seen: set[tuple[str, str]] = set()
        for page in client.get_paginator("list_functions").paginate(FunctionVersion="ALL"):
            for found in page["Functions"]:
                # A list does not tell the image.
                named = found["FunctionName"], found.get("Version", "$LATEST")
                if found.get("PackageType") == "Image" and named not in seen:
                    seen.add(named)
                    yield from self._of_version(client, *named)

    def _of_version(self, client: "LambdaClient", name: str, version: str) -> Iterator[Use | None]:
        try:
            code = client.get_function(FunctionName=name, Qualifier=version)["Code"]
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
            yield self._use(f"{name}:{version}", uri)
