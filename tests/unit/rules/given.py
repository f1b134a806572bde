"""Repositories and policies for the rules' tests: a fine one to start from, and what is said differently about it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ecr_governor.core.origin import Actor, Origin, Provenance, Push, Signal
from ecr_governor.core.policy.load import load
from ecr_governor.core.policy.model import Expectation
from ecr_governor.core.repository import (
    Encryption,
    EncryptionType,
    Image,
    Repository,
    TagMutability,
    TagMutabilitySetting,
)
from ecr_governor.core.rules import RULES
from ecr_governor.core.verdict import Verdict

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
OURS = "123456789012"
MUTABLE = TagMutabilitySetting(TagMutability.MUTABLE)
IMMUTABLE = TagMutabilitySetting(TagMutability.IMMUTABLE)


def repository(name: str = "payments/api", **facts: Any) -> Repository:
    return Repository(
        **{
            "name": name,
            "arn": f"arn:aws:ecr:eu-west-1:{OURS}:repository/{name}",
            "account": OURS,
            "region": "eu-west-1",
            "created_at": NOW - timedelta(days=30),
            "tag_mutability": MUTABLE,
            "encryption": Encryption(EncryptionType.AES256),
            **facts,
        }
    )


def provenance(origin: Origin = Origin.UNKNOWN, pusher: str | None = None) -> Provenance:
    if pusher is None:
        return Provenance(origin=origin)
    push = Push("event-1", NOW, Actor(arn=f"arn:aws:iam::{OURS}:user/{pusher}", account=OURS, type="IAMUser"))
    return Provenance(origin=origin, first_push=push)


def under_cache_rules(origin: Origin) -> Provenance:
    """Of that origin, with a name that a cache rule covers."""
    evidence = Signal("the pull through cache rule payments covers the name", (Origin.PULL_THROUGH_CACHE,), 2, cache_rules=True)
    return Provenance(origin=origin, evidence=(evidence,))


def image(*tags: str) -> Image:
    return Image(digest="sha256:" + "0" * 64, tags=tags, pushed_at=NOW)


def expectation(settings: str = "", name: str = "payments/api", top: str = "") -> Expectation:
    """What a policy expects whose ROOT says the given YAML (one flow mapping)."""
    return load(f"version: 1\n{top}\nnamespaces: {{ROOT: {{{settings}}}}}\n", "policy.yaml").expectation_for(name)


def verdict(rule_id: str, subject: Repository, expected: Expectation, now: datetime = NOW) -> Verdict:
    return RULES[rule_id].check(subject, expected, now)
