"""Which facts a judgement takes, and the reading of them for many repositories at once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ecr_governor.app.ports import Inventory
from ecr_governor.core.evaluate import facts_needed
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.repository import NOT_FETCHED, Fact, Repository, Unreadable
from ecr_governor.core.rules.unused import idle_since

Plan = tuple[frozenset[Fact], datetime | None]


def facts_to_read(policy: Policy, name: str) -> frozenset[Fact]:
    """The facts that the policy's rules need for this name, and its tags: they name the owner, and tell whether anything has changed."""
    return facts_needed(policy, name) | {Fact.TAGS}


def read_facts(inventory: Inventory, listed: Sequence[Repository], policy: Policy, now: datetime) -> Iterator[Repository]:
    """Read for each repository the facts that its own namespace's rules need, and no others; those that vanished are left out.

    In no order. Raises Throttled.
    """
    plans: dict[Plan, list[Repository]] = {}
    for repository in listed:
        expectation = policy.expectation_for(repository.name)
        plan = facts_to_read(policy, repository.name), idle_since(expectation, now)
        plans.setdefault(plan, []).append(repository)
    for (facts, since), group in plans.items():
        yield from inventory.complete(group, facts, since)


def unread(repository: Repository, policy: Policy, why: str) -> Repository:
    """The same repository, of which the facts that its rules need could not be read."""
    facts = facts_to_read(policy, repository.name)
    missing: dict[str, Any] = {fact.value: Unreadable(why) for fact in facts if getattr(repository, fact.value) == NOT_FETCHED}
    return replace(repository, **missing)
