from typing import Any

import pytest

from ecr_governor.core.origin import Origin
from ecr_governor.core.rules import RULES
from ecr_governor.core.verdict import Compliant, Undetermined, Violation
from tests.unit.rules.given import expectation, provenance, repository, under_cache_rules, verdict

CONVENTION = 'naming: {convention: "{team}/{service}", segments: {team: [payments, search]}, ignore: ["docker-hub/*"]}'


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("payments/api", None),
        ("paymets/api", "team 'paymets' must be one of payments, search; nearest allowed name: payments/api"),
        (
            "paymets/" + "x" * 130,
            "team 'paymets' must be one of payments, search; nearest allowed team: payments",
        ),
        ("payments", "has 1 path part, where {team}/{service} has 2; the convention is {team}/{service}"),
        ("payments/api/v2", "has 3 path parts, where {team}/{service} has 2; nearest allowed name: payments/api-v2"),
    ],
)
def test_a_name_keeps_the_convention(name: str, reason: str | None) -> None:
    found = verdict("naming", repository(name), expectation(name=name, top=CONVENTION))

    assert found == (Compliant() if reason is None else Violation(reason))


def test_the_names_of_a_cache_are_its_upstreams() -> None:
    cached = repository("quay/x/y/z", provenance=provenance(Origin.PULL_THROUGH_CACHE))

    assert verdict("naming", cached, expectation(name="quay/x/y/z", top=CONVENTION)) == Compliant()


@pytest.mark.parametrize("origin", [Origin.API, Origin.CREATE_ON_PUSH, Origin.REPLICATION, Origin.UNKNOWN])
def test_every_other_name_is_judged(origin: Origin) -> None:
    found = verdict("naming", repository("x", provenance=provenance(origin)), expectation(name="x", top=CONVENTION))

    assert isinstance(found, Violation)
    assert found.remedies == ()


@pytest.mark.parametrize("origin", Origin)
def test_what_may_be_a_cache_is_not_accused(origin: Origin) -> None:
    def found(name: str) -> Any:
        return verdict("naming", repository(name, provenance=under_cache_rules(origin)), expectation(name=name, top=CONVENTION))

    match origin:
        case Origin.PULL_THROUGH_CACHE:
            assert found("payments/x/y") == Compliant()
        case Origin.API | Origin.CREATE_ON_PUSH:
            assert isinstance(found("payments/x/y"), Violation)
        case _:
            assert found("payments/x/y") == Undetermined("it may be a pull through cache: its name would be its upstream's")
    assert found("payments/api") == Compliant()


def test_an_ignored_name_is_not_judged() -> None:
    asked = expectation(name="docker-hub/nginx", top=CONVENTION)

    assert not RULES["naming"].applies(asked)
    assert verdict("naming", repository("docker-hub/nginx"), asked) == Compliant()
