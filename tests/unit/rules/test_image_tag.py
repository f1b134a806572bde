from typing import Any

import pytest

from ecr_governor.core.origin import Origin
from ecr_governor.core.repository import Unreadable
from ecr_governor.core.rules.image_tag import violating_tags
from ecr_governor.core.verdict import Compliant, Undetermined, Violation
from tests.unit.rules.given import expectation, image, provenance, repository, under_cache_rules, verdict

VERSIONS = 'image_tags: {regex: "v[0-9]+[.][0-9]+"}'
DIGEST = "sha256-" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("images", "settings", "reason"),
    [
        ((), VERSIONS, None),
        ((image(), image("v1.0")), VERSIONS, None),
        ((image("v1.0", "latest"),), VERSIONS, "the tag 'latest' must be like the expression v[0-9]+[.][0-9]+"),
        ((image("v1.0", "latest"),), 'image_tags: ["v*", latest]', None),
        ((image("a"), image("b", "a")), "image_tags: {one_of: [c, d]}", "2 tags: 'a', 'b' must be one of c, d"),
        (
            (image(*"abcdefg"),),
            "image_tags: [x, {regex: y+}]",
            "7 tags: 'a', 'b', 'c', 'd', 'e' and 2 more must be like x, or like the expression y+",
        ),
    ],
)
def test_every_tag_has_the_expected_form(images: Any, settings: str, reason: str | None) -> None:
    found = verdict("image-tag", repository(images=images), expectation(settings))

    assert found == (Compliant() if reason is None else Violation(reason))


@pytest.mark.parametrize("why", ["throttled", "more than 10,000 images"])
def test_unread_images_are_neither_fine_nor_wrong(why: str) -> None:
    found = verdict("image-tag", repository(images=Unreadable(why)), expectation(VERSIONS))

    assert found == Undetermined(f"its images could not be read: {why}")


def test_what_a_cache_holds_is_tagged_by_its_upstream() -> None:
    cached = repository(images=(image("latest"),), provenance=provenance(Origin.PULL_THROUGH_CACHE))

    assert verdict("image-tag", cached, expectation(VERSIONS)) == Compliant()


@pytest.mark.parametrize("origin", Origin)
def test_what_may_be_a_cache_is_not_accused(origin: Origin) -> None:
    def found(tag: str) -> Any:
        return verdict("image-tag", repository(images=(image(tag),), provenance=under_cache_rules(origin)), expectation(VERSIONS))

    match origin:
        case Origin.PULL_THROUGH_CACHE:
            assert found("latest") == Compliant()
        case Origin.API | Origin.CREATE_ON_PUSH:
            assert isinstance(found("latest"), Violation)
        case _:
            assert found("latest") == Undetermined("it may be a pull through cache: its tags would be its upstream's")
    assert found("v1.0") == Compliant()


@pytest.mark.parametrize(
    ("tag", "judged"),
    [
        (DIGEST, False),
        (f"{DIGEST}.sig", False),
        (f"{DIGEST}.att", False),
        (f"{DIGEST}.sbom", False),
        (f"{DIGEST}.exe", True),
        (f"x{DIGEST}.sig", True),
        (DIGEST[:-1], True),
        (DIGEST.upper(), True),
        ("sha256-latest.sig", True),
    ],
)
def test_tags_that_tools_give_to_signatures_are_not_judged(tag: str, judged: bool) -> None:
    assert bool(violating_tags([tag], expectation(VERSIONS))) is judged


def test_a_push_is_judged_by_its_tag_alone() -> None:
    assert violating_tags(["b", "v1.0", "a", "b"], expectation(VERSIONS)) == ("b", "a")
    assert violating_tags(["b"], expectation()) == ()
