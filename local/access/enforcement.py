"""Puts the decisions in front of moto's services, and answers a refusal the way the service does.

moto's own check ignores conditions, does not know most resources, and words every refusal as IAM's XML, which botocore
reads as code "403" for a JSON service. Here only sessions of the stack's roles are checked; everybody else is a visitor
with dummy credentials and may do anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core import errors
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import ServiceException
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol
from moto.core.responses import ActionResult
from moto.core.utils import get_service_model
from moto.s3.exceptions import S3AccessDeniedError
from werkzeug.exceptions import HTTPException

from local.access import bucket_policy, s3
from local.access.needs import Call, needs
from local.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.access.journal import Authorization
    from local.access.roles import Roles

ALWAYS_ALLOWED = {("sts", "GetCallerIdentity")}
CODES = {"sns": "AuthorizationError"}
QUERY_CODES = {"sns", "sts", "iam", "cloudwatch", "sqs"}


class AccessDenied(ServiceException):
    """Serialised by moto in the service's own protocol."""


class _Refusal(HTTPException):
    code = 403


def install(roles: Roles) -> Callable[[], None]:
    """Check every request from now on against these roles; returns what ends it."""

    def normal(response: Any, resource: str = "*") -> None:
        role = roles.role_of(response.access_key)
        if role is None:
            return
        operation = response._get_action()
        if (response.service_name, operation) in ALWAYS_ALLOWED:
            return
        call = Call(response.service_name, operation, _params(response, operation), response.current_account, response.region, resource)
        for access in needs(call):
            entry = roles.decide(role, access)
            if not entry.allowed:
                _refuse(response, roles.session_arn(response.access_key), entry)

    def of_s3(response: Any, bucket_name: str | None = None, key_name: str | None = None) -> None:
        role = roles.role_of(response.access_key)
        if role is None:
            return
        action = response.data.get("Action", "")
        action = action[0] if isinstance(action, list) else action
        for access in s3.needs(action, response.method, response.querystring, response.headers, bucket_name, key_name):
            if not roles.decide(role, access).allowed:
                raise S3AccessDeniedError
            listing = s3.listing_needed(response.current_account, access.action.removeprefix("s3:"), bucket_name, key_name)
            if listing and not roles.decide(role, listing).allowed:
                raise S3AccessDeniedError

    # Errors that every service has and no service's model lists; moto warns of those that it does not know.
    errors.COMMON_ERROR_CODES = list(
        {*errors.COMMON_ERROR_CODES, "AccessDenied", "AccessDeniedException", "AuthorizationError", "ThrottlingException"}
    )
    bucket_policy.install()
    return replace(
        ActionAuthenticatorMixin,
        {"_authenticate_and_authorize_normal_action": normal, "_authenticate_and_authorize_s3_action": of_s3},
    )


def _params(response: Any, operation: str) -> Any:
    if response.automated_parameter_parsing:
        return response.params
    request = response.normalized_request
    model = get_service_model(response.boto3_service_name)
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)](model.operation_model(operation), map_type=dict)
    return parser.parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": request.data,
            "url_path": request.path,
            "url_params": response.uri_match,
        }
    )


def _refuse(response: Any, caller: str, entry: Authorization) -> None:
    ending = "with an explicit deny in an identity-based policy" if entry.reason == "explicit deny" else f"because {entry.reason}"
    message = f"User: {caller} is not authorized to perform: {entry.action} on resource: {entry.resource} {ending}"
    service = response.service_name
    code = CODES.get(service, "AccessDenied" if service in QUERY_CODES else "AccessDeniedException")
    status, headers, body = response.serialized(ActionResult(AccessDenied(code, message)))
    response.response_headers.update({name: value for name, value in headers.items() if name.lower() != "status"})
    if service == "sqs":
        response.response_headers["x-amzn-query-error"] = f"{code};Sender"
    refusal = _Refusal(description=body)
    refusal.code = status
    raise refusal
