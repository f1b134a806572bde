"""A repository creation template, whole, in ECR's own words."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from ecr_governor.core.documents import json_text, lifecycle, repository_policy
from ecr_governor.core.documents.names import ROOT
from ecr_governor.core.origin import Origin

PLAIN_ENCRYPTION: Final = "AES256"
MAX_DESCRIPTION: Final = 256
NONE: Final = "none"


class AppliedFor(StrEnum):
    """For which of the ways in which ECR creates a repository a template is: ECR's values of `appliedFor`."""

    CREATE_ON_PUSH = "CREATE_ON_PUSH"
    PULL_THROUGH_CACHE = "PULL_THROUGH_CACHE"
    REPLICATION = "REPLICATION"


ORIGIN_OF: Final[Mapping[AppliedFor, Origin]] = {
    AppliedFor.CREATE_ON_PUSH: Origin.CREATE_ON_PUSH,
    AppliedFor.PULL_THROUGH_CACHE: Origin.PULL_THROUGH_CACHE,
    AppliedFor.REPLICATION: Origin.REPLICATION,
}


@dataclass(frozen=True, slots=True)
class Template:
    """A template with all its fields. A value that this release does not know stays as it was read.

    `lifecycle_policy` and `repository_policy` are the documents' texts, None where there is none. `kms_key` is a key's ARN, None for
    the AWS managed key.
    """

    prefix: str
    applied_for: frozenset[str]
    description: str = ""
    tag_mutability: str = "MUTABLE"
    exclusion_filters: frozenset[str] = frozenset()
    encryption: str = PLAIN_ENCRYPTION
    kms_key: str | None = None
    lifecycle_policy: str | None = None
    repository_policy: str | None = None
    resource_tags: Mapping[str, str] = field(default_factory=dict)
    custom_role_arn: str | None = None

    @property
    def key(self) -> str:
        """The prefix without the slash at its end, which is always understood."""
        return self.prefix.removesuffix("/")

    @property
    def needs_role(self) -> bool:
        """Whether ECR can create nothing by it without a role: it sets tags or a KMS key (user guide, repository creation role)."""
        return bool(self.resource_tags) or self.encryption != PLAIN_ENCRYPTION

    @property
    def lacks_role(self) -> bool:
        """Whether every creation by it fails for lack of a role."""
        return self.needs_role and not self.custom_role_arn


def as_data(template: Template) -> dict[str, Any]:
    """Write a template as the parameters of `CreateRepositoryCreationTemplate`; what it leaves to ECR is left out."""
    data: dict[str, Any] = {"prefix": template.prefix}
    if template.description:
        data["description"] = template.description
    data["appliedFor"] = in_order(template.applied_for)
    data["imageTagMutability"] = template.tag_mutability
    if template.exclusion_filters:
        data["imageTagMutabilityExclusionFilters"] = [
            {"filterType": "WILDCARD", "filter": each} for each in sorted(template.exclusion_filters)
        ]
    data["encryptionConfiguration"] = {"encryptionType": template.encryption, **({"kmsKey": template.kms_key} if template.kms_key else {})}
    if template.lifecycle_policy:
        data["lifecyclePolicy"] = template.lifecycle_policy
    if template.repository_policy:
        data["repositoryPolicy"] = template.repository_policy
    if template.resource_tags:
        data["resourceTags"] = [{"Key": key, "Value": value} for key, value in sorted(template.resource_tags.items())]
    if template.custom_role_arn:
        data["customRoleArn"] = template.custom_role_arn
    return data


def in_order(applied_for: Iterable[str]) -> list[str]:
    """Sort values of `appliedFor`: create on push first, values of a later release last."""
    known = [each.value for each in AppliedFor]
    return sorted(applied_for, key=lambda each: (known.index(each) if each in known else len(known), each))


def covers(template: Template, name: str) -> bool:
    """Whether the template is for the name: by whole path parts, never the bare prefix itself; `ROOT` covers all."""
    return template.key == ROOT or name.startswith(f"{template.key}/")


def nearness(template: Template) -> int:
    """How specific a template is among those that cover a name: the longest prefix wins, `ROOT` is the fallback."""
    return 0 if template.key == ROOT else len(template.key)


# --- words ----------------------------------------------------------------------------------------------------------------------------


def told(template: Template) -> dict[str, str]:
    """Tell each field in short words, by its name in the API; `none` where the template has nothing to say."""
    filters = sorted(template.exclusion_filters)
    return {
        "appliedFor": ", ".join(in_order(template.applied_for)) or NONE,
        "imageTagMutability": f"{template.tag_mutability} except {', '.join(filters)}" if filters else template.tag_mutability,
        "encryptionConfiguration": f"{template.encryption} under {template.kms_key}" if template.kms_key else template.encryption,
        "lifecyclePolicy": "; ".join(_rules(template.lifecycle_policy)) or NONE,
        "repositoryPolicy": ", ".join(_statements(template.repository_policy)) or NONE,
        "resourceTags": ", ".join(f"{key}={value}" for key, value in sorted(template.resource_tags.items())) or NONE,
        "customRoleArn": template.custom_role_arn or NONE,
        "description": template.description or NONE,
    }


def _rules(text: str | None) -> Iterator[str]:
    if text:
        try:
            yield from map(str, lifecycle.parse(text).rules)
        except lifecycle.LifecycleInvalid:
            yield "a document that ECR does not take"


def _statements(text: str | None) -> Iterator[str]:
    if text:
        try:
            statements = repository_policy.parse(text)["Statement"]
        except repository_policy.PolicyMalformed:
            yield "a document that cannot be read"
            return
        yield from (f"{each.get('Effect', '')} {each.get('Sid') or 'without a Sid'}".strip() for each in statements)


def same_document(wanted: str | None, found: str | None) -> bool:
    """Whether two documents say the same, however they are written. One that is no JSON is the same as itself only."""
    if not wanted or not found:
        return (wanted or None) == (found or None)
    try:
        return json_text.canonical(json_text.read(wanted)) == json_text.canonical(json_text.read(found))
    except json_text.JsonInvalid:
        return wanted == found


def same_statements(wanted: str | None, found: str | None) -> bool:
    """Whether two repository policies say the same; `wanted` is one of the policy file's, each statement with its `Sid`."""
    if same_document(wanted, found):
        return True
    if not wanted or not found:
        return False
    try:
        one, other = repository_policy.parse(wanted), repository_policy.parse(found)
    except repository_policy.PolicyMalformed:
        return False
    return (
        one.get("Version") == other.get("Version")
        and len(one["Statement"]) == len(other["Statement"])
        and not repository_policy.missing_statements(other, one)
    )
