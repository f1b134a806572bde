"""Function URLs: what reaches the function, what comes back, and that only what AWS lets through gets there."""

import base64
import http.client
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from local.lambdas.sandbox import InvokeResult
from local.lambdas.url import MAX_BODY, FunctionUrl
from local.stack.errors import StackError
from local.stack.resources import create
from local.stack.resources.compute import _open_to_anybody

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:f"


class Lambdas:
    """One function that answers what a test wants."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.result = InvokeResult(b'{"statusCode": 200, "body": "hello"}', None, ())

    def invoke(self, name: str, event: Any) -> InvokeResult:
        self.events.append(event)
        return self.result


@pytest.fixture
def lambdas() -> Lambdas:
    return Lambdas()


Ask = Callable[..., tuple[int, bytes, dict[str, str]]]


@pytest.fixture
def ask(lambdas: Lambdas) -> Iterator[Ask]:
    url = FunctionUrl("f", lambdas, lambda: True)  # type: ignore[arg-type]
    host = url.start().split("/")[2]

    def _ask(method: str = "POST", path: str = "/", body: bytes = b"", **headers: str) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(host)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())

    yield _ask
    url.stop()


def test_the_event_is_of_format_2(ask: Ask, lambdas: Lambdas) -> None:
    assert ask("GET", "/a?b=1&c=", X_One="1", User_Agent="me")[:2] == (200, b"hello")
    (event,) = lambdas.events
    assert (event["version"], event["rawPath"], event["rawQueryString"], event["routeKey"]) == ("2.0", "/a", "b=1&c=", "$default")
    assert event["queryStringParameters"] == {"b": "1", "c": ""}
    assert event["headers"]["x-one"] == "1"
    http_part = event["requestContext"]["http"]
    assert (http_part["method"], http_part["path"], http_part["userAgent"]) == ("GET", "/a", "me")
    assert (event["requestContext"]["accountId"], event["isBase64Encoded"]) == ("anonymous", False)
    assert "body" not in event


@pytest.mark.parametrize(
    ("kind", "encoded"),
    [
        ("application/json", False),
        ("application/json; charset=utf-8", False),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", True),
        ("application/octet-stream", True),
        ("", True),
    ],
)
def test_only_text_and_json_reach_the_function_as_they_are(ask: Ask, lambdas: Lambdas, kind: str, encoded: bool) -> None:
    ask(body=b"a=1&b=\xc3\xbc", Content_Type=kind)
    (event,) = lambdas.events
    assert event["isBase64Encoded"] is encoded
    assert (base64.b64decode(event["body"]) if encoded else event["body"].encode()) == b"a=1&b=\xc3\xbc"


@pytest.mark.parametrize(
    ("payload", "error", "expected"),
    [
        (b'{"statusCode": 401, "headers": {"x-a": "b"}, "body": ""}', None, (401, b"")),
        (b'{"statusCode": 200, "body": "aGk=", "isBase64Encoded": true}', None, (200, b"hi")),
        (b'{"plain": 1}', None, (200, b'{"plain": 1}')),
        (b'"text"', None, (200, b'"text"')),
        (b'{"errorMessage": "secret"}', "Unhandled", (502, b'{"Message": "Internal Server Error"}')),
        (b"{}", "Throttled", (429, b'{"Message": "Too Many Requests"}')),
    ],
)
def test_an_answer_becomes_a_response(ask: Ask, lambdas: Lambdas, payload: bytes, error: str | None, expected: tuple[int, bytes]) -> None:
    lambdas.result = InvokeResult(payload, error, ())
    assert ask()[:2] == expected


def test_what_is_too_large_never_reaches_the_function(lambdas: Lambdas) -> None:
    url = FunctionUrl("f", lambdas, lambda: True)  # type: ignore[arg-type]
    assert url.answer("POST", "/", {}, bytes(MAX_BODY + 1))[0] == 413
    assert lambdas.events == []


def permitted(*permissions: dict[str, Any]) -> bool:
    """Whether anybody may call a function that has these permissions."""
    rooms: Any = SimpleNamespace(function_policies={}, arn=lambda service, what: f"arn:aws:{service}:eu-west-1:123456789012:{what}")
    build: Any = SimpleNamespace(rooms=rooms, name=lambda logical_id: logical_id)
    for number, permission in enumerate(permissions):
        create(build, f"P{number}", "AWS::Lambda::Permission", {"FunctionName": "f", "Principal": "*", **permission})
    return _open_to_anybody(rooms, "f", ARN)


URL = {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"}
FUNCTION = {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True}


@pytest.mark.parametrize(
    ("permissions", "allowed"),
    [
        ([URL, FUNCTION], True),
        ([URL], False),
        ([FUNCTION], False),
        ([], False),
        ([{**URL, "FunctionUrlAuthType": "AWS_IAM"}, FUNCTION], False),
        ([URL, {**FUNCTION, "InvokedViaFunctionUrl": False}], False),
        ([URL, {**FUNCTION, "Principal": "events.amazonaws.com"}], False),
    ],
)
def test_it_takes_both_permissions_to_call(permissions: list[dict[str, Any]], allowed: bool) -> None:
    assert permitted(*permissions) is allowed


def test_a_caller_who_may_not_is_told_so(lambdas: Lambdas) -> None:
    status, _, body = FunctionUrl("f", lambdas, lambda: False).answer("POST", "/", {}, b"")  # type: ignore[arg-type]
    assert status == 403
    assert "Forbidden" in json.loads(body)["Message"]
    assert lambdas.events == []


@pytest.mark.parametrize("more", [{"AuthType": "AWS_IAM"}, {"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM"}])
def test_a_url_of_another_kind_is_refused(more: dict[str, str]) -> None:
    build: Any = SimpleNamespace()
    with pytest.raises(StackError, match="AuthType NONE and InvokeMode BUFFERED only"):
        create(build, "X", "AWS::Lambda::Url", {"TargetFunctionArn": ARN, **more})
