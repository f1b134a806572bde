"""Reads YAML text: values with the place of each, or a problem with its line.

The YAML is read by the habits of YAML 1.2: only `true` and `false` are booleans (so `mode: off` is a word), a date is text until
the model asks for one, a key may stand once. Size, depth and the nodes that aliases multiply are limited.
"""

import math
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import re2
import yaml

from ecr_governor.core.documents.problem import KEY, Path

MAX_BYTES: Final = 256 * 1024
MAX_NODES: Final = 20_000
MAX_DEPTH: Final = 40
_SHOWN: Final = 60
_YAML: Final = "yaml"
_CHARACTER: Final = "character"
_TOO_LARGE: Final = "too-large"
_NO_MAPPING: Final = "no-mapping"

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OF_YAML: Final = "tag:yaml.org,2002:"

_LONGEST_NUMBER: Final = 18
_BEGIN_NUMBERS: Final = "+-.0123456789"
_INTEGER: Final = re2.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re2.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
# What YAML 1.2 does not count as printable (5.1, c-printable).
_UNPRINTABLE: Final = re2.compile(r"[^\t\n\r -~\x{85}\x{A0}-\x{FFFD}\x{10000}-\x{10FFFF}]")


@dataclass(frozen=True, slots=True)
class FileKind:
    """What a file is: how it is called, and how it begins."""

    noun: str
    begins: str


POLICY: Final = FileKind("policy", "version: 1")


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a file. Lines and columns count from 1. `code` names its kind, as the table of checks in docs/policy.md does."""

    source: str
    line: int
    column: int
    path: str
    what: str
    do: str
    code: str = _YAML

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}:{self.column}: "
        return place + (f"{self.path}: " if self.path else "") + f"{self.what} → {self.do}"


class PolicyInvalid(Exception):
    """The file cannot be used. Holds every problem that was found."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class Node:
    """A value of the file with the places of its parts. `source` names the file that it is in where that is another one."""

    __slots__ = ("column", "items", "keys", "line", "size", "source", "value")

    def __init__(self, mark: Any, value: Any) -> None:
        self.line = mark.line + 1
        self.column = mark.column + 1
        self.value = value
        self.size = 1
        self.source = ""
        self.items: dict[str | int, Node] = {}
        self.keys: dict[str | int, tuple[int, int]] = {}


def read_text(data: bytes, source: str, kind: FileKind = POLICY) -> str:
    """Give the text of a file. Raises PolicyInvalid if it is too long, or no text."""
    if len(data) > MAX_BYTES:
        raise too_large(source, None, kind)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _position(data[: error.start].decode("utf-8", "replace"))
        raise refused(source, "is not UTF-8 text", "save the file as UTF-8", line, column, _CHARACTER) from error


def too_large(source: str, size: int | None, kind: FileKind = POLICY) -> PolicyInvalid:
    """Refuse a file for its size in bytes; None where only so much of it was read that it is seen to be too large."""
    has = f"has {size} bytes; more than {MAX_BYTES} are not read" if size else f"is larger than {MAX_BYTES} bytes, the most that is read"
    return refused(source, f"the file {has}", f"take out what is no {kind.noun}", code=_TOO_LARGE)


def compose(text: str, source: str, kind: FileKind = POLICY) -> tuple["Node", list[Problem]]:
    """Read the mapping that a file holds, and the faults that do not keep the rest from being read. Raises PolicyInvalid."""
    if len(text) > MAX_BYTES:
        what = f"the file has {len(text)} characters; more than {MAX_BYTES} are not read"
        raise refused(source, what, f"take out what is no {kind.noun}", code=_TOO_LARGE)
    composer = _Composer(text, source, kind)
    return composer.compose(), composer.problems


class _Composer:
    """Builds the nodes from the parser's events, which come one by one: neither depth nor aliases cost more than the limits."""

    def __init__(self, text: str, source: str, kind: FileKind) -> None:
        self._text = text
        self._source = source
        self._kind = kind
        self._anchors: dict[str, Node | None] = {}
        self._nodes = 0
        self.problems: list[Problem] = []

    def compose(self) -> Node:
        self._check_characters()
        try:
            self._events = _parsed(self._text)
            return self._document()
        except yaml.MarkedYAMLError as error:
            raise self._syntax_error(error) from error
        except yaml.YAMLError as error:
            raise refused(self._source, f"is not YAML: {error}", "check the file with an editor that knows YAML") from error

    def _document(self) -> Node:
        next(self._events)  # the start of the stream
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            raise refused(self._source, "the file is empty", f"start with {self._kind.begins}", code=_NO_MAPPING)
        root = self._node(next(self._events), depth=0)
        next(self._events)  # the end of the document
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._fatal(event, "a second document begins", f"keep one {self._kind.noun} in one file; remove the ---")
        if root.value is None:
            raise refused(self._source, "the file is empty", f"start with {self._kind.begins}", root.line, root.column, _NO_MAPPING)
        if not isinstance(root.value, dict):
            raise refused(
                self._source,
                f"the file holds {kind_of(root.value)}; a {self._kind.noun} is a mapping",
                f"start with {self._kind.begins}",
                root.line,
                root.column,
                _NO_MAPPING,
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
        what = f"has the character U+{ord(self._text[at]):04X}, which YAML does not allow"
        raise refused(self._source, what, "remove it", line, column, _CHARACTER)

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> PolicyInvalid:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        lines = self._text.splitlines()
        here = lines[line - 1] if line <= len(lines) else ""
        if "\t" in here[: len(here) - len(here.lstrip())] or here[column - 1 : column] == "\t":
            return refused(self._source, "is indented with a tab", "indent with spaces", line, column)
        if quotes := _lacking_quotes(error, here, column):
            return refused(self._source, *quotes)
        what = " ".join(filter(None, (error.context, error.problem)))
        return refused(
            self._source, f"is not YAML: {what}", "check indentation, colons and quotes in this line and the one before", line, column
        )

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            raise self._fatal(event, f"is nested more than {MAX_DEPTH} levels deep", f"a {self._kind.noun} needs far fewer", _TOO_LARGE)
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

    def _alias(self, event: yaml.AliasEvent) -> Node:
        if event.anchor not in self._anchors:
            raise self._fatal(
                event,
                f"*{event.anchor} names no anchor",
                f"put it in quotes if it is text; or mark what it should repeat with &{event.anchor}",
            )
        node = self._anchors[event.anchor]
        if node is None:
            raise self._fatal(event, f"*{event.anchor} repeats what it is a part of", "write the value out")
        self._count(event, node.size)
        return node

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            what = f"the file has more than {MAX_NODES} values, aliases counted in full"
            raise self._fatal(event, what, "take out what is repeated", _TOO_LARGE)

    def _sequence(self, event: yaml.SequenceStartEvent, depth: int) -> Node:
        self._check_tag(event)
        node = Node(event.start_mark, [])
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            index = len(node.value)
            item = self._node(event, depth + 1)
            node.keys[index] = (event.start_mark.line + 1, event.start_mark.column + 1)
            node.items[index] = item
            node.value.append(item.value)
            node.size += item.size
        return node

    def _mapping(self, event: yaml.MappingStartEvent, depth: int) -> Node:
        self._check_tag(event)
        node = Node(event.start_mark, {})
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

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        self._check_tag(event)
        plain = event.tag is None and event.implicit[0] and not event.style
        return Node(event.start_mark, _resolved(event.value) if plain else event.value)

    def _check_tag(self, event: Any) -> None:
        """Refuse every tag, also one that says what the value is without it: there is one way to write a thing."""
        tag = event.tag
        if tag is None:
            return
        if tag == "!" or not tag.startswith("!"):
            self._note(event.start_mark, f"the YAML tag {tag.replace(_OF_YAML, '!!')} is not supported", "write the plain value")
        else:
            do = "put it in quotes, as a text that begins with ! needs them"
            self._note(event.start_mark, f"{tag} is a YAML tag, which is not supported", do)

    def _note(self, mark: yaml.Mark, what: str, do: str) -> None:
        self.problems.append(Problem(self._source, mark.line + 1, mark.column + 1, "", what, do))

    def _fatal(self, event: Any, what: str, do: str, code: str = _YAML) -> PolicyInvalid:
        return refused(self._source, what, do, event.start_mark.line + 1, event.start_mark.column + 1, code)


def _lacking_quotes(error: yaml.MarkedYAMLError, line: str, column: int) -> tuple[str, str, int, int] | None:
    """Tell of a text that needs quotes, or one more of them, what is wrong and where it begins; None where it is something else.

    `line` and `column` are those of the error.
    """
    begun, here = error.context_mark, error.problem_mark
    if begun is not None and error.context == "while scanning a quoted scalar" and str(error.problem).startswith("found unexpected"):
        return "is not YAML: a quote is opened here and not closed", "close it", begun.line + 1, begun.column + 1
    if begun is not None and error.context in _SIGNS:
        return _MEANT.format(_SIGNS[error.context]), _QUOTE, begun.line + 1, begun.column + 1
    if here is None:
        return None
    before, behind = line[: column - 1], line[column - 1 : column]
    if "cannot start any token" in str(error.problem):
        return _MEANT.format(behind), _QUOTE, here.line + 1, column
    # Text that follows a bracket at once, as in {team}/{service}. What follows at a distance may as well lack a comma.
    kind, opening = _CLOSED.get(before[-1:], ("", ""))
    start = before.rfind(opening) if opening and behind.strip(_NO_TEXT) else -1
    if start < 0:
        return None
    what = f"is not YAML: {kind} ends behind {before[start:][:_SHOWN]}, and text goes on"
    return what, "put the whole text in quotes", here.line + 1, start + 1


_SIGNS: Final = {"while scanning an alias": "*", "while scanning an anchor": "&"}
_MEANT: Final = "a value begins with {}, which has a meaning of its own in YAML"
_QUOTE: Final = "put it in quotes if it is text"
_CLOSED: Final = {"}": ("a mapping", "{"), "]": ("a list", "[")}
_NO_TEXT: Final = " \t,:#{}[]\"'"


def _parsed(text: str) -> Iterator[Any]:
    events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
    return events


def _resolved(text: str) -> Any:
    """Resolve what a plain scalar means by YAML 1.2's core schema."""
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in {"true", "True", "TRUE"}:
        return True
    if text in {"false", "False", "FALSE"}:
        return False
    if text[0] in _BEGIN_NUMBERS and len(text) <= _LONGEST_NUMBER and text.isascii():
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
            return number
    return text


def _position(before: str) -> tuple[int, int]:
    """Line and column of what follows the text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def place(root: Node, path: Path) -> tuple[int, int]:
    """Where the deepest part of the path begins that is in the file: a scalar's value, the key of anything larger."""
    _, line, column = found_at(root, path, "")
    return line, column


def found_at(root: Node, path: Path, source: str) -> tuple[str, int, int]:
    """Where that is, with the file: `source`, or the one beside it that the part is in."""
    node, found = root, (source, root.line, root.column)
    for step in path:
        if step not in node.items:
            if isinstance(node.value, list) and isinstance(step, str):
                continue  # a list that stands for a mapping's only key
            if node.source and step != KEY:
                return node.source, node.line, node.column  # what a whole file lacks
            break
        (line, column), node = node.keys[step], node.items[step]
        within = node.source or source
        found = (source, line, column) if node.items or path[-1] == KEY else (within, node.line, node.column)
        source = within
    return found


def node_at(root: Node, path: Path) -> Node:
    """Give what stands at a path. Raises KeyError if nothing does."""
    node = root
    for step in path:
        node = node.items[step]
    return node


def holds(root: Node, path: Path) -> bool:
    """Whether the file says anything at the path."""
    node = root
    for step in path:
        if step not in node.items:
            return False
        node = node.items[step]
    return True


def kind_of(value: object) -> str:
    """Say what a value is."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the truth value {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {shown(value)}"
        case list():
            return "a list"
        case _:
            return "a mapping"


def shown(value: object) -> str:
    """Show a value, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def refused(source: str, what: str, do: str, line: int = 1, column: int = 1, code: str = _YAML) -> PolicyInvalid:
    """Refuse a file for one reason."""
    return PolicyInvalid((Problem(source, line, column, "", what, do, code),))
