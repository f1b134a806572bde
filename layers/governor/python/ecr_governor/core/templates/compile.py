"""From the policy's namespaces to creation templates; what cannot be said in a template is told with its reason."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ecr_governor.core.documents import json_text
from ecr_governor.core.documents.names import ROOT
from ecr_governor.core.origin import Origin
from ecr_governor.core.policy.model import NamespaceSettings, Policy, RequiredTag, is_tag_value, placeholders, render
from ecr_governor.core.policy.naming import Segment, parts_of
from ecr_governor.core.repository import EncryptionType, TagMutability
from ecr_governor.core.templates.template import ORIGIN_OF, AppliedFor, Template, covers, nearness

MARK: Final = "Managed by ecr-governor from the policy file: change it there, then ecr-governor templates sync"
"""The description of every template that `sync` makes: what tells ours from everybody else's."""
PREFIX: Final = "prefix"
"""The field by which beginnings of names are left out."""

_IMMUTABLE: Final = frozenset({TagMutability.IMMUTABLE, TagMutability.IMMUTABLE_WITH_EXCLUSION})


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the policy says, or seems to say, and no template does. `field` is the API's or the policy's name of it."""

    prefixes: tuple[str, ...]
    field: str
    what: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The wanted templates in the order of their prefixes, `ROOT` first, and what they leave out."""

    templates: tuple[Template, ...]
    left_out: tuple[LeftOut, ...]

    def template(self, prefix: str) -> Template | None:
        """Give the template of a prefix, if there is one."""
        return next((each for each in self.templates if each.key == prefix), None)


def compiled(policy: Policy) -> Compiled:
    """Make the creation templates that the policy wants.

    The ways are those of `auto_created.allowed`: a namespace that does not say how ECR may create repositories gets no template.
    """
    templates: list[Template] = []
    left_out: list[LeftOut] = []
    for prefix in sorted(policy.namespaces, key=lambda each: (each != ROOT, each)):
        settings = settings_of(policy, prefix)
        template = _template(policy, prefix, settings, left_out)
        if template is not None:
            templates.append(template)
    left_out += _falling_through(policy, templates)
    left_out += _refused(policy, templates)
    return Compiled(tuple(templates), tuple(_joined(left_out)))


def settings_of(policy: Policy, prefix: str) -> NamespaceSettings:
    """Give a namespace's settings with what it has from `ROOT`."""
    return policy.expectation_for("any" if prefix == ROOT else f"{prefix}/any").settings


def _template(policy: Policy, prefix: str, settings: NamespaceSettings, left_out: list[LeftOut]) -> Template | None:
    here = (prefix,)
    role = policy.templates.custom_role_arn
    if settings.encryption is not None and settings.encryption.type is not EncryptionType.AES256 and role is None:
        # Unlike tags it cannot be put right later: better no repository than one that must be made anew.
        what = "no template: ECR creates nothing with KMS without a role, and encryption cannot be changed afterwards"
        left_out.append(LeftOut(here, "encryptionConfiguration", what, "name the role in templates.custom_role_arn"))
        return None
    ways = _ways(policy, prefix, settings, left_out)
    if not ways:
        return None
    if settings.scan_frequency is not None:
        what = "a template does not speak of scanning: the registry's scanning configuration decides"
        left_out.append(LeftOut(here, "scan_frequency", what, "set it there, by aws ecr put-registry-scanning-configuration"))
    tags = _tags(policy, prefix, settings, ways, left_out)
    if tags and role is None:
        what = f"without a role ECR creates nothing with tags: {', '.join(tags)} {'is' if len(tags) == 1 else 'are'} set by the rule required-tags afterwards"
        left_out.append(LeftOut(here, "resourceTags", what, "name the role in templates.custom_role_arn"))
        tags = {}
    template = Template(
        prefix=prefix,
        applied_for=frozenset(way.value for way in ways),
        description=MARK,
        lifecycle_policy=None if settings.lifecycle_policy is None else json_text.write(settings.lifecycle_policy),
        repository_policy=None if settings.repository_policy is None else json_text.write(settings.repository_policy),
        resource_tags=tags,
    )
    if settings.tag_mutability is not None:
        setting = settings.tag_mutability.setting
        template = replace(template, tag_mutability=setting.mutability.value, exclusion_filters=setting.exclusion_filters)
    if settings.encryption is not None:
        wanted = settings.encryption.wanted
        template = replace(template, encryption=wanted.type.value, kms_key=wanted.kms_key)
    return replace(template, custom_role_arn=role) if template.needs_role else template


def _ways(policy: Policy, prefix: str, settings: NamespaceSettings, left_out: list[LeftOut]) -> list[AppliedFor]:
    here = (prefix,)
    if settings.auto_created is None:
        what = "no template: the policy does not say how ECR may create repositories"
        left_out.append(LeftOut(here, "appliedFor", what, "say it in auto_created.allowed"))
        return []
    ways = [way for way, origin in ORIGIN_OF.items() if origin in settings.auto_created.allowed]
    if prefix == ROOT and AppliedFor.CREATE_ON_PUSH in ways and not policy.templates.create_on_push_at_root:
        # What that refuses is told where all templates are known.
        ways.remove(AppliedFor.CREATE_ON_PUSH)
    immutable = settings.tag_mutability is not None and settings.tag_mutability.mode in _IMMUTABLE
    if immutable and AppliedFor.PULL_THROUGH_CACHE in ways:
        what = "not for PULL_THROUGH_CACHE: immutable tags would stop a cache's refresh"
        do = "give the cache's prefix a namespace of its own with tag_mutability: null, or leave pull_through_cache out of allowed"
        left_out.append(LeftOut(here, "appliedFor", what, do))
        ways.remove(AppliedFor.PULL_THROUGH_CACHE)
    return ways


# --- tags -----------------------------------------------------------------------------------------------------------------------------


def _tags(policy: Policy, prefix: str, settings: NamespaceSettings, ways: list[AppliedFor], left_out: list[LeftOut]) -> dict[str, str]:
    """Give the tags whose value is the same for every repository under the prefix."""
    known = _determined(policy, prefix)
    if len(ways) == 1:
        known["origin"] = ORIGIN_OF[ways[0]].value
    tags: dict[str, str] = {}
    for key, tag in (settings.required_tags or {}).items():
        value = None if tag.set is None else render(tag.set, known)
        if value is not None and is_tag_value(value) and value.strip() and tag.matches(value):
            tags[key] = value
        else:
            left_out.append(LeftOut((prefix,), "resourceTags", *_why_not(key, tag)))
    return tags


def _why_not(key: str, tag: RequiredTag) -> tuple[str, str]:
    if tag.set is None:
        return f"the tag {key} has no value to set", f"say required_tags.{key}.set, or leave it to the owner"
    if names := placeholders(tag.set):
        shown = " and ".join(f"{{{name}}}" for name in names)
        return (
            f"the tag {key} is set from {shown}, which differs by repository: the rule required-tags sets it after the push",
            "let that rule enforce",
        )
    return f"the tag {key} would be {tag.set!r}, which is not allowed", f"correct required_tags.{key}.set"


def _determined(policy: Policy, prefix: str) -> dict[str, str]:
    """Read out of the prefix those segments of the convention that are the same for every name under it."""
    naming = policy.naming
    if naming is None or prefix == ROOT or naming.ignores(f"{prefix}/any"):
        return {}
    values: dict[str, str] = {}
    for piece, part in zip(naming.convention.split("/"), prefix.split("/"), strict=False):
        if "{" not in piece:
            if piece != part:
                return {}
            continue
        segments = [each for each in parts_of(piece) if isinstance(each, Segment)]
        if any(segment.spans for segment in segments):
            break
        if str(segments[0]) == piece:
            if not replace(segments[0], vocabulary=naming.segments.get(segments[0].name)).fits(part):
                return {}
            values[segments[0].name] = part
    return values


# --- what the templates as a whole leave open, and closed -----------------------------------------------------------------------------


def _falling_through(policy: Policy, templates: list[Template]) -> Iterator[LeftOut]:
    """Tell of namespaces that are not for create on push while a template above them is."""
    for prefix in policy.namespaces:
        own = next((each for each in templates if each.key == prefix), None)
        if own is not None and AppliedFor.CREATE_ON_PUSH in own.applied_for:
            continue
        above = [
            each
            for each in templates
            if each is not own and AppliedFor.CREATE_ON_PUSH in each.applied_for and covers(each, f"{prefix}/any")
        ]
        if above and prefix != ROOT:
            over = max(above, key=nearness).key
            if own is None:
                what = f"has no template of its own: a push there creates repositories by the template {over}"
            else:
                what = f"its template is not for CREATE_ON_PUSH; whether the template {over} then counts, AWS does not say"
            yield LeftOut((prefix,), "appliedFor", what, f"close {over} to create on push, or allow it here")


def _refused(policy: Policy, templates: list[Template]) -> Iterator[LeftOut]:
    """Tell of pushes that no template is for, where the policy allows create on push at all: by the beginnings that the convention names.

    Where it names none, where one of them is open in part only, or where names that the convention ignores lie elsewhere, the whole of
    it is told.
    """
    settings, naming = settings_of(policy, ROOT), policy.naming
    if settings.auto_created is None or Origin.CREATE_ON_PUSH not in settings.auto_created.allowed:
        return
    opened = [each for each in templates if AppliedFor.CREATE_ON_PUSH in each.applied_for]
    named = beginnings(naming.convention, naming.segments) if naming else []
    closed = [each for each in named if not _open_to(opened, f"{each}/any")]
    under = [*(each.key for each in opened), *policy.namespaces]
    refused = [each for each in closed if not any(one == each or one.startswith(f"{each}/") or each.startswith(f"{one}/") for one in under)]
    elsewhere = [] if naming is None else [glob for glob in naming.ignore if not _open_to(opened, glob.replace("*", "any"))]
    if not policy.templates.create_on_push_at_root and (not named or len(closed) > len(refused) or elsewhere):
        what = "not for CREATE_ON_PUSH: a push to any name would create a repository"
        do = "give each prefix a namespace, if only `search: {}`; or say templates.create_on_push_at_root: true"
        yield LeftOut((ROOT,), "appliedFor", what, do)
    if refused:
        allowed, added = (", ".join(form.format(each) for each in refused) for form in ("{}/…", "`{}: {{}}`"))
        what = f"the convention allows {allowed}, and a push there is refused: no namespace is for it"
        yield LeftOut((ROOT,), PREFIX, what, f"add the namespace {added}" if len(refused) == 1 else f"add the namespaces {added}")


def _open_to(opened: list[Template], name: str) -> bool:
    return any(covers(each, name) for each in opened)


def beginnings(convention: str, vocabularies: Mapping[str, object]) -> list[str]:
    """Give the first path parts that a convention names one by one; none where it leaves them open."""
    fixed: list[str] = []
    pieces = convention.split("/")
    for piece in pieces[:-1]:
        if "{" not in piece:
            fixed.append(piece)
            continue
        parts = parts_of(piece)
        if len(parts) != 1 or not isinstance(parts[0], Segment) or parts[0].spans:
            return []
        words = getattr(vocabularies.get(parts[0].name), "one_of", None) or ()
        return ["/".join((*fixed, word)) for word in words]
    return []


def _joined(left_out: list[LeftOut]) -> Iterator[LeftOut]:
    """Say once what holds for several prefixes."""
    seen: dict[tuple[str, str, str], list[str]] = {}
    for each in left_out:
        seen.setdefault((each.field, each.what, each.do), []).extend(each.prefixes)
    for (name, what, do), prefixes in seen.items():
        yield LeftOut(tuple(prefixes), name, what, do)
