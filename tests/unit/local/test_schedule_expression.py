"""Schedule expressions are due when AWS says."""

from datetime import UTC, datetime

import pytest

from local.clock.expression import InvalidSchedule, parse

CREATED = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "zone", "expected"),
    [
        ("rate(1 minute)", "UTC", "2026-01-01T12:01"),
        ("rate(12 hours)", "UTC", "2026-01-02T00:00"),
        ("rate(7 days)", "UTC", "2026-01-08T12:00"),
        ("cron(0 6 * * ? *)", "UTC", "2026-01-02T06:00"),
        ("cron(0 6 * * ? *)", "Europe/Berlin", "2026-01-02T05:00"),
        ("cron(0/15 * * * ? *)", "UTC", "2026-01-01T12:15"),
        ("cron(0 9 ? * MON-FRI *)", "UTC", "2026-01-02T09:00"),
        ("cron(0 9 ? * SUN *)", "UTC", "2026-01-04T09:00"),
        ("cron(0 9 ? * 2#1 *)", "UTC", "2026-01-05T09:00"),
        ("cron(0 9 ? * 6L *)", "UTC", "2026-01-30T09:00"),
        ("cron(0 9 L * ? *)", "UTC", "2026-01-31T09:00"),
        ("cron(0 9 3W * ? *)", "UTC", "2026-01-02T09:00"),
        ("cron(0 0 29 FEB ? *)", "UTC", "2028-02-29T00:00"),
        ("cron(0 0 1 1 ? 2030)", "UTC", "2030-01-01T00:00"),
        ("at(2026-02-01T10:00:00)", "Europe/Berlin", "2026-02-01T09:00"),
        ("at(2025-02-01T10:00:00)", "UTC", None),
    ],
)
def test_next_time(expression: str, zone: str, expected: str | None) -> None:
    due = parse(expression, zone).after(CREATED, CREATED)
    assert (due.isoformat()[:16] if due else None) == expected


def test_daily_at_local_time_follows_daylight_saving() -> None:
    cron = parse("cron(0 6 * * ? *)", "Europe/Berlin")
    due = cron.after(datetime(2026, 3, 28, 12, tzinfo=UTC), CREATED)
    assert due == datetime(2026, 3, 29, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    "expression",
    [
        "nonsense(1)",
        "rate(1 days)",
        "rate(2 day)",
        "rate(0 days)",
        "cron(0 6 * * * *)",
        "cron(0 6 * * ?)",
        "cron(61 6 * * ? *)",
        "at(soon)",
        "cron(x 6 * * ? *)",
    ],
)
def test_refuses_the_rest(expression: str) -> None:
    with pytest.raises(InvalidSchedule):
        parse(expression)
