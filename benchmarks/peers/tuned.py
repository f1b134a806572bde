"""Calls by boto3 with what makes them cheaper: no validation of parameters, and timestamps left as the numbers that AWS sends."""

from collections.abc import Callable
from typing import Any

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError

NAMES = {"ecr": "ecr", "tagging": "resourcegroupstaggingapi", "monitoring": "cloudwatch"}


class TunedClient:
    """One call after the other; boto3 retries what is refused for its rate."""

    def __init__(self) -> None:
        self._session: Any = boto3.session.Session()
        self._session._session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=float)  # noqa: SLF001 - no other way
        self._config = Config(parameter_validation=False, retries={"mode": "standard", "total_max_attempts": 10})
        self._clients: dict[str, Any] = {}
        self._methods: dict[str, Callable[..., dict[str, Any]]] = {}

    async def call(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Make a call. AWS's refusal is the answer, with its code as `__type`."""
        method = self._methods.get(operation) or self._method(service, operation)
        try:
            return method(**params)
        except ClientError as error:
            return {"__type": error.response["Error"]["Code"]}

    def _method(self, service: str, operation: str) -> Callable[..., dict[str, Any]]:
        if service not in self._clients:
            self._clients[service] = self._session.client(NAMES[service], config=self._config)
        method: Callable[..., dict[str, Any]] = getattr(self._clients[service], xform_name(operation))
        self._methods[operation] = method
        return method

    async def close(self) -> None:
        """Nothing is left to close."""
