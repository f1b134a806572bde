"""The lifecycle policy language."""

import json
from typing import Any

import pytest

from local.ecr.lifecycle import PolicyRefused, check_policy


def rule(priority: Any = 1, *, action: Any = None, **selection: Any) -> dict[str, Any]:
    chosen = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14} | selection
    return {
        "rulePriority": priority,
        "selection": {key: value for key, value in chosen.items() if value is not None},
        "action": action or {"type": "expire"},
    }


ARCHIVE = {"type": "transition", "targetStorageClass": "archive"}
KEEP = {"countType": "imageCountMoreThan", "countUnit": None}


@pytest.mark.parametrize(
    "rules",
    [
        [rule()],
        [rule(tagStatus="tagged", tagPrefixList=["v"])],
        [rule(tagStatus="tagged", tagPatternList=["*a*b*c*"])],
        [rule(1), rule(2, tagStatus="any", **KEEP)],
        [rule(tagStatus="any", countType="sinceImagePulled", action=ARCHIVE)],
        [rule(tagStatus="any", storageClass="archive", countType="sinceImageTransitioned", countNumber=90)],
        [
            rule(1, tagStatus="any", countType="sinceImagePulled", action=ARCHIVE),
            rule(2, tagStatus="any", storageClass="archive", countType="sinceImageTransitioned", countNumber=365),
        ],
        [rule() | {"description": "old"}],
    ],
)
def test_valid_policies(rules: list[dict[str, Any]]) -> None:
    check_policy(json.dumps({"rules": rules}))


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [rule(number) for number in range(1, 52)],
        [rule(1), rule(1)],
        [rule("1")],
        [rule(0)],
        [rule(priority=True)],
        [rule(tagStatus="tagged")],
        [rule(tagStatus="tagged", tagPrefixList=[])],
        [rule(tagStatus="tagged", tagPrefixList=["a"], tagPatternList=["b"])],
        [rule(tagPrefixList=["a"])],
        [rule(tagStatus="tagged", tagPatternList=["*a*b*c*d*"])],
        [rule(1, tagStatus="any"), rule(2)],
        [rule(countUnit=None)],
        [rule(countUnit="weeks")],
        [rule(countType="imageCountMoreThan")],
        [rule(countNumber=0)],
        [rule(countNumber="5")],
        [rule(countType="sinceImagePulled")],
        [rule(countType="sinceImageTransitioned", countNumber=90)],
        [rule(storageClass="archive", countType="sinceImageTransitioned", countNumber=89)],
        [rule(storageClass="archive", action=ARCHIVE)],
        [rule(action={"type": "transition"})],
        [rule(action={"type": "expire", "targetStorageClass": "archive"})],
        [rule(action={"type": "delete"})],
        [rule(unknown=1)],
        [rule() | {"extra": 1}],
        ["rule"],
    ],
)
def test_policies_that_ecr_refuses(rules: list[Any]) -> None:
    with pytest.raises(PolicyRefused):
        check_policy(json.dumps({"rules": rules}))


@pytest.mark.parametrize("text", ["", "[]", '{"rules":{}}', '{"rules":[],"Version":"1"}'])
def test_texts_that_are_no_policy(text: str) -> None:
    with pytest.raises(PolicyRefused):
        check_policy(text)
