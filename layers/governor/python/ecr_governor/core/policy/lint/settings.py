"""Settings of namespaces that nothing can keep, or that everybody could."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ecr_governor.core.documents.names import ROOT
from ecr_governor.core.documents.problem import KEY, Path
from ecr_governor.core.policy.lint.languages import IMAGE_TAG, TAGS, Both, Determined, Language, Machine, Steps, Undecided, shortest
from ecr_governor.core.policy.lint.names import key_of, matcher
from ecr_governor.core.policy.lint.remark import Found, undecided
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.model import Mode, NamespaceSettings, Policy, is_tag_value
from ecr_governor.core.policy.patterns import Matcher
from ecr_governor.core.severity import Severity

MAX_TAG: Final = 128
_ARN_PARTS: Final = 6


def found(reading: Reading, region: str | None, steps: Steps) -> Iterator[Found]:
    """Tell which settings are impossible, or too open. `steps` is how much may be looked at for that."""
    for prefix, settings in reading.policy.namespaces.items():
        at = key_of(reading, prefix)
        yield from _left_out(reading.policy, prefix, settings, (*at, KEY))
        yield from _tags(settings, at)
        yield from _image_tags(settings, at)
        yield from _exclusions(reading.policy, prefix, settings, at, steps)
        yield from _everybody(settings, at)
    yield from _regions(reading, region)


def effective(policy: Policy, prefix: str) -> NamespaceSettings:
    """Give a namespace's settings with what it has from ROOT."""
    return policy.expectation_for("any" if prefix == ROOT else f"{prefix}/any").settings


def allowed_tags(settings: NamespaceSettings, steps: Steps) -> Machine:
    """Give the tags that images may have. Raises Undecided."""
    if settings.image_tags is None:
        return IMAGE_TAG
    return Both(IMAGE_TAG, Determined(_any_of(settings.image_tags), steps))


def _left_out(policy: Policy, prefix: str, settings: NamespaceSettings, at: Path) -> Iterator[Found]:
    """Tell what a shorter prefix says and a longer one leaves out, so that below the longer one it is otherwise."""
    shorter = policy.namespace_of(prefix)
    if ROOT in (prefix, shorter):
        return
    above, here, there = policy.namespaces[shorter], effective(policy, prefix), effective(policy, shorter)
    keys = [
        key
        for key in type(above).model_fields
        if key in above.model_fields_set - settings.model_fields_set - {"rules"} and getattr(here, key) != getattr(there, key)
    ]
    keys += [
        f"rules.{rule}"
        for rule in above.rules
        if rule not in settings.rules and _of_rule(policy, rule, prefix) != _of_rule(policy, rule, shorter)
    ]
    if keys:
        named = f"{', '.join(keys[:-1])} and {keys[-1]}" if len(keys) > 1 else keys[0]
        what = f"what {shorter} says of {named} does not hold here: what {prefix} leaves out it has from ROOT"
        yield Found("namespace-not-inherited", at, what, f"write {named} here as well, as it is meant")


def _of_rule(policy: Policy, rule: str, prefix: str) -> tuple[Mode, Severity | None]:
    return policy.mode_of(rule, prefix), policy.severity_of(rule, prefix)


def tags_of(settings: NamespaceSettings, steps: Steps) -> Machine | None:
    """Give the tags that images may have; None where their forms are too large to be compared."""
    try:
        return allowed_tags(settings, steps)
    except Undecided:
        return None


def _any_of(matchers: Sequence[Matcher]) -> Language:
    language = Language(TAGS)
    end = language.state()
    for each in matchers:
        begin = language.state()
        language.jumps[0].append(begin)
        language.jumps[matcher(language, each, begin)].append(end)
    language.end = end
    return language


def _tags(settings: NamespaceSettings, at: Path) -> Iterator[Found]:
    for key, tag in (settings.required_tags or {}).items():
        for index, entry in enumerate(tag.one_of or ()):
            if not is_tag_value(entry) or not entry.strip():
                where = (*at, "required_tags", key, "one_of", index)
                do = "use up to 256 letters, digits, spaces and _.:/=+-@"
                yield Found("tag-value-impossible", where, f"{entry!r} is no tag value", do)


def _image_tags(settings: NamespaceSettings, at: Path) -> Iterator[Found]:
    if settings.image_tags is None:
        return
    try:
        if shortest(_any_of(settings.image_tags), IMAGE_TAG, MAX_TAG) is None:
            wanted = ", or ".join(each.describe() for each in settings.image_tags)
            do = "tags are made of letters, digits and _ . -, at most 128, and begin with a letter, a digit or _"
            yield Found("image-tags-impossible", (*at, "image_tags"), f"no tag can be {wanted}", do)
    except Undecided:
        yield undecided((*at, "image_tags"), "the forms allow too much to be compared")


def _exclusions(policy: Policy, prefix: str, settings: NamespaceSettings, at: Path, steps: Steps) -> Iterator[Found]:
    if settings.tag_mutability is None:
        return
    whole = effective(policy, prefix)
    for index, pattern in enumerate(settings.tag_mutability.exceptions):
        language = Language(TAGS)
        language.end = language.glob(pattern, 0)
        try:
            if shortest(language, IMAGE_TAG, MAX_TAG) is None:
                what, do = f"no tag is like {pattern!r}", "tags begin with a letter, a digit or _; correct it, or remove it"
            elif shortest(language, allowed_tags(whole, steps), MAX_TAG, steps) is None:
                what, do = f"image_tags allows no tag like {pattern!r}", "allow it there, or remove it here"
            else:
                continue
            yield Found("exclusion-matches-nothing", (*at, "tag_mutability", "except", index), what, do)
        except Undecided:
            yield undecided((*at, "image_tags"), "the forms allow too much to be compared")


def _everybody(settings: NamespaceSettings, at: Path) -> Iterator[Found]:
    document: Mapping[str, Any] = settings.repository_policy or {}
    for index, statement in enumerate(document.get("Statement", ())):
        principal = statement.get("Principal")
        named = principal.get("AWS") if isinstance(principal, Mapping) else principal
        if statement.get("Effect") == "Allow" and "Condition" not in statement and named in ("*", ["*"]):
            where = (*at, "repository_policy", "Statement", index, "Principal")
            do = "name accounts or roles, or add a condition on aws:PrincipalOrgID"
            yield Found("statement-for-everybody", where, f"statement {statement.get('Sid')!r} admits everybody", do)


# --- Regions --------------------------------------------------------------------------------------------------------------------------


def _regions(reading: Reading, region: str | None) -> Iterator[Found]:
    """Compare the Region of every ARN with the given one, or else with that of the first."""
    expected, because = region, ""
    for at, arn in _arns(reading):
        named = arn.split(":")[3]
        if expected is None:
            expected, because = named, f", and {arn} is of {named}"
        elif named != expected:
            what = f"{arn} is of {named}{because or f', not of {expected}'}"
            yield Found("other-region", at, what, "keep a policy file for each Region, with what is of that Region")


def _arns(reading: Reading) -> Iterator[tuple[Path, str]]:
    for prefix, settings in reading.policy.namespaces.items():
        at = key_of(reading, prefix)
        if settings.encryption is not None and settings.encryption.kms_key is not None:
            yield (*at, "encryption", "kms_key"), settings.encryption.kms_key
        yield from _arns_in(settings.repository_policy, (*at, "repository_policy"))


def _arns_in(value: Any, at: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        parts = value.split(":")
        # Identities have no Region; with a wildcard it may be any.
        if len(parts) >= _ARN_PARTS and parts[0] == "arn" and parts[3] and "*" not in parts[3]:
            yield at, value
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield from _arns_in(below, (*at, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _arns_in(below, (*at, index))
