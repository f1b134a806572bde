"""Operations on image scanning: the registry's rules and what follows from them for a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.ecr.errors import invalid
from local.ecr.wildcards import scan_filter_matches

if TYPE_CHECKING:
    from local.ecr.calls import Request
    from local.ecr.models import Backend, Repository

# With several matching rules the stronger frequency counts (user guide, "Filters to choose which repositories are scanned").
_STRENGTH = ("CONTINUOUS_SCAN", "SCAN_ON_PUSH", "MANUAL")


def get_registry_scanning_configuration(request: Request) -> dict[str, Any]:
    """Return scan type and rules."""
    return {"registryId": request.backend.account_id, "scanningConfiguration": request.backend.scanning}


def put_registry_scanning_configuration(request: Request) -> dict[str, Any]:
    """Replace scan type and rules; continuous scanning is a feature of enhanced scanning."""
    scan_type = request.parameters.get("scanType", request.backend.scanning["scanType"])
    rules = request.parameters.get("rules", [])
    frequencies = [rule["scanFrequency"] for rule in rules]
    if scan_type == "BASIC" and "CONTINUOUS_SCAN" in frequencies:
        raise invalid("scanFrequency", "CONTINUOUS_SCAN is not supported with scan type BASIC")
    if len(set(frequencies)) != len(frequencies):
        raise invalid("rules", "Scanning rules must have different scan frequencies")
    request.backend.scanning = {"scanType": scan_type, "rules": rules}
    return {"registryScanningConfiguration": request.backend.scanning}


def effective(backend: Backend, repository: Repository) -> dict[str, Any]:
    """Work out the scanning of one repository."""
    frequency, applied = "MANUAL", []
    for candidate in _STRENGTH:
        applied = [
            scan_filter
            for rule in backend.scanning["rules"]
            if rule["scanFrequency"] == candidate
            for scan_filter in rule["repositoryFilters"]
            if scan_filter_matches(scan_filter["filter"], repository.name)
        ]
        if applied:
            frequency = candidate
            break
    # The repository's own setting counts with basic scanning only, and only where no rule of the registry applies.
    if not applied and repository.scan_on_push and backend.scanning["scanType"] == "BASIC":
        frequency = "SCAN_ON_PUSH"
    return {
        "repositoryArn": repository.arn,
        "repositoryName": repository.name,
        "scanOnPush": frequency == "SCAN_ON_PUSH",
        "scanFrequency": frequency,
        "appliedScanFilters": applied,
    }


def batch_get_repository_scanning_configuration(request: Request) -> dict[str, Any]:
    """Return the effective scanning of up to 25 repositories."""
    backend, names = request.backend, request.parameters["repositoryNames"]
    found = [backend.repositories[name] for name in names if name in backend.repositories]
    code = "REPOSITORY_NOT_FOUND"
    return {
        "scanningConfigurations": [effective(backend, repository) for repository in found],
        "failures": [
            {"repositoryName": name, "failureCode": code, "failureReason": code} for name in names if name not in backend.repositories
        ],
    }


OPERATIONS = {
    "GetRegistryScanningConfiguration": get_registry_scanning_configuration,
    "PutRegistryScanningConfiguration": put_registry_scanning_configuration,
    "BatchGetRepositoryScanningConfiguration": batch_get_repository_scanning_configuration,
}
