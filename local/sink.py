"""A receiver of webhooks on this machine: keeps what it is sent, and answers as it is told."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"


class Sink:
    """Somebody's own server. It is started when its secret is first asked for."""

    signing_secret = "a secret of this machine alone"  # noqa: S105 -- a dummy

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where it receives."""
        if self._server is None:
            self._server = ThreadingHTTPServer((HOST, 0), self._handler())
            self._server.daemon_threads = True
            threading.Thread(target=self._server.serve_forever, args=(0.1,), name="sink", daemon=True).start()
        return f"http://{HOST}:{self._server.server_address[1]}/hook"

    @property
    def secret(self) -> str:
        """What the secret in Secrets Manager holds."""
        return json.dumps({"url": self.url, "signing_secret": self.signing_secret})

    def stop(self) -> None:
        """Stop it, if it was started."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                sink.requests.append({"path": self.path, "headers": dict(self.headers.items()), "body": body.decode()})
                self.send_response(sink.status)
                for name, value in sink.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing of each request."""

        return Handler
