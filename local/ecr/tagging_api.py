"""The tagging API knows ECR: moto's GetResources leaves repositories out.

Like AWS's it gives only those that have tags; those that had some once are given by AWS too, and not here.
"""

from __future__ import annotations

from typing import Any

from moto.core.resource_tagging import TaggedResource, make_tag_matcher, match_resource_type
from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend
from moto.resourcegroupstaggingapi.responses import ResourceGroupsTaggingAPIResponse

from local.ecr import faults, paging
from local.ecr.errors import EcrError
from local.ecr.store import backend_of
from local.principals import access_key_of, identify
from local.replacing import replace

# The service has its own words for what ECR calls otherwise.
_CODES = {"ThrottlingException": "ThrottledException", "ServerException": "InternalServiceException"}
_others: Any = ResourceGroupsTaggingAPIBackend._get_resources_generator
_answer: Any = ResourceGroupsTaggingAPIResponse.get_resources


def _get_resources(
    self: ResourceGroupsTaggingAPIBackend,
    *,
    pagination_token: str | None = None,
    resources_per_page: int = 50,
    tags_per_page: int = 100,  # noqa: ARG001 -- moto's signature; AWS advises against it
    tag_filters: list[dict[str, Any]] | None = None,
    resource_type_filters: list[str] | None = None,
    resource_arn_list: list[str] | None = None,
) -> tuple[str, list[TaggedResource]]:
    found: dict[str, TaggedResource] = {each.arn: each for each in _others(self, tag_filters, resource_type_filters, resource_arn_list)}
    wanted = make_tag_matcher(tag_filters)
    if match_resource_type("ecr:repository", resource_type_filters):
        backend = backend_of(self.account_id, self.region_name)
        with backend.lock:
            for repository in backend.repositories.values():
                if repository.tags and wanted(repository.tags) and (not resource_arn_list or repository.arn in resource_arn_list):
                    found[repository.arn] = TaggedResource(repository.arn, dict(repository.tags), "ecr:repository")
    # A token can be used again, as after an answer that was lost on its way.
    arns, following = paging.page(found, {"maxResults": resources_per_page, "nextToken": pagination_token or None})
    return following.get("nextToken", ""), [found[arn] for arn in arns]


def _with_trouble(self: Any) -> Any:
    try:
        faults.strike("GetResources", identify(access_key_of(self.headers)), None)
    except EcrError as error:
        raise EcrError(_CODES.get(error.code, error.code), error.message) from error
    return _answer(self)


def install() -> None:
    """Put it in place. Calling it again changes nothing."""
    replace(ResourceGroupsTaggingAPIBackend, {"get_resources": _get_resources})
    replace(ResourceGroupsTaggingAPIResponse, {"get_resources": _with_trouble})
