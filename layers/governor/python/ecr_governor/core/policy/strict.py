"""The base of all parts of a policy file: an unknown key is a problem, nothing is coerced."""

import functools
from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from ecr_governor.core.documents.problem import DocumentProblem, Path

HASH_LENGTH: Final = 12
"""Hexadecimal digits that identify a policy, or a part of it."""


def problems_error(*problems: DocumentProblem) -> PydanticCustomError:
    """One validation error that carries several faults, each with its path below the field."""
    summary = "; ".join(str(problem) for problem in problems)
    return PydanticCustomError("faults", "{summary}", {"summary": summary, "problems": problems})


def fault(what: str, do: str, at: Path = ()) -> PydanticCustomError:
    """One fault, and what to do about it; `at` is its path below the field."""
    return problems_error(DocumentProblem(at, what, do))


class Strict(BaseModel):
    """A part of a policy file."""

    # Built when the first policy is read, once and as one: the sections have no use of their own.
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, ignored_types=(functools.cached_property,), defer_build=True
    )
