"""Delete what has gone through every stage of its retirement. It exists only where deletion is enabled."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ecr_governor.bootstrap.retirement import delete_retired
from ecr_governor.observability import logger, metrics


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Give what was done, and what was withheld."""
    return delete_retired(event, context)
