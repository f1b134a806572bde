"""How much a violation matters."""

from enum import StrEnum


class Severity(StrEnum):
    """From a blemish to a danger, in ascending order."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"
