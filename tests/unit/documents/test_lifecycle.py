"""ECR's lifecycle policy language: what is valid, what is the same, and what is at least as strong."""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.core.documents.lifecycle import (
    Action,
    CountType,
    LifecycleInvalid,
    LifecyclePolicy,
    LifecycleRule,
    StorageClass,
    TagStatus,
    at_least_as_strong,
    equivalent,
    parse,
    problems_of,
    render,
    uncovered,
)


def rule(priority: Any = 1, action: str = "expire", **selection: Any) -> dict[str, Any]:
    count = selection.get("countType", "sinceImagePushed")
    chosen = {"tagStatus": "untagged", "countType": count, "countNumber": 14, **selection}
    if count != "imageCountMoreThan":
        chosen.setdefault("countUnit", "days")
    done = {"type": action} if action == "expire" else {"type": action, "targetStorageClass": "archive"}
    return {"rulePriority": priority, "selection": {key: value for key, value in chosen.items() if value is not None}, "action": done}


def document(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"rules": list(rules)}


def policy(*rules: dict[str, Any]) -> LifecyclePolicy:
    return parse(document(*rules))


def tagged(*patterns: str, **selection: Any) -> dict[str, Any]:
    return {"tagStatus": "tagged", "tagPatternList": list(patterns), **selection}


ARCHIVED: dict[str, Any] = {"countType": "sinceImageTransitioned", "storageClass": "archive", "countNumber": 90}


@pytest.mark.parametrize(
    "rules",
    [
        [rule()],
        [rule(tagStatus="any", countType="imageCountMoreThan", countNumber=1)],
        [rule(**tagged("prod*", "*-a*b*c"))],
        [rule(tagStatus="tagged", tagPrefixList=["prod", "qa"])],
        [rule(tagStatus="any", countType="sinceImagePulled", action="transition")],
        [rule(storageClass="standard")],
        [rule(1, tagStatus="any", action="transition"), rule(2, tagStatus="any", **ARCHIVED)],  # one rule for any per storage class
        [rule(2, tagStatus="any"), rule(1, tagStatus="untagged")],
        [rule(1, **tagged("a*")), rule(2, **tagged("a*", **ARCHIVED))],
        [{**rule(), "description": "why"}],
    ],
)
def test_what_ecr_takes_is_valid(rules: list[dict[str, Any]]) -> None:
    assert problems_of(document(*rules)) == ()
    assert len(render(document(*rules))) >= 100  # the shortest text that PutLifecyclePolicy takes


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([rule(0)], "rules[0].rulePriority: must be a whole number above 0"),
        ([rule("")], "rules[0].rulePriority: must be a whole number above 0"),
        ([rule("1")], "rules[0].rulePriority: must be a whole number above 0"),
        ([rule(), rule(**tagged("a"))], "rules[1].rulePriority: 1 is taken by an earlier rule"),
        ([{**rule(), "descripton": "x"}], "rules[0].descripton: unknown key 'descripton'"),
        ([{**rule(), "description": 1}], "rules[0].description: must be text"),
        ([rule(tagStatus="anny")], "rules[0].selection.tagStatus: 'anny' is no tagStatus"),
        ([rule(tagStatus=None)], "rules[0].selection.tagStatus: tagStatus is missing"),
        ([rule(tagStatus="tagged")], "rules[0].selection: tagged needs either tagPatternList or tagPrefixList"),
        (
            [rule(tagPrefixList=["a"], **tagged("a"))],
            "rules[0].selection: tagged needs either tagPatternList or tagPrefixList",
        ),
        ([rule(tagPrefixList=["a"])], "rules[0].selection.tagPrefixList: untagged takes no tagPrefixList"),
        ([rule(tagStatus="any", tagPatternList=["a"])], "rules[0].selection.tagPatternList: any takes no tagPatternList"),
        ([rule(**tagged())], "rules[0].selection.tagPatternList: must be a list of at least one text"),
        ([rule(**tagged(""))], "rules[0].selection.tagPatternList[0]: must be text"),
        ([rule(**tagged("*a*b*c*d*"))], "rules[0].selection.tagPatternList[0]: '*a*b*c*d*' has more than 4 wildcards"),
        ([rule(tagStatus="tagged", tagPrefixList=["a*"])], "rules[0].selection.tagPrefixList[0]: a prefix has no wildcard: 'a*'"),
        ([rule(countType="sinceImagePused")], "rules[0].selection.countType: 'sinceImagePused' is no countType"),
        ([rule(countNumber=0)], "rules[0].selection.countNumber: must be a whole number above 0"),
        ([rule(countNumber=1.5)], "rules[0].selection.countNumber: must be a whole number above 0"),
        ([rule(countUnit="hours")], "rules[0].selection.countUnit: sinceImagePushed needs countUnit: days"),
        (
            [rule(countType="imageCountMoreThan", countUnit="days")],
            "rules[0].selection.countUnit: imageCountMoreThan counts images and takes no countUnit",
        ),
        ([rule(countType="sinceImagePulled")], "rules[0].selection.countType: sinceImagePulled can only archive"),
        (
            [rule(**{**ARCHIVED, "storageClass": None})],
            "rules[0].selection.storageClass: sinceImageTransitioned needs storageClass: archive",
        ),
        ([rule(**{**ARCHIVED, "countNumber": 89})], "rules[0].selection.countNumber: an archived image stays for 90 days"),
        ([rule(action="transition", **ARCHIVED)], "rules[0].selection.countType: sinceImageTransitioned can only expire"),
        ([rule(storageClass="archive")], "rules[0].selection.storageClass: sinceImagePushed looks at standard storage only"),
        ([rule(storageClass="glacier")], "rules[0].selection.storageClass: 'glacier' is no storageClass"),
        ([{**rule(), "action": {"type": "delete"}}], "rules[0].action.type: 'delete' is no type"),
        ([{**rule(), "action": {"type": "transition"}}], "rules[0].action.targetStorageClass: transition must say where to"),
        (
            [{**rule(), "action": {"type": "expire", "targetStorageClass": "archive"}}],
            "rules[0].action.targetStorageClass: expire has no target",
        ),
        ([{**rule(), "action": "expire"}], "rules[0].action: must be an object"),
        ([{**rule(), "selection": []}], "rules[0].selection: must be an object"),
        (["expire"], "rules[0]: must be an object"),
        ([rule(1, tagStatus="any"), rule(2)], "rules[0].rulePriority: a rule for any image must have the highest number"),
        ([rule(1), rule(2)], "rules[1].selection.tagStatus: only one rule may select untagged images"),
        (
            [rule(1, **tagged("a*")), rule(2, tagStatus="tagged", tagPrefixList=["a"])],
            "rules[1].selection: an earlier rule selects the same tags",
        ),
    ],
)
def test_what_ecr_does_not_take_is_told_with_its_place(rules: list[Any], told: str) -> None:
    problems = problems_of(document(*rules))

    assert [str(problem) for problem in problems] == [told]
    assert problems[0].rule == int(told.split("[")[1].split("]", maxsplit=1)[0])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], "must be an object with the key rules"),
        ({}, "rules: must be a list of at least one rule"),
        ({"rules": []}, "rules: must be a list of at least one rule"),
        ({"rules": [rule()], "version": 1}, "version: unknown key 'version'"),
        (document(*(rule(n, **tagged(f"a{n}")) for n in range(1, 52))), "rules: has 51 rules; ECR takes 50"),
        (document({**rule(), "description": "x" * 31_000}), "has 31178 characters; ECR takes 30720"),
    ],
)
def test_a_document_as_a_whole_may_be_wrong(content: Any, told: str) -> None:
    assert [str(problem) for problem in problems_of(content)] == [told]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not JSON: Expecting value in line 1, column 1"),
        ("[]", "is not a JSON object"),
        ('{"rules": [], "rules": []}', "has the key 'rules' twice"),
        ("[" * 30_000, "is nested too deeply"),
        (f'{{"rules": {"1" * 5_000}}}', "holds a number that is too long"),
        (" " * 30_721, "has 30721 characters; ECR takes 30720"),
    ],
)
def test_a_text_that_is_no_policy_is_refused(text: str, told: str) -> None:
    with pytest.raises(LifecycleInvalid) as caught:
        parse(text)

    assert str(caught.value) == told


def test_rules_are_read_in_the_order_in_which_they_are_applied() -> None:
    read = policy(rule(7, tagStatus="any", countType="imageCountMoreThan"), rule(3, tagStatus="tagged", tagPrefixList=["a"]))

    assert read.rules == (
        LifecycleRule(3, TagStatus.TAGGED, frozenset({"a*"}), StorageClass.STANDARD, CountType.SINCE_PUSHED, 14, Action.EXPIRE),
        LifecycleRule(7, TagStatus.ANY, frozenset(), StorageClass.STANDARD, CountType.IMAGE_COUNT, 14, Action.EXPIRE),
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (rule(), "untagged images expire 14 days after their push"),
        (rule(countNumber=1, **tagged("b*", "a")), "tagged images like a and b* expire 1 day after their push"),
        (rule(tagStatus="any", countType="imageCountMoreThan"), "any images expire beyond the newest 14"),
        (
            rule(tagStatus="any", countType="sinceImagePulled", action="transition"),
            "any images are archived 14 days after their last pull",
        ),
        (rule(tagStatus="any", **ARCHIVED), "archived any images expire after 90 days"),
    ],
)
def test_a_rule_is_told_in_words(content: dict[str, Any], words: str) -> None:
    assert str(policy(content).rules[0]) == words


def test_the_same_policy_may_be_written_in_many_ways() -> None:
    one = json.dumps(document(rule(1, tagStatus="tagged", tagPrefixList=["a"]), rule(2)))
    two = json.dumps(
        document({**rule(20, storageClass="standard"), "description": "x"}, rule(10, **tagged("a**"))), indent=4, sort_keys=True
    )

    assert equivalent(one, two)
    assert not equivalent(one, json.dumps(document(rule(1))))


def test_texts_that_are_no_policies_are_compared_as_json_or_as_text() -> None:
    assert equivalent('{"a": 1, "b": 2}', '{"b":2,"a":1}')
    assert not equivalent('{"a": 1}', '{"a": 2}')
    assert equivalent("no json", "no json")
    assert not equivalent("no json", "{}")


@pytest.mark.parametrize(
    ("actual", "desired", "strong"),
    [
        # the same kind of rule, sooner or later
        ([rule(countNumber=13)], [rule()], True),
        ([rule(countNumber=15)], [rule()], False),
        # more images selected
        ([rule(tagStatus="any")], [rule()], True),
        ([rule()], [rule(tagStatus="any")], False),
        ([rule(tagStatus="any")], [rule(**tagged("a*"))], True),
        ([rule(**tagged("a*"))], [rule(**tagged("ab*"))], True),
        ([rule(**tagged("ab*"))], [rule(**tagged("a*"))], False),
        ([rule(**tagged("*b*"))], [rule(**tagged("ab*"))], True),
        ([rule(**tagged("a*c*"))], [rule(**tagged("a*bc"))], True),
        ([rule(**tagged("a*bc"))], [rule(**tagged("a*c"))], False),
        ([rule(**tagged("a*a"))], [rule(**tagged("a"))], False),
        ([rule(**tagged("*"))], [rule()], False),
        # an image must carry a tag for each pattern: fewer patterns select more
        ([rule(**tagged("a*"))], [rule(**tagged("a*", "b*"))], True),
        ([rule(**tagged("a*", "b*"))], [rule(**tagged("a*"))], False),
        ([rule(**tagged("a*", "*"))], [rule(**tagged("ab"))], True),
        # another count or another action is another thing
        ([rule(countType="imageCountMoreThan", countNumber=1)], [rule()], False),
        ([rule(action="transition")], [rule()], False),
        ([rule()], [rule(action="transition")], False),
        # an earlier rule takes images away
        ([rule(1, **tagged("keep*", countNumber=9_999)), rule(2, tagStatus="any")], [rule(tagStatus="any")], False),
        ([rule(1, **tagged("keep*", countNumber=9_999)), rule(2, tagStatus="any")], [rule()], True),
        ([rule(1, countNumber=3), rule(2, tagStatus="any")], [rule(tagStatus="any")], True),
        (
            [
                rule(1, countType="imageCountMoreThan", countNumber=1),
                rule(2, tagStatus="any", countType="imageCountMoreThan", countNumber=1),
            ],
            [rule(tagStatus="any", countType="imageCountMoreThan", countNumber=1)],
            False,
        ),
        # unless the desired policy takes them away as well
        (
            [rule(1, **tagged("keep*", countNumber=9_999)), rule(2, tagStatus="any")],
            [rule(1, **tagged("k*", countNumber=9_999)), rule(2, tagStatus="any")],
            True,  # what k* asks for is done sooner by the rule for any, and what keep* takes from that, k* takes as well
        ),
        (
            [rule(1, **tagged("k*", countNumber=9_999)), rule(2, tagStatus="any")],
            [rule(1, **tagged("k*", countNumber=9_999)), rule(2, tagStatus="any")],
            True,
        ),
        # storage classes do not meet
        ([rule(1, tagStatus="any", **ARCHIVED), rule(2)], [rule()], True),
        ([rule(1, tagStatus="any", **ARCHIVED)], [rule(1, **ARCHIVED)], True),
        ([rule(1, tagStatus="any", **{**ARCHIVED, "countNumber": 91})], [rule(1, **ARCHIVED)], False),
        # every desired rule counts
        ([rule()], [rule(1), rule(2, **tagged("a*"))], False),
    ],
)
def test_a_policy_is_as_strong_as_another_only_if_that_follows(actual: list[Any], desired: list[Any], strong: bool) -> None:
    assert at_least_as_strong(policy(*actual), policy(*desired)) is strong
    assert (uncovered(policy(*actual), policy(*desired)) == ()) is strong


# --- properties -----------------------------------------------------------------------------------------------------------------------

PATTERNS = st.sampled_from(["*", "a*", "ab*", "*b", "a*b", "b*", "ab", "*a*"])
NUMBERS = st.integers(1, 4)


@st.composite
def policies(draw: st.DrawFn) -> LifecyclePolicy:
    drawn = []
    for priority in range(1, draw(st.integers(1, 4)) + 1):
        status = draw(st.sampled_from(TagStatus))
        archived = draw(st.integers(0, 4)) == 0
        count = CountType.SINCE_TRANSITIONED if archived else draw(st.sampled_from([CountType.IMAGE_COUNT, CountType.SINCE_PUSHED]))
        drawn.append(
            LifecycleRule(
                priority,
                status,
                draw(st.frozensets(PATTERNS, min_size=1, max_size=2)) if status is TagStatus.TAGGED else frozenset(),
                StorageClass.ARCHIVE if archived else StorageClass.STANDARD,
                count,
                draw(NUMBERS),
                Action.EXPIRE if archived else draw(st.sampled_from(Action)),
            )
        )
    return LifecyclePolicy(tuple(drawn))


@dataclass(frozen=True)
class Stored:
    tags: tuple[str, ...]
    age: int
    storage: StorageClass


IMAGES = st.lists(
    st.builds(
        Stored,
        st.lists(st.sampled_from(["a", "ab", "b", "abb", "c"]), max_size=2, unique=True).map(tuple),
        st.integers(0, 6),
        st.sampled_from([StorageClass.STANDARD, StorageClass.STANDARD, StorageClass.ARCHIVE]),
    ),
    max_size=7,
)


def selects(one: LifecycleRule, image: Stored) -> bool:
    if image.storage is not one.storage_class:
        return False
    match one.tag_status:
        case TagStatus.ANY:
            return True
        case TagStatus.UNTAGGED:
            return not image.tags
        case TagStatus.TAGGED:
            return bool(image.tags) and all(any(fnmatchcase(tag, pattern) for tag in image.tags) for pattern in one.patterns)


def acted_on(applied: LifecyclePolicy, images: list[Stored]) -> dict[int, Action]:
    """ECR's evaluation by the user guide: all rules look at all images, the first that selects an image alone may act on it."""
    done: dict[int, Action] = {}
    out_of_reach: set[int] = set()
    for one in applied.rules:
        found = sorted((index for index, image in enumerate(images) if selects(one, image)), key=lambda index: images[index].age)
        for place, index in enumerate(found):
            due = place >= one.count_number if one.count_type is CountType.IMAGE_COUNT else images[index].age > one.count_number
            if due and index not in out_of_reach:
                done[index] = one.action
        out_of_reach |= set(found)
    return done


THOROUGH = settings(max_examples=40, deadline=None, derandomize=True)


@THOROUGH
@given(policies(), policies(), IMAGES)
def test_what_is_called_as_strong_acts_on_everything_the_other_acts_on(
    actual: LifecyclePolicy, desired: LifecyclePolicy, images: list[Stored]
) -> None:
    if at_least_as_strong(actual, desired):
        assert acted_on(desired, images).items() <= acted_on(actual, images).items()


@THOROUGH
@given(policies(), st.data(), IMAGES)
def test_a_policy_with_an_earlier_rule_put_in_is_never_wrongly_called_as_strong(
    desired: LifecyclePolicy, data: st.DataObject, images: list[Stored]
) -> None:
    """Near misses: what people do to a policy of the platform's when they add a rule of their own."""
    extra = data.draw(policies()).rules[0]
    at = data.draw(st.integers(0, len(desired.rules)))
    actual = LifecyclePolicy((*desired.rules[:at], extra, *desired.rules[at:]))
    if at_least_as_strong(actual, desired):
        assert acted_on(desired, images).items() <= acted_on(actual, images).items()


@THOROUGH
@given(policies())
def test_every_policy_is_as_strong_as_itself(one: LifecyclePolicy) -> None:
    assert at_least_as_strong(one, one)


def test_the_oracle_agrees_with_the_user_guides_example() -> None:
    """Of an image that two rules select, the earlier one decides, though the later one counts it."""
    applied = LifecyclePolicy(
        (
            LifecycleRule(1, TagStatus.TAGGED, frozenset({"a*"}), StorageClass.STANDARD, CountType.IMAGE_COUNT, 1, Action.EXPIRE),
            LifecycleRule(2, TagStatus.ANY, frozenset(), StorageClass.STANDARD, CountType.IMAGE_COUNT, 2, Action.EXPIRE),
        )
    )
    images = [Stored(tags, age, StorageClass.STANDARD) for tags, age in ((("a",), 1), (("a",), 2), (("c",), 3), (("c",), 0))]

    assert acted_on(applied, images) == {1: Action.EXPIRE, 2: Action.EXPIRE}


@st.composite
def apart(draw: st.DrawFn) -> LifecyclePolicy:
    """A policy whose rules select by different letters, so that none does another's work."""
    letters = draw(st.lists(st.sampled_from("pqrstu"), min_size=1, max_size=4, unique=True))
    return policy(*(rule(n, **tagged(f"{letter}*", countNumber=draw(st.integers(2, 9)))) for n, letter in enumerate(letters, 1)))


def with_number(one: LifecyclePolicy, at: int, change: int) -> LifecyclePolicy:
    changed = replace(one.rules[at], count_number=one.rules[at].count_number + change)
    return LifecyclePolicy((*one.rules[:at], changed, *one.rules[at + 1 :]))


@given(apart(), st.data())
def test_a_lower_number_keeps_the_strength_and_a_higher_one_or_a_dropped_rule_loses_it(one: LifecyclePolicy, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(one.rules) - 1))
    less = LifecyclePolicy((*one.rules[:at], *one.rules[at + 1 :]))

    assert at_least_as_strong(one, one)
    assert not at_least_as_strong(with_number(one, at, 1), one)
    assert not at_least_as_strong(less, one)
    assert at_least_as_strong(with_number(one, at, -1), one)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["rules", "rulePriority", "selection", "action", "type", "tagStatus", "countType", "x"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_no_content_does_anything_but_pass_or_be_explained(content: Any) -> None:
    problems_of(content)
    problems_of({"rules": [content]})
    problems_of({"rules": [{"rulePriority": 1, "selection": content, "action": content}]})


NOTHING: dict[str, tuple[dict[str, Any], list[str]]] = {
    "tagPatternList": (
        rule(2, **tagged("a*")),
        ["rules[1].selection.tagPatternList: must be a list of at least one text"],
    ),
    "tagPrefixList": (
        rule(2, tagStatus="tagged", tagPrefixList=["a"]),
        ["rules[1].selection.tagPrefixList: must be a list of at least one text"],
    ),
    "storageClass": (rule(2), ["rules[1].selection.storageClass: storageClass has no value"]),
    "countUnit": (
        rule(2, countType="imageCountMoreThan"),
        ["rules[1].selection.countUnit: imageCountMoreThan counts images and takes no countUnit"],
    ),
    "tagStatus": (rule(2), ["rules[1].selection.tagStatus: tagStatus has no value"]),
}


@pytest.mark.parametrize("key", NOTHING)
def test_a_key_without_a_value_is_a_problem_alone_and_beside_another(key: str) -> None:
    content, expected = NOTHING[key]
    content = {**content, "selection": {**content["selection"], key: None}}

    for first, also in (
        (rule(1, **tagged("b*")), []),
        (rule(1, **tagged("b*", countNumber=0)), ["rules[0].selection.countNumber: must be a whole number above 0"]),
    ):
        assert list(map(str, problems_of(document(first, content)))) == [*also, *expected]


MANY = tagged("a*b*c*d*e*")
WILDCARDS = "selection.tagPatternList[0]: 'a*b*c*d*e*' has more than 4 wildcards"
TAKEN = "rulePriority: 1 is taken by an earlier rule"


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([rule(1, **tagged("x")), rule(1, **MANY)], [f"rules[1].{WILDCARDS}", f"rules[1].{TAKEN}"]),
        ([rule(1, **MANY), rule(1, **tagged("x"))], [f"rules[0].{WILDCARDS}", f"rules[1].{TAKEN}"]),
        ([rule(1), {"rulePriority": 1}], ["rules[1].action: must be an object", "rules[1].selection: must be an object", f"rules[1].{TAKEN}"]),
        (
            [rule(1), rule(2, countNumber=0)],
            ["rules[1].selection.countNumber: must be a whole number above 0", "rules[1].selection.tagStatus: only one rule may select untagged images"],
        ),
        (
            [rule(1, tagStatus="any"), rule(2, **MANY)],
            [f"rules[1].{WILDCARDS}", "rules[0].rulePriority: a rule for any image must have the highest number"],
        ),
        (
            [rule(1, **tagged("a")), rule("1", **tagged("a"))],
            ["rules[1].rulePriority: must be a whole number above 0", "rules[1].selection: an earlier rule selects the same tags"],
        ),
    ],
)  # fmt: skip
def test_what_a_faulty_rule_shares_with_another_is_told_as_well(rules: list[dict[str, Any]], told: list[str]) -> None:
    assert list(map(str, problems_of(document(*rules)))) == told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (rule(2, countType="sinceImageTransitioned", countNumber=90), "storageClass: sinceImageTransitioned needs storageClass: archive"),
        (rule(2, storageClass="arcive"), "storageClass: 'arcive' is no storageClass"),
        (rule(2, storageclass="archive"), "storageclass: unknown key 'storageclass'"),
        (rule(2, tagStatus="untaged"), "tagStatus: 'untaged' is no tagStatus"),
        (rule(2, tagPatternList=["a"]), "tagPatternList: untagged takes no tagPatternList"),
    ],
)
def test_nothing_is_said_of_what_a_fault_leaves_open(content: dict[str, Any], told: str) -> None:
    assert list(map(str, problems_of(document(rule(1), content)))) == [f"rules[1].selection.{told}"]


@pytest.mark.parametrize("key", ["tagPatternList", "tagPrefixList"])
def test_what_takes_no_tags_takes_no_empty_key_for_them_either(key: str) -> None:
    content = rule(tagStatus="any")
    content["selection"][key] = None

    assert list(map(str, problems_of(document(content)))) == [f"rules[0].selection.{key}: any takes no {key}"]


def test_to_expire_has_no_target_not_even_an_empty_one() -> None:
    content = rule()
    content["action"]["targetStorageClass"] = None

    assert list(map(str, problems_of(document(content)))) == ["rules[0].action.targetStorageClass: expire has no target"]


FAULTS = st.sampled_from([None, 0, -1, True, "", "x", [], [None], {}, {"x": 1}, 1.5, "archive", "any", "days"])
PLACES = st.sampled_from([
    ("rulePriority",), ("description",), ("selection",), ("action",), ("action", "type"), ("action", "targetStorageClass"),
    *(("selection", key) for key in ("tagStatus", "tagPatternList", "tagPrefixList", "storageClass", "countType", "countUnit", "countNumber")),
])  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 1), PLACES, FAULTS), min_size=1, max_size=3))
def test_no_faults_of_two_rules_do_anything_but_pass_or_be_explained(faults: list[tuple[int, tuple[str, ...], Any]]) -> None:
    rules = [rule(1, **tagged("a*")), rule(2, tagStatus="any", countType="imageCountMoreThan")]
    for index, (*above, key), value in faults:
        holder = rules[index]
        for step in above:
            holder = holder[step]
        if isinstance(holder, dict):
            holder[key] = value
    with suppress(LifecycleInvalid):
        parse(document(*rules))
