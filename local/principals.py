"""Who makes a call: the principal behind an access key, and how CloudTrail and STS name it.

The shapes of `userIdentity` are those of the CloudTrail user guide, "CloudTrail userIdentity element".
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends
from moto.sts.responses import TokenResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ANONYMOUS = "anonymous"
_ID_LENGTH = 17


@lru_cache(maxsize=4096)
def _unique_id(prefix: str, arn: str) -> str:
    """Make IAM's unique id for an ARN; the same ARN has the same id in every run, so that records can be compared."""
    digest = hashlib.sha256(arn.encode()).digest()
    return prefix + base64.b32encode(digest).decode()[:_ID_LENGTH]


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of an AWS API."""

    kind: Literal["IAMUser", "AssumedRole", "AWSService"]
    account: str
    access_key_id: str
    user_name: str = ""
    role_arn: str = ""
    session_name: str = ""
    service: str = ""

    @property
    def role_name(self) -> str:
        """The role's name without its path."""
        return self.role_arn.rsplit("/", 1)[-1]

    @property
    def arn(self) -> str:
        """The ARN that policies and CloudTrail see; a session's ARN does not carry the role's path."""
        if self.kind == "IAMUser":
            return f"arn:aws:iam::{self.account}:user/{self.user_name}"
        if self.kind == "AssumedRole":
            return f"arn:aws:sts::{self.account}:assumed-role/{self.role_name}/{self.session_name}"
        return self.service

    @property
    def policy_arn(self) -> str:
        """The value of `aws:PrincipalArn`: for a session the ARN of the role itself, with its path."""
        return self.role_arn if self.kind == "AssumedRole" else self.arn

    @property
    def principal_id(self) -> str:
        """The value of `principalId` and of STS's `UserId`."""
        if self.kind == "AssumedRole":
            return f"{_unique_id('AROA', self.role_arn)}:{self.session_name}"
        return _unique_id("AIDA", self.arn)

    def user_identity(self, *, invoked_by: str | None = None) -> dict[str, Any]:
        """Write the principal as the `userIdentity` of a CloudTrail record."""
        if self.kind == "AWSService":
            return {"type": "AWSService", "invokedBy": self.service}
        identity: dict[str, Any] = {
            "type": self.kind,
            "principalId": self.principal_id,
            "arn": self.arn,
            "accountId": self.account,
            "accessKeyId": self.access_key_id,
        }
        if self.kind == "IAMUser":
            identity["userName"] = self.user_name
        else:
            identity["sessionContext"] = {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": _unique_id("AROA", self.role_arn),
                    "arn": self.role_arn,
                    "accountId": self.account,
                    "userName": self.role_name,
                },
                "attributes": {
                    "creationDate": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "mfaAuthenticated": "false",
                },
            }
        if invoked_by:
            identity["invokedBy"] = invoked_by
        return identity


def own_account() -> str:
    """Return the account of a caller whose key belongs to no known account."""
    return os.environ.get("MOTO_ACCOUNT_ID", DEFAULT_ACCOUNT_ID)


def _backends(store: Any) -> Iterator[tuple[str, Any]]:
    """Walk a copy: other threads add accounts while we look."""
    for account, partitions in list(store.items()):
        for backend in list(partitions.values()):
            yield account, backend


def identify(access_key_id: str) -> Principal:
    """Find the caller behind an access key.

    Keys of STS sessions are assumed roles, keys of IAM users are those users. Any other key names an IAM user after itself:
    with `AWS_ACCESS_KEY_ID=alice`, alice is the caller.
    """
    for _, sts in _backends(sts_backends):
        session = sts.get_assumed_role_from_access_key(access_key_id)
        if session is not None:
            return Principal(
                kind="AssumedRole",
                account=session.account_id,
                access_key_id=access_key_id,
                role_arn=session.role_arn,
                session_name=session.session_name,
            )
    for account, iam in _backends(iam_backends):
        for user in list(iam.users.values()):
            if any(key.access_key_id == access_key_id for key in user.access_keys):
                return Principal(kind="IAMUser", account=account, access_key_id=access_key_id, user_name=user.name)
    return Principal(kind="IAMUser", account=own_account(), access_key_id=access_key_id, user_name=access_key_id)


def access_key_of(headers: Mapping[str, str], query: Mapping[str, str] | None = None) -> str:
    """Read the access key id from a SigV4 `Authorization` header or from a presigned query; `anonymous` if neither has one."""
    authorization = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
    credential = authorization.partition("Credential=")[2].split(",")[0]
    if not credential and query:
        credential = query.get("X-Amz-Credential", "") or query.get("AWSAccessKeyId", "")
    return credential.strip().partition("/")[0] or ANONYMOUS


def _get_caller_identity(self: Any) -> ActionResult:
    principal = identify(access_key_of(self.headers))
    return ActionResult({"UserId": principal.principal_id, "Account": principal.account, "Arn": principal.arn})


def install() -> None:
    """Make `sts:GetCallerIdentity` name the caller that CloudTrail will name. Calling it again changes nothing."""
    response_class: Any = TokenResponse
    response_class.get_caller_identity = _get_caller_identity
