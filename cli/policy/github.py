"""GitHub's workflow commands: lines by which a step marks lines of the files that it checked."""

from ecr_governor.core.foreign_text import visible


def annotation(level: str, message: str, **places: str | int) -> str:
    """Give the line that marks a place in a file. `level` is error, warning or notice; the message may have several lines."""
    where = ",".join(f"{key}={_property(str(value))}" for key, value in places.items())
    return f"::{level}{f' {where}' if where else ''}::{_data(message)}\n"


def _data(text: str) -> str:
    # What ends a command, or begins another, is spelt out: foreign text stays text.
    lines = (visible(line).replace("%", "%25") for line in text.splitlines())
    return "%0A".join(lines)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
