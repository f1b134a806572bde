"""Findings as AWS Security Hub takes them, in the AWS Security Finding Format: by what the record says now, whatever came in which order.

A finding is known by its repository and its rule. Its workflow is left to people: nothing here speaks of it.
(Security Hub API reference: AwsSecurityFinding, BatchImportFindings.)
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ecr_governor.core.announcement import Told, finding_from_data
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.messages.text import cut
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.rules import RULES

TITLE_LIMIT: Final = 256
DESCRIPTION_LIMIT: Final = 1024
RECOMMENDATION_LIMIT: Final = 512
_TELL_BY: Final = ("opened", "changed", "exempted", "resolved", "gone")


def is_for_security_hub(entry: Told) -> bool:
    """Whether an entry changes anything about findings."""
    return entry.kind in {"change", "swept"} and any(entry.body.get(key) for key in _TELL_BY)


def security_findings(entry: Told, record: RepositoryRecord, product: str, now: datetime) -> Iterator[dict[str, Any]]:
    """Give what Security Hub is to hold of a repository: its open findings as active, what is exempt or resolved by now as archived.

    All that the record has, and not only what the entry names: what is resolved while it is exempt, or exempt from its first day on, is
    named by none. Of the findings that ended with an earlier repository of the same name only the entry knows. `product` is the ARN of
    the product that the account sends its own findings as.
    """
    known = {finding.rule for finding in record.findings}
    ended = (finding_from_data(data) for data in entry.body.get("resolved", ()))
    of_earlier = {finding.rule: finding for finding in ended if finding.rule not in known}
    return (security_finding(finding, product, now) for finding in (*record.findings, *of_earlier.values()))


def security_finding(finding: Finding, product: str, now: datetime) -> dict[str, Any]:
    """Give one finding."""
    _, partition, _, region, account, _ = product.split(":", 5)
    name = finding.repository
    repository = f"arn:{partition}:ecr:{region}:{account}:repository/{name}"
    ended = finding.state is not FindingState.OPEN
    told = f"{finding.reason} ({finding.state.value}: {finding.resolution})" if ended else finding.reason
    return {
        "SchemaVersion": "2018-10-08",
        "Id": f"{repository}/ecr-governor/{finding.rule}",
        "ProductArn": product,
        "ProductName": "ECR Governor",
        "GeneratorId": f"ecr-governor/{finding.rule}",
        "AwsAccountId": account,
        "CreatedAt": _moment(finding.opened_at),
        "UpdatedAt": _moment(now),
        "Title": _text(f"{finding.rule}: {name}", TITLE_LIMIT),
        "Description": _text(told, DESCRIPTION_LIMIT),
        "FindingProviderFields": {
            "Severity": {"Label": finding.severity.value.upper(), "Original": finding.severity.value},
            "Types": [f"Software and Configuration Checks/ECR Governor/{finding.rule}"],
        },
        **_remediation(finding),
        "Resources": [
            {
                "Type": "AwsEcrRepository",
                "Id": repository,
                "Partition": partition,
                "Region": region,
                "Details": {"AwsEcrRepository": {"Arn": repository, "RepositoryName": name}},
            }
        ],
        "RecordState": "ARCHIVED" if ended else "ACTIVE",
    }


def _remediation(finding: Finding) -> Mapping[str, Any]:
    rule = RULES.get(finding.rule)
    return {"Remediation": {"Recommendation": {"Text": _text(rule.fix, RECOMMENDATION_LIMIT)}}} if rule else {}


def _text(text: str, limit: int) -> str:
    """Foreign text on one line; Security Hub takes none that is blank."""
    return cut(tidy(text[: 2 * limit]), limit) or "-"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
