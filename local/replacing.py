"""Puts own methods in the place of moto's, for as long as an embedded AWS runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def replace(owner: Any, methods: Mapping[str, Any]) -> Callable[[], None]:
    """Set attributes of a class or module; returns what puts the old ones back."""
    missing = object()
    before = {name: vars(owner).get(name, missing) for name in methods}
    for name, method in methods.items():
        setattr(owner, name, method)

    def restore() -> None:
        for name, method in before.items():
            if method is missing:
                delattr(owner, name)
            else:
                setattr(owner, name, method)

    return restore
