"""Lifecycle policies that ECR takes and that do not do what they seem to.

Sources: the user guide's pages LifecyclePolicies (evaluation rules) and lifecycle_policy_parameters.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ecr_governor.core.documents import json_text, lifecycle
from ecr_governor.core.documents.lifecycle import Action, CountType, LifecycleRule, StorageClass, TagStatus
from ecr_governor.core.documents.problem import KEY, Path
from ecr_governor.core.policy.lint.languages import (
    IMAGE_TAG,
    MAX_STEPS,
    TAGS,
    Both,
    Determined,
    Language,
    Steps,
    Undecided,
    Without,
    shortest,
)
from ecr_governor.core.policy.lint.names import key_of
from ecr_governor.core.policy.lint.remark import Found, undecided
from ecr_governor.core.policy.lint.settings import MAX_TAG, effective, tags_of
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.model import NamespaceSettings
from ecr_governor.core.policy.patterns import Matcher

EVERY_TAG: Final = frozenset({"*"})
FOR_EVER: Final = 1_000
"""Who keeps so many images means to keep them all, and says nothing of how many there are."""
_JOINTS: Final = ("-", ".", "_")
_TOGETHER: Final = 10 * MAX_STEPS
"""How much is looked at for one lifecycle policy."""


class _Tags:
    """The tags that images may have, and searches among them for one lifecycle policy: together they look at so much and no more."""

    def __init__(self, image_tags: tuple[Matcher, ...] | None, steps: Steps) -> None:
        self._steps = Steps(_TOGETHER, steps)
        self.allowed = tags_of(NamespaceSettings.model_construct(image_tags=image_tags), self._steps)
        self.given_up = False
        self._machines: dict[tuple[str, ...], Determined] = {}

    def like(self, pattern: str, also: tuple[str, ...] = (), unlike: tuple[str, ...] = ()) -> str | None:
        """Give the shortest allowed tag like a pattern, and like one of `also` if there are any, and like none of `unlike`.

        Raises Undecided.
        """
        if self.allowed is None:
            raise Undecided
        machine = self.allowed
        if also:
            machine = Both(machine, self._machine(also))
        if unlike:
            machine = Both(machine, Without(self._machine(unlike), TAGS))
        try:
            return shortest(_like(pattern), machine, MAX_TAG, self._steps)
        except Undecided:
            self.given_up = True
            raise

    def _machine(self, patterns: tuple[str, ...]) -> Determined:
        if patterns not in self._machines:
            self._machines[patterns] = Determined(_like(*patterns), self._steps)
        return self._machines[patterns]


@dataclass(frozen=True, slots=True)
class Emptied:
    """After how many days without a push which images are gone: every one, or those with a tag."""

    days: int
    tagged_only: bool


class Document:
    """One lifecycle policy, where images may have certain tags."""

    def __init__(self, text: str, tags: _Tags) -> None:
        self._content = json_text.read(text)
        self._tags = tags
        self.rules = lifecycle.parse(self._content).rules

    @functools.cached_property
    def found(self) -> tuple[Found, ...]:
        """What is to be said of it, with paths in it."""
        return tuple(self._looked_at())

    @functools.cached_property
    def emptied(self) -> Emptied | None:
        """When ECR will have expired the images; None where some tagged image stays, or where that is not worked out."""
        return _emptied(self.rules, self._tags)

    def _looked_at(self) -> Iterator[Found]:
        rules = self._content["rules"]
        places: dict[int, Path] = {rule["rulePriority"]: ("rules", index) for index, rule in enumerate(rules)}
        together: list[Found] = []
        for order, rule in enumerate(self.rules):
            place = places[rule.priority]
            same = [other for other in self.rules[:order] if other.storage_class is rule.storage_class]
            together += _order(rule, same, self._tags, place)
            yield from _patterns(rules[place[-1]]["selection"], self._tags, (*place, "selection"))
        yield from together
        emptied = self.emptied
        if not any(each.code == "lifecycle-expires-in-use" for each in together):
            yield from _leaves_nothing(self.rules, emptied)
        if self._tags.given_up:
            yield undecided((KEY,), "its patterns allow too much to be compared with each other and with image_tags")


class Documents:
    """The lifecycle policies of a file, each looked at once however often aliases repeat it, and all of them within `steps`."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._known: dict[tuple[str, tuple[Matcher, ...] | None], Document] = {}

    def of(self, document: dict[str, Any], image_tags: tuple[Matcher, ...] | None) -> Document:
        """Give what is known of a lifecycle policy, where images may have these tags."""
        text = lifecycle.render(document)
        if (text, image_tags) not in self._known:
            self._known[text, image_tags] = Document(text, _Tags(image_tags, self._steps))
        return self._known[text, image_tags]


def found(reading: Reading, documents: Documents) -> Iterator[Found]:
    """Look at the lifecycle policy of each namespace that has one of its own."""
    for prefix, settings in reading.policy.namespaces.items():
        if settings.lifecycle_policy is None:
            continue
        at: Path = (*key_of(reading, prefix), "lifecycle_policy")
        for each in documents.of(settings.lifecycle_policy, effective(reading.policy, prefix).image_tags).found:
            yield replace(each, at=(*at, *each.at))


def takes_all(rule: LifecycleRule) -> bool:
    """Whether a rule looks at all images, or at all that carry a tag, whatever they are for."""
    return rule.tag_status is TagStatus.ANY or rule.patterns == EVERY_TAG


def _emptied(rules: Sequence[LifecycleRule], tags: _Tags) -> Emptied | None:
    seeing: list[LifecycleRule] = []
    for rule in (rule for rule in rules if rule.storage_class is StorageClass.STANDARD):
        # What sees no image makes no difference to when the last one goes.
        if not (any(other.selects_all_of(rule) for other in seeing) or _between(rule, seeing, tags) or _sees_no_tag(rule, tags)):
            seeing.append(rule)
    kept = [rule for rule in seeing if rule.tag_status is TagStatus.UNTAGGED and rule.count_type is CountType.IMAGE_COUNT]
    aged = [rule for rule in seeing if rule not in kept]
    if any(rule.action is not Action.EXPIRE or rule.count_type is not CountType.SINCE_PUSHED for rule in aged):
        return None
    whole = any(rule.tag_status is TagStatus.ANY for rule in aged)
    untagged = any(rule.tag_status is TagStatus.UNTAGGED for rule in seeing)
    if not aged or (not whole and not (untagged and _cover("*", aged, tags))):
        return None
    return Emptied(max(rule.count_number for rule in aged), tagged_only=bool(kept))


def _sees_no_tag(rule: LifecycleRule, tags: _Tags) -> bool:
    try:
        return tags.allowed is not None and any(tags.like(pattern) is None for pattern in rule.patterns)
    except Undecided:
        return False


# --- what rules say together ----------------------------------------------------------------------------------------------------------


def _order(rule: LifecycleRule, same: Sequence[LifecycleRule], tags: _Tags, at: Path) -> Iterator[Found]:
    """Look at a rule behind the earlier ones of its storage class.

    An image that an earlier rule selects is out of its reach, and is counted by it all the same (user guide, LifecyclePolicies).
    """
    shadow = next((other for other in same if other.selects_all_of(rule)), None)
    if shadow is not None:
        what = f"rule {rule.priority} sees no image: rule {shadow.priority} selects all that it selects"
        yield Found("lifecycle-shadowed", (*at, KEY), what, _put_before(shadow))
        return
    if between := _between(rule, same, tags):
        all_of_it = "selects all that it selects" if len(between) == 1 else "select all between them"
        what = f"rule {rule.priority} sees no image: rule{'' if len(between) == 1 else 's'} {_and(between)} {all_of_it}"
        last = [other for other in between if other.tag_status is TagStatus.TAGGED][-1]
        yield Found("lifecycle-shadowed", (*at, KEY), what, f"remove it, or narrow rule {last.priority}")
        return
    yield from _late(rule, same, tags, at)
    if rule.action is not Action.EXPIRE or not takes_all(rule):
        return
    if any(other.tag_status is TagStatus.TAGGED for other in same):
        yield from _counted(rule, same, at)
        return
    if rule.count_type is CountType.IMAGE_COUNT:
        what = f"rule {rule.priority} keeps the newest {rule.count_number} of all images together"
        do = "put rules before it that select what must stay by its tags, for example tagPatternList: ['v*']"
        yield Found("lifecycle-keeps-across", (*at, KEY), what, do)
    elif rule.count_type is CountType.SINCE_PUSHED:
        tagged = rule.tag_status is TagStatus.TAGGED or any(other.tag_status is TagStatus.UNTAGGED for other in same)
        what = f"rule {rule.priority} expires every {'tagged image' if tagged else 'image'} {rule.count_number} days after its push"
        do = "put rules before it that select what must stay by its tags; or archive by sinceImagePulled instead"
        yield Found("lifecycle-expires-in-use", (*at, KEY), what, do)


def _between(rule: LifecycleRule, same: Sequence[LifecycleRule], tags: _Tags) -> Sequence[LifecycleRule]:
    """Give the earlier rules that only together select all that a rule selects; none if they do not."""
    if rule.tag_status is TagStatus.UNTAGGED:
        return ()
    untagged = [other for other in same if other.tag_status is TagStatus.UNTAGGED]
    if rule.tag_status is TagStatus.ANY and not untagged:
        return ()
    pattern = next((each for each in sorted(rule.patterns or EVERY_TAG) if _cover(each, same, tags)), None)
    if pattern is None:
        return ()
    needed = [other for other in same if other.tag_status is TagStatus.TAGGED]
    for other in tuple(needed):
        if _cover(pattern, rest := [each for each in needed if each is not other], tags):
            needed = rest
    return [each for each in same if each in needed or (rule.tag_status is TagStatus.ANY and each in untagged)]


def _cover(pattern: str, rules: Sequence[LifecycleRule], tags: _Tags) -> bool:
    """Whether whoever carries an allowed tag like the pattern is selected by one of the rules, for this tag alone."""
    # Of several patterns an image must carry a tag for each, which one tag does not tell.
    patterns = [next(iter(rule.patterns)) for rule in rules if len(rule.patterns) == 1]
    if any(lifecycle.is_wider(wide, pattern) for wide in patterns):
        return True
    if not patterns or tags.allowed is None:
        return False
    try:
        if tags.like(pattern) is None:
            return False  # nothing is like it, which is told on its own
        return tags.like(pattern, unlike=tuple(patterns)) is None
    except Undecided:
        return False


def _late(rule: LifecycleRule, same: Sequence[LifecycleRule], tags: _Tags, at: Path) -> Iterator[Found]:
    """Tell where a rule means to keep what an earlier one takes: tags that are like the patterns of both."""
    if tags.allowed is None:
        return
    for order, other in enumerate(same):
        if len(rule.patterns) != 1 or len(other.patterns) != 1 or not _keeps_more(rule, other) or rule.selects_all_of(other):
            continue  # what is narrower comes first, as it should
        (own,), (taken,) = rule.patterns, other.patterns
        if taken.startswith("*") and own.endswith("*") and "*" not in own[:-1]:
            continue  # as *-rc* before v*: what is marked so is meant to go, whatever it begins with
        # What a still earlier rule takes is out of reach of both.
        before = tuple(next(iter(each.patterns)) for each in same[:order] if len(each.patterns) == 1)
        try:
            tag = tags.like(own, (taken,), before)
        except Undecided:
            tag = None
        if tag is not None:
            what = (
                f"rule {rule.priority} keeps more than rule {other.priority}, which takes images with a tag like both, for example {tag!r}"
            )
            yield Found("lifecycle-protects-late", (*at, KEY), what, _put_before(other))


def _put_before(other: LifecycleRule) -> str:
    number = f"give it a number below {other.priority}" if other.priority > 1 else "number the rules anew so that it comes before rule 1"
    return f"{number}, or narrow rule {other.priority}"


def _keeps_more(rule: LifecycleRule, other: LifecycleRule) -> bool:
    if rule.action is not Action.EXPIRE or other.action is not Action.EXPIRE:
        return False
    if rule.count_type is other.count_type:
        return rule.count_number > other.count_number
    return rule.count_type is CountType.IMAGE_COUNT and rule.count_number >= FOR_EVER


def _counted(rule: LifecycleRule, same: Sequence[LifecycleRule], at: Path) -> Iterator[Found]:
    """Tell where the images that earlier rules keep may be all that a rule counts as the newest."""
    if rule.count_type is not CountType.IMAGE_COUNT:
        return
    within = [other for other in same if rule.tag_status is TagStatus.ANY or other.tag_status is TagStatus.TAGGED]
    keeping = [
        other
        for other in within
        if other.action is Action.EXPIRE and other.count_type is CountType.IMAGE_COUNT and other.count_number < FOR_EVER
    ]
    kept = sum(other.count_number for other in keeping)
    if kept >= rule.count_number:
        rules = f"rule {keeping[0].priority} keeps" if len(keeping) == 1 else f"rules {_and(keeping)} keep"
        what = f"rule {rule.priority} keeps the newest {rule.count_number}, and the {kept} that {rules} count among them"
        yield Found("lifecycle-counts-kept", (*at, KEY), what, f"write more than {kept}, or a pattern for what else is to stay")


def _leaves_nothing(rules: Sequence[LifecycleRule], emptied: Emptied | None) -> Iterator[Found]:
    """Tell where rules that each look harmless leave no image between them."""
    if emptied is not None and not emptied.tagged_only:
        named = _and([rule for rule in rules if rule.storage_class is StorageClass.STANDARD])
        what = f"rules {named} expire every image by its age: {emptied.days} days after the last push nothing is left"
        do = "keep the newest of some by imageCountMoreThan, or archive by sinceImagePulled instead"
        yield Found("lifecycle-leaves-nothing", (KEY,), what, do)


def _and(rules: Sequence[LifecycleRule]) -> str:
    *most, last = (str(rule.priority) for rule in rules)
    return f"{', '.join(most)} and {last}" if most else last


# --- patterns -------------------------------------------------------------------------------------------------------------------------


def _like(*patterns: str) -> Language:
    """Give the tags that are like one of the patterns, in which only `*` is a wildcard."""
    language = Language(TAGS)
    end = language.state()
    for pattern in patterns:
        here = language.state()
        language.jumps[0].append(here)
        for character in pattern:
            here = language.anything(here) if character == "*" else language.text(character, here)
        language.jumps[here].append(end)
    language.end = end
    return language


def _patterns(selection: dict[str, Any], tags: _Tags, at: Path) -> Iterator[Found]:
    for key in ("tagPatternList", "tagPrefixList"):
        entries: list[str] = selection.get(key) or []
        for index, entry in enumerate(entries):
            yield from _pattern(entry, key, tags, (*at, key, index))
        if len(entries) > 1:
            words = " and ".join(repr(entry) for entry in entries)
            what = f"selects only images that carry a tag for each of {words}"
            yield Found("lifecycle-all-of-several", (*at, key), what, "write a rule for each, unless an image does carry them all")


def _pattern(entry: str, key: str, tags: _Tags, at: Path) -> Iterator[Found]:
    pattern = f"{entry}*" if key == "tagPrefixList" else entry
    language = _like(pattern)
    try:
        if shortest(language, IMAGE_TAG, MAX_TAG) is None:
            do = "tags are made of letters, digits and _ . -, at most 128; only * is a wildcard"
            yield Found("lifecycle-matches-no-tag", at, f"no tag is like {pattern!r}", do)
        elif tags.allowed is None:
            yield undecided(at, f"{pattern!r} allows too much to be compared with image_tags")
        elif tags.like(pattern) is None:
            what = f"image_tags allows no tag like {pattern!r}"
            yield Found("lifecycle-matches-no-tag", at, what, "write the pattern as the tags are written, or allow it in image_tags")
        elif "*" not in pattern and pattern.endswith(_JOINTS):
            yield Found("lifecycle-exact-tag", at, f"{pattern!r} is only the tag of just this name", f"write {pattern + '*'!r}")
    except Undecided:
        return  # told once of the whole document
