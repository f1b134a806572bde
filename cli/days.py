"""Days as people give them on the command line."""

from datetime import datetime

from cli.trouble import Trouble

SHAPE = "YYYY-MM-DD"


def moment_of(text: str) -> datetime:
    """Read a day, or a day with a time, as it is given. Raises Trouble for what is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        do = "write it as for example 2026-01-01T00:00:00"
        raise Trouble(f"{text!r} is no moment", f"a moment is written {SHAPE}, with THH:MM:SS behind it or without", do) from error


def day_of(text: str) -> datetime:
    """Read a day as its first moment, without a time zone. Raises Trouble for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.strftime("%Y-%m-%d") != text:
        raise Trouble(f"{text!r} is no day of the calendar", f"a day is written {SHAPE}", "write it as for example 2027-03-31")
    return found
