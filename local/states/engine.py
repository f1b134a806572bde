"""moto's interpreter, with what it leaves out or does otherwise than AWS put right.

It is imported when the first state machine is asked for: that takes a second.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from jsonpath_ng.ext.parser import parse as parse_extended
from jsonpath_ng.parser import parse as parse_plain
from moto.core.exceptions import AWSError
from moto.stepfunctions.exceptions import InvalidExecutionInput
from moto.stepfunctions.parser import models, utils
from moto.stepfunctions.parser.api import (
    ExecutionStatus,
    HistoryEventType,
    StateMachineType,
)
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import iteration_worker
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.inline_iteration_component import InlineIterationComponent
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.job import JobPool
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import StateTaskServiceLambda
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import StateTaskLambda
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from local.replacing import replace
from local.states.definition import check
from local.states.failures import DATA_LIMIT, MAX_DATA, RUNTIME, LambdaFailure

MAX_EVENTS = 25_000
TOO_MANY_EVENTS = f"The execution reached the maximum number of history events ({MAX_EVENTS})."
MAX_CONCURRENCY = 40
"""Iterations of an inline map at once, whatever it asks for."""
TIMEOUT = "States.Timeout"
ENDINGS = {
    HistoryEventType.ExecutionSucceeded,
    HistoryEventType.ExecutionFailed,
    HistoryEventType.ExecutionAborted,
    HistoryEventType.ExecutionTimedOut,
}

SERVICE_FAILED = (HistoryEventType.TaskFailed, "taskFailedEventDetails", {"resource": "invoke", "resourceType": "lambda"})
FUNCTION_FAILED = (HistoryEventType.LambdaFunctionFailed, "lambdaFunctionFailedEventDetails", dict[str, str]())

Invoke = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Calls a function for a role: (role ARN, parameters of lambda:invoke) to the answer. Raises LambdaFailure."""


class InvalidDefinition(AWSError):
    """The answer to a definition that is not taken."""

    TYPE = "InvalidDefinition"
    STATUS = 400


class History(EventManager):
    """The events of one execution: at most 25,000, and none after the last.

    What ends an execution from outside, a stop or too many events, is its end, whatever the interpreter makes of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.environment: Any = None
        self.verdict: tuple[ExecutionStatus, str | None, str | None] | None = None
        self._ended = False
        self._ending = threading.Lock()

    def __len__(self) -> int:
        return len(self._history_event_list)

    def events(self) -> list[dict[str, Any]]:
        """The events, oldest first; they are not to be changed."""
        with self._mutex:
            events: list[Any] = list(self._history_event_list)
        return events

    def end(self, status: ExecutionStatus, error: str | None, cause: str | None) -> bool:
        """Let the execution end so, unless it has ended."""
        with self._ending:
            if self._ended or self.verdict is not None:
                return False
            self.verdict = (status, error, cause)
        if status == ExecutionStatus.ABORTED:
            self.environment.set_stop(stop_date=datetime.now(UTC), cause=cause, error=error)
        else:
            self.environment.set_error({"error": error, "cause": cause})
        return True

    def add_event(
        self,
        context: Any,
        event_type: HistoryEventType,
        event_details: Any = None,
        timestamp: Any = None,
        update_source_event_id: bool = True,  # noqa: FBT001, FBT002 -- moto's signature
    ) -> int:
        """Add an event and return its number."""
        with self._ending:
            if self._ended:
                return len(self)
            if event_type in ENDINGS:
                self._ended = True
                if self.verdict is not None:
                    event_type, event_details = _ending_event(*self.verdict)
        if not self._ended and len(self) >= MAX_EVENTS - 1:
            self.end(ExecutionStatus.FAILED, RUNTIME, TOO_MANY_EVENTS)
            return len(self)
        number: int = super().add_event(context, event_type, event_details, timestamp, update_source_event_id)
        return number


def _ending_event(status: ExecutionStatus, error: str | None, cause: str | None) -> tuple[HistoryEventType, dict[str, Any]]:
    told = {name: text for name, text in (("error", error), ("cause", cause)) if text}
    if status == ExecutionStatus.ABORTED:
        return HistoryEventType.ExecutionAborted, {"executionAbortedEventDetails": told}
    return HistoryEventType.ExecutionFailed, {"executionFailedEventDetails": told}


@lru_cache(maxsize=64)
def parsed(text: str) -> Any:
    """The program of a definition. Programs hold no state of an execution, so one serves all of them."""
    return AmazonStateLanguageParser.parse(text)[0]


class _Worker(ExecutionWorker):
    """Runs one execution in a thread and says when it is over."""

    def __init__(self, history: History, on_end: Callable[[], None], **settings: Any) -> None:
        super().__init__(**settings)
        self._history = history
        self._on_end = on_end

    def _get_evaluation_entrypoint(self) -> Any:
        return parsed(self._evaluation_details.state_machine_details.definition)

    def _get_evaluation_environment(self) -> Any:
        environment = super()._get_evaluation_environment()
        environment.event_manager = self._history
        self._history.environment = environment
        return environment

    def _execution_logic(self) -> None:
        try:
            super()._execution_logic()
        finally:
            self._on_end()


class _Ending(BaseExecutionWorkerCommunication):
    """Takes over how the interpreter ended, unless the end came from outside."""

    execution: Run

    def terminated(self) -> None:
        """Write the end into the execution."""
        run = self.execution
        if run.history.verdict is None:
            self._reflect_execution_status()
        else:
            run.stop_date = run.stop_date or datetime.now(UTC)
            run.exec_status, run.error, run.cause = run.history.verdict


class Run(Execution):
    """One execution of a state machine."""

    def __init__(self, on_end: Callable[[Run], None], **settings: Any) -> None:
        super().__init__(sm_type=StateMachineType.STANDARD, cloud_watch_logging_session=None, activity_store={}, **settings)
        self.history = History()
        self._told = on_end

    def _get_start_execution_worker_comm(self) -> _Ending:
        return _Ending(self)

    def _get_start_execution_worker(self) -> _Worker:
        made: Any = super()._get_start_execution_worker()
        return _Worker(
            self.history,
            self._over,
            evaluation_details=made._evaluation_details,
            exec_comm=made._execution_communication,
            cloud_watch_logging_session=None,
            activity_store={},
        )

    def _over(self) -> None:
        if self.running:
            # The interpreter itself broke down, and said nothing of an end.
            self.exec_status, self.error, self.stop_date = ExecutionStatus.FAILED, RUNTIME, datetime.now(UTC)
        self._told(self)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.exec_status == ExecutionStatus.RUNNING

    def abort(self, error: str | None, cause: str | None) -> datetime:
        """End it now; a function that runs for it runs on. Returns when it ended."""
        while self.running and self.history.environment is None:
            threading.Event().wait(0.001)
        if self.running and self.history.end(ExecutionStatus.ABORTED, error, cause):
            self.stop_date = datetime.now(UTC)
            self.exec_status, self.error, self.cause = ExecutionStatus.ABORTED, error, cause
        return self.stop_date or datetime.now(UTC)


def start(backend: Any, machine: Any, name: str | None, text: str, on_end: Callable[[Run], None]) -> tuple[Run, bool]:
    """Return the execution, and whether it begins now: one of the same name and input may run. Raises what the API answers with."""
    if len(text.encode()) > MAX_DATA:
        raise InvalidExecutionInput(f"The input is larger than {MAX_DATA} bytes")
    machine._validate_execution_input(text)
    name = name or str(uuid.uuid4())
    backend._validate_name(name)
    if (existing := machine._handle_name_input_idempotency(name, text)) is not None:
        return existing, False
    # Later changes of the state machine leave this execution alone.
    frozen = SimpleNamespace(arn=machine.arn, name=machine.name, definition=machine.definition, sm_type=StateMachineType.STANDARD)
    run = Run(
        on_end,
        name=name,
        role_arn=machine.roleArn,
        exec_arn=f"{machine.arn.replace(':stateMachine:', ':execution:')}:{name}",
        account_id=backend.account_id,
        region_name=backend.region_name,
        state_machine=frozen,
        start_date=datetime.now(UTC),
        input_data=text,
    )
    machine.executions.append(run)
    run.start()
    return run, True


def install(invoke: Invoke, pause: Callable[[float], None], longest_wait: Callable[[], float]) -> Callable[[], None]:
    """Put our parts into moto's interpreter; returns what takes them out.

    `pause` waits for a retry, at most as long as asked; `longest_wait` says how long a Wait state may take.
    """
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    undo = [
        replace(EvalComponent, _QUIET | {"heap_key": property(lambda component: str(id(component)))}),
        # As it is, each path is compiled each time that it is looked up, and a component's key may change while it is first asked for.
        replace(json_path, {"parse": lru_cache(maxsize=1024)(parse_extended)}),
        replace(result_path, {"parse": lru_cache(maxsize=1024)(parse_plain)}),
        replace(lambda_eval_utils, {"_invoke_lambda_function": _calling(invoke)}),
        replace(StateTaskServiceLambda, {"_from_error": _told(StateTaskServiceLambda._from_error, *SERVICE_FAILED)}),
        replace(StateTaskLambda, {"_from_error": _told(StateTaskLambda._from_error, *FUNCTION_FAILED)}),
        replace(ErrorEqualsDecl, {"_eval_body": _match}),
        replace(retrier_decl, {"time": SimpleNamespace(sleep=pause)}),
        replace(WaitFunction, {"_wait_interval": _wait(longest_wait)}),
        replace(InlineIterationComponent, {"_eval_body": _iterate}),
        replace(iteration_worker.IterationWorker, {"eval": _work}),
        # The name of a failed item's error, which need not be the function's own.
        replace(iteration_worker, {"CustomErrorName": ErrorName}),
        replace(models.StepFunctionsParserBackend, {"_validate_definition": staticmethod(_validate)}),
    ]

    def restore() -> None:
        for one in reversed(undo):
            one()

    return restore


def forget_threads() -> None:
    """Let go of the threads that moto remembers and never asks for."""
    utils.TMP_THREADS[:] = [thread for thread in utils.TMP_THREADS if thread.is_alive()]


def _validate(definition: str) -> None:
    try:
        check(definition)
        parsed(definition)
    except Exception as error:  # noqa: BLE001 -- whatever moto's parser stumbles over, the definition is not taken
        raise InvalidDefinition(f"Invalid State Machine Definition: '{error}'") from None


_QUIET: dict[str, Any] = {
    # Each failing state would write itself down, which takes longer than running it.
    "_log_failure_event_exception": lambda *_, **__: None,
    "_log_exception": lambda *_, **__: None,
}


# Lambda tasks


def _calling(invoke: Invoke) -> Callable[..., dict[str, Any]]:
    def call(parameters: Mapping[str, Any], region: str, state_credentials: Any) -> dict[str, Any]:  # noqa: ARG001 -- moto's signature
        return invoke(state_credentials.role_arn, parameters)

    return call


def _told(original: Callable[..., Any], kind: HistoryEventType, name: str, more: Mapping[str, str]) -> Callable[..., Any]:
    """Let a failure of a Lambda task be the event that it is on AWS."""

    def convert(state: Any, env: Any, ex: Exception) -> Any:
        if not isinstance(ex, LambdaFailure):
            return original(state, env, ex)
        details: Any = {name: {"error": ex.error, "cause": ex.cause, **more}}
        return FailureEvent(env, ErrorName(ex.error), kind, details)

    return convert


# Errors, retries and waits


def _match(declared: Any, env: Any) -> None:
    """Whether a retrier or catcher is meant.

    Nothing catches States.Runtime; States.ALL and States.TaskFailed leave States.DataLimitExceeded alone, and the latter also
    States.Timeout (developer guide, "Handling errors in Step Functions workflows").
    """
    name = env.stack.pop()
    error = name.error_name if name is not None else None
    wanted = {one.error_name for one in declared.error_names}
    env.stack.append(
        error != RUNTIME
        and (
            error in wanted
            or ("States.ALL" in wanted and error != DATA_LIMIT)
            or ("States.TaskFailed" in wanted and error not in {DATA_LIMIT, TIMEOUT})
        )
    )


def _wait(longest: Callable[[], float]) -> Callable[..., None]:
    def wait(_: Any, env: Any, wait_seconds: float) -> None:
        env.program_state_event.wait(min(max(wait_seconds, 0), longest()))

    return wait


# Maps


def _iterate(component: Any, env: Any) -> None:
    """Run the iterations of an inline map; the first that fails fails the map, and the others are aborted."""
    asked = env.stack.pop()
    items = asked.input_items
    pool: Any = JobPool(component._get_iteration_program(), items)
    for _ in range(min(asked.max_concurrency or MAX_CONCURRENCY, MAX_CONCURRENCY, len(items))):
        component._launch_worker(env=env, eval_input=asked, job_pool=pool)
    pool.await_jobs()
    failure = pool.get_worker_exception()
    if failure is not None:
        for frame in list(env._frames):
            frame.set_stop(stop_date=datetime.now(UTC), cause=None, error=None)
        raise failure
    env.stack.append([closed.job_output for closed in pool.get_closed_jobs()])


def _work(worker: Any) -> None:
    """Take one item after the other. moto's own way calls itself for each and ends at Python's recursion limit."""
    env, pool = worker._env, worker._job_pool
    job, frame = pool.next_job(), env.open_frame()
    while job is not None:
        inner = frame.open_inner_frame()
        worker._eval_job(env=inner, job=job)
        frame.close_frame(inner)
        failed = isinstance(job.job_output, Exception)
        following = None if failed or worker.stopped() else pool.next_job()
        if following is None:
            if not failed:
                frame.event_history_context.source_event_id = inner.event_history_context.last_published_event_id
            # The frame is closed before the job: with the last job the map goes on.
            env.close_frame(frame)
        pool.close_job(job)
        job = following
    env.close_frame(frame)
