"""Amazon ECR in the embedded AWS: installed into moto, whose server and `mock_aws` then answer with it.

It is written against AWS's documentation and botocore's ECR model. What AWS was not seen to do is marked UNCONFIRMED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.ecr.models import ecr_backends

from local import principals
from local.ecr import faults, metrics_api, tagging_api
from local.ecr.models import Backend, Image, Repository
from local.ecr.seeding import SeedImage, SeedRepository, seed, stock
from local.ecr.service_made import simulate_pull_through, simulate_replication
from local.ecr.store import backend_of
from local.ecr.wiring import wiring

if TYPE_CHECKING:
    from local.trail import Trail

__all__ = [
    "Backend",
    "Image",
    "Repository",
    "SeedImage",
    "SeedRepository",
    "backend_of",
    "faults",
    "install",
    "seed",
    "simulate_pull_through",
    "simulate_replication",
    "stock",
]


def install(trail: Trail) -> None:
    """Put this ECR in the place of moto's and let the trail hear of every call. Calling it again replaces the trail."""
    store: Any = ecr_backends
    wiring.trail = trail
    principals.install()
    tagging_api.install()
    metrics_api.install()
    if store.backend is not Backend:
        store.backend = Backend
        # Registries that moto has made already are of its own kind.
        store.clear()
