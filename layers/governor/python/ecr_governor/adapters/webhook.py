"""A signed POST to an address of somebody's own.

The address is taken from a secret, and from nowhere else. It is asked by https alone, follows nobody elsewhere, and of its answer nothing
but the status is read.
"""

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ecr_governor.adapters.secret import KeptSecret
from ecr_governor.app.errors import Undeliverable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

CONNECT: Final = 3.0
ANSWER: Final = 7.0
"""Seconds that connecting may take at each address, and then the receiver without a byte."""
AT_MOST: Final = 10.0
"""Seconds that a request takes as a whole, in whatever pieces the answer comes."""
LEAST_SECRET: Final = 16
"""Characters of a signing secret that are not to be guessed."""
LOOPBACK: Final = "127.0.0.1"
"""The one host that is taken without TLS: this machine."""
REPLACED: Final = frozenset({401, 403, 404, 410})
"""Answers after which the secret is read again: address or signing secret may have been replaced."""
UNFIT: Final = frozenset({400, 413, 415, 422})
"""Answers that speak of this request, and not of the receiver's health."""
_SHAPE: Final = 'not {"url": "https://...", "signing_secret": "..."} with at least 16 characters to sign with'


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where to send, and what to sign with."""

    url: str
    signing_secret: str

    def __repr__(self) -> str:
        return "Receiver(…)"


class SignedWebhook:
    """One receiver. Its address and its secret are in no log and no error."""

    def __init__(self, secrets: "SecretsManagerClient", name: str) -> None:
        self._secret = KeptSecret(secrets, name, _receiver_of, _SHAPE)

    def post(self, identity: str, document: Mapping[str, Any], now: datetime) -> None:
        """Send a document, signed with the time of sending. Raises Undeliverable unless the answer's status is 2xx."""
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        receiver = self._secret.current()
        status = self._send(receiver, identity, body, now)
        if status in REPLACED:
            self._secret.forget()
            if (replaced := self._secret.current()) != receiver:
                status = self._send(replaced, identity, body, now)
        if not 200 <= status < 300:  # noqa: PLR2004
            what = "answered {}, and nobody is followed elsewhere" if 300 <= status < 400 else "answered {}"  # noqa: PLR2004
            raise Undeliverable(f"the webhook {what.format(status)}", only_this_one=status in UNFIT)

    def _send(self, receiver: Receiver, identity: str, body: bytes, now: datetime) -> int:
        timestamp = str(int(now.timestamp()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "ecr-governor",
            "X-Ecr-Governor-Id": identity,
            "X-Ecr-Governor-Timestamp": timestamp,
            "X-Ecr-Governor-Signature": signature(receiver.signing_secret, timestamp, body),
        }
        try:
            return _Request(receiver.url, body, headers).status()
        except (OSError, HTTPException, UnicodeError) as error:
            # The error's text may hold the address.
            raise Undeliverable(f"the webhook could not be reached: {type(error).__name__}") from None


class _Request:
    """A request of which the answer's status is wanted, and nothing else."""

    def __init__(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        self._connection, self._body, self._headers = _connection_to(url), body, headers
        parts = urlsplit(url)
        self._target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        self._late = threading.Event()

    def status(self) -> int:
        """Give the status. Raises TimeoutError, OSError, HTTPException, UnicodeError."""
        # A socket's time-out begins anew with every byte, and looking up a name has none: so another thread waits for them.
        asking = ThreadPoolExecutor(1)
        try:
            return asking.submit(self._ask).result(AT_MOST)
        finally:
            self._hang_up()
            asking.shutdown(wait=False)

    def _ask(self) -> int:
        try:
            self._connection.connect()
            if self._late.is_set():
                raise TimeoutError
            self._connection.sock.settimeout(ANSWER)
            self._connection.request("POST", self._target, self._body, dict(self._headers))
            with self._connection.getresponse() as answer:
                # What else it has to say is not read, however much it is.
                return answer.status
        finally:
            self._connection.close()

    def _hang_up(self) -> None:
        """End what is under way: whoever has a connection loses it, whoever gets one later does nothing with it."""
        self._late.set()
        if (line := self._connection.sock) is not None:
            with suppress(OSError):
                # As a plain socket: one of TLS forgets with that how to decrypt, and the other thread still reads.
                socket.socket.shutdown(line, socket.SHUT_RDWR)


def _connection_to(url: str) -> HTTPConnection:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=CONNECT)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Sign a body with the time of sending, so that neither can be changed, and an old request cannot be sent anew."""
    return "v1=" + hmac.new(secret.encode(), b":".join((b"v1", timestamp.encode(), body)), hashlib.sha256).hexdigest()


def _receiver_of(text: str) -> Receiver | None:
    try:
        document = json.loads(text)
    except ValueError:
        return None
    values = [document.get(key) for key in ("url", "signing_secret")] if isinstance(document, dict) else [None, None]
    if not all(isinstance(value, str) for value in values):
        return None
    url, secret = (str(value) for value in values)
    fit = url.isascii() and url.isprintable() and " " not in url and _is_safe(url)
    return Receiver(url, secret) if fit and secret.isprintable() and len(secret) >= LEAST_SECRET else None


def _is_safe(url: str) -> bool:
    """Whether nobody on the way can read along: https, or this machine and nothing that only looks like it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    own = parts.hostname == LOOPBACK and port is not None
    return parts.username is None and bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and own))
