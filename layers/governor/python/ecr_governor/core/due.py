"""When a repository is worth another look although nothing happened to it."""

from datetime import datetime, timedelta

from ecr_governor.core.policy.model import Policy
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.repository import Repository
from ecr_governor.core.rules import auto_created, required_tags

AGAIN_AFTER = timedelta(hours=1)


def next_look(record: RepositoryRecord, repository: Repository, policy: Policy, now: datetime, *, waiting: bool) -> datetime | None:
    """Give the first time after `now` at which a verdict may change by time alone; None if none can.

    A grace period ends, an exemption expires, or the pause after too many remedies is over. What could not be put right for a
    passing reason (`waiting`), for example an invalid policy file, is looked at again. Whether a repository has become unused is not
    among it: that is a matter of months, which the nightly sweep tells more cheaply.
    """
    expectation = policy.expectation_for(repository.name)
    moments = (
        auto_created.due(repository, expectation, now),
        required_tags.due(repository, expectation, now),
        policy.next_expiry(repository.name, now),
        *(since + AGAIN_AFTER for since in record.paused.values()),
        now + AGAIN_AFTER if waiting else None,
    )
    return min((moment for moment in moments if moment and moment > now), default=None)
