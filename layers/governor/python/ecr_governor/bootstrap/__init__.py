"""The only place where classes meet: one module for each kind of work, so that a function loads no more than it needs."""

import gc
from typing import Final

OBJECTS_BETWEEN_COLLECTIONS: Final = 50_000
"""A page of repositories is freed as it is let go. Searching it for cycles, as Python does by itself after 700 to 2,000 new objects,
takes a tenth of a sweep's CPU."""

# What is imported stays: until all of it is there, searching it for garbage is a tenth of a cold start.
gc.disable()


def started() -> None:
    """All that stays has been made: from now on search the rest for garbage, seldom. Each module here ends with this."""
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    gc.enable()
