"""The registries of this process: one for each account and Region."""

from __future__ import annotations

from typing import Any

from moto.ecr.models import ecr_backends

from local.ecr.models import Backend
from local.principals import own_account

REGION = "eu-west-1"


def backend_of(account: str | None = None, region: str = REGION) -> Backend:
    """Return the registry of an account and Region; it comes into being when it is first asked for."""
    found: Any = ecr_backends[account or own_account()][region]
    if not isinstance(found, Backend):
        raise TypeError("local.ecr.install() has not been called")
    return found
