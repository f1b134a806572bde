"""ECR's API over HTTP: AWS JSON 1.1, in moto's server and under `mock_aws`."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.ecr.models import ecr_backends
from werkzeug.exceptions import HTTPException

from local.ecr import constraints
from local.ecr.calls import IAM_ACTIONS, Caller, perform, repository_named
from local.ecr.errors import EcrError
from local.ecr.operations import OPERATIONS
from local.principals import access_key_of, identify

if TYPE_CHECKING:
    from moto.core.common_types import TYPE_RESPONSE

    from local.ecr.models import Backend

# These have no resource level and are authorized on `*` (Service Authorization Reference).
_REGISTRY_LEVEL_WORDS = ("PullThroughCacheRule", "CreationTemplate", "Registry", "Signing", "ReplicationConfiguration", "AccountSetting")
_REGISTRY_LEVEL = {
    "GetAuthorizationToken",
    "RegisterPullTimeUpdateExclusion",
    "DeregisterPullTimeUpdateExclusion",
    "ListPullTimeUpdateExclusions",
}
# How moto's authorization errors are named by an AWS JSON service.
_AUTHORIZATION_CODES = {
    "AccessDenied": "AccessDeniedException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
}


def _encoded(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} has no place in an answer")


class EcrResponse(BaseResponse):
    """One request."""

    def __init__(self) -> None:
        super().__init__(service_name="ecr")
        self._authorized_action: str | None = None

    @property
    def backend(self) -> Backend:
        """The registry of the caller's account and Region."""
        found: Any = ecr_backends[self.current_account][self.region]
        return found  # type: ignore[no-any-return]

    def call_action(self) -> TYPE_RESPONSE:
        """Carry out the call and answer in JSON, errors too: moto's HTML 500 would make clients retry."""
        operation = self._get_action()
        try:
            return self._answer(200, self._perform(operation))
        except EcrError as error:
            return self._answer(400, {"__type": error.code, "message": error.message}, code=error.code)

    def _perform(self, operation: str) -> dict[str, Any]:
        if operation not in constraints.operations():
            raise EcrError("UnknownOperationException", f"ECR has no operation {operation}")
        run = OPERATIONS.get(operation)
        if run is None:
            raise EcrError("NotImplementedByEmulator", f"The embedded AWS does not implement ecr:{operation}")
        try:
            parameters = json.loads(self.body or "{}")
        except ValueError as error:
            raise EcrError("SerializationException", "The request is not JSON") from error
        caller = Caller(
            identify(access_key_of(self.headers)),
            source_ip=self.normalized_request.remote_addr or "127.0.0.1",
            user_agent=self.headers.get("User-Agent", ""),
        )
        return perform(
            operation,
            parameters,
            backend=self.backend,
            caller=caller,
            run=run,
            authorize=lambda: self._authorize(operation, parameters),
        )

    def _authorize(self, operation: str, parameters: dict[str, Any]) -> None:
        """Let moto's IAM, where it is switched on, judge every action and resource of the call."""
        needed = [(IAM_ACTIONS.get(operation, operation), resource) for resource in self._resources(operation, parameters)]
        if operation == "CreateRepository" and parameters.get("tags"):
            needed.append(("TagResource", needed[0][1]))
        for action, resource in needed:
            self._authorized_action = action
            try:
                self._authenticate_and_authorize_normal_action(resource)
            except HTTPException as error:
                raise _refused(error, f"ecr:{action}", resource) from error
            finally:
                self._authorized_action = None

    def serialized(self, action_result: ActionResult) -> TYPE_RESPONSE:
        """Write an error for an enforcement in moto. moto's own writer warns of errors that the model does not list, such as denials."""
        error = action_result.result
        if isinstance(error, ServiceException):
            return self._answer(400, {"__type": error.code, "message": error.message}, code=error.code)
        return super().serialized(action_result)

    def _get_action(self) -> str:
        return self._authorized_action or str(super()._get_action())

    def _determine_resource(self) -> str:
        """Return the resource of the call for moto's IAM, which asks for one."""
        return self._resources(self._get_action(), json.loads(self.body or "{}"))[0]

    def _resources(self, operation: str, parameters: dict[str, Any]) -> list[str]:
        if operation in _REGISTRY_LEVEL or (
            any(word in operation for word in _REGISTRY_LEVEL_WORDS) and operation != "BatchGetRepositoryScanningConfiguration"
        ):
            return ["*"]
        if "resourceArn" in parameters:
            return [str(parameters["resourceArn"])]
        name = repository_named(parameters)
        names = [name] if name else parameters.get("repositoryNames") or ["*"]
        return [self.backend.arn_of(item) for item in names]

    def _answer(self, status: int, document: dict[str, Any], *, code: str | None = None) -> TYPE_RESPONSE:
        headers = dict(self.response_headers) | {
            "Content-Type": "application/x-amz-json-1.1",
            "x-amzn-RequestId": str(uuid.uuid4()),
            "status": str(status),
        }
        if code:
            headers["x-amzn-ErrorType"] = code
        return status, headers, json.dumps(document, default=_encoded)


def _refused(error: HTTPException, action: str, resource: str) -> EcrError:
    """Read a refusal, which is moto's own XML or, where an enforcement words it for the service, JSON."""
    kind, message = getattr(error, "error_type", ""), getattr(error, "message", "")
    if not kind:
        try:
            document = json.loads(error.description or "")
        except ValueError:
            document = {}
        kind, message = document.get("__type", "AccessDenied"), document.get("message", "")
    code = _AUTHORIZATION_CODES.get(kind.rpartition("#")[2], kind.rpartition("#")[2])
    if code == "AccessDeniedException" and resource not in message:
        message = f"{message or f'The caller is not authorized to perform: {action}'} on resource: {resource}"
    return EcrError(code, message)
