"""The last step of the sweep: retire what is unused, as far as it can be taken back."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ecr_governor.bootstrap.retirement import retire_unused
from ecr_governor.observability import logger, metrics


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Give what was done, and what was withheld."""
    return retire_unused(event, context)
