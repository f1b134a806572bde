"""What CloudWatch sends to the function behind a custom widget, and what can be believed of it.

docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_about.html, …_interactivity.html. The page shows no `domain`;
Powertools knows it, and without it nothing is linked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from aws_lambda_powertools.utilities.data_classes.cloud_watch_custom_widget_event import CloudWatchDashboardCustomWidgetEvent

CONSOLES: Final = (".console.aws.amazon.com", ".console.amazonaws-us-gov.com", ".console.amazonaws.cn")
"""Ends of the console's hosts in AWS's partitions."""
OURS: Final = frozenset({"describe", "widgetContext"})
"""What CloudWatch adds to the parameters."""
LARGEST: Final = 10_000
"""Pixels that a widget may say it has."""


@dataclass(frozen=True, slots=True)
class DashboardCall:
    """One call. `describe` asks how the widget is to be used; `parameters` are what a click asks for, or the widget's own.

    `console` is where the console is, "" if that is not known; sizes are in pixels, None where none is told.
    """

    describe: bool
    parameters: Mapping[str, Any]
    console: str
    dark: bool
    width: int | None
    height: int | None


def dashboard_call(event: Mapping[str, Any]) -> DashboardCall:
    """Read a call. Whatever of it is not as it should be is taken for absent: anybody who may invoke the function writes it."""
    call = CloudWatchDashboardCustomWidgetEvent(dict(event))
    context = event.get("widgetContext")
    seen: Mapping[str, Any] = call.widget_context.raw_event if isinstance(context, dict) and call.widget_context else {}
    clicked = {name: value for name, value in event.items() if name not in OURS}
    configured = seen.get("params")
    return DashboardCall(
        describe=call.describe,
        # Sent with the widget's first call as well: a click that asks for nothing asks for what the widget shows by itself.
        parameters=clicked or (configured if isinstance(configured, dict) else {}),
        console=_console(seen.get("domain")),
        dark=seen.get("theme") == "dark",
        width=_pixels(seen.get("width")),
        height=_pixels(seen.get("height")),
    )


def _pixels(said: Any) -> int | None:
    return int(said) if isinstance(said, int | float) and 1 <= said <= LARGEST else None


def _console(domain: Any) -> str:
    """The console's address, if it is one."""
    try:
        parts = urlsplit(domain) if isinstance(domain, str) else None
        host = parts.hostname if parts and parts.scheme == "https" else None
    except ValueError:
        return ""
    named = host is not None and host.isascii() and host.replace(".", "").replace("-", "").isalnum()
    return f"https://{host}" if host and named and host.endswith(CONSOLES) else ""
