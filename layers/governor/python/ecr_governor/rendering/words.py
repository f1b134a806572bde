"""Words that the formats of an audit share."""

from collections import Counter
from dataclasses import dataclass, field

from ecr_governor.core.audit import AuditSummary
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.report.words import day, plural, size
from ecr_governor.core.severity import Severity
from ecr_governor.rendering.judged import JudgedRepository


def known_facts(audited: JudgedRepository) -> str:
    """Say what is known of a repository; what is not known is left out, but for the owner."""
    said = [f"owner {tidy(audited.owner)}" if audited.owner else "no known owner"]
    if audited.images is not None:
        said.append(f"{audited.images:,} image{plural(audited.images)}")
    if audited.size_bytes is not None:
        said.append(size(audited.size_bytes))
    if audited.last_push:
        said.append(f"last push {day(audited.last_push)}")
    if audited.last_pull:
        said.append(f"last pull {day(audited.last_pull)}")
    if audited.unused:
        said.append("unused")
    return ", ".join(said)


@dataclass
class Tally:
    """What was counted on the way through the repositories of a Region: numbers only."""

    open: Counter[Severity] = field(default_factory=Counter)
    exempt: int = 0
    undetermined: int = 0
    rules: dict[str, Counter[str]] = field(default_factory=dict)

    def count(self, audited: JudgedRepository) -> None:
        """Count one repository's findings, and what could not be determined."""
        for finding in audited.findings:
            self.rules.setdefault(finding.rule, Counter())[finding.state] += 1
            if finding.state == "open":
                self.open[finding.severity] += 1
            else:
                self.exempt += 1
        for rule in audited.undetermined:
            self.rules.setdefault(rule, Counter())["undetermined"] += 1
            self.undetermined += 1

    def findings(self) -> str:
        """Say how many findings are open, the worst first, how many exempt, and what is undetermined."""
        parts = [f"{self.open[severity]:,} {severity.value}" for severity in reversed(Severity) if self.open[severity]] or [
            "no open findings"
        ]
        parts += [f"{self.exempt:,} exempt"] if self.exempt else []
        parts += [f"{self.undetermined:,} undetermined"] if self.undetermined else []
        return ", ".join(parts)


def effort(summary: AuditSummary) -> str:
    """Say what the audit took."""
    calls = sum(summary.calls.values())
    return f"{calls:,} call{plural(calls)} in {summary.seconds:.1f} s"


def reasons(summary: AuditSummary) -> list[str]:
    """Say what kept an audit from being complete."""
    return [tidy(why) for why in summary.incomplete_because] or ["no reason was recorded"]
