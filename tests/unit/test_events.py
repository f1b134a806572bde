"""Events as they arrive: real shapes, truncated ones, forged ones."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_governor.app.errors import Rejected
from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.origin import Origin
from ecr_governor.events import SIZE_LIMIT, Happening, parse, parse_refusal

EVENTS = Path(__file__).parents[2] / "events"
ACCOUNT, REGION = "123456789012", "eu-west-1"
REJECTED = {
    "forged-account": "event of account 999999999999 in eu-west-1, but this is 123456789012 in eu-west-1",
    "foreign-registry": "record is of registry 999999999999, but this is 123456789012",
    "unknown-record-version": "CloudTrail record version 2.0 is unknown; supported: 1.x",
    "nameless": "CreateRepository names no repository: neither requestParameters nor resources[].ARN",
    "hostile-name": "'../<!channel>' is no name that ECR accepts",
    "unknown-detail-type": "unknown detail-type 'ECR Artifact Action'",
    "release-asked": "unknown detail-type 'Release Asked'",
}
NOTHING_HAPPENED = {"failed-call", "refused-pull", "refused-pull-without-parameters", "replication-action-failed"}


def load(name: str) -> dict[str, Any]:
    return dict(json.loads((EVENTS / f"{name}.json").read_text()))


def read(event: object) -> Happening | None:
    return parse(event if isinstance(event, str) else json.dumps(event), ACCOUNT, REGION)


@pytest.mark.parametrize("name", sorted(path.stem for path in EVENTS.glob("*.json")))
def test_every_recorded_event_is_decided(name: str) -> None:
    if name in REJECTED:
        with pytest.raises(Rejected) as rejected:
            read(load(name))
        assert str(rejected.value) == REJECTED[name]
    elif name in NOTHING_HAPPENED:
        assert read(load(name)) is None
    else:
        happening = read(load(name))
        assert happening is not None
        assert happening.repository in {"payments/api", "docker-hub/library/nginx"}


def test_a_push_tells_who_what_and_when() -> None:
    happening = read(load("put-image"))
    assert happening is not None
    (push,) = happening.news.pushes
    assert (push.tag, push.digest, push.actor.name) == ("v1.0.0", "sha256:" + "ab" * 32, "ci-deploy/build-812")
    assert push.at.isoformat() == "2026-11-02T09:14:11+00:00"


def test_a_push_by_digest_has_no_tag() -> None:
    happening = read(load("put-image-by-digest"))
    assert happening is not None
    assert happening.news.pushes[0].tag is None


def test_a_record_without_request_is_named_by_its_resource() -> None:
    happening = read(load("put-image-truncated"))
    assert happening is not None
    assert happening.repository == "payments/api"
    assert (happening.news.pushes[0].tag, happening.news.pushes[0].digest) == (None, None)


def test_a_push_from_another_account_keeps_the_pushers_account() -> None:
    happening = read(load("put-image-cross-account"))
    assert happening is not None
    assert happening.news.pushes[0].actor.account == "210987654321"


def test_tagging_names_the_repository_by_its_arn() -> None:
    happening = read(load("tag-resource"))
    assert happening is not None
    assert (happening.repository, happening.trigger.event, happening.trigger.actor) == ("payments/api", "TagResource", "alice")


def test_ecrs_own_events_tell_the_origin() -> None:
    happening = read(load("pull-through-cache-action"))
    assert happening is not None
    assert happening.news.noticed == {(Origin.PULL_THROUGH_CACHE, datetime(2026, 11, 2, 9, 14, 20, tzinfo=UTC))}


def test_a_repository_of_another_account_in_the_arn_is_rejected() -> None:
    event = load("tag-resource")
    event["detail"]["requestParameters"]["resourceArn"] = "arn:aws:ecr:eu-west-1:999999999999:repository/payments/api"
    with pytest.raises(Rejected, match="account 999999999999"):
        read(event)


@pytest.mark.parametrize(
    "path",
    [
        ("userAgent",),
        ("sourceIPAddress",),
        ("eventType",),
        ("recipientAccountId",),
        ("resources",),
        ("resources", 0, "ARN"),
        ("userIdentity",),
        ("userIdentity", "arn"),
        ("userIdentity", "accountId"),
        ("userIdentity", "userName"),
        ("userIdentity", "invokedBy"),
        ("userIdentity", "type"),
        ("userIdentity", "sessionContext"),
        ("userIdentity", "sessionContext", "sessionIssuer"),
        ("userIdentity", "sessionContext", "sessionIssuer", "arn"),
    ],
)
@pytest.mark.parametrize("name", ["create-on-push-caller", "put-image"])
def test_null_is_read_as_absent(name: str, path: tuple[str | int, ...]) -> None:
    null, absent = load(name), load(name)
    for event in (null, absent):
        parent: Any = event["detail"]
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = None
    del parent[path[-1]]
    assert read(null) == read(absent) is not None


@pytest.mark.parametrize(("field", "value"), [("account", "999999999999"), ("region", "eu-central-1")])
def test_an_event_of_elsewhere_is_rejected(field: str, value: str) -> None:
    event = load("put-image") | {field: value}
    with pytest.raises(Rejected, match=rf"^event of account .*{value}.*, but this is {ACCOUNT} in {REGION}$"):
        read(event)


@pytest.mark.parametrize("arn", ["x:repository/a", ":repository/", "arn:aws:ecr:eu-west-1:repository/payments/api"])
def test_a_short_arn_is_rejected(arn: str) -> None:
    event = load("tag-resource")
    event["detail"]["requestParameters"]["resourceArn"] = arn
    with pytest.raises(Rejected, match=f"^'{arn}' is no ARN of a repository$"):
        read(event)


@pytest.mark.parametrize(
    "path",
    [
        ("account",),
        ("region",),
        ("detail-type",),
        ("time",),
        ("detail", "eventVersion"),
        ("detail", "eventName"),
        ("detail", "eventTime"),
        ("detail", "recipientAccountId"),
        ("detail", "requestParameters", "registryId"),
        ("detail", "requestParameters", "repositoryName"),
        ("detail", "resources", 0, "ARN"),
    ],
)
@pytest.mark.parametrize("foreign", ["\x1b[2J\n\u202e", "a:b:c:d:\x1b[2J\n\u202e:repository/a", "\x07:repository/a", "1.0\n"])
def test_a_reason_holds_no_control_characters(path: tuple[str | int, ...], foreign: str) -> None:
    event: Any = load("nameless")
    event["detail"]["requestParameters"] = {}
    event["detail"]["resources"] = [{}]
    parent = event
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = foreign
    with pytest.raises(Rejected) as rejected:
        read(event)
    assert str(rejected.value).isprintable()


@pytest.mark.parametrize("body", ["", "{", "null", "[]", '"text"', "{}", "\x00", '{"detail": 1}', "9" * 5000])
def test_what_is_no_event_is_rejected(body: str) -> None:
    with pytest.raises(Rejected, match="not an EventBridge event"):
        read(body)


def test_an_oversized_event_is_rejected_unread() -> None:
    with pytest.raises(Rejected, match="larger than any"):
        read("x" * (SIZE_LIMIT + 1))


def paths(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, child in inner for path in paths(child, (*at, key)))]


junk = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.just([]), st.just({}), st.just({"repositoryName": 7}))


@given(data=st.data())
def test_damaged_events_are_decided_ignored_or_rejected_never_worse(data: st.DataObject) -> None:
    event: Any = load(
        data.draw(st.sampled_from(["put-image", "create-on-push-caller", "tag-resource", "replication-action", "delete-repository"]))
    )
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([path for path in paths(event) if path]))
        parent = event
        for step in path[:-1]:
            parent = parent[step]
        if data.draw(st.booleans()):
            parent[path[-1]] = data.draw(junk)
        else:
            del parent[path[-1]]
    try:
        happening = read(event)
    except Rejected:
        return
    assert happening is None or is_repository_name(happening.repository)


def refusal(event: object) -> Happening | None:
    return parse_refusal(event if isinstance(event, str) else json.dumps(event), ACCOUNT, REGION)


@pytest.mark.parametrize("name", ["refused-pull", "refused-pull-without-parameters"])
def test_a_refused_pull_names_its_repository_and_whom_it_refused(name: str) -> None:
    happening = refusal(load(name))
    assert happening is not None
    assert happening.repository == "payments/api"
    assert happening.trigger.event == "BatchGetImage"
    assert happening.trigger.actor


@pytest.mark.parametrize("code", [None, "ThrottlingException", "RepositoryNotFoundException"])
def test_what_was_refused_for_another_reason_is_no_sign_of_use(code: str | None) -> None:
    event = load("refused-pull")
    event["detail"]["errorCode"] = code
    assert refusal(event) is None


def test_a_refusal_in_another_registry_is_not_ours() -> None:
    event = load("refused-pull")
    event["detail"]["requestParameters"]["registryId"] = "999999999999"
    with pytest.raises(Rejected, match="registry 999999999999"):
        refusal(event)


def test_an_operators_wish_names_who_asked() -> None:
    happening = refusal(load("release-asked"))
    assert happening is not None
    assert (happening.repository, happening.trigger.event) == ("payments/api", "Release Asked")
    assert happening.trigger.actor == "arn:aws:iam::123456789012:user/alice"


@pytest.mark.parametrize("until", [7, "soon", "2026-12-01", "2026-12-01T09:00:00", ["x"], {"a": 1}])
def test_a_wish_until_no_time_is_set_aside(until: object) -> None:
    event = load("release-asked")
    event["detail"]["keep_until"] = until
    with pytest.raises(Rejected, match="is no time with a zone"):
        refusal(event)


@pytest.mark.parametrize("body", ["", "{", "null", '{"detail": 1}', "x" * (SIZE_LIMIT + 1)])
def test_what_is_no_refusal_at_all_is_set_aside_with_the_reason(body: str) -> None:
    with pytest.raises(Rejected):
        refusal(body)
