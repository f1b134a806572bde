"""JSON as ECR hands it out: read strictly, written compactly."""

import json
from typing import Any


class JsonInvalid(ValueError):
    """The text is no JSON object, with the reason."""


def read(text: str) -> dict[str, Any]:
    """Read a JSON object, or raise `JsonInvalid`. A key that stands twice is refused: readers would disagree on what it says."""
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise JsonInvalid(f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
    except JsonInvalid:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise JsonInvalid("holds a number that is too long") from error
    except RecursionError as error:
        raise JsonInvalid("is nested too deeply") from error
    if not isinstance(document, dict):
        raise JsonInvalid("is not a JSON object")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise JsonInvalid(f"has the key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return found


def write(document: object) -> str:
    """Write JSON without white space, keys in the order given."""
    return json.dumps(document, separators=(",", ":"))


def canonical(document: object) -> str:
    """Write JSON in the one way in which equal documents are equal texts."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True)
