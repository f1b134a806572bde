"""AWS CodeBuild: the images in which projects build."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ecr_governor.adapters.usage.aws_usage import AwsUsage, Unheard
from ecr_governor.core.retirement.evidence import Use

if TYPE_CHECKING:
    from mypy_boto3_codebuild import CodeBuildClient


class CodeBuildUsage(AwsUsage["CodeBuildClient"]):
    """All projects of one account in one Region."""

    source = "codebuild"
    service = "codebuild"

    def _uses(self, client: "CodeBuildClient") -> Iterator[Use | None]:
        for page in client.get_paginator("list_projects").paginate():
            # A page has no more names than BatchGetProjects takes, which are 100.
            if not (names := page.get("projects")):
                continue
            answer = client.batch_get_projects(names=names)
            images = {each.get("name"): each.get("environment", {}).get("image") for each in answer.get("projects", ())}
            for name, image in images.items():
                yield self._use(f"project/{name}", image or "")
            # Those that it does not find were deleted since they were listed.
            told = {name for name, image in images.items() if image} | set(answer.get("projectsNotFound", ()))
            if silent := set(names) - told:
                raise Unheard(f"BatchGetProjects: no image is told of {min(silent)}")
