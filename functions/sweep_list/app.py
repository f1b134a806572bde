"""The first step of the sweep: list every repository, and lay out what must be read."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ecr_governor.bootstrap.sweep import list_repositories
from ecr_governor.observability import logger, metrics


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Give the sweep's run and its shards; `again` if there was no time to end it."""
    return list_repositories(event, context)
