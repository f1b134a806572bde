"""How a Lambda task fails, in Step Functions' words."""

from __future__ import annotations

MAX_DATA = 256 * 1024
DATA_LIMIT = "States.DataLimitExceeded"
RUNTIME = "States.Runtime"


class LambdaFailure(Exception):
    """A task of Lambda that failed: the name of the error, and its cause."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


def refused(code: str, message: str, status: int, request_id: str) -> LambdaFailure:
    """Lambda itself did not run the function."""
    return LambdaFailure(f"Lambda.{code}", f"{message} (Service: Lambda, Status Code: {status}, Request ID: {request_id})")
