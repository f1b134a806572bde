"""The state machines of the account: their executions, and the functions that these call."""

from __future__ import annotations

import json
import sys
import threading
import uuid
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

from local.access.policy import Access
from local.lambdas.service import FunctionNotFound
from local.states.failures import DATA_LIMIT, MAX_DATA, LambdaFailure, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from local.access.journal import Authorization
    from local.activity import Activity
    from local.lambdas.service import Lambdas

BUSY = "the state machines"
"""Whose work an execution is."""
TIMED_OUT = "Sandbox.Timedout"


class Decide(Protocol):
    """Decides for a role, and remembers it; None for a role that is not the stack's."""

    def __call__(self, role_arn: str, access: Access, /) -> Authorization | None:
        """Whether the role may do it."""


class States:
    """Step Functions of one account and Region.

    A retry waits at most `longest_pause` seconds, however long AWS would; a Wait state too. `untyped_timeouts` gives a function's
    time-out no `errorType`, which Step Functions then calls `Lambda.Unknown`: AWS was seen to do both.
    """

    def __init__(
        self,
        account: str,
        region: str,
        activity: Activity,
        lambdas: Lambdas,
        decide: Decide,
        *,
        longest_pause: float = 1.0,
        untyped_timeouts: bool = False,
    ) -> None:
        self.account = account
        self.region = region
        self.executions = dict.fromkeys(("started", "succeeded", "failed", "aborted"), 0)
        """How many executions began, and how they ended."""
        self._activity = activity
        self._lambdas = lambdas
        self._decide = decide
        self._longest_pause = longest_pause
        self._untyped_timeouts = untyped_timeouts
        self._stopping = threading.Event()
        self._loading = threading.Lock()
        self._counting = threading.Lock()
        self._engine: Any = None
        self._undo: Callable[[], None] | None = None

    @property
    def backend(self) -> Any:
        """The store of state machines, with the interpreter in place."""
        engine = self._interpreter()
        return engine.models.stepfunctions_parser_backends[self.account][self.region]

    def _interpreter(self) -> Any:
        with self._loading:
            if self._engine is None:
                with _without_batch():
                    from local.states import engine  # noqa: PLC0415 -- a second, which only a state machine needs

                self._undo = engine.install(self._invoke, self._pause, lambda: self._longest_pause)
                self._engine = engine
        return self._engine

    def start(self, arn: str, text: str, name: str | None = None) -> Any:
        """Start an execution. Raises what the API answers with, and LookupError if there is no such state machine."""
        machine = self.backend.describe_state_machine(arn)
        self._activity.begin(BUSY)
        begun = False
        try:
            run, begun = self._engine.start(self.backend, machine, name, text, self._ended)
            if begun:
                self._count("started")
        finally:
            if not begun:
                self._activity.end(BUSY)
        return run

    def _ended(self, run: Any) -> None:
        outcome = {"SUCCEEDED": "succeeded", "ABORTED": "aborted"}.get(run.status, "failed")
        self._count(outcome)
        self._engine.forget_threads()
        self._activity.end(BUSY)

    def _count(self, outcome: str) -> None:
        with self._counting:
            self.executions[outcome] += 1

    def close(self) -> None:
        """End what runs, and take the interpreter's changes back."""
        self._stopping.set()
        if self._engine is None:
            return
        for machine in self.backend.state_machines:
            for run in machine.executions:
                if run.running:
                    run.abort(None, None)
        if self._undo is not None:
            self._undo()

    def _pause(self, seconds: float) -> None:
        self._stopping.wait(min(seconds, self._longest_pause))

    # Tasks

    def _invoke(self, role_arn: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        named, payload, request_id = str(parameters["FunctionName"]), parameters.get("Payload") or b"{}", str(uuid.uuid4())
        if len(payload) > MAX_DATA:
            # UNCONFIRMED: the words; the error is documented for a state's input after Parameters too.
            raise LambdaFailure(
                DATA_LIMIT, "The state/task 'lambda' has an input with a size exceeding the maximum number of bytes service limit."
            )
        arn = named if named.startswith("arn:") else f"arn:aws:lambda:{self.region}:{self.account}:function:{named}"
        if qualifier := parameters.get("Qualifier"):
            arn = f"{arn}:{qualifier}"
        decision = self._decide(role_arn, Access("lambda:InvokeFunction", arn))
        if decision is not None and not decision.allowed:
            session = role_arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")
            message = f"User: {session}/{request_id} is not authorized to perform: lambda:InvokeFunction on resource: {arn} "
            raise refused(
                "AWSLambdaException", f"{message}because no identity-based policy allows the lambda:InvokeFunction action", 403, request_id
            )
        try:
            result = self._lambdas.invoke(named, payload)
        except FunctionNotFound:
            raise refused("ResourceNotFoundException", f"Function not found: {arn}", 404, request_id) from None
        if result.error == "Throttled":
            raise refused("TooManyRequestsException", "Rate Exceeded.", 429, request_id)
        answer = _document(result.payload)
        if result.error is not None:
            raise self._failure(answer)
        return {"ExecutedVersion": "$LATEST", "Payload": answer, "StatusCode": 200}

    def _failure(self, answer: Any) -> LambdaFailure:
        error = answer.get("errorType") if isinstance(answer, dict) else None
        if error == TIMED_OUT and self._untyped_timeouts:
            error, answer = None, {"errorMessage": answer["errorMessage"]}
        text = json.dumps(answer, separators=(",", ":"), ensure_ascii=False)
        if not error:
            cause = "The cause could not be determined because Lambda did not return an error type. Returned payload: "
            return LambdaFailure("Lambda.Unknown", cause + text)
        return LambdaFailure(str(error), text)


@contextmanager
def _without_batch() -> Iterator[None]:
    """Load the interpreter without AWS Batch, of which it wants an enumeration and which brings all of EC2: most of the time."""
    names = () if "moto.batch" in sys.modules else ("moto.batch", "moto.batch.utils")
    stubs: dict[str, Any] = {name: ModuleType(name) for name in names}
    for stub in stubs.values():
        stub.JobStatus = SimpleNamespace(SUCCEEDED="SUCCEEDED", FAILED="FAILED")
    sys.modules.update(stubs)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _document(payload: bytes) -> Any:
    try:
        return json.loads(payload or b"null")
    except ValueError:
        return payload.decode(errors="replace")
