"""The operations of ECR's API, by name. A name of the model that is not here is answered with a loud error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.ecr.operations import images, layers, pull_through, registry, repositories, scanning, templates

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.ecr.calls import Request

OPERATIONS: dict[str, Callable[[Request], dict[str, Any]]] = {
    **repositories.OPERATIONS,
    **images.OPERATIONS,
    **layers.OPERATIONS,
    **registry.OPERATIONS,
    **scanning.OPERATIONS,
    **templates.OPERATIONS,
    **pull_through.OPERATIONS,
}
