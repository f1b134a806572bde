"""Trouble on demand: let an operation be throttled, denied or slow for the next calls, for everybody or for one caller.

It strikes calls of ECR, and the reads of the other services that know about repositories: tagging, CloudWatch, CloudTrail.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.ecr.errors import EcrError

if TYPE_CHECKING:
    from local.principals import Principal

_MESSAGES = {
    "ThrottlingException": "Rate exceeded",
    "AccessDeniedException": "User is not authorized to perform this operation",
    "ServerException": "These errors are usually caused by a server-side issue.",
}


@dataclass(eq=False, slots=True)
class Fault:
    """A trouble that is waiting for its calls."""

    operation: str
    error: str | None
    message: str
    latency: float
    remaining: int | None
    after: int
    every: int
    access_key_id: str | None
    role: str | None
    repository: str | None
    seen: int = 0

    def concerns(self, service: str, operation: str, principal: Principal, repository: str | None) -> bool:
        """Whether the call is one of those meant."""
        return (
            self.operation in {"*", operation, f"{service}:{operation}", f"{service}:*"}
            and self.access_key_id in {None, principal.access_key_id}
            and self.role in {None, principal.role_arn, principal.role_name}
            and self.repository in {None, repository}
        )

    def comes(self) -> bool:
        """Count a call that is meant, and say whether the trouble comes with this one."""
        self.seen += 1
        turn = self.seen - self.after
        return turn > 0 and turn % self.every == 0


_faults: list[Fault] = []
_lock = threading.Lock()


def add(
    operation: str,
    error: str | None = None,
    *,
    times: int | None = 1,
    after: int = 0,
    every: int = 1,
    message: str | None = None,
    latency: float = 0.0,
    access_key_id: str | None = None,
    role: str | None = None,
    repository: str | None = None,
) -> Fault:
    """Let the next `times` calls of the operation fail with the error, or be slow by `latency` seconds, or both.

    The operation may have its service in front, as in `tag:GetResources`; `*` is every one, `tag:*` every one of a service.
    The first `after` calls go through, then all but each `every`-th. `times=None` lasts until `clear`. `role` is a role's ARN or
    its name. Raises ValueError.
    """
    if after < 0 or every < 1:
        raise ValueError("after is at least 0, every at least 1")
    fault = Fault(
        operation=operation,
        error=error,
        message=message or _MESSAGES.get(error or "", error or ""),
        latency=latency,
        remaining=times,
        after=after,
        every=every,
        access_key_id=access_key_id,
        role=role,
        repository=repository,
    )
    with _lock:
        _faults.append(fault)
    return fault


def clear() -> None:
    """Take all trouble away."""
    with _lock:
        _faults.clear()


def strike(operation: str, principal: Principal, repository: str | None = None, *, service: str = "ecr") -> None:
    """Fail or delay the call if a trouble is waiting for it. Raises EcrError."""
    with _lock:
        fault = next((item for item in _faults if item.concerns(service, operation, principal, repository) and item.comes()), None)
        if fault is None:
            return
        if fault.remaining is not None:
            fault.remaining -= 1
            if fault.remaining <= 0:
                _faults.remove(fault)
    if fault.latency:
        time.sleep(fault.latency)
    if fault.error:
        raise EcrError(fault.error, fault.message)
