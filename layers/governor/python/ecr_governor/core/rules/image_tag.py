"""Images carry tags of the expected form."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from ecr_governor.core.origin import Origin
from ecr_governor.core.policy.model import Expectation
from ecr_governor.core.policy.patterns import expression_matches
from ecr_governor.core.repository import Fact, Repository, Unreadable
from ecr_governor.core.rule import Rule
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation

_SHOWN: Final = 5
# Signatures, attestations and SBOMs as cosign tags them, and the fallback tag of the OCI distribution specification's referrers.
_REFERRER: Final = r"sha256-[0-9a-f]{64}(?:\.(?:sig|att|sbom))?"


def violating_tags(tags: Iterable[str], expectation: Expectation) -> tuple[str, ...]:
    """List the tags, each once, that are not of an expected form. Tags that tools give to signatures and the like are not judged."""
    expected = expectation.settings.image_tags
    if expected is None:
        return ()
    return tuple(
        tag
        for tag in dict.fromkeys(tags)
        if not any(matcher.matches(tag) for matcher in expected) and not expression_matches(_REFERRER, tag)
    )


def described(tags: tuple[str, ...], expectation: Expectation) -> str:
    """Say which tags break the convention, the first five by name."""
    shown = ", ".join(repr(tag) for tag in tags[:_SHOWN])
    more = f" and {len(tags) - _SHOWN} more" if len(tags) > _SHOWN else ""
    wanted = ", or ".join(matcher.describe() for matcher in expectation.settings.image_tags or ())
    return f"{'the tag' if len(tags) == 1 else f'{len(tags)} tags:'} {shown}{more} must be {wanted}"


def _applies(expectation: Expectation) -> bool:
    return expectation.settings.image_tags is not None


def _check(repository: Repository, expectation: Expectation, _now: datetime) -> Verdict:
    # What a cache holds is tagged by its upstream.
    if repository.provenance.origin is Origin.PULL_THROUGH_CACHE:
        return Compliant()
    images = repository.images
    if isinstance(images, Unreadable):
        return Undetermined(f"its images could not be read: {images.why}")
    violating = violating_tags((tag for image in images for tag in image.tags), expectation)
    if not violating:
        return Compliant()
    if repository.provenance.may_be_cache:
        return Undetermined("it may be a pull through cache: its tags would be its upstream's")
    return Violation(described(violating, expectation))


RULE: Final = Rule(
    id="image-tag",
    summary="Image tags have the expected form",
    why="A tag that names its version can be traced to its source, sorted, and selected by lifecycle rules.",
    fix="Tag the image in the expected form and push it again; remove the other tag once nothing pulls it.",
    severity=Severity.LOW,
    needs=frozenset({Fact.IMAGES}),
    applies=_applies,
    check=_check,
)
