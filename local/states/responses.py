"""Step Functions' API on moto's endpoint: what moto's own answers leave out."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from moto.core.config import default_user_config
from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import InvalidToken
from moto.stepfunctions.responses import StepFunctionResponse

from local.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.states.service import States

DEFAULT_PAGE = 100
MAX_PAGE = 1000


def install(states: States) -> Callable[[], None]:
    """Answer from these state machines; returns what ends it."""

    def start_execution(response: Any) -> ActionResult:
        run = states.start(response._get_param("stateMachineArn"), response._get_param("input", if_none="{}"), response._get_param("name"))
        return ActionResult({"executionArn": run.exec_arn, "startDate": run.start_date})

    def stop_execution(response: Any) -> ActionResult:
        run = states.backend.describe_execution(response._get_param("executionArn"))
        return ActionResult({"stopDate": run.abort(response._get_param("error"), response._get_param("cause"))})

    def describe_execution(response: Any) -> ActionResult:
        run = states.backend.describe_execution(response._get_param("executionArn"))
        return ActionResult({**run.to_describe_output(), "input": run.execution_input, "status": run.status, "redriveCount": 0})

    def list_executions(response: Any) -> ActionResult:
        arn, status = response._get_param("stateMachineArn"), response._get_param("statusFilter")
        runs = [run for run in reversed(states.backend.describe_state_machine(arn).executions) if status in {None, run.status}]
        page, following = _page(response, runs, lambda run: run.exec_arn)
        items = [{**run.to_execution_list_item(), "status": run.status, "redriveCount": 0} for run in page]
        return ActionResult({"executions": items, **following})

    def get_execution_history(response: Any) -> ActionResult:
        run = states.backend.describe_execution(response._get_param("executionArn"))
        events = run.history.events()
        ordered = events[::-1] if response._get_param("reverseOrder") else events
        page, following = _page(response, ordered, lambda event: str(event["id"]))
        if response._get_param("includeExecutionData", if_none=True) is False:
            page = [_without_data(event) for event in page]
        return ActionResult({"events": page, **following})

    before = default_user_config.get("stepfunctions")
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    restore_methods = replace(
        StepFunctionResponse,
        {
            "stepfunction_backend": property(lambda _: states.backend),
            "start_execution": start_execution,
            "stop_execution": stop_execution,
            "describe_execution": describe_execution,
            "list_executions": list_executions,
            "get_execution_history": get_execution_history,
        },
    )

    def restore() -> None:
        restore_methods()
        if before is None:
            default_user_config.pop("stepfunctions", None)
        else:
            default_user_config["stepfunctions"] = before

    return restore


def _page(response: Any, items: list[Any], key: Callable[[Any], str]) -> tuple[list[Any], dict[str, str]]:
    """One page of a list; a token names the last item given, so that what is put before it meanwhile shifts nothing."""
    size = min(int(response._get_param("maxResults") or DEFAULT_PAGE), MAX_PAGE)
    first = 0
    if token := response._get_param("nextToken"):
        after = _key_of(token)
        first = next((number + 1 for number, item in enumerate(items) if key(item) == after), len(items))
    page = items[first : first + size]
    following = {"nextToken": base64.b64encode(key(page[-1]).encode()).decode()} if first + size < len(items) else {}
    return page, following


def _key_of(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise InvalidToken(f"'{token}'") from None


def _without_data(event: dict[str, Any]) -> dict[str, Any]:
    hidden = {"input", "output", "cause", "error", "parameters"}
    return {
        name: {key: inner for key, inner in value.items() if key not in hidden} if isinstance(value, dict) else value
        for name, value in event.items()
    }
