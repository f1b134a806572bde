"""Reads a policy file: text in, `Policy` out, or every problem at once with its line."""

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ecr_governor.core.documents.problem import KEY, DocumentProblem, Path, suggestion, written
from ecr_governor.core.policy import document_files, presets
from ecr_governor.core.policy.document_files import Files
from ecr_governor.core.policy.model import Known, Policy
from ecr_governor.core.policy.naming import ConventionInvalid, Segment, parts_of
from ecr_governor.core.policy.yaml_text import (
    MAX_BYTES,
    MAX_DEPTH,
    POLICY,
    FileKind,
    Node,
    PolicyInvalid,
    Problem,
    compose,
    found_at,
    kind_of,
    read_text,
    shown,
)
from ecr_governor.core.rules import RULES

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Reading:
    """A policy, and the file that it was read from: what stands where."""

    policy: Policy
    source: str
    root: Node


def load_bytes(data: bytes, source: str) -> Policy:
    """Read a policy file from its bytes."""
    return load(read_text(data, source), source)


def load(text: str, source: str) -> Policy:
    """Read a policy file from its text."""
    return read(text, source).policy


def read(text: str, source: str, files: Files | None = None) -> Reading:
    """Read a policy file from its text, with the documents that it leaves to `files`, and keep what stands where."""
    root, problems = compose(text, source)
    problems += document_files.put_in(root, source, files, len(text.encode()))
    preset = presets.named_in(root.value)
    content = presets.over(presets.root_of(preset).value, root.value) if preset else root.value
    return Reading(validated(Policy, content, root, source, problems, _known(content)), source, root)


def validated(model: type[_Model], value: Any, root: Node, source: str, problems: list[Problem], context: Any = None) -> _Model:
    """Make a model of a file's content. Raises PolicyInvalid with these problems and all that are found."""
    # Of a value that the text keeps from being read, what else it is not is no news.
    told = {(problem.source, problem.line, problem.column) for problem in problems}
    try:
        made = model.model_validate(value, context=context)
    except ValidationError as error:
        problems += (
            problem
            for detail in _all_errors(model, value, context, error.errors(include_url=False))
            for problem in _problems(detail, model, root, source)
            if problem.code in {"missing-key", "unknown-key"} or (problem.source, problem.line, problem.column) not in told
        )
        raise PolicyInvalid(_in_order(problems, source)) from error
    if problems:
        raise PolicyInvalid(_in_order(problems, source))
    return made


# --- what waits behind an error -------------------------------------------------------------------------------------------------------


def _all_errors(model: type[BaseModel], value: Any, context: Any, errors: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Give these errors of the content, and those that pydantic comes to only where a section has no others.

    A check that compares several keys of a section runs once each of them is right. So what is wrong is taken out, and the rest is looked
    at again, until there is nothing more to be found.
    """
    yield from errors
    rest, touched = _copied(value), set[Path]()
    while errors:
        paths = [detail["loc"] for detail in errors]
        # A list goes as a whole, so that what stays keeps its number: not before its entries have told all.
        out = _all_taken_out(rest, paths, lists=False) or _all_taken_out(rest, paths, lists=True)
        if not out:
            return
        touched |= {path[:end] for path in out for end in range(1, len(path) + 1)}
        try:
            model.model_validate(rest, context=context)
        except ValidationError as error:
            errors = error.errors(include_url=False)
        else:
            return
        yield from filter(None, (_apart_from(detail, touched) for detail in errors))


def _copied(value: Any) -> Any:
    """Copy mappings and lists. What an alias repeats becomes one of its own each time, so that it can be taken out of one place alone."""
    if isinstance(value, dict):
        return {key: _copied(below) for key, below in value.items()}
    return [_copied(below) for below in value] if isinstance(value, list) else value


def _all_taken_out(content: Any, paths: list[Path], *, lists: bool) -> set[Path]:
    """Take out what is at each of the paths; give what paths those were."""
    out: set[Path] = set()
    for at in paths:
        # What lies in a part that is out has gone with it, and is no reason to take what that part was in.
        if not any(at[:end] in out for end in range(1, len(at) + 1)) and (path := _taken_out(content, at, lists=lists)):
            out.add(path)
    return out


def _taken_out(content: Any, at: Path, *, lists: bool) -> Path:
    """Take what is at the path out of the mapping that it is in; give what path that was, () where nothing was taken.

    Of an entry of a list that is no mapping's value the list is taken, if lists are.
    """
    holder: dict[Any, Any] | None = None
    key: str | int = ""
    here, path, depth = content, [], 0
    for step in at:
        if not (step in here if isinstance(here, dict) else isinstance(here, list) and isinstance(step, int) and step < len(here)):
            break
        path.append(step)
        if isinstance(here, dict):
            holder, key, depth = here, step, len(path)
        here = here[step]
    if holder is None or (depth < len(path) and not lists):
        return ()
    del holder[key]
    return tuple(path[:depth])


def _apart_from(detail: ErrorDetails, touched: set[Path]) -> ErrorDetails | None:
    """Give what is left of an error if nothing is said of what was only taken out. `touched` is that, and all that it was in."""
    at: Path = detail["loc"]
    if detail["type"] == "missing" and at in touched:
        return None
    if detail["type"] != "faults":
        return detail
    own = tuple(fault for fault in detail["ctx"]["problems"] if not any((*at, key) in touched for key in fault.lacks))
    return {**detail, "ctx": {"problems": own}} if own else None


# --- from pydantic's errors to problems -----------------------------------------------------------------------------------------------


def _known(content: dict[str, Any]) -> Known:
    """Gather what the sections' checks need of each other, as far as the file says it readably."""
    naming = content.get("naming")
    segments: frozenset[str] | None = frozenset()
    if naming is not None:
        try:
            segments = frozenset(part.name for part in parts_of(naming["convention"]) if isinstance(part, Segment))
        except (KeyError, TypeError, AttributeError, ConventionInvalid):
            segments = None
    return Known(frozenset(RULES), segments)


def _problems(detail: ErrorDetails, model: type[BaseModel], root: Node, source: str) -> Iterator[Problem]:
    """Return the problems of the file that one of pydantic's errors stands for."""
    at: Path = detail["loc"]
    if detail["type"] == "too_short" and detail["input"]:
        return  # its entries are there, but faulty, and told on their own
    if detail["type"] == "faults":
        faults = tuple(DocumentProblem((*at, *fault.at), fault.what, fault.do) for fault in detail["ctx"]["problems"])
    else:
        faults = (_translated(detail, at, model),)
    for fault in faults:
        file, line, column = found_at(root, fault.at, source)
        yield Problem(file, line, column, written(fault.at), fault.what, fault.do, _code(detail["type"], at))


_CODES: Final = {"missing": "missing-key", "extra_forbidden": "unknown-key", "expression": "pattern", "faults": "value"}


def _code(kind: str, at: Path) -> str:
    """Name the kind of problem."""
    if kind == "faults" and at and at[-1] in {"lifecycle_policy", "repository_policy"}:
        return "document"
    return "type" if kind in _WANTED else _CODES.get(kind, "value")


def _translated(detail: ErrorDetails, at: Path, model: type[BaseModel]) -> DocumentProblem:
    """Pydantic's error in the words of the policy file."""
    value, context = detail["input"], detail.get("ctx", {})
    last = str(at[-1]) if at else ""
    match detail["type"]:
        case "missing":
            return DocumentProblem(at, f"{last} is missing", f"add {last}: {_described(model, at)}".removesuffix(": "))
        case "extra_forbidden":
            return DocumentProblem((*at, KEY), f"unknown key {last!r}", suggestion(last, _allowed_keys(model, at[:-1])))
        case "enum" | "literal_error":
            allowed = str(context["expected"]).split("'")[1::2]
            what = "has no value" if value is None else f"{shown(value)} is not one of the allowed values"
            return DocumentProblem(at, what, suggestion(str(value), allowed))
        case "expression":
            return DocumentProblem(at, f"the expression {shown(value)} cannot be used: {context['why']}", str(context["do"]))
        case "too_short" | "string_too_short":
            do = "write at least one" if detail["type"] == "too_short" else "write a text"
            field = _field_at(model, at)
            return DocumentProblem(at, "is empty", do if field is not None and field.is_required() else f"{do}, or remove it")
        case "too_long" | "string_too_long":
            return DocumentProblem(
                at, f"is too long; at most {context['max_length']} are allowed", f"keep {context['max_length']} or fewer"
            )
        case "greater_than_equal" | "less_than_equal":
            return DocumentProblem(
                at, f"{shown(value)} is out of bounds", f"write a number {_BOUNDS[detail['type']]} {next(iter(context.values()))}"
            )
        case kind if kind in _WANTED:
            return DocumentProblem(at, f"must be {_WANTED[kind]}, not {kind_of(value)}", _instead(kind, value, _allowed_keys(model, at)))
        case _:
            return DocumentProblem(at, detail["msg"][:1].lower() + detail["msg"][1:], "docs/policy.md says what it takes")


_BOUNDS: Final = {"greater_than_equal": "of at least", "less_than_equal": "of at most"}
_WANTED: Final = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
}


def _instead(kind: str, value: object, keys: list[str]) -> str:
    """Say what to write in the place of a value of the wrong type. `keys` are those of the mapping that belongs there, if it has fixed ones."""
    match kind:
        case "string_type":
            return "put it in quotes" if isinstance(value, int | float) else "write a text"
        case "bool_type":
            return "write true or false, without quotes"
        case "int_type" | "float_type":
            return f"write {_WANTED[kind]} in digits, without quotes"
        case "tuple_type":
            return "write - before each entry, or the entries in [ ]"
        case _:
            named = f", of {', '.join(keys)}" if keys else ""
            return f"write key: value below it{named}; or remove it"


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_at(model: type[BaseModel], at: Path) -> type[BaseModel] | None:
    """Return the model that describes the mapping at the path."""
    here: Any = model
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


def _allowed_keys(model: type[BaseModel], at: Path) -> list[str]:
    there = _model_at(model, at)
    return list(_fields(there)) if there else []


def _field_at(model: type[BaseModel], at: Path) -> FieldInfo | None:
    there = _model_at(model, at[:-1])
    return _fields(there).get(str(at[-1])) if there else None


def _described(model: type[BaseModel], at: Path) -> str:
    field = _field_at(model, at)
    return (field.description or "") if field else ""


def _in_order(problems: list[Problem], source: str) -> tuple[Problem, ...]:
    def order(problem: Problem) -> tuple[bool, str, int, int, str]:
        return problem.source != source, problem.source, problem.line, problem.column, problem.what

    return tuple(sorted(dict.fromkeys(problems), key=order))


__all__ = [
    "MAX_BYTES", "MAX_DEPTH", "POLICY", "FileKind", "Node", "PolicyInvalid", "Problem", "Reading", "load", "load_bytes", "read", "validated",
]  # fmt: skip
