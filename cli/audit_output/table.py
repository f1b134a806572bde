"""For people: repositories that something is to be said of, and a line of counts at the end."""

from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ecr_governor.core.audit import AuditedRepository, AuditSummary
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.report.words import repositories
from ecr_governor.rendering.words import Tally, effort, known_facts, reasons

STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "blue"}
WIDTH = 80


class TableWriter:
    """Writes to a terminal as wide as it is; anything else gets plain text, 80 columns wide."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._plain = not stream.isatty()
        self.console = Console(file=stream, highlight=False, width=WIDTH if self._plain else None)
        """Whatever else is to be shown on the terminal meanwhile must be shown by it."""
        self._begun = 0
        self._tally = Tally()
        self._lines: list[tuple[str, str]] = []

    def begin(self, account: str, region: str, policy_hash: str) -> None:
        """Print where, and by which policy."""
        self._begun += 1
        self._tally = Tally()
        if self._begun > 1:
            self._line("")
        self._line(f"account {tidy(account)}, {tidy(region)}, policy {tidy(policy_hash[:12])}", "dim")
        self._print()

    def repository(self, audited: AuditedRepository) -> None:
        """Print a repository if there is anything to say of it."""
        self._tally.count(audited)
        if not audited.findings and not audited.undetermined:
            return
        self._line(tidy(audited.name), "bold")
        self._line(known_facts(audited), "dim", indent=2)
        for finding in audited.findings:
            style = STYLES[finding.severity.value] if finding.state == "open" else "dim"
            self._judged(finding.severity.value, finding.rule, finding.state, finding.reason, style)
        for rule, why in sorted(audited.undetermined.items()):
            self._judged("-", rule, "undetermined", why, "dim")
        self._print()

    def end(self, summary: AuditSummary) -> None:
        """Print the counts."""
        if not summary.complete:
            self._line("")
            self._line("incomplete", "bold red")
            for why in reasons(summary):
                self._line(why, indent=2)
        self._line("")
        self._line(f"{summary.violating:,} of {repositories(summary.repositories)} violating; {self._tally.findings()}; {effort(summary)}")
        self._print()

    def _judged(self, severity: str, rule: str, state: str, reason: str, style: str) -> None:
        self._line(f"{severity:<9}{tidy(rule):<18}{state}", style, indent=2)
        self._line(tidy(reason), indent=11)

    def _line(self, text: str, style: str = "", indent: int = 0) -> None:
        self._lines += ((" " * indent + line if line else "", style) for line in self._wrapped(text, self.console.width - indent))

    def _print(self) -> None:
        # The console measures everything anew, which takes minutes for 100,000 repositories, and draws a bar anew each time.
        if self._plain:
            self._stream.writelines(f"{line}\n" for line, _ in self._lines)
        else:
            self.console.print(Text("\n").join(Text(line, style=style) for line, style in self._lines), soft_wrap=True)
        self._lines.clear()

    def _wrapped(self, text: str, width: int) -> list[str]:
        if cell_len(text) <= width:
            return [text]
        return [line.plain.rstrip() for line in Text(text).wrap(self.console, max(width, 1))]
