from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_governor.core.origin import Actor, Creation, Origin, Provenance
from ecr_governor.core.policy.model import is_tag_value
from ecr_governor.core.remedy import TagResource
from ecr_governor.core.repository import Unreadable
from ecr_governor.core.verdict import Compliant, Undetermined, Violation
from tests.unit.rules.given import NOW, expectation, provenance, repository, verdict

TOP = 'naming: {convention: "{team}/{service}"}'
ASKS = 'required_tags: {owner: {set: "{pusher}"}, team: {set: "{team}", one_of: [payments, search]}, cost-center: {regex: "cc-[0-9]{4}"}}'
FINE = {"owner": "ann", "team": "search", "cost-center": "cc-1234"}


def found(tags: Any, name: str = "payments/api", asks: str = ASKS, **origin: Any) -> Any:
    return verdict("required-tags", repository(name, tags=tags, provenance=provenance(**origin)), expectation(asks, name, TOP))


def test_a_repository_with_all_tags_is_fine() -> None:
    assert found(FINE) == Compliant()
    assert found({**FINE, "more": ""}) == Compliant()


def test_unread_tags_are_neither_fine_nor_wrong() -> None:
    assert found(Unreadable("denied")) == Undetermined("its tags could not be read: denied")


@pytest.mark.parametrize(
    ("tags", "pusher", "reason", "after"),
    [
        ({}, "ann", "has no tags owner, team, cost-center", {"owner": "ann", "team": "payments"}),
        ({}, None, "has no tags owner, team, cost-center", {"team": "payments"}),
        ({"owner": "bob", "team": "payments"}, "ann", "has no tag cost-center", {}),
        ({**FINE, "owner": ""}, "ann", "the tag owner is '', it must be filled in", {}),
        ({**FINE, "team": "billing"}, "ann", "the tag team is 'billing', it must be one of payments, search", {}),
        (
            {"team": "search", "cost-center": "cc-1"},
            "ann",
            "has no tag owner; the tag cost-center is 'cc-1', it must be like the expression cc-[0-9]{4}",
            {"owner": "ann"},
        ),
    ],
)
def test_what_is_missing_is_set_and_what_is_there_is_left(
    tags: dict[str, str], pusher: str | None, reason: str, after: dict[str, str]
) -> None:
    assert found(tags, pusher=pusher) == Violation(reason, (TagResource({}, after),) if after else ())


def test_a_segment_is_known_only_of_a_name_that_keeps_the_convention() -> None:
    assert found({}, name="api", asks='required_tags: {team: {set: "{team}"}}').remedies == ()


def test_what_is_not_allowed_is_not_set() -> None:
    assert found({}, name="billing/api", asks='required_tags: {team: {set: "{team}", one_of: [payments]}}').remedies == ()


def test_what_aws_does_not_take_is_not_set() -> None:
    asks = 'required_tags: {owner: {set: "{pusher}"}}'

    assert found({}, asks=asks, pusher="a" * 257).remedies == ()
    assert found({}, asks=asks, pusher="ann,bob").remedies == ()
    assert found({}, asks=asks, pusher="ann@example.com").remedies == (TagResource({}, {"owner": "ann@example.com"}),)


@pytest.mark.parametrize(("origin", "set_to"), [(Origin.REPLICATION, "replication"), (Origin.API, "api"), (Origin.UNKNOWN, None)])
def test_a_guess_is_not_set(origin: Origin, set_to: str | None) -> None:
    asks = 'required_tags: {source: {set: "by-{origin}"}}'
    expected = (TagResource({}, {"source": f"by-{set_to}"}),) if set_to else ()

    assert found({}, asks=asks, origin=origin).remedies == expected


def test_more_tags_than_aws_takes_are_not_set() -> None:
    asks = "required_tags: {a: {set: x}, b: {set: x}}"
    many = {f"k{n}": "" for n in range(49)}

    assert found(many, asks=asks).remedies == ()
    assert found({**{f"k{n}": "" for n in range(48)}, "aws:cloudformation:stack-name": "s"}, asks=asks).remedies != ()


@given(
    st.dictionaries(st.sampled_from(["owner", "team", "cost-center", "x"]), st.sampled_from(["", "ann", "payments", "cc-1234", "ä,"])),
    st.text(max_size=8),
    st.sampled_from(["payments/api", "x/y", "z"]),
)
def test_no_value_is_overwritten_and_every_value_set_is_fine(tags: dict[str, str], pusher: str, name: str) -> None:
    verdict_now = found(tags, name=name, pusher=pusher)
    if not isinstance(verdict_now, Violation):
        return
    for remedy in verdict_now.remedies:
        assert isinstance(remedy, TagResource)
        assert not set(remedy.after) & set(tags)
        assert remedy.before == {key: tags[key] for key in remedy.after if key in tags}
        assert all(value.strip() and is_tag_value(value) for value in remedy.after.values())
        healed = found({**tags, **remedy.after}, name=name, pusher=pusher)
        assert not isinstance(healed, Violation) or healed.remedies == ()


def test_a_tag_that_names_the_pusher_is_not_asked_for_before_the_push_could_be_seen() -> None:
    asks = 'required_tags: {owner: {set: "{pusher}"}, team: {set: "{team}"}}'
    asked = expectation(asks, "payments/api", TOP)
    creation = Creation("c", NOW, Actor("arn:aws:iam::123456789012:user/ci", "123456789012", "IAMUser"))

    def judged(origin: Origin, age: timedelta, tags: dict[str, str]) -> Any:
        known = Provenance(origin=origin, creation=creation)
        return verdict("required-tags", repository(tags=tags, created_at=NOW - age, provenance=known), asked)

    hour, day = timedelta(hours=1), timedelta(hours=24)
    for origin in (Origin.CREATE_ON_PUSH, Origin.UNKNOWN):
        assert judged(origin, hour, {"team": "payments"}) == Compliant()
        assert judged(origin, hour, {}) == Violation("has no tag team", (TagResource({}, {"team": "payments"}),))
        assert judged(origin, day, {"team": "payments"}) == Violation("has no tag owner")
    assert judged(Origin.API, hour, {"team": "payments"}) == Violation("has no tag owner")
