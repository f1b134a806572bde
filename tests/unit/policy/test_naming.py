"""The naming convention: reading names, telling what is wrong, and finding the nearest allowed one."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.policy.naming import Convention, Segment, edit_distance
from ecr_governor.core.policy.patterns import Matcher


def convention(text: str, /, **segments: Any) -> Convention:
    return Convention.compile(text, {name: Matcher.model_validate(written) for name, written in segments.items()})


def wrong_with(made: Convention, name: str) -> str:
    return made.diagnose(name, made.misfits(name))


TEAMS = ["payments", "search", "data-platform"]
TEAM_SERVICE = convention("{team}/{service}", team=TEAMS, service={"regex": "[a-z][a-z0-9-]{1,38}"})


@pytest.mark.parametrize(
    ("text", "segments", "name", "read"),
    [
        ("{team}/{service}", {}, "a/b", {"team": "a", "service": "b"}),
        ("{team}/{service}", {}, "a/b/c", None),
        ("{team}/{service}", {}, "a", None),
        ("{team}/{path...}", {}, "a/b/c", {"team": "a", "path": "b/c"}),
        ("{path...}/{service}", {}, "a/b/c", {"path": "a/b", "service": "c"}),
        ("prod/{team}/x-{service}", {}, "prod/a/x-b", {"team": "a", "service": "b"}),
        ("prod/{team}/x-{service}", {}, "prod/a/y-b", None),
        ("{team}-{service}", {}, "a-b-c", {"team": "a", "service": "b-c"}),
        ("{team}-{service}", {"team": ["a-b"]}, "a-b-c", {"team": "a-b", "service": "c"}),
        ("{team}-{service}", {"team": ["a", "a-b"]}, "a-b-c", {"team": "a", "service": "b-c"}),
        ("{team}-{service}", {"team": ["a", "a-b"], "service": ["c"]}, "a-b-c", {"team": "a-b", "service": "c"}),
        ("{team}/{service}", {"team": {"regex": "[a-z/]+"}}, "a/b/c", None),  # a segment stays inside its part, whatever it may be
        ("{team}/{service}", {"team": "p*"}, "payments/x", {"team": "payments", "service": "x"}),
        ("{team}/{service}", {"team": ["payments"]}, "Payments/x", None),
        ("{a}/{path...}", {"path": "x/*"}, "a/x/y", {"a": "a", "path": "x/y"}),
        ("{a}/{path...}", {"path": "x/*"}, "a/z/y", None),
    ],
)
def test_a_name_is_read_by_the_convention(text: str, segments: dict[str, Any], name: str, read: dict[str, str] | None) -> None:
    assert convention(text, **segments).match(name) == read


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("api", "has 1 path part, where {team}/{service} has 2"),
        ("a/b/c", "has 3 path parts, where {team}/{service} has 2"),
        ("paymets/api", "team 'paymets' must be one of payments, search, data-platform"),
        ("payments/1", "service '1' must be like the expression [a-z][a-z0-9-]{1,38}"),
    ],
)
def test_a_wrong_name_is_told_what_is_wrong(name: str, wrong: str) -> None:
    assert wrong_with(TEAM_SERVICE, name) == wrong


def test_a_part_of_several_segments_is_told_as_a_whole() -> None:
    assert wrong_with(convention("x/{a}-{b}"), "x/foo") == "the part 'foo' does not fit {a}-{b}"
    assert wrong_with(convention("prod/{a}"), "dev/foo") == "the part 'dev' does not fit prod"


SPANNING = convention("{stage}-{team}/{path...}/image", stage=["dev", "prod"], team=TEAMS, path={"regex": "[a-z/]+"})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("dve-search/a/b/image", "stage 'dve' must be one of dev, prod"),
        ("dev-serach/a/b/image", "team 'serach' must be one of payments, search, data-platform"),
        ("dev-data-platform/a/9/image", "path 'a/9' must be like the expression [a-z/]+"),
        (
            "dve-search/9/image",
            "stage 'dve' must be one of dev, prod, and path '9' must be like the expression [a-z/]+",
        ),
        ("dev-search/image", "does not fit {stage}-{team}/{path...}/image: it has 2 path parts, where there must be at least 3"),
        ("dev-search/a/b/img", "does not fit {stage}-{team}/{path...}/image: it does not end with /image"),
        ("search/a/b/image", "does not fit {stage}-{team}/{path...}/image: there is no - in it"),
        ("search/a-b/c/image", "does not fit {stage}-{team}/{path...}/image: {stage} is one path part, not 'search/a'"),
    ],
)
def test_where_a_segment_spans_parts_the_wrong_segment_is_named(name: str, wrong: str) -> None:
    assert wrong_with(SPANNING, name) == wrong


@pytest.mark.parametrize(
    ("text", "name", "wrong"),
    [
        ("{team}/{path...}/v{n}", "a/b/v", "nothing stands for {n}"),
        ("{team}/{path...}/v{n}", "/b/v1", "nothing stands for {team}"),
        ("{team}/{path...}/v{n}", "a//v1", "nothing stands for {path...}"),
        ("{team}/{path...}/v{n}", "a/v/b/v", "nothing stands for {n}"),
        ("svc-{path...}-prod", "svc-prod", "nothing stands for {path...}"),
        ("{a}-x-{path...}-x-{b}", "1-x-x-2", "nothing stands for {path...}"),
        ("{path...}-{service}", "a/b-c/d", "{service} is one path part, not 'c/d'"),
        ("{team}.{path...}_{n}", "a_b.c", "its parts come in another order"),
        ("{team}/{path...}.v{n}", "a.v1/b", "its parts come in another order"),
    ],
)
def test_where_texts_of_the_convention_leave_a_segment_no_place_it_is_named(text: str, name: str, wrong: str) -> None:
    assert wrong_with(convention(text), name) == f"does not fit {text}: {wrong}"


def test_of_many_wrong_segments_three_are_named() -> None:
    few, many = (
        convention("{a}/{b}/{c}/{d}", **{key: ["x"] for key in "abcd"}),
        convention("{a}-{b}-{c}-{d}-{e}", **{key: ["x"] for key in "abcde"}),
    )

    assert wrong_with(few, "1/2/3/x") == "a '1' must be x, and b '2' must be x, and c '3' must be x"
    assert wrong_with(few, "1/2/3/4") == "a '1' must be x, and b '2' must be x, and c '3' must be x, and 1 more segment is wrong"
    assert wrong_with(many, "1-2-3-4-5") == "a '1' must be x, and b '2' must be x, and c '3' must be x, and 2 more segments are wrong"


def test_a_spanning_convention_says_how_a_name_must_begin() -> None:
    assert wrong_with(convention("x/{a...}"), "y/foo") == "does not fit x/{a...}: it does not begin with x/"


def test_the_nearest_words_are_those_of_the_wrong_segments() -> None:
    assert SPANNING.nearest_words(SPANNING.misfits("dve-serach/9/image")) == {"stage": "dev", "team": "search"}
    assert SPANNING.nearest_words(SPANNING.misfits("dev-billing/a/image")) == {}


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("payments/api", "payments/api"),
        ("paymets/Api_x", "payments/api-x"),
        ("paymnets/api", "payments/api"),
        ("Payments/API", "payments/api"),
        ("payments-api", "payments/api"),
        ("payments_api", "payments/api"),
        ("payments.api", "payments/api"),
        ("payments/api/v2", "payments/api-v2"),
        ("prod/payments/api", "payments/api"),
        ("data_platform/spark", "data-platform/spark"),
        ("dataplatform/spark", "data-platform/spark"),
        ("data/platform/spark", "data-platform/spark"),
        ("serach/indexer", "search/indexer"),
        ("search", None),
        ("billing/api", None),
        ("payments/" + "a" * 60, None),
        ("x" * 200, None),
        ("🐳/🐳", None),
    ],
)
def test_the_nearest_allowed_name_is_what_was_meant(name: str, nearest: str | None) -> None:
    assert TEAM_SERVICE.nearest(name) == nearest


@pytest.mark.parametrize(
    ("text", "segments", "name", "nearest"),
    [
        ("prod/{team}/{service}", {"team": TEAMS}, "payments/api", "prod/payments/api"),
        ("prod/{team}/{service}", {"team": TEAMS}, "prd/payments/api", "prod/payments/api"),
        ("{team}/{path...}", {"team": TEAMS}, "serch/a/b_c", "search/a/b_c"),
        ("{team}/{service}", {"team": ["payments"]}, "billing-api", "payments/billing-api"),
        ("{team}-{service}", {"team": TEAMS}, "search/api", "search-api"),
        ("{team}/{service}", {"team": TEAMS, "service": {"regex": "[a-z_]+"}}, "search/a-b", "search/a_b"),
        ("{team}/{service}", {}, "Team/Service", "team/service"),
    ],
)
def test_the_nearest_name_keeps_the_shape_of_the_convention(text: str, segments: dict[str, Any], name: str, nearest: str) -> None:
    assert convention(text, **segments).nearest(name) == nearest


NAMES = st.one_of(
    st.text(alphabet="abcdefPS/_-. 1", max_size=30),
    st.lists(st.sampled_from(["payments", "search", "paymets", "Data", "platform", "api", "v2", "-", "_", "/", ".", "/"]), max_size=8).map(
        "".join
    ),
    st.text(max_size=20),
)


@settings(max_examples=50)
@given(NAMES)
def test_what_is_suggested_is_always_allowed(name: str) -> None:
    nearest = TEAM_SERVICE.nearest(name)

    assert nearest == convention("{team}/{service}", team=TEAMS, service={"regex": "[a-z][a-z0-9-]{1,38}"}).nearest(name)
    if nearest is not None:
        assert TEAM_SERVICE.match(nearest) is not None
        assert is_repository_name(nearest)


@settings(max_examples=50)
@given(st.sampled_from(TEAMS), st.sampled_from(["api", "web-shop", "indexer"]), st.data())
def test_one_typing_error_leads_back(team: str, service: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(team) - 1))
    typed = data.draw(
        st.sampled_from([
            team[:at] + team[at + 1 :],
            team[:at] + "x" + team[at:],
            team[:at] + "x" + team[at + 1 :],
            team[:at] + team[at : at + 2][::-1] + team[at + 2 :],
            team.upper(),
        ])
    )  # fmt: skip

    assert TEAM_SERVICE.nearest(f"{typed}/{service}") == f"{team}/{service}"


def counted(text: str, name: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many texts are tried for the segments while the name is read and its nearest is sought."""
    asked: list[str] = []
    fits = Segment.fits

    def counting(segment: Segment, tried: str) -> bool:
        asked.append(tried)
        return fits(segment, tried)

    monkeypatch.setattr(Segment, "fits", counting)
    made = convention(text, a={"regex": "[a-z-]*"}, b={"regex": "[a-z-]*"}, c={"regex": "0"})
    made.match(name)
    made.nearest(name)
    wrong_with(made, name)
    return len(asked)


@pytest.mark.parametrize("length", [8, 32, 64, 127])
def test_a_hostile_name_costs_no_more_than_the_square_of_its_length(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "a-" * length

    assert counted("{a}-{b}-{c}-x", name, monkeypatch) <= 4 * len(name) ** 2


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("kitten", "sitting", 3), ("ca", "abc", 3)],
)
def test_the_distance_counts_single_corrections(left: str, right: str, distance: int) -> None:
    assert edit_distance(left, right) == distance


TEXTS = st.text(alphabet="abc", max_size=7)


def table(left: str, right: str) -> int:
    """The distance by the definition."""
    rows = [[row or column if not row or not column else 0 for column in range(len(right) + 1)] for row in range(len(left) + 1)]
    for row in range(1, len(left) + 1):
        for column in range(1, len(right) + 1):
            rows[row][column] = min(
                rows[row - 1][column] + 1,
                rows[row][column - 1] + 1,
                rows[row - 1][column - 1] + (left[row - 1] != right[column - 1]),
            )
            if row > 1 and column > 1 and (left[row - 1], left[row - 2]) == (right[column - 2], right[column - 1]):
                rows[row][column] = min(rows[row][column], rows[row - 2][column - 2] + 1)
    return rows[-1][-1]


@given(st.text(alphabet="abc-", max_size=90), st.text(alphabet="abc-", max_size=90), st.lists(st.integers(0, 90), max_size=4))
def test_the_distance_is_that_of_the_definition(left: str, right: str, holes: list[int]) -> None:
    nearly = "".join(character for place, character in enumerate(left) if place not in holes)

    assert edit_distance(left, right) == table(left, right)
    assert edit_distance(left, nearly) == table(left, nearly)


@settings(max_examples=50)
@given(TEXTS, TEXTS, st.integers(0, 4))
def test_the_limit_only_spares_work(left: str, right: str, limit: int) -> None:
    exact = edit_distance(left, right)

    assert exact == edit_distance(right, left)
    assert abs(len(left) - len(right)) <= exact <= max(len(left), len(right))
    assert (edit_distance(left, right, limit) <= limit) is (exact <= limit)
