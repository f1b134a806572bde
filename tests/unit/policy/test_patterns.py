"""Globs and expressions: what they match, and that no text makes them slow."""

import fnmatch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.core.policy.patterns import Matcher, PatternInvalid, check_expression, expression_matches, glob_matches


@pytest.mark.parametrize(
    ("glob", "text", "fits"),
    [
        ("*", "", True),
        ("legacy/*", "legacy/a/b", True),  # * crosses slashes, as in IAM
        ("legacy/*", "legacy/", True),
        ("legacy/*", "legacy", False),
        ("*/api", "a/b/api", True),
        ("a?c", "a/c", True),
        ("a?c", "ac", False),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ("a.c", "abc", False),
        ("a+", "aa", False),
        ("*", "line\nbreak", True),
        ("ä?", "äö", True),
        ("*", "\ud800", False),  # half a surrogate pair is no text
    ],
)
def test_a_glob_knows_star_and_question_mark_only(glob: str, text: str, fits: bool) -> None:
    assert glob_matches(glob, text) is fits


@settings(max_examples=50)
@given(st.text(alphabet="ab/*?", max_size=8), st.text(alphabet="ab/", max_size=8))
def test_globs_agree_with_the_shell(glob: str, text: str) -> None:
    assert glob_matches(glob, text) is fnmatch.fnmatchcase(text, glob)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("(?=a)b", "RE2 has no look-around ((?=)"),
        ("a(?!b)", "RE2 has no look-around ((?!)"),
        ("(?<=a)b", "RE2 has no look-around ((?<)"),
        ("(?<!a)b", "RE2 has no look-around ((?<)"),
        (r"(a)\1", "RE2 has no back-references"),
        ("[", "RE2 refuses it: missing ]"),
        ("a{2000}", "RE2 refuses it: invalid repetition size"),
        ("((a{100}){100}){100}", "RE2 refuses it: "),
    ],
)
def test_what_re2_does_not_take_is_explained(expression: str, reason: str) -> None:
    with pytest.raises(PatternInvalid) as caught:
        check_expression(expression)

    assert reason.removesuffix("?<") in str(caught.value).replace("(?<=", "(?<").replace("(?<!", "(?<")


# On these a backtracking engine takes longer than the universe has been there; here they end with the test's time limit far away.
@pytest.mark.parametrize("expression", ["(a+)+b", "(a|a)*b", "(a|aa)+b", "([a-z]+)*b", "(.*)*b", "(x+x+)+y"])
@pytest.mark.parametrize("unit", ["a", "x"])
def test_hostile_text_costs_no_more_than_its_length(expression: str, unit: str) -> None:
    assert not expression_matches(expression, unit * 50_000 + "!")


def test_a_hostile_glob_costs_no_more_than_its_length() -> None:
    assert not glob_matches("*a" * 50 + "b", "a" * 5_000)


@pytest.mark.parametrize(
    ("written", "fitting", "other", "described"),
    [
        (["a", "b"], "a", "c", "one of a, b"),
        (["a"], "a", "b", "a"),
        ({"one_of": list("abcdefghij")}, "j", "k", "one of a, b, c, d, e, f, g, h and 2 more"),
        ("svc-*", "svc-a/b", "a", "like svc-*"),
        ({"glob": "svc-?"}, "svc-a", "svc-", "like svc-?"),
        ({"regex": "v[0-9]+"}, "v10", "xv10", "like the expression v[0-9]+"),
        ({"regex": "a|b"}, "b", "ab", "like the expression a|b"),
    ],
)
def test_a_matcher_says_what_it_wants(written: object, fitting: str, other: str, described: str) -> None:
    matcher = Matcher.model_validate(written)

    assert matcher.matches(fitting)
    assert not matcher.matches(other)
    assert matcher.describe() == described
