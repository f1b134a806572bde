"""Lets `lambda:Invoke` on moto's endpoint run the deployed functions; moto would ask for Docker.

Functions that a visitor makes of images are data in moto's store: they can be listed and described, and nothing runs them.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from moto.awslambda.models import LambdaFunction
from moto.awslambda.responses import LambdaResponse

from local.ecr import faults
from local.ecr.errors import EcrError
from local.ecr.image_uri import digest_behind
from local.lambdas.service import FunctionNotFound, Lambdas
from local.principals import access_key_of, identify
from local.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_TAIL = 4096
"""Bytes of log that `LogType=Tail` returns."""
PAGE = 50
"""Functions that one answer to ListFunctions has at the most."""
_STATUS = {"AccessDeniedException": 403, "TooManyRequestsException": 429, "ServiceException": 500}


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

    list_all, get_one = LambdaResponse.list_functions, LambdaResponse.get_function
    set_code, get_code = LambdaFunction._set_function_code, LambdaFunction.get_code

    def list_functions(response: Any) -> Any:
        if refusal := _struck(response, "ListFunctions"):
            return refusal
        found = json.loads(list_all(response))["Functions"]
        query = {name: values[0] for name, values in response.querystring.items()}
        start, size = int(query.get("Marker", 0)), min(PAGE, int(query.get("MaxItems", PAGE)))
        following = {"NextMarker": str(start + size)} if start + size < len(found) else {}
        return json.dumps({"Functions": found[start : start + size], **following})

    def get_function(response: Any) -> Any:
        return _struck(response, "GetFunction") or get_one(response)

    def deploy_code(function: Any, updated: dict[str, Any]) -> None:
        if updated is not function.code:
            # moto would change the versions with it, which are copies.
            function.code = dict(function.code)
        set_code(function, updated)
        # A version keeps the image that its tag pointed to when it was deployed.
        function.image_digest = digest_behind(updated.get("ImageUri", ""))

    def tell_code(function: Any) -> dict[str, Any]:
        document = get_code(function)
        code = document.get("Code", {})
        if uri := code.get("ImageUri"):
            host, _, path = uri.partition("@")[0].partition("/")
            code["ResolvedImageUri"] = f"{host}/{path.partition(':')[0]}@{function.image_digest}" if function.image_digest else None
        return document

    undo_answers = replace(LambdaResponse, {"invoke": invoke, "list_functions": list_functions, "get_function": get_function})
    undo_store = replace(LambdaFunction, {"_set_function_code": deploy_code, "get_code": tell_code})

    def undo() -> None:
        undo_store()
        undo_answers()

    return undo


def _struck(response: Any, operation: str) -> tuple[int, dict[str, str], str] | None:
    """Refuse a call that trouble is waiting for."""
    try:
        faults.strike(operation, identify(access_key_of(response.headers)), service="lambda")
    except EcrError as error:
        status = _STATUS.get(error.code, 400)
        return status, {"status": str(status), "x-amzn-errortype": error.code}, json.dumps({"Type": "User", "message": error.message})
    return None
