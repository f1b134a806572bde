"""SARIF 2.1.0, for code scanning. Repositories have no lines, so that every result is placed at the policy file that it comes from."""

import hashlib
import json
from collections import Counter
from typing import Any, TextIO
from urllib.parse import quote

from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.report.words import repositories
from ecr_governor.core.rules import RULES
from ecr_governor.core.severity import Severity
from ecr_governor.rendering.json_lines import as_json
from ecr_governor.rendering.judged import Completeness, JudgedFinding, JudgedRepository

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {Severity.LOW: "note", Severity.MEDIUM: "warning", Severity.HIGH: "error", Severity.CRITICAL: "error"}
INDEX = {rule: index for index, rule in enumerate(sorted(RULES))}


class SarifWriter:
    """Writes a SARIF log with one run for each Region. It ends with the last of the Regions that were promised."""

    def __init__(self, stream: TextIO, regions: int, policy_file: str) -> None:
        self._stream = stream
        self._regions = regions
        self._uri = quote(policy_file)
        self._begun = 0
        self._separator = ""
        self._account = self._region = ""
        self._undetermined: Counter[str] = Counter()

    def begin(self, account: str, region: str, policy_hash: str) -> None:
        """Open the Region's run: the rules, and a category of its own."""
        self._begun += 1
        self._account, self._region, self._undetermined = account, region, Counter()
        self._stream.write(f'{{"$schema": "{SCHEMA}", "version": "2.1.0", "runs": [\n' if self._begun == 1 else ",\n")
        run = {
            "tool": {"driver": {"name": "ECR Governor", "rules": [_rule(rule) for rule in INDEX]}},
            # What stands before the last slash is the category, within which alerts are followed from upload to upload.
            "automationDetails": {"id": f"ecr-governor/{account}/{region}/"},
            "properties": {"account": account, "region": region, "policy_hash": policy_hash},
        }
        self._stream.write(as_json(run).removesuffix("}") + ', "results": [')
        self._separator = "\n"

    def repository(self, audited: JudgedRepository) -> None:
        """Write a result for each finding."""
        self._undetermined.update(audited.undetermined.keys())
        for finding in audited.findings:
            self._stream.write(self._separator + as_json(self._result(audited.name, finding)))
            self._separator = ",\n"

    def end(self, summary: Completeness) -> None:
        """Close the run with what kept it from being complete, and after the last Region the log."""
        because = [{"level": "error", "message": {"text": _message(why)}} for why in summary.incomplete_because]
        unknown = [_unknown(rule, count) for rule, count in sorted(self._undetermined.items())]
        invocation = {"executionSuccessful": summary.complete, "toolExecutionNotifications": [*because, *unknown]}
        self._stream.write(f'\n], "invocations": [{as_json(invocation)}]}}')
        if self._begun == self._regions:
            self._stream.write("\n]}\n")

    def _result(self, name: str, finding: JudgedFinding) -> dict[str, Any]:
        return {
            "ruleId": finding.rule,
            **({"ruleIndex": INDEX[finding.rule]} if finding.rule in INDEX else {}),
            "level": LEVELS[finding.severity],
            "message": {"text": _message(f"{name}: {finding.reason}")},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": self._uri, "uriBaseId": "%SRCROOT%"},
                        "region": {"startLine": 1},
                    },
                    "logicalLocations": [
                        {"name": name, "fullyQualifiedName": f"ecr://{self._account}/{self._region}/{name}", "kind": "resource"}
                    ],
                }
            ],
            # Named for the one fingerprint that GitHub reads. Results share a line, so that only this tells them apart.
            "partialFingerprints": {"primaryLocationLineHash": _fingerprint(self._account, self._region, name, finding.rule)},
            "suppressions": [{"kind": "external", "status": "accepted"}] if finding.state == "exempt" else [],
            "properties": {"severity": finding.severity.value, "reason": finding.reason},
        }


def _rule(rule_id: str) -> dict[str, Any]:
    rule = RULES[rule_id]
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.fix},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
    }


def _unknown(rule: str, count: int) -> dict[str, Any]:
    text = f"{rule} could not be determined for {repositories(count)}"
    return {"level": "warning", "associatedRule": {"id": rule}, "message": {"text": _message(text)}}


def _message(text: str) -> str:
    # In a message [text](address) is a link; the space makes it text. {0} is a placeholder; what is doubled is a brace (SARIF 2.1.0,
    # 3.11.5). The exact reason is among the properties.
    return tidy(text).replace("](", "] (").replace("{", "{{").replace("}", "}}")


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
