"""The control API, for a process that is not this one: JSON under `/_local/` on the AWS endpoint's port."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from local.ecr import faults

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from local.server import EmbeddedAws

PREFIX = "/_local/"
Arguments = Mapping[str, Any]
Answer = Any


class BadRequestError(Exception):
    """The caller's arguments are wrong."""


class Control:
    """Answers GET and POST requests; arguments come from the query or a JSON body.

    `status`, `settle` (timeout), `advance` (seconds, timeout), `deploy` (template, parameters, stack_name), `shutdown`,
    `slack` (what `Slack.behave` takes), `slack/messages`, `slack/channel` (id, name), `slack/delete` (ts), `mail`, `mail/confirm` (address), `sink`, `logs` (function), `authorizations`, `events`, `trail`,
    `faults` (what `local.ecr.faults.add` takes, and `clear` to take earlier ones away), `stack`, `lose` (share, seed), `lost`,
    `kill` (function, call, when, or clear), `calls` (reset).
    """

    def __init__(self, aws: EmbeddedAws) -> None:
        self._aws = aws
        self._operations: dict[str, Callable[[Arguments], Answer]] = {
            "status": lambda _: aws.status(),
            "settle": lambda arguments: aws.settle(float(arguments.get("timeout", 60))),
            "advance": self._advance,
            "deploy": self._deploy,
            "shutdown": self._shutdown,
            "slack": self._slack,
            "slack/messages": lambda _: aws.slack.messages,
            "slack/channel": lambda arguments: aws.slack.add_channel(arguments["id"], arguments["name"]),
            "slack/delete": lambda arguments: aws.slack.delete(arguments["ts"]),
            "mail": lambda _: aws.mail.messages,
            "mail/confirm": lambda arguments: {"confirmed": aws.mail.confirm(arguments["address"])},
            "sink": lambda _: aws.sink.requests,
            "logs": self._logs,
            "authorizations": self._authorizations,
            "events": lambda _: list(aws.bus.history),
            "trail": lambda _: list(aws.trail.history),
            "faults": self._faults,
            "stack": self._stack,
            "lose": self._lose,
            "lost": lambda _: aws.trail.losses.told(),
            "kill": self._kill,
            "calls": self._calls,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        name = environ["PATH_INFO"].removeprefix(PREFIX).rstrip("/")
        operation = self._operations.get(name)
        status = "200 OK"
        try:
            if operation is None:
                status, answer = "404 Not Found", {"error": f"no such operation: {name}", "operations": sorted(self._operations)}
            else:
                answer = operation(_arguments(environ))
        except (BadRequestError, KeyError, TypeError, ValueError, LookupError) as error:
            status, answer = "400 Bad Request", {"error": f"{type(error).__name__}: {error}"}
        except Exception as error:  # noqa: BLE001 -- the other process must hear of it
            status, answer = "500 Internal Server Error", {"error": f"{type(error).__name__}: {error}"}
        body = json.dumps(answer, default=str).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _advance(self, arguments: Arguments) -> Answer:
        return self._aws.advance(timedelta(seconds=float(arguments["seconds"])), timeout=float(arguments.get("timeout", 60)))

    def _deploy(self, arguments: Arguments) -> Answer:
        self._aws.deploy(Path(arguments["template"]), arguments.get("parameters", {}), arguments.get("stack_name", "ecr-governor"))
        return self._stack({})

    def _stack(self, _: Arguments) -> Answer:
        stack = self._aws.stack
        if stack is None:
            return None
        resources = {key: {"type": one.type, "ref": one.ref, "attributes": dict(one.attributes)} for key, one in stack.resources.items()}
        return {"name": stack.name, "outputs": stack.outputs, "resources": resources}

    def _shutdown(self, _: Arguments) -> Answer:
        # The answer must leave before the server does.
        threading.Timer(0.05, self._aws.stop).start()
        return {"stopping": True}

    def _slack(self, arguments: Arguments) -> Answer:
        if arguments:
            self._aws.slack.behave(**arguments)
        return {"url": self._aws.slack.url, "messages": len(self._aws.slack.messages)}

    def _logs(self, arguments: Arguments) -> Answer:
        if "function" in arguments:
            return list(self._aws.lambdas.get(self._aws.function_name(str(arguments["function"]))).logs)
        return {function.config.name: list(function.logs) for function in self._aws.lambdas}

    def _authorizations(self, _: Arguments) -> Answer:
        return [
            {"role": one.role, "action": one.action, "resource": one.resource, "allowed": one.allowed, "reason": one.reason, "count": count}
            for one, count in self._aws.authorizations.counts.items()
        ]

    def _faults(self, arguments: Arguments) -> Answer:
        given = dict(arguments)
        if given.pop("clear", False):
            faults.clear()
        if given:
            faults.add(**given)
        return {"ok": True}

    def _lose(self, arguments: Arguments) -> Answer:
        self._aws.trail.losses.begin(float(arguments["share"]), int(arguments.get("seed", 0)))
        return self._aws.trail.losses.told()

    def _kill(self, arguments: Arguments) -> Answer:
        if arguments.get("clear"):
            self._aws.killing.clear()
        if "function" in arguments:
            name = self._aws.function_name(str(arguments["function"]))
            self._aws.killing.arm(name, int(arguments["call"]), str(arguments.get("when", "before")))
        return self._aws.killing.told()

    def _calls(self, arguments: Arguments) -> Answer:
        calls = self._aws.killing.calls()
        if arguments.get("reset"):
            self._aws.killing.reset()
        return calls


def _arguments(environ: WSGIEnvironment) -> Arguments:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
    given = json.loads(body) if body else {}
    if not isinstance(given, dict):
        raise BadRequestError("the body must be a JSON object")
    return {**query, **given}
