"""Reads a policy file: text in, `Policy` out, or every problem at once with its line."""

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
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
    try:
        made = model.model_validate(value, context=context)
    except ValidationError as error:
        problems += (problem for detail in error.errors(include_url=False) for problem in _problems(detail, model, root, source))
        raise PolicyInvalid(_in_order(problems, source)) from error
    if problems:
        raise PolicyInvalid(_in_order(problems, source))
    return made


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
            return DocumentProblem(at, f"the expression {shown(value)} cannot be used", str(context["reason"]))
        case "too_short" | "string_too_short":
            return DocumentProblem(at, "is empty", "write at least one, or remove it")
        case "too_long" | "string_too_long":
            return DocumentProblem(at, f"is too long; at most {context['max_length']} are allowed")
        case "greater_than_equal" | "less_than_equal":
            return DocumentProblem(
                at, f"{shown(value)} is out of bounds", f"write a number {_BOUNDS[detail['type']]} {next(iter(context.values()))}"
            )
        case "one_kind":
            return DocumentProblem(at, detail["msg"])
        case kind if kind in _WANTED:
            do = "put it in quotes" if kind == "string_type" and isinstance(value, int | float) else ""
            return DocumentProblem(at, f"must be {_WANTED[kind]}, not {kind_of(value)}", do)
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


def _fields(model: type[BaseModel]) -> dict[str, Any]:
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


def _described(model: type[BaseModel], at: Path) -> str:
    there = _model_at(model, at[:-1])
    field = _fields(there).get(str(at[-1])) if there else None
    return (field.description or "") if field else ""


def _in_order(problems: list[Problem], source: str) -> tuple[Problem, ...]:
    def order(problem: Problem) -> tuple[bool, str, int, int, str]:
        return problem.source != source, problem.source, problem.line, problem.column, problem.what

    return tuple(sorted(dict.fromkeys(problems), key=order))


__all__ = [
    "MAX_BYTES", "MAX_DEPTH", "POLICY", "FileKind", "Node", "PolicyInvalid", "Problem", "Reading", "load", "load_bytes", "read", "validated",
]  # fmt: skip
