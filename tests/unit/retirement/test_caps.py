"""How much one run may take away: over any cap, it takes nothing away, and says which."""

from typing import Any

import pytest

from ecr_governor.core.policy.retirement import Caps
from ecr_governor.core.retirement.caps import Step, exceeded
from ecr_governor.core.retirement.state import Stage

WIDE = {"per_run": 1000, "percent": 100, "per_owner": 1000, "per_namespace": 1000, "per_day": 1000, "marks": 1000}
TAKING = [Stage.QUARANTINED, Stage.ARCHIVED, Stage.DELETED]


def caps(**some: Any) -> Caps:
    return Caps(**{**WIDE, **some})


def steps(count: int, to: Stage = Stage.QUARANTINED, namespace: str = "payments", owner: str | None = "alice") -> list[Step]:
    return [Step(f"{namespace}/{number}", to, namespace, owner) for number in range(count)]


@pytest.mark.parametrize("stage", Stage)
def test_only_what_somebody_could_miss_is_taken_away(stage: Stage) -> None:
    assert Step("payments/api", stage, "payments", None).takes_away is (stage in TAKING)


@pytest.mark.parametrize("to", TAKING)
@pytest.mark.parametrize(
    ("some", "told"),
    [
        ({"per_run": 3}, "4 repositories would go on, caps.per_run is 3"),
        ({"percent": 3}, "4 of 100 repositories would go on, caps.percent is 3"),
        ({"percent": 3.99}, "4 of 100 repositories would go on, caps.percent is 3.99"),
        ({"per_day": 10}, "7 repositories went on in the last 24 hours and 4 more would, caps.per_day is 10"),
        ({"per_owner": 3}, "4 repositories of alice would go on, caps.per_owner is 3"),
        ({"per_namespace": 3}, "4 repositories of payments would go on, caps.per_namespace is 3"),
    ],
)
def test_each_cap_holds_to_the_last_repository(some: dict[str, Any], told: str, to: Stage) -> None:
    assert exceeded(steps(4, to), caps(**some), 100, 7) == [told]
    assert exceeded(steps(3, to), caps(**some), 100, 7) == []


def test_a_share_of_few_repositories_is_less_than_one() -> None:
    assert exceeded(steps(1), caps(percent=5), 19, 0) == ["1 of 19 repositories would go on, caps.percent is 5"]
    assert exceeded(steps(1), caps(percent=5), 20, 0) == []
    assert exceeded(steps(1), caps(percent=5), 0, 0) == ["1 of 0 repositories would go on, caps.percent is 5"]


def test_marks_have_a_cap_of_their_own() -> None:
    none = dict.fromkeys(WIDE, 0)
    marks = steps(3, Stage.MARKED)
    assert exceeded(marks, Caps(**{**none, "marks": 3}), 100, 50) == []
    assert exceeded(marks, caps(marks=2), 100, 0) == ["3 repositories would be marked, caps.marks is 2"]
    assert exceeded([*marks, *steps(9)], caps(marks=3), 100, 0) == []
    assert exceeded([*marks, *steps(2)], caps(marks=2, per_run=1), 100, 0) == [
        "3 repositories would be marked, caps.marks is 2",
        "2 repositories would go on, caps.per_run is 1",
    ]
    assert len(exceeded(iter([*marks, *steps(2)]), caps(marks=2, per_run=1), 100, 0)) == 2


def test_what_gives_back_is_never_too_much() -> None:
    none = Caps(**dict.fromkeys(WIDE, 0))
    assert exceeded(steps(50, Stage.OBSERVED), none, 0, 99) == []
    assert exceeded([], none, 0, 99) == []


def test_of_none_allowed_one_is_too_many() -> None:
    assert exceeded(iter(steps(1)), Caps(**dict.fromkeys(WIDE, 0)), 100, 0) == [
        "1 repositories would go on, caps.per_run is 0",
        "1 of 100 repositories would go on, caps.percent is 0",
        "0 repositories went on in the last 24 hours and 1 more would, caps.per_day is 0",
        "1 repositories of alice would go on, caps.per_owner is 0",
        "1 repositories of payments would go on, caps.per_namespace is 0",
    ]


def test_every_owner_and_namespace_over_its_cap_is_named_in_order() -> None:
    listed = [*steps(1, namespace="web", owner="carol"), *steps(2, namespace="search", owner=None), *steps(2, owner="bob")]
    assert exceeded(listed, caps(per_owner=1, per_namespace=1), 100, 0) == [
        "2 repositories of bob would go on, caps.per_owner is 1",
        "2 repositories of nobody would go on, caps.per_owner is 1",
        "2 repositories of payments would go on, caps.per_namespace is 1",
        "2 repositories of search would go on, caps.per_namespace is 1",
    ]


def test_those_without_an_owner_count_as_one_owners() -> None:
    listed = [*steps(1, owner=None), *steps(1, owner="")]
    assert exceeded(listed, caps(per_owner=1), 100, 0) == ["2 repositories of nobody would go on, caps.per_owner is 1"]
    assert exceeded([*listed[:1], *steps(1)], caps(per_owner=1), 100, 0) == []


def test_what_a_person_has_approved_may_be_longer_than_any_cap() -> None:
    tight = Caps(**dict.fromkeys(WIDE, 1))
    assert exceeded([*steps(150), *steps(150, Stage.MARKED)], tight, 150, 50, approved=True) == []
    assert len(exceeded([*steps(9), *steps(9, Stage.MARKED)], tight, 100, 50)) == 6
    # More than there are cannot be meant.
    assert exceeded(steps(5), tight, 4, 0, approved=True) == ["5 of 4 repositories would go on, caps.percent is 100"]


@pytest.mark.parametrize("cap", WIDE)
def test_a_cap_of_none_is_lifted_by_nobody(cap: str) -> None:
    (told,) = exceeded([*steps(1), *steps(1, Stage.MARKED)], caps(**{cap: 0}), 100, 0, approved=True)
    assert told.endswith(f"caps.{cap} is 0")
