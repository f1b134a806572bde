"""Where repositories come from: each record shape that CloudTrail may plausibly show, weighed with and without the push that follows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest

from ecr_governor.core.origin import (
    Actor,
    AutomaticCreation,
    Creation,
    News,
    Origin,
    Provenance,
    Push,
    classify,
    learn,
    longest_prefix,
    under,
)
from ecr_governor.events import parse

EVENTS = Path(__file__).parents[2] / "events"
T0 = datetime(2026, 11, 2, 9, 14, 7, tzinfo=UTC)
TEMPLATES = AutomaticCreation(create_on_push_prefixes=("payments",), pull_through_cache_prefixes=("docker-hub",))
NOTHING_READABLE = AutomaticCreation()
NONE = AutomaticCreation((), ())
PAYMENTS, CACHE = "payments/api", "docker-hub/library/nginx"


def news(*names: str) -> News:
    known = News()
    for name in names:
        happening = parse((EVENTS / f"{name}.json").read_text(), "123456789012", "eu-west-1")
        assert happening is not None
        known = News(
            known.creation or happening.news.creation, known.pushes + happening.news.pushes, known.noticed | happening.news.noticed
        )
    return known


@pytest.mark.parametrize(
    ("events", "name", "registry", "expected"),
    [
        (["create-repository"], PAYMENTS, TEMPLATES, Origin.API),
        (["create-repository", "put-image"], PAYMENTS, TEMPLATES, Origin.API),
        (["create-repository-by-user"], PAYMENTS, NONE, Origin.API),
        (["create-repository-by-cloudformation"], PAYMENTS, TEMPLATES, Origin.API),
        (["create-on-push-service-linked-role"], PAYMENTS, TEMPLATES, Origin.CREATE_ON_PUSH),
        (["create-on-push-service-linked-role", "put-image"], PAYMENTS, NOTHING_READABLE, Origin.CREATE_ON_PUSH),
        (["create-on-push-service-linked-role"], PAYMENTS, NOTHING_READABLE, Origin.UNKNOWN),
        (["create-on-push-caller"], PAYMENTS, TEMPLATES, Origin.CREATE_ON_PUSH),
        (["create-on-push-caller"], PAYMENTS, NONE, Origin.UNKNOWN),
        (["create-on-push-caller", "put-image"], PAYMENTS, NONE, Origin.CREATE_ON_PUSH),
        (["create-on-push-custom-role", "put-image"], PAYMENTS, TEMPLATES, Origin.CREATE_ON_PUSH),
        (["create-on-push-service-event", "put-image"], PAYMENTS, TEMPLATES, Origin.CREATE_ON_PUSH),
        (["create-pull-through-cache-puller"], CACHE, TEMPLATES, Origin.PULL_THROUGH_CACHE),
        (["create-pull-through-cache-puller"], CACHE, AutomaticCreation(("ROOT",), ("docker-hub",)), Origin.PULL_THROUGH_CACHE),
        (["create-pull-through-cache-custom-role"], CACHE, NOTHING_READABLE, Origin.PULL_THROUGH_CACHE),
        (["create-pull-through-cache-service-role"], CACHE, NONE, Origin.PULL_THROUGH_CACHE),
        (["pull-through-cache-action"], CACHE, TEMPLATES, Origin.PULL_THROUGH_CACHE),
        (["pull-through-cache-action"], CACHE, NOTHING_READABLE, Origin.UNKNOWN),
        (["create-pull-through-cache-puller", "pull-through-cache-action"], CACHE, NONE, Origin.PULL_THROUGH_CACHE),
        (["create-repository", "pull-through-cache-action"], CACHE, TEMPLATES, Origin.API),
        (["create-replication"], PAYMENTS, TEMPLATES, Origin.REPLICATION),
        (["create-replication", "replication-action"], PAYMENTS, TEMPLATES, Origin.REPLICATION),
        (["replication-action"], PAYMENTS, NONE, Origin.UNKNOWN),
        (["put-image", "replication-action"], PAYMENTS, TEMPLATES, Origin.UNKNOWN),
        (["create-repository", "replication-action"], PAYMENTS, NONE, Origin.API),
        (["put-image"], PAYMENTS, TEMPLATES, Origin.UNKNOWN),
        ([], PAYMENTS, TEMPLATES, Origin.UNKNOWN),
    ],
)
def test_each_plausible_record_is_classified_or_called_unknown(
    events: list[str], name: str, registry: AutomaticCreation, expected: Origin
) -> None:
    provenance = classify(learn(Provenance(), news(*events)), name, registry)
    assert provenance.origin is expected, provenance.evidence


ROLE = "arn:aws:iam::123456789012:role"
SESSION = "arn:aws:sts::123456789012:assumed-role/ci/ECRPullThroughCacheWithTemplate"


def created_by(
    arn: str = SESSION, *, invoked_by: str = "", issuer: str = f"{ROLE}/ci", ip: str = "203.0.113.12", kind: str = "AwsApiCall"
) -> Creation:
    return Creation("c", T0, Actor(arn, "123456789012", "AssumedRole", invoked_by, issuer), kind, ip, "pullthroughcache.ecr.amazonaws.com")


@pytest.mark.parametrize(
    ("creation", "expected"),
    [
        (created_by(), Origin.API),
        (created_by(invoked_by="cloudformation.amazonaws.com", ip="cloudformation.amazonaws.com"), Origin.API),
        (created_by(invoked_by="notecr.amazonaws.com"), Origin.API),
        (created_by(ip="ecr.amazonaws.com.example.org"), Origin.API),
        (created_by(issuer=f"{ROLE}/AWSServiceRoleForECRTemplate"), Origin.API),
        (replace(created_by(), actor=Actor("cloudformation.amazonaws.com", "", "AWSService", "cloudformation.amazonaws.com")), Origin.API),
        (created_by(issuer=f"{ROLE}/replication.ecr.amazonaws.com/x"), Origin.API),
        (created_by(issuer=f"{ROLE}/a/aws-service-role/replication.ecr.amazonaws.com/x"), Origin.API),
        (created_by(issuer=f"{ROLE}/aws-service-role/replication.ecr.amazonaws.com/AWSServiceRoleForECRReplication"), Origin.REPLICATION),
        (created_by(invoked_by="ecr.amazonaws.com"), Origin.PULL_THROUGH_CACHE),
        (created_by(ip="ecr.amazonaws.com"), Origin.PULL_THROUGH_CACHE),
        (created_by("", ip="pullthroughcache.ecr.amazonaws.com"), Origin.PULL_THROUGH_CACHE),
        (created_by(kind="AwsServiceEvent"), Origin.UNKNOWN),
    ],
)
def test_what_a_caller_may_choose_forges_no_origin(creation: Creation, expected: Origin) -> None:
    provenance = classify(learn(Provenance(), News(creation)), PAYMENTS, NONE)
    assert provenance.origin is expected, provenance.evidence
    if expected is Origin.API:
        assert classify(learn(provenance, news("put-image")), PAYMENTS, TEMPLATES).origin is Origin.API
    assert any(signal.points_to == (Origin.API,) for signal in provenance.evidence) is (expected is Origin.API)


@pytest.mark.parametrize("session", ["AWSServiceRoleForECRTemplate", "a/aws-service-role/ecr.amazonaws.com/x", "ecr.amazonaws.com/x"])
def test_a_pusher_cannot_pass_for_a_service_by_the_name_of_the_role(session: str) -> None:
    pusher = Actor("arn:aws:sts::1:assumed-role/x/y", "1", "AssumedRole", "", f"{ROLE}/{session}")
    told = News(created_by("", invoked_by="ecr.amazonaws.com"), (Push("p", T0, pusher),))
    assert classify(learn(Provenance(), told), PAYMENTS, NONE).origin is Origin.CREATE_ON_PUSH


@pytest.mark.parametrize(
    ("events", "weight"),
    [([], 2), (["create-repository"], 2), (["create-on-push-caller"], 4), (["create-replication"], 4)],
)
def test_activity_weighs_much_only_where_ecr_made_the_creation(events: list[str], weight: int) -> None:
    provenance = classify(learn(Provenance(), news(*events, "replication-action")), PAYMENTS, NONE)
    assert [signal.weight for signal in provenance.evidence if "action" in signal.seen] == [weight]


@pytest.mark.parametrize(
    ("events", "name", "registry", "expected"),
    [
        ([], CACHE, TEMPLATES, True),
        ([], PAYMENTS, TEMPLATES, False),
        ([], PAYMENTS, NOTHING_READABLE, True),
        (["pull-through-cache-action"], CACHE, NONE, False),
        (["create-repository"], CACHE, TEMPLATES, False),
        (["create-repository"], CACHE, NOTHING_READABLE, False),
        (["create-on-push-caller", "put-image"], PAYMENTS, NOTHING_READABLE, False),
        (["create-replication"], CACHE, TEMPLATES, True),
        (["create-replication"], PAYMENTS, NONE, False),
        (["create-pull-through-cache-service-role"], CACHE, NONE, True),
    ],
)
def test_what_may_be_a_cache_is_known_by_the_rules(events: list[str], name: str, registry: AutomaticCreation, *, expected: bool) -> None:
    assert classify(learn(Provenance(), news(*events)), name, registry).may_be_cache is expected


def test_unreadable_cache_rules_are_named_and_weigh_nothing() -> None:
    (signal,) = classify(Provenance(), PAYMENTS, NOTHING_READABLE).evidence
    assert (signal.seen, signal.points_to, signal.weight) == (
        "the pull through cache rules could not be read",
        (Origin.PULL_THROUGH_CACHE,),
        0,
    )


def test_the_evidence_is_kept_with_its_weight() -> None:
    provenance = classify(learn(Provenance(), news("create-on-push-caller", "put-image")), PAYMENTS, TEMPLATES)
    assert [(signal.seen, signal.weight) for signal in provenance.evidence] == [
        ("CreateRepository came through ecr.amazonaws.com (invokedBy, sourceIPAddress)", 2),
        ("the creation template payments with CREATE_ON_PUSH covers the name", 1),
        ("ci-deploy/build-812 pushed 4 s after the creation", 2),
    ]


def test_the_pusher_is_found_whichever_event_comes_first() -> None:
    both = [news("create-on-push-service-linked-role"), news("put-image")]
    results = set()
    for order in permutations(both):
        known = Provenance()
        for one in order:
            known = classify(learn(known, one), PAYMENTS, TEMPLATES)
        results.add(known)
    (only,) = results
    assert only.pusher is not None
    assert only.pusher.name == "ci-deploy/build-812"


def test_events_heard_again_change_nothing() -> None:
    once = learn(Provenance(), news("create-on-push-caller", "put-image"))
    assert learn(once, news("put-image", "create-on-push-caller")) == once


def test_a_push_by_a_service_is_no_sign_of_create_on_push() -> None:
    service = Actor(
        "arn:aws:sts::1:assumed-role/AWSServiceRoleForECRReplication/x",
        "1",
        "AssumedRole",
        "",
        "arn:aws:iam::1:role/aws-service-role/replication.ecr.amazonaws.com/X",
    )
    creation = Creation("c", T0, Actor("arn:aws:iam::1:user/a", "1", "IAMUser", "ecr.amazonaws.com"))
    learned = learn(Provenance(), News(creation, (Push("p", T0 + timedelta(seconds=3), service),)))
    assert classify(learned, PAYMENTS, NONE).origin is Origin.UNKNOWN


def test_a_push_long_after_the_creation_is_no_sign_of_create_on_push() -> None:
    late = Push("p", T0 + timedelta(hours=2), Actor("arn:aws:iam::1:user/a", "1", "IAMUser"))
    creation = Creation("c", T0, Actor("arn:aws:iam::1:user/a", "1", "IAMUser", "ecr.amazonaws.com"))
    assert classify(learn(Provenance(), News(creation, (late,))), PAYMENTS, NONE).origin is Origin.UNKNOWN


@pytest.mark.parametrize(
    ("prefix", "name", "covers"),
    [
        ("prod", "prod/api", True),
        ("prod/", "prod/api", True),
        ("prod", "production/api", False),
        ("prod", "prod", False),
        ("ROOT", "anything", True),
        ("prod/web", "prod/web/a/b", True),
    ],
)
def test_a_prefix_covers_whole_path_segments(prefix: str, name: str, covers: bool) -> None:
    assert under(prefix, name) is covers


def test_the_longest_prefix_wins_and_root_is_the_fallback() -> None:
    assert longest_prefix(["ROOT", "prod", "prod/web"], "prod/web/api") == "prod/web"
    assert longest_prefix(["ROOT", "prod"], "dev/api") == "ROOT"
    assert longest_prefix(["prod"], "dev/api") is None


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:sts::1:assumed-role/ci/build-1", "ci/build-1"),
        ("arn:aws:iam::1:user/people/alice", "alice"),
        ("arn:aws:iam::1:root", "root"),
        ("", "unknown"),
    ],
)
def test_an_actor_has_a_name_that_people_know(arn: str, name: str) -> None:
    assert Actor(arn, "1", "x").name == name
