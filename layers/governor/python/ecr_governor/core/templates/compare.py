"""The wanted templates against the registry's: what is missing, what differs, and what is somebody else's."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ecr_governor.core.templates.compile import MARK
from ecr_governor.core.templates.template import Template, same_document, same_statements, told


class Standing(StrEnum):
    """How one prefix stands. Ours is what carries our mark in its description; everything else is somebody else's."""

    SAME = "same"
    """Ours, as wanted."""
    MISSING = "missing"
    """Wanted, and not there."""
    CHANGED = "changed"
    """Ours, and not as wanted."""
    KEPT = "kept"
    """Somebody else's at a prefix of the policy, as wanted."""
    TAKEN = "taken"
    """Somebody else's at a prefix of the policy, and not as wanted."""
    LEFT_OVER = "left-over"
    """Ours, and not wanted any more."""
    FOREIGN = "foreign"
    """Somebody else's, at a prefix of which the policy wants nothing."""


AGREEING = frozenset({Standing.SAME, Standing.KEPT})


@dataclass(frozen=True, slots=True)
class Difference:
    """A field, by its name in the API, that is not as wanted; both in short words."""

    field: str
    found: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One prefix: the template that is wanted, the one that is there."""

    prefix: str
    standing: Standing
    wanted: Template | None
    found: Template | None
    differences: tuple[Difference, ...] = ()


def is_ours(template: Template) -> bool:
    """Whether `sync` made the template. Somebody who rewrote its description has taken it over."""
    return template.description == MARK


def compare(wanted: Iterable[Template], found: Iterable[Template]) -> tuple[Compared, ...]:
    """Compare templates by their prefixes, in the order of the wanted ones, then the others."""
    there = {each.key: each for each in found}
    compared = [_compared(each, there.pop(each.key, None)) for each in wanted]
    for key in sorted(there):
        standing = Standing.LEFT_OVER if is_ours(there[key]) else Standing.FOREIGN
        compared.append(Compared(key, standing, None, there[key]))
    return tuple(compared)


def _compared(wanted: Template, found: Template | None) -> Compared:
    if found is None:
        return Compared(wanted.key, Standing.MISSING, wanted, None)
    differences = tuple(differing(wanted, found))
    alike, unlike = (Standing.SAME, Standing.CHANGED) if is_ours(found) else (Standing.KEPT, Standing.TAKEN)
    return Compared(wanted.key, unlike if differences else alike, wanted, found, differences)


def differing(wanted: Template, found: Template) -> Iterator[Difference]:
    """Give the fields in which a template does something else than wanted. Its description does nothing."""
    same = {
        "appliedFor": wanted.applied_for == found.applied_for,
        "imageTagMutability": (wanted.tag_mutability, wanted.exclusion_filters) == (found.tag_mutability, found.exclusion_filters),
        # Without a key of one's own it is the AWS managed one, which ECR may name.
        "encryptionConfiguration": wanted.encryption == found.encryption and wanted.kms_key in {None, found.kms_key},
        "lifecyclePolicy": same_document(wanted.lifecycle_policy, found.lifecycle_policy),
        "repositoryPolicy": same_statements(wanted.repository_policy, found.repository_policy),
        "resourceTags": dict(wanted.resource_tags) == dict(found.resource_tags),
        "customRoleArn": (wanted.custom_role_arn or None) == (found.custom_role_arn or None),
    }
    there, asked = told(found), told(wanted)
    for name, alike in same.items():
        if not alike:
            differs = there[name] if there[name] != asked[name] else f"{there[name]}, written otherwise"
            yield Difference(name, differs, asked[name])
