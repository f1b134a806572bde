"""The only place where classes meet: one module for each kind of work, so that a function loads no more than it needs."""

import gc
from typing import Final

OBJECTS_BETWEEN_COLLECTIONS: Final = 50_000
"""What an import or a page of repositories makes either stays or is freed as it is let go. Searching it for cycles, as Python does
by itself after 700 to 2,000 new objects, takes a tenth of a cold start's CPU and as much of a sweep's."""

gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
