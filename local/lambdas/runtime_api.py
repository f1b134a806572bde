"""The Lambda Runtime API: the HTTP side of a sandbox (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html)."""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

POLL = 0.2
"""Seconds within which a server notices that it is to stop."""
VERSION = "/2018-06-01/runtime"


@dataclass(frozen=True)
class Invocation:
    """One event on its way into the sandbox."""

    request_id: str
    payload: bytes
    deadline_ms: int
    function_arn: str


@dataclass(frozen=True)
class Answer:
    """What the runtime posted for an invocation."""

    request_id: str
    payload: bytes
    failed: bool


@dataclass(frozen=True)
class Exit:
    """The process ended; negative codes are signals."""

    code: int


@dataclass
class Session:
    """One process's conversation with the API."""

    inbox: queue.SimpleQueue[Invocation | None] = field(default_factory=queue.SimpleQueue)
    outbox: queue.SimpleQueue[Answer | Exit] = field(default_factory=queue.SimpleQueue)
    initialised: threading.Event = field(default_factory=threading.Event)
    init_error: bytes | None = None


class RuntimeApi:
    """Serves one sandbox on its own port, because the client is told a host and a port only."""

    def __init__(self) -> None:
        self.session = Session()
        api = self

        class Handler(_Handler):
            runtime_api = api

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(POLL,), name="runtime-api", daemon=True).start()

    def new_session(self) -> Session:
        """Forget the ended process and expect the next one."""
        self.session.inbox.put(None)
        self.session = Session()
        return self.session

    def close(self) -> None:
        """Stop serving."""
        self.session.inbox.put(None)
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body in one segment, sent at once: otherwise Nagle and delayed ACK cost some 90 ms a call.
    disable_nagle_algorithm = True
    wbufsize = -1
    runtime_api: RuntimeApi

    def do_GET(self) -> None:
        session = self.runtime_api.session
        if self.path != f"{VERSION}/invocation/next":
            self._send(404, b"{}")
            return
        session.initialised.set()
        invocation = session.inbox.get()
        if invocation is None:
            self.close_connection = True
            return
        self._send(
            200,
            invocation.payload,
            {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
                "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
            },
        )

    def do_POST(self) -> None:
        session = self.runtime_api.session
        body = self._body()
        if self.path == f"{VERSION}/init/error":
            session.init_error = body
            session.initialised.set()
        else:
            *_, request_id, kind = self.path.split("/")
            session.outbox.put(Answer(request_id, body, failed=kind == "error"))
        self._send(202, b'{"status":"OK"}')

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(body)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: what a function logs is what counts."""


def error_document(error_type: str, message: str) -> bytes:
    """An error as the platform, not the runtime, words it."""
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()
