"""An audit judges every repository by what was read of it, reads no more than that takes, and never takes trouble for an answer."""

import json
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.adapters.inventory import ACTION_OF, READS, actions_for
from ecr_governor.adapters.signed import Unreached
from ecr_governor.app.audit import AT_ONCE_WITH_IMAGES, IN_VAIN, Progress, audit, wanted_by
from ecr_governor.core.audit import AuditedRepository
from ecr_governor.core.evaluate import evaluate, facts_needed
from ecr_governor.core.origin import AutomaticCreation, Provenance, classify
from ecr_governor.core.policy.model import Policy
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
    Usage,
)
from ecr_governor.core.rules import RULES
from ecr_governor.core.verdict import Undetermined, Violation
from tests.fakes import ACCOUNT, LIFECYCLE, REGION, a_policy
from tests.memory_ecr import Held, MemoryEcr, an_image, refusal
from tests.registries import DAY, EVERYTHING, LATELY, NOTHING, NOW, OLD, POLICIES, PUBLIC, a_registry


def audited(
    ecr: MemoryEcr, policy: Policy, progress: Progress | None = None, *, concurrency: int = 1, count_images: bool = False
) -> dict[str, AuditedRepository]:
    with ecr.inventory(NOW, concurrency=concurrency, pull_metrics=policy.limits.pull_metrics) as inventory:
        found = list(audit(inventory, policy, NOW, progress or Progress(), count_images=count_images))
    assert [each.name for each in found] == sorted(each.name for each in found)
    return {each.name: each for each in found}


def known(ecr: MemoryEcr, held: Held) -> Repository:
    """The repository with every fact, read without an inventory."""
    moments = [datetime.fromtimestamp(image["imagePushedAt"], UTC) for image in held.images]
    pulls = [datetime.fromtimestamp(image["lastRecordedPullTime"], UTC) for image in held.images if "lastRecordedPullTime" in image]
    automatic = AutomaticCreation(tuple(prefix for prefix, kinds in ecr.templates if "CREATE_ON_PUSH" in kinds), tuple(ecr.caches))
    return Repository(
        name=held.name,
        arn=held.arn,
        account=ACCOUNT,
        region=REGION,
        created_at=held.created_at,
        tag_mutability=TagMutabilitySetting(TagMutability(held.mutability), frozenset(held.exclusion_filters)),
        encryption=Encryption(EncryptionType(held.encryption)),
        scan_on_push=held.scan_on_push,
        tags=held.tags,
        lifecycle_policy=held.lifecycle_policy,
        repository_policy=held.repository_policy,
        scan_frequency=ScanFrequency(held.scan_frequency),
        images=tuple(
            Image(image["imageDigest"], tuple(image.get("imageTags", ())), at) for image, at in zip(held.images, moments, strict=True)
        ),
        holds_image=bool(held.images),
        creation_templates=tuple(CreationTemplate(prefix, frozenset(kinds)) for prefix, kinds in ecr.templates),
        usage=Usage(max(moments, default=None), max(pulls, default=None), len(moments), 0),
        provenance=classify(Provenance(), held.name, automatic),
    )


def expected(ecr: MemoryEcr, policy: Policy) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """What is to be said of each repository: reasons of violations, and of what stays open, by rule."""
    told: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    for held in ecr.repositories.values():
        verdicts = {each.rule: each.verdict for each in evaluate(known(ecr, held), policy, NOW).judgements}
        told[held.name] = (
            {rule: verdict.reason for rule, verdict in verdicts.items() if isinstance(verdict, Violation)},
            {rule: verdict.why for rule, verdict in verdicts.items() if isinstance(verdict, Undetermined)},
        )
    return told


def told(found: Mapping[str, AuditedRepository]) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    return {name: ({each.rule: each.reason for each in one.findings}, dict(one.undetermined)) for name, one in found.items()}


def calls_of(ecr: MemoryEcr, policy: Policy) -> int:
    audited(ecr, policy)
    return len(ecr.made)


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> Policy:
    return a_policy(POLICIES[request.param])


ALL = a_policy(EVERYTHING)


# --- what is found --------------------------------------------------------------------------------------------------------------------


def test_the_verdicts_are_those_by_all_facts(policy: Policy) -> None:
    ecr, progress = a_registry(), Progress()
    found = audited(ecr, policy, progress)
    assert told(found) == expected(ecr, policy)
    assert not progress.incomplete_because
    assert progress.looked_at == len(ecr.repositories)
    assert progress.violating == sum(any(finding.state == "open" for finding in each.findings) for each in found.values())


MOMENTS = st.sampled_from([OLD, NOW - 92 * DAY, NOW - 91 * DAY, NOW - 91 * DAY + timedelta(seconds=1), NOW - 90 * DAY, LATELY, NOW])
HELD = st.builds(
    Held,
    name=st.sampled_from(["payments/api", "search/x", "tmp", "tmp/x/y", "docker-hub/a", "ghcr/b", "wrong_name"]),
    created_at=MOMENTS,
    mutability=st.sampled_from(["MUTABLE", "IMMUTABLE"]),
    encryption=st.sampled_from(EncryptionType).map(str),
    scan_frequency=st.sampled_from(ScanFrequency).map(str),
    tags=st.dictionaries(st.sampled_from(["owner", "team"]), st.sampled_from(["", "a"])),
    lifecycle_policy=st.sampled_from([None, json.dumps(LIFECYCLE), "{", '{"rules": []}']),
    repository_policy=st.sampled_from([None, PUBLIC, "{", "[]"]),
    images=st.lists(
        st.builds(an_image, st.integers(0, 9), MOMENTS, st.none() | MOMENTS, st.lists(st.sampled_from(["v1", "x"]))), max_size=9
    ),
)


@settings(max_examples=60)
@given(st.lists(HELD, max_size=6, unique_by=lambda held: held.name), st.sampled_from(sorted(POLICIES)), st.integers(1, 5))
def test_whatever_a_registry_holds_the_verdicts_are_those_by_all_facts(holdings: list[Held], name: str, page: int) -> None:
    for held in holdings:
        held.pulled_on = [
            datetime.fromtimestamp(each["lastRecordedPullTime"], UTC) for each in held.images if "lastRecordedPullTime" in each
        ]
    ecr = MemoryEcr(*holdings, page=page)
    ecr.caches = ["ghcr"]
    assert told(audited(ecr, a_policy(POLICIES[name]))) == expected(ecr, a_policy(POLICIES[name]))


def test_one_after_the_other_or_many_at_once_is_the_same(policy: Policy) -> None:
    assert audited(a_registry(), policy, concurrency=8) == audited(a_registry(), policy)


def test_the_page_size_does_not_show(policy: Policy) -> None:
    assert told(audited(a_registry(page=1), policy)) == told(audited(a_registry(page=1000), policy))


def test_what_is_known_of_use_is_told() -> None:
    ecr = a_registry()
    found = audited(ecr, a_policy(POLICIES["use only"]))
    idle, used = found["payments/api-2"], found["payments/api-3"]
    assert (idle.images, idle.size_bytes, idle.last_push, idle.last_pull, idle.unused) == (2, 2003, OLD, OLD + DAY, True)
    assert (used.images, used.last_push, used.last_pull, used.unused) == (None, OLD, LATELY, False)
    young = found["payments/api-1"]
    assert (young.images, young.last_push, young.unused) == (None, None, False)


def test_images_are_counted_if_that_is_asked_for(policy: Policy) -> None:
    ecr = a_registry()
    found = audited(ecr, policy, count_images=True)
    assert {name: (each.images, each.size_bytes) for name, each in found.items()} == {
        held.name: (len(held.images), sum(image["imageSizeInBytes"] for image in held.images)) for held in ecr.repositories.values()
    }
    assert told(found) == expected(ecr, policy)
    assert not [params for action, params in ecr.made if action == "cloudwatch:GetMetricData"]


def test_exempt_findings_are_told_as_such_and_violate_nothing() -> None:
    progress = Progress()
    found = audited(a_registry(), a_policy(POLICIES["tags, exempt"]), progress)
    assert {finding.state for finding in found["payments/api-0"].findings} == {"exempt"}
    assert {finding.state for finding in found["tmp-0"].findings} == {"open"}
    assert progress.violating == sum(any(finding.state == "open" for finding in each.findings) for each in found.values()) < len(found)


def test_the_owner_is_the_owner_tags_value() -> None:
    found = audited(a_registry(), ALL)
    assert (found["tmp-2"].owner, found["tmp-4"].owner, found["tmp-0"].owner) == ("alice", "", None)


# --- what it takes --------------------------------------------------------------------------------------------------------------------


def test_only_what_the_rules_need_is_read() -> None:
    always = {"ecr:DescribeRepositories", "ecr:DescribeRepositoryCreationTemplates", "ecr:DescribePullThroughCacheRules"}
    asked = {
        "nothing": set(),
        "names only": set(),
        "use only": {"ecr:DescribeImages"},
        "use by pulls": {"ecr:DescribeImages", "cloudwatch:GetMetricData"},
        "use in one namespace": {"ecr:DescribeImages"},
        "tags, exempt": {"tag:GetResources", "ecr:GetRepositoryPolicy"},
        "image tags": {"ecr:DescribeImages", "ecr:GetRepositoryPolicy"},
        "rules off, one of them not everywhere": {"tag:GetResources", "ecr:BatchGetRepositoryScanningConfiguration"},
    }
    for name, actions in asked.items():
        ecr = a_registry()
        audited(ecr, a_policy(POLICIES[name].replace("rules: {unused", "rules: {repository-policy: off, unused")))
        assert {action for action, _ in ecr.made} == always | actions, name


def test_no_image_of_a_young_repository_is_asked_for_and_none_outside_the_namespace() -> None:
    ecr = a_registry()
    audited(ecr, a_policy(POLICIES["use in one namespace"]))
    asked = {params["repositoryName"] for action, params in ecr.made if action == "ecr:DescribeImages"}
    assert asked == {f"search/index-{number}" for number in (0, 2, 3, 4)}


def test_the_calls_for_a_full_check_are_as_few_as_can_be() -> None:
    ecr = MemoryEcr(*(Held(f"payments/{number:04}", created_at=OLD, tags={"owner": "a"}) for number in range(1100)))
    audited(ecr, ALL)
    assert ecr.calls == {
        "ecr:DescribeRepositories": 2,
        "ecr:DescribeRepositoryCreationTemplates": 1,
        "ecr:DescribePullThroughCacheRules": 1,
        "tagging:GetResources": 11,
        "ecr:BatchGetRepositoryScanningConfiguration": 44,
        "ecr:GetLifecyclePolicy": 1100,
        "ecr:GetRepositoryPolicy": 1100,
        "ecr:DescribeImages": 1100,
    }


def test_pull_counts_are_asked_for_500_at_once_and_spare_the_images_of_what_was_pulled() -> None:
    pulled = [Held(f"a/{number:04}", created_at=OLD, pulled_on=[LATELY]) for number in range(600)]
    idle = [Held(f"b/{number:04}", created_at=OLD) for number in range(400)]
    ecr = MemoryEcr(*pulled, *idle)
    found = audited(ecr, a_policy(POLICIES["use by pulls"]))
    assert (ecr.calls["monitoring:GetMetricData"], ecr.calls["ecr:DescribeImages"]) == (2, 400)
    assert {name for name, each in found.items() if each.unused} == {held.name for held in idle}


def permitted(policy: Policy, *, count_images: bool = False) -> frozenset[str]:
    return frozenset[str]().union(
        *(
            actions_for(each.facts, pulls=policy.limits.pull_metrics and each.idle_since is not None)
            for each in wanted_by(policy, NOW, count_images=count_images).values()
        )
    )


@pytest.mark.parametrize("count_images", [False, True])
def test_the_permissions_are_those_of_the_calls_that_are_made(policy: Policy, count_images: bool) -> None:
    ecr = a_registry()
    audited(ecr, policy, count_images=count_images)
    assert {action for action, _ in ecr.made} == permitted(policy, count_images=count_images)


def test_nothing_is_called_that_changes_anything_or_counts_as_a_pull(policy: Policy) -> None:
    ecr = a_registry()
    audited(ecr, policy, count_images=True)
    ecr.before = lambda _number, action, _params: None if action != "tag:GetResources" else fail("AccessDeniedException")
    audited(ecr, policy)
    made = {action.partition(":")[2] for action, _ in ecr.made}
    assert made <= {action.partition(":")[2] for action in READS}
    assert all(name.startswith(("Describe", "Get", "List", "BatchGet")) for name in made)
    assert not made & {"BatchGetImage", "GetDownloadUrlForLayer", "GetAuthorizationToken"}


class Many(Sequence[dict[str, Any]]):
    """A great many images that take no room."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.one = an_image(1, OLD, None, ["v1"])

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self.one] * len(range(*index.indices(self.count)))
        return self.one


@pytest.mark.parametrize("rules", ["unused: {after: 90d}", 'image_tags: "v*"', 'unused: {after: 90d}, image_tags: "v*"'])
def test_a_hundred_thousand_images_in_one_repository_are_not_held_at_once(rules: str) -> None:
    ecr = MemoryEcr(Held("payments/huge", created_at=OLD, images=Many(100_000)))
    wanted = a_policy(f"namespaces: {{ROOT: {{{rules}}}}}\n{NOTHING}")
    audited(MemoryEcr(), wanted)
    tracemalloc.start()
    (found,) = audited(ecr, wanted).values()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    if "unused" in rules:
        assert (found.images, found.unused) == (100_000, True)
    if "image_tags" in rules:
        assert found.undetermined == {"image-tag": "its images could not be read: more than 10,000 images"}


def test_memory_does_not_grow_with_the_registry() -> None:
    def peak(repositories: int) -> int:
        ecr = MemoryEcr(
            *(Held(f"payments/{number:06}", created_at=OLD, tags={"owner": f"o{number}"}) for number in range(repositories)), page=200
        )
        wanted = a_policy(f'namespaces: {{ROOT: {{required_tags: {{owner: "*"}}}}}}\n{NOTHING}')
        with ecr.inventory(NOW) as inventory:
            tracemalloc.start()
            for _ in audit(inventory, wanted, NOW, Progress()):
                ecr.made.clear()
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return most

    # 1,000 are a page, which is held anyhow. Of every other one is held: its tags with 16 bytes, and its part of the packed list.
    assert (peak(4000) - peak(1000)) / 3000 < 400


# --- trouble --------------------------------------------------------------------------------------------------------------------------


def fail(code: str) -> None:
    raise refusal(code)


@pytest.mark.parametrize(
    ("name", "trouble"),
    [("everything, pulls counted", "ThrottlingException"), ("everything, pulls counted", "unreached"), ("image tags", "ServerException")],
)
def test_trouble_at_every_kth_call_changes_nothing_for_any_k(name: str, trouble: str) -> None:
    wanted = a_policy(POLICIES[name])
    ecr = a_registry(kinds=3)
    undisturbed = audited(ecr, wanted)
    calls = len(ecr.made)
    for k in range(2, calls + 1):
        ecr, progress = a_registry(kinds=3), Progress()

        def every_kth(number: int, _action: str, _params: Mapping[str, Any], k: int = k) -> None:
            if number % k == 0:
                if trouble == "unreached":
                    raise Unreached("connection reset")
                fail(trouble)

        ecr.before = every_kth
        assert audited(ecr, wanted, progress) == undisturbed, k
        assert not progress.incomplete_because
        assert len(ecr.made) >= calls + calls // k


def test_trouble_at_any_single_call_changes_nothing() -> None:
    undisturbed, calls = audited(a_registry(kinds=3), ALL), calls_of(a_registry(kinds=3), ALL)
    for k in range(1, calls + 1):
        ecr, progress = a_registry(kinds=3), Progress()
        ecr.before = lambda number, _action, _params, k=k: fail("ThrottlingException") if number == k else None
        assert (audited(ecr, ALL, progress), len(ecr.made)) == (undisturbed, calls + 1)
        assert not progress.incomplete_because


def test_throttling_of_every_call_is_no_empty_registry() -> None:
    ecr, progress = a_registry(), Progress()
    ecr.before = lambda *_: fail("ThrottlingException")
    assert audited(ecr, ALL, progress) == {}
    assert any("not every repository was looked at" in why for why in progress.incomplete_because)


ACTIONS = sorted(permitted(a_policy(POLICIES["everything, pulls counted"])))
DENIALS = ("AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "KmsException", "ValidationException")


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("code", DENIALS)
def test_a_denied_operation_leaves_its_rules_open_and_the_audit_incomplete(action: str, code: str) -> None:
    wanted = a_policy(POLICIES["everything, pulls counted"])
    whole, ecr, progress = audited(a_registry(), wanted), a_registry(), Progress()
    ecr.before = lambda _number, asked, _params: fail(code) if asked == action else None
    found = audited(ecr, wanted, progress)
    if action == "ecr:DescribeRepositories":
        assert found == {}
        assert progress.incomplete_because
        return
    assert found.keys() == whole.keys()
    if action in {"tag:GetResources", "cloudwatch:GetMetricData"}:
        # Each repository tells its own tags; its images tell of pulls.
        assert told(found) == told(whole)
        assert not progress.incomplete_because
        return
    assert any(action in why for why in progress.incomplete_because)
    concerned = {rule.id for rule in RULES.values() if any(ACTION_OF[fact] == action for fact in rule.needs)}
    for name, each in found.items():
        before = {finding.rule: finding for finding in whole[name].findings}
        assert {finding.rule: finding for finding in each.findings}.items() <= before.items()
        assert {rule for rule in before if rule not in concerned} - each.undetermined.keys() <= {finding.rule for finding in each.findings}
        assert not concerned & {finding.rule for finding in each.findings}
        for rule in before.keys() & concerned:
            assert action in each.undetermined[rule]
        assert not (each.unused and "unused" in concerned)


def test_a_denial_at_any_single_call_makes_no_finding() -> None:
    whole, calls = audited(a_registry(kinds=3), ALL), calls_of(a_registry(kinds=3), ALL)
    for k in range(1, calls + 1):
        ecr, progress, struck = a_registry(kinds=3), Progress(), list[str]()

        def deny(number: int, action: str, _params: Mapping[str, Any], k: int = k, struck: list[str] = struck) -> None:
            if number == k:
                struck.append(action)
                fail("AccessDeniedException")

        ecr.before = deny
        found = audited(ecr, ALL, progress)
        assert bool(progress.incomplete_because) is (struck != ["tag:GetResources"]), struck
        for name, each in found.items():
            assert set(each.findings) <= set(whole[name].findings)
            assert len(each.findings) + len(each.undetermined) >= len(whole[name].findings)


def test_tags_that_are_denied_both_ways_are_unknown() -> None:
    ecr, progress = a_registry(), Progress()
    ecr.before = lambda _number, action, _params: fail("AccessDeniedException") if action.endswith(("Resources", "ForResource")) else None
    found = audited(ecr, ALL, progress)
    assert list(progress.incomplete_because) == ["ecr:ListTagsForResource: AccessDeniedException"]
    assert all("required-tags" in each.undetermined and each.owner is None for each in found.values())


def test_a_registry_of_an_older_ecr_has_no_templates_and_no_caches() -> None:
    ecr, progress = a_registry(), Progress()
    ecr.before = lambda _n, action, _params: fail("UnknownOperationException") if "Rules" in action or "Templates" in action else None
    audited(ecr, ALL, progress)
    assert not progress.incomplete_because


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"])
def test_refused_credentials_stop_everything_at_any_call(code: str) -> None:
    calls = calls_of(a_registry(), ALL)
    for k in [*range(1, 12), *range(12, calls, 11)]:
        ecr = a_registry()
        ecr.before = lambda number, _action, _params, k=k: fail(code) if number >= k else None
        with pytest.raises(Exception, match=code):
            audited(ecr, ALL)
        assert len(ecr.made) < k + 30


def paged() -> Iterator[tuple[str, str, str]]:
    yield "ecr:DescribeRepositories", "nextToken", "InvalidParameterException"
    yield "tag:GetResources", "PaginationToken", "PaginationTokenExpiredException"


@pytest.mark.parametrize(("action", "key", "code"), paged())
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_page_token_that_expired_begins_the_list_again(action: str, key: str, code: str, at: int) -> None:
    whole, ecr, progress, seen = audited(a_registry(page=5), ALL), a_registry(page=5), Progress(), list[int]()

    def expire_once(number: int, asked: str, params: Mapping[str, Any]) -> None:
        if asked == action and params.get(key):
            seen.append(number)
            if len(seen) == at:
                fail(code)

    ecr.before = expire_once
    assert audited(ecr, ALL, progress) == whole
    assert not progress.incomplete_because
    assert len(seen) > at


@pytest.mark.parametrize(("action", "key", "code"), paged())
def test_page_tokens_that_never_last_make_the_audit_incomplete(action: str, key: str, code: str) -> None:
    ecr, progress = a_registry(page=5), Progress()
    ecr.before = lambda _number, asked, params: fail(code) if asked == action and params.get(key) else None
    found = audited(ecr, ALL, progress)
    assert any("page tokens" in why for why in progress.incomplete_because)
    if action == "tag:GetResources":
        assert not any(finding.rule == "required-tags" for each in found.values() for finding in each.findings)
    assert sum(asked == action for asked, _ in ecr.made) < 60


@pytest.mark.parametrize("name", ["everything, pulls counted", "image tags", "tags, exempt"])
def test_a_repository_that_is_deleted_at_any_call_is_told_of_wholly_or_not_at_all(name: str) -> None:
    wanted, gone = a_policy(POLICIES[name]), "payments/api-3"
    whole, calls = audited(a_registry(kinds=3), wanted), calls_of(a_registry(kinds=3), wanted)
    left_out = 0
    for k in range(1, calls + 1):
        ecr, progress = a_registry(kinds=3), Progress()
        ecr.before = lambda number, _action, _params, k=k, ecr=ecr: (ecr.repositories.pop(gone, None), None)[1] if number == k else None
        found = audited(ecr, wanted, progress)
        left_out += gone not in found
        assert {name: each for name, each in found.items() if name != gone} == {name: each for name, each in whole.items() if name != gone}
        # Tags that were not there any more when all were read are no tags.
        assert found.get(gone, whole[gone]) == whole[gone] or k <= calls // 2, k
        assert not progress.incomplete_because
    assert left_out > 0


def test_what_is_deleted_while_its_own_tags_are_read_is_left_out() -> None:
    ecr, progress = a_registry(), Progress()

    def trouble(_number: int, action: str, params: Mapping[str, Any]) -> None:
        if action == "tag:GetResources":
            fail("AccessDeniedException")
        if action == "ecr:ListTagsForResource" and params["resourceArn"].endswith("payments/api-3"):
            ecr.repositories.pop("payments/api-3", None)

    ecr.before = trouble
    assert "payments/api-3" not in audited(ecr, ALL, progress)
    assert not progress.incomplete_because


@pytest.mark.parametrize(
    ("field", "rule"), [("mutability", "tag-mutability"), ("encryption", "encryption"), ("scan_frequency", "scanning")]
)
def test_a_value_that_is_newer_than_this_release_leaves_one_verdict_open(field: str, rule: str) -> None:
    whole, ecr, progress = audited(a_registry(), ALL), a_registry(), Progress()
    setattr(ecr.repositories["payments/api-2"], field, "WRITE_ONCE")
    found = audited(ecr, ALL, progress)
    assert "unknown value 'WRITE_ONCE'" in found["payments/api-2"].undetermined[rule]
    assert any("WRITE_ONCE" in why for why in progress.incomplete_because)
    assert {name: each for name, each in found.items() if name != "payments/api-2"} == {
        name: each for name, each in whole.items() if name != "payments/api-2"
    }


def test_a_new_value_that_no_rule_asks_for_does_no_harm() -> None:
    ecr, progress = a_registry(), Progress()
    ecr.repositories["payments/api-2"].encryption = "WRITE_ONCE"
    audited(ecr, a_policy(POLICIES["use only"]), progress)
    assert not progress.incomplete_because


@pytest.mark.parametrize("action", [action for action in ACTIONS if action != "cloudwatch:GetMetricData"])
def test_throttling_without_an_end_is_given_up_and_told(action: str) -> None:
    ecr, progress = MemoryEcr(*(Held(f"payments/{number:04}", created_at=OLD, tags={"owner": "a"}) for number in range(700))), Progress()
    ecr.before = lambda _number, asked, _params: fail("ThrottlingException") if asked == action else None
    found = audited(ecr, ALL, progress)
    assert any(action in why for why in progress.incomplete_because)
    assert not any(finding.rule in {"unused", "scanning"} for each in found.values() for finding in each.findings) or action in {
        "ecr:DescribeRepositoryCreationTemplates",
        "ecr:DescribePullThroughCacheRules",
    }
    if action in {"tag:GetResources", "ecr:GetLifecyclePolicy", "ecr:DescribeImages"}:
        assert len(found) == IN_VAIN * AT_ONCE_WITH_IMAGES
        assert any("not every repository was looked at" in why for why in progress.incomplete_because)
        assert all(each.undetermined for each in found.values())


def test_one_repository_that_cannot_be_read_takes_no_other_with_it() -> None:
    whole, ecr, progress = audited(a_registry(), ALL), a_registry(), Progress()

    def deny(_number: int, action: str, params: Mapping[str, Any]) -> None:
        if action == "ecr:GetRepositoryPolicy" and params["repositoryName"] == "tmp-3":
            fail("AccessDeniedException")

    ecr.before = deny
    found = audited(ecr, ALL, progress)
    assert found["tmp-3"].undetermined["repository-policy"].endswith("ecr:GetRepositoryPolicy: AccessDeniedException")
    assert {name: each for name, each in found.items() if name != "tmp-3"} == {
        name: each for name, each in whole.items() if name != "tmp-3"
    }


def test_no_more_than_twenty_reasons_are_kept() -> None:
    progress = Progress()
    for number in range(50):
        progress.missing(f"reason {number}")
    assert len(progress.incomplete_because) == 20


def test_a_verdict_that_stays_open_although_all_is_known_is_no_gap() -> None:
    ecr, progress = MemoryEcr(Held("docker-hub/x", created_at=OLD)), Progress()
    ecr.caches = ["docker-hub"]
    found = audited(ecr, a_policy(f'naming: {{convention: "x-{{name}}"}}\n{NOTHING}'), progress)
    assert found["docker-hub/x"].undetermined.keys() == {"naming"}
    assert not progress.incomplete_because


def test_what_a_rule_needs_is_read_only_where_the_rule_is_on() -> None:
    rules = "naming: off, repository-policy: off, scanning: off"
    policy = a_policy(f"""
rules: {{{rules}}}
namespaces:
  ROOT: {{scan_frequency: SCAN_ON_PUSH}}
  payments: {{rules: {{scanning: audit, repository-policy: {{severity: low}}}}}}
  search: {{rules: {{repository-policy: audit}}}}
""")
    read = {namespace: each.facts for namespace, each in wanted_by(policy, NOW).items()}
    assert read == {"ROOT": set(), "payments": {Fact.SCAN_FREQUENCY}, "search": {Fact.REPOSITORY_POLICY}}
    for namespace, facts in read.items():
        assert facts_needed(policy, "any" if namespace == "ROOT" else f"{namespace}/any") == facts


def test_facts_in_question_are_all_that_the_rules_need_where_nothing_is_known(policy: Policy) -> None:
    facts = frozenset[Fact]().union(*(each.facts for each in wanted_by(policy, NOW).values()))
    assert facts <= frozenset[Fact]().union(*(rule.needs for rule in RULES.values()))
    assert Fact.HOLDS_IMAGE not in facts, "nothing shows an audit that ECR made a repository by itself"
