"""How a repository is set up: read before it is deleted, and given to ECR again when somebody wants it back."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ecr_governor.adapters.aws import change
from ecr_governor.app.errors import Refused
from ecr_governor.core.retirement.tombstone import Settings, Tombstone

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


REFUSALS: Final = frozenset(
    {
        "InvalidParameterException",
        "InvalidTagParameterException",
        "KmsException",
        "LimitExceededException",
        "RepositoryAlreadyExistsException",
        "TooManyTagsException",
    }
)


def settings_of(found: Mapping[str, Any], lifecycle_policy: str | None) -> Settings:
    """Read an item of the `repositories` of DescribeRepositories, in ECR's own words whatever they are."""
    encryption = found.get("encryptionConfiguration") or {}
    return Settings(
        tag_mutability=found.get("imageTagMutability", "MUTABLE"),
        exclusion_filters=tuple(sorted(each["filter"] for each in found.get("imageTagMutabilityExclusionFilters", ()))),
        encryption=encryption.get("encryptionType", "AES256"),
        kms_key=encryption.get("kmsKey"),
        scan_on_push=bool(found.get("imageScanningConfiguration", {}).get("scanOnPush", False)),
        lifecycle_policy=lifecycle_policy,
    )


class EcrRebuilding:
    """One account's registry in one Region, for an operator who sets a deleted repository up again."""

    def __init__(self, client: "ECRClient") -> None:
        self._ecr = client

    def rebuild(self, stone: Tombstone) -> Iterator[str]:
        """Create the repository and set what it had, telling each thing once it is done. Raises Refused, Throttled, Denied.

        Raises Refused, with nothing changed, if a repository of the name is there. What ECR refuses to set keeps nothing else from being
        set: all of it is told at the end.
        """
        name, settings, policy = stone.snapshot.name, stone.settings, stone.snapshot.policy
        change("ecr:CreateRepository", lambda: self._ecr.create_repository(**_creation(stone)), REFUSALS)
        yield f"the repository: {settings.tag_mutability}, encrypted with {settings.kms_key or settings.encryption}"
        if stone.tags:
            yield f"its tags: {', '.join(f'{key}={value}' for key, value in sorted(stone.tags.items()))}"
        missing: list[str] = []
        for what, action, ask in self._documents(name, settings.lifecycle_policy, policy if isinstance(policy, str) else None):
            try:
                change(action, ask, REFUSALS)
            except Refused as error:
                missing.append(f"{what}: {error}")
            else:
                yield f"{what}, byte for byte"
        if missing:
            raise Refused("; ".join(missing))

    def _documents(self, name: str, lifecycle: str | None, policy: str | None) -> Iterator[tuple[str, str, Callable[[], object]]]:
        if lifecycle is not None:
            put_lifecycle = partial(self._ecr.put_lifecycle_policy, repositoryName=name, lifecyclePolicyText=lifecycle)
            yield "its lifecycle policy", "ecr:PutLifecyclePolicy", put_lifecycle
        if policy is not None:
            set_policy = partial(self._ecr.set_repository_policy, repositoryName=name, policyText=policy)
            yield "its repository policy", "ecr:SetRepositoryPolicy", set_policy


def _creation(stone: Tombstone) -> Any:
    settings = stone.settings
    asked: dict[str, Any] = {
        "repositoryName": stone.snapshot.name,
        "imageTagMutability": settings.tag_mutability,
        "encryptionConfiguration": {
            "encryptionType": settings.encryption,
            **({"kmsKey": settings.kms_key} if settings.kms_key else {}),
        },
        "imageScanningConfiguration": {"scanOnPush": settings.scan_on_push},
        "tags": [{"Key": key, "Value": value} for key, value in sorted(stone.tags.items())],
    }
    if settings.exclusion_filters:
        asked["imageTagMutabilityExclusionFilters"] = [{"filterType": "WILDCARD", "filter": each} for each in settings.exclusion_filters]
    return asked
