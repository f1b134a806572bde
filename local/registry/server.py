"""The HTTP side of the registry: reading requests, checking tokens, sending answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from local.ecr.errors import EcrError
from local.ecr.store import backend_of
from local.ecr.tokens import holder
from local.registry.answers import Answer, Refused, refusal_of
from local.registry.exchange import Exchange

if TYPE_CHECKING:
    from local.principals import Principal

_ROUTE = re.compile(
    r"/v2/(?P<name>.+?)/(?:"
    r"blobs/uploads/(?P<upload>[^/]*)"
    r"|blobs/(?P<blob>[^/]+)"
    r"|manifests/(?P<manifest>[^/]+)"
    r"|(?P<tags>tags/list)"
    r"|referrers/(?P<referrers>[^/]+))"
)
_KINDS = ("upload", "blob", "manifest", "tags", "referrers")


class RegistryServer(ThreadingHTTPServer):
    """One registry's socket."""

    daemon_threads = True
    # A test that is ready to end does not wait for clients that keep their connection open.
    block_on_close = False

    def __init__(self, address: tuple[str, int], *, account: str, region: str) -> None:
        self.account = account
        self.region = region
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without these two every answer waits for a delayed ACK, 40 ms on Linux.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: RegistryServer

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server calls these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Keep quiet: what happened is in the trail."""

    def _serve(self) -> None:
        body = self._body()
        try:
            answer = self._answer(body)
        except Refused as refused:
            answer = refused.answer
        except EcrError as error:
            answer = refusal_of(error).answer
        self.send_response(answer.status)
        headers = {"Docker-Distribution-Api-Version": "registry/2.0", "Content-Length": str(len(answer.body))} | answer.headers
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(iter(self._chunk, b""))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        content = self.rfile.read(size)
        self.rfile.readline()
        return content

    def _caller(self) -> Principal:
        principal = holder(self.headers.get("Authorization"), datetime.now(UTC))
        if principal is None:
            challenge = f'Basic realm="http://127.0.0.1:{self.server.server_port}/",service="ecr.amazonaws.com"'
            raise Refused(401, "UNAUTHORIZED", "Not Authorized", {"WWW-Authenticate": challenge})
        return principal

    def _answer(self, body: bytes) -> Answer:
        principal = self._caller()
        url = urlsplit(self.path)
        if url.path.rstrip("/") == "/v2":
            return Answer(200, {"Content-Type": "application/json"}, b"{}")
        route = _ROUTE.fullmatch(url.path)
        if route is None:
            raise Refused(404, "NAME_INVALID", f"{url.path} is no address of the registry")
        kind = next(item for item in _KINDS if route[item] is not None)
        exchange = Exchange(
            backend=backend_of(self.server.account, self.server.region),
            principal=principal,
            name=route["name"],
            query=dict(parse_qsl(url.query)),
            body=body,
            content_type=self.headers.get("Content-Type", ""),
            accept=tuple(part.strip() for value in self.headers.get_all("Accept", []) for part in value.split(",")),
        )
        return exchange.answer(self.command, kind, route[kind])
