"""Amazon ECR in bulk: the facts of every repository with the fewest calls that tell them. Reads only."""

import json
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import DENIALS, code_of, raise_translated
from ecr_governor.adapters.pace import Pace
from ecr_governor.adapters.signed import SignedClient
from ecr_governor.app.errors import Throttled
from ecr_governor.core.repository import (
    CreationTemplate,
    Encryption,
    EncryptionType,
    Fact,
    Image,
    Repository,
    ScanFrequency,
    TagMutability,
    TagMutabilitySetting,
    Unreadable,
    Usage,
)

READS: Final = frozenset(
    {
        "ecr:DescribeRepositories",
        "ecr:DescribeImages",
        "ecr:GetLifecyclePolicy",
        "ecr:GetRepositoryPolicy",
        "ecr:ListTagsForResource",
        "ecr:BatchGetRepositoryScanningConfiguration",
        "ecr:DescribeRepositoryCreationTemplates",
        "tagging:GetResources",
        "monitoring:GetMetricData",
    }
)
"""Every call that an inventory can make. Nothing here changes anything, and none of them counts as a pull."""

KNOWN_LIMITS: Final[Mapping[str, float]] = {"tagging:GetResources": 15.0}
"""Rates that AWS publishes, for `Pace`."""

PAGE = 1000
TAGS_PAGE = 100
SCAN_BATCH = 25
METRICS_BATCH = 500
RESTARTS = 5
DAY = 86_400
GONE_CODES = frozenset({"REPOSITORY_NOT_FOUND"})

Value = TypeVar("Value")


class _Gone(Exception):
    """The repository vanished between two calls."""


class _BulkTags:
    """The tags of every repository that has any: one text with a line for each, found by the hash of the name.

    A dict of dicts would take several times the memory: this is 16 bytes a repository besides its name and tags.
    """

    def __init__(self) -> None:
        self._text = bytearray()
        self._hashes = array("q")
        self._starts = array("Q")

    def add(self, name: str, tags: Mapping[str, str]) -> None:
        self._hashes.append(hash(name))
        self._starts.append(len(self._text))
        # JSON writes no line break but this one.
        self._text += json.dumps([name, tags], separators=(",", ":")).encode() + b"\n"

    def sort(self) -> None:
        order = sorted(range(len(self._hashes)), key=self._hashes.__getitem__)
        self._hashes = array("q", (self._hashes[position] for position in order))
        self._starts = array("Q", (self._starts[position] for position in order))

    def of(self, name: str) -> dict[str, str]:
        wanted = hash(name)
        for position in range(bisect_left(self._hashes, wanted), len(self._hashes)):
            if self._hashes[position] != wanted:
                break
            start = self._starts[position]
            found, tags = json.loads(self._text[start : self._text.index(b"\n", start)])
            if found == name:
                return dict(tags)
        # Never tagged, and so left out of AWS's answer.
        return {}


class EcrInventory:
    """One account's registry in one Region, page by page. Between pages only the tags of all repositories are kept.

    Tags are read in bulk, up to some seconds behind ECR's own; where that is denied, from each repository.
    With `pull_metrics`, CloudWatch tells first what was pulled lately, and only the other repositories' images are listed.
    """

    def __init__(self, client: SignedClient, pace: Pace, *, concurrency: int = 16, pull_metrics: bool = False, now: datetime) -> None:
        self._client = client
        self._pace = pace
        self._concurrency = concurrency
        self._pull_metrics = pull_metrics
        self._now = now
        # None until asked for; Unreadable where all tags at once are denied.
        self._tags: _BulkTags | Unreadable | None = None
        self._templates: tuple[CreationTemplate, ...] | Unreadable | None = None

    @property
    def calls(self) -> Mapping[str, int]:
        """Count the calls made so far, retries and refused ones included, by operation such as `ecr:DescribeImages`."""
        return self._client.calls

    def pages(self) -> Iterator[Sequence[Repository]]:
        """List every repository, at most 1,000 at a time, with no fact that costs a call of its own. Raises Throttled, Denied."""
        # Hashes, not names: 100,000 of them in less than 1 MB, for the case that the listing has to begin again.
        given = array("q")
        skipped: frozenset[int] = frozenset()
        token: str | None = None
        restarts = 0
        while True:
            try:
                answer = self._call("ecr", "DescribeRepositories", **_from(token))
            except ClientError as error:
                if token is None or code_of(error) != "InvalidParameterException":
                    raise_translated(error, "ecr:DescribeRepositories")
                # Pages are judged between two calls, which may take longer than a token lives.
                restarts += 1
                if restarts > RESTARTS:
                    raise Throttled("ecr:DescribeRepositories: its page tokens expire sooner than they are used") from error
                token, skipped = None, frozenset(given)
                continue
            page = [_repository(each) for each in answer["repositories"] if hash(each["repositoryName"]) not in skipped]
            given.extend(hash(repository.name) for repository in page)
            token = answer.get("nextToken")
            if page:
                restarts = 0
                yield page
            if not token:
                return

    def complete(self, page: Sequence[Repository], facts: frozenset[Fact], idle_since: datetime | None) -> Sequence[Repository]:
        """Read facts of a page of repositories; those that vanished meanwhile are left out. Raises Throttled.

        A fact that may not be read is `Unreadable`. Of `Fact.USAGE` only as much is read as tells whether anything happened after
        `idle_since`; None asks for all of it.
        """
        threads = ThreadPoolExecutor(self._concurrency, thread_name_prefix="inventory")
        try:
            return self._complete(threads, page, facts, idle_since)
        finally:
            threads.shutdown(cancel_futures=True)

    def _complete(
        self, threads: ThreadPoolExecutor, page: Sequence[Repository], facts: frozenset[Fact], idle_since: datetime | None
    ) -> Sequence[Repository]:
        # What is read for many at once goes along with what is read for each: every operation has a quota of its own.
        tags = threads.submit(self._bulk_tags) if Fact.TAGS in facts else None
        templates = threads.submit(self._creation_templates) if Fact.CREATION_TEMPLATES in facts else None
        names = [repository.name for repository in page] if Fact.SCAN_FREQUENCY in facts else []
        scans = [threads.submit(self._scan_frequencies, batch) for batch in _batches(names, SCAN_BATCH)]
        pulled = self._pulled(threads, page, facts, idle_since)
        reads = [threads.submit(self._read_one, repository, facts, idle_since, pulled) for repository in page]
        rows = [read.result() for read in reads]
        if tags is not None:
            self._add_tags(threads, page, rows, tags)
        frequencies = {name: frequency for scan in scans for name, frequency in scan.result().items()}
        shared: dict[str, Any] = {} if templates is None else {Fact.CREATION_TEMPLATES.value: templates.result()}
        found = []
        for repository, row in zip(page, rows, strict=True):
            if row is None:
                continue
            if Fact.SCAN_FREQUENCY in facts:
                frequency = frequencies[repository.name]
                if frequency is None:
                    continue
                row[Fact.SCAN_FREQUENCY.value] = frequency
            found.append(replace(repository, **row, **shared))
        return found

    # One repository

    def _read_one(
        self, repository: Repository, facts: frozenset[Fact], idle_since: datetime | None, pulled: Mapping[str, datetime]
    ) -> dict[str, Any] | None:
        name, row = repository.name, dict[str, Any]()
        try:
            if Fact.LIFECYCLE_POLICY in facts:
                row[Fact.LIFECYCLE_POLICY.value] = _or_unreadable("ecr:GetLifecyclePolicy", lambda: self._lifecycle_policy(name))
            if Fact.REPOSITORY_POLICY in facts:
                row[Fact.REPOSITORY_POLICY.value] = _or_unreadable("ecr:GetRepositoryPolicy", lambda: self._repository_policy(name))
            if Fact.IMAGES in facts:
                images = _or_unreadable("ecr:DescribeImages", lambda: self._images(name))
                row[Fact.IMAGES.value] = images if isinstance(images, Unreadable) else images[0]
                if Fact.USAGE in facts:
                    row[Fact.USAGE.value] = images if isinstance(images, Unreadable) else images[1]
            elif Fact.USAGE in facts:
                row[Fact.USAGE.value] = self._usage(repository, idle_since, pulled)
            if Fact.TAGS in facts and isinstance(self._tags, Unreadable):
                row[Fact.TAGS.value] = self._own_tags(repository)
        except _Gone:
            return None
        return row

    def _lifecycle_policy(self, name: str) -> str | None:
        try:
            return str(self._call("ecr", "GetLifecyclePolicy", repositoryName=name)["lifecyclePolicyText"])
        except ClientError as error:
            if code_of(error) == "LifecyclePolicyNotFoundException":
                return None
            raise

    def _repository_policy(self, name: str) -> str | None:
        try:
            return str(self._call("ecr", "GetRepositoryPolicy", repositoryName=name)["policyText"])
        except ClientError as error:
            if code_of(error) == "RepositoryPolicyNotFoundException":
                return None
            raise

    def _image_pages(self, name: str) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        """Give the images page by page, and with each page whether it is the last."""
        token: str | None = None
        while True:
            # Without imageStatus ANY, archived images are hidden and a full repository looks empty.
            answer = self._call("ecr", "DescribeImages", repositoryName=name, filter={"imageStatus": "ANY"}, **_from(token))
            token = answer.get("nextToken")
            yield answer["imageDetails"], not token
            if not token:
                return

    def _images(self, name: str) -> tuple[tuple[Image, ...], Usage]:
        images: list[Image] = []
        tally = _Tally()
        for details, _ in self._image_pages(name):
            tally.add(details)
            images += (Image(each["imageDigest"], tuple(each.get("imageTags", ())), _moment(each["imagePushedAt"])) for each in details)
        return tuple(images), tally.usage(counted=True)

    def _usage(self, repository: Repository, idle_since: datetime | None, pulled: Mapping[str, datetime]) -> Usage | Unreadable:
        if idle_since is not None and repository.created_at > idle_since:
            # Its creation tells as much as any image could.
            return Usage()
        if repository.name in pulled:
            return Usage(last_pull=pulled[repository.name])
        return _or_unreadable("ecr:DescribeImages", lambda: self._usage_by_images(repository.name, idle_since))

    def _usage_by_images(self, name: str, idle_since: datetime | None) -> Usage:
        enough = float("inf") if idle_since is None else idle_since.timestamp()
        tally = _Tally()
        for details, is_last in self._image_pages(name):
            tally.add(details)
            if tally.newest > enough:
                return tally.usage(counted=is_last)
        return tally.usage(counted=True)

    def _own_tags(self, repository: Repository) -> Mapping[str, str] | Unreadable:
        def read() -> Mapping[str, str]:
            answer = self._call("ecr", "ListTagsForResource", resourceArn=repository.arn)
            return {tag["Key"]: tag.get("Value", "") for tag in answer.get("tags", ())}

        return _or_unreadable("ecr:ListTagsForResource", read)

    # All repositories at once

    def _bulk_tags(self) -> _BulkTags | Unreadable:
        if self._tags is None:
            self._tags = _or_unreadable("tag:GetResources", self._all_tags)
        return self._tags

    def _all_tags(self) -> _BulkTags:
        tags = _BulkTags()
        token, restarts = "", 0
        while True:
            params = {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": TAGS_PAGE}
            try:
                answer = self._call("tagging", "GetResources", **params, **({"PaginationToken": token} if token else {}))
            except ClientError as error:
                restarts += 1
                if code_of(error) != "PaginationTokenExpiredException":
                    raise
                if restarts > RESTARTS:
                    raise Throttled("tag:GetResources: its page tokens expire sooner than they are used") from error
                token, tags = "", _BulkTags()
                continue
            for found in answer["ResourceTagMappingList"]:
                tags.add(found["ResourceARN"].partition(":repository/")[2], {tag["Key"]: tag["Value"] for tag in found["Tags"]})
            token = answer.get("PaginationToken") or ""
            if not token:
                tags.sort()
                return tags

    def _add_tags(
        self,
        threads: ThreadPoolExecutor,
        page: Sequence[Repository],
        rows: list[dict[str, Any] | None],
        loading: Future[_BulkTags | Unreadable],
    ) -> None:
        tags, key = loading.result(), Fact.TAGS.value
        late: list[tuple[int, Future[Mapping[str, str] | Unreadable]]] = []
        for number, (repository, row) in enumerate(zip(page, rows, strict=True)):
            if row is None or key in row:
                continue
            if isinstance(tags, _BulkTags):
                row[key] = tags.of(repository.name)
            else:
                # It was read before the denial was known.
                late.append((number, threads.submit(self._own_tags, repository)))
        for number, read in late:
            row = rows[number]
            try:
                if row is not None:
                    row[key] = read.result()
            except _Gone:
                rows[number] = None

    def _creation_templates(self) -> tuple[CreationTemplate, ...] | Unreadable:
        if self._templates is None:
            self._templates = _or_unreadable("ecr:DescribeRepositoryCreationTemplates", self._all_creation_templates)
        return self._templates

    def _all_creation_templates(self) -> tuple[CreationTemplate, ...]:
        templates: list[CreationTemplate] = []
        token: str | None = None
        while True:
            answer = self._call("ecr", "DescribeRepositoryCreationTemplates", **_from(token))
            found = answer.get("repositoryCreationTemplates", ())
            templates += (CreationTemplate(each["prefix"], frozenset(each.get("appliedFor", ()))) for each in found)
            token = answer.get("nextToken")
            if not token:
                return tuple(templates)

    def _scan_frequencies(self, names: Sequence[str]) -> dict[str, ScanFrequency | Unreadable | None]:
        """Read the effective frequency of up to 25 repositories; None is a repository that vanished."""
        action = "ecr:BatchGetRepositoryScanningConfiguration"
        try:
            answer = _or_unreadable(
                action, lambda: self._call("ecr", "BatchGetRepositoryScanningConfiguration", repositoryNames=list(names))
            )
        except _Gone:
            # One that vanished must not take the others' answer with it.
            if len(names) == 1:
                return {names[0]: None}
            half = len(names) // 2
            return self._scan_frequencies(names[:half]) | self._scan_frequencies(names[half:])
        if isinstance(answer, Unreadable):
            return dict.fromkeys(names, answer)
        found: dict[str, ScanFrequency | Unreadable | None] = dict.fromkeys(names, Unreadable(f"{action}: no answer"))
        for each in answer.get("scanningConfigurations", ()):
            found[each["repositoryName"]] = ScanFrequency(each.get("scanFrequency", "MANUAL"))
        for failure in answer.get("failures", ()):
            code = failure.get("failureCode", "")
            found[failure["repositoryName"]] = (
                None if code in GONE_CODES else Unreadable(f"{action}: {failure.get('failureReason') or code}")
            )
        return found

    def _pulled(
        self, threads: ThreadPoolExecutor, page: Sequence[Repository], facts: frozenset[Fact], idle_since: datetime | None
    ) -> Mapping[str, datetime]:
        """Tell which repositories were pulled from after `idle_since` by CloudWatch's count, and on which day last."""
        if not self._pull_metrics or idle_since is None or Fact.USAGE not in facts or Fact.IMAGES in facts:
            return {}
        names = [repository.name for repository in page if repository.created_at <= idle_since]
        counts = [threads.submit(self._pull_days, batch, idle_since) for batch in _batches(names, METRICS_BATCH)]
        return {name: day for count in counts for name, day in count.result().items()}

    def _pull_days(self, names: Sequence[str], idle_since: datetime) -> dict[str, datetime]:
        # From the first midnight after `idle_since`: of a day that began before it, nobody could tell when in it the pull was.
        start = (int(idle_since.timestamp()) // DAY + 1) * DAY
        end = int(self._now.timestamp())
        params = {
            "StartTime": start,
            "EndTime": end,
            "MetricDataQueries": [_pull_count(number, name) for number, name in enumerate(names)],
        }
        days: dict[str, datetime] = {}
        token: str | None = None
        while start < end:
            try:
                answer = self._call("monitoring", "GetMetricData", **params, **({"NextToken": token} if token else {}))
            except ClientError as error:
                if code_of(error) not in DENIALS:
                    raise
                # The images tell the same, at a call for each repository.
                self._pull_metrics = False
                return {}
            for result in answer["MetricDataResults"]:
                pulls = [at for at, count in zip(result.get("Timestamps", ()), result.get("Values", ()), strict=True) if count > 0]
                if pulls:
                    name = names[int(result["Id"][1:])]
                    days[name] = max(_moment(max(pulls)), days.get(name, idle_since))
            token = answer.get("NextToken")
            if not token:
                break
        return days

    def _call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        key = f"{service}:{operation}"
        if key not in READS:
            raise PermissionError(f"an inventory only reads, and {key} is not among its reads")
        return self._pace.call(key, lambda: self._client.call(service, operation, params))


class _Tally:
    """What the images seen so far say of a repository's use, in the numbers that AWS sent."""

    __slots__ = ("images", "newest", "pull", "push", "size")

    def __init__(self) -> None:
        self.images = self.size = 0
        self.push: float | None = None
        self.pull: float | None = None
        self.newest = float("-inf")

    def add(self, details: Sequence[Mapping[str, Any]]) -> None:
        pushes = [each["imagePushedAt"] for each in details]
        pulls = [each["lastRecordedPullTime"] for each in details if "lastRecordedPullTime" in each]
        self.images += len(details)
        self.size += sum(each.get("imageSizeInBytes", 0) for each in details)
        if pushes:
            self.push = max(pushes) if self.push is None else max(self.push, *pushes)
        if pulls:
            self.pull = max(pulls) if self.pull is None else max(self.pull, *pulls)
        self.newest = max(at for at in (self.newest, self.push, self.pull) if at is not None)

    def usage(self, *, counted: bool) -> Usage:
        return Usage(
            last_push=None if self.push is None else _moment(self.push),
            last_pull=None if self.pull is None else _moment(self.pull),
            images=self.images if counted else None,
            size_bytes=self.size if counted else None,
        )


def _repository(found: Mapping[str, Any]) -> Repository:
    encryption = found.get("encryptionConfiguration") or {"encryptionType": "AES256"}
    arn = found["repositoryArn"]
    return Repository(
        name=found["repositoryName"],
        arn=arn,
        account=found["registryId"],
        region=arn.split(":")[3],
        created_at=_moment(found["createdAt"]),
        tag_mutability=TagMutabilitySetting(
            TagMutability(found.get("imageTagMutability", "MUTABLE")),
            frozenset(each["filter"] for each in found.get("imageTagMutabilityExclusionFilters", ())),
        ),
        encryption=Encryption(EncryptionType(encryption["encryptionType"]), encryption.get("kmsKey")),
    )


def _or_unreadable(action: str, read: Callable[[], Value]) -> Value | Unreadable:
    try:
        return read()
    except ClientError as error:
        code = code_of(error)
        if code == "RepositoryNotFoundException":
            raise _Gone from error
        if code in DENIALS:
            return Unreadable(f"{action}: {code}")
        raise_translated(error, action)


def _pull_count(number: int, name: str) -> dict[str, Any]:
    metric = {"Namespace": "AWS/ECR", "MetricName": "RepositoryPullCount", "Dimensions": [{"Name": "RepositoryName", "Value": name}]}
    return {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": DAY, "Stat": "Sum"}}


def _from(token: str | None) -> dict[str, Any]:
    return {"maxResults": PAGE, "nextToken": token} if token else {"maxResults": PAGE}


def _batches(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (names[start : start + size] for start in range(0, len(names), size))


def _moment(number: float) -> datetime:
    return datetime.fromtimestamp(number, UTC)
