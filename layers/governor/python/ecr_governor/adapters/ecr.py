"""Amazon ECR: reads the facts that are asked for, and carries out remedies."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, assert_never

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import DENIALS, code_of, raise_translated
from ecr_governor.adapters.described import repository_of
from ecr_governor.adapters.ecr_reading import EcrReading, Gone, or_unreadable
from ecr_governor.core.origin import AutomaticCreation
from ecr_governor.core.registry_rules import RegistryRules
from ecr_governor.core.remedy import (
    Outcome,
    OutcomeStatus,
    PutImageTagMutability,
    PutLifecyclePolicy,
    Remedy,
    SetRepositoryPolicy,
    TagResource,
)
from ecr_governor.core.repository import (
    NOT_FETCHED,
    CreationTemplate,
    Fact,
    Image,
    Repository,
    ScanFrequency,
    Unreadable,
    Usage,
    known,
)

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageTagMutabilityExclusionFilterTypeDef

ACTION_OF: Final[Mapping[Fact, str]] = {
    Fact.TAGS: "ecr:ListTagsForResource",
    Fact.LIFECYCLE_POLICY: "ecr:GetLifecyclePolicy",
    Fact.REPOSITORY_POLICY: "ecr:GetRepositoryPolicy",
    Fact.SCAN_FREQUENCY: "ecr:BatchGetRepositoryScanningConfiguration",
    Fact.IMAGES: "ecr:DescribeImages",
    Fact.HOLDS_IMAGE: "ecr:DescribeImages",
    Fact.CREATION_TEMPLATES: "ecr:DescribeRepositoryCreationTemplates",
    Fact.USAGE: "ecr:DescribeImages",
}
"""What each fact costs, by the name of its IAM action: one call, or as many as there are pages."""

ACTION_OF_REMEDY: Final[Mapping[type[Remedy], str]] = {
    PutLifecyclePolicy: "ecr:PutLifecyclePolicy",
    SetRepositoryPolicy: "ecr:SetRepositoryPolicy",
    PutImageTagMutability: "ecr:PutImageTagMutability",
    TagResource: "ecr:TagResource",
}

_JUDGED_BY: Final[Mapping[type[Remedy], str]] = {
    PutLifecyclePolicy: ACTION_OF[Fact.LIFECYCLE_POLICY],
    SetRepositoryPolicy: ACTION_OF[Fact.REPOSITORY_POLICY],
    PutImageTagMutability: "ecr:DescribeRepositories",
    TagResource: ACTION_OF[Fact.TAGS],
}

PAGE = 1000
IMAGE_PAGES = 10
"""No more pages are read: a repository may hold far more images, and a look must end within its function's time."""


class EcrRegistry(EcrReading):
    """One account's registry in one Region."""

    def read(self, name: str, facts: frozenset[Fact], idle_since: datetime | None = None) -> Repository | None:
        """Read a repository's present facts; None if there is no such repository. Raises Throttled, Denied.

        Of `Fact.USAGE` only as much is read as tells whether anything happened after `idle_since`; None asks for all of it.
        A fact whose call is denied is `Unreadable`; one whose call is throttled makes the whole read fail, to be tried again.
        """
        found = self._found(name)
        if found is None:
            return None
        arn = found["repositoryArn"]
        fetched: dict[str, Any] = {}
        reads: dict[Fact, Callable[[], Any]] = {
            Fact.TAGS: lambda: self._tags(arn),
            Fact.LIFECYCLE_POLICY: lambda: self._lifecycle_policy(name),
            Fact.REPOSITORY_POLICY: lambda: self._repository_policy(name),
            Fact.SCAN_FREQUENCY: lambda: self._scan_frequency(name),
            Fact.IMAGES: lambda: self._images(name),
            Fact.HOLDS_IMAGE: lambda: bool(images) if isinstance(images := fetched.get("images"), tuple) else self._holds_image(name),
            Fact.CREATION_TEMPLATES: self._creation_templates,
            Fact.USAGE: lambda: self._usage(name, found["createdAt"], idle_since),
        }
        try:
            for fact in (each for each in reads if each in facts):  # in this order: images that were read tell whether there is one
                fetched[fact.value] = or_unreadable(ACTION_OF[fact], reads[fact])
        except Gone:
            return None
        return repository_of(found, found["createdAt"], **fetched)

    def automatic_creation(self) -> AutomaticCreation:
        """Read the rules that make ECR create repositories; None for what may not be read. Raises Throttled."""
        return self._creating_rules().automatic_creation

    def rules(self) -> RegistryRules:
        """Read the registry's own settings. Raises Throttled."""
        scanning = or_unreadable("ecr:GetRegistryScanningConfiguration", self._scanning)
        return replace(self._creating_rules(), scanning=scanning)

    def _creating_rules(self) -> RegistryRules:
        return RegistryRules(
            creation_templates=or_unreadable(ACTION_OF[Fact.CREATION_TEMPLATES], self._creation_templates),
            cache_prefixes=or_unreadable("ecr:DescribePullThroughCacheRules", self._pull_through_cache_prefixes),
            scanning=NOT_FETCHED,
        )

    def _scanning(self) -> str:
        return json.dumps(self._ecr.get_registry_scanning_configuration().get("scanningConfiguration", {}), sort_keys=True)

    def apply(self, repository: Repository, remedy: Remedy) -> Outcome:
        """Carry out one remedy, unless what it changes was changed since it was judged.

        What ECR answers is the outcome; a refusal is never tried in another way. Raises Throttled.
        """
        action = _JUDGED_BY[type(remedy)]
        try:
            # ECR has no conditional writes. Reading again just before narrows the window, in which somebody else's change would be
            # overwritten, from the length of a look to milliseconds.
            if not self._is_as_judged(repository, remedy):
                return Outcome(remedy, OutcomeStatus.UNCHANGED, "changed meanwhile by somebody else")
            action = ACTION_OF_REMEDY[type(remedy)]
            self._carry_out(repository, remedy)
        except ClientError as error:
            code = code_of(error)
            if code == "RepositoryNotFoundException":
                return Outcome(remedy, OutcomeStatus.GONE)
            if code in DENIALS or code in {"InvalidParameterException", "ValidationException", "TooManyTagsException"}:
                return Outcome(remedy, OutcomeStatus.FAILED, f"{action}: {code}: {error.response['Error'].get('Message', '')[:300]}")
            raise_translated(error, action)
        return Outcome(remedy, OutcomeStatus.APPLIED)

    def _is_as_judged(self, repository: Repository, remedy: Remedy) -> bool:
        match remedy:
            case PutLifecyclePolicy(before=text):
                return self._lifecycle_policy(repository.name) == text
            case SetRepositoryPolicy(before=text):
                return self._repository_policy(repository.name) == text
            case PutImageTagMutability(before=setting):
                described = self._described(repository.name)
                return repository_of(described, described["createdAt"]).tag_mutability == setting
            case TagResource(before=former, after=tags):
                present = self._tags(repository.arn)
                return all(present.get(key) == former.get(key) for key in tags)
            case _:
                assert_never(remedy)

    def _carry_out(self, repository: Repository, remedy: Remedy) -> None:
        match remedy:
            case PutLifecyclePolicy(after=text):
                self._ecr.put_lifecycle_policy(repositoryName=repository.name, lifecyclePolicyText=text)
            case SetRepositoryPolicy(after=text):
                self._ecr.set_repository_policy(repositoryName=repository.name, policyText=text)
            case PutImageTagMutability(after=setting):
                filters: list[ImageTagMutabilityExclusionFilterTypeDef] = [
                    {"filterType": "WILDCARD", "filter": each} for each in sorted(setting.exclusion_filters)
                ]
                if filters:
                    self._ecr.put_image_tag_mutability(
                        repositoryName=repository.name,
                        imageTagMutability=setting.mutability.value,
                        imageTagMutabilityExclusionFilters=filters,
                    )
                else:
                    self._ecr.put_image_tag_mutability(repositoryName=repository.name, imageTagMutability=setting.mutability.value)
            case TagResource(after=tags):
                pairs = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
                self._ecr.tag_resource(resourceArn=repository.arn, tags=pairs)  # type: ignore[arg-type]  # the stub wants its own TypedDict
            case _:
                assert_never(remedy)

    def _scan_frequency(self, name: str) -> ScanFrequency | Unreadable:
        # The per-repository setting is on its way out; this is the effective frequency by the registry's rules.
        answer = self._ecr.batch_get_repository_scanning_configuration(repositoryNames=[name])
        for found in answer.get("scanningConfigurations", ()):
            if found.get("repositoryName") == name:
                return known(ScanFrequency, "scanFrequency", found.get("scanFrequency", "MANUAL"))
        why = next((failure.get("failureReason", "") for failure in answer.get("failures", ())), "no answer")
        return Unreadable(f"ecr:BatchGetRepositoryScanningConfiguration: {why}")

    def _images(self, name: str) -> tuple[Image, ...] | Unreadable:
        # Without imageStatus ANY, archived images are hidden and a full repository looks empty.
        pages = self._ecr.get_paginator("describe_images").paginate(
            repositoryName=name, filter={"imageStatus": "ANY"}, PaginationConfig={"PageSize": PAGE}
        )
        images: list[Image] = []
        for number, page in enumerate(pages, start=1):
            images += (Image(each["imageDigest"], tuple(each.get("imageTags", ())), each["imagePushedAt"]) for each in page["imageDetails"])
            if number == IMAGE_PAGES and page.get("nextToken"):
                return Unreadable(f"more than {IMAGE_PAGES * PAGE:,} images")
        return tuple(images)

    def _usage(self, name: str, created_at: datetime, idle_since: datetime | None) -> Usage | Unreadable:
        if idle_since is not None and created_at > idle_since:
            # Its creation tells as much as any image could.
            return Usage()
        pages = self._ecr.get_paginator("describe_images").paginate(
            repositoryName=name, filter={"imageStatus": "ANY"}, PaginationConfig={"PageSize": PAGE}
        )
        usage = Usage(images=0, size_bytes=0)
        for number, page in enumerate(pages, start=1):
            usage = usage.with_images(
                (each["imagePushedAt"], each.get("lastRecordedPullTime"), each.get("imageSizeInBytes", 0)) for each in page["imageDetails"]
            )
            more = bool(page.get("nextToken"))
            if idle_since is not None and usage.active_after(idle_since):
                return replace(usage, images=None, size_bytes=None) if more else usage
            if number == IMAGE_PAGES and more:
                return Unreadable(f"more than {IMAGE_PAGES * PAGE:,} images, none of them used of late")
        return usage

    def _holds_image(self, name: str) -> bool:
        return bool(self._ecr.describe_images(repositoryName=name, filter={"imageStatus": "ANY"}, maxResults=1)["imageDetails"])

    def _creation_templates(self) -> tuple[CreationTemplate, ...]:
        pages = self._ecr.get_paginator("describe_repository_creation_templates").paginate(PaginationConfig={"PageSize": PAGE})
        return tuple(
            CreationTemplate(template["prefix"], frozenset(template.get("appliedFor", ())))
            for page in pages
            for template in page.get("repositoryCreationTemplates", ())
        )

    def _pull_through_cache_prefixes(self) -> tuple[str, ...]:
        pages = self._ecr.get_paginator("describe_pull_through_cache_rules").paginate(PaginationConfig={"PageSize": PAGE})
        return tuple(rule["ecrRepositoryPrefix"] for page in pages for rule in page.get("pullThroughCacheRules", ()))
