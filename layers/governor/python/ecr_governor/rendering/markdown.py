"""Markdown, for a job's summary or a comment. Foreign text is text: it formats nothing, links nowhere and mentions nobody."""

import shutil
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import TextIO

from ecr_governor.core.audit import AuditSummary
from ecr_governor.core.foreign_text import escaped
from ecr_governor.core.report.words import repositories
from ecr_governor.core.rules import RULES
from ecr_governor.rendering.judged import JudgedRepository
from ecr_governor.rendering.words import Tally, effort, known_facts, reasons

IN_MEMORY = 1 << 20


def list_of(repository: JudgedRepository) -> Iterator[str]:
    """Give a repository as an item of a list, with what was found below it."""
    yield f"- **{escaped(repository.name)}** ({escaped(known_facts(repository))})\n"
    for finding in repository.findings:
        exempt = ", exempt" if finding.state == "exempt" else ""
        yield f"  - {finding.severity.value}, {escaped(finding.rule)}{exempt}: {escaped(finding.reason)}\n"
    for rule, why in sorted(repository.undetermined.items()):
        yield f"  - undetermined, {escaped(rule)}: {escaped(why)}\n"


class MarkdownWriter:
    """Writes an audit as Markdown. What comes first is known last, so that a Region's list waits in a file once it is long."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = 0
        self._tally = Tally()
        self._list = _spool()

    def begin(self, account: str, region: str, policy_hash: str) -> None:
        """Write the Region's heading."""
        self._begun += 1
        self._tally, self._list = Tally(), _spool()
        gap = "\n" if self._begun > 1 else ""
        self._stream.write(f"{gap}## Amazon ECR, account {escaped(account)}, {escaped(region)}, policy {escaped(policy_hash[:12])}\n\n")

    def repository(self, audited: JudgedRepository) -> None:
        """Put the repository on the list if there is anything to say of it."""
        self._tally.count(audited)
        if not audited.findings and not audited.undetermined:
            return
        self._list.writelines(list_of(audited))

    def end(self, summary: AuditSummary) -> None:
        """Write the summary sentence, the counts by rule and then the list."""
        verb = "violates" if summary.violating == 1 else "violate"
        counted = f"**Of {repositories(summary.repositories)}, {summary.violating:,} {verb} the policy**: {self._tally.findings()}"
        self._stream.write(f"{counted}. It took {effort(summary)}.\n")
        if not summary.complete:
            self._stream.write("\n**The audit is incomplete:**\n\n")
            self._stream.writelines(f"- because: {escaped(why)}\n" for why in reasons(summary))
        if self._tally.rules:
            self._stream.write("\n| Rule | Expected | Open | Exempt | Undetermined |\n| --- | --- | ---: | ---: | ---: |\n")
        for rule, counts in sorted(self._tally.rules.items()):
            expected = RULES[rule].summary if rule in RULES else ""
            numbers = " | ".join(str(counts[state]) for state in ("open", "exempt", "undetermined"))
            self._stream.write(f"| {escaped(rule)} | {escaped(expected)} | {numbers} |\n")
        with self._list:
            if self._list.tell():
                self._stream.write("\n### Repositories\n\n")
            self._list.seek(0)
            shutil.copyfileobj(self._list, self._stream)


def _spool() -> SpooledTemporaryFile[str]:
    return SpooledTemporaryFile(max_size=IN_MEMORY, mode="w+", encoding="utf-8", newline="")
