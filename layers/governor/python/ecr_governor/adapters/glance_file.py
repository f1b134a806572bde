"""A glance as a document that is kept, and read back."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ecr_governor.adapters.invalid import first_problem
from ecr_governor.app.errors import Unintelligible
from ecr_governor.core.report.glance import Glance


@cache
def _adapter() -> TypeAdapter[Glance]:
    return TypeAdapter(Glance)


def glance_as_data(glance: Glance) -> dict[str, Any]:
    """Give a glance as a JSON object."""
    document: dict[str, Any] = _adapter().dump_python(glance, mode="json")
    return document


def glance_of_data(document: Mapping[str, Any]) -> Glance:
    """Read a glance. Raises Unintelligible with the place and what is wrong there."""
    try:
        return _adapter().validate_python(document)
    except ValidationError as error:
        raise Unintelligible(f"glance: {first_problem(error)}") from error
