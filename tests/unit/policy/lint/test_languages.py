"""The automata behind the checks agree with RE2, and with ECR's own grammar."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.policy.lint.languages import (
    IMAGE_TAG,
    NAMES,
    REPOSITORY_NAME,
    TAGS,
    Alphabet,
    Both,
    Determined,
    Language,
    Machine,
    Undecided,
    shortest,
)
from ecr_governor.core.policy.patterns import PatternInvalid, check_expression, expression_matches, glob_matches

SMALL = Alphabet("abA0-_./")


def language(alphabet: Alphabet = SMALL, *, expression: str | None = None, glob: str | None = None) -> Language:
    made = Language(alphabet)
    made.end = made.expression(expression, 0) if expression is not None else made.glob(glob or "", 0)
    return made


def accepts(machine: Machine, alphabet: Alphabet, text: str) -> bool:
    state = machine.start
    for character in text:
        following = [to for mask, to in machine.moves(state) if mask & alphabet.mask(character)]
        assert len(following) <= 1
        if not following:
            return False
        state = following[0]
    return machine.accepts(state)


ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "A",
        "0",
        "-",
        r"\.",
        ".",
        "[ab]",
        "[^a]",
        "[a-b0]",
        "[[:alpha:]]",
        "[^[:digit:]-]",
        r"\d",
        r"\w",
        r"\W",
        r"[\d_]",
        "[]a]",
        "[a-]",
    ]
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,1}", "{1,}", "*?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        inner.map(lambda one: f"(?i){one}" if one in "abA" else one),
        inner.map(lambda one: f"(?P<x1>{one})" if "x1" not in one else one),
    ),
    max_leaves=6,
)


@settings(max_examples=120)
@given(EXPRESSIONS, st.lists(st.text(alphabet=SMALL.characters, max_size=5), max_size=8))
def test_an_expression_allows_what_re2_matches(expression: str, texts: list[str]) -> None:
    try:
        check_expression(expression)
    except PatternInvalid:
        return
    machine = Determined(language(expression=expression))
    for text in texts:
        assert accepts(machine, SMALL, text) == expression_matches(expression, text), (expression, text)


@settings(max_examples=60)
@given(st.text(alphabet="ab*?-", max_size=6), st.text(alphabet="ab-", max_size=6))
def test_a_glob_allows_what_it_matches(glob: str, text: str) -> None:
    assert accepts(Determined(language(glob=glob)), SMALL, text) == glob_matches(glob, text)


@settings(max_examples=120)
@given(st.text(alphabet="a0._-/", max_size=8))
def test_names_are_ecrs(text: str) -> None:
    assert accepts(REPOSITORY_NAME, NAMES, text) == is_repository_name(text)


@pytest.mark.parametrize(
    "expression",
    [r"\ba", "a^", "$a", r"\pLa", r"\Qa\E", "(a$|b)c", "(?m)^a", r"\Ba"],
)
def test_what_is_not_understood_counts_as_anything(expression: str) -> None:
    assert accepts(Determined(language(expression=expression)), SMALL, "0-/")


@pytest.mark.parametrize("expression", ["^ab$", "^a|b$", r"\Aab\z", "^(a|b)$", "^a", "b$"])
def test_anchors_at_the_ends_say_what_holds_anyway(expression: str) -> None:
    machine = Determined(language(expression=expression))

    assert [text for text in ("", "a", "b", "ab", "abb") if accepts(machine, SMALL, text)] == [
        text for text in ("", "a", "b", "ab", "abb") if expression_matches(expression, text)
    ]


def test_the_shortest_text_is_found_within_a_length() -> None:
    long = language(NAMES, expression="x{300}")

    assert shortest(language(NAMES, expression="[a-z]+/(?:b|cc)"), REPOSITORY_NAME, 256) == "a/b"
    assert shortest(language(NAMES, expression="[A-Z]+"), REPOSITORY_NAME, 256) is None
    assert shortest(long, REPOSITORY_NAME, 256) is None
    assert shortest(long, REPOSITORY_NAME, 300) == "x" * 300


def test_two_languages_may_meet_or_not() -> None:
    releases, branches = language(TAGS, expression="v[0-9]+"), Determined(language(TAGS, glob="b*"))

    assert shortest(releases, Both(IMAGE_TAG, branches), 128) is None
    assert shortest(releases, Both(IMAGE_TAG, Determined(language(TAGS, glob="*7"))), 128) == "v7"


def test_what_is_too_large_is_given_up() -> None:
    with pytest.raises(Undecided):
        language(NAMES, expression="((a{100}){100}){10}")
    huge = language(NAMES, glob="*a?????????????????????*")
    with pytest.raises(Undecided):
        shortest(language(NAMES, glob="*b?????????????????????"), Determined(huge), 10_000)
