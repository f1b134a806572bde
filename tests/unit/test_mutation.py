"""Mutants: which changes are tried, and that one which no test notices is told."""

import ast
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.mutation.__main__ import judge
from tests.mutation.mutants import Mutant, mutants_of, vocabulary_of
from tests.mutation.running import Subject, survivors_of

SOURCE = """
class Colour(StrEnum):
    RED = "red"
    GREEN = "green"

class Box:
    width: int
    height: int

def fits(box, colour=None):
    if box.width > 3:
        return colour is Colour.RED
    return False
"""


def made_of(source: str) -> list[Mutant]:
    tree = ast.parse(source)
    return list(mutants_of(tree, vocabulary_of([tree])))


def test_each_small_change_is_tried_once() -> None:
    assert [mutant.identity.removeprefix("fits: ") for mutant in made_of(SOURCE) if mutant.scope == "fits"] == [
        "None -> ''",
        "if box.width > 3 -> if True",
        "if box.width > 3 -> if False",
        "if box.width > 3 -> if not box.width > 3",
        "box.width > 3 -> box.width >= 3",
        "box.width > 3 -> box.width < 3",
        "box.width -> box.height",
        "3 -> 4",
        "3 -> 2",
        "return colour is Colour.RED -> pass",
        "return colour is Colour.RED -> return",
        "colour is Colour.RED -> colour is not Colour.RED",
        "Colour.RED -> Colour.GREEN",
        "return False -> pass",
        "return False -> return",
        "False -> True",
    ]


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("a and b", ["a or b", "b", "a"]),
        ("not a", ["a"]),
        ("a | b", ["a & b", "a", "b"]),
        ("a if b else c", ["a", "c", "c if b else a"]),
        ("[a for a in b if c]", ["[a for a in b]", "[a for a in b if not c]"]),
        ("max(a, b)", ["min(a, b)", "max(a)"]),
        ("f(a, b)", ["f(a)", "f(b, a)"]),
        ("sorted(a, key=b)", ["a", "sorted(key=b)", "sorted(a)"]),
        ("a(b=True)", ["False"]),
        ("(a, b)", ["(b,)", "(a,)"]),
        ("{a: b}", ["{}"]),
        ("a[b:c]", [":c", "b:"]),
        ("f'a{b}'", ["XXa"]),
        ("{a}", ["set()"]),
    ],
)
def test_expressions(line: str, changes: list[str]) -> None:
    assert [mutant.after for mutant in made_of(f"x = {line}")] == changes


def test_a_change_is_made_in_its_place_and_nowhere_else() -> None:
    tree = ast.parse("def f():\n    return a < b or a < b\n")
    mutants = mutants_of(tree, vocabulary_of([]))
    changed = [ast.unparse(mutant.of(tree)) for mutant in mutants if mutant.after == "a <= b"]
    assert changed == ["def f():\n    return a <= b or a < b", "def f():\n    return a < b or a <= b"]
    assert len({mutant.identity for mutant in mutants}) == len(mutants)
    assert ast.unparse(tree) == "def f():\n    return a < b or a < b"


def test_what_survives_must_be_listed_and_what_is_listed_must_survive() -> None:
    stays, goes = made_of("x = a < b")
    judged = judge([stays, goes], [stays], frozenset())
    assert judged.summary == "2 mutants, 1 killed, 0 equivalent, 1 survive"
    assert judged.wrong == ["survives, line 1: module: a < b -> a <= b"]
    judged = judge([stays, goes], [stays], {stays.identity})
    assert judged.summary == "2 mutants, 1 killed, 1 equivalent, 0 survive"
    assert judged.wrong == []
    assert judge([stays, goes], [stays], {stays.identity, goes.identity, "module: c -> d"}).wrong == [
        "listed, and no more: module: c -> d",
        "listed, and noticed: module: a < b -> a > b",
    ]


def survivors(folder: Path) -> list[str]:
    subject = Subject("weighing", folder / "weighing.py", [str(folder / "test_weighing.py")])
    return [mutant.identity for mutant in survivors_of(subject, mutants_of(subject.tree, vocabulary_of([])), 2)]


def test_a_change_that_no_test_notices_survives(tmp_path: Path) -> None:
    (tmp_path / "weighing.py").write_text("def heavy(kilos):\n    return kilos > 3\n")
    (tmp_path / "test_weighing.py").write_text(
        "from weighing import heavy\n\n\ndef test_heavy():\n    assert heavy(4)\n    assert not heavy(2)\n"
    )
    # What it changes for good is changed in a process of its own.
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        assert pool.submit(survivors, tmp_path).result() == ["heavy: kilos > 3 -> kilos >= 3", "heavy: 3 -> 2"]
