"""A batch of queued events: those of one repository are taken together, and one that fails does not hold up the others."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ecr_governor.app.errors import GovernorError, Rejected
from ecr_governor.core.origin import News
from ecr_governor.core.record import Trigger
from ecr_governor.events import Happening, parse

logger = logging.getLogger(__name__)

REPOSITORIES_AT_ONCE = 4
"""Calls to AWS overlap; each ECR operation has a rate of its own, so a few at once are no burden."""


class _DeadLetters(Protocol):
    def send(self, body: str, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """All that one batch tells of one repository. `bodies` are the events as they came; `keep_until` is the latest time of all that ask."""

    repository: str
    news: News
    trigger: Trigger
    bodies: tuple[str, ...]
    keep_until: datetime | None = None


def settle(
    event: Mapping[str, Any],
    take: Callable[[Arrival], object],
    dead_letters: _DeadLetters,
    account: str,
    region: str,
    read: Callable[[str, str, str], Happening | None] = parse,
) -> dict[str, list[dict[str, str]]]:
    """Take each repository that an SQS event names once; answer with the messages that must come again.

    `read` makes of a message what it tells. A message that can never be decided goes to the dead-letter queue with the reason and is done with.
    """
    by_repository: dict[str, list[tuple[Mapping[str, Any], Happening]]] = {}
    failed: list[str] = []
    for record in event["Records"]:
        try:
            happening = read(record["body"], account, region)
        except Rejected as rejected:
            logger.error("event rejected", extra={"why": str(rejected), "message_id": record["messageId"]})  # noqa: TRY400 - the reason says it all
            try:
                dead_letters.send(record["body"], str(rejected))
            except GovernorError:
                logger.exception("not set aside, it will come again", extra={"message_id": record["messageId"]})
                failed.append(record["messageId"])
            continue
        if happening:
            by_repository.setdefault(happening.repository, []).append((record, happening))
    with ThreadPoolExecutor(REPOSITORIES_AT_ONCE) as pool:
        taken = {name: pool.submit(take, _arrival(name, told)) for name, told in by_repository.items()}
        for name, done in taken.items():
            if trouble := done.exception():
                logger.error("events not settled, they will come again", exc_info=trouble, extra={"repository": name})
                failed.extend(record["messageId"] for record, _ in by_repository[name])
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _arrival(name: str, told: list[tuple[Mapping[str, Any], Happening]]) -> Arrival:
    """Take the events of one repository together: all that they tell, and the last of them as the cause."""
    happenings = [happening for _, happening in told]
    creations = [happening.news.creation for happening in happenings if happening.news.creation]
    return Arrival(
        repository=name,
        news=News(
            creation=min(creations, key=lambda creation: creation.at, default=None),
            pushes=tuple(push for happening in happenings for push in happening.news.pushes),
            noticed=frozenset(noticed for happening in happenings for noticed in happening.news.noticed),
        ),
        trigger=max(happenings, key=lambda happening: happening.at).trigger,
        bodies=tuple(record["body"] for record, _ in told),
        keep_until=max((happening.keep_until for happening in happenings if happening.keep_until), default=None),
    )
