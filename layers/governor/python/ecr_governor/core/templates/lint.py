"""What creation templates say in vain or by mistake, whoever made them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ecr_governor.core.documents import lifecycle, repository_policy
from ecr_governor.core.documents.names import ROOT
from ecr_governor.core.policy.lint.remark import Level
from ecr_governor.core.templates.template import NONE, PLAIN_ENCRYPTION, AppliedFor, Template, covers, in_order, nearness, told

_SETTINGS: Final = ("imageTagMutability", "encryptionConfiguration", "lifecyclePolicy", "repositoryPolicy", "resourceTags", "customRoleArn")


@dataclass(frozen=True, slots=True)
class TemplateCheck:
    """A check: how grave what it finds is, and why it matters."""

    level: Level
    why: str


CHECKS: Final[Mapping[str, TemplateCheck]] = MappingProxyType(
    {
        "role-missing": TemplateCheck(
            Level.ERROR, "every creation by it fails, and the client is told no more than that there is no repository"
        ),
        "lifecycle-invalid": TemplateCheck(Level.ERROR, "ECR could not put it on the repository that it creates"),
        "policy-malformed": TemplateCheck(Level.ERROR, "ECR could not put it on the repository that it creates"),
        "root-opens-everything": TemplateCheck(
            Level.WARNING, "a misspelt name is no error any more, and who may push anywhere can make repositories without end"
        ),
        "cache-immutable": TemplateCheck(Level.WARNING, "a cache refreshes its tags from upstream, and cannot"),
        "shadows": TemplateCheck(Level.WARNING, "AWS does not say whether the one above still counts for names under both"),
        "completes-nothing": TemplateCheck(Level.WARNING, "the most specific template counts alone: none completes another"),
        "for-nothing": TemplateCheck(Level.WARNING, "it is never applied, and may hide the one above it"),
        "redundant": TemplateCheck(Level.NOTE, "two places have to be changed for one meaning"),
    }
)


@dataclass(frozen=True, slots=True)
class TemplateRemark:
    """One remark on the template of a prefix; `code` is one of `CHECKS`."""

    level: Level
    code: str
    prefix: str
    what: str
    why: str
    do: str


_Found = tuple[str, str, str]
"""Code, what was found, what to do."""


def remarks(templates: Iterable[Template]) -> tuple[TemplateRemark, ...]:
    """Look at templates as ECR would have them side by side, the gravest remark first."""
    every = sorted(templates, key=lambda each: (each.key != ROOT, each.key))
    found = [
        TemplateRemark(CHECKS[code].level, code, each.key, what, CHECKS[code].why, do)
        for each in every
        for look in _LOOKS
        for code, what, do in look(each, every)
    ]
    levels = list(Level)
    return tuple(sorted(found, key=lambda remark: levels.index(remark.level)))


def _root(template: Template, _every: Sequence[Template]) -> Iterator[_Found]:
    if template.key == ROOT and AppliedFor.CREATE_ON_PUSH in template.applied_for:
        what = "is for CREATE_ON_PUSH: a push to any name creates a repository"
        yield "root-opens-everything", what, "give templates to the prefixes that are meant, and take CREATE_ON_PUSH out of ROOT"


def _role(template: Template, _every: Sequence[Template]) -> Iterator[_Found]:
    if template.lacks_role:
        asked = ["tags"] if template.resource_tags else []
        asked += [template.encryption] if template.encryption != PLAIN_ENCRYPTION else []
        do = "set customRoleArn to a role that trusts ecr.amazonaws.com, or remove what needs it"
        yield "role-missing", f"sets {' and '.join(asked)}, and names no role", do


def _cache(template: Template, _every: Sequence[Template]) -> Iterator[_Found]:
    if AppliedFor.PULL_THROUGH_CACHE in template.applied_for and template.tag_mutability.startswith("IMMUTABLE"):
        what = f"is for PULL_THROUGH_CACHE, and tags are {told(template)['imageTagMutability']}"
        yield "cache-immutable", what, "make a template of its own for the cache's prefix, with MUTABLE"


def _documents(template: Template, _every: Sequence[Template]) -> Iterator[_Found]:
    if template.lifecycle_policy:
        try:
            lifecycle.parse(template.lifecycle_policy)
        except lifecycle.LifecycleInvalid as invalid:
            for problem in invalid.problems:
                yield "lifecycle-invalid", f"lifecyclePolicy: {problem}", problem.do or "correct the lifecycle policy"
    if template.repository_policy:
        try:
            repository_policy.parse(template.repository_policy)
        except repository_policy.PolicyMalformed as malformed:
            yield "policy-malformed", f"repositoryPolicy: {malformed}", "correct the repository policy"


def _above(template: Template, every: Sequence[Template]) -> Template | None:
    """Give the next less specific template that is for names under this one."""
    if template.key == ROOT:
        return None
    covering = (each for each in every if each is not template and covers(each, f"{template.key}/any") and each.key != template.key)
    return max(covering, key=nearness, default=None)


def _hiding(template: Template, every: Sequence[Template]) -> Iterator[_Found]:
    above = _above(template, every)
    if above is None:
        return
    if hidden := in_order(above.applied_for - template.applied_for):
        what = f"is nearer than {above.key} and not for {', '.join(hidden)}, which {above.key} is"
        yield "shadows", what, f"add it to appliedFor here, or see to it that nobody relies on {above.key} there"
    mine, theirs = told(template), told(above)
    dropped = [name for name in ("lifecyclePolicy", "repositoryPolicy", "resourceTags") if mine[name] == NONE != theirs[name]]
    if dropped and template.applied_for & above.applied_for:
        yield "completes-nothing", f"has no {', no '.join(dropped)}, while {above.key} has", "say it here as well, if it is meant"
    if template.applied_for == above.applied_for and all(mine[name] == theirs[name] for name in _SETTINGS):
        yield "redundant", f"says what {above.key} says", "delete one of them, unless they are made from one policy file"


def _for_nothing(template: Template, _every: Sequence[Template]) -> Iterator[_Found]:
    if not template.applied_for:
        yield "for-nothing", "is for no way of creation: appliedFor is empty", "say what it is for, or delete it"


_LOOKS: Final[tuple[Callable[[Template, Sequence[Template]], Iterator[_Found]], ...]] = (
    _root,
    _role,
    _cache,
    _documents,
    _hiding,
    _for_nothing,
)
