"""The tagging API knows ECR: moto's GetResources leaves repositories out.

Like AWS's it lists what has tags or had some once, never a repository that never had any.
docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
"""

from __future__ import annotations

import base64
import binascii
import heapq
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import JsonRESTError
from moto.core.resource_tagging import make_tag_matcher, match_resource_type
from moto.core.responses import ActionResult
from moto.resourcegroupstaggingapi.responses import ResourceGroupsTaggingAPIResponse

from local.ecr import faults, tags
from local.ecr.errors import EcrError
from local.ecr.store import backend_of
from local.principals import access_key_of, identify
from local.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TOKEN_LIFE = timedelta(minutes=15)
DEFAULT_PAGE = 50
MAX_PAGE = 100
MAX_TAGS_PAGE = 500
MAX_ARNS = 100
MAX_FILTERS = 50
MAX_VALUES = 20
TYPE = "ecr:repository"
# The service has its own words for what ECR calls otherwise.
_CODES = {"ThrottlingException": "ThrottledException", "ServerException": "InternalServiceException"}


def install() -> Callable[[], None]:
    """Put it in place; returns what takes it out."""
    return replace(ResourceGroupsTaggingAPIResponse, {"get_resources": _get_resources})


def _get_resources(response: Any) -> ActionResult:
    try:
        faults.strike("GetResources", identify(access_key_of(response.headers)), service="tag")
    except EcrError as error:
        raise JsonRESTError(_CODES.get(error.code, error.code), error.message) from None
    asked: Mapping[str, Any] = response._get_params()
    _check(asked)
    now = datetime.now(UTC)
    after = _after(asked.get("PaginationToken"), now)
    found = _found(response, asked)
    size = int(asked.get("ResourcesPerPage") or DEFAULT_PAGE)
    arns = heapq.nsmallest(size + 1, (arn for arn in found if arn > after))
    page = _fitting(arns[:size], found, int(asked.get("TagsPerPage") or MAX_TAGS_PAGE))
    # A token can be used again, as after an answer that was lost on its way.
    token = _token(page[-1], now) if len(page) < len(arns) else ""
    mappings = [{"ResourceARN": arn, "Tags": tags.listed(found[arn])} for arn in page]
    return ActionResult({"ResourceTagMappingList": mappings, "PaginationToken": token})


def _check(asked: Mapping[str, Any]) -> None:
    filters, arns = asked.get("TagFilters") or [], asked.get("ResourceARNList") or []
    if arns and (filters or asked.get("ResourceTypeFilters")):
        raise _invalid("ResourceARNList cannot be combined with TagFilters or ResourceTypeFilters")
    if len(arns) > MAX_ARNS or len(filters) > MAX_FILTERS or any(len(one.get("Values") or []) > MAX_VALUES for one in filters):
        raise _invalid("there are too many ARNs, filters or values")
    for name, low, high in (("ResourcesPerPage", 1, MAX_PAGE), ("TagsPerPage", MAX_PAGE, MAX_TAGS_PAGE)):
        if asked.get(name) is not None and not low <= int(asked[name]) <= high:
            raise _invalid(f"{name} must be between {low} and {high}")


def _found(response: Any, asked: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The tags of what was asked for, by ARN."""
    filters, types, arns = asked.get("TagFilters") or [], asked.get("ResourceTypeFilters") or [], asked.get("ResourceARNList") or []
    found: dict[str, dict[str, str]] = {}
    if not types or any(not match_resource_type(TYPE, [each]) for each in types):
        found = {each.arn: each.tags for each in response.backend._get_resources_generator(filters, types, arns)}
    if match_resource_type(TYPE, types):
        backend, wanted = backend_of(response.current_account, response.region), make_tag_matcher(filters)
        with backend.lock:
            found |= {
                repository.arn: repository.tags
                for repository in backend.repositories.values()
                if (repository.tags or repository.was_tagged) and wanted(repository.tags) and (not arns or repository.arn in arns)
            }
    return found


def _fitting(arns: Sequence[str], found: Mapping[str, Mapping[str, str]], limit: int) -> list[str]:
    """As many resources as have no more tags together than a page may, and at least one."""
    page: list[str] = []
    count = 0
    for arn in arns:
        count += len(found[arn])
        if page and count > limit:
            break
        page.append(arn)
    return page


def _token(arn: str, now: datetime) -> str:
    return base64.urlsafe_b64encode(f"{now.timestamp():.0f} {arn}".encode()).decode()


def _after(token: str | None, now: datetime) -> str:
    if not token:
        return ""
    try:
        issued, _, arn = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(" ")
        moment = datetime.fromtimestamp(int(issued), UTC)
    except (binascii.Error, ValueError):
        raise _invalid("PaginationToken is not one that was given out") from None
    if now - moment > TOKEN_LIFE:
        raise JsonRESTError("PaginationTokenExpiredException", "The pagination token has expired: it is good for 15 minutes.")
    return arn


def _invalid(why: str) -> JsonRESTError:
    return JsonRESTError("InvalidParameterException", why)
