"""ECR's lifecycle policy language: what is valid, and whether one policy does at least what another does.

Sources: the user guide's pages LifecyclePolicies (evaluation rules) and lifecycle_policy_parameters; the length from botocore's
`LifecyclePolicyText`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ecr_governor.core.documents import json_text
from ecr_governor.core.documents.problem import KEY, DocumentProblem, Path, suggestion, unknown_keys

MAX_LENGTH: Final = 30_720
MAX_RULES: Final = 50
MAX_WILDCARDS: Final = 4
MIN_DAYS_ARCHIVED: Final = 90


class TagStatus(StrEnum):
    """Which images a rule looks at."""

    TAGGED = "tagged"
    UNTAGGED = "untagged"
    ANY = "any"


class StorageClass(StrEnum):
    """Where the images that a rule looks at are kept."""

    STANDARD = "standard"
    ARCHIVE = "archive"


class CountType(StrEnum):
    """What a rule counts."""

    IMAGE_COUNT = "imageCountMoreThan"
    SINCE_PUSHED = "sinceImagePushed"
    SINCE_PULLED = "sinceImagePulled"
    SINCE_TRANSITIONED = "sinceImageTransitioned"


class Action(StrEnum):
    """What a rule does to the images it finds."""

    EXPIRE = "expire"
    TRANSITION = "transition"


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """One rule. A prefix is kept as the pattern that it is short for; an image must carry a tag for each pattern."""

    priority: int
    tag_status: TagStatus
    patterns: frozenset[str]
    storage_class: StorageClass
    count_type: CountType
    count_number: int
    action: Action

    def selects_all_of(self, other: "LifecycleRule") -> bool:
        """Whether every image that the other rule looks at is one that this rule looks at."""
        if self.storage_class is not other.storage_class:
            return False
        if self.tag_status is TagStatus.ANY:
            return True
        if self.tag_status is not other.tag_status:
            return False
        # A tag that fits the narrower pattern fits the wider one, so whoever carries the first carries the second.
        return all(any(is_wider(mine, theirs) for theirs in other.patterns) for mine in self.patterns)

    def may_select_one_of(self, other: "LifecycleRule") -> bool:
        """Whether some image may be looked at by both. An image carries many tags, so any two tagged selections may meet."""
        if self.storage_class is not other.storage_class:
            return False
        return TagStatus.ANY in {self.tag_status, other.tag_status} or self.tag_status is other.tag_status

    def acts_no_later_than(self, other: "LifecycleRule") -> bool:
        """Whether it does the same to an image of both selections no later, by the same count."""
        return self.action is other.action and self.count_type is other.count_type and self.count_number <= other.count_number

    def __str__(self) -> str:
        images = f"{self.tag_status} images" + (f" like {' and '.join(sorted(self.patterns))}" if self.patterns else "")
        done = "expire" if self.action is Action.EXPIRE else "are archived"
        days = f"{self.count_number} day" if self.count_number == 1 else f"{self.count_number} days"
        match self.count_type:
            case CountType.IMAGE_COUNT:
                return f"{images} {done} beyond the newest {self.count_number}"
            case CountType.SINCE_PUSHED:
                return f"{images} {done} {days} after their push"
            case CountType.SINCE_PULLED:
                return f"{images} {done} {days} after their last pull"
            case CountType.SINCE_TRANSITIONED:
                return f"archived {images} {done} after {days}"


@dataclass(frozen=True, slots=True)
class LifecyclePolicy:
    """A valid policy: its rules in the order in which they are applied."""

    rules: tuple[LifecycleRule, ...]


class LifecycleInvalid(ValueError):
    """The document is no lifecycle policy. Holds every problem that was found."""

    def __init__(self, problems: tuple[DocumentProblem, ...]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def parse(document: str | Mapping[str, Any]) -> LifecyclePolicy:
    """Read a policy from its text or its content, or raise `LifecycleInvalid`."""
    if isinstance(document, str):
        if len(document) > MAX_LENGTH:
            raise LifecycleInvalid((_too_long(len(document)),))
        try:
            document = json_text.read(document)
        except json_text.JsonInvalid as error:
            raise LifecycleInvalid((DocumentProblem((), str(error), "write the policy as the AWS CLI takes it"),)) from error
    problems = problems_of(document)
    if problems:
        raise LifecycleInvalid(problems)
    return LifecyclePolicy(tuple(sorted(map(_rule, document["rules"]), key=lambda rule: rule.priority)))


def render(document: Mapping[str, Any]) -> str:
    """Write the text that ECR is given."""
    return json_text.write(document)


def equivalent(left: str, right: str) -> bool:
    """Whether two texts say the same: white space, key order, descriptions and the distance between priorities aside."""
    try:
        return _in_substance(parse(left)) == _in_substance(parse(right))
    except LifecycleInvalid:
        try:
            return json_text.canonical(json_text.read(left)) == json_text.canonical(json_text.read(right))
        except json_text.JsonInvalid:
            return left == right


def at_least_as_strong(actual: LifecyclePolicy, desired: LifecyclePolicy) -> bool:
    """Whether the actual policy, on the same images at the same time, acts on all that the desired one acts on.

    The answer is yes only where it follows from the language; every doubt is a no. It follows so:

    1. A desired rule D acts on an image of its selection only if no desired rule before D selects that image, because an image that
       matches the tags of an earlier rule is out of reach of the later ones, whether or not the earlier one acts.
    2. Look for an actual rule A that selects all that D selects, with D's action, D's kind of count, and no larger number.
       By age that is plain. By number of images too: among more images each one has the same place or a later one, and images that
       an earlier rule selected still count.
    3. Every actual rule E before A that may select one of D's images would take it from A. That is harmless in two cases only:
       E itself acts on it no later than D would (by age; by number E would count among other images, so that proves nothing);
       or some desired rule before D selects all that E selects, so by (1) D does not act on these images either.
    """
    return not uncovered(actual, desired)


def uncovered(actual: LifecyclePolicy, desired: LifecyclePolicy) -> tuple[LifecycleRule, ...]:
    """List the desired rules of which it does not follow that the actual policy does what they do; see `at_least_as_strong`."""
    return tuple(
        wanted
        for order, wanted in enumerate(desired.rules)
        if not any(_covers(candidate, actual.rules[:place], wanted, desired.rules[:order]) for place, candidate in enumerate(actual.rules))
    )


def _covers(
    candidate: LifecycleRule, before: tuple[LifecycleRule, ...], wanted: LifecycleRule, wanted_before: tuple[LifecycleRule, ...]
) -> bool:
    return (
        candidate.selects_all_of(wanted)
        and candidate.acts_no_later_than(wanted)
        and all(
            not earlier.may_select_one_of(wanted)
            or (earlier.count_type is not CountType.IMAGE_COUNT and earlier.acts_no_later_than(wanted))
            or any(shield.selects_all_of(earlier) for shield in wanted_before)
            for earlier in before
        )
    )


def _in_substance(policy: LifecyclePolicy) -> tuple[tuple[object, ...], ...]:
    return tuple(
        (rule.tag_status, rule.patterns, rule.storage_class, rule.count_type, rule.count_number, rule.action) for rule in policy.rules
    )


def is_wider(pattern: str, other: str) -> bool:
    """Whether every tag that fits the other pattern fits this one.

    The other's `*` is taken as a character that only a `*` of this pattern can stand for; tags themselves hold none.
    """
    head, *middle = pattern.split("*")
    if not middle:
        return pattern == other
    tail = middle.pop()
    if len(other) < len(head) + len(tail) or not (other.startswith(head) and other.endswith(tail)):
        return False
    start, end = len(head), len(other) - len(tail)
    for piece in middle:
        found = other.find(piece, start, end)
        if found < 0:
            return False
        start = found + len(piece)
    return True


def _rule(content: Mapping[str, Any]) -> LifecycleRule:
    selection = content["selection"]
    return LifecycleRule(
        priority=content["rulePriority"],
        tag_status=TagStatus(selection["tagStatus"]),
        patterns=_patterns(selection),
        storage_class=StorageClass(selection.get("storageClass", StorageClass.STANDARD)),
        count_type=CountType(selection["countType"]),
        count_number=selection["countNumber"],
        action=Action(content["action"]["type"]),
    )


def _patterns(selection: Mapping[str, Any]) -> frozenset[str]:
    prefixes = (prefix + "*" for prefix in selection.get("tagPrefixList", ()))
    return frozenset(_shortest(pattern) for pattern in (*selection.get("tagPatternList", ()), *prefixes))


def _shortest(pattern: str) -> str:
    while "**" in pattern:
        pattern = pattern.replace("**", "*")
    return pattern


# --- what is valid --------------------------------------------------------------------------------------------------------------------


def problems_of(document: object) -> tuple[DocumentProblem, ...]:
    """List everything that ECR would not accept in a policy's content."""
    if not isinstance(document, Mapping):
        return (DocumentProblem((), "must be an object with the key rules", "write the policy as the AWS CLI takes it"),)
    problems = unknown_keys(document, ("rules",), ())
    rules = document.get("rules")
    if not isinstance(rules, list) or not rules:
        do = "write - before each rule, each with rulePriority, selection and action"
        return (*problems, DocumentProblem(("rules",), "must be a list of at least one rule", do))
    if len(rules) > MAX_RULES:
        problems.append(DocumentProblem(("rules",), f"has {len(rules)} rules; ECR takes {MAX_RULES}", f"keep {MAX_RULES} or fewer"))
    read: list[_Readable] = []
    for index, rule in enumerate(rules):
        own = list(_rule_problems(rule, ("rules", index)))
        problems += own
        read.append(_readable(rule, own))
    # What two rules may not share is told as far as they can be read.
    problems += _set_problems(read)
    if not problems and (length := len(render(document))) > MAX_LENGTH:
        problems.append(_too_long(length))
    return tuple(problems)


def _too_long(length: int) -> DocumentProblem:
    return DocumentProblem((), f"has {length} characters; ECR takes {MAX_LENGTH}", "say it with fewer rules or shorter descriptions")


def _rule_problems(rule: object, at: Path) -> Iterator[DocumentProblem]:
    if not isinstance(rule, Mapping):
        yield DocumentProblem(at, "must be an object", "say rulePriority, selection and action")
        return
    yield from unknown_keys(rule, ("rulePriority", "description", "selection", "action"), at)
    priority = rule.get("rulePriority")
    if not _is_number(priority):
        yield DocumentProblem((*at, "rulePriority"), "must be a whole number above 0", "lower numbers are applied first")
    if not isinstance(rule.get("description", ""), str):
        yield DocumentProblem((*at, "description"), "must be text", "put it in quotes")
    action, selection = rule.get("action"), rule.get("selection")
    kind = None
    if isinstance(action, Mapping):
        kind = action.get("type")
        yield from _action_problems(action, (*at, "action"))
    else:
        yield DocumentProblem((*at, "action"), "must be an object", "for example {type: expire}")
    if isinstance(selection, Mapping):
        yield from _selection_problems(selection, kind, (*at, "selection"))
    else:
        yield DocumentProblem((*at, "selection"), "must be an object", "say tagStatus, countType and countNumber")


def _action_problems(action: Mapping[str, Any], at: Path) -> Iterator[DocumentProblem]:
    yield from unknown_keys(action, ("type", "targetStorageClass"), at)
    yield from _choice_problems(action, "type", Action, at)
    target = action.get("targetStorageClass")
    if action.get("type") == Action.TRANSITION and target != StorageClass.ARCHIVE:
        yield DocumentProblem((*at, "targetStorageClass"), "transition must say where to", "write targetStorageClass: archive")
    if action.get("type") == Action.EXPIRE and "targetStorageClass" in action:
        yield DocumentProblem((*at, "targetStorageClass"), "expire has no target", "remove targetStorageClass")


_SELECTION_KEYS: Final = ("tagStatus", "tagPatternList", "tagPrefixList", "storageClass", "countType", "countUnit", "countNumber")


def _selection_problems(selection: Mapping[str, Any], action: object, at: Path) -> Iterator[DocumentProblem]:
    yield from unknown_keys(selection, _SELECTION_KEYS, at)
    yield from _choice_problems(selection, "tagStatus", TagStatus, at)
    yield from _choice_problems(selection, "countType", CountType, at)
    yield from _tag_list_problems(selection, at)
    if not _is_number(selection.get("countNumber")):
        yield DocumentProblem((*at, "countNumber"), "must be a whole number above 0", "write for example countNumber: 14")
    yield from _count_problems(selection, action, at)


def _choice_problems(content: Mapping[str, Any], key: str, choices: type[StrEnum], at: Path) -> Iterator[DocumentProblem]:
    value = content.get(key)
    known = [str(choice) for choice in choices]
    if value is None:
        what = f"{key} has no value" if key in content else f"{key} is missing"
        yield DocumentProblem((*at, key), what, f"write one of {', '.join(known)}")
    elif value not in known:
        yield DocumentProblem((*at, key), f"{value!r} is no {key}", suggestion(str(value), known))


def _tag_list_problems(selection: Mapping[str, Any], at: Path) -> Iterator[DocumentProblem]:
    # A key without a value is there all the same: what is sound here is read by its keys.
    given = [key for key in ("tagPatternList", "tagPrefixList") if key in selection]
    status = selection.get("tagStatus")
    if status == TagStatus.TAGGED and len(given) != 1:
        yield DocumentProblem(at, "tagged needs either tagPatternList or tagPrefixList", "for example tagPatternList: ['*']")
    if status in (TagStatus.UNTAGGED, TagStatus.ANY):
        for key in given:
            yield DocumentProblem((*at, key), f"{status} takes no {key}", "remove it, or write tagStatus: tagged")
        given = [key for key in given if selection[key] is not None]
    for key in given:
        entries = selection[key]
        if not isinstance(entries, list) or not entries:
            yield DocumentProblem((*at, key), "must be a list of at least one text", "write for example ['v*']")
            continue
        for index, entry in enumerate(entries):
            if not isinstance(entry, str) or not entry:
                yield DocumentProblem(
                    (*at, key, index), "must be text", "put it in quotes" if isinstance(entry, int | float) else "write a tag"
                )
            elif key == "tagPrefixList" and "*" in entry:
                yield DocumentProblem((*at, key, index), f"a prefix has no wildcard: {entry!r}", "use tagPatternList")
            elif entry.count("*") > MAX_WILDCARDS:
                what = f"{entry!r} has more than {MAX_WILDCARDS} wildcards"
                yield DocumentProblem((*at, key, index), what, f"write it with {MAX_WILDCARDS} * or fewer")


def _count_problems(selection: Mapping[str, Any], action: object, at: Path) -> Iterator[DocumentProblem]:
    count, unit, storage = selection.get("countType"), selection.get("countUnit"), selection.get("storageClass")
    number = selection.get("countNumber")
    if "storageClass" in selection:
        yield from _choice_problems(selection, "storageClass", StorageClass, at)
    if count == CountType.IMAGE_COUNT and "countUnit" in selection:
        yield DocumentProblem((*at, "countUnit"), f"{count} counts images and takes no countUnit", "remove it")
    if count in _BY_AGE and unit != "days":
        yield DocumentProblem((*at, "countUnit"), f"{count} needs countUnit: days", "write countUnit: days")
    if count == CountType.SINCE_PULLED and action == Action.EXPIRE:
        yield DocumentProblem(
            (*at, "countType"), f"{count} can only archive", "transition to archive, then expire by sinceImageTransitioned in a second rule"
        )
    if count == CountType.SINCE_TRANSITIONED:
        if storage != StorageClass.ARCHIVE:
            yield DocumentProblem((*at, "storageClass"), f"{count} needs storageClass: archive", "write storageClass: archive")
        if action == Action.TRANSITION:
            yield DocumentProblem((*at, "countType"), f"{count} can only expire", "write type: expire")
        if _is_number(number) and isinstance(number, int) and number < MIN_DAYS_ARCHIVED:
            yield DocumentProblem(
                (*at, "countNumber"), f"an archived image stays for {MIN_DAYS_ARCHIVED} days", f"write {MIN_DAYS_ARCHIVED} or more"
            )
    elif storage == StorageClass.ARCHIVE and count in tuple(CountType):
        yield DocumentProblem((*at, "storageClass"), f"{count} looks at standard storage only", "remove storageClass")


# A tuple, because what is looked up in it comes from a document and may be a list, which no set can be asked for.
_BY_AGE: Final = (CountType.SINCE_PUSHED, CountType.SINCE_PULLED, CountType.SINCE_TRANSITIONED)


@dataclass(frozen=True, slots=True)
class _Readable:
    """What can be read of a rule that may have faults; None is what they leave open."""

    priority: int | None
    storage_class: StorageClass | None
    tag_status: TagStatus | None
    patterns: frozenset[str] | None


def _readable(content: object, own: Sequence[DocumentProblem]) -> _Readable:
    """Read what no problem of the rule's own speaks of."""
    rule = content if isinstance(content, Mapping) else {}
    spoken = {step for problem in own for step in problem.at[2:]}
    priority = rule.get("rulePriority") if "rulePriority" not in spoken else None
    selection = rule.get("selection")
    # A key that is unknown may be any of those that are not there.
    if not isinstance(selection, Mapping) or any("selection" in problem.at and problem.at[-1] == KEY for problem in own):
        return _Readable(priority, None, None, None)
    storage = StorageClass(selection.get("storageClass", StorageClass.STANDARD)) if "storageClass" not in spoken else None
    status = TagStatus(selection["tagStatus"]) if "tagStatus" not in spoken else None
    faulty = "tagPatternList" in spoken or "tagPrefixList" in spoken or any(problem.at[2:] == ("selection",) for problem in own)
    if faulty and status is not TagStatus.TAGGED:
        status = None  # which of the two is meant is open
    return _Readable(priority, storage, status, _patterns(selection) if status is TagStatus.TAGGED and not faulty else None)


def _set_problems(rules: Sequence[_Readable]) -> Iterator[DocumentProblem]:
    """Check what no two rules of one policy, by their places in it, may share. Rules for different storage classes do not meet."""
    last = {storage: max((rule.priority or 0 for rule in rules if rule.storage_class is storage), default=0) for storage in StorageClass}
    for index, rule in enumerate(rules):
        earlier = rules[:index]
        at: Path = ("rules", index)
        if rule.priority is not None and any(rule.priority == other.priority for other in earlier):
            yield DocumentProblem(
                (*at, "rulePriority"), f"{rule.priority} is taken by an earlier rule", "give each rule a number of its own"
            )
        if rule.storage_class is None:
            continue
        if rule.tag_status is TagStatus.ANY and rule.priority is not None and rule.priority < last[rule.storage_class]:
            yield DocumentProblem(
                (*at, "rulePriority"),
                "a rule for any image must have the highest number",
                f"give it a number above {last[rule.storage_class]}",
            )
        same = [other for other in earlier if other.storage_class is rule.storage_class and other.tag_status is rule.tag_status]
        if rule.tag_status is TagStatus.UNTAGGED and same:
            yield DocumentProblem((*at, "selection", "tagStatus"), "only one rule may select untagged images", "keep one of them")
        if rule.patterns is not None and any(rule.patterns == other.patterns for other in same):
            yield DocumentProblem((*at, "selection"), "an earlier rule selects the same tags", "keep one of them")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
