"""Small changes of a module's source, each of which a test should notice.

What is changed: comparisons, operators, operands, conditions, filters, constants and texts, elements and entries of collections, arguments,
calls that only convert or choose, members of enumerations, fields for others of the same type, and statements that can be left out.
"""

import ast
import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

Node = TypeVar("Node", bound=ast.AST)
Step = tuple[str, int | None]
"""A field of a node, and a place in it where it is a list."""

_COMPARISONS: Final[Mapping[type[ast.cmpop], Sequence[type[ast.cmpop]]]] = {
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: Final[Mapping[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_OPPOSITES: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
_CONVERSIONS: Final = frozenset({"sorted", "set", "frozenset", "tuple", "list", "bool", "str"})
_DECLARED: Final = frozenset({"annotation", "returns", "decorator_list"})
"""What says what something is, from which nothing is computed. That a class cannot be changed is held for all of them in tests/architecture."""


@dataclass(frozen=True, eq=False)
class Mutant:
    """One change. `scope` is the function or class, `number` tells apart what looks the same there.

    `body_of` is the outermost function whose body it is made in, "" if it is made anywhere else, such as in a default.
    """

    line: int
    scope: str
    body_of: str
    before: str
    after: str
    number: int
    path: tuple[Step, ...]
    node: ast.AST

    @cached_property
    def identity(self) -> str:
        """What it is known by, wherever its line has gone."""
        which = f" #{self.number}" if self.number else ""
        return f"{self.scope}: {self.before} -> {self.after}{which}"

    def of(self, tree: ast.Module) -> ast.Module:
        """Give the tree with this change; the one given stays as it is."""
        changed = _changed(tree, self.path, self.node)
        assert isinstance(changed, ast.Module)
        return ast.fix_missing_locations(changed)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What can be taken for one another: the members of enumerations, and the fields of a class that have the same type."""

    members: Mapping[str, Sequence[str]]
    fields: Mapping[str, Sequence[str]]


def vocabulary_of(trees: Iterable[ast.Module]) -> Vocabulary:
    """Read what can be taken for one another out of the sources that define it."""
    members: dict[str, Sequence[str]] = {}
    fields: dict[str, list[str]] = {}
    for defined in (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        if any(isinstance(base, ast.Name) and base.id.endswith("Enum") for base in defined.bases):
            members[defined.name] = [_name(each.targets[0]) for each in defined.body if isinstance(each, ast.Assign)]
        typed: dict[str, list[str]] = {}
        for each in defined.body:
            if isinstance(each, ast.AnnAssign):
                typed.setdefault(ast.unparse(each.annotation).partition("Field(")[0], []).append(_name(each.target))
        for alike in typed.values():
            for one, other in zip(alike, [*alike[1:], alike[0]], strict=True):
                if one != other and other not in fields.setdefault(one, []):
                    fields[one].append(other)
    return Vocabulary(members, fields)


def mutants_of(tree: ast.Module, vocabulary: Vocabulary) -> Sequence[Mutant]:
    """Give all mutants of a module, in the order of its lines."""
    changes = _Changes(vocabulary)
    changes.visit(tree, (), "module", "")
    return changes.found


def _name(target: ast.expr) -> str:
    assert isinstance(target, ast.Name)
    return target.id


def _changed(node: ast.AST, path: Sequence[Step], new: ast.AST) -> ast.AST:
    """Copy only what lies on the way: the rest is shared."""
    if not path:
        return new
    (field, place), rest = path[0], path[1:]
    changed, value = copy.copy(node), getattr(node, field)
    if place is None:
        setattr(changed, field, _changed(value, rest, new))
    else:
        setattr(changed, field, [*value[:place], _changed(value[place], rest, new), *value[place + 1 :]])
    return changed


def _but(node: Node, **fields: object) -> Node:
    """The same node, but for some fields."""
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _without(values: Sequence[ast.AST], place: int) -> list[ast.AST]:
    return [*values[:place], *values[place + 1 :]]


def _pass(statement: ast.stmt) -> ast.stmt:
    return ast.copy_location(ast.Pass(), statement)


Change = tuple[ast.AST, str, str] | ast.AST
"""What stands in a node's place, and how both are to be written where their own text would not tell."""


class _Changes:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.found: list[Mutant] = []
        self._alike: Counter[tuple[str, str, str]] = Counter()

    def visit(self, node: ast.AST, path: tuple[Step, ...], scope: str, body_of: str, *, in_text: bool = False) -> None:
        """Find the changes of a node, then those within it."""
        seen = set[str]()
        for change in self._of(node, in_text=in_text):
            new, before, after = change if isinstance(change, tuple) else (change, ast.unparse(node), ast.unparse(change))
            if after not in seen:
                seen.add(after)
                self._add(node, path, (scope, body_of), (new, before, after))
        for field, value in ast.iter_fields(node):
            if field in _DECLARED or isinstance(node, ast.Import | ast.ImportFrom):
                continue
            inside, text = _scope(node, scope), in_text or isinstance(node, ast.JoinedStr)
            body = body_of or (inside if field == "body" and isinstance(node, ast.FunctionDef) else "")
            if isinstance(value, ast.AST):
                self.visit(value, (*path, (field, None)), inside, body, in_text=text)
            elif isinstance(value, list):
                for place, child in enumerate(value):
                    if isinstance(child, ast.AST) and not _is_docstring(child):
                        self.visit(child, (*path, (field, place)), inside, body, in_text=text)

    def _add(self, node: ast.AST, path: tuple[Step, ...], where: tuple[str, str], change: tuple[ast.AST, str, str]) -> None:
        (scope, body_of), (new, before, after) = where, change
        self._alike[scope, before, after] += 1
        number = self._alike[scope, before, after]
        self.found.append(Mutant(getattr(node, "lineno", 0), scope, body_of, before, after, number if number > 1 else 0, path, new))

    def _of(self, node: ast.AST, *, in_text: bool) -> Iterator[Change]:
        if isinstance(node, ast.Constant):
            yield from _of_constant(node, in_text=in_text)
        elif isinstance(node, ast.Attribute):
            yield from self._of_attribute(node)
        elif isinstance(node, ast.Call):
            yield from _of_call(node)
        elif isinstance(node, ast.stmt):
            yield from _of_statement(node)
        else:
            yield from _of_expression(node)

    def _of_attribute(self, node: ast.Attribute) -> Iterator[Change]:
        if not isinstance(node.ctx, ast.Load):
            return
        if isinstance(node.value, ast.Name) and node.attr in (members := self.vocabulary.members.get(node.value.id, ())):
            yield from (_but(node, attr=other) for other in members if other != node.attr)
        else:
            yield from (_but(node, attr=other) for other in self.vocabulary.fields.get(node.attr, ()))


def _scope(node: ast.AST, outer: str) -> str:
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return outer
    return node.name if outer == "module" else f"{outer}.{node.name}"


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _of_constant(node: ast.Constant, *, in_text: bool) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield _but(node, value=not value)
    elif isinstance(value, int):
        yield _but(node, value=value + 1)
        yield _but(node, value=value - 1)
    elif value is None:
        yield _but(node, value="")
    elif isinstance(value, str) and in_text:
        yield _but(node, value=f"XX{value}"), value, f"XX{value}"
    elif isinstance(value, str):
        yield _but(node, value=f"XX{value}")
        if value:
            yield _but(node, value="")


def _of_call(node: ast.Call) -> Iterator[Change]:
    if isinstance(node.func, ast.Name):
        if node.func.id in _OPPOSITES:
            yield _but(node, func=_but(node.func, id=_OPPOSITES[node.func.id]))
        if node.func.id in _CONVERSIONS and node.args:
            yield node.args[0]
    if node.args:
        yield _but(node, args=node.args[:-1])
    for place, keyword in enumerate(node.keywords):
        # The other truth value, which is tried as well, is most often what stands for none.
        if not (isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool)):
            yield _but(node, keywords=_without(node.keywords, place))
    if isinstance(node.func, ast.Name) and node.func.id in _OPPOSITES:
        # What they are given has no order.
        return
    for place in range(len(node.args) - 1):
        one, other = node.args[place : place + 2]
        yield _but(node, args=[*node.args[:place], other, one, *node.args[place + 2 :]])


def _of_expression(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in _COMPARISONS[type(operator)]:
                yield _but(node, ops=[*node.ops[:place], other(), *node.ops[place + 1 :]])
    elif isinstance(node, ast.BoolOp):
        yield _but(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        for place in range(len(node.values)):
            left = _without(node.values, place)
            yield left[0] if len(left) == 1 else _but(node, values=left)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.BinOp):
        if type(node.op) in _OPERATORS:
            yield _but(node, op=_OPERATORS[type(node.op)]())
        yield node.left
        yield node.right
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
        yield _but(node, body=node.orelse, orelse=node.body)
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        yield from _of_comprehension(node)
    elif isinstance(node, ast.Tuple | ast.List | ast.Set) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        for place in range(len(node.elts)):
            left = _without(node.elts, place)
            yield _but(node, elts=left) if left or not isinstance(node, ast.Set) else ast.Call(ast.Name("set", ast.Load()), [], [])
    elif isinstance(node, ast.Dict):
        for place in range(len(node.keys)):
            yield _but(node, keys=[*node.keys[:place], *node.keys[place + 1 :]], values=_without(node.values, place))
    elif isinstance(node, ast.Slice):
        for bound in ("lower", "upper", "step"):
            if getattr(node, bound) is not None:
                yield _but(node, **{bound: None})


def _of_comprehension(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> Iterator[Change]:
    for place, each in enumerate(node.generators):
        for which in range(len(each.ifs)):
            negated = ast.UnaryOp(ast.Not(), each.ifs[which])
            for ifs in (_without(each.ifs, which), [*each.ifs[:which], negated, *each.ifs[which + 1 :]]):
                yield _but(node, generators=[*node.generators[:place], _but(each, ifs=ifs), *node.generators[place + 1 :]])


def _of_statement(node: ast.stmt) -> Iterator[Change]:
    if isinstance(node, ast.If | ast.While):
        word = "if" if isinstance(node, ast.If) else "while"
        for test in (ast.Constant(value=True), ast.Constant(value=False), ast.UnaryOp(ast.Not(), node.test)):
            yield _but(node, test=test), f"{word} {ast.unparse(node.test)}", f"{word} {ast.unparse(test)}"
    elif isinstance(node, ast.Return):
        yield _pass(node)
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield _but(node, value=None)
    elif isinstance(node, ast.Expr | ast.Raise | ast.Continue | ast.Break):
        yield _dropped(node)
    elif isinstance(node, ast.AugAssign):
        yield _pass(node)
        if type(node.op) in _OPERATORS:
            yield _but(node, op=_OPERATORS[type(node.op)]())
    elif isinstance(node, ast.Match):
        for place, case in enumerate(node.cases):
            if not isinstance(case.pattern, ast.MatchAs):
                never = _but(case, guard=ast.Constant(value=False))
                yield (
                    _but(node, cases=[*node.cases[:place], never, *node.cases[place + 1 :]]),
                    f"case {ast.unparse(case.pattern)}",
                    f"case {ast.unparse(case.pattern)} if False",
                )


def _dropped(node: ast.stmt) -> ast.stmt:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield | ast.YieldFrom):
        # A function without any yield would be no generator any more.
        return _but(node, value=ast.YieldFrom(ast.Tuple([], ast.Load())))
    return _pass(node)
