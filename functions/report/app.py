"""The report on schedule: kept for people, and told in Slack."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ecr_governor.bootstrap.report import report
from ecr_governor.observability import logger, metrics


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Give where the report is kept, and whether people were told."""
    return report(event, context)
