"""Operations on pull-through cache rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.ecr import paging
from local.ecr.errors import EcrError

if TYPE_CHECKING:
    from local.ecr.calls import Request

MAX_RULES = 50


def _missing(request: Request, prefix: str) -> EcrError:
    return EcrError(
        "PullThroughCacheRuleNotFoundException",
        f"Pull through cache rule with repository prefix '{prefix}' not found in the registry with id '{request.backend.account_id}'",
    )


def create_rule(request: Request) -> dict[str, Any]:
    """Create a rule for a prefix; a registry has at most 50."""
    rules, prefix = request.backend.pull_through_rules, request.parameters["ecrRepositoryPrefix"]
    if prefix in rules:
        raise EcrError(
            "PullThroughCacheRuleAlreadyExistsException",
            f"A pull through cache rule with repository prefix '{prefix}' already exists "
            f"in the registry with id '{request.backend.account_id}'",
        )
    if len(rules) >= MAX_RULES:
        raise EcrError("LimitExceededException", f"A registry has at most {MAX_RULES} pull through cache rules")
    rules[prefix] = request.parameters | {
        "registryId": request.backend.account_id,
        "upstreamRepositoryPrefix": request.parameters.get("upstreamRepositoryPrefix", "ROOT"),
        "createdAt": request.now,
    }
    return rules[prefix]


def delete_rule(request: Request) -> dict[str, Any]:
    """Delete a rule; what was cached stays."""
    prefix = request.parameters["ecrRepositoryPrefix"]
    rule = request.backend.pull_through_rules.pop(prefix, None)
    if rule is None:
        raise _missing(request, prefix)
    return rule


def describe_rules(request: Request) -> dict[str, Any]:
    """List rules, all or by prefix."""
    rules, prefixes = request.backend.pull_through_rules, request.parameters.get("ecrRepositoryPrefixes")
    for prefix in prefixes or []:
        if prefix not in rules:
            raise _missing(request, prefix)
    found, following = paging.page(rules if prefixes is None else prefixes, request.parameters)
    return {"pullThroughCacheRules": [rules[prefix] for prefix in found], **following}


OPERATIONS = {
    "CreatePullThroughCacheRule": create_rule,
    "DeletePullThroughCacheRule": delete_rule,
    "DescribePullThroughCacheRules": describe_rules,
}
