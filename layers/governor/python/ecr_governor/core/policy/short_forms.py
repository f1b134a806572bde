"""Short forms in the JSON Schema: a model that is also written as plain text, a list that is also written as its only entry."""

from typing import Any, Final

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

TEXT: Final = {"type": "string", "minLength": 1}
TEXTS: Final = {"type": "array", "items": {"type": "string"}, "minItems": 1}


def or_short(
    core_schema: CoreSchema, handler: GetJsonSchemaHandler, *forms: dict[str, Any], fields: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Make a model's schema the last of several forms; each of the fields is a form too."""
    reference = handler(core_schema)
    schema = handler.resolve_ref_schema(reference)
    long_form = dict(schema)
    # The field that may be written alone brings its own choices.
    alone = [schema["properties"][field] for field in fields]
    outside: dict[str, Any] = {key: long_form.pop(key) for key in ("title", "description") if key in long_form}
    # In place, because other schemas refer to this one.
    schema.clear()
    schema.update(outside, anyOf=[*alone, *forms, long_form])
    return reference


class OneOrList:
    """Marks a list whose only entry may stand alone."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        listed = handler(core_schema)
        return {"anyOf": [listed["items"], listed]}
