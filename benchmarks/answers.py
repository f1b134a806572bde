"""What AWS answers about the made-up registry. Answers about one repository are written when it is put in, not when they are asked for."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks import rules
from benchmarks.account import DAY, Image, Repository
from benchmarks.cbor import Moment

Params = Mapping[str, Any]

CHANGING = (
    "Put",
    "Set",
    "Delete",
    "BatchDelete",
    "Create",
    "Update",
    "Tag",
    "Untag",
    "Start",
    "Initiate",
    "Upload",
    "Complete",
    "Replicate",
)
"""How the names of operations begin that change something."""
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


class Refused(Exception):
    """AWS's refusal: its code and its words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Limits:
    """How an operation is paged: default and largest page, and what its parameters are called."""

    default: int
    most: int
    size: str = "maxResults"
    token: str = "nextToken"  # noqa: S105 - a parameter's name


LISTING: Final = Limits(100, 1000)
TAGGING: Final = Limits(50, 100, "ResourcesPerPage", "PaginationToken")
MOST_NAMES, MOST_SCANS, MOST_IDS, MOST_QUERIES = 100, 25, 100, 500
"""In DescribeRepositories, BatchGetRepositoryScanningConfiguration, DescribeImages and GetMetricData."""


@dataclass(slots=True)
class Entry:
    """A repository with its answers in JSON."""

    repository: Repository
    described: bytes
    images: list[bytes]
    all_images: bytes
    lifecycle: bytes | None
    policy: bytes | None
    tags: bytes
    tagged: bytes | None
    pull_days: tuple[float, ...]

    def pairs(self) -> Iterable[tuple[Image, bytes]]:
        """Give each image with what is answered about it."""
        return zip(self.repository.images, self.images, strict=True)

    @classmethod
    def of(cls, repository: Repository) -> "Entry":
        """Write the answers."""
        base = {"registryId": rules.ACCOUNT, "repositoryName": repository.name}
        described = {
            "repositoryArn": repository.arn,
            **base,
            "repositoryUri": f"{rules.ACCOUNT}.dkr.ecr.{rules.REGION}.amazonaws.com/{repository.name}",
            "createdAt": repository.created_at,
            "imageTagMutability": "IMMUTABLE" if repository.immutable else "MUTABLE",
            "imageScanningConfiguration": {"scanOnPush": repository.scan_on_push},
            "encryptionConfiguration": {"encryptionType": "AES256"},
        }
        images = [written(_described_image(base, image)) for image in repository.images]
        tags = [{"Key": key, "Value": value} for key, value in repository.tags.items()]
        lifecycle, policy = repository.lifecycle_text, repository.policy_text
        return cls(
            repository,
            written(described),
            images,
            _list("imageDetails", images),
            None if lifecycle is None else written({**base, "lifecyclePolicyText": lifecycle, "lastEvaluatedAt": repository.created_at}),
            None if policy is None else written({**base, "policyText": policy}),
            written({"tags": tags}),
            # A repository that never had a tag is unknown to the tagging API.
            written({"ResourceARN": repository.arn, "Tags": tags}) if tags else None,
            tuple(sorted({image.pulled_at // DAY * DAY for image in repository.images if image.pulled_at}, reverse=True)),
        )


@dataclass(slots=True)
class Registry:
    """One account's registry. What would change it is written down in `changes`, answered, and not done."""

    entries: dict[str, Entry]
    changes: list[dict[str, str]] = field(default_factory=list)
    _names: list[str] = field(init=False)
    _tagged: list[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._arrange()

    @classmethod
    def holding(cls, repositories: Sequence[Repository]) -> "Registry":
        """Fill a registry."""
        return cls({each.name: Entry.of(each) for each in repositories})

    def put(self, repositories: Sequence[Repository]) -> None:
        """Replace the repositories that are not what they were."""
        for each in repositories:
            if self.entries[each.name].repository is not each:
                self.entries[each.name] = Entry.of(each)
        self._arrange()

    def _arrange(self) -> None:
        self._names = list(self.entries)
        self._tagged = [entry.tagged for entry in self.entries.values() if entry.tagged is not None]

    def operations(self) -> dict[str, Callable[[Params], bytes]]:
        """Give what answers each reading operation of the services that speak JSON, by "service.Operation"."""
        return {
            "ecr.DescribeRepositories": self.describe_repositories,
            "ecr.DescribeImages": self.describe_images,
            "ecr.GetLifecyclePolicy": self.lifecycle_policy,
            "ecr.GetRepositoryPolicy": self.repository_policy,
            "ecr.ListTagsForResource": self.tags,
            "ecr.BatchGetRepositoryScanningConfiguration": self.scanning,
            **{f"ecr.{operation}": _always(answer) for operation, answer in _of_the_registry().items()},
            "ecr.GetRegistryPolicy": _no_registry_policy,
            "tagging.GetResources": self.resources,
            "monitoring.GetMetricData": lambda params: written(self.metric_data(params)),
        }

    def change(self, operation: str, params: Params) -> bytes:
        """Write down what was to be changed, and answer as if it had been."""
        subject = params.get("repositoryName") or str(params.get("resourceArn", "")).partition(":repository/")[2]
        self.changes.append({"operation": operation, "repository": subject})
        return written({"registryId": rules.ACCOUNT, **params})

    def describe_repositories(self, params: Params) -> bytes:
        """Describe repositories, those named or all."""
        if wanted := params.get("repositoryNames"):
            if len(wanted) > MOST_NAMES or params.get("maxResults") or params.get("nextToken"):
                raise Refused("InvalidParameterException", f"at most {MOST_NAMES} repositoryNames, and no pages of them")
            return _list("repositories", [self._entry({"repositoryName": name}).described for name in wanted])
        begin, end, token = page(params, len(self._names), LISTING)
        return _list("repositories", [self.entries[name].described for name in self._names[begin:end]], token)

    def describe_images(self, params: Params) -> bytes:
        """Describe a repository's images: all, some kinds of tags, or those named by tag or digest."""
        entry = self._entry(params)
        if wanted := params.get("imageIds"):
            if len(wanted) > MOST_IDS:
                raise Refused("InvalidParameterException", f"at most {MOST_IDS} imageIds")
            found = [text for image, text in entry.pairs() if any(_is(image, each) for each in wanted)]
            if not found:
                raise Refused("ImageNotFoundException", f"none of the images is in {entry.repository.name}")
            return _list("imageDetails", found)
        tag_status = (params.get("filter") or {}).get("tagStatus", "ANY")
        images = entry.images
        if tag_status != "ANY":
            images = [text for image, text in entry.pairs() if bool(image.tags) == (tag_status == "TAGGED")]
        begin, end, token = page(params, len(images), LISTING)
        return entry.all_images if end - begin == len(entry.images) else _list("imageDetails", images[begin:end], token)

    def lifecycle_policy(self, params: Params) -> bytes:
        """Give a repository's lifecycle policy."""
        entry = self._entry(params)
        if entry.lifecycle is None:
            raise Refused("LifecyclePolicyNotFoundException", f"Lifecycle policy does not exist for {entry.repository.name}")
        return entry.lifecycle

    def repository_policy(self, params: Params) -> bytes:
        """Give a repository's own policy."""
        entry = self._entry(params)
        if entry.policy is None:
            raise Refused("RepositoryPolicyNotFoundException", f"Repository policy does not exist for {entry.repository.name}")
        return entry.policy

    def tags(self, params: Params) -> bytes:
        """Give one repository's tags."""
        return self._entry({"repositoryName": str(params.get("resourceArn")).partition(":repository/")[2]}).tags

    def scanning(self, params: Params) -> bytes:
        """Give how up to 25 repositories are scanned."""
        names = params.get("repositoryNames") or []
        if not 1 <= len(names) <= MOST_SCANS:
            raise Refused("ValidationException", f"1 to {MOST_SCANS} repositoryNames")
        found = [self.entries[name].repository for name in names if name in self.entries]
        unknown = [name for name in names if name not in self.entries]
        return written(
            {
                "scanningConfigurations": [
                    {
                        "repositoryArn": each.arn,
                        "repositoryName": each.name,
                        "scanOnPush": each.scan_on_push,
                        "scanFrequency": "SCAN_ON_PUSH" if each.scan_on_push else "MANUAL",
                        "appliedScanFilters": [],
                    }
                    for each in found
                ],
                "failures": [{"repositoryName": name, "failureCode": "REPOSITORY_NOT_FOUND", "failureReason": "none"} for name in unknown],
            }
        )

    def resources(self, params: Params) -> bytes:
        """Give the tags of everything that has any, by the tagging API."""
        kinds = params.get("ResourceTypeFilters") or ["ecr:repository"]
        if params.get("TagFilters"):
            raise Refused("InvalidParameterException", "this tagging API does not filter by tags")
        tagged = self._tagged if {"ecr", "ecr:repository"} & set(kinds) else []
        begin, end, token = page(params, len(tagged), TAGGING)
        return b'{"PaginationToken":"%s","ResourceTagMappingList":[%s]}' % (token, b",".join(tagged[begin:end]))

    def metric_data(self, params: Params) -> dict[str, Any]:
        """Count pulls: one for each day on which an image was last pulled, the newest day first."""
        queries = params["MetricDataQueries"]
        if len(queries) > MOST_QUERIES:
            raise Refused("ValidationError", f"at most {MOST_QUERIES} MetricDataQueries")
        begin, end = float(params["StartTime"]), float(params["EndTime"])
        results = []
        for query in queries:
            metric = query["MetricStat"]["Metric"]
            name = next((each["Value"] for each in metric.get("Dimensions", ()) if each["Name"] == "RepositoryName"), "")
            counted = metric["Namespace"] == "AWS/ECR" and metric["MetricName"] == "RepositoryPullCount" and name in self.entries
            days = [Moment(day) for day in self.entries[name].pull_days if begin <= day < end] if counted else []
            results.append({"Id": query["Id"], "Label": name, "Timestamps": days, "Values": [1.0] * len(days), "StatusCode": "Complete"})
        return {"MetricDataResults": results, "Messages": []}

    def _entry(self, params: Params) -> Entry:
        name = params.get("repositoryName")
        found = self.entries.get(str(name))
        if found is None:
            message = f"The repository with name '{name}' does not exist in the registry with id '{rules.ACCOUNT}'"
            raise Refused("RepositoryNotFoundException", message)
        return found


def is_change(operation: str) -> bool:
    """Tell whether an operation of ECR would change something."""
    return operation.startswith(CHANGING)


def page(params: Params, total: int, limits: Limits) -> tuple[int, int, bytes]:
    """Give where a page begins and ends, and the token of the next one; no token on the last. Raises Refused."""
    size = params.get(limits.size) or limits.default
    if not 1 <= size <= limits.most:
        raise Refused("InvalidParameterException", f"{limits.size} must be between 1 and {limits.most}")
    begin = 0
    if token := params.get(limits.token):
        try:
            begin = int(base64.b64decode(token, validate=True))
        except ValueError as error:
            raise Refused("InvalidParameterException", f"{limits.token} is not one of this server's") from error
    end = min(begin + size, total)
    return begin, end, base64.b64encode(b"%d" % end) if end < total else b""


def written(value: Any) -> bytes:
    """Write JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def _list(name: str, items: Sequence[bytes], token: bytes = b"") -> bytes:
    return b'{"%s":[%s]%s}' % (name.encode(), b",".join(items), b',"nextToken":"%s"' % token if token else b"")


def _described_image(base: Mapping[str, str], image: Image) -> dict[str, Any]:
    return {
        **base,
        "imageDigest": image.digest,
        **({"imageTags": image.tags} if image.tags else {}),
        "imageSizeInBytes": image.size,
        "imagePushedAt": image.pushed_at,
        "imageManifestMediaType": MANIFEST,
        "artifactMediaType": CONFIG,
        **({} if image.pulled_at is None else {"lastRecordedPullTime": image.pulled_at}),
        "imageStatus": "ACTIVE",
    }


def _is(image: Image, wanted: Mapping[str, str]) -> bool:
    return wanted.get("imageDigest", image.digest) == image.digest and ("imageTag" not in wanted or wanted["imageTag"] in image.tags)


def _always(answer: bytes) -> Callable[[Params], bytes]:
    return lambda _: answer


def _of_the_registry() -> dict[str, bytes]:
    registry = {"registryId": rules.ACCOUNT}
    caches = [
        {
            **registry,
            "ecrRepositoryPrefix": prefix,
            "upstreamRegistryUrl": f"{prefix}.example.com",
            "createdAt": 1.7e9,
            "updatedAt": 1.7e9,
        }
        for prefix in rules.CACHE_PREFIXES
    ]
    answers = {
        "DescribeRegistry": {**registry, "replicationConfiguration": {"rules": []}},
        "GetRegistryScanningConfiguration": {**registry, "scanningConfiguration": {"scanType": "BASIC", "rules": []}},
        "DescribeRepositoryCreationTemplates": {**registry, "repositoryCreationTemplates": []},
        "DescribePullThroughCacheRules": {"pullThroughCacheRules": caches},
    }
    return {operation: written(answer) for operation, answer in answers.items()}


def _no_registry_policy(_: Params) -> bytes:
    raise Refused("RegistryPolicyNotFoundException", f"Registry policy does not exist in the registry with id '{rules.ACCOUNT}'")
