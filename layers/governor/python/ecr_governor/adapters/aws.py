"""What every AWS adapter shares: how clients are made, and which answers mean which trouble."""

from collections.abc import Callable
from typing import Final, NoReturn

from botocore.config import Config
from botocore.exceptions import ClientError

from ecr_governor.app.errors import Denied, Refused, Throttled

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
REFUSED_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Codes by which AWS says that it does not take the credentials, whatever is asked."""
SHOWN: Final = 300
"""Characters of AWS's own words that are passed on."""
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


def change(action: str, ask: Callable[[], object], refusals: frozenset[str]) -> None:
    """Ask for a change. Raises Refused, with AWS's own words, for an answer among the refusals, otherwise Throttled, Denied."""
    try:
        ask()
    except ClientError as error:
        if code_of(error) in refusals:
            raise Refused(f"{action}: {code_of(error)}: {error.response['Error'].get('Message', '')[:SHOWN]}") from error
        raise_translated(error, action)
