"""What deleting unused images could save: a range, since ECR tells what images weigh and not what they share."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

PRICE_PER_GB_MONTH: Final = 0.10
"""USD of a GB-month of ECR's private storage (us-east-1, 2026)."""
GB: Final = 1 << 30
REASON: Final = (
    "ECR bills each layer once, but tells only what every image weighs by itself. The most is saved if images share no layer, "
    "the least if those of a repository share all but the layers of one. If repositories share layers by blob mounting, it may be less still. "
    "At 0.10 USD for a GB-month (us-east-1, 2026). Only deletion saves: ECR's archive costs as much below 150 TB."
)


@dataclass(frozen=True, slots=True)
class Saving:
    """What could be saved in USD a month, and of how many bytes. `unknown` are repositories whose size nobody counted."""

    least_usd: float
    most_usd: float
    size_bytes: int
    unknown: int
    reason: str = REASON


def saving(sizes: Iterable[tuple[int | None, int | None]]) -> Saving:
    """Estimate by the number of images and the sum of their compressed sizes, repository by repository.

    The layers of all images together weigh at least as much as the heaviest image, so at least the mean.
    """
    least, most, unknown = 0.0, 0, 0
    for images, size_bytes in sizes:
        if images is None or size_bytes is None:
            unknown += 1
            continue
        most += size_bytes
        least += size_bytes / images if images else 0
    return Saving(round(least / GB * PRICE_PER_GB_MONTH, 2), round(most / GB * PRICE_PER_GB_MONTH, 2), most, unknown)
