from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_governor.core.origin import Origin
from ecr_governor.core.repository import CreationTemplate, Fact, Unreadable
from ecr_governor.core.rules import RULES
from ecr_governor.core.rules.auto_created import due
from ecr_governor.core.verdict import Compliant, Undetermined, Violation
from tests.unit.rules.given import NOW, expectation, provenance, repository, verdict

AUTOMATIC = [Origin.CREATE_ON_PUSH, Origin.PULL_THROUGH_CACHE, Origin.REPLICATION]
EVERY_KIND = frozenset({"CREATE_ON_PUSH", "PULL_THROUGH_CACHE", "REPLICATION"})
TEMPLATES = (CreationTemplate("ROOT", EVERY_KIND),)
ASKS = "auto_created: {grace: 24h}"


def subject(origin: Origin, pusher: str | None = "ann", **facts: Any) -> Any:
    fine = {"tags": {"owner": "ann"}, "holds_image": True, "creation_templates": TEMPLATES}
    return repository(**{**fine, **facts, "provenance": provenance(origin, pusher)})


def found(origin: Origin, asks: str = ASKS, pusher: str | None = "ann", **facts: Any) -> Any:
    return verdict("auto-created", subject(origin, pusher, **facts), expectation(asks))


@pytest.mark.parametrize("origin", AUTOMATIC)
def test_what_ecr_creates_as_allowed_is_fine(origin: Origin) -> None:
    assert found(origin) == Compliant()


@pytest.mark.parametrize("origin", [Origin.API, Origin.UNKNOWN])
def test_what_people_create_or_nobody_knows_is_not_judged(origin: Origin) -> None:
    assert found(origin, "auto_created: {allowed: []}", None, tags={}, holds_image=False, creation_templates=()) == Compliant()


@pytest.mark.parametrize(
    ("origin", "how"),
    [
        (Origin.CREATE_ON_PUSH, "by a push"),
        (Origin.PULL_THROUGH_CACHE, "by a pull through the cache"),
        (Origin.REPLICATION, "by replication"),
    ],
)
def test_what_is_not_allowed_is_told(origin: Origin, how: str) -> None:
    others = ", ".join(one for one in AUTOMATIC if one is not origin)

    assert found(origin, f"auto_created: {{allowed: [{others}]}}") == Violation(f"was created {how}, which is not allowed in ROOT")


@pytest.mark.parametrize(
    ("templates", "covered"),
    [
        ((CreationTemplate("payments", EVERY_KIND),), True),
        ((CreationTemplate("payments/", EVERY_KIND),), True),
        ((CreationTemplate("ROOT", EVERY_KIND),), True),
        ((CreationTemplate("pay", EVERY_KIND),), False),
        ((CreationTemplate("payments/api", EVERY_KIND),), False),  # a prefix never covers its own bare name
        ((CreationTemplate("payments", frozenset({"REPLICATION"})), CreationTemplate("ROOT", frozenset({"CREATE_ON_PUSH"}))), True),
        ((CreationTemplate("payments", frozenset({"REPLICATION"})),), False),
        ((), False),
    ],
)
def test_a_creation_template_covers_the_name(templates: Any, covered: bool) -> None:
    uncovered = Violation("was created by a push, and no creation template for that covers its name")

    assert found(Origin.CREATE_ON_PUSH, creation_templates=templates) == (Compliant() if covered else uncovered)


@pytest.mark.parametrize(
    ("origin", "pusher", "tags", "owned"),
    [
        (Origin.CREATE_ON_PUSH, None, {}, False),
        (Origin.CREATE_ON_PUSH, None, {"owner": " "}, False),
        (Origin.CREATE_ON_PUSH, None, {"owner": "bob"}, True),
        (Origin.CREATE_ON_PUSH, "ann", {}, True),
        (Origin.CREATE_ON_PUSH, "ann", Unreadable("denied"), True),
        (Origin.PULL_THROUGH_CACHE, None, {}, True),  # nobody's but the platform's
        (Origin.REPLICATION, None, {}, True),
    ],
)
def test_what_a_push_created_has_an_owner(origin: Origin, pusher: str | None, tags: Any, owned: bool) -> None:
    ownerless = Violation("has no owner: no push was seen and the tag owner is missing")

    assert found(origin, pusher=pusher, tags=tags) == (Compliant() if owned else ownerless)


@pytest.mark.parametrize(
    ("asks", "age", "told"),
    [
        (ASKS, timedelta(hours=23, minutes=59), None),
        (ASKS, timedelta(hours=24), "holds no image 24 h after it was created"),
        ("auto_created: {grace: 90m}", timedelta(days=9), "holds no image 90 minutes after it was created"),
    ],
)
def test_what_stays_empty_beyond_its_grace_is_told(asks: str, age: timedelta, told: str | None) -> None:
    expected = Compliant() if told is None else Violation(told)

    assert found(Origin.REPLICATION, asks, holds_image=False, created_at=NOW - age) == expected


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"creation_templates": Unreadable("denied")}, "the creation templates could not be read: denied"),
        ({"tags": Unreadable("denied")}, "its tags could not be read: denied"),
        ({"holds_image": Unreadable("denied")}, "its images could not be read: denied"),
    ],
)
def test_what_could_not_be_read_is_not_judged(facts: Any, why: str) -> None:
    assert found(Origin.CREATE_ON_PUSH, pusher=None, **facts) == Undetermined(why)


def test_what_is_known_to_be_wrong_is_told_whatever_could_not_be_read() -> None:
    wrong = found(Origin.CREATE_ON_PUSH, pusher=None, tags={}, holds_image=False, creation_templates=Unreadable("denied"))

    assert wrong == Violation("has no owner: no push was seen and the tag owner is missing; holds no image 24 h after it was created")


def test_the_verdict_is_due_when_the_grace_ends() -> None:
    young: Any = {"created_at": NOW - timedelta(hours=1)}
    end = NOW + timedelta(hours=23)
    asked = expectation(ASKS)

    assert due(subject(Origin.CREATE_ON_PUSH, holds_image=False, **young), asked, NOW) == end
    assert due(subject(Origin.CREATE_ON_PUSH, holds_image=Unreadable("not fetched"), **young), asked, NOW) == end
    assert due(subject(Origin.CREATE_ON_PUSH, **young), asked, NOW) is None
    assert due(subject(Origin.API, holds_image=False, **young), asked, NOW) is None
    assert due(subject(Origin.CREATE_ON_PUSH, holds_image=False, **young), expectation(), NOW) is None
    assert due(subject(Origin.CREATE_ON_PUSH, holds_image=False), asked, NOW) is None


@given(
    st.sampled_from(Origin),
    st.sampled_from([False, True, Unreadable("x")]),
    st.sampled_from([(), TEMPLATES]),
    st.integers(0, 50),
    st.integers(0, 50),
)
def test_time_alone_changes_nothing_before_it_is_due(origin: Origin, holds_image: Any, templates: Any, age: int, wait: int) -> None:
    made = subject(origin, holds_image=holds_image, creation_templates=templates, created_at=NOW - timedelta(hours=age))
    asked = expectation(ASKS)
    end = due(made, asked, NOW)
    later = NOW + timedelta(hours=wait)
    if end is None or later < end:
        assert verdict("auto-created", made, asked, later) == verdict("auto-created", made, asked)


def test_owner_and_image_have_the_grace_period_because_the_push_arrives_after_the_repository() -> None:
    blank: dict[str, Any] = {"tags": {}, "holds_image": False}
    early = NOW - timedelta(hours=1)
    assert found(Origin.CREATE_ON_PUSH, pusher=None, created_at=early, **blank) == Compliant()
    late = NOW - timedelta(hours=24)
    assert found(Origin.CREATE_ON_PUSH, pusher=None, created_at=late, **blank) == Violation(
        "has no owner: no push was seen and the tag owner is missing; holds no image 24 h after it was created"
    )


def test_the_end_of_the_grace_period_is_due_until_image_and_pusher_are_known() -> None:
    early = NOW - timedelta(hours=1)
    asked = expectation(ASKS)
    assert due(subject(Origin.CREATE_ON_PUSH, None, created_at=early), asked, NOW) == early + timedelta(hours=24)
    assert due(subject(Origin.CREATE_ON_PUSH, "ann", created_at=early), asked, NOW) is None
    assert due(subject(Origin.CREATE_ON_PUSH, None, created_at=NOW - timedelta(hours=25)), asked, NOW) is None


def test_one_image_is_asked_for_and_not_all() -> None:
    assert RULES["auto-created"].needs == {Fact.CREATION_TEMPLATES, Fact.TAGS, Fact.HOLDS_IMAGE}
    assert found(Origin.CREATE_ON_PUSH, images=Unreadable("more than 10,000 images")) == Compliant()
