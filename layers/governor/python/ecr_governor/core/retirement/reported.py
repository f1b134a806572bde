"""What an entry of the ledger says of a retirement, for whoever is told of it: people by messages, programs by events."""

from collections.abc import Mapping
from typing import Any, Final

from ecr_governor.core.retirement.history import OUTCOME

REMINDER: Final = "reminder"
"""Kind of the entries that say that a mark's grace ends soon."""
STEPS_OF: Final = frozenset({OUTCOME, REMINDER})
"""Kinds of entries that tell of a retirement."""


def step(body: Mapping[str, Any]) -> str:
    """Name the step that an entry tells of: the stage that was reached, that one was not completed, or that one is to come."""
    if "working_days" in body:
        return "reminder"
    return "held up" if body.get("intended") else str(body["to"])


def why(body: Mapping[str, Any]) -> list[str]:
    """Give the reasons of a step."""
    if body.get("why"):
        return [str(body["why"])]
    reasons = body.get("reasons", ())
    against = [reason["seen"] for reason in reasons if reason["weight"] == "contrary"]
    return against or [f"{reason['check']}: {reason['seen']}" for reason in reasons]


def reason(body: Mapping[str, Any]) -> str:
    """Say in one line why, or how much time is left; never empty."""
    if "working_days" in body:
        days = int(body["working_days"])
        return f"{days} working {'day' if days == 1 else 'days'} left"
    return "; ".join(why(body)) or step(body)
