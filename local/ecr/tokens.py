"""Registry passwords: opaque, good for 12 hours, each standing for the principal that asked for it."""

from __future__ import annotations

import base64
import secrets
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from local.principals import Principal

LIFETIME = timedelta(hours=12)
_issued: dict[str, tuple[Principal, datetime]] = {}
_lock = threading.Lock()


def issue(principal: Principal, now: datetime) -> tuple[str, datetime]:
    """Make an authorization token, which is `AWS:` and the password in base64, and say when it ends."""
    password, expires = secrets.token_urlsafe(96), now + LIFETIME
    with _lock:
        for old in [known for known, (_, end) in _issued.items() if end <= now]:
            del _issued[old]
        _issued[password] = (principal, expires)
    return base64.b64encode(f"AWS:{password}".encode()).decode(), expires


def holder(authorization: str | None, now: datetime) -> Principal | None:
    """Return the principal behind an HTTP `Authorization: Basic` header, if its token is known and has not ended."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    with _lock:
        known = _issued.get(password)
    return known[0] if user == "AWS" and known is not None and now < known[1] else None
