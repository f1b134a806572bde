"""A Slack that takes incoming webhooks: checks them as Slack does, keeps them in order, and can be in trouble."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs

from local.slack.page import render
from local.slack.validation import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

Mode = Literal["ok", "slow", "down", "rate_limited"]
MODES = ("ok", "slow", "down", "rate_limited")
WEBHOOK = "/services/T0LOCAL000/B0LOCAL000/embeddedaws"
SERVICES = "/services/"
DEFAULT_DELAY = 2.0
POLL = 0.1
"""Seconds within which the server notices that it is to stop."""


@dataclass
class Behaviour:
    """How the next requests are met."""

    mode: Mode = "ok"
    delay: float = DEFAULT_DELAY
    retry_after: str | None = "1"
    times: int | None = None


@dataclass(frozen=True)
class Refused:
    """A message that was not taken."""

    time: str
    code: str
    reasons: list[str] = field(default_factory=list)
    body: str = ""


class Slack:
    """One channel with one app. `url` is the page; `webhook_url` is where messages are posted."""

    def __init__(self, port: int = 0, *, channel: str = "container-registry", app_name: str = "ECR Governor", topic: str = "") -> None:
        self.channel = channel
        self.app_name = app_name
        self.topic = topic
        self.messages: list[dict[str, Any]] = []
        self.refused: list[Refused] = []
        self.attempts = 0
        self._behaviour = Behaviour()
        self._lock = threading.Lock()
        self._port = port
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Begin to serve on 127.0.0.1."""
        slack = self

        class Handler(_Handler):
            channel = slack

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(POLL,), name="slack", daemon=True).start()

    def stop(self) -> None:
        """Stop serving; the messages stay."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        """The page."""
        if self._server is None:
            raise RuntimeError("not started")
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    @property
    def webhook_url(self) -> str:
        """Where messages are posted; any path below `/services/` does."""
        return self.url.rstrip("/") + WEBHOOK

    def behave(
        self, mode: Mode = "ok", *, delay: float = DEFAULT_DELAY, retry_after: str | float | None = "1", times: int | None = None
    ) -> None:
        """Meet the next requests in another way: all, or as many as `times`.

        `slow` answers after `delay` seconds, `down` answers 500, `rate_limited` answers 429 with `Retry-After` as given
        (Slack sends seconds; clients have met dates, nonsense and nothing at all).
        """
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}")
        with self._lock:
            self._behaviour = Behaviour(
                mode, float(delay), None if retry_after is None else str(retry_after), None if times is None else int(times)
            )

    def clear(self) -> None:
        """Forget all messages and behave well."""
        with self._lock:
            self.messages.clear()
            self.refused.clear()
            self.attempts = 0
            self._behaviour = Behaviour()

    def export_html(self) -> str:
        """The page as it is now, to be saved."""
        with self._lock:
            messages = list(self.messages)
        return render(messages, channel=self.channel, app_name=self.app_name, topic=self.topic)

    def receive(self, path: str, body: bytes, content_type: str) -> tuple[int, str, dict[str, str]]:
        """Take one post: status, text and headers of the answer."""
        with self._lock:
            self.attempts += 1
            behaviour = self._behaviour
            if behaviour.times is not None:
                behaviour.times -= 1
                if behaviour.times <= 0:
                    self._behaviour = Behaviour()
        if behaviour.mode == "slow":
            time.sleep(behaviour.delay)
        elif behaviour.mode == "down":
            return 500, "server_error", {}
        elif behaviour.mode == "rate_limited":
            return 429, "rate_limited", {} if behaviour.retry_after is None else {"Retry-After": behaviour.retry_after}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        payload = _payload(body, content_type)
        refused = refusal(payload)
        with self._lock:
            if refused:
                self.refused.append(Refused(now, refused[0], refused[1], body.decode(errors="replace")))
                return 400, refused[0], {}
            self.messages.append({"time": now, "webhook": path, "payload": payload})
        return 200, "ok", {}


def _payload(body: bytes, content_type: str) -> Any:
    try:
        text = body.decode()
        if content_type.startswith("application/x-www-form-urlencoded"):
            text = parse_qs(text)["payload"][0]
        return json.loads(text)
    except (ValueError, KeyError):
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    channel: Slack

    def do_GET(self) -> None:
        if self.path == "/":
            self._send(200, self.channel.export_html(), "text/html; charset=utf-8")
        elif self.path == "/messages":
            self._send(200, json.dumps(self.channel.messages), "application/json")
        else:
            self._send(404, "not found")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.path.startswith(SERVICES):
            self._send(404, "no_service")
            return
        status, text, headers = self.channel.receive(self.path, body, self.headers.get("Content-Type", ""))
        self._send(status, text, "text/html; charset=utf-8", headers)

    def _send(self, status: int, text: str, kind: str = "text/plain; charset=utf-8", headers: Mapping[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""
