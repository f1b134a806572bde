"""What ECR is connected to in this process: the trail that hears of its calls and the registry that clients push to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.trail import Trail


class _Wiring:
    trail: Trail | None = None
    # Addresses of the running registries by account and Region.
    registries: dict[tuple[str, str], str] = {}  # noqa: RUF012 - one process, one wiring


wiring = _Wiring()
