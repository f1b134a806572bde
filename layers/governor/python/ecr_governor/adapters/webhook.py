"""A signed POST to an address of somebody's own.

The address is taken from a secret, and from nowhere else. It is asked by https alone, follows nobody elsewhere, and of its answer nothing
but the status is read.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import urllib3

from ecr_governor.adapters.secret import KeptSecret
from ecr_governor.app.errors import Undeliverable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

TIMEOUT: Final = urllib3.Timeout(connect=3, read=7)
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

    def __init__(self, secrets: "SecretsManagerClient", name: str, *, pool: urllib3.PoolManager | None = None) -> None:
        self._secret = KeptSecret(secrets, name, _receiver_of, _SHAPE)
        self._pool = pool or urllib3.PoolManager(retries=False, timeout=TIMEOUT)

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
            answer = self._pool.request("POST", receiver.url, body=body, headers=headers, redirect=False, preload_content=False)
            status = answer.status
            # What else it has to say is not read, however much it is.
            answer.close()
        except (urllib3.exceptions.HTTPError, UnicodeError) as error:
            # The error's text may hold the address.
            raise Undeliverable(f"the webhook could not be reached: {type(error).__name__}") from None
        return status


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
        own = parts.hostname == LOOPBACK and parts.port is not None
    except ValueError:
        return False
    return parts.username is None and bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and own))
