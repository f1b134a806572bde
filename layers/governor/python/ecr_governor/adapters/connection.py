"""One HTTP/1.1 connection that stays open, with as much of HTTP as AWS's JSON services and what stands before them speak.

Why not a library's: for a small answer urllib3 takes 0.4 ms of CPU and this 0.05, and a look at a whole registry is made of such
answers. Connecting, proxies and TLS are the standard library's.
"""

import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from selectors import EVENT_READ, DefaultSelector
from typing import Final
from urllib.parse import SplitResult, unquote

CONNECT_TIMEOUT: Final = 3.0
READ_TIMEOUT: Final = 10.0
IDLE: Final = 1.0
"""Seconds after which a connection is looked at before it is used again: the other side may have closed it."""
MAX_HEAD: Final = 65_536
CHUNK: Final = 65_536
_INTERIM: Final = range(100, 200)
_BODILESS: Final = frozenset({204, 304})


class NotHttp(HTTPException):
    """What came is no answer of HTTP, or ended too early."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. The names of headers are in lower case; of several with one name the last counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """A connection to one address, for one thread at a time. It is opened at the first need, and anew after it was closed."""

    def __init__(self, address: SplitResult, tls: ssl.SSLContext | None, proxy: SplitResult | None = None) -> None:
        """`tls` is None for plain HTTP. A `proxy` is spoken to by plain HTTP and tunnels to the address."""
        self._address = address
        self._tls = tls
        self._proxy = proxy
        self._socket: socket.socket | None = None
        self._used_at = 0.0

    def exchange(self, request: bytes) -> Answer:
        """Send a whole request and read its answer. Raises OSError or HTTPException; the connection is then closed."""
        try:
            return self._exchange(request)
        except (OSError, HTTPException):
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, request: bytes) -> Answer:
        if self._socket is not None and time.monotonic() - self._used_at > IDLE and _has_something(self._socket):
            # Something came unasked: the end of the connection, or what belongs to no request of ours.
            self.close()
        if self._socket is None:
            self._socket = self._connected()
        self._socket.sendall(request)
        answer, keep = _read(self._socket.recv)
        if keep:
            self._used_at = time.monotonic()
        else:
            self.close()
        return answer

    def _connected(self) -> socket.socket:
        host, port = str(self._address.hostname), self._address.port or (443 if self._tls else 80)
        to, at = (host, port) if self._proxy is None else (str(self._proxy.hostname), self._proxy.port or 80)
        if self._tls is None:
            connection = HTTPConnection(to, at, timeout=CONNECT_TIMEOUT)
        else:
            connection = HTTPSConnection(to, at, timeout=CONNECT_TIMEOUT, context=self._tls)
        if self._proxy is not None:
            connection.set_tunnel(host, port, _login(self._proxy))
        connection.connect()
        connected: socket.socket = connection.sock
        connected.settimeout(READ_TIMEOUT)
        return connected


def _has_something(waiting: socket.socket) -> bool:
    with DefaultSelector() as selector:
        selector.register(waiting, EVENT_READ)
        return bool(selector.select(0))


def _login(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    word = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(word.encode()).decode()}"}


def _read(receive: Callable[[int], bytes]) -> tuple[Answer, bool]:
    """Read one answer, and tell whether the connection can be used again."""
    status, version, headers, rest = _head(receive, b"")
    while status in _INTERIM:
        status, version, headers, rest = _head(receive, rest)
    keep = version != "HTTP/1.0" and headers.get("connection", "").lower() != "close"
    if status in _BODILESS:
        return Answer(status, headers, b""), keep and not rest
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body, rest = _chunked(receive, rest)
        return Answer(status, headers, body), keep and not rest
    if (length := headers.get("content-length")) is not None:
        if not (length.isascii() and length.isdecimal()):
            raise NotHttp(f"an answer of length {length[:20]!r}")
        body, rest = _exactly(receive, rest, int(length))
        return Answer(status, headers, body), keep and not rest
    return Answer(status, headers, _to_the_end(receive, rest)), False


def _head(receive: Callable[[int], bytes], given: bytes) -> tuple[int, str, dict[str, str], bytes]:
    """Read status, version and headers, and what came after them already."""
    while (end := given.find(b"\r\n\r\n")) < 0:
        if len(given) > MAX_HEAD:
            raise NotHttp("headers without an end")
        given += _more(receive, CHUNK)
    first, *lines = given[:end].decode("latin-1").split("\r\n")
    version, _, told = first.partition(" ")
    code = told[:3]
    if not version.startswith("HTTP/1.") or not (len(code) == 3 and code.isascii() and code.isdigit()):  # noqa: PLR2004 -- three digits
        raise NotHttp(f"an answer that begins with {first[:40]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return int(code), version, headers, given[end + 4 :]


def _exactly(receive: Callable[[int], bytes], given: bytes, length: int) -> tuple[bytes, bytes]:
    if len(given) < length:
        parts, missing = [given], length - len(given)
        while missing > 0:
            part = _more(receive, max(CHUNK, min(missing, 1 << 20)))
            parts.append(part)
            missing -= len(part)
        given = b"".join(parts)
    return given[:length], given[length:]


def _chunked(receive: Callable[[int], bytes], given: bytes) -> tuple[bytes, bytes]:
    parts: list[bytes] = []
    while True:
        line, given = _line(receive, given)
        size = line.partition(b";")[0].strip()
        if not size or not all(digit in b"0123456789abcdefABCDEF" for digit in size):
            raise NotHttp(f"a chunk of size {size[:20]!r}")
        if not int(size, 16):
            break
        part, given = _exactly(receive, given, int(size, 16) + 2)
        parts.append(part[:-2])
    while line:
        line, given = _line(receive, given)
    return b"".join(parts), given


def _line(receive: Callable[[int], bytes], given: bytes) -> tuple[bytes, bytes]:
    while (end := given.find(b"\r\n")) < 0:
        if len(given) > MAX_HEAD:
            raise NotHttp("a line without an end")
        given += _more(receive, CHUNK)
    return given[:end], given[end + 2 :]


def _to_the_end(receive: Callable[[int], bytes], given: bytes) -> bytes:
    parts = [given]
    while part := receive(CHUNK):
        parts.append(part)
    return b"".join(parts)


def _more(receive: Callable[[int], bytes], size: int) -> bytes:
    part = receive(size)
    if not part:
        raise NotHttp("the connection ended within an answer")
    return part
