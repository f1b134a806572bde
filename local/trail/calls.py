"""One API call as CloudTrail learns of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from local.principals import Principal

READ_PREFIXES = ("Get", "List", "Describe")
# Read-only by AWS's list although their names do not say so: EventBridge user guide, "Management events from AWS services".
READ_ONLY = frozenset(
    {
        "BatchCheckLayerAvailability",
        "BatchGetImage",
        "BatchGetImageReferrer",
        "BatchGetRepositoryScanningConfiguration",
        "DryRunEvent",
        "PolicyExecutionEvent",
    }
)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A call that was made, whether it succeeded or not."""

    service: str
    operation: str
    parameters: dict[str, Any]
    response: dict[str, Any] | None
    error_code: str | None
    error_message: str | None
    principal: Principal
    region: str
    account: str
    time: datetime
    source_ip: str
    user_agent: str
    invoked_by: str | None = None
    resources: tuple[str, ...] = ()

    @property
    def read_only(self) -> bool:
        """Whether the operation changes nothing."""
        return self.operation.startswith(READ_PREFIXES) or self.operation in READ_ONLY

    @property
    def succeeded(self) -> bool:
        """Whether AWS answered without an error."""
        return self.error_code is None
