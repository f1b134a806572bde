"""Presses of buttons in Slack wait for their answer: decide, write it into the ledger, and ask others for what follows."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ecr_governor.bootstrap.presses import answer_presses
from ecr_governor.observability import logger, metrics


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer an SQS batch with the messages that must come again."""
    return answer_presses(event, context)
