"""Logs as JSON lines, metrics as lines of CloudWatch's embedded metric format."""

import logging

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger()
metrics = Metrics(namespace="EcrGovernor")

# The package logs through the standard library; its lines get the same form, and the keys that the handler appended.
_package = logging.getLogger("ecr_governor")
_package.addHandler(logger.registered_handler)
_package.setLevel(logging.INFO)
_package.propagate = False


def count(name: str, value: int = 1) -> None:
    """Count something that an alarm or a graph looks at. No repository names: each would be a metric of its own."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
