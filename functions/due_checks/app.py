"""Time has passed: a grace period ended or an exemption expired, so verdicts may have changed without an event."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ecr_governor.bootstrap.events import ask_for_what_is_due
from ecr_governor.observability import logger, metrics


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Ask for a look at what is due; give how many repositories that were."""
    return ask_for_what_is_due()
