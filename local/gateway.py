"""The HTTP door: the control API and the page of dashboards, then moto's services, with failures made loud."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

from local.control import PREFIX, Control
from local.dashboard.page import ADDRESS, Dashboards
from local.ecr.errors import EcrError
from local.lambdas.killing import Killing, Passage
from local.workloads import OPERATIONS, Workloads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

LOG = logging.getLogger(__name__)
JSON = "application/x-amz-json-"
SERIALISED = {"dynamodb", "s3"}
"""Services whose moto backends check and write in two steps: conditional writes must not interleave."""


class RequestHandler(MotoRequestHandler):
    """Keeps connections open and answers at once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 -- werkzeug's name for it
        """Say nothing of each request."""


class _Dispatcher(DomainDispatcherApplication):
    """Remembers which service answers a host: moto lists its own package directory to find out, at each request."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._known: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        """The service behind a host name."""
        if host not in self._known:
            self._known[host] = super().get_backend_for_host(host)
        return self._known[host]


class Gateway:
    """A WSGI application in front of moto's.

    An operation that moto does not have, or fails in, would be an HTML page with status 500, which SDKs retry and
    report without a reason. It becomes an error with status 501 or 400 that names the operation.
    """

    def __init__(self, control: Control, dashboards: Dashboards, killing: Killing, workloads: Workloads) -> None:
        self._control = control
        self._dashboards = dashboards
        self._killing = killing
        self._workloads = workloads
        self._moto = _Dispatcher()
        self._locks = {name: threading.RLock() for name in SERIALISED}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ.get("PATH_INFO", "") == ADDRESS:
            return self._dashboards(environ, start_response)
        if environ.get("PATH_INFO", "").startswith(PREFIX):
            return self._control(environ, start_response)
        key, service = _credential(environ)
        passage = self._killing.arrives(key, f"{service}:{_operation(environ)}")
        if passage is Passage.STOPPED:
            return _refuse(start_response, "503 Service Unavailable", "CallerIsDead", "the process that made this call was killed")
        answer = (
            self._of_workloads(service, key, environ, start_response)
            if service in OPERATIONS
            else self._in_turn(service, environ, start_response)
        )
        if passage is Passage.LAST:
            self._killing.leaves(key)
        return answer

    def _of_workloads(self, service: str, key: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body, operation = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)), _operation(environ)
        try:
            content = self._workloads.answer(service, operation, body, key)
        except EcrError as error:
            return _refuse(start_response, "400 Bad Request", error.code, error.message)
        except NotImplementedError as error:
            return _refuse(start_response, "501 Not Implemented", "NotImplementedByEmbeddedAws", f"{service} {operation}: {error}")
        except Exception as error:
            LOG.exception("%s %s", service, operation)
            return _refuse(start_response, "400 Bad Request", "EmbeddedAwsFailure", f"{service} {operation}: {error}")
        start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(content)))])
        return [content]

    def _in_turn(self, service: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        lock = self._locks.get(service)
        if lock is None:
            return self._answer(environ, start_response)
        with lock:
            return self._answer(environ, start_response)

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        begun: list[tuple[Any, ...]] = []

        def remember(*arguments: Any) -> Callable[[bytes], object]:
            begun.append(arguments)
            return lambda _: None

        target = environ.get("HTTP_X_AMZ_TARGET") or f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO')}"
        try:
            body = self._moto(environ, remember)
            content = b"".join(body)
            if hasattr(body, "close"):
                body.close()
        except NotImplementedError as error:
            return _refuse(start_response, "501 Not Implemented", "NotImplementedByEmbeddedAws", f"{target}: {error}")
        except Exception as error:
            LOG.exception("%s", target)
            place = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{target}: {type(error).__name__}: {error} ({place.filename}:{place.lineno})"
            return _refuse(start_response, "400 Bad Request", "EmbeddedAwsFailure", reason)
        status, headers = begun[-1][0], begun[-1][1]
        kind = next((value for name, value in headers if name.lower() == "content-type"), "")
        if status.startswith(("404", "500")) and kind.startswith("text/html") and content.lstrip().lower().startswith(b"<!doctype"):
            return _refuse(start_response, "501 Not Implemented", "NotImplementedByEmbeddedAws", target)
        asked = environ.get("CONTENT_TYPE", "")
        if kind == "text" and asked.startswith(JSON):
            # Of the three protocols that CloudWatch speaks, moto labels this one wrongly.
            headers = [(name, asked if name.lower() == "content-type" else value) for name, value in headers]
        start_response(status, headers, *begun[-1][2:])
        return [content]


def _credential(environ: WSGIEnvironment) -> tuple[str, str]:
    """The access key id that a request is signed with, and the service that it is signed for."""
    # Credential=<key>/<date>/<region>/<service>/aws4_request
    parts = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split(",")[0].split("/")
    return parts[0], parts[3] if len(parts) > 3 else "s3"  # noqa: PLR2004 -- presigned requests carry it in the query


def _operation(environ: WSGIEnvironment) -> str:
    target, path = environ.get("HTTP_X_AMZ_TARGET", ""), environ.get("PATH_INFO", "")
    name: str = target.rpartition(".")[2] or path.partition("/operation/")[2]
    return name or f"{environ['REQUEST_METHOD']} {path}"


def _refuse(start_response: StartResponse, status: str, code: str, message: str) -> Iterable[bytes]:
    body = json.dumps({"__type": code, "message": message}).encode()
    start_response(status, [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", code), ("Content-Length", str(len(body)))])
    return [body]
