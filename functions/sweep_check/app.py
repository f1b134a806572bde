"""The second step of the sweep, once for each shard: read, judge, bring the ledger in line."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ecr_governor.bootstrap.sweep import check_shard
from ecr_governor.observability import logger, metrics


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Give how far the shard is; `again` if there was no time to end it."""
    return check_shard(event, context)
