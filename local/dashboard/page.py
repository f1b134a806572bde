"""The page of the account's dashboards, under `/_local/dashboard` on the AWS endpoint's port. What is no custom widget is named only.

docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_custom_widget_dashboard_about.html, …_interactivity.html
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from local.dashboard.cleaning import cleaned
from local.lambdas.service import FunctionNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from local.server import EmbeddedAws

ADDRESS = "/_local/dashboard"
COLUMN, ROW, HEADER = 50, 50, 40
"""Pixels of one of a dashboard's 24 columns, of a row, and of a widget's title."""
DAY = 86_400_000
PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")


class Dashboards:
    """Shows dashboards, and invokes the functions behind their widgets: when they are opened, and by clicks."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self._aws = aws

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request: the page, or what a click leads to."""
        if environ["REQUEST_METHOD"] == "POST":
            asked = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
            text = self.call(asked["endpoint"], asked["event"], self.context(asked["widget"], asked["theme"], asked["forms"]))
        else:
            text = self.page("dark" if dict(parse_qsl(environ.get("QUERY_STRING", ""))).get("theme") == "dark" else "light")
        body = text.encode()
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))])
        return [body]

    def widgets(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every widget with its identity: its dashboard and its place there."""
        cloudwatch = self._aws.client("cloudwatch")
        for entry in cloudwatch.list_dashboards()["DashboardEntries"]:
            body = json.loads(cloudwatch.get_dashboard(DashboardName=entry["DashboardName"])["DashboardBody"])
            for number, widget in enumerate(body["widgets"]):
                yield f"{entry['DashboardName']}/{number}", widget

    def context(self, identity: str, theme: str, forms: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What CloudWatch tells a function of the widget that it is called for. Raises KeyError if there is no such widget."""
        widget = dict(self.widgets())[identity]
        name, _, number = identity.rpartition("/")
        now = int(self._aws.clock.now().timestamp() * 1000)
        return {
            "dashboardName": name,
            "widgetId": f"widget-{number}",
            "domain": f"https://{self._aws.region}.console.aws.amazon.com",
            "accountId": self._aws.account,
            "locale": "en",
            "timezone": {"label": "UTC", "offsetISO": "+00:00", "offsetInMinutes": 0},
            "period": 300,
            "isAutoPeriod": True,
            "timeRange": {"mode": "relative", "start": now - DAY, "end": now, "relativeStart": DAY},
            "theme": theme,
            "linkCharts": True,
            "title": widget["properties"].get("title", ""),
            "forms": {"all": dict(forms or {})},
            "params": widget["properties"].get("params", {}),
            "width": widget["width"] * COLUMN,
            "height": widget["height"] * ROW - HEADER,
        }

    def call(self, endpoint: str, event: Mapping[str, Any], context: Mapping[str, Any]) -> str:
        """Invoke a function as CloudWatch does; give what is shown of its answer."""
        try:
            result = self._aws.lambdas.invoke(endpoint, {**event, "widgetContext": context})
        except FunctionNotFound:
            return f"<pre>There is no function {html.escape(endpoint)}</pre>"
        answer = json.loads(result.payload or b"null")
        if result.error is not None or not isinstance(answer, str):
            return f"<pre>{html.escape(json.dumps(answer, indent=1))}</pre>"
        text, taken = cleaned(answer)
        return text + (f'<p class="taken">CloudWatch takes out: {html.escape(", ".join(taken))}</p>' if taken else "")

    def page(self, theme: str) -> str:
        """Give the whole page."""
        shown = "".join(self._shown(identity, widget, theme) for identity, widget in self.widgets())
        return PAGE.replace("{theme}", theme).replace("{widgets}", shown or "<p>There is no dashboard.</p>")

    def _shown(self, identity: str, widget: Mapping[str, Any], theme: str) -> str:
        properties, custom = widget["properties"], widget["type"] == "custom"
        inner = f"<p>{html.escape(widget['type'])}</p>"
        if custom:
            inner = self.call(properties["endpoint"], properties.get("params", {}), self.context(identity, theme))
        height = widget["height"] * ROW if custom else 2 * HEADER
        return (
            f'<section style="grid-column: span {int(widget["width"])}; height: {int(height)}px">'
            f"<h2>{html.escape(properties.get('title', ''))}</h2>"
            f'<div class="widget" data-widget="{html.escape(identity)}">{inner}</div></section>'
        )
