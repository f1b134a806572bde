"""What is wrong with a document, in a few words."""

from pydantic import ValidationError


def first_problem(error: ValidationError) -> str:
    """Give the first problem and its place in the document, without the input, which may be long."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
