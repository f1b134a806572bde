"""Repository policies: what `SetRepositoryPolicy` accepts and whom a `Deny` statement stops.

Only denials are evaluated: inside one account an identity's own policies allow, so a missing `Allow` stops nobody.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.ecr.errors import invalid
from local.ecr.wildcards import matches

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.principals import Principal

_POLICY_KEYS = {"Version", "Id", "Statement"}
_STATEMENT_KEYS = {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Condition"}
_VERSIONS = {"2008-10-17", "2012-10-17"}


def _equal(pattern: str, value: str) -> bool:
    return pattern == value


def _equal_ignoring_case(pattern: str, value: str) -> bool:
    return pattern.lower() == value.lower()


# Positive operators; each has a negated twin that also holds when the key is absent (IAM guide, "Condition operators").
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": _equal_ignoring_case,
    "StringLike": matches,
    "ArnEquals": matches,
    "ArnLike": matches,
    "Bool": _equal_ignoring_case,
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


def check_policy(text: str) -> None:
    """Refuse a text that ECR would refuse: a statement needs a principal and may name no resource."""
    try:
        policy = json.loads(text)
    except ValueError:
        policy = None
    if not _is_policy(policy):
        raise invalid("PolicyText", "Invalid repository policy provided")


def formatted(text: str) -> str:
    """Write a policy as ECR returns it: ECR gives back its own layout, not the caller's."""
    return json.dumps(json.loads(text), indent=2, separators=(",", " : "))


def _is_policy(policy: Any) -> bool:
    if not isinstance(policy, dict) or set(policy) - _POLICY_KEYS or policy.get("Version", "2008-10-17") not in _VERSIONS:
        return False
    statements = _listed(policy.get("Statement"))
    return bool(statements) and all(_is_statement(statement) for statement in statements)


def _is_statement(statement: Any) -> bool:
    if not isinstance(statement, dict) or set(statement) - _STATEMENT_KEYS or statement.get("Effect") not in {"Allow", "Deny"}:
        return False
    if len({"Principal", "NotPrincipal"} & set(statement)) != 1 or len({"Action", "NotAction"} & set(statement)) != 1:
        return False
    actions = _listed(statement.get("Action", statement.get("NotAction")))
    if not actions or not all(isinstance(action, str) and (action == "*" or action.lower().startswith("ecr:")) for action in actions):
        return False
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    if not isinstance(statement.get("Condition", {}), dict):
        return False
    return principal == "*" or (isinstance(principal, dict) and bool(principal) and set(principal) <= {"AWS", "Service", "Federated"})


def denies(text: str | None, principal: Principal, action: str) -> bool:
    """Whether a `Deny` statement of the policy stops the principal from the action, given as `ecr:PutImage`."""
    if not text:
        return False
    return any(
        statement["Effect"] == "Deny"
        and _covers_action(statement, action)
        and _covers_principal(statement, principal)
        and _conditions_hold(statement.get("Condition", {}), principal)
        for statement in _listed(json.loads(text)["Statement"])
    )


def _covers_action(statement: dict[str, Any], action: str) -> bool:
    listed = _listed(statement.get("Action", statement.get("NotAction")))
    found = any(matches(pattern.lower(), action.lower()) for pattern in listed)
    return found == ("Action" in statement)


def _covers_principal(statement: dict[str, Any], principal: Principal) -> bool:
    named: Any = statement.get("Principal", statement.get("NotPrincipal"))
    if named == "*":
        found = True
    else:
        found = any(_is_principal(name, principal) for name in _listed(named.get("AWS"))) or principal.service in _listed(
            named.get("Service")
        )
    return found == ("Principal" in statement)


def _is_principal(name: str, principal: Principal) -> bool:
    return name in {"*", principal.account, f"arn:aws:iam::{principal.account}:root", principal.arn, principal.policy_arn}


def _conditions_hold(conditions: dict[str, Any], principal: Principal) -> bool:
    context = {
        "aws:principalarn": principal.policy_arn,
        "aws:principalaccount": principal.account,
        "aws:userid": principal.principal_id,
        "aws:principalisawsservice": str(principal.kind == "AWSService").lower(),
    }
    return all(
        _holds(operator, _listed(expected), context.get(key.lower()))
        for operator, keys in conditions.items()
        for key, expected in keys.items()
    )


def _holds(operator: str, expected: list[Any], actual: str | None) -> bool:
    name = operator.removesuffix("IfExists")
    if name in _NEGATED:
        return actual is None or not any(_OPERATORS[_NEGATED[name]](str(value), actual) for value in expected)
    if name in _OPERATORS:
        if actual is None:
            return operator.endswith("IfExists")
        return any(_OPERATORS[name](str(value).replace("True", "true"), actual) for value in expected)
    # An operator or key that is not known here must not silently let a denial lapse.
    raise invalid("PolicyText", f"The embedded AWS does not evaluate the condition operator {operator}")


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
