"""What every registry does for retirement: Amazon ECR as the embedded AWS has it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ecr_governor.adapters.deleting import EcrDeleting
from ecr_governor.adapters.rebuilding import EcrRebuilding
from ecr_governor.adapters.retiring import EcrRetiring
from ecr_governor.app.errors import Denied, Refused, Throttled
from ecr_governor.app.retirement.ports import DeletingRegistry
from ecr_governor.core.repository import Unreadable
from ecr_governor.core.retirement.snapshot import ACTIVE, ARCHIVED, HeldImage, Snapshot
from ecr_governor.core.retirement.tombstone import Settings, Tombstone
from local import ecr
from local.server import EmbeddedAws
from tests.fakes import ACCOUNT, HOUR, REGION, T0

POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Pull", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "ecr:BatchGetImage"}
        ],
    }
)
NEVER = "sha256:" + "0" * 64
PARTS = {"tags": "ListTagsForResource", "policy": "GetRepositoryPolicy", "images": "DescribeImages"}


@pytest.fixture
def calls(aws: EmbeddedAws) -> Iterator[list[tuple[str, Any]]]:
    """The operations that are asked of ECR, with their parameters."""
    seen: list[tuple[str, Any]] = []

    def note(params: Any, model: Any, **_: Any) -> None:
        seen.append((model.name, params))

    events = aws.client("ecr").meta.events
    events.register("provide-client-params.ecr", note)
    yield seen
    events.unregister("provide-client-params.ecr", note)
    assert "BatchGetImage" not in {operation for operation, _ in seen}


@pytest.fixture(params=["embedded"])
def registry(request: pytest.FixtureRequest, aws: EmbeddedAws, calls: list[tuple[str, Any]], no_trouble_left: None) -> DeletingRegistry:
    return EcrDeleting(lambda: aws.client("ecr"))


def create(name: str, *images: ecr.SeedImage, **settings: Any) -> list[str]:
    return ecr.seed([ecr.SeedRepository(name=name, created_at=T0, images=images, **settings)])[name]


def read(registry: DeletingRegistry, name: str) -> Snapshot:
    found = registry.snapshot(name)
    assert found is not None
    return found


def image(registry: DeletingRegistry, name: str, digest: str) -> HeldImage:
    return next(each for each in read(registry, name).held if each.digest == digest)


# --- reading --------------------------------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_none(registry: DeletingRegistry) -> None:
    assert registry.snapshot("payments/never") is None


def test_a_bare_repository_has_nothing_set(registry: DeletingRegistry, name: str) -> None:
    create(name)
    assert read(registry, name) == Snapshot(name, f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}", T0, {}, None, ())


def test_every_fact_of_a_repository_and_its_images_is_read(registry: DeletingRegistry, name: str) -> None:
    plain, kept = create(
        name,
        ecr.SeedImage(content="a", pushed_at=T0),
        ecr.SeedImage(
            content="b",
            tags=("v1", "latest"),
            pushed_at=T0 + HOUR,
            pulled_at=T0 + 2 * HOUR,
            activated_at=T0 + 3 * HOUR,
            archived_at=T0 + 4 * HOUR,
            size=1_000,
        ),
        tags={"owner": "alice", "empty": ""},
        repository_policy=POLICY,
    )
    found = read(registry, name)
    assert found.tags == {"owner": "alice", "empty": ""}
    assert json.loads(str(found.policy)) == json.loads(POLICY)
    assert {each.digest for each in found.held} == {plain, kept}
    first, second = (image(registry, name, digest) for digest in (plain, kept))
    assert (first.tags, first.pushed_at, first.pulled_at, first.status, first.subject) == (frozenset(), T0, None, ACTIVE, None)
    assert (first.archived_at, first.activated_at) == (None, None)
    assert (second.tags, second.status) == (frozenset({"v1", "latest"}), ARCHIVED)
    assert (second.pushed_at, second.pulled_at) == (T0 + HOUR, T0 + 2 * HOUR)
    assert (second.activated_at, second.archived_at) == (T0 + 3 * HOUR, T0 + 4 * HOUR)
    assert second.media_type == "application/vnd.oci.image.manifest.v1+json"
    assert second.size_bytes >= 1_000


def test_an_index_its_children_and_a_signature_are_images_of_their_own(registry: DeletingRegistry, name: str) -> None:
    (index,) = create(name, ecr.SeedImage(content="x", platforms=("linux/amd64", "linux/arm64"), tags=("v1",)))
    (signature,) = [ecr.seeding.place(ecr.backend_of().repository(name), ecr.SeedImage(content="s", subject=index, artifact_type="a/b"))]
    found = read(registry, name)
    assert len(found.held) == 4
    assert image(registry, name, index).media_type == "application/vnd.oci.image.index.v1+json"
    assert image(registry, name, signature).subject == index


def test_all_pages_of_images_are_read(registry: DeletingRegistry, calls: list[tuple[str, Any]], name: str) -> None:
    digests = create(name, *(ecr.SeedImage(content=str(number)) for number in range(2_001)))
    assert {each.digest for each in read(registry, name).held} == set(digests)
    pages = [params for operation, params in calls if operation == "DescribeImages"]
    assert [(page["maxResults"], page["filter"]) for page in pages] == [(1000, {"imageStatus": "ANY"})] * 3


def test_a_status_that_is_newer_than_this_release_is_kept_as_it_is(registry: DeletingRegistry, name: str) -> None:
    (digest,) = create(name, ecr.SeedImage())
    ecr.backend_of().repository(name).images[digest].status = "THAWING"
    assert image(registry, name, digest).status == "THAWING"


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_may_not_be_read_is_unreadable_and_the_others_are_read(registry: DeletingRegistry, name: str, part: str) -> None:
    create(name, ecr.SeedImage(), tags={"a": "b"}, repository_policy=POLICY)
    ecr.faults.add(PARTS[part], "AccessDeniedException")
    found = read(registry, name)
    assert found.unreadable == (f"ecr:{PARTS[part]}: AccessDeniedException",)
    assert isinstance(getattr(found, part), Unreadable)


@pytest.mark.parametrize("part", PARTS)
def test_what_vanishes_while_it_is_read_is_gone(registry: DeletingRegistry, name: str, part: str) -> None:
    create(name)
    ecr.faults.add(PARTS[part], "RepositoryNotFoundException")
    assert registry.snapshot(name) is None


@pytest.mark.parametrize("operation", ["DescribeRepositories", *PARTS.values()])
@pytest.mark.parametrize("code", ["ThrottlingException", "ServerException"])
def test_trouble_that_passes_fails_the_whole_read(registry: DeletingRegistry, name: str, operation: str, code: str) -> None:
    create(name)
    ecr.faults.add(operation, code)
    with pytest.raises(Throttled):
        registry.snapshot(name)
    assert registry.snapshot(name) is not None


def test_whoever_may_not_describe_repositories_does_not_take_them_for_gone(registry: DeletingRegistry, name: str) -> None:
    create(name)
    ecr.faults.add("DescribeRepositories", "AccessDeniedException")
    with pytest.raises(Denied):
        registry.snapshot(name)


def test_roles_whose_pulls_are_not_recorded_are_listed_to_the_last_page(registry: DeletingRegistry, aws: EmbeddedAws) -> None:
    arns = [f"arn:aws:iam::{ACCOUNT}:role/reader-{number:02}" for number in range(5)]
    backend = ecr.backend_of()
    backend.pull_time_exclusions.update(dict.fromkeys(arns, T0))
    events = aws.client("ecr").meta.events

    def shorter(params: Any, **_: Any) -> None:
        params["maxResults"] = 2

    events.register("provide-client-params.ecr.ListPullTimeUpdateExclusions", shorter)
    try:
        assert sorted(registry.pull_time_exclusions()) == arns
    finally:
        events.unregister("provide-client-params.ecr.ListPullTimeUpdateExclusions", shorter)
        backend.pull_time_exclusions.clear()
    assert list(registry.pull_time_exclusions()) == []


@pytest.mark.parametrize(("code", "trouble"), [("AccessDeniedException", Denied), ("ThrottlingException", Throttled)])
def test_exclusions_that_cannot_be_read_are_not_none(registry: DeletingRegistry, code: str, trouble: type[Exception]) -> None:
    ecr.faults.add("ListPullTimeUpdateExclusions", code)
    with pytest.raises(trouble):
        registry.pull_time_exclusions()


# --- changing -------------------------------------------------------------------------------------------------------------------------


def test_tags_are_set_and_removed_beside_others(registry: DeletingRegistry, name: str) -> None:
    create(name, tags={"owner": "alice"})
    registry.tag(read(registry, name), {"a": "1", "b": ""})
    registry.tag(read(registry, name), {})
    assert read(registry, name).tags == {"owner": "alice", "a": "1", "b": ""}
    registry.untag(read(registry, name), ["a", "never"])
    registry.untag(read(registry, name), [])
    assert read(registry, name).tags == {"owner": "alice", "b": ""}


def test_a_policy_is_set_and_removed_however_often(registry: DeletingRegistry, name: str) -> None:
    create(name)
    registry.set_policy(name, None)
    registry.set_policy(name, POLICY)
    assert json.loads(str(read(registry, name).policy)) == json.loads(POLICY)
    registry.set_policy(name, None)
    registry.set_policy(name, None)
    assert read(registry, name).policy is None


def test_an_image_goes_to_the_archive_and_comes_back(registry: DeletingRegistry, aws: EmbeddedAws, name: str) -> None:
    digest, other = create(name, ecr.SeedImage(content="a"), ecr.SeedImage(content="b"))
    registry.archive(name, digest)
    registry.archive(name, digest)
    assert image(registry, name, digest).status == ARCHIVED
    assert image(registry, name, other).status == ACTIVE
    registry.activate(name, digest)
    registry.activate(name, digest)
    assert image(registry, name, digest).status == "ACTIVATING"
    aws.clock.move_by(timedelta(minutes=21))
    registry.activate(name, digest)
    assert image(registry, name, digest).status == ACTIVE


def test_what_is_neither_archived_nor_on_its_way_is_refused(registry: DeletingRegistry, name: str) -> None:
    (digest,) = create(name, ecr.SeedImage())
    ecr.backend_of().repository(name).images[digest].status = "THAWING"
    for change in (registry.archive, registry.activate):
        with pytest.raises(Refused, match="ImageStorageClassUpdateNotSupportedException"):
            change(name, digest)


def test_a_refusal_stands_where_the_image_is_not_shown(registry: DeletingRegistry, name: str) -> None:
    (digest,) = create(name, ecr.SeedImage())
    ecr.faults.add("UpdateImageStorageClass", "ImageStorageClassUpdateNotSupportedException")
    ecr.faults.add("DescribeImages", "ImageNotFoundException")
    with pytest.raises(Refused):
        registry.activate(name, digest)


CHANGES: dict[str, Callable[[DeletingRegistry, Snapshot], object]] = {
    "TagResource": lambda registry, snapshot: registry.tag(snapshot, {"a": "b"}),
    "UntagResource": lambda registry, snapshot: registry.untag(snapshot, ["a"]),
    "SetRepositoryPolicy": lambda registry, snapshot: registry.set_policy(snapshot.name, POLICY),
    "DeleteRepositoryPolicy": lambda registry, snapshot: registry.set_policy(snapshot.name, None),
    "UpdateImageStorageClass": lambda registry, snapshot: registry.archive(snapshot.name, NEVER),
    "BatchDeleteImage": lambda registry, snapshot: registry.delete_images(snapshot.name, [NEVER]),
    "DeleteRepository": lambda registry, snapshot: registry.delete_repository(snapshot.name),
}


@pytest.mark.parametrize("operation", CHANGES)
def test_a_change_of_what_is_gone_is_no_trouble(registry: DeletingRegistry, name: str, operation: str) -> None:
    create(name)
    snapshot = read(registry, name)
    registry.delete_repository(name)
    assert not CHANGES[operation](registry, snapshot)
    assert registry.snapshot(name) is None


@pytest.mark.parametrize("change", ["archive", "activate"])
def test_an_image_that_is_gone_is_no_trouble(registry: DeletingRegistry, name: str, change: str) -> None:
    create(name)
    getattr(registry, change)(name, NEVER)


@pytest.mark.parametrize("operation", CHANGES)
@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        ("ThrottlingException", Throttled),
        ("ServerException", Throttled),
        ("AccessDeniedException", Denied),
        ("InvalidParameterException", Refused),
    ],
)
def test_trouble_with_a_change_is_named(registry: DeletingRegistry, name: str, operation: str, code: str, trouble: type[Exception]) -> None:
    create(name, repository_policy=POLICY)
    ecr.faults.add(operation, code)
    with pytest.raises(trouble, match=f"ecr:{operation}: {code}"):
        CHANGES[operation](registry, read(registry, name))


# --- deleting -------------------------------------------------------------------------------------------------------------------------


def test_exactly_the_images_that_are_named_are_deleted_with_all_their_tags(registry: DeletingRegistry, name: str) -> None:
    gone, archived, kept = create(
        name,
        ecr.SeedImage(content="a", tags=("v1", "v2")),
        ecr.SeedImage(content="b", archived_at=T0 + HOUR),
        ecr.SeedImage(content="c", tags=("v3",)),
    )
    assert registry.delete_images(name, [gone, archived, NEVER]) == {}
    assert [each.digest for each in read(registry, name).held] == [kept]
    assert registry.delete_images(name, []) == {}


def test_a_failure_is_told_and_the_other_images_are_deleted(registry: DeletingRegistry, name: str) -> None:
    index, single = create(name, ecr.SeedImage(content="x", platforms=("linux/amd64",)), ecr.SeedImage(content="y"))
    (child,) = {each.digest for each in read(registry, name).held} - {index, single}
    failed = registry.delete_images(name, [child, single])
    assert failed.keys() == {child}
    assert failed[child].startswith("ImageReferencedByManifestList: Requested image referenced by manifest list")
    assert registry.delete_images(name, [index, child]) == {}
    assert read(registry, name).held == ()


def test_no_more_than_a_hundred_images_go_at_once(registry: DeletingRegistry, calls: list[tuple[str, Any]], name: str) -> None:
    digests = create(name, *(ecr.SeedImage(content=str(number)) for number in range(101)))
    with pytest.raises(ValueError, match="100"):
        registry.delete_images(name, digests)
    assert registry.delete_images(name, digests[:100]) == {}
    assert len(read(registry, name).held) == 1
    (sent,) = [params for operation, params in calls if operation == "BatchDeleteImage"]
    assert sent == {"repositoryName": name, "imageIds": [{"imageDigest": digest} for digest in digests[:100]]}


def test_an_empty_repository_is_deleted_by_its_name_alone(registry: DeletingRegistry, calls: list[tuple[str, Any]], name: str) -> None:
    create(name)
    registry.delete_repository(name)
    assert registry.snapshot(name) is None
    assert ("DeleteRepository", {"repositoryName": name}) in calls


@pytest.mark.parametrize("seeded", [ecr.SeedImage(), ecr.SeedImage(archived_at=T0 + HOUR)], ids=["active", "archived"])
def test_a_repository_that_holds_images_survives(registry: DeletingRegistry, name: str, seeded: ecr.SeedImage) -> None:
    create(name, seeded)
    with pytest.raises(Refused, match="it holds images"):
        registry.delete_repository(name)
    assert len(read(registry, name).held) == 1


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("delete_repository", {"force": True}),
        ("delete_repository", {"force": False}),
        ("batch_delete_image", {"imageIds": [{"imageTag": "v1"}]}),
        ("batch_delete_image", {"imageIds": [{"imageDigest": NEVER, "imageTag": "v1"}]}),
    ],
)
def test_the_client_itself_refuses_a_deletion_of_more(
    registry: DeletingRegistry, aws: EmbeddedAws, name: str, operation: str, more: dict[str, Any]
) -> None:
    create(name, ecr.SeedImage(tags=("v1",)))
    registry.snapshot(name)
    with pytest.raises(PermissionError):
        getattr(aws.client("ecr"), operation)(repositoryName=name, **more)
    assert len(read(registry, name).held) == 1


def test_whoever_retires_without_deleting_has_nothing_to_delete_with() -> None:
    assert not [each for each in dir(EcrRetiring) if "delete" in each]


def test_a_client_is_made_when_it_is_needed_and_once(aws: EmbeddedAws) -> None:
    made = []

    def make() -> Any:
        made.append(1)
        return aws.client("ecr")

    registry = EcrDeleting(make)
    assert made == []
    registry.snapshot("payments/never")
    registry.snapshot("payments/never")
    assert made == [1]


# --- setting up again -----------------------------------------------------------------------------------------------------------------

LIFECYCLE = (
    '{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"imageCountMoreThan","countNumber":3},'
    '"action":{"type":"expire"}}]}'
)


def test_what_is_read_before_the_end_sets_it_up_again(registry: DeletingRegistry, aws: EmbeddedAws, name: str) -> None:
    client = aws.client("ecr")
    client.create_repository(
        repositoryName=name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest*"}],
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"},
        imageScanningConfiguration={"scanOnPush": True},
        tags=[{"Key": "owner", "Value": "alice"}, {"Key": "ecr-governor:state", "Value": "archived"}],
    )
    client.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=LIFECYCLE)
    client.set_repository_policy(repositoryName=name, policyText=POLICY)
    settings, before = registry.settings(name), read(registry, name)
    assert settings is not None
    assert settings.lifecycle_policy == LIFECYCLE
    stone = Tombstone(before, settings, T0, "abc")
    registry.delete_repository(name)
    assert registry.settings(name) is None
    assert len(list(EcrRebuilding(client).rebuild(stone))) == 4
    after = read(registry, name)
    assert registry.settings(name) == settings
    assert (after.tags, after.policy, after.images) == ({"owner": "alice"}, before.policy, ())
    with pytest.raises(Refused, match="RepositoryAlreadyExists"):
        list(EcrRebuilding(client).rebuild(replace(stone, settings=Settings())))
    assert registry.settings(name) == settings


def test_what_ecr_refuses_to_set_keeps_nothing_else_from_being_set(registry: DeletingRegistry, aws: EmbeddedAws, name: str) -> None:
    create(name)
    stone = Tombstone(replace(read(registry, name), policy=POLICY), Settings(lifecycle_policy=LIFECYCLE), T0, "abc")
    registry.delete_repository(name)
    ecr.faults.add("PutLifecyclePolicy", "InvalidParameterException")
    told: list[str] = []
    with pytest.raises(Refused, match=r"^its lifecycle policy: ecr:PutLifecyclePolicy: InvalidParameterException"):
        told.extend(EcrRebuilding(aws.client("ecr")).rebuild(stone))
    assert told == ["the repository: MUTABLE, encrypted with AES256", "its repository policy, byte for byte"]
    assert read(registry, name).policy is not None


def test_a_bare_repository_is_set_up_bare(registry: DeletingRegistry, aws: EmbeddedAws, name: str) -> None:
    create(name)
    stone = Tombstone(read(registry, name), Settings(), T0, "abc")
    assert registry.settings(name) == Settings()
    registry.delete_repository(name)
    assert list(EcrRebuilding(aws.client("ecr")).rebuild(stone)) == ["the repository: MUTABLE, encrypted with AES256"]
    assert (registry.settings(name), read(registry, name).policy) == (Settings(), None)


def test_settings_that_may_not_be_read_are_denied(registry: DeletingRegistry, name: str) -> None:
    create(name)
    ecr.faults.add("GetLifecyclePolicy", "AccessDeniedException")
    with pytest.raises(Denied, match="GetLifecyclePolicy"):
        registry.settings(name)
