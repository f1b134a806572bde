"""The ledger has new entries: tell people in Slack."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ecr_governor.bootstrap.telling import tell_people
from ecr_governor.observability import logger, metrics


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a batch of the ledger's stream with the entries that must come again."""
    return tell_people(event, context)
