"""What an inventory asks of AWS, in memory: called as a SignedClient is, with every trouble at any call."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from botocore import xform_name
from botocore.exceptions import ClientError

from ecr_governor.adapters.inventory import EcrInventory
from ecr_governor.adapters.pace import Pace
from tests.fakes import ACCOUNT, REGION, T0

if TYPE_CHECKING:
    from ecr_governor.adapters.signed import SignedClient

DAY = 86_400
PREFIXES = {"ecr": "ecr", "tagging": "tag", "monitoring": "cloudwatch"}
"""IAM's prefix of each service, by the name that its calls are signed for."""


def refusal(code: str, operation: str = "Operation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, operation)


@dataclass
class Held:
    """A repository as ECR holds it; `images` are ECR's image details."""

    name: str
    created_at: datetime = T0
    mutability: str = "MUTABLE"
    exclusion_filters: Sequence[str] = ()
    encryption: str = "AES256"
    scan_on_push: bool = False
    scan_frequency: str = "MANUAL"
    tags: Mapping[str, str] = field(default_factory=dict)
    lifecycle_policy: str | None = None
    repository_policy: str | None = None
    images: Sequence[dict[str, Any]] = ()
    pulled_on: Sequence[datetime] = ()

    @property
    def arn(self) -> str:
        return f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{self.name}"


def an_image(number: int, pushed_at: datetime, pulled_at: datetime | None = None, tags: Sequence[str] = ()) -> dict[str, Any]:
    pulled = {"lastRecordedPullTime": pulled_at.timestamp()} if pulled_at else {}
    tagged = {"imageTags": list(tags)} if tags else {}
    return {
        "imageDigest": f"sha256:{number:064}",
        "imagePushedAt": pushed_at.timestamp(),
        "imageSizeInBytes": 1000 + number,
        **pulled,
        **tagged,
    }


class MemoryEcr:
    """ECR, the tagging API and CloudWatch of one account and Region.

    `before` is called with the number of the call, from 1, its IAM action and its parameters; what it raises is the answer.
    Pages hold no more than `page` items, whatever is asked for, as AWS may do.
    """

    def __init__(self, *repositories: Held, page: int = 1000) -> None:
        self.repositories = {held.name: held for held in repositories}
        self.templates: list[tuple[str, Sequence[str]]] = []
        self.caches: list[str] = []
        self.page = page
        self.calls: Counter[str] = Counter()
        self.made: list[tuple[str, Mapping[str, Any]]] = []
        self.before: Callable[[int, str, Mapping[str, Any]], None] = lambda *_: None
        self._lock = Lock()

    def inventory(self, now: datetime, *, concurrency: int = 1, pull_metrics: bool = False, **more: Any) -> EcrInventory:
        """An inventory that asks this, one call after the other, and never waits."""
        pace = Pace(1e6, sleep=lambda _: None)
        return EcrInventory(cast("SignedClient", self), pace, concurrency=concurrency, pull_metrics=pull_metrics, now=now, **more)

    def call(self, service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        action = f"{PREFIXES[service]}:{operation}"
        with self._lock:
            self.calls[f"{service}:{operation}"] += 1
            self.made.append((action, params))
            number = len(self.made)
        self.before(number, action, params)
        return dict(getattr(self, f"_{xform_name(operation)}")(params))

    def close(self) -> None:
        pass

    # ECR

    def _describe_repositories(self, params: Mapping[str, Any]) -> dict[str, Any]:
        held, token = self._by_name(self.repositories.values(), params)
        return {"repositories": [self._listed(each) for each in held], **token}

    @staticmethod
    def _listed(held: Held) -> dict[str, Any]:
        return {
            "repositoryName": held.name,
            "repositoryArn": held.arn,
            "registryId": ACCOUNT,
            "createdAt": held.created_at.timestamp(),
            "imageTagMutability": held.mutability,
            "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": each} for each in held.exclusion_filters],
            "imageScanningConfiguration": {"scanOnPush": held.scan_on_push},
            "encryptionConfiguration": {"encryptionType": held.encryption},
        }

    def _get_lifecycle_policy(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if (text := self._held(params).lifecycle_policy) is None:
            raise refusal("LifecyclePolicyNotFoundException")
        return {"lifecyclePolicyText": text}

    def _get_repository_policy(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if (text := self._held(params).repository_policy) is None:
            raise refusal("RepositoryPolicyNotFoundException")
        return {"policyText": text}

    def _describe_images(self, params: Mapping[str, Any]) -> dict[str, Any]:
        assert params["filter"] == {"imageStatus": "ANY"}
        images = self._held(params).images
        found, token = self._paged(images, params)
        return {"imageDetails": found, **token}

    def _batch_get_repository_scanning_configuration(self, params: Mapping[str, Any]) -> dict[str, Any]:
        names = params["repositoryNames"]
        assert 1 <= len(names) <= 25
        found = [self.repositories[name] for name in names if name in self.repositories]
        gone = [name for name in names if name not in self.repositories]
        return {
            "scanningConfigurations": [{"repositoryName": held.name, "scanFrequency": held.scan_frequency} for held in found],
            "failures": [{"repositoryName": name, "failureCode": "REPOSITORY_NOT_FOUND", "failureReason": "gone"} for name in gone],
        }

    def _list_tags_for_resource(self, params: Mapping[str, Any]) -> dict[str, Any]:
        held = self._held({"repositoryName": params["resourceArn"].partition(":repository/")[2]})
        return {"tags": [{"Key": key, "Value": value} for key, value in held.tags.items()]}

    def _describe_repository_creation_templates(self, params: Mapping[str, Any]) -> dict[str, Any]:
        found, token = self._paged(self.templates, params)
        return {"repositoryCreationTemplates": [{"prefix": prefix, "appliedFor": list(kinds)} for prefix, kinds in found], **token}

    def _describe_pull_through_cache_rules(self, params: Mapping[str, Any]) -> dict[str, Any]:
        found, token = self._paged(self.caches, params)
        return {"pullThroughCacheRules": [{"ecrRepositoryPrefix": prefix} for prefix in found], **token}

    # The others

    def _get_resources(self, params: Mapping[str, Any]) -> dict[str, Any]:
        assert params["ResourceTypeFilters"] == ["ecr:repository"]
        # Repositories that never had a tag are not among the answers.
        tagged = [held for held in self.repositories.values() if held.tags]
        found, token = self._by_name(tagged, {"maxResults": params["ResourcesPerPage"], "nextToken": params.get("PaginationToken")})
        listed = [{"ResourceARN": held.arn, "Tags": [{"Key": key, "Value": value} for key, value in held.tags.items()]} for held in found]
        return {"ResourceTagMappingList": listed, "PaginationToken": token.get("nextToken", "")}

    def _get_metric_data(self, params: Mapping[str, Any]) -> dict[str, Any]:
        assert 1 <= len(params["MetricDataQueries"]) <= 500
        results = []
        for query in params["MetricDataQueries"]:
            name = query["MetricStat"]["Metric"]["Dimensions"][0]["Value"]
            held = self.repositories.get(name)
            days = sorted({int(at.timestamp()) // DAY * DAY for at in held.pulled_on} if held else ())
            within = [day for day in days if params["StartTime"] <= day < params["EndTime"]]
            results.append({"Id": query["Id"], "Timestamps": within, "Values": [1.0] * len(within)})
        found, token = self._paged(results, {"maxResults": self.page, "nextToken": params.get("NextToken")})
        return {"MetricDataResults": found, **({"NextToken": token["nextToken"]} if token else {})}

    def _held(self, params: Mapping[str, Any]) -> Held:
        found = self.repositories.get(params["repositoryName"])
        if found is None:
            raise refusal("RepositoryNotFoundException")
        return found

    def _by_name(self, every: Iterable[Held], params: Mapping[str, Any]) -> tuple[list[Held], dict[str, str]]:
        # A token names the last one given, so that one that is deleted meanwhile hides no other.
        left = sorted((held for held in every if held.name > (params.get("nextToken") or "")), key=lambda held: held.name)
        given = left[: min(params["maxResults"], self.page)]
        return given, ({"nextToken": given[-1].name} if len(given) < len(left) else {})

    def _paged(self, items: Sequence[Any], params: Mapping[str, Any]) -> tuple[Sequence[Any], dict[str, str]]:
        size, start = min(params["maxResults"], self.page), int(params.get("nextToken") or 0)
        end = start + size
        return items[start:end], ({"nextToken": str(end)} if end < len(items) else {})
