"""A function URL: an HTTP address on this machine behind which one function answers (Lambda developer guide, urls-invocation)."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.lambdas.service import Lambdas

MAX_BODY = 6 * 1024 * 1024
POLL = 0.1
"""Seconds within which the server notices that it is to stop."""
TEXT = ("text/", "application/json", "application/xml", "application/javascript")
"""Content types whose bodies reach the function as they are; all others, forms among them, in base64."""
Response = tuple[int, dict[str, str], bytes]


class FunctionUrl:
    """One function's URL. `open_to_anybody` says whether the function's resource policy lets anybody call it."""

    def __init__(self, function: str, lambdas: Lambdas, open_to_anybody: Callable[[], bool]) -> None:
        self._function = function
        self._lambdas = lambdas
        self._open = open_to_anybody
        self._server: ThreadingHTTPServer | None = None
        self._id = hashlib.sha256(function.encode()).hexdigest()[:32]

    def start(self) -> str:
        """Begin to answer; give the address."""
        url = self

        class Handler(_Handler):
            owner = url

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(POLL,), name="function-url", daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Answer one request as Lambda does."""
        if not self._open():
            return _refusal(403, "Forbidden. For troubleshooting Function URL authorization issues, see the developer guide")
        if len(body) > MAX_BODY:
            return _refusal(413, "Request Entity Too Large")
        result = self._lambdas.invoke(self._function, self._event(method, target, headers, body))
        if result.error == "Throttled":
            return _refusal(429, "Too Many Requests")
        if result.error is not None:
            return _refusal(502, "Internal Server Error")
        return _response(result.payload)

    def _event(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        path, _, query = target.partition("?")
        now, kind = datetime.now(UTC), headers.get("content-type", "")
        domain = f"{self._id}.lambda-url.local"
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": dict(headers),
            "requestContext": {
                "accountId": "anonymous",
                "apiId": self._id,
                "domainName": domain,
                "domainPrefix": self._id,
                "http": {
                    "method": method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": headers.get("user-agent", ""),
                },
                "requestId": str(uuid.uuid4()),
                "routeKey": "$default",
                "stage": "$default",
                "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "timeEpoch": int(now.timestamp() * 1000),
            },
            "isBase64Encoded": False,
        }
        if query:
            event["queryStringParameters"] = dict(parse_qsl(query, keep_blank_values=True))
        if body:
            as_text = kind.startswith(TEXT)
            event["body"] = body.decode(errors="replace") if as_text else base64.b64encode(body).decode()
            event["isBase64Encoded"] = not as_text
        return event


def _response(payload: bytes) -> Response:
    """What a function's answer becomes: with a `statusCode` the parts that it names, otherwise the answer itself."""
    document = json.loads(payload or b"null")
    if not isinstance(document, dict) or "statusCode" not in document:
        return 200, {"content-type": "application/json"}, payload
    body = str(document.get("body", ""))
    headers = {str(name): str(value) for name, value in (document.get("headers") or {}).items()}
    return int(document["statusCode"]), headers, base64.b64decode(body) if document.get("isBase64Encoded") else body.encode()


def _refusal(status: int, message: str) -> Response:
    return status, {"content-type": "application/json"}, json.dumps({"Message": message}).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    owner: FunctionUrl

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            # What comes more than once reaches the function as one, with commas.
            headers[name.lower()] = f"{headers[name.lower()]},{value}" if name.lower() in headers else value
        status, answered, content = self.owner.answer(self.command, self.path, headers, body)
        self.send_response(status)
        for name, value in answered.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self._take()

    def do_POST(self) -> None:
        self._take()

    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""
