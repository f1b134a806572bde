"""Security Hub takes findings as its reference says; moto takes anything.

docs.aws.amazon.com/securityhub/1.0/APIReference/API_AwsSecurityFinding.html, API_BatchImportFindings.html and
docs.aws.amazon.com/securityhub/latest/userguide/finding-update-batchimportfindings.html
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from moto.securityhub.models import Finding, SecurityHubBackend

from local.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REQUIRED = (
    "SchemaVersion",
    "Id",
    "ProductArn",
    "GeneratorId",
    "AwsAccountId",
    "CreatedAt",
    "UpdatedAt",
    "Title",
    "Description",
    "Resources",
)
LENGTHS = {"Id": 512, "GeneratorId": 512, "Title": 256, "Description": 1024, "ProductName": 128}
PEOPLES = ("Note", "UserDefinedFields", "VerificationState", "Workflow")
"""What a provider cannot change of a finding that is there."""
AT_ONCE = 100
MAX_RESOURCES = 32
MAX_TYPES = 50


def install() -> Callable[[], None]:
    """Put it in place; returns what takes it out."""
    return replace(SecurityHubBackend, {"batch_import_findings": _import})


def _import(backend: Any, findings: list[dict[str, Any]]) -> tuple[int, int, list[dict[str, Any]]]:
    if not 0 < len(findings) <= AT_ONCE:
        raise ValueError(f"BatchImportFindings takes 1 to {AT_ONCE} findings, not {len(findings)}")
    failed = []
    known = {each.id: each for each in backend.findings}
    for given in findings:
        code, message = (
            ("InvalidAccess", "Security Hub is not enabled") if not backend.enabled else ("InvalidInput", _problem(backend, given))
        )
        if message:
            failed.append({"Id": given.get("Id", ""), "ErrorCode": code, "ErrorMessage": message})
            continue
        there = known.get(given["Id"])
        if there is None:
            backend.findings.append(Finding(given["Id"], {"Workflow": {"Status": "NEW"}, **given}))
        elif _moment(given["UpdatedAt"]) > _moment(there.data["UpdatedAt"]):
            there.data.update({key: value for key, value in given.items() if key not in PEOPLES})
    return len(failed), len(findings) - len(failed), failed


def _problem(backend: Any, given: Mapping[str, Any]) -> str:
    """What is wrong with a finding; "" if nothing is."""
    missing = [key for key in REQUIRED if not given.get(key)]
    blank = [key for key in REQUIRED if isinstance(given.get(key), str) and not given[key].strip()]
    long = [key for key, limit in LENGTHS.items() if len(str(given.get(key, ""))) > limit]
    if wrong := [*missing, *blank, *long]:
        return f"missing, blank or too long: {', '.join(wrong)}"
    account, region = backend.account_id, backend.region_name
    if (given["AwsAccountId"], given["ProductArn"]) != (account, f"arn:aws:securityhub:{region}:{account}:product/{account}/default"):
        return "another account or product"
    fields = given.get("FindingProviderFields", {})
    if not ({"Severity", "Types"} <= fields.keys() or {"Severity", "Types"} <= given.keys()) or len(fields.get("Types", ())) > MAX_TYPES:
        return "no severity or type"
    if not 0 < len(given["Resources"]) <= MAX_RESOURCES or not all(each.get("Type") and each.get("Id") for each in given["Resources"]):
        return "no resource"
    recommendation = given.get("Remediation", {}).get("Recommendation", {}).get("Text", "-")
    if not 0 < len(recommendation) <= 512:  # noqa: PLR2004 -- the reference's limit
        return "a recommendation that is blank or too long"
    _moment(given["CreatedAt"])
    return ""


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
