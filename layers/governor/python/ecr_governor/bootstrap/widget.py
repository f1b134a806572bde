"""Where the function behind the dashboard's widget is put together."""

import os
from collections.abc import Mapping
from typing import Any, Protocol

from ecr_governor.adapters.dashboard_event import DashboardCall, dashboard_call
from ecr_governor.adapters.glance_file import glance_of_data
from ecr_governor.adapters.runs import S3RunStore
from ecr_governor.app.dashboard import answer
from ecr_governor.app.errors import Denied, Throttled
from ecr_governor.bootstrap import started
from ecr_governor.bootstrap.parts import client, now
from ecr_governor.core.report.asking import Misasked, Part
from ecr_governor.core.report.message import LATEST
from ecr_governor.observability import logger
from ecr_governor.rendering.report.widget import (
    DESCRIPTION,
    HEIGHT,
    WIDTH,
    Frame,
    glance_as_html,
    repository_as_html,
    trouble_as_html,
)
from ecr_governor.settings import WidgetSettings, from_environment


class Context(Protocol):
    """As much of Lambda's context as is used."""

    @property
    def invoked_function_arn(self) -> str:
        """The function's ARN, which clicks call again."""


def show(event: Mapping[str, Any], context: Context) -> str:
    """Give the widget's HTML, or its description in Markdown if CloudWatch asks for that. Trouble is told there, to whoever looks."""
    call, settings = dashboard_call(event), from_environment(WidgetSettings, os.environ)
    if call.describe:
        return DESCRIPTION
    frame = _frame(call, context.invoked_function_arn, settings.reports_bucket)
    try:
        found = answer(call.parameters, S3RunStore(client("s3"), settings.reports_bucket), glance_of_data)
    except Misasked as trouble:
        logger.info("not answered", extra={"why": trouble.what})
        return trouble_as_html(trouble, frame)
    except (Denied, Throttled) as error:
        # An error of the function would show nothing but itself; the log has it for who runs this.
        logger.exception("not shown")
        return trouble_as_html(Misasked("the report cannot be read now", str(error), "refresh the dashboard"), frame)
    logger.info("shown", extra={"seen_at": found.glance.report.method.seen_at.isoformat()})
    if isinstance(found.found, Part):
        return glance_as_html(found.glance, found.asked, found.found, frame, now())
    return repository_as_html(found.glance, found.found, frame)


def _frame(call: DashboardCall, endpoint: str, bucket: str) -> Frame:
    return Frame(
        endpoint=endpoint,
        report=f"s3://{bucket}/{LATEST}",
        console=call.console,
        dark=call.dark,
        width=call.width or WIDTH,
        height=call.height or HEIGHT,
    )


started()
