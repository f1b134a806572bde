"""Where the function that reports on schedule is put together."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from ecr_governor.adapters.glance_file import glance_as_data
from ecr_governor.adapters.runs import S3RunStore
from ecr_governor.adapters.sweep_book import DynamoDbSweepBook
from ecr_governor.app.reporting import Printed, Services, report_after_sweep, report_on_schedule
from ecr_governor.bootstrap import started
from ecr_governor.bootstrap.parts import client, ledger, now, policies
from ecr_governor.bootstrap.report_store import report_store
from ecr_governor.bootstrap.slack import chat
from ecr_governor.core.report.message import Kind
from ecr_governor.core.report.model import Report
from ecr_governor.observability import count
from ecr_governor.rendering.report import CONTENT_TYPES, SUFFIXES, rendered
from ecr_governor.settings import ReportSettings, from_environment

AFTER_SWEEP: Final = "latest"
"""What the sweep's last step asks for."""


class Context(Protocol):
    """As much of Lambda's context as is used."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is ended."""


def report(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Report. The event holds `report`, which is `weekly` or `daily`, or `latest` after a sweep, of which nobody is told."""
    services = _services(lambda: context.get_remaining_time_in_millis() / 1000)
    if event["report"] == AFTER_SWEEP:
        return report_after_sweep(services, now())
    done = report_on_schedule(Kind(event["report"]), services, now())
    count("ReportsMade", int(done["reported"]))
    return done


def _services(time_left: Callable[[], float]) -> Services:
    settings = from_environment(ReportSettings, os.environ)
    return Services(
        book=DynamoDbSweepBook(client("dynamodb"), settings.ledger_table),
        runs=S3RunStore(client("s3"), settings.reports_bucket),
        ledger=ledger(),
        store=report_store(settings.reports_bucket),
        policies=policies(notes=False),
        printed=_printed,
        as_data=glance_as_data,
        chat=chat(settings.slack_secret, time_left, answered=settings.slack_buttons) if settings.slack_secret else None,
        link_hours=settings.link_hours,
    )


def _printed(made: Report, output: str) -> Printed:
    return Printed(SUFFIXES[output], CONTENT_TYPES[output], rendered(made, output))


started()
