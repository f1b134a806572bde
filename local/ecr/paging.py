"""Pages: a token names the last item given out, so that items deleted between two pages make no other item disappear."""

from __future__ import annotations

import base64
import binascii
import heapq
from typing import TYPE_CHECKING, Any

from local.ecr.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT = 100


def page(keys: Iterable[str], parameters: dict[str, Any], *, default: int = DEFAULT) -> tuple[list[str], dict[str, str]]:
    """Return one page of the keys, in their order, and the `nextToken` member if more follow."""
    size = parameters.get("maxResults") or default
    after = _key_of(parameters.get("nextToken"))
    found = heapq.nsmallest(size + 1, (key for key in keys if after is None or key > after))
    if len(found) <= size:
        return found, {}
    return found[:size], {"nextToken": base64.urlsafe_b64encode(found[size - 1].encode()).decode()}


def _key_of(token: str | None) -> str | None:
    if token is None:
        return None
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise invalid("nextToken", "Invalid token") from error
