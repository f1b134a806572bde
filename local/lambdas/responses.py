"""Lets `lambda:Invoke` on moto's endpoint run the deployed functions; moto would ask for Docker."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from moto.awslambda.responses import LambdaResponse

from local.lambdas.service import FunctionNotFound, Lambdas
from local.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_TAIL = 4096
"""Bytes of log that `LogType=Tail` returns."""


def install(lambdas: Lambdas) -> Callable[[], None]:
    """Answer Invoke from the given functions; returns what ends it."""

    def invoke(response: Any) -> tuple[int, dict[str, str], str | bytes]:
        name = unquote(response.path.rsplit("/", 2)[-2])
        kind = response.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        body = response.raw_body
        payload = body.encode() if isinstance(body, str) else bytes(body or b"")
        try:
            if kind == "DryRun":
                lambdas.get(name)
                return 204, {"status": "204"}, b""
            if kind == "Event":
                lambdas.invoke_async(name, payload or b"{}")
                return 202, {"status": "202"}, b""
            result = lambdas.invoke(name, payload or b"{}")
        except FunctionNotFound:
            headers = {"status": "404", "x-amzn-errortype": "ResourceNotFoundException"}
            return 404, headers, json.dumps({"Type": "User", "Message": f"Function not found: {name}"})
        if result.error == "Throttled":
            return 429, {"status": "429", "x-amzn-errortype": "TooManyRequestsException"}, result.payload
        headers = {"status": "200", "content-type": "application/json", "x-amz-executed-version": "$LATEST"}
        if result.error:
            headers["x-amz-function-error"] = result.error
        if response.headers.get("X-Amz-Log-Type") == "Tail":
            headers["x-amz-log-result"] = base64.b64encode("\n".join(result.logs).encode()[-LOG_TAIL:]).decode()
        return 200, headers, result.payload

    return replace(LambdaResponse, {"invoke": invoke})
