from datetime import datetime, timedelta
from typing import Any

import pytest

from ecr_governor.core.repository import Repository, Unreadable, Usage
from ecr_governor.core.rules.unused import SLACK, due, idle_since, last_activity
from ecr_governor.core.verdict import Compliant, Undetermined, Violation
from tests.unit.rules.given import NOW, expectation, repository, verdict

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
AFTER_90_DAYS = expectation("unused: {after: 90d}")
# Unused is what nothing happened in for 90 days, and for the day that ECR's time of the last pull may be behind.
EDGE = NOW - 91 * DAY
OLD = NOW - 400 * DAY


def used(created: datetime = OLD, push: datetime | None = None, pull: datetime | None = None, **more: Any) -> Repository:
    return repository(created_at=created, usage=Usage(last_push=push, last_pull=pull), **more)


@pytest.mark.parametrize(
    ("subject", "days"),
    [
        (used(), 400),
        (used(created=EDGE), 91),
        (used(push=EDGE), 91),
        (used(pull=EDGE), 91),
        (used(push=EDGE - 100 * DAY, pull=EDGE - 20 * DAY), 111),
        (used(push=EDGE - 20 * DAY, pull=EDGE - 100 * DAY), 111),
    ],
)
def test_what_nothing_happened_in_for_so_long_and_a_day_is_unused(subject: Repository, days: int) -> None:
    since = NOW - days * DAY
    assert verdict("unused", subject, AFTER_90_DAYS) == Violation(f"nothing was pushed or pulled since {since:%Y-%m-%d}")


def test_the_reason_is_as_true_on_the_next_day() -> None:
    """What has not changed is not judged anew: a count of days would be behind."""
    assert verdict("unused", used(), AFTER_90_DAYS) == verdict("unused", used(), AFTER_90_DAYS, NOW + 5 * DAY)


@pytest.mark.parametrize(
    "subject",
    [
        used(created=EDGE + SECOND),
        used(push=EDGE + SECOND),
        used(pull=EDGE + SECOND),
        used(push=NOW, pull=OLD),
        used(created=NOW, push=OLD, pull=OLD),
        used(created=NOW + DAY),
    ],
)
def test_one_creation_push_or_pull_within_that_time_is_enough(subject: Repository) -> None:
    assert verdict("unused", subject, AFTER_90_DAYS) == Compliant()


def test_a_pull_that_ecr_has_not_recorded_yet_is_allowed_for() -> None:
    # Recorded 90 days and 23 hours ago, pulled perhaps a day later, which is less than 90 days ago.
    assert verdict("unused", used(pull=NOW - 90 * DAY - timedelta(hours=23)), AFTER_90_DAYS) == Compliant()


def test_where_the_images_could_not_be_read_nothing_is_said_of_an_old_one() -> None:
    unread = repository(created_at=OLD, usage=Unreadable("ecr:DescribeImages: AccessDeniedException"))
    assert verdict("unused", unread, AFTER_90_DAYS) == Undetermined(
        "its images could not be read: ecr:DescribeImages: AccessDeniedException"
    )


def test_a_young_one_is_not_unused_whatever_its_images_say() -> None:
    assert verdict("unused", repository(created_at=EDGE + SECOND, usage=Unreadable("not fetched")), AFTER_90_DAYS) == Compliant()


def test_without_the_setting_nothing_is_unused() -> None:
    assert verdict("unused", used(), expectation()) == Compliant()
    assert idle_since(expectation(), NOW) is None
    assert due(used(), expectation(), NOW) is None


def test_reading_may_stop_at_the_very_moment_that_the_rule_goes_by() -> None:
    assert idle_since(AFTER_90_DAYS, NOW) == EDGE
    assert timedelta(hours=24) == SLACK


@pytest.mark.parametrize(
    ("subject", "moment"),
    [
        (used(push=NOW - DAY), NOW + 90 * DAY),
        (used(pull=EDGE + SECOND), NOW + SECOND),
        (used(created=NOW), NOW + 91 * DAY),
        (used(), None),
        (used(pull=EDGE), None),
        (repository(created_at=NOW - 30 * DAY, usage=Unreadable("denied")), NOW + 61 * DAY),
        (repository(created_at=OLD, usage=Unreadable("denied")), None),
    ],
)
def test_the_verdict_is_due_when_the_last_activity_will_be_long_enough_ago(subject: Repository, moment: datetime | None) -> None:
    assert due(subject, AFTER_90_DAYS, NOW) == moment
    if moment:
        assert verdict("unused", subject, AFTER_90_DAYS, moment - SECOND) == Compliant()
        assert verdict("unused", subject, AFTER_90_DAYS, moment) != Compliant()


def test_the_last_activity_is_the_newest_of_creation_push_and_pull() -> None:
    assert last_activity(used(push=EDGE, pull=NOW)) == NOW
    assert last_activity(used(push=NOW, pull=EDGE)) == NOW
    assert last_activity(used(created=NOW, push=EDGE)) == NOW
    assert last_activity(used()) == OLD
    assert last_activity(repository(usage=Unreadable("denied"))) is None
