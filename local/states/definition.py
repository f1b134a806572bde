"""What AWS refuses of a state machine's definition when it is created, and what of the language is not run here.

moto's parser knows the syntax; it does not look where transitions lead.
docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-states-language.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_SIZE = 1024 * 1024
MAX_NAME = 80
LAMBDA = "arn:aws:states:::lambda:invoke"
_COMMON = "Type Comment InputPath OutputPath"
_MOVES = "Next End"
_WORKS = "Parameters ResultSelector ResultPath Retry Catch"
FIELDS = {
    "Task": f"{_COMMON} {_MOVES} {_WORKS} Resource TimeoutSeconds TimeoutSecondsPath HeartbeatSeconds HeartbeatSecondsPath",
    "Map": f"{_COMMON} {_MOVES} {_WORKS} ItemProcessor Iterator ItemsPath ItemSelector MaxConcurrency MaxConcurrencyPath",
    "Parallel": f"{_COMMON} {_MOVES} {_WORKS} Branches",
    "Pass": f"{_COMMON} {_MOVES} Result ResultPath Parameters",
    "Wait": f"{_COMMON} {_MOVES} Seconds SecondsPath Timestamp TimestampPath",
    "Choice": f"{_COMMON} Choices Default",
    "Succeed": _COMMON,
    "Fail": "Type Comment Error ErrorPath Cause CausePath",
}
ENDS = {"Choice", "Succeed", "Fail"}
"""States without `Next` and `End`."""
INVOKE = {"FunctionName", "FunctionName.$", "Payload", "Payload.$", "Qualifier", "Qualifier.$", "ClientContext", "ClientContext.$"}


class InvalidDefinition(ValueError):
    """AWS would not take the definition, or the embedded AWS cannot run it."""


def check(text: str) -> dict[str, Any]:
    """Return the definition as a document. Raises InvalidDefinition with everything that is wrong with it."""
    if len(text.encode()) > MAX_SIZE:
        raise InvalidDefinition("the definition is larger than 1 MB")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidDefinition(f"the definition is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidDefinition("the definition is not a JSON object")
    unknown = document.keys() - {"Comment", "StartAt", "States", "TimeoutSeconds", "Version", "QueryLanguage"}
    problems = [f"unknown field {name} at /" for name in sorted(unknown)]
    problems += _of_machine(document, "")
    if problems:
        raise InvalidDefinition("; ".join(problems))
    return document


def _of_machine(machine: Mapping[str, Any], path: str) -> Iterator[str]:
    if machine.get("QueryLanguage", "JSONPath") != "JSONPath":
        yield f"the embedded AWS does not know the query language {machine['QueryLanguage']} at {path}/"
    states = machine.get("States")
    if not isinstance(states, dict) or not states or "StartAt" not in machine:
        yield f"StartAt and States are needed at {path}/"
        return
    reached = {machine["StartAt"]}
    if machine["StartAt"] not in states:
        yield f"there is no state {machine['StartAt']} to start at, at {path}/StartAt"
    for name, state in states.items():
        where = f"{path}/States/{name}"
        if len(name) > MAX_NAME:
            yield f"the name is longer than {MAX_NAME} characters at {where}"
        if not isinstance(state, dict) or state.get("Type") not in FIELDS:
            yield f"unknown type of state at {where}"
            continue
        for target, place in _targets(state):
            reached.add(target)
            if target not in states:
                yield f"there is no state {target} to go to, at {where}{place}"
        yield from _of_state(state, where)
    for name in states.keys() - reached:
        yield f"the state is not reachable at {path}/States/{name}"


def _targets(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("Next", "Default"):
        if field in state:
            yield state[field], f"/{field}"
    for field in ("Catch", "Choices"):
        for number, one in enumerate(state.get(field, [])):
            yield one.get("Next", ""), f"/{field}[{number}]"


def _of_state(state: Mapping[str, Any], where: str) -> Iterator[str]:
    kind = state["Type"]
    if state.get("QueryLanguage", "JSONPath") != "JSONPath":
        yield f"the embedded AWS does not know the query language {state['QueryLanguage']} at {where}"
    for field in sorted(state.keys() - set(FIELDS[kind].split()) - {"QueryLanguage"}):
        yield f"unknown field {field} at {where}"
    if kind not in ENDS and ("Next" in state) is bool(state.get("End")):
        yield f"either Next or End is needed at {where}"
    if kind == "Task":
        yield from _of_task(state, where)
    elif kind == "Map":
        processor = state.get("ItemProcessor", state.get("Iterator"))
        if not isinstance(processor, dict):
            yield f"an ItemProcessor is needed at {where}"
            return
        if processor.get("ProcessorConfig", {}).get("Mode", "INLINE") != "INLINE":
            yield f"the embedded AWS runs maps of mode INLINE only, at {where}"
        yield from _of_machine(processor, f"{where}/ItemProcessor")
    elif kind == "Parallel":
        for number, branch in enumerate(state.get("Branches", [])):
            yield from _of_machine(branch, f"{where}/Branches[{number}]")


def _of_task(state: Mapping[str, Any], where: str) -> Iterator[str]:
    resource = str(state.get("Resource", ""))
    if resource == LAMBDA:
        parameters = state.get("Parameters", {})
        if not {"FunctionName", "FunctionName.$"} & set(parameters):
            yield f"lambda:invoke needs a FunctionName at {where}"
        for field in sorted(set(parameters) - INVOKE):
            yield f"the embedded AWS does not know the parameter {field} of lambda:invoke at {where}"
    elif not resource.startswith("arn:aws:lambda:"):
        yield f"the embedded AWS does not know the task {resource} at {where}"
