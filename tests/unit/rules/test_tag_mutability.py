from itertools import product

import pytest

from ecr_governor.core.origin import Origin
from ecr_governor.core.remedy import PutImageTagMutability
from ecr_governor.core.repository import TagMutability, TagMutabilitySetting, Unreadable
from ecr_governor.core.verdict import Compliant, Undetermined, Violation
from tests.unit.rules.given import expectation, provenance, repository, under_cache_rules, verdict


def setting(mode: str, *filters: str) -> TagMutabilitySetting:
    return TagMutabilitySetting(TagMutability(mode), frozenset(filters))


def wanted(value: TagMutabilitySetting) -> str:
    filters = ", ".join(f'"{one}"' for one in sorted(value.exclusion_filters))
    return f"tag_mutability: {{mode: {value.mutability}, except: [{filters}]}}"


MUTABLE, IMMUTABLE = setting("MUTABLE"), setting("IMMUTABLE")
IMMUTABLE_BUT = setting("IMMUTABLE_WITH_EXCLUSION", "latest", "dev-*")
IMMUTABLE_BUT_LATEST = setting("IMMUTABLE_WITH_EXCLUSION", "latest")
IMMUTABLE_BUT_QA = setting("IMMUTABLE_WITH_EXCLUSION", "qa")
MUTABLE_BUT = setting("MUTABLE_WITH_EXCLUSION", "v*")
ALL = (MUTABLE, IMMUTABLE, IMMUTABLE_BUT, IMMUTABLE_BUT_LATEST, IMMUTABLE_BUT_QA, MUTABLE_BUT)
# Fixed more tags than was asked for.
STRICTER = {
    (IMMUTABLE, IMMUTABLE_BUT),
    (IMMUTABLE, IMMUTABLE_BUT_LATEST),
    (IMMUTABLE, IMMUTABLE_BUT_QA),
    (IMMUTABLE_BUT_LATEST, IMMUTABLE_BUT),
}


@pytest.mark.parametrize(("actual", "desired"), product(ALL, ALL))
def test_tags_are_as_fixed_as_expected_or_more(actual: TagMutabilitySetting, desired: TagMutabilitySetting) -> None:
    found = verdict("tag-mutability", repository(tag_mutability=actual), expectation(wanted(desired)))

    if actual == desired or (actual, desired) in STRICTER:
        assert found == Compliant()
    else:
        assert isinstance(found, Violation)
        assert found.remedies == (PutImageTagMutability(actual, desired),)


def test_the_difference_is_told() -> None:
    found = verdict("tag-mutability", repository(tag_mutability=MUTABLE_BUT), expectation(wanted(IMMUTABLE_BUT)))

    assert isinstance(found, Violation)
    assert found.reason == "its tags are MUTABLE_WITH_EXCLUSION except v*, expected is IMMUTABLE_WITH_EXCLUSION except dev-*, latest"


@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize("desired", [IMMUTABLE, IMMUTABLE_BUT])
def test_the_tags_of_a_cache_are_never_fixed(origin: Origin, desired: TagMutabilitySetting) -> None:
    found = verdict("tag-mutability", repository(provenance=provenance(origin)), expectation(wanted(desired)))

    assert isinstance(found, Compliant) is (origin is Origin.PULL_THROUGH_CACHE)


@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize("desired", ALL)
def test_the_tags_of_what_may_be_a_cache_are_never_fixed(origin: Origin, desired: TagMutabilitySetting) -> None:
    found = verdict(
        "tag-mutability", repository(tag_mutability=MUTABLE, provenance=under_cache_rules(origin)), expectation(wanted(desired))
    )

    if desired == MUTABLE or (desired != MUTABLE_BUT and origin is Origin.PULL_THROUGH_CACHE):
        assert found == Compliant()
    elif desired == MUTABLE_BUT or origin in {Origin.API, Origin.CREATE_ON_PUSH}:
        assert isinstance(found, Violation)
        assert found.remedies
    else:
        assert found == Undetermined("it may be a pull through cache: immutable tags would stop its refresh")


def test_fixed_tags_are_fine_whatever_it_may_be() -> None:
    fixed = repository(tag_mutability=IMMUTABLE, provenance=under_cache_rules(Origin.UNKNOWN))

    assert verdict("tag-mutability", fixed, expectation(wanted(IMMUTABLE_BUT))) == Compliant()


def test_the_tags_of_a_cache_may_be_set_free() -> None:
    cached = repository(tag_mutability=IMMUTABLE, provenance=provenance(Origin.PULL_THROUGH_CACHE))

    assert isinstance(verdict("tag-mutability", cached, expectation("tag_mutability: MUTABLE")), Violation)


@pytest.mark.parametrize("desired", ALL)
def test_a_setting_that_is_not_known_is_neither_fine_nor_wrong(desired: TagMutabilitySetting) -> None:
    unknown = repository(tag_mutability=Unreadable("imageTagMutability: unknown value 'X'"))

    assert verdict("tag-mutability", unknown, expectation(wanted(desired))) == Undetermined(
        "its tag mutability could not be read: imageTagMutability: unknown value 'X'"
    )
