"""Somebody looks at a dashboard in CloudWatch: answer with what goes next."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ecr_governor.bootstrap.widget import show
from ecr_governor.observability import logger


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> str:
    """Give the widget's HTML, or its description."""
    return show(event, context)
