"""The inventory tells of every repository what the registry tells of one, in fewer calls and through the same trouble."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from ecr_governor.adapters.ecr import EcrRegistry
from ecr_governor.adapters.inventory import GONE, READS, EcrInventory
from ecr_governor.adapters.pace import Pace
from ecr_governor.adapters.signed import SignedClient
from ecr_governor.app.errors import Denied, Throttled
from ecr_governor.app.ports import Inventory
from ecr_governor.core.repository import (
    NOT_FETCHED,
    CreationTemplate,
    Encryption,
    EncryptionType,
    Fact,
    Repository,
    ScanFrequency,
    TagMutability,
    TagMutabilitySetting,
    Unreadable,
    Usage,
)
from local import ecr
from local.ecr import SeedImage, SeedRepository
from local.ecr.errors import EcrError
from local.server import EmbeddedAws
from tests.fakes import LIFECYCLE, REGION, T0
from tests.memory_ecr import Held, MemoryEcr

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OLD = NOW - timedelta(days=400)
IDLE_SINCE = NOW - timedelta(days=90)
LONG_AGO, LATELY = IDLE_SINCE - timedelta(days=10), IDLE_SINCE + timedelta(days=10)
POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Sid": "Pull", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]}
)
EVERY_FACT = frozenset(Fact)
CALLED = {
    Fact.TAGS: "GetResources",
    Fact.LIFECYCLE_POLICY: "GetLifecyclePolicy",
    Fact.REPOSITORY_POLICY: "GetRepositoryPolicy",
    Fact.SCAN_FREQUENCY: "BatchGetRepositoryScanningConfiguration",
    Fact.IMAGES: "DescribeImages",
    Fact.HOLDS_IMAGE: "DescribeImages",
    Fact.USAGE: "DescribeImages",
    Fact.CREATION_TEMPLATES: "DescribeRepositoryCreationTemplates",
}
_numbers = count()


@pytest.fixture
def prefix(aws: EmbeddedAws, no_trouble_left: None) -> Iterator[str]:
    """The only repositories there are: those with names under the prefix that the test seeds."""
    backend = ecr.backend_of()
    backend.repositories.clear()
    backend.templates.clear()
    yield f"team-{next(_numbers)}"
    backend.repositories.clear()
    backend.templates.clear()


class Client(SignedClient):
    """Does something before each call."""

    before: Callable[[str, str, Mapping[str, Any]], None] = staticmethod(lambda *_: None)

    def call(self, service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        self.before(service, operation, params)
        return super().call(service, operation, params)


def an_inventory(aws: EmbeddedAws, *, pull_metrics: bool = False, concurrency: int = 4, **more: Any) -> EcrInventory:
    session = botocore.session.Session()
    session.set_credentials("AKIALOCALVISITOR0000", "local")
    pace = Pace(1e6, sleep=lambda _: None)
    client = Client(session, REGION, aws.endpoint)
    return EcrInventory(client, pace, concurrency=concurrency, pull_metrics=pull_metrics, now=NOW, **more)


def look(inventory: Inventory, facts: frozenset[Fact] = EVERY_FACT, idle_since: datetime | None = None) -> dict[str, Repository]:
    return {found.name: found for page in inventory.pages() for found in inventory.complete(page, facts, idle_since)}


def varied(prefix: str) -> Sequence[SeedRepository]:
    return [
        SeedRepository(name=f"{prefix}/bare", created_at=T0),
        SeedRepository(
            name=f"{prefix}/full",
            created_at=OLD,
            tags={"owner": "alice", "empty": "", "ünicode": "ß"},
            lifecycle_policy=json.dumps(LIFECYCLE),
            repository_policy=POLICY,
            mutability="IMMUTABLE_WITH_EXCLUSION",
            exclusion_filters=["latest", "dev-*"],
            kms_key="arn:aws:kms:eu-west-1:123456789012:key/1",
            scan_on_push=True,
            images=[SeedImage(tags=["v1", "latest"], pushed_at=LONG_AGO, pulled_at=LATELY), SeedImage(pushed_at=LONG_AGO, size=5)],
        ),
        SeedRepository(name=f"{prefix}/archived", created_at=OLD, images=[SeedImage(tags=["v1"], pushed_at=LONG_AGO, archived_at=LATELY)]),
        SeedRepository(name=f"{prefix}/multi", created_at=OLD, images=[SeedImage(platforms=["linux/amd64", "linux/arm64"], pushed_at=OLD)]),
        *(SeedRepository(name=f"{prefix}/more-{number:02}", created_at=OLD, tags={"team": "a"}) for number in range(30)),
    ]


def test_every_fact_is_what_the_registry_reads_of_each_repository(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(varied(prefix))
    aws.client("ecr").create_repository_creation_template(prefix=prefix, appliedFor=["CREATE_ON_PUSH", "REPLICATION"])
    registry, writes = EcrRegistry(lambda: aws.client("ecr")), aws.trail.writes()
    found = look(an_inventory(aws))
    assert sorted(found) == sorted(each.name for each in varied(prefix))
    for name, repository in found.items():
        facts = EVERY_FACT - {Fact.USAGE}
        expected = registry.read(name, facts)
        assert expected is not None
        for field in ("arn", "account", "region", "created_at", "tag_mutability", "encryption", "scan_on_push", *facts):
            seen, wanted = getattr(repository, field), getattr(expected, field)
            assert (set(seen), len(seen)) == (set(wanted), len(wanted)) if field == "images" else seen == wanted, (name, field)
    assert aws.trail.writes() == writes


def test_what_the_list_tells_needs_no_further_call(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(varied(prefix))
    inventory = an_inventory(aws)
    ((*page,),) = inventory.pages()
    full = next(repository for repository in page if repository.name == f"{prefix}/full")
    assert full.created_at == OLD
    assert full.created_at.tzinfo is UTC
    assert full.tag_mutability == TagMutabilitySetting(TagMutability.IMMUTABLE_WITH_EXCLUSION, frozenset({"latest", "dev-*"}))
    assert full.encryption == Encryption(EncryptionType.KMS, "arn:aws:kms:eu-west-1:123456789012:key/1")
    assert all(getattr(full, fact.value) == NOT_FETCHED for fact in Fact)
    assert list(inventory.complete(page, frozenset(), None)) == page
    assert inventory.calls == {"ecr:DescribeRepositories": 1}


@pytest.mark.parametrize("fact", list(Fact))
def test_only_the_facts_asked_for_are_fetched(aws: EmbeddedAws, prefix: str, fact: Fact) -> None:
    ecr.seed(varied(prefix))
    inventory = an_inventory(aws)
    for repository in look(inventory, frozenset({fact})).values():
        assert not isinstance(getattr(repository, fact.value), Unreadable)
        assert all(getattr(repository, other.value) == NOT_FETCHED for other in Fact if other is not fact)
    assert {call.partition(":")[2] for call in inventory.calls} == {"DescribeRepositories", CALLED[fact]}


def test_the_calls_are_as_few_as_can_be_and_are_counted(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(
        SeedRepository(name=f"{prefix}/{number}", created_at=OLD, tags={"n": str(number)} if number % 3 else {}) for number in range(180)
    )
    inventory = an_inventory(aws)
    found = look(inventory)
    assert inventory.calls == {
        "ecr:DescribeRepositories": 1,
        "ecr:GetLifecyclePolicy": 180,
        "ecr:GetRepositoryPolicy": 180,
        "ecr:DescribeImages": 180,
        "ecr:BatchGetRepositoryScanningConfiguration": 8,
        "ecr:DescribeRepositoryCreationTemplates": 1,
        "tag:GetResources": 2,
    }
    assert all(found[f"{prefix}/{number}"].tags == ({"n": str(number)} if number % 3 else {}) for number in range(180))


# Pages


def test_more_than_a_page_of_repositories_is_listed_and_shared_facts_are_read_once(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(SeedRepository(name=f"{prefix}/{number}", tags={"n": str(number % 7)}) for number in range(1100))
    inventory = an_inventory(aws)
    pages = list(inventory.pages())
    assert [len(page) for page in pages] == [1000, 100]
    facts = frozenset({Fact.TAGS, Fact.CREATION_TEMPLATES})
    found = [repository for page in pages for repository in inventory.complete(page, facts, None)]
    assert {repository.name: repository.tags for repository in found} == {
        f"{prefix}/{number}": {"n": str(number % 7)} for number in range(1100)
    }
    assert inventory.calls == {"ecr:DescribeRepositories": 2, "tag:GetResources": 11, "ecr:DescribeRepositoryCreationTemplates": 1}


def test_a_list_whose_token_expired_begins_again_and_repeats_no_repository(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(f"{prefix}/{number}" for number in range(2100))
    inventory, tokens = an_inventory(aws), list[str]()

    def expire_the_second(_service: str, operation: str, params: Mapping[str, Any]) -> None:
        if "nextToken" in params:
            tokens.append(params["nextToken"])
            if len(tokens) == 2:
                raise ClientError({"Error": {"Code": "InvalidParameterException", "Message": ""}}, operation)

    inventory._client.before = expire_the_second  # type: ignore[attr-defined]
    found = [repository.name for page in inventory.pages() for repository in page]
    assert Counter(found) == Counter(f"{prefix}/{number}" for number in range(2100))
    assert inventory.calls == {"ecr:DescribeRepositories": 5}


def test_a_list_whose_tokens_never_last_is_given_up(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(f"{prefix}/{number}" for number in range(1001))
    inventory, found = an_inventory(aws), list[str]()

    def expire(_service: str, _operation: str, params: Mapping[str, Any]) -> None:
        if "nextToken" in params:
            raise ClientError({"Error": {"Code": "InvalidParameterException", "Message": ""}}, "DescribeRepositories")

    inventory._client.before = expire  # type: ignore[attr-defined]
    with pytest.raises(Throttled):  # noqa: PT012 - what comes before the trouble counts
        for page in inventory.pages():
            found += [repository.name for repository in page]
    assert len(found) == 1000
    assert inventory.total is None
    assert inventory.calls["ecr:DescribeRepositories"] < 15


def test_how_much_there_is_to_do_is_known_with_the_first_page(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(f"{prefix}/{number}" for number in range(1200))
    inventory = an_inventory(aws)
    assert (inventory.listed, inventory.total, inventory.completed) == (0, None, 0)
    page = next(inventory.pages())
    assert (inventory.listed, inventory.total, inventory.completed) == (1200, 1200, 0)
    inventory.complete(page[:100], frozenset({Fact.LIFECYCLE_POLICY}), None)
    inventory.complete(page[100:300], frozenset({Fact.TAGS}), None)
    assert inventory.completed == 300


def test_a_list_of_tags_whose_token_expired_begins_again(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(SeedRepository(name=f"{prefix}/{number}", tags={"n": str(number)}) for number in range(250))
    inventory, expired = an_inventory(aws), list[str]()

    def expire_once(_service: str, operation: str, params: Mapping[str, Any]) -> None:
        if "PaginationToken" in params and not expired:
            expired.append(operation)
            raise ClientError({"Error": {"Code": "PaginationTokenExpiredException", "Message": ""}}, operation)

    inventory._client.before = expire_once  # type: ignore[attr-defined]
    assert {name: found.tags for name, found in look(inventory, frozenset({Fact.TAGS})).items()} == {
        f"{prefix}/{number}": {"n": str(number)} for number in range(250)
    }
    assert expired == ["GetResources"]


def test_more_than_a_page_of_images_is_read_to_its_end(aws: EmbeddedAws, prefix: str) -> None:
    images = [SeedImage(content=f"content {number}", tags=[f"v{number}"], pushed_at=LONG_AGO, size=10) for number in range(2300)]
    ecr.seed([SeedRepository(name=f"{prefix}/big", created_at=OLD, images=images)])
    inventory = an_inventory(aws)
    found = look(inventory, frozenset({Fact.IMAGES, Fact.USAGE}), IDLE_SINCE)[f"{prefix}/big"]
    assert not isinstance(found.images, Unreadable)
    assert {tag for image in found.images for tag in image.tags} == {f"v{number}" for number in range(2300)}
    assert found.usage == Usage(last_push=LONG_AGO, images=2300, size_bytes=size_of(f"{prefix}/big"))
    assert inventory.calls["ecr:DescribeImages"] == 3


# What is known already


def test_what_is_there_is_not_read_again(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(varied(prefix))
    inventory = an_inventory(aws)
    (page,) = inventory.pages()
    values: dict[Fact, Any] = {
        Fact.TAGS: {"known": "before"},
        Fact.LIFECYCLE_POLICY: "{}",
        Fact.REPOSITORY_POLICY: None,
        Fact.SCAN_FREQUENCY: Unreadable("denied before"),
        Fact.IMAGES: (),
        Fact.HOLDS_IMAGE: False,
        Fact.CREATION_TEMPLATES: (),
        Fact.USAGE: Usage(last_push=T0),
    }
    known = [replace(repository, **{fact.value: value for fact, value in values.items()}) for repository in page]
    assert list(inventory.complete(known, EVERY_FACT, None)) == known
    assert inventory.calls == {"ecr:DescribeRepositories": 1}
    half = [each if number % 2 else repository for number, (each, repository) in enumerate(zip(known, page, strict=True))]
    for number, found in enumerate(inventory.complete(half, frozenset({Fact.TAGS, Fact.LIFECYCLE_POLICY}), None)):
        if number % 2:
            assert found == known[number]
        else:
            assert found.tags != values[Fact.TAGS]
    assert inventory.calls["ecr:GetLifecyclePolicy"] == 17


def test_creation_templates_that_are_known_are_not_read(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(varied(prefix))
    templates = (CreationTemplate("known", frozenset({"REPLICATION"})),)
    for known in (templates, (), Unreadable("denied before")):
        inventory = an_inventory(aws, creation_templates=known)
        assert all(found.creation_templates == known for found in look(inventory, frozenset({Fact.CREATION_TEMPLATES})).values())
        assert inventory.calls == {"ecr:DescribeRepositories": 1}


def test_tags_alone_are_read_in_the_order_of_the_repositories(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(varied(prefix))
    wanted = {each.name: each.tags for each in varied(prefix)}
    for denied in (False, True):
        if denied:
            ecr.faults.add("GetResources", "AccessDeniedException", times=None)
        inventory = an_inventory(aws)
        (page,) = inventory.pages()
        assert list(inventory.tags_of(page[::-1])) == [wanted[repository.name] for repository in page[::-1]]
        assert inventory.tags_of([]) == []
        assert inventory.calls["tag:GetResources"] == 1
    del ecr.backend_of().repositories[page[0].name]
    assert inventory.tags_of(page[:2]) == [GONE, wanted[page[1].name]]


@pytest.mark.parametrize("operation", ["DescribeRepositoryCreationTemplates", "DescribePullThroughCacheRules", None])
def test_the_registrys_rules_are_those_that_the_registry_reads(aws: EmbeddedAws, prefix: str, operation: str | None) -> None:
    client = aws.client("ecr")
    client.create_repository_creation_template(prefix=prefix, appliedFor=["CREATE_ON_PUSH"])
    client.create_repository_creation_template(prefix="ROOT", appliedFor=["REPLICATION"])
    client.create_pull_through_cache_rule(ecrRepositoryPrefix=f"{prefix}-hub", upstreamRegistryUrl="public.ecr.aws")
    if operation:
        ecr.faults.add(operation, "AccessDeniedException", times=None)
    try:
        inventory = an_inventory(aws)
        automatic, unread = inventory.automatic_creation()
        assert automatic == EcrRegistry(lambda: aws.client("ecr")).automatic_creation()
        assert list(unread) == ([f"ecr:{operation}: AccessDeniedException"] if operation else [])
        assert sum(inventory.calls.values()) == 2
        look(inventory, frozenset({Fact.CREATION_TEMPLATES}))
        assert inventory.calls["ecr:DescribeRepositoryCreationTemplates"] == 1
    finally:
        client.delete_pull_through_cache_rule(ecrRepositoryPrefix=f"{prefix}-hub")


@pytest.mark.parametrize(
    ("facts", "size"),
    [
        (frozenset({Fact.HOLDS_IMAGE}), 1),
        (frozenset({Fact.HOLDS_IMAGE, Fact.USAGE}), 1000),
        (frozenset({Fact.HOLDS_IMAGE, Fact.IMAGES}), 1000),
    ],
)
def test_whether_there_is_an_image_takes_no_call_of_its_own_where_images_are_read(
    aws: EmbeddedAws, prefix: str, facts: frozenset[Fact], size: int
) -> None:
    ecr.seed(varied(prefix))
    inventory, sizes = an_inventory(aws), set[int]()
    inventory._client.before = lambda _s, operation, params: sizes.add(params["maxResults"]) if operation == "DescribeImages" else None  # type: ignore[attr-defined]
    found = look(inventory, facts)
    assert {name: repository.holds_image for name, repository in found.items()} == {each.name: bool(each.images) for each in varied(prefix)}
    assert (inventory.calls["ecr:DescribeImages"], sizes) == (34, {size})


# Use


def seed_of_use(prefix: str) -> dict[str, Usage]:
    """Put repositories of every kind of use in place and give what is to be found of each."""
    kinds: list[tuple[str, list[SeedImage], Usage]] = [
        ("empty", [], Usage(images=0)),
        ("idle", [SeedImage(pushed_at=OLD, pulled_at=LONG_AGO)], Usage(OLD, LONG_AGO, 1)),
        ("pushed", [SeedImage(pushed_at=LATELY), SeedImage(content="older", pushed_at=OLD)], Usage(LATELY, None, 2)),
        (
            "pulled",
            [SeedImage(pushed_at=OLD, pulled_at=LATELY), SeedImage(content="newer", pushed_at=LONG_AGO)],
            Usage(LONG_AGO, LATELY, 2),
        ),
        ("archived", [SeedImage(pushed_at=LATELY, archived_at=LATELY)], Usage(LATELY, None, 1)),
    ]
    ecr.seed(SeedRepository(name=f"{prefix}/{name}", created_at=OLD, images=images) for name, images, _ in kinds)
    return {f"{prefix}/{name}": replace(usage, size_bytes=size_of(f"{prefix}/{name}")) for name, _, usage in kinds}


def size_of(name: str) -> int:
    return sum(image.size or 0 for image in ecr.backend_of().repositories[name].images.values())


@pytest.mark.parametrize("idle_since", [None, IDLE_SINCE])
def test_use_is_the_newest_push_and_pull_of_images_of_any_status(aws: EmbeddedAws, prefix: str, idle_since: datetime | None) -> None:
    wanted = seed_of_use(prefix)
    found = look(an_inventory(aws), frozenset({Fact.USAGE}), idle_since)
    assert {name: repository.usage for name, repository in found.items()} == wanted


def test_the_images_of_a_young_repository_are_not_asked_for_unless_all_is_asked_for(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed([SeedRepository(name=f"{prefix}/young", created_at=LATELY, images=[SeedImage(pushed_at=LATELY)])])
    inventory = an_inventory(aws)
    assert look(inventory, frozenset({Fact.USAGE}), IDLE_SINCE)[f"{prefix}/young"].usage == Usage()
    assert "ecr:DescribeImages" not in inventory.calls
    assert look(inventory, frozenset({Fact.USAGE}))[f"{prefix}/young"].usage == Usage(LATELY, None, 1, size_of(f"{prefix}/young"))


def test_listing_images_ends_where_use_is_clear(aws: EmbeddedAws, prefix: str) -> None:
    images = [SeedImage(content=str(number), pushed_at=LATELY) for number in range(1500)]
    ecr.seed([SeedRepository(name=f"{prefix}/busy", created_at=OLD, images=images)])
    inventory = an_inventory(aws)
    assert look(inventory, frozenset({Fact.USAGE}), IDLE_SINCE)[f"{prefix}/busy"].usage == Usage(last_push=LATELY)
    assert inventory.calls["ecr:DescribeImages"] == 1


def pulls(aws: EmbeddedAws, name: str, *moments: datetime) -> None:
    dimensions = [{"Name": "RepositoryName", "Value": name}]
    data = [{"MetricName": "RepositoryPullCount", "Dimensions": dimensions, "Timestamp": at, "Value": 2} for at in moments]
    aws.client("cloudwatch").put_metric_data(Namespace="AWS/ECR", MetricData=data)


def test_with_pull_metrics_only_the_images_of_what_was_not_pulled_are_listed(aws: EmbeddedAws, prefix: str) -> None:
    wanted = seed_of_use(prefix)
    ecr.seed(SeedRepository(name=f"{prefix}/more-{number}", created_at=OLD) for number in range(600))
    pulls(aws, f"{prefix}/pulled", LATELY - timedelta(days=3), LATELY, LONG_AGO)
    pulls(aws, f"{prefix}/idle", LONG_AGO, IDLE_SINCE + timedelta(hours=1))
    inventory = an_inventory(aws, pull_metrics=True)
    found = look(inventory, frozenset({Fact.USAGE}), IDLE_SINCE)
    assert inventory.calls == {"ecr:DescribeRepositories": 1, "cloudwatch:GetMetricData": 2, "ecr:DescribeImages": 604}
    assert found[f"{prefix}/pulled"].usage == Usage(last_pull=LATELY.replace(hour=0))
    # Pulled on the day of `idle_since`, perhaps before its hour: the images tell.
    assert found[f"{prefix}/idle"].usage == wanted[f"{prefix}/idle"]


@pytest.mark.parametrize(("facts", "idle_since"), [(frozenset({Fact.USAGE}), None), (frozenset({Fact.USAGE, Fact.IMAGES}), IDLE_SINCE)])
def test_pull_metrics_are_not_asked_for_what_they_cannot_tell(
    aws: EmbeddedAws, prefix: str, facts: frozenset[Fact], idle_since: datetime | None
) -> None:
    ecr.seed([SeedRepository(name=f"{prefix}/one", created_at=OLD)])
    inventory = an_inventory(aws, pull_metrics=True)
    assert look(inventory, facts, idle_since)[f"{prefix}/one"].usage == Usage(images=0, size_bytes=0)
    assert "cloudwatch:GetMetricData" not in inventory.calls


def test_pull_metrics_that_may_not_be_read_are_done_without(aws: EmbeddedAws, prefix: str) -> None:
    wanted = seed_of_use(prefix)
    inventory, denied = an_inventory(aws, pull_metrics=True), list[str]()

    def deny(service: str, operation: str, _params: Mapping[str, Any]) -> None:
        if service == "monitoring":
            denied.append(operation)
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, operation)

    inventory._client.before = deny  # type: ignore[attr-defined]
    for _ in range(2):
        found = look(inventory, frozenset({Fact.USAGE}), IDLE_SINCE)
        assert {name: repository.usage for name, repository in found.items()} == wanted
    assert len(denied) == 1


# Trouble


@pytest.mark.parametrize("fact", [fact for fact in Fact if fact is not Fact.TAGS])
def test_a_denied_fact_is_unreadable_and_the_others_are_read(aws: EmbeddedAws, prefix: str, fact: Fact) -> None:
    ecr.seed(varied(prefix))
    ecr.faults.add(CALLED[fact], "AccessDeniedException", times=None)
    found = look(an_inventory(aws))
    assert len(found) == 34
    for repository in found.values():
        for other in Fact:
            value = getattr(repository, other.value)
            if CALLED[other] == CALLED[fact]:
                assert value == Unreadable(f"ecr:{CALLED[fact]}: AccessDeniedException")
            else:
                assert not isinstance(value, Unreadable)


def test_what_one_repository_denies_is_unreadable_of_that_one(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(varied(prefix))
    ecr.faults.add("GetRepositoryPolicy", "AccessDeniedException", repository=f"{prefix}/bare")
    found = look(an_inventory(aws), frozenset({Fact.REPOSITORY_POLICY}))
    assert {name for name, repository in found.items() if isinstance(repository.repository_policy, Unreadable)} == {f"{prefix}/bare"}


def test_tags_are_read_of_each_repository_where_all_at_once_are_denied(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(varied(prefix))
    ecr.faults.add("GetResources", "AccessDeniedException", times=None)
    inventory = an_inventory(aws)
    for _ in range(2):
        found = look(inventory, frozenset({Fact.TAGS, Fact.LIFECYCLE_POLICY}))
        assert {name: repository.tags for name, repository in found.items()} == {each.name: each.tags for each in varied(prefix)}
    assert inventory.calls["tag:GetResources"] == 1
    assert inventory.calls["ecr:ListTagsForResource"] == 68


def test_tags_that_are_denied_in_both_ways_are_unreadable(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(varied(prefix))
    for operation in ("GetResources", "ListTagsForResource"):
        ecr.faults.add(operation, "AccessDeniedException", times=None)
    for repository in look(an_inventory(aws), frozenset({Fact.TAGS})).values():
        assert repository.tags == Unreadable("ecr:ListTagsForResource: AccessDeniedException")


def test_whoever_may_not_list_repositories_is_denied(aws: EmbeddedAws, prefix: str) -> None:
    ecr.faults.add("DescribeRepositories", "AccessDeniedException")
    with pytest.raises(Denied):
        next(an_inventory(aws).pages())


@pytest.mark.parametrize("fact", [fact for fact in Fact if fact not in {Fact.TAGS, Fact.CREATION_TEMPLATES}])
def test_what_vanishes_after_it_was_listed_is_left_out(aws: EmbeddedAws, prefix: str, fact: Fact) -> None:
    ecr.seed(varied(prefix))
    inventory = an_inventory(aws)
    (page,) = inventory.pages()
    del ecr.backend_of().repositories[f"{prefix}/more-07"]
    found = inventory.complete(page, frozenset({fact}), None)
    assert {repository.name for repository in found} == {each.name for each in varied(prefix)} - {f"{prefix}/more-07"}
    assert not any(isinstance(getattr(repository, fact.value), Unreadable) for repository in found)


def test_what_vanishes_before_its_own_tags_are_read_is_left_out(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(varied(prefix))
    ecr.faults.add("GetResources", "AccessDeniedException", times=None)
    inventory = an_inventory(aws)
    (page,) = inventory.pages()
    del ecr.backend_of().repositories[f"{prefix}/more-07"]
    assert len(inventory.complete(page, frozenset({Fact.TAGS}), None)) == 33


def test_one_that_takes_a_batch_down_is_found_and_left_out(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(varied(prefix))
    inventory, gone = an_inventory(aws), f"{prefix}/more-07"

    def refuse(_service: str, operation: str, params: Mapping[str, Any]) -> None:
        if gone in params.get("repositoryNames", ()):
            raise ClientError({"Error": {"Code": "RepositoryNotFoundException", "Message": ""}}, operation)

    inventory._client.before = refuse  # type: ignore[attr-defined]
    found = look(inventory, frozenset({Fact.SCAN_FREQUENCY}))
    assert gone not in found
    assert len(found) == 33
    assert {repository.scan_frequency for repository in found.values()} == {ScanFrequency.MANUAL, ScanFrequency.SCAN_ON_PUSH}


@pytest.mark.parametrize(("every", "code"), [(2, "ThrottlingException"), (3, "ServerException")])
def test_throttling_at_any_call_changes_nothing_of_the_result(
    aws: EmbeddedAws, prefix: str, every: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecr.seed(varied(prefix))
    ecr.seed(SeedRepository(name=f"{prefix}/extra-{number}", tags={"n": str(number)}) for number in range(30))
    wanted = look(an_inventory(aws), EVERY_FACT, IDLE_SINCE)
    calls = count(1)

    def strike(_operation: str, *_: Any, **__: Any) -> None:
        if next(calls) % every == 0:
            raise EcrError(code, "Rate exceeded")

    monkeypatch.setattr(ecr.faults, "strike", strike)
    # One call at a time: which call is the next to be refused is then not a matter of luck.
    inventory = an_inventory(aws, concurrency=1)
    assert look(inventory, EVERY_FACT, IDLE_SINCE) == wanted
    assert sum(inventory.calls.values()) == next(calls) - 1


@pytest.mark.parametrize("operation", ["DescribeRepositories", *sorted(set(CALLED.values()))])
def test_throttling_beyond_patience_fails_and_tells_of_what(aws: EmbeddedAws, prefix: str, operation: str) -> None:
    ecr.seed(varied(prefix))
    ecr.faults.add(operation, "ThrottlingException", times=None)
    with pytest.raises(Throttled, match=operation):
        look(an_inventory(aws))


# The one in memory


def test_the_ecr_in_memory_tells_an_inventory_what_the_embedded_one_does(aws: EmbeddedAws, prefix: str) -> None:
    ecr.seed(varied(prefix))
    aws.client("ecr").create_repository_creation_template(prefix=prefix, appliedFor=["CREATE_ON_PUSH"])
    embedded = an_inventory(aws)
    memory = MemoryEcr(
        *(
            Held(
                each.name,
                each.created_at or T0,
                each.mutability,
                each.exclusion_filters,
                "KMS" if each.kms_key else "AES256",
                each.scan_on_push,
                "SCAN_ON_PUSH" if each.scan_on_push else "MANUAL",
                each.tags,
                each.lifecycle_policy,
                each.repository_policy,
                embedded._client.call("ecr", "DescribeImages", {"repositoryName": each.name, "filter": {"imageStatus": "ANY"}})[
                    "imageDetails"
                ],
            )
            for each in varied(prefix)
        )
    )
    memory.templates = [(prefix, ["CREATE_ON_PUSH"])]

    def alike(found: Repository) -> Repository:
        assert isinstance(found.encryption, Encryption)
        text = found.repository_policy
        return replace(
            found,
            encryption=Encryption(found.encryption.type),
            repository_policy=json.dumps(json.loads(text)) if isinstance(text, str) else text,
        )

    told = [[alike(each) for each in look(inventory, EVERY_FACT, IDLE_SINCE).values()] for inventory in (embedded, memory.inventory(NOW))]
    assert told[0] == told[1]


# Reads only


def test_every_call_that_can_be_made_is_a_read_and_none_counts_as_a_pull() -> None:
    operations = {action.partition(":")[2] for action in READS}
    assert all(operation.startswith(("Describe", "Get", "List", "BatchGet")) for operation in operations)
    assert not operations & {"BatchGetImage", "GetDownloadUrlForLayer", "GetAuthorizationToken"}


@pytest.mark.parametrize("operation", ["PutLifecyclePolicy", "DeleteRepository", "BatchGetImage", "TagResource"])
def test_a_call_that_is_not_a_known_read_is_not_made(aws: EmbeddedAws, operation: str) -> None:
    inventory = an_inventory(aws)
    with pytest.raises(PermissionError):
        inventory._call(f"ecr:{operation}", repositoryName="payments/api")
    assert inventory.calls == {}
