"""The result of an audit in the format that was asked for, written as it comes: only the page keeps the repositories in memory."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol, TextIO

from cli.audit_output.page import PageWriter
from cli.audit_output.table import TableWriter
from cli.trouble import Trouble
from ecr_governor.core.audit import AuditedRepository, AuditSummary
from ecr_governor.core.documents.names import ROOT
from ecr_governor.rendering.comma_separated import CsvWriter
from ecr_governor.rendering.json_document import JsonWriter
from ecr_governor.rendering.json_lines import JsonLinesWriter
from ecr_governor.rendering.markdown import MarkdownWriter
from ecr_governor.rendering.sarif import SarifWriter

OUTPUTS = ("table", "json", "jsonl", "csv", "markdown", "sarif", "html")
NEVER: Final = datetime.min.replace(tzinfo=UTC)


class AuditWriter(Protocol):
    """Writes one audit. Every Region is begun, told repository by repository, and ended, one after the other."""

    def begin(self, account: str, region: str, policy_hash: str) -> None:
        """Begin a Region."""

    def repository(self, audited: AuditedRepository) -> None:
        """Tell of the next repository of the Region."""

    def end(self, summary: AuditSummary) -> None:
        """End the Region. A Region that could not be audited to its end is ended all the same, as incomplete."""


def writer_for(
    output: str,
    stream: TextIO,
    regions: int = 1,
    policy_file: str = "policy.yaml",
    namespace_of: Callable[[str], str] = lambda _: ROOT,
    now: datetime = NEVER,
) -> AuditWriter:
    """Make the writer of a format. `regions` is how many will be begun; `policy_file` is where SARIF says that results are.

    A page is of `now`, and counts by the prefixes that `namespace_of` gives.
    """
    match output:
        case "table":
            return TableWriter(stream)
        case "json":
            return JsonWriter(stream, regions)
        case "jsonl":
            return JsonLinesWriter(stream)
        case "csv":
            return CsvWriter(stream)
        case "markdown":
            return MarkdownWriter(stream)
        case "sarif":
            return SarifWriter(stream, regions, policy_file)
        case "html" if regions == 1:
            return PageWriter(stream, namespace_of, now)
        case "html":
            raise Trouble(
                "a page holds one Region", f"{regions} were asked for", "audit one Region after the other, each into its own file"
            )
        case _:
            raise Trouble(f"there is no output {output}", f"an audit is printed as {', '.join(OUTPUTS)}", f"--output {'|'.join(OUTPUTS)}")


__all__ = ["OUTPUTS", "AuditWriter", "writer_for"]
