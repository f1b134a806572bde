"""Where the functions behind event queues are put together."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ecr_governor import batches
from ecr_governor.adapters.ecr import EcrRegistry
from ecr_governor.adapters.queues import DeadLetters
from ecr_governor.app.pushes import take_note
from ecr_governor.app.reconcile import Services, reconcile
from ecr_governor.batches import Arrival
from ecr_governor.bootstrap import started
from ecr_governor.bootstrap.parts import ecr, ledger, looks, now, policies, sqs
from ecr_governor.core.record import Change
from ecr_governor.observability import count
from ecr_governor.settings import EventSettings, from_environment

DUE_AT_ONCE = 500
"""Repositories per due check; what is left is taken by the next one."""


def look_at_repositories(event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Answer a batch of events that name repositories: look at each."""
    services = Services(EcrRegistry(ecr), ledger(), policies())

    def look(arrival: Arrival) -> None:
        change = reconcile(arrival.repository, arrival.news, arrival.trigger, services, now())
        if change:
            _count_change(change)

    return _settled(event, look)


def look_at_pushes(event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Answer a batch of events that tell of images: take note, or hand on what needs a look at the repository."""

    def note(arrival: Arrival) -> None:
        if not take_note(arrival.repository, arrival.news, ledger(), policies(), now()):
            looks().pass_on(arrival.bodies)

    return _settled(event, note)


def ask_for_what_is_due() -> dict[str, int]:
    """Ask for a look at repositories whose verdicts may have changed by time alone; give how many there were."""
    at = now()
    names = ledger().due(at, DUE_AT_ONCE)
    looks().ask(names, at)
    count("DueLooks", len(names))
    return {"asked_for": len(names)}


def _settled(event: Mapping[str, Any], take: Callable[[Arrival], None]) -> dict[str, list[dict[str, str]]]:
    settings = _event_settings()
    count("Events", len(event["Records"]))
    return batches.settle(event, take, DeadLetters(sqs(), settings.dead_letter_queue_url), settings.account, settings.region)


def _count_change(change: Change) -> None:
    count("FindingsOpened", len(change.opened))
    count("FindingsResolved", len(change.resolved))
    for outcome in change.outcomes:
        count(f"Remedies{outcome.status.value.capitalize()}")


@cache
def _event_settings() -> EventSettings:
    return from_environment(EventSettings, os.environ)


started()
