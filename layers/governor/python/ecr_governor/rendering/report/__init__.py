"""A report in each of its formats. The same report gives the same bytes."""

from collections.abc import Callable, Mapping
from typing import Final

from ecr_governor.core.report.model import Report
from ecr_governor.rendering.report import documents

CONTENT_TYPES: Final[Mapping[str, str]] = {
    "html": "text/html; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "markdown": "text/markdown; charset=utf-8",
    "sarif": "application/sarif+json",
    "ics": "text/calendar; charset=utf-8",
}
"""Every format, with its media type."""
SUFFIXES: Final[Mapping[str, str]] = {"html": "html", "csv": "csv", "json": "json", "markdown": "md", "sarif": "sarif", "ics": "ics"}


def rendered(report: Report, output: str) -> bytes:
    """Write a report down. Raises KeyError for a format that is not among `CONTENT_TYPES`."""
    if output == "html":
        from ecr_governor.rendering.report.html import page  # noqa: PLC0415 - jinja2 is heavy, and needed by nothing else

        return page(report)
    writers: dict[str, Callable[[Report], str]] = {
        "csv": documents.as_csv,
        "json": documents.as_json,
        "markdown": documents.as_markdown,
        "sarif": documents.as_sarif,
        "ics": documents.as_ics,
    }
    return writers[output](report).encode()
