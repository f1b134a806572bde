"""What every registry does: the one in memory that tests believe, and Amazon ECR as the embedded AWS has it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from ecr_governor.adapters.ecr import ACTION_OF, IMAGE_PAGES, PAGE, EcrRegistry
from ecr_governor.app.errors import Denied, Throttled
from ecr_governor.app.ports import Registry
from ecr_governor.core.origin import AutomaticCreation
from ecr_governor.core.remedy import (
    CHANGES,
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
    Encryption,
    EncryptionType,
    Fact,
    Image,
    Repository,
    ScanFrequency,
    TagMutability,
    TagMutabilitySetting,
    Unreadable,
)
from local import ecr
from local.server import EmbeddedAws
from tests.fakes import ACCOUNT, LIFECYCLE, REGION, T0, FakeRegistry, a_repository

EVERY_FACT = frozenset(Fact)
NOTHING: frozenset[Fact] = frozenset()
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Pull", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "ecr:BatchGetImage"}
        ],
    }
)
OPERATION_OF = {fact: action.partition(":")[2] for fact, action in ACTION_OF.items()}


class Bench(ABC):
    """A registry, and how to bring it into a state."""

    registry: Registry

    @abstractmethod
    def create(self, name: str, **facts: Any) -> None: ...

    @abstractmethod
    def delete(self, name: str) -> None: ...

    @abstractmethod
    def deny(self, fact: Fact) -> None: ...

    @abstractmethod
    def throttle_next(self) -> None: ...

    @abstractmethod
    def template(self, prefix: str, *applied_for: str) -> None: ...

    @abstractmethod
    def cache(self, prefix: str) -> None: ...

    @abstractmethod
    def refuse_writes(self, remedy: Remedy, name: str) -> None: ...

    def read(self, name: str, *facts: Fact) -> Repository:
        found = self.registry.read(name, frozenset(facts) or EVERY_FACT)
        assert found is not None
        return found


class InMemory(Bench):
    def __init__(self) -> None:
        self.registry: FakeRegistry = FakeRegistry()

    def create(self, name: str, **facts: Any) -> None:
        self.registry.repositories[name] = a_repository(name, **facts)

    def delete(self, name: str) -> None:
        del self.registry.repositories[name]

    def deny(self, fact: Fact) -> None:
        self.registry.denied.add(fact)
        if fact is Fact.CREATION_TEMPLATES:
            self.registry.templates = None

    def throttle_next(self) -> None:
        self.registry.fault_at = len(self.registry.calls)

    def template(self, prefix: str, *applied_for: str) -> None:
        self.registry.templates = (*(self.registry.templates or ()), CreationTemplate(prefix, frozenset(applied_for)))

    def cache(self, prefix: str) -> None:
        self.registry.caches = (*(self.registry.caches or ()), prefix)

    def refuse_writes(self, remedy: Remedy, name: str) -> None:
        self.registry.refuse_writes = f"ecr:{type(remedy).__name__}: AccessDeniedException: no"


class Ecr(Bench):
    def __init__(self, aws: EmbeddedAws) -> None:
        self._ecr = aws.client("ecr")
        self.registry = EcrRegistry(lambda: self._ecr)

    @contextmanager
    def answering(self, change: Callable[[str, Any], object]) -> Iterator[None]:
        """Show every answer of ECR's to `change`, which may alter it."""

        def show(parsed: Any, model: Any, **_: Any) -> None:
            change(model.name, parsed)

        self._ecr.meta.events.register("after-call.ecr", show)
        yield
        self._ecr.meta.events.unregister("after-call.ecr", show)

    def create(self, name: str, **facts: Any) -> None:
        ecr.seed(
            [
                ecr.SeedRepository(
                    name=name,
                    created_at=T0,
                    **{key: value for key, value in facts.items() if key not in {"images", "tag_mutability"}},
                    images=[
                        ecr.SeedImage(tags=image.tags, content=image.digest, pushed_at=image.pushed_at) for image in facts.get("images", ())
                    ],
                    **self._mutability(facts.get("tag_mutability")),
                )
            ]
        )

    @staticmethod
    def _mutability(setting: TagMutabilitySetting | None) -> dict[str, Any]:
        return {"mutability": setting.mutability.value, "exclusion_filters": sorted(setting.exclusion_filters)} if setting else {}

    def delete(self, name: str) -> None:
        self._ecr.delete_repository(repositoryName=name)

    def deny(self, fact: Fact) -> None:
        ecr.faults.add(OPERATION_OF[fact], "AccessDeniedException", times=None)

    def throttle_next(self) -> None:
        ecr.faults.add("*", "ThrottlingException")

    def template(self, prefix: str, *applied_for: str) -> None:
        self._ecr.create_repository_creation_template(prefix=prefix, appliedFor=list(applied_for))

    def cache(self, prefix: str) -> None:
        self._ecr.create_pull_through_cache_rule(ecrRepositoryPrefix=prefix, upstreamRegistryUrl="public.ecr.aws")

    def refuse_writes(self, remedy: Remedy, name: str) -> None:
        ecr.faults.add(type(remedy).__name__, "AccessDeniedException", times=None, repository=name)


@pytest.fixture(params=["memory", "ecr"])
def bench(request: pytest.FixtureRequest, no_trouble_left: None) -> Bench:
    return InMemory() if request.param == "memory" else Ecr(request.getfixturevalue("aws"))


IMMUTABLE_BUT = TagMutabilitySetting(TagMutability.IMMUTABLE_WITH_EXCLUSION, frozenset({"latest", "dev-*"}))
REMEDIES: list[Remedy] = [
    PutLifecyclePolicy(None, json.dumps(LIFECYCLE)),
    SetRepositoryPolicy(None, POLICY),
    PutImageTagMutability(TagMutabilitySetting(TagMutability.MUTABLE), TagMutabilitySetting(TagMutability.IMMUTABLE)),
    PutImageTagMutability(TagMutabilitySetting(TagMutability.MUTABLE), IMMUTABLE_BUT),
    TagResource({}, {"owner": "ci/build-1", "team": "payments"}),
]


def test_what_is_not_there_is_none(bench: Bench) -> None:
    assert bench.registry.read("payments/never", EVERY_FACT) is None
    assert bench.registry.read("payments/never", NOTHING) is None


def test_a_bare_repository_has_every_fact_and_nothing_set(bench: Bench, name: str) -> None:
    bench.create(name)
    found = bench.read(name)
    assert (found.name, found.account, found.region, found.created_at) == (name, ACCOUNT, REGION, T0)
    assert found.arn == f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
    assert found.tag_mutability == TagMutabilitySetting(TagMutability.MUTABLE)
    assert found.encryption == Encryption(EncryptionType.AES256)
    assert (found.tags, found.lifecycle_policy, found.repository_policy, found.images, found.holds_image) == ({}, None, None, (), False)
    assert found.scan_frequency is ScanFrequency.MANUAL
    assert not isinstance(found.creation_templates, Unreadable)


def test_every_fact_that_is_set_is_read(bench: Bench, name: str) -> None:
    image = Image("sha256:1", ("v1", "latest"), T0)
    bench.create(
        name,
        tags={"owner": "alice", "empty": ""},
        lifecycle_policy=json.dumps(LIFECYCLE),
        repository_policy=POLICY,
        tag_mutability=IMMUTABLE_BUT,
        images=(image, replace(image, tags=())),
    )
    found = bench.read(name)
    assert found.tags == {"owner": "alice", "empty": ""}
    assert isinstance(found.lifecycle_policy, str)
    assert json.loads(found.lifecycle_policy) == LIFECYCLE
    assert isinstance(found.repository_policy, str)
    assert json.loads(found.repository_policy) == json.loads(POLICY)
    assert found.tag_mutability == IMMUTABLE_BUT
    assert not isinstance(found.images, Unreadable)
    assert {tag for each in found.images for tag in each.tags} == {"v1", "latest"}
    assert {each.pushed_at for each in found.images} == {T0}
    assert found.holds_image is True


def test_a_template_is_a_fact_of_every_repository(bench: Bench, name: str) -> None:
    prefix = name.replace("/", "-")
    bench.create(name)
    bench.template(prefix, "CREATE_ON_PUSH", "REPLICATION")
    found = bench.read(name, Fact.CREATION_TEMPLATES)
    assert not isinstance(found.creation_templates, Unreadable)
    assert CreationTemplate(prefix, frozenset({"CREATE_ON_PUSH", "REPLICATION"})) in found.creation_templates


@pytest.mark.parametrize("fact", list(Fact))
def test_only_the_facts_asked_for_are_fetched(bench: Bench, name: str, fact: Fact) -> None:
    bench.create(name)
    found = bench.read(name, fact)
    assert not isinstance(getattr(found, fact.value), Unreadable)
    assert all(getattr(found, other.value) == NOT_FETCHED for other in Fact if other is not fact)


@pytest.mark.parametrize("fact", list(Fact))
def test_a_denied_fact_is_unreadable_and_the_others_are_read(bench: Bench, name: str, fact: Fact) -> None:
    bench.create(name)
    bench.deny(fact)
    found = bench.read(name)
    denied = getattr(found, fact.value)
    assert isinstance(denied, Unreadable)
    assert "AccessDenied" in denied.why
    others = [other for other in Fact if ACTION_OF[other] != ACTION_OF[fact]]
    assert not any(isinstance(getattr(found, other.value), Unreadable) for other in others)


@pytest.mark.parametrize("images", [(), (Image("sha256:1", (), T0), Image("sha256:2", ("v1",), T0))])
def test_whether_there_is_an_image_is_told_without_the_images(bench: Bench, name: str, images: tuple[Image, ...]) -> None:
    bench.create(name, images=images)
    found = bench.read(name, Fact.HOLDS_IMAGE)
    assert (found.holds_image, found.images) == (bool(images), NOT_FETCHED)


def test_throttling_fails_the_whole_read_and_the_next_one_succeeds(bench: Bench, name: str) -> None:
    bench.create(name)
    bench.throttle_next()
    with pytest.raises(Throttled):
        bench.registry.read(name, EVERY_FACT)
    assert bench.registry.read(name, EVERY_FACT) is not None


@pytest.mark.parametrize("remedy", REMEDIES)
def test_a_remedy_is_applied_and_seen_in_the_next_read(bench: Bench, name: str, remedy: Remedy) -> None:
    bench.create(name, tags={"kept": "yes"})
    before = bench.read(name)
    outcome = bench.registry.apply(before, remedy)
    assert (outcome.status, outcome.remedy) == (OutcomeStatus.APPLIED, remedy)
    after = bench.read(name)
    match remedy:
        case PutLifecyclePolicy(after=text):
            assert json.loads(str(after.lifecycle_policy)) == json.loads(text)
            assert after == replace(before, lifecycle_policy=after.lifecycle_policy)
        case SetRepositoryPolicy(after=text):
            assert json.loads(str(after.repository_policy)) == json.loads(text)
            assert after == replace(before, repository_policy=after.repository_policy)
        case PutImageTagMutability(after=setting):
            assert after == replace(before, tag_mutability=setting)
        case TagResource(after=tags):
            assert after == replace(before, tags={"kept": "yes", **tags})


LIFECYCLE_OF_TWO_WEEKS = json.dumps(LIFECYCLE)
LIFECYCLE_OF_TWO_DAYS = LIFECYCLE_OF_TWO_WEEKS.replace("14", "2")
# What was judged, what somebody made of it, and the remedy for what was judged.
CHANGED: list[tuple[dict[str, Any], dict[str, Any], Remedy]] = [
    ({}, {"lifecycle_policy": LIFECYCLE_OF_TWO_DAYS}, PutLifecyclePolicy(None, LIFECYCLE_OF_TWO_WEEKS)),
    ({}, {"repository_policy": POLICY}, SetRepositoryPolicy(None, POLICY.replace("Pull", "Other"))),
    (
        {},
        {"tag_mutability": IMMUTABLE_BUT},
        PutImageTagMutability(TagMutabilitySetting(TagMutability.MUTABLE), TagMutabilitySetting(TagMutability.IMMUTABLE)),
    ),
    (
        {"tag_mutability": IMMUTABLE_BUT},
        {"tag_mutability": replace(IMMUTABLE_BUT, exclusion_filters=frozenset({"latest"}))},
        PutImageTagMutability(IMMUTABLE_BUT, TagMutabilitySetting(TagMutability.IMMUTABLE)),
    ),
    ({"tags": {"kept": "yes"}}, {"tags": {"kept": "yes", "team": ""}}, TagResource({}, {"owner": "ci", "team": "payments"})),
    ({"tags": {"team": "search"}}, {"tags": {"team": "web"}}, TagResource({"team": "search"}, {"team": "payments"})),
    ({"tags": {"team": "search"}}, {"tags": {}}, TagResource({"team": "search"}, {"team": "payments"})),
]


@pytest.mark.parametrize(("judged", "meanwhile", "remedy"), CHANGED)
def test_what_somebody_changed_meanwhile_stays_as_it_is(
    bench: Bench, name: str, judged: dict[str, Any], meanwhile: dict[str, Any], remedy: Remedy
) -> None:
    bench.create(name, **judged)
    before = bench.read(name)
    bench.delete(name)
    bench.create(name, **{**judged, **meanwhile})
    changed = bench.read(name)
    assert bench.registry.apply(before, remedy) == Outcome(remedy, OutcomeStatus.UNCHANGED, "changed meanwhile by somebody else")
    assert bench.read(name) == changed


@pytest.mark.parametrize(
    ("judged", "meanwhile", "remedy"),
    [
        ({"lifecycle_policy": LIFECYCLE_OF_TWO_DAYS}, {"tags": {"owner": "bob"}}, PutLifecyclePolicy),
        ({"repository_policy": POLICY}, {"tag_mutability": IMMUTABLE_BUT}, SetRepositoryPolicy),
    ],
)
def test_a_change_of_anything_else_hinders_nothing(
    bench: Bench, name: str, judged: dict[str, Any], meanwhile: dict[str, Any], remedy: type[PutLifecyclePolicy | SetRepositoryPolicy]
) -> None:
    bench.create(name, **judged)
    before = bench.read(name)
    bench.delete(name)
    bench.create(name, **{**judged, **meanwhile})
    (text,) = (value for value in (before.lifecycle_policy, before.repository_policy) if value is not None)
    assert isinstance(text, str)
    wanted = remedy(text, LIFECYCLE_OF_TWO_WEEKS if remedy is PutLifecyclePolicy else POLICY.replace("Pull", "Other"))
    assert bench.registry.apply(before, wanted).status is OutcomeStatus.APPLIED


def test_a_tag_is_set_whatever_became_of_the_others(bench: Bench, name: str) -> None:
    bench.create(name, tags={"kept": "yes"})
    before = bench.read(name)
    assert bench.registry.apply(before, TagResource({}, {"owner": "ci"})).status is OutcomeStatus.APPLIED
    assert bench.registry.apply(before, TagResource({}, {"team": "payments"})).status is OutcomeStatus.APPLIED
    assert bench.read(name).tags == {"kept": "yes", "owner": "ci", "team": "payments"}


@pytest.mark.parametrize("remedy", [remedy for remedy in REMEDIES if CHANGES[type(remedy)]])
def test_nothing_is_written_where_the_present_state_may_not_be_read_again(bench: Bench, name: str, remedy: Remedy) -> None:
    bench.create(name)
    before = bench.read(name)
    (fact,) = CHANGES[type(remedy)]
    bench.deny(fact)
    outcome = bench.registry.apply(before, remedy)
    assert outcome.status is OutcomeStatus.FAILED
    assert "AccessDeniedException" in outcome.why
    unread: dict[str, Any] = {fact.value: NOT_FETCHED}
    assert bench.registry.read(name, EVERY_FACT - {fact}) == replace(before, **unread)


@pytest.mark.parametrize("remedy", REMEDIES)
def test_a_remedy_for_a_repository_that_is_gone_is_gone(bench: Bench, name: str, remedy: Remedy) -> None:
    bench.create(name)
    before = bench.read(name)
    bench.delete(name)
    assert bench.registry.apply(before, remedy).status is OutcomeStatus.GONE


@pytest.mark.parametrize("remedy", REMEDIES)
def test_a_refused_remedy_fails_with_the_reason_and_changes_nothing(bench: Bench, name: str, remedy: Remedy) -> None:
    bench.create(name)
    before = bench.read(name)
    bench.refuse_writes(remedy, name)
    outcome = bench.registry.apply(before, remedy)
    assert outcome.status is OutcomeStatus.FAILED
    assert outcome.why.startswith(f"ecr:{type(remedy).__name__}: AccessDeniedException")
    assert bench.read(name) == before


@pytest.mark.parametrize("remedy", REMEDIES)
def test_a_throttled_remedy_is_tried_again_later(bench: Bench, name: str, remedy: Remedy) -> None:
    bench.create(name)
    before = bench.read(name)
    bench.throttle_next()
    with pytest.raises(Throttled):
        bench.registry.apply(before, remedy)
    assert bench.registry.apply(before, remedy).status is OutcomeStatus.APPLIED


def test_the_rules_that_make_repositories_are_read(bench: Bench, name: str) -> None:
    on_push, replication, cached = (f"{kind}-{name.rpartition('-')[2]}" for kind in ("on-push", "replication", "cached"))
    bench.template(on_push, "CREATE_ON_PUSH", "PULL_THROUGH_CACHE")
    bench.template(replication, "REPLICATION")
    bench.cache(cached)
    found = bench.registry.automatic_creation()
    assert found.create_on_push_prefixes is not None
    assert found.pull_through_cache_prefixes is not None
    assert on_push in found.create_on_push_prefixes
    assert replication not in found.create_on_push_prefixes
    assert cached in found.pull_through_cache_prefixes


def test_templates_that_may_not_be_read_are_unknown_and_not_none_at_all(bench: Bench) -> None:
    bench.deny(Fact.CREATION_TEMPLATES)
    found = bench.registry.automatic_creation()
    assert isinstance(found, AutomaticCreation)
    assert found.create_on_push_prefixes is None
    assert found.pull_through_cache_prefixes is not None


# What only Amazon ECR has


@pytest.fixture
def real(aws: EmbeddedAws, no_trouble_left: None) -> Ecr:
    return Ecr(aws)


def test_more_than_a_page_of_images_is_read_to_its_end(real: Ecr, name: str) -> None:
    real.create(name, images=[Image(f"content {number}", (f"v{number}",), T0) for number in range(2300)])
    found = real.read(name, Fact.IMAGES)
    assert not isinstance(found.images, Unreadable)
    assert len({image.digest for image in found.images}) == 2300
    assert {tag for image in found.images for tag in image.tags} == {f"v{number}" for number in range(2300)}


def test_more_images_than_there_is_time_for_are_not_read(real: Ecr, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecr_governor.adapters.ecr.PAGE", 2)
    real.create(name, images=[Image(f"content {number}", (f"v{number}",), T0) for number in range(20)])
    found = real.read(name, Fact.IMAGES)
    assert not isinstance(found.images, Unreadable)
    assert len(found.images) == 20
    real.create(f"{name}-more", images=[Image(f"content {number}", (f"v{number}",), T0) for number in range(21)])
    found = real.read(f"{name}-more", Fact.IMAGES, Fact.HOLDS_IMAGE)
    assert (found.images, found.holds_image) == (Unreadable("more than 20 images"), True)


def test_ten_thousand_images_are_the_limit() -> None:
    assert PAGE * IMAGE_PAGES == 10_000


@pytest.mark.parametrize("facts", [{Fact.IMAGES}, {Fact.HOLDS_IMAGE}, {Fact.IMAGES, Fact.HOLDS_IMAGE}])
def test_images_are_asked_for_once(real: Ecr, name: str, facts: set[Fact]) -> None:
    real.create(name, images=[Image("content", ("v1",), T0), Image("more content", ("v2",), T0)])
    asked: list[str] = []
    with real.answering(lambda operation, _answer: asked.append(operation)):
        real.read(name, *facts)
    assert asked == ["DescribeRepositories", "DescribeImages"]


@pytest.mark.parametrize("fact", [Fact.IMAGES, Fact.HOLDS_IMAGE])
def test_an_archived_image_is_an_image(real: Ecr, name: str, fact: Fact) -> None:
    ecr.seed([ecr.SeedRepository(name=name, images=[ecr.SeedImage(tags=["v1"], pushed_at=T0, archived_at=T0)])])
    found = getattr(real.read(name, fact), fact.value)
    assert found is True or len(found) == 1


@pytest.mark.parametrize(
    ("field", "fact"),
    [("imageTagMutability", "tag_mutability"), ("encryptionType", "encryption"), ("scanFrequency", "scan_frequency")],
)
def test_a_value_that_is_newer_than_this_release_is_unreadable_and_the_rest_is_read(real: Ecr, name: str, field: str, fact: str) -> None:
    real.create(name)
    before = real.read(name)

    def renew(_operation: str, answer: Any) -> None:
        for found in (*answer.get("repositories", ()), *answer.get("scanningConfigurations", ())):
            for part in (found, found.get("encryptionConfiguration", {})):
                part.update({key: "X" for key in part if key == field})

    with real.answering(renew):
        found = real.read(name)
    unknown: dict[str, Any] = {fact: Unreadable(f"{field}: unknown value 'X'")}
    assert found == replace(before, **unknown)


def test_a_setting_that_is_newer_than_this_release_was_made_by_somebody_else(real: Ecr, name: str) -> None:
    real.create(name)
    before = real.read(name)
    remedy = PutImageTagMutability(TagMutabilitySetting(TagMutability.MUTABLE), TagMutabilitySetting(TagMutability.IMMUTABLE))
    with real.answering(lambda _operation, answer: [found.update(imageTagMutability="X") for found in answer.get("repositories", ())]):
        assert real.registry.apply(before, remedy).status is OutcomeStatus.UNCHANGED
    assert real.read(name) == before


def test_nothing_is_written_where_repositories_may_not_be_described_again(real: Ecr, name: str) -> None:
    real.create(name)
    before = real.read(name)
    remedy = PutImageTagMutability(TagMutabilitySetting(TagMutability.MUTABLE), TagMutabilitySetting(TagMutability.IMMUTABLE))
    ecr.faults.add("DescribeRepositories", "AccessDeniedException")
    outcome = real.registry.apply(before, remedy)
    assert outcome.status is OutcomeStatus.FAILED
    assert outcome.why.startswith("ecr:DescribeRepositories: AccessDeniedException")
    assert real.read(name) == before


@pytest.mark.parametrize("remedy", REMEDIES)
def test_a_throttled_write_is_tried_again_later(real: Ecr, name: str, remedy: Remedy) -> None:
    real.create(name)
    before = real.read(name)
    ecr.faults.add(type(remedy).__name__, "ThrottlingException")
    with pytest.raises(Throttled):
        real.registry.apply(before, remedy)
    assert real.registry.apply(before, remedy).status is OutcomeStatus.APPLIED


@pytest.mark.parametrize("fact", [fact for fact in Fact if fact not in {Fact.CREATION_TEMPLATES, Fact.SCAN_FREQUENCY}])
def test_a_repository_that_vanishes_while_it_is_read_is_gone(real: Ecr, name: str, fact: Fact) -> None:
    real.create(name)
    ecr.faults.add(OPERATION_OF[fact], "RepositoryNotFoundException")
    assert real.registry.read(name, EVERY_FACT) is None


@pytest.mark.parametrize("fact", list(Fact))
def test_throttling_of_any_fact_fails_the_read(real: Ecr, name: str, fact: Fact) -> None:
    real.create(name)
    ecr.faults.add(OPERATION_OF[fact], "ServerException")
    with pytest.raises(Throttled):
        real.registry.read(name, EVERY_FACT)


def test_whoever_may_not_describe_repositories_is_denied_and_does_not_take_them_for_gone(real: Ecr, name: str) -> None:
    real.create(name)
    ecr.faults.add("DescribeRepositories", "AccessDeniedException")
    with pytest.raises(Denied):
        real.registry.read(name, EVERY_FACT)


def test_cache_rules_that_may_not_be_read_are_unknown(real: Ecr) -> None:
    ecr.faults.add("DescribePullThroughCacheRules", "AccessDeniedException")
    found = real.registry.automatic_creation()
    assert found.pull_through_cache_prefixes is None
    assert found.create_on_push_prefixes is not None


def test_the_scan_frequency_is_the_one_that_the_registrys_rules_give(real: Ecr, aws: EmbeddedAws, name: str) -> None:
    real.create(name)
    rule: Any = {"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [{"filter": name, "filterType": "WILDCARD"}]}
    aws.client("ecr").put_registry_scanning_configuration(scanType="BASIC", rules=[rule])
    assert real.read(name, Fact.SCAN_FREQUENCY).scan_frequency is ScanFrequency.SCAN_ON_PUSH
    aws.client("ecr").put_registry_scanning_configuration(scanType="BASIC", rules=[])


def test_a_document_that_ecr_does_not_take_is_a_failure_with_its_word(real: Ecr, name: str) -> None:
    real.create(name)
    outcome = real.registry.apply(real.read(name), PutLifecyclePolicy(None, json.dumps({"rules": []}) + " " * 100))
    assert outcome.status is OutcomeStatus.FAILED
    assert outcome.why.startswith("ecr:PutLifecyclePolicy: InvalidParameterException: ")


def test_a_client_is_made_when_it_is_needed_and_once(aws: EmbeddedAws) -> None:
    made = []

    def make() -> Any:
        made.append(1)
        return aws.client("ecr")

    registry = EcrRegistry(make)
    assert made == []
    registry.read("payments/never", NOTHING)
    registry.read("payments/never", NOTHING)
    assert made == [1]
