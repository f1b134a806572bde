"""Reads a policy file: text in, `Policy` out, or every problem at once with its line.

The YAML is read by the habits of YAML 1.2: only `true` and `false` are booleans (so `mode: off` is a word), a date is text until
the model asks for one, a key may stand once. Size, depth and the nodes that aliases multiply are limited.
"""

import math
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import re2
import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ecr_governor.core.documents.problem import KEY, DocumentProblem, Path, suggestion, written
from ecr_governor.core.policy.model import Known, Policy
from ecr_governor.core.policy.naming import ConventionInvalid, Segment, parts_of
from ecr_governor.core.rules import RULES

MAX_BYTES: Final = 256 * 1024
MAX_NODES: Final = 20_000
MAX_DEPTH: Final = 40
_SHOWN: Final = 60

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STR: Final = "tag:yaml.org,2002:str"
_PLAIN: Final = frozenset({None, "!", _STR})

_LONGEST_NUMBER: Final = 18
_INTEGER: Final = re2.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re2.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
# What YAML 1.2 does not count as printable (5.1, c-printable).
_UNPRINTABLE: Final = re2.compile(r"[^\t\n\r -~\x{85}\x{A0}-\x{FFFD}\x{10000}-\x{10FFFF}]")


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a policy file. Lines and columns count from 1."""

    source: str
    line: int
    column: int
    path: str
    what: str
    do: str = ""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}:{self.column}: "
        return place + (f"{self.path}: " if self.path else "") + self.what + (f" → {self.do}" if self.do else "")


class PolicyInvalid(Exception):
    """The policy file cannot be used. Holds every problem that was found."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


def load_bytes(data: bytes, source: str) -> Policy:
    """Read a policy file from its bytes."""
    if len(data) > MAX_BYTES:
        raise _refused(source, f"the file has {len(data)} bytes; more than {MAX_BYTES} are not read", "take out what is no policy")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _position(data[: error.start].decode("utf-8", "replace"))
        raise _refused(source, "is not UTF-8 text", "save the file as UTF-8", line, column) from error
    return load(text, source)


def load(text: str, source: str) -> Policy:
    """Read a policy file from its text."""
    if len(text) > MAX_BYTES:
        raise _refused(source, f"the file has {len(text)} characters; more than {MAX_BYTES} are not read", "take out what is no policy")
    composer = _Composer(text, source)
    root = composer.compose()
    problems = composer.problems
    try:
        policy = Policy.model_validate(root.value, context=_known(root))
    except ValidationError as error:
        problems += (problem for detail in error.errors(include_url=False) for problem in _problems(detail, root, source))
        raise PolicyInvalid(_in_order(problems)) from error
    if problems:
        raise PolicyInvalid(_in_order(problems))
    return policy


# --- YAML -----------------------------------------------------------------------------------------------------------------------------


class _Node:
    """A value of the file with the places of its parts."""

    __slots__ = ("column", "items", "keys", "line", "size", "value")

    def __init__(self, mark: Any, value: Any) -> None:
        self.line = mark.line + 1
        self.column = mark.column + 1
        self.value = value
        self.size = 1
        self.items: dict[str | int, _Node] = {}
        self.keys: dict[str | int, tuple[int, int]] = {}


class _Composer:
    """Builds the nodes from the parser's events, which come one by one: neither depth nor aliases cost more than the limits."""

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self._source = source
        self._anchors: dict[str, _Node | None] = {}
        self._nodes = 0
        self.problems: list[Problem] = []

    def compose(self) -> _Node:
        self._check_characters()
        try:
            self._events: Iterator[Any] = yaml.parse(self._text, Loader=_LOADER)
            return self._document()
        except yaml.MarkedYAMLError as error:
            raise self._syntax_error(error) from error
        except yaml.YAMLError as error:
            raise _refused(self._source, f"is not YAML: {error}", "check the file with an editor that knows YAML") from error

    def _document(self) -> _Node:
        next(self._events)  # the start of the stream
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            raise _refused(self._source, "the file is empty", "start with version: 1")
        root = self._node(next(self._events), depth=0)
        next(self._events)  # the end of the document
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._fatal(event, "a second document begins", "keep one policy in one file; remove the ---")
        if root.value is None:
            raise _refused(self._source, "the file is empty", "start with version: 1", root.line, root.column)
        if not isinstance(root.value, dict):
            raise _refused(
                self._source, f"the file holds {_kind(root.value)}; a policy is a mapping", "start with version: 1", root.line, root.column
            )
        return root

    def _check_characters(self) -> None:
        try:
            self._text.encode()
        except UnicodeEncodeError as error:
            self._refuse_character(error.start)
        if found := _UNPRINTABLE.search(self._text):
            self._refuse_character(found.start())

    def _refuse_character(self, at: int) -> typing.NoReturn:
        line, column = _position(self._text[:at])
        raise _refused(self._source, f"has the character U+{ord(self._text[at]):04X}, which YAML does not allow", "remove it", line, column)

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> PolicyInvalid:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        lines = self._text.splitlines()
        here = lines[line - 1] if line <= len(lines) else ""
        if "\t" in here[: len(here) - len(here.lstrip())] or here[column - 1 : column] == "\t":
            return _refused(self._source, "is indented with a tab", "indent with spaces", line, column)
        what = " ".join(filter(None, (error.context, error.problem)))
        return _refused(
            self._source, f"is not YAML: {what}", "check indentation, colons and quotes in this line and the one before", line, column
        )

    def _node(self, event: Any, depth: int) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            raise self._fatal(event, f"is nested more than {MAX_DEPTH} levels deep", "a policy needs far fewer")
        self._count(event, 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent) -> _Node:
        if event.anchor not in self._anchors:
            raise self._fatal(event, f"*{event.anchor} names no anchor", f"mark what it should repeat with &{event.anchor}")
        node = self._anchors[event.anchor]
        if node is None:
            raise self._fatal(event, f"*{event.anchor} repeats what it is a part of", "write the value out")
        self._count(event, node.size)
        return node

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self._fatal(event, f"the file has more than {MAX_NODES} values, aliases counted in full", "take out what is repeated")

    def _sequence(self, event: yaml.SequenceStartEvent, depth: int) -> _Node:
        self._check_tag(event, "tag:yaml.org,2002:seq")
        node = _Node(event.start_mark, [])
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            index = len(node.value)
            item = self._node(event, depth + 1)
            node.keys[index] = (event.start_mark.line + 1, event.start_mark.column + 1)
            node.items[index] = item
            node.value.append(item.value)
            node.size += item.size
        return node

    def _mapping(self, event: yaml.MappingStartEvent, depth: int) -> _Node:
        self._check_tag(event, "tag:yaml.org,2002:map")
        node = _Node(event.start_mark, {})
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            mark = event.start_mark
            # A key is text as it stands: `on`, `012` and `2027-01-31` name themselves.
            key = event.value if isinstance(event, yaml.ScalarEvent) else None
            self._node(event, depth + 1)
            item = self._node(next(self._events), depth + 1)
            node.size += item.size
            if key is None:
                self._note(mark, "a key must be text", "write the key out")
            elif key == "<<":
                self._note(mark, "merging by << is not supported", "a namespace has what it leaves out from ROOT; write out the rest")
            elif key in node.value:
                self._note(mark, f"the key {key!r} is there twice, first in line {node.keys[key][0]}", "keep one of them")
            else:
                node.keys[key] = (mark.line + 1, mark.column + 1)
                node.items[key] = item
                node.value[key] = item.value
        return node

    def _scalar(self, event: yaml.ScalarEvent) -> _Node:
        if event.tag not in _PLAIN:
            self._check_tag(event, _STR)
        plain = event.tag is None and event.implicit[0] and not event.style
        return _Node(event.start_mark, _resolved(event.value) if plain else event.value)

    def _check_tag(self, event: Any, expected: str) -> None:
        if event.tag not in {None, "!", expected}:
            shown = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._note(event.start_mark, f"the YAML tag {shown} is not supported", "write the plain value")

    def _note(self, mark: yaml.Mark, what: str, do: str) -> None:
        self.problems.append(Problem(self._source, mark.line + 1, mark.column + 1, "", what, do))

    def _fatal(self, event: Any, what: str, do: str) -> PolicyInvalid:
        return _refused(self._source, what, do, event.start_mark.line + 1, event.start_mark.column + 1)


def _resolved(text: str) -> Any:
    """Resolve what a plain scalar means by YAML 1.2's core schema."""
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in {"true", "True", "TRUE"}:
        return True
    if text in {"false", "False", "FALSE"}:
        return False
    if len(text) <= _LONGEST_NUMBER and text.isascii():
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
            return number
    return text


def _position(before: str) -> tuple[int, int]:
    """Line and column of what follows the text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _refused(source: str, what: str, do: str, line: int = 1, column: int = 1) -> PolicyInvalid:
    return PolicyInvalid((Problem(source, line, column, "", what, do),))


# --- from pydantic's errors to problems -----------------------------------------------------------------------------------------------


def _known(root: _Node) -> Known:
    """Gather what the sections' checks need of each other, as far as the file says it readably."""
    naming = root.value.get("naming")
    segments: frozenset[str] | None = frozenset()
    if naming is not None:
        try:
            segments = frozenset(part.name for part in parts_of(naming["convention"]) if isinstance(part, Segment))
        except (KeyError, TypeError, AttributeError, ConventionInvalid):
            segments = None
    return Known(frozenset(RULES), segments)


def _problems(detail: ErrorDetails, root: _Node, source: str) -> Iterator[Problem]:
    """Return the problems of the file that one of pydantic's errors stands for."""
    at: Path = detail["loc"]
    if detail["type"] == "too_short" and detail["input"]:
        return  # its entries are there, but faulty, and told on their own
    if detail["type"] == "faults":
        faults = tuple(DocumentProblem((*at, *fault.at), fault.what, fault.do) for fault in detail["ctx"]["problems"])
    else:
        faults = (_translated(detail, at),)
    for fault in faults:
        line, column = _place(root, fault.at)
        yield Problem(source, line, column, written(fault.at), fault.what, fault.do)


def _place(root: _Node, path: Path) -> tuple[int, int]:
    """Where the deepest part of the path begins that is in the file: a scalar's value, the key of anything larger."""
    node, place = root, (root.line, root.column)
    for step in path:
        if step not in node.items:
            break
        key, node = node.keys[step], node.items[step]
        place = key if node.items or path[-1] == KEY else (node.line, node.column)
    return place


def _translated(detail: ErrorDetails, at: Path) -> DocumentProblem:
    """Pydantic's error in the words of the policy file."""
    value, context = detail["input"], detail.get("ctx", {})
    last = str(at[-1]) if at else ""
    match detail["type"]:
        case "missing":
            return DocumentProblem(at, f"{last} is missing", f"add {last}: {_described(at)}".removesuffix(": "))
        case "extra_forbidden":
            return DocumentProblem((*at, KEY), f"unknown key {last!r}", suggestion(last, _allowed_keys(at[:-1])))
        case "enum" | "literal_error":
            allowed = str(context["expected"]).split("'")[1::2]
            what = "has no value" if value is None else f"{_shown(value)} is not one of the allowed values"
            return DocumentProblem(at, what, suggestion(str(value), allowed))
        case "expression":
            return DocumentProblem(at, f"the expression {_shown(value)} cannot be used", str(context["reason"]))
        case "too_short" | "string_too_short":
            return DocumentProblem(at, "is empty", "write at least one, or remove it")
        case "too_long" | "string_too_long":
            return DocumentProblem(at, f"is too long; at most {context['max_length']} are allowed")
        case "greater_than_equal" | "less_than_equal":
            return DocumentProblem(
                at, f"{_shown(value)} is out of bounds", f"write a number {_BOUNDS[detail['type']]} {next(iter(context.values()))}"
            )
        case "one_kind":
            return DocumentProblem(at, detail["msg"])
        case kind if kind in _WANTED:
            do = "put it in quotes" if kind == "string_type" and isinstance(value, int | float) else ""
            return DocumentProblem(at, f"must be {_WANTED[kind]}, not {_kind(value)}", do)
        case _:
            return DocumentProblem(at, detail["msg"][:1].lower() + detail["msg"][1:])


_BOUNDS: Final = {"greater_than_equal": "of at least", "less_than_equal": "of at most"}
_WANTED: Final = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
}


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the truth value {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {_shown(value)}"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_at(at: Path) -> type[BaseModel] | None:
    """Return the model that describes the mapping at the path."""
    here: Any = Policy
    for step in at:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = _fields(here).get(str(step))
            here = _bare(field.annotation) if field else None
        else:  # a mapping's or a list's own content
            arguments = typing.get_args(here)
            here = _bare(arguments[0 if isinstance(step, int) else -1]) if arguments else None
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _bare(annotation: Any) -> Any:
    """Strip the type of `Annotated` and `| None`."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is Annotated:
            annotation = typing.get_args(annotation)[0]
        elif origin in {types.UnionType, typing.Union}:
            annotation = next(one for one in typing.get_args(annotation) if one is not type(None))
        else:
            return annotation


def _allowed_keys(at: Path) -> list[str]:
    model = _model_at(at)
    return list(_fields(model)) if model else []


def _described(at: Path) -> str:
    model = _model_at(at[:-1])
    field = _fields(model).get(str(at[-1])) if model else None
    return (field.description or "") if field else ""


def _in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.column, problem.what)))
