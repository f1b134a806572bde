"""Lifecycle policies that ECR takes and that do not do what they seem to.

Sources: the user guide's pages LifecyclePolicies (evaluation rules) and lifecycle_policy_parameters.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from ecr_governor.core.documents import lifecycle
from ecr_governor.core.documents.lifecycle import Action, CountType, LifecycleRule, TagStatus
from ecr_governor.core.documents.problem import KEY, Path
from ecr_governor.core.policy.lint.languages import IMAGE_TAG, TAGS, Language, Undecided, shortest
from ecr_governor.core.policy.lint.names import key_of
from ecr_governor.core.policy.lint.remark import Found, undecided
from ecr_governor.core.policy.lint.settings import MAX_TAG, allowed_tags, effective
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.model import NamespaceSettings

EVERY_TAG: Final = frozenset({"*"})
_JOINTS: Final = ("-", ".", "_")


def found(reading: Reading) -> Iterator[Found]:
    """Look at the lifecycle policy of each namespace that has one of its own."""
    for prefix, settings in reading.policy.namespaces.items():
        if settings.lifecycle_policy is None:
            continue
        document, whole = settings.lifecycle_policy, effective(reading.policy, prefix)
        at: Path = (*key_of(reading, prefix), "lifecycle_policy", "rules")
        rules = lifecycle.parse(document).rules
        places = {rule["rulePriority"]: index for index, rule in enumerate(document["rules"])}
        for order, rule in enumerate(rules):
            index = places[rule.priority]
            yield from _order(rule, rules[:order], (*at, index))
            yield from _patterns(document["rules"][index]["selection"], whole, (*at, index, "selection"))


def takes_all(rule: LifecycleRule) -> bool:
    """Whether a rule looks at all images, or at all that carry a tag, whatever they are for."""
    return rule.tag_status is TagStatus.ANY or rule.patterns == EVERY_TAG


def _order(rule: LifecycleRule, earlier: Sequence[LifecycleRule], at: Path) -> Iterator[Found]:
    same = [other for other in earlier if other.storage_class is rule.storage_class]
    shadow = next((other for other in same if other.selects_all_of(rule)), None)
    if shadow is not None:
        what = f"rule {rule.priority} sees no image: rule {shadow.priority} selects all that it selects"
        yield Found("lifecycle-shadowed", (*at, KEY), what, f"give it a number below {shadow.priority}, or narrow rule {shadow.priority}")
        return
    untagged = next((other for other in same if other.tag_status is TagStatus.UNTAGGED), None)
    tagged = next((other for other in same if other.patterns == EVERY_TAG), None)
    if rule.tag_status is TagStatus.ANY and untagged and tagged:
        what = f"rule {rule.priority} sees no image: rules {untagged.priority} and {tagged.priority} select all between them"
        yield Found("lifecycle-shadowed", (*at, KEY), what, f"remove it, or narrow rule {tagged.priority}")
        return
    if rule.action is not Action.EXPIRE or not takes_all(rule) or any(other.tag_status is TagStatus.TAGGED for other in same):
        return
    if rule.count_type is CountType.IMAGE_COUNT:
        what = f"rule {rule.priority} keeps the newest {rule.count_number} of all images together"
        do = "put rules before it that select what must stay by its tags, for example tagPatternList: ['v*']"
        yield Found("lifecycle-keeps-across", (*at, KEY), what, do)
    elif rule.count_type is CountType.SINCE_PUSHED:
        what = f"rule {rule.priority} expires every image {rule.count_number} days after its push"
        do = "put rules before it that select what must stay by its tags; or archive by sinceImagePulled instead"
        yield Found("lifecycle-expires-in-use", (*at, KEY), what, do)


def _patterns(selection: dict[str, Any], whole: NamespaceSettings, at: Path) -> Iterator[Found]:
    for key in ("tagPatternList", "tagPrefixList"):
        entries: list[str] = selection.get(key) or []
        for index, entry in enumerate(entries):
            yield from _pattern(entry, key, whole, (*at, key, index))
        if len(entries) > 1:
            words = " and ".join(repr(entry) for entry in entries)
            what = f"selects only images that carry a tag for each of {words}"
            yield Found("lifecycle-all-of-several", (*at, key), what, "write a rule for each, unless an image does carry them all")


def _pattern(entry: str, key: str, whole: NamespaceSettings, at: Path) -> Iterator[Found]:
    pattern = f"{entry}*" if key == "tagPrefixList" else entry
    language = Language(TAGS)
    here = 0
    for character in pattern:  # only `*` is a wildcard here
        here = language.anything(here) if character == "*" else language.text(character, here)
    language.end = here
    try:
        if shortest(language, IMAGE_TAG, MAX_TAG) is None:
            do = "tags are made of letters, digits and _ . -, at most 128; only * is a wildcard"
            yield Found("lifecycle-matches-no-tag", at, f"no tag is like {pattern!r}", do)
        elif shortest(language, allowed_tags(whole), MAX_TAG) is None:
            what = f"image_tags allows no tag like {pattern!r}"
            yield Found("lifecycle-matches-no-tag", at, what, "write the pattern as the tags are written, or allow it in image_tags")
        elif "*" not in pattern and pattern.endswith(_JOINTS):
            yield Found("lifecycle-exact-tag", at, f"{pattern!r} is only the tag of just this name", f"write {pattern + '*'!r}")
    except Undecided:
        yield undecided(at, f"{pattern!r} allows too much to be compared with image_tags")
