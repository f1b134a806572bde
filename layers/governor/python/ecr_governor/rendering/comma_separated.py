"""CSV for spreadsheets: a row for each finding, and no cell that a spreadsheet would run."""

import csv
import unicodedata
from typing import Any, TextIO

from ecr_governor.core.audit import AuditSummary
from ecr_governor.core.foreign_text import tidy, visible
from ecr_governor.core.report.words import utc
from ecr_governor.rendering.judged import JudgedFinding, JudgedRepository

COLUMNS = (
    "account",
    "region",
    "repository",
    "origin",
    "owner",
    "rule",
    "severity",
    "state",
    "reason",
    "undetermined",
    "images",
    "size_bytes",
    "last_push",
    "last_pull",
    "unused",
)
TRIGGERS = ("=", "+", "-", "@", "\N{MINUS SIGN}")
LEADING = ("\t", "\r", "\n", "\0")


def cell(value: object) -> str:
    """Give a value as a cell. An apostrophe keeps what a spreadsheet takes for a formula, in any width and after any space, text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    shown = visible(text)
    # Full-width, small and raised forms are compared as the characters that they stand for.
    first = unicodedata.normalize("NFKC", shown.lstrip()[:1])
    return f"'{shown}" if text.startswith(LEADING) or first.startswith(TRIGGERS) else shown


def rows_to(stream: TextIO) -> Any:
    """Give what writes rows of cells."""
    return csv.writer(stream, lineterminator="\n")


def finding_cells(account: str, region: str, repository: JudgedRepository, finding: JudgedFinding | None) -> list[str]:
    """Give one finding of a repository as cells below `COLUMNS`; None stands for a repository without any."""
    values = (
        account,
        region,
        repository.name,
        repository.origin,
        repository.owner,
        *((finding.rule, finding.severity.value, finding.state, finding.reason) if finding else ("", "", "", "")),
        "; ".join(f"{rule}: {tidy(why)}" for rule, why in sorted(repository.undetermined.items())),
        repository.images,
        repository.size_bytes,
        utc(repository.last_push),
        utc(repository.last_pull),
        repository.unused,
    )
    return [cell(value) for value in values]


class CsvWriter:
    """Writes an audit as CSV. It has no room for a summary: that an audit is incomplete must be told elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._rows = rows_to(stream)
        self._headed = False
        self._place: tuple[str, str] = ("", "")

    def begin(self, account: str, region: str, policy_hash: str) -> None:  # noqa: ARG002 - no column of its own
        """Write the header, once for all Regions."""
        if not self._headed:
            self._rows.writerow(COLUMNS)
            self._headed = True
        self._place = (account, region)

    def repository(self, audited: JudgedRepository) -> None:
        """Write a row for each finding; a repository without any has one row without a rule."""
        for finding in audited.findings or (None,):
            self._rows.writerow(finding_cells(*self._place, audited, finding))

    def end(self, summary: AuditSummary) -> None:
        """Write nothing."""
