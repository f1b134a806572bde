"""Words that the report, its formats and the audit share, and foreign text made fit to be shown."""

from datetime import UTC, datetime
from typing import Final

KIBI: Final = 1024


def utc(at: datetime | None) -> str | None:
    """Give a time for machines, always in UTC."""
    return at.astimezone(UTC).isoformat() if at else None


def day(at: datetime) -> str:
    """Give the day of a time, in UTC."""
    return at.astimezone(UTC).date().isoformat()


def plural(count: int) -> str:
    """Give the ending of a noun that is counted."""
    return "" if count == 1 else "s"


def repositories(count: int) -> str:
    """Count repositories in words."""
    return f"{count:,} repositor{'y' if count == 1 else 'ies'}"


def size(size_bytes: int) -> str:
    """Give a size in the unit in which it has at most four digits."""
    if size_bytes < KIBI:
        return f"{size_bytes} B"
    amount, unit = size_bytes / KIBI, "KiB"
    for larger in ("MiB", "GiB", "TiB", "PiB"):
        # What would be rounded to 1024.0 is one of the next unit.
        if amount < KIBI - 0.05:
            break
        amount, unit = amount / KIBI, larger
    return f"{amount:.1f} {unit}"


def dollars(least: float, most: float) -> str:
    """Give a range of USD: cents below ten, whole dollars above; what is less than a cent is nothing to count."""
    if most < 0.01:  # noqa: PLR2004 - a cent
        return "less than a cent"
    first, last = _amount(least), _amount(most)
    return f"${last}" if first == last else f"${first} to ${last}"


def _amount(usd: float) -> str:
    return f"{usd:,.2f}" if usd < 10 else f"{usd:,.0f}"  # noqa: PLR2004 - what a person reads at a glance
