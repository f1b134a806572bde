"""The third step of the sweep: decide over the whole, and ask for what is to be put right."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ecr_governor.bootstrap.sweep import decide_over_all
from ecr_governor.observability import logger, metrics


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Give what was asked for, and what was withheld and why."""
    return decide_over_all(event, context)
