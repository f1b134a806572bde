"""Amazon ECR in bulk: the facts of every repository with the fewest calls that tell them. Reads only."""

import marshal
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, ParamSpec, Self, TypeVar

from botocore.exceptions import ClientError

from ecr_governor.adapters.aws import REFUSED_CREDENTIALS, code_of
from ecr_governor.adapters.described import repository_of
from ecr_governor.adapters.ecr import IMAGE_PAGES
from ecr_governor.adapters.pace import Pace
from ecr_governor.adapters.shelf import FileShelf
from ecr_governor.adapters.signed import SignedClient
from ecr_governor.app.errors import Denied, Throttled
from ecr_governor.core.origin import AutomaticCreation
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

ACTION_OF: Final[Mapping[Fact, str]] = {
    Fact.TAGS: "tag:GetResources",
    Fact.LIFECYCLE_POLICY: "ecr:GetLifecyclePolicy",
    Fact.REPOSITORY_POLICY: "ecr:GetRepositoryPolicy",
    Fact.SCAN_FREQUENCY: "ecr:BatchGetRepositoryScanningConfiguration",
    Fact.IMAGES: "ecr:DescribeImages",
    Fact.HOLDS_IMAGE: "ecr:DescribeImages",
    Fact.CREATION_TEMPLATES: "ecr:DescribeRepositoryCreationTemplates",
    Fact.USAGE: "ecr:DescribeImages",
}
"""How each fact is read in bulk, by the name of the IAM action."""

LIST: Final = "ecr:DescribeRepositories"
OWN_TAGS: Final = "ecr:ListTagsForResource"
CACHE_RULES: Final = "ecr:DescribePullThroughCacheRules"
PULL_COUNTS: Final = "cloudwatch:GetMetricData"
READS: Final = frozenset({*ACTION_OF.values(), LIST, OWN_TAGS, CACHE_RULES, PULL_COUNTS})
"""Every call that an inventory can make. Nothing here changes anything, and none of them counts as a pull."""

RESOURCELESS: Final = frozenset({ACTION_OF[Fact.TAGS], ACTION_OF[Fact.CREATION_TEMPLATES], CACHE_RULES, PULL_COUNTS})
"""Those of them that IAM grants for everything or not at all (service authorization reference)."""

_SIGNED_FOR: Final = {"ecr": "ecr", "tag": "tagging", "cloudwatch": "monitoring"}
"""Each IAM prefix's service, as its calls are signed."""

KNOWN_LIMITS: Final[Mapping[str, float]] = {"tag:GetResources": 15.0, PULL_COUNTS: 50.0}
"""Rates that AWS publishes, calls a second in each Region (service quotas of the tagging API and of CloudWatch)."""

CONCURRENCY = 32
"""Calls that are under way at once: at a tenth of a second for each that keeps 100 repositories a second busy."""
PAGE = 1000
TAGS_PAGE = 100
SCAN_BATCH = 25
METRICS_BATCH = 500
RESTARTS = 5
DAY = 86_400
GONE_CODES = frozenset({"REPOSITORY_NOT_FOUND"})
GONE: Final = Unreadable("the repository is gone")

# What costs a call for each repository; the rest is read for many at once.
_EACH: Final = frozenset({Fact.LIFECYCLE_POLICY, Fact.REPOSITORY_POLICY, Fact.IMAGES, Fact.HOLDS_IMAGE, Fact.USAGE})
_OF_IMAGES: Final = frozenset({Fact.IMAGES, Fact.HOLDS_IMAGE, Fact.USAGE})


Value = TypeVar("Value")
Kind = TypeVar("Kind", bound=StrEnum)
Arguments = ParamSpec("Arguments")


class _Reads:
    """Reads that are under way side by side. When the block ends, be it by the failure of one, those that have not begun never will."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._futures: list[Future[Any]] = []

    def __call__(self, read: Callable[Arguments, Value], /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Future[Value]:
        future = self._threads.submit(read, *args, **kwargs)
        self._futures.append(future)
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for future in self._futures:
            future.cancel()


def pace_of(calls_per_second: float) -> Pace:
    """Make the pace of one Region's inventory: so many calls of each operation, and no more than AWS's published rates."""
    return Pace(calls_per_second, KNOWN_LIMITS)


def actions_for(facts: frozenset[Fact], *, pulls: bool) -> frozenset[str]:
    """Name the IAM actions by which these facts of every repository are read, as long as none of them is denied.

    `pulls`: with pull metrics, where it is enough to know whether there was any use.
    """
    counted = {PULL_COUNTS} if pulls and Fact.USAGE in facts and Fact.IMAGES not in facts else set()
    return frozenset({LIST, ACTION_OF[Fact.CREATION_TEMPLATES], CACHE_RULES, *(ACTION_OF[fact] for fact in facts), *counted})


class _Gone(Exception):
    """The repository vanished between two calls."""


class _BulkTags:
    """The tags of every repository that has any, on a shelf: of 100,000 repositories they would be all the memory there is."""

    def __init__(self) -> None:
        self._shelf = FileShelf()

    def add(self, name: str, tags: dict[str, str]) -> None:
        self._shelf.put(name, marshal.dumps(tags))

    def of(self, name: str) -> dict[str, str]:
        found = self._shelf.read(name)
        # Never tagged, and so left out of AWS's answer.
        return dict(marshal.loads(found)) if found else {}  # noqa: S302 - our own bytes


class EcrInventory:
    """One account's registry in one Region, page by page. What is kept meanwhile: the list, packed, and the tags of all repositories.

    Tags are read in bulk, up to some seconds behind ECR's own; where that is denied, from each repository.
    With `pull_metrics`, CloudWatch tells first what was pulled lately, and only the other repositories' images are listed.
    For any number of threads; `concurrency` calls are under way at once.
    """

    def __init__(
        self,
        client: SignedClient,
        pace: Pace,
        *,
        concurrency: int = CONCURRENCY,
        pull_metrics: bool = False,
        creation_templates: tuple[CreationTemplate, ...] | Unreadable | None = None,
        now: datetime,
    ) -> None:
        """`creation_templates` are those that are known already, so that they need not be read."""
        self.listed = 0
        """Repositories that were listed so far."""
        self.total: int | None = None
        """How many repositories there are; None until all are listed, or if they could not be."""
        self.completed = 0
        """Repositories whose facts were read so far."""
        self._client = client
        self._pace = pace
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="inventory")
        self._pull_metrics = pull_metrics
        self._now = now
        self._counting, self._loading_tags, self._loading_templates = threading.Lock(), threading.Lock(), threading.Lock()
        # None until asked for; Unreadable where all tags at once are denied.
        self._tags: _BulkTags | Unreadable | None = None
        self._templates = creation_templates

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Make no further call; those that are under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    @property
    def calls(self) -> Mapping[str, int]:
        """Count the calls made so far, retries and refused ones included, by IAM action such as `ecr:DescribeImages`."""
        named = {service: prefix for prefix, service in _SIGNED_FOR.items()}
        counted = dict(self._client.calls)
        return {f"{named[service]}:{name}": count for key, count in counted.items() for service, _, name in [key.partition(":")]}

    def pages(self) -> Iterator[Sequence[Repository]]:
        """List every repository, at most 1,000 at a time, with no fact that costs a call of its own. Raises Throttled, Denied.

        All are listed before the first are given: a page token does not live as long as a page takes to be looked at, and how much
        there is to do is known at once. If listing fails halfway, those that were listed are given first.
        """
        pages, trouble = self._all_pages()
        while pages:
            yield [repository_of(found, _moment(found["createdAt"])) for found in marshal.loads(zlib.decompress(pages.popleft()))]  # noqa: S302 - our own bytes
        if trouble:
            raise trouble

    def tags_of(self, repositories: Sequence[Repository]) -> Sequence[Mapping[str, str] | Unreadable]:
        """Read the tags of repositories, in their order; those of one that vanished are `Unreadable`. Raises Throttled."""
        tags = self._bulk_tags()
        if isinstance(tags, _BulkTags):
            return [tags.of(repository.name) for repository in repositories]
        with _Reads(self._threads) as started:
            reads = [started(self._own_tags, repository) for repository in repositories]
            return [GONE if (found := read.result()) is None else found for read in reads]

    def complete(self, page: Sequence[Repository], facts: frozenset[Fact], idle_since: datetime | None) -> Sequence[Repository]:
        """Read facts of a page of repositories; those that vanished meanwhile are left out. Raises Throttled.

        A fact that is there already is not read again, one that may not be read is `Unreadable`. Of `Fact.USAGE` only as much is read
        as tells whether anything happened after `idle_since`; None asks for all of it.
        """
        return self.begin(page, facts, idle_since)()

    def begin(self, page: Sequence[Repository], facts: frozenset[Fact], idle_since: datetime | None) -> Callable[[], Sequence[Repository]]:
        """Begin to read facts as `complete` does; what is given waits for them."""
        missing = [_missing(repository, facts) for repository in page]
        without: dict[Fact, list[Repository]] = {
            fact: [repository for repository, own in zip(page, missing, strict=True) if fact in own] for fact in facts - _EACH
        }
        each = _EACH | ({Fact.TAGS} if isinstance(self._tags, Unreadable) else set())
        started = _Reads(self._threads)
        # What is read for many at once goes along with what is read for each: every operation has a quota of its own.
        tags = started(self._bulk_tags) if without.get(Fact.TAGS) and Fact.TAGS not in each else None
        templates = started(self._creation_templates) if without.get(Fact.CREATION_TEMPLATES) else None
        scans = [started(self._scan_frequencies, batch) for batch in _batches(without.get(Fact.SCAN_FREQUENCY, ()), SCAN_BATCH)]
        # These are asked for first and wait for nothing, so that whoever waits for them does not wait for ever.
        pulls = self._pull_counts(started, page, missing, idle_since)
        reads = [
            started(self._read_one, repository, own & each, idle_since, pulls.get(repository.name)) if own & each else None
            for repository, own in zip(page, missing, strict=True)
        ]

        def ended() -> Sequence[Repository]:
            with started:
                shared: dict[Fact, Callable[[str], Any]] = {}
                if tags:
                    shared[Fact.TAGS] = self._tags_by_name(started, without[Fact.TAGS], tags.result())
                if templates:
                    shared[Fact.CREATION_TEMPLATES] = dict.fromkeys((each.name for each in page), templates.result()).__getitem__
                if scans:
                    shared[Fact.SCAN_FREQUENCY] = {name: found for scan in scans for name, found in scan.result().items()}.__getitem__
                rows = [read.result() if read else {} for read in reads]
                found = []
                for repository, own, row in zip(page, missing, rows, strict=True):
                    known = row
                    for fact in own & shared.keys():
                        known = None if known is None else _with(known, fact, shared[fact](repository.name))
                    if known is not None:
                        found.append(replace(repository, **known) if known else repository)
            self._completed(sum(read is None for read in reads))
            return found

        return ended

    def automatic_creation(self) -> tuple[AutomaticCreation, Sequence[str]]:
        """Read the rules that make ECR create repositories, None for what may not be read, and why it may not. Raises Throttled."""
        with _Reads(self._threads) as started:
            reading = started(self._creation_templates)
            caches = _or_unreadable(CACHE_RULES, self._cache_prefixes)
            templates = reading.result()
        return (
            AutomaticCreation(
                create_on_push_prefixes=None
                if isinstance(templates, Unreadable)
                else tuple(template.prefix for template in templates if "CREATE_ON_PUSH" in template.applied_for),
                pull_through_cache_prefixes=None if isinstance(caches, Unreadable) else caches,
            ),
            [rules.why for rules in (templates, caches) if isinstance(rules, Unreadable)],
        )

    # The list

    def _all_pages(self) -> tuple[deque[bytes], ClientError | Denied | Throttled | None]:
        """List all repositories, each page packed to about 40 bytes a repository, and the trouble that ended it early."""
        pages: deque[bytes] = deque()
        token: str | None = None
        restarts = 0
        while True:
            try:
                answer = self._call(LIST, **_from(token))
            except Throttled as throttled:
                return pages, throttled
            except ClientError as error:
                if token is None or code_of(error) != "InvalidParameterException":
                    return pages, _translated(error, LIST)
                restarts += 1
                if restarts > RESTARTS:
                    return pages, Throttled(f"{LIST}: its page tokens expire sooner than they are used")
                token, self.listed = None, 0
                pages.clear()
                continue
            if answer["repositories"]:
                pages.append(zlib.compress(marshal.dumps(answer["repositories"]), 1))
                self.listed += len(answer["repositories"])
            token = answer.get("nextToken")
            if not token:
                self.total = self.listed
                return pages, None

    # One repository

    def _read_one(
        self, repository: Repository, facts: frozenset[Fact], idle_since: datetime | None, pulled: Future[Mapping[str, datetime]] | None
    ) -> dict[str, Any] | None:
        name, row = repository.name, dict[str, Any]()
        try:
            if Fact.LIFECYCLE_POLICY in facts:
                row[Fact.LIFECYCLE_POLICY.value] = self._document(Fact.LIFECYCLE_POLICY, "lifecyclePolicyText", name)
            if Fact.REPOSITORY_POLICY in facts:
                row[Fact.REPOSITORY_POLICY.value] = self._document(Fact.REPOSITORY_POLICY, "policyText", name)
            if facts & _OF_IMAGES:
                row |= self._of_images(repository, facts & _OF_IMAGES, idle_since, pulled)
            if Fact.TAGS in facts:
                row[Fact.TAGS.value] = self._own_tags(repository)
                if row[Fact.TAGS.value] is None:
                    return None
        except _Gone:
            return None
        finally:
            self._completed(1)
        return row

    def _document(self, fact: Fact, key: str, name: str) -> str | Unreadable | None:
        def read() -> str | None:
            try:
                return str(self._call(ACTION_OF[fact], repositoryName=name)[key])
            except ClientError as error:
                if code_of(error) in {"LifecyclePolicyNotFoundException", "RepositoryPolicyNotFoundException"}:
                    return None
                raise

        return _or_unreadable(ACTION_OF[fact], read)

    def _of_images(
        self, repository: Repository, facts: frozenset[Fact], idle_since: datetime | None, pulled: Future[Mapping[str, datetime]] | None
    ) -> dict[str, Any]:
        row: dict[str, Any] = {}
        if Fact.USAGE in facts and Fact.IMAGES not in facts and idle_since is not None:
            if repository.created_at > idle_since:
                # Its creation tells as much as any image could.
                row[Fact.USAGE.value] = Usage()
            elif pulled is not None and (day := pulled.result().get(repository.name)):
                row[Fact.USAGE.value] = Usage(last_pull=day)
        wanted = facts - row.keys()
        read = _or_unreadable(ACTION_OF[Fact.IMAGES], lambda: self._images(repository.name, wanted, idle_since)) if wanted else {}
        return row | ({fact.value: read for fact in wanted} if isinstance(read, Unreadable) else read)

    def _images(self, name: str, facts: frozenset[Fact], idle_since: datetime | None) -> dict[str, Any]:
        """List images page by page until all that is asked for is known."""
        enough = float("inf") if idle_since is None else idle_since.timestamp()
        images: list[Image] | None = [] if Fact.IMAGES in facts else None
        tally = _Tally()
        size = PAGE if facts - {Fact.HOLDS_IMAGE} else 1
        token: str | None = None
        while True:
            # Without imageStatus ANY, archived images are hidden and a full repository looks empty.
            answer = self._call(ACTION_OF[Fact.IMAGES], repositoryName=name, filter={"imageStatus": "ANY"}, **_from(token, size))
            details, token = answer["imageDetails"], answer.get("nextToken")
            tally.add(details)
            if images is not None:
                images += (Image(each["imageDigest"], tuple(each.get("imageTags", ())), _moment(each["imagePushedAt"])) for each in details)
                if token and len(images) >= IMAGE_PAGES * PAGE:
                    images = None
            if not token or (images is None and (Fact.USAGE not in facts or tally.newest > enough)):
                break
        known = {
            Fact.IMAGES: Unreadable(f"more than {IMAGE_PAGES * PAGE:,} images") if images is None else tuple(images),
            Fact.HOLDS_IMAGE: tally.images > 0,
            Fact.USAGE: tally.usage(counted=not token),
        }
        return {fact.value: known[fact] for fact in facts}

    def _own_tags(self, repository: Repository) -> Mapping[str, str] | Unreadable | None:
        """Read one repository's tags; None if it is gone."""

        def read() -> Mapping[str, str]:
            answer = self._call(OWN_TAGS, resourceArn=repository.arn)
            return {tag["Key"]: tag.get("Value", "") for tag in answer.get("tags", ())}

        try:
            return _or_unreadable(OWN_TAGS, read)
        except _Gone:
            return None

    # All repositories at once

    def _bulk_tags(self) -> _BulkTags | Unreadable:
        with self._loading_tags:
            if self._tags is None:
                self._tags = _or_unreadable(ACTION_OF[Fact.TAGS], self._all_tags)
            return self._tags

    def _all_tags(self) -> _BulkTags:
        tags = _BulkTags()
        token, restarts = "", 0
        while True:
            params = {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": TAGS_PAGE}
            try:
                answer = self._call(ACTION_OF[Fact.TAGS], **params, **({"PaginationToken": token} if token else {}))
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
                return tags

    def _tags_by_name(
        self, started: _Reads, repositories: Sequence[Repository], tags: _BulkTags | Unreadable
    ) -> Callable[[str], Mapping[str, str] | Unreadable | None]:
        """Tell how tags are had by name, now that it is known whether they could be read in bulk."""
        if isinstance(tags, _BulkTags):
            return tags.of
        reads = {repository.name: started(self._own_tags, repository) for repository in repositories}
        return lambda name: reads[name].result()

    def _creation_templates(self) -> tuple[CreationTemplate, ...] | Unreadable:
        with self._loading_templates:
            if self._templates is None:
                self._templates = _or_unreadable(ACTION_OF[Fact.CREATION_TEMPLATES], self._all_creation_templates)
            return self._templates

    def _all_creation_templates(self) -> tuple[CreationTemplate, ...]:
        found = self._every(ACTION_OF[Fact.CREATION_TEMPLATES], "repositoryCreationTemplates")
        return tuple(CreationTemplate(each["prefix"], frozenset(each.get("appliedFor", ()))) for each in found)

    def _cache_prefixes(self) -> tuple[str, ...]:
        return tuple(each["ecrRepositoryPrefix"] for each in self._every(CACHE_RULES, "pullThroughCacheRules"))

    def _every(self, action: str, key: str) -> Iterator[dict[str, Any]]:
        token: str | None = None
        while True:
            try:
                answer = self._call(action, **_from(token))
            except ClientError as error:
                if code_of(error) == "UnknownOperationException":
                    # A Region to which ECR has not brought the feature has nothing of the kind.
                    return
                raise
            yield from answer.get(key, ())
            token = answer.get("nextToken")
            if not token:
                return

    def _scan_frequencies(self, names: Sequence[str]) -> dict[str, ScanFrequency | Unreadable | None]:
        """Read the effective frequency of up to 25 repositories; None is a repository that vanished."""
        action = ACTION_OF[Fact.SCAN_FREQUENCY]
        try:
            answer = _or_unreadable(action, lambda: self._call(action, repositoryNames=list(names)))
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
            found[each["repositoryName"]] = known(ScanFrequency, "scanFrequency", each.get("scanFrequency", "MANUAL"))
        for failure in answer.get("failures", ()):
            code = failure.get("failureCode", "")
            found[failure["repositoryName"]] = (
                None if code in GONE_CODES else Unreadable(f"{action}: {failure.get('failureReason') or code}")
            )
        return found

    def _pull_counts(
        self, started: _Reads, page: Sequence[Repository], missing: Sequence[frozenset[Fact]], idle_since: datetime | None
    ) -> Mapping[str, Future[Mapping[str, datetime]]]:
        """Ask which repositories were pulled from after `idle_since` by CloudWatch's count, and on which day last."""
        if not self._pull_metrics or idle_since is None:
            return {}
        old = [
            repository
            for repository, own in zip(page, missing, strict=True)
            if Fact.USAGE in own and Fact.IMAGES not in own and repository.created_at <= idle_since
        ]
        asked: dict[str, Future[Mapping[str, datetime]]] = {}
        for batch in _batches(old, METRICS_BATCH):
            asked |= dict.fromkeys(batch, started(self._pull_days, batch, idle_since))
        return asked

    def _pull_days(self, names: Sequence[str], idle_since: datetime) -> Mapping[str, datetime]:
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
                answer = self._call(PULL_COUNTS, **params, **({"NextToken": token} if token else {}))
            except (ClientError, Throttled) as error:
                if isinstance(error, ClientError) and code_of(error) in REFUSED_CREDENTIALS:
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

    # Calls

    def _call(self, action: str, **params: Any) -> dict[str, Any]:
        if action not in READS:
            raise PermissionError(f"an inventory only reads, and {action} is not among its reads")
        prefix, _, operation = action.partition(":")
        return self._pace.call(action, lambda: self._client.call(_SIGNED_FOR[prefix], operation, params))

    def _completed(self, count: int) -> None:
        with self._counting:
            self.completed += count


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


def _missing(repository: Repository, facts: frozenset[Fact]) -> frozenset[Fact]:
    there = [fact for fact in facts if (value := getattr(repository, fact.value)) is not NOT_FETCHED and value != NOT_FETCHED]
    return facts.difference(there) if there else facts


def _with(row: Mapping[str, Any], fact: Fact, value: Any) -> dict[str, Any] | None:
    """Add a fact to what was read of a repository; None is a repository that vanished."""
    return None if value is None else {**row, fact.value: value}


def _or_unreadable(action: str, read: Callable[[], Value]) -> Value | Unreadable:
    """Read a fact. Whatever AWS has against it stops this one; only credentials that it does not take at all stop everything."""
    try:
        return read()
    except ClientError as error:
        code = code_of(error)
        if code == "RepositoryNotFoundException":
            raise _Gone from error
        if code in REFUSED_CREDENTIALS:
            raise
        return Unreadable(f"{action}: {code}")


def _translated(error: ClientError, action: str) -> ClientError | Denied:
    """Tell what it means that a list was refused; trouble that passes is the pace's."""
    return error if code_of(error) in REFUSED_CREDENTIALS else Denied(f"{action}: {code_of(error)}")


def _pull_count(number: int, name: str) -> dict[str, Any]:
    metric = {"Namespace": "AWS/ECR", "MetricName": "RepositoryPullCount", "Dimensions": [{"Name": "RepositoryName", "Value": name}]}
    return {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": DAY, "Stat": "Sum"}}


def _from(token: str | None, size: int = PAGE) -> dict[str, Any]:
    return {"maxResults": size, "nextToken": token} if token else {"maxResults": size}


def _batches(repositories: Sequence[Repository], size: int) -> Iterator[Sequence[str]]:
    names = [repository.name for repository in repositories]
    return (names[start : start + size] for start in range(0, len(names), size))


def _moment(number: float) -> datetime:
    return datetime.fromtimestamp(number, UTC)
