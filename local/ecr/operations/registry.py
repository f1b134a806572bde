"""Operations on the registry as a whole: tokens, policy, replication, account settings, pull-time exclusions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.ecr import paging, tokens
from local.ecr.errors import EcrError, invalid
from local.ecr.wiring import wiring

if TYPE_CHECKING:
    from local.ecr.calls import Request

MAX_EXCLUSIONS = 100
_SETTINGS = {
    "BASIC_SCAN_TYPE_VERSION": {"AWS_NATIVE", "CLAIR"},
    "REGISTRY_POLICY_SCOPE": {"V1", "V2"},
    "BLOB_MOUNTING": {"ENABLED", "DISABLED"},
}


def get_authorization_token(request: Request) -> dict[str, Any]:
    """Give a registry password that is good for 12 hours and stands for the caller."""
    backend = request.backend
    token, expires = tokens.issue(request.principal, request.now)
    address = wiring.registries.get((backend.account_id, backend.region_name))
    endpoint = f"http://{address}" if address else f"https://{backend.account_id}.dkr.ecr.{backend.region_name}.amazonaws.com"
    count = len(request.parameters.get("registryIds", [backend.account_id]))
    return {"authorizationData": [{"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": endpoint}] * count}


def describe_registry(request: Request) -> dict[str, Any]:
    """Describe the registry."""
    return {"registryId": request.backend.account_id, "replicationConfiguration": request.backend.replication}


def put_replication_configuration(request: Request) -> dict[str, Any]:
    """Replace the replication rules; a registry cannot be its own destination."""
    backend, configuration = request.backend, request.parameters["replicationConfiguration"]
    own = {"region": backend.region_name, "registryId": backend.account_id}
    if any(destination == own for rule in configuration["rules"] for destination in rule["destinations"]):
        raise invalid("replicationConfiguration", "Replication destination cannot be the same as the source registry")
    backend.replication = configuration
    return {"replicationConfiguration": configuration}


def put_registry_policy(request: Request) -> dict[str, Any]:
    """Replace the registry policy. It is kept and given back; nothing is evaluated by it."""
    text = request.parameters["policyText"]
    try:
        statements = json.loads(text)["Statement"]
        well_formed = bool(statements) and all({"Effect", "Principal", "Action"} <= set(item) for item in statements)
    except (ValueError, KeyError, TypeError):
        well_formed = False
    if not well_formed:
        raise invalid("PolicyText", "Invalid registry policy provided")
    request.backend.registry_policy = text
    return {"registryId": request.backend.account_id, "policyText": text}


def _registry_policy(request: Request) -> str:
    text = request.backend.registry_policy
    if text is None:
        raise EcrError(
            "RegistryPolicyNotFoundException", f"Registry policy does not exist in the registry with id '{request.backend.account_id}'"
        )
    return text


def get_registry_policy(request: Request) -> dict[str, Any]:
    """Return the registry policy."""
    return {"registryId": request.backend.account_id, "policyText": _registry_policy(request)}


def delete_registry_policy(request: Request) -> dict[str, Any]:
    """Remove the registry policy and return it."""
    text = _registry_policy(request)
    request.backend.registry_policy = None
    return {"registryId": request.backend.account_id, "policyText": text}


def get_account_setting(request: Request) -> dict[str, Any]:
    """Return one account setting."""
    name = request.parameters["name"]
    if name not in _SETTINGS:
        raise EcrError("ValidationException", f"Unknown account setting '{name}'")
    return {"name": name, "value": request.backend.account_settings[name]}


def put_account_setting(request: Request) -> dict[str, Any]:
    """Change one account setting. UNCONFIRMED: the defaults and the values of BLOB_MOUNTING."""
    name, value = request.parameters["name"], request.parameters["value"]
    if value not in _SETTINGS.get(name, set()):
        raise EcrError("ValidationException", f"'{value}' is no value of the account setting '{name}'")
    request.backend.account_settings[name] = value
    return {"name": name, "value": value}


def register_exclusion(request: Request) -> dict[str, Any]:
    """Exclude a principal's pulls from pull times."""
    arn, exclusions = request.parameters["principalArn"], request.backend.pull_time_exclusions
    if arn in exclusions:
        raise EcrError("ExclusionAlreadyExistsException", f"The principal '{arn}' is already excluded from pull time updates")
    if len(exclusions) >= MAX_EXCLUSIONS:
        raise EcrError("LimitExceededException", f"A registry has at most {MAX_EXCLUSIONS} pull time update exclusions")
    exclusions[arn] = request.now
    return {"principalArn": arn, "createdAt": request.now}


def deregister_exclusion(request: Request) -> dict[str, Any]:
    """Let a principal's pulls count again."""
    arn = request.parameters["principalArn"]
    if request.backend.pull_time_exclusions.pop(arn, None) is None:
        raise EcrError("ExclusionNotFoundException", f"The principal '{arn}' is not excluded from pull time updates")
    return {"principalArn": arn}


def list_exclusions(request: Request) -> dict[str, Any]:
    """List the excluded principals."""
    found, following = paging.page(request.backend.pull_time_exclusions, request.parameters)
    return {"pullTimeUpdateExclusions": found, **following}


OPERATIONS = {
    "GetAuthorizationToken": get_authorization_token,
    "DescribeRegistry": describe_registry,
    "PutReplicationConfiguration": put_replication_configuration,
    "PutRegistryPolicy": put_registry_policy,
    "GetRegistryPolicy": get_registry_policy,
    "DeleteRegistryPolicy": delete_registry_policy,
    "GetAccountSetting": get_account_setting,
    "PutAccountSetting": put_account_setting,
    "RegisterPullTimeUpdateExclusion": register_exclusion,
    "DeregisterPullTimeUpdateExclusion": deregister_exclusion,
    "ListPullTimeUpdateExclusions": list_exclusions,
}
