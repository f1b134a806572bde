"""The kinds of lifecycle policy that AWS's user guide shows are taken, and each mistake that it warns of is refused with its reason.

Source: the user guide's pages lifecycle_policy_examples, lifecycle_policy_parameters and LifecyclePolicies.
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ecr_governor.core.policy.lint import remarks
from ecr_governor.core.policy.load import PolicyInvalid, read

NOW = datetime(2026, 11, 24, tzinfo=UTC)
EXPIRE = {"type": "expire"}
ARCHIVE = {"type": "transition", "targetStorageClass": "archive"}


def aged(number: int, kind: str = "sinceImagePushed", **selection: Any) -> dict[str, Any]:
    return {**selection, "countType": kind, "countUnit": "days", "countNumber": number}


def counted(number: int, **selection: Any) -> dict[str, Any]:
    return {**selection, "countType": "imageCountMoreThan", "countNumber": number}


def tagged(*patterns: str, by: str = "tagPatternList") -> dict[str, Any]:
    return {"tagStatus": "tagged", by: list(patterns)}


def policy_file(*rules: Any) -> str:
    # JSON is YAML; each rule stands on a line of its own, the first on line 6.
    listed = ",\n".join(json.dumps(rule) for rule in rules)
    return f"version: 1\nnamespaces:\n  ROOT:\n    lifecycle_policy:\n      rules: [\n{listed}]\n"


def rule(priority: int, selection: dict[str, Any], action: dict[str, Any] = EXPIRE) -> dict[str, Any]:
    return {"rulePriority": priority, "description": f"Rule {priority}", "selection": selection, "action": action}


EXAMPLES: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "by age": ([rule(1, aged(14, **tagged("prod*")))], []),
    "by count, untagged": ([rule(1, counted(1, tagStatus="untagged"))], []),
    "two rules": ([rule(1, counted(1, **tagged("prod*"))), rule(2, counted(1, **tagged("beta*")))], []),
    "two rules, the other way round": ([rule(1, counted(1, **tagged("beta*"))), rule(2, counted(1, **tagged("prod*")))], []),
    "several tags in one rule, by age": ([rule(1, aged(5, **tagged("alpha*", "beta*")))], ["lifecycle-all-of-several"]),
    "several tags in one rule, by count": ([rule(1, counted(1, **tagged("alpha*", "beta*")))], ["lifecycle-all-of-several"]),
    "prefixes": ([rule(1, counted(1, **tagged("prod", by="tagPrefixList")))], []),
    "all images, after those of one kind": ([rule(1, counted(1, **tagged("prod*"))), rule(2, counted(3, tagStatus="any"))], []),
    "all images, after untagged ones": (
        [rule(1, aged(1, tagStatus="untagged")), rule(2, counted(1, tagStatus="any"))],
        ["lifecycle-keeps-across"],
    ),
    "all images by count": ([rule(1, counted(3, tagStatus="any"))], ["lifecycle-keeps-across"]),
    "all images by age": ([rule(1, aged(14, tagStatus="any"))], ["lifecycle-expires-in-use"]),
    "archive what is not pulled": ([rule(1, aged(90, "sinceImagePulled", tagStatus="any"), ARCHIVE)], []),
    "archive, then expire": (
        [
            rule(1, aged(90, "sinceImagePulled", tagStatus="any"), ARCHIVE),
            rule(2, aged(365, "sinceImageTransitioned", tagStatus="any", storageClass="archive")),
        ],
        [],
    ),
    "archive by count": ([rule(1, counted(10, **tagged("release*")), ARCHIVE)], []),
    "four wildcards": ([rule(1, counted(1, **tagged("test*1*2*3*")))], []),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_aws_shows_is_taken(example: str) -> None:
    rules, remarked = EXAMPLES[example]

    assert [remark.code for remark in remarks(read(policy_file(*rules), "policy.yaml"), NOW)] == remarked


AT = "namespaces.ROOT.lifecycle_policy"
ANY = {"tagStatus": "any"}
MISTAKES: dict[str, tuple[list[Any], list[str]]] = {
    "a number twice": (
        [rule(1, aged(14, **tagged("a*"))), rule(1, aged(14, **tagged("b*")))],
        [f"7: {AT}.rules[1].rulePriority: 1 is taken by an earlier rule → give each rule a number of its own"],
    ),
    "any before another": (
        [rule(1, counted(5, **ANY)), rule(2, aged(14, **tagged("b*")))],
        [f"6: {AT}.rules[0].rulePriority: a rule for any image must have the highest number → give it a number above 2"],
    ),
    "expire by pulls": (
        [rule(1, aged(90, "sinceImagePulled", **ANY))],
        [
            (
                f"6: {AT}.rules[0].selection.countType: sinceImagePulled can only archive → transition to archive, then expire by "
                "sinceImageTransitioned in a second rule"
            )
        ],
    ),
    "archived too short": (
        [rule(1, aged(89, "sinceImageTransitioned", storageClass="archive", **ANY))],
        [f"6: {AT}.rules[0].selection.countNumber: an archived image stays for 90 days → write 90 or more"],
    ),
    "transitioned without its class": (
        [rule(1, aged(90, "sinceImageTransitioned", **ANY))],
        [f"6: {AT}.rules[0].selection.storageClass: sinceImageTransitioned needs storageClass: archive → write storageClass: archive"],
    ),
    "a transition of what is archived": (
        [rule(1, aged(90, "sinceImageTransitioned", storageClass="archive", **ANY), ARCHIVE)],
        [f"6: {AT}.rules[0].selection.countType: sinceImageTransitioned can only expire → write type: expire"],
    ),
    "a transition to nowhere": (
        [rule(1, aged(90, "sinceImagePulled", **ANY), {"type": "transition"})],
        [f"6: {AT}.rules[0].action.targetStorageClass: transition must say where to → write targetStorageClass: archive"],
    ),
    "expire with a target": (
        [rule(1, aged(90, **ANY), {"type": "expire", "targetStorageClass": "archive"})],
        [f"6: {AT}.rules[0].action.targetStorageClass: expire has no target → remove targetStorageClass"],
    ),
    "patterns and prefixes": (
        [rule(1, counted(1, tagStatus="tagged", tagPatternList=["a*"], tagPrefixList=["a"]))],
        [f"6: {AT}.rules[0].selection: tagged needs either tagPatternList or tagPrefixList → for example tagPatternList: ['*']"],
    ),
    "neither": (
        [rule(1, counted(1, tagStatus="tagged"))],
        [f"6: {AT}.rules[0].selection: tagged needs either tagPatternList or tagPrefixList → for example tagPatternList: ['*']"],
    ),
    "patterns of the untagged": (
        [rule(1, counted(1, tagStatus="untagged", tagPatternList=["a*"]))],
        [f"6: {AT}.rules[0].selection.tagPatternList: untagged takes no tagPatternList → remove it, or write tagStatus: tagged"],
    ),
    "a fifth wildcard": (
        [rule(1, counted(1, **tagged("test*1*2*3*4*5*6")))],
        [f"6: {AT}.rules[0].selection.tagPatternList[0]: 'test*1*2*3*4*5*6' has more than 4 wildcards → write it with 4 * or fewer"],
    ),
    "a wildcard in a prefix": (
        [rule(1, counted(1, **tagged("prod*", by="tagPrefixList")))],
        [f"6: {AT}.rules[0].selection.tagPrefixList[0]: a prefix has no wildcard: 'prod*' → use tagPatternList"],
    ),
    "days of a count": (
        [rule(1, counted(1, countUnit="days", **ANY))],
        [f"6: {AT}.rules[0].selection.countUnit: imageCountMoreThan counts images and takes no countUnit → remove it"],
    ),
    "an age without days": (
        [rule(1, {**ANY, "countType": "sinceImagePushed", "countNumber": 3})],
        [f"6: {AT}.rules[0].selection.countUnit: sinceImagePushed needs countUnit: days → write countUnit: days"],
    ),
    "a number of nothing": (
        [rule(1, counted(0, **ANY))],
        [f"6: {AT}.rules[0].selection.countNumber: must be a whole number above 0 → write for example countNumber: 14"],
    ),
    "the untagged twice": (
        [rule(1, counted(1, tagStatus="untagged")), rule(2, counted(1, tagStatus="untagged"))],
        [f"7: {AT}.rules[1].selection.tagStatus: only one rule may select untagged images → keep one of them"],
    ),
    "the same tags twice": (
        [rule(1, counted(1, **tagged("a*"))), rule(2, aged(3, **tagged("a", by="tagPrefixList")))],
        [f"7: {AT}.rules[1].selection: an earlier rule selects the same tags → keep one of them"],
    ),
    "more rules than ECR takes": (
        [rule(number, counted(1, **tagged(f"a{number}-*"))) for number in range(1, 52)],
        [f"5: {AT}.rules: has 51 rules; ECR takes 50 → keep 50 or fewer"],
    ),
    "a document longer than ECR takes": (
        [{**rule(number, counted(1, **tagged(f"a{number}-*"))), "description": "x" * 800} for number in range(1, 41)],
        [f"4: {AT}: has 38993 characters; ECR takes 30720 → say it with fewer rules or shorter descriptions"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_aws_warns_of_is_refused(mistake: str) -> None:
    rules, expected = MISTAKES[mistake]

    with pytest.raises(PolicyInvalid) as caught:
        read(policy_file(*rules), "policy.yaml")

    told = [f"{each.line}: {each.path}: {each.what}" + (f" → {each.do}" if each.do else "") for each in caught.value.problems]
    assert told == expected
