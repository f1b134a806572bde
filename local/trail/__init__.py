"""CloudTrail in the embedded AWS: every recorded call becomes an EventBridge envelope."""

from local.trail.calls import ApiCall
from local.trail.trail import CreateOnPushRecord, Trail

__all__ = ["ApiCall", "CreateOnPushRecord", "Trail"]
