"""The report's page, of one Region's audit. It begins with what is known last, so that the repositories wait in memory."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import TextIO

from ecr_governor.core.audit import AuditedRepository, AuditSummary
from ecr_governor.core.report.build import report_of_audit
from ecr_governor.rendering.report import rendered


class PageWriter:
    """Writes one page. `namespace_of` gives the prefix of the policy file that a name is below."""

    def __init__(self, stream: TextIO, namespace_of: Callable[[str], str], now: datetime) -> None:
        self._stream = stream
        self._namespace_of = namespace_of
        self._now = now
        self._audited: list[AuditedRepository] = []

    def begin(self, account: str, region: str, policy_hash: str) -> None:
        """Wait for the repositories."""

    def repository(self, audited: AuditedRepository) -> None:
        """Remember one."""
        self._audited.append(audited)

    def end(self, summary: AuditSummary) -> None:
        """Write the page."""
        violating = (each.name for each in self._audited if any(finding.state == "open" for finding in each.findings))
        namespaces = Counter(self._namespace_of(name) for name in violating)
        self._stream.write(rendered(report_of_audit(self._audited, summary, namespaces, self._now), "html").decode())
