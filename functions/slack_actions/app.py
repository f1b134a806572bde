"""Somebody pressed a button in Slack, or says so: make sure that it is Slack who calls, and hand on."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ecr_governor.bootstrap.slack_actions import answer_slack
from ecr_governor.observability import logger, metrics


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Give the response to a request to the function's URL."""
    return answer_slack(event, context)
