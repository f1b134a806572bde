"""Step Functions, as much as it takes to begin a sweep and to see how it ends."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a state machine. `status` is AWS's word; `output` is None until it has succeeded."""

    arn: str
    status: str
    output: Any = None
    error: str = ""
    cause: str = ""

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.status in {"RUNNING", "PENDING_REDRIVE"}


class StateMachine:
    """One state machine."""

    def __init__(self, client: "SFNClient", arn: str) -> None:
        self._states = client
        self._arn = arn

    def start(self, document: dict[str, Any]) -> str:
        """Begin an execution with the document as its input; give its ARN. Raises botocore's errors."""
        return self._states.start_execution(stateMachineArn=self._arn, input=json.dumps(document))["executionArn"]

    def execution(self, arn: str) -> Execution:
        """See how an execution goes. Raises botocore's errors."""
        found = self._states.describe_execution(executionArn=arn)
        return Execution(
            arn=arn,
            status=found["status"],
            output=json.loads(found["output"]) if found.get("output") else None,
            error=found.get("error", ""),
            cause=found.get("cause", ""),
        )
