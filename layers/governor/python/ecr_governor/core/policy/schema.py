"""The JSON Schema of the policy file, by which editors complete and check it."""

from typing import Any

from ecr_governor.core.policy.model import Policy
from ecr_governor.core.policy.reference import describe


def policy_schema() -> dict[str, Any]:
    """Describe a policy file of the present version. What needs the rules or other sections is checked by the loader only."""
    schema = describe(Policy.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "ECR Governor policy"}
