"""What every AWS adapter shares: how clients are made, and which answers mean which trouble."""

from typing import NoReturn

from botocore.config import Config
from botocore.exceptions import ClientError

from ecr_governor.app.errors import Denied, Throttled

CLIENT_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=3,
    read_timeout=10,
    user_agent_extra="ecr-governor",
)

# ECR's rate of control-plane calls is unpublished and low; both names occur, and 5xx answers are as passing as a throttle.
THROTTLES = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "ServerException",
        "InternalServerError",
        "InternalFailure",
        "ServiceUnavailable",
        "SlowDown",
    }
)
DENIALS = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "403"})


def code_of(error: ClientError) -> str:
    """Give AWS's error code; what happened is told by the code and never by the message."""
    return str(error.response["Error"].get("Code", ""))


def raise_translated(error: ClientError, operation: str) -> NoReturn:
    """Raise Throttled or Denied for what AWS answered; anything else is a bug and stays as it is."""
    match code_of(error):
        case code if code in THROTTLES:
            raise Throttled(f"{operation}: {code}") from error
        case code if code in DENIALS:
            raise Denied(f"{operation}: {code}") from error
        case _:
            raise error
