"""JSON Lines: one object per repository; the last of a Region is its summary."""

import json
from typing import Any, TextIO

from ecr_governor.core.audit import AuditedRepository, AuditSummary
from ecr_governor.core.report.words import utc


def repository_as_data(audited: AuditedRepository) -> dict[str, Any]:
    """Give a repository as a JSON object."""
    return {
        "name": audited.name,
        "origin": audited.origin,
        "owner": audited.owner,
        "findings": [
            {"rule": finding.rule, "severity": finding.severity.value, "reason": finding.reason, "state": finding.state}
            for finding in audited.findings
        ],
        "undetermined": dict(sorted(audited.undetermined.items())),
        "images": audited.images,
        "size_bytes": audited.size_bytes,
        "last_push": utc(audited.last_push),
        "last_pull": utc(audited.last_pull),
        "unused": audited.unused,
    }


def as_json(value: Any) -> str:
    """Give JSON on one line, in ASCII: no terminal and no encoding makes anything else of foreign text."""
    return json.dumps(value, ensure_ascii=True)


class JsonLinesWriter:
    """Writes JSON Lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._place: dict[str, str] = {}

    def begin(self, account: str, region: str, policy_hash: str) -> None:  # noqa: ARG002 - told by the summary
        """Remember where the repositories are."""
        self._place = {"account": account, "region": region}

    def repository(self, audited: AuditedRepository) -> None:
        """Write one repository."""
        facts = {} if audited.facts is None else {"facts": dict(audited.facts)}
        self._line({**self._place, **repository_as_data(audited), **facts})

    def end(self, summary: AuditSummary) -> None:
        """Write the summary."""
        self._line(
            {
                "summary": {
                    "account": summary.account,
                    "region": summary.region,
                    "policy_hash": summary.policy_hash,
                    "complete": summary.complete,
                    "incomplete_because": list(summary.incomplete_because),
                    "repositories": summary.repositories,
                    "violating": summary.violating,
                    "calls": dict(sorted(summary.calls.items())),
                    "seconds": summary.seconds,
                }
            }
        )

    def _line(self, value: dict[str, Any]) -> None:
        self._stream.write(as_json(value) + "\n")
