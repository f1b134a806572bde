"""Rules and their targets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.events.pattern import CompiledPattern

ENABLED = "ENABLED"
DISABLED = "DISABLED"
ENABLED_WITH_READS = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
STATES = (ENABLED, DISABLED, ENABLED_WITH_READS)
MAX_TARGETS = 5
DEFAULT_RETRIES = 185
DEFAULT_BUS = "default"
CLOUDTRAIL_TYPES = {"AWS API Call via CloudTrail", "AWS Service Event via CloudTrail", "AWS Console Action via CloudTrail"}


@dataclass(frozen=True)
class Target:
    """Where a rule sends what it matches."""

    id: str
    arn: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def dead_letter(self) -> str | None:
        """The queue for events that could not be delivered."""
        arn = self.settings.get("DeadLetterConfig", {}).get("Arn")
        return str(arn) if arn else None

    @property
    def max_retries(self) -> int:
        """How often a failed hand-over is repeated."""
        return int(self.settings.get("RetryPolicy", {}).get("MaximumRetryAttempts", DEFAULT_RETRIES))


@dataclass
class Rule:
    """A pattern or a schedule, and targets."""

    name: str
    arn: str
    bus: str = DEFAULT_BUS
    pattern_text: str | None = None
    pattern: CompiledPattern | None = None
    schedule: str | None = None
    state: str = ENABLED
    description: str | None = None
    role_arn: str | None = None
    targets: dict[str, Target] = field(default_factory=dict)
    matched: int = 0

    def wants(self, event: dict[str, Any]) -> bool:
        """Whether the rule sends this event on.

        A rule with a schedule only has no pattern and matches nothing. Read-only management events of CloudTrail reach
        only rules in the state that asks for them (EventBridge user guide, "Management events from AWS services").
        """
        if self.pattern is None or self.state == DISABLED:
            return False
        if self.state != ENABLED_WITH_READS and is_read_only_call(event):
            return False
        return self.pattern.matches(event)


def is_read_only_call(event: dict[str, Any]) -> bool:
    """Whether the event is CloudTrail's record of a read."""
    detail = event.get("detail")
    return event.get("detail-type") in CLOUDTRAIL_TYPES and isinstance(detail, dict) and detail.get("readOnly") in {True, "true"}
