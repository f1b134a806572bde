"""The JSON Schema of the policy file, by which editors complete and check it."""

from typing import Any

from ecr_governor.core.policy import document_schemas
from ecr_governor.core.policy.model import EVERY_RULE, Policy
from ecr_governor.core.policy.reference import describe
from ecr_governor.core.rules import RULES


def described_schema() -> dict[str, Any]:
    """Describe every key of the format. The inside of documents is AWS's, and which rules there are the release's: both are left out."""
    return describe(Policy.model_json_schema())


def policy_schema() -> dict[str, Any]:
    """Describe a policy file of the present version, documents and rules included. What needs other sections only the loader checks."""
    schema = described_schema()
    definitions = schema["$defs"]
    settings = definitions["NamespaceSettings"]["properties"]
    document_schemas.put_into(settings, definitions)
    for rules in (schema["properties"]["rules"], settings["rules"]):
        known = {rule_id: {**rules["additionalProperties"], "description": f"{rule.summary}."} for rule_id, rule in RULES.items()}
        rules |= {"properties": known, "additionalProperties": False}
    for form in definitions["Exemption"]["properties"]["rules"]["anyOf"]:
        form.get("items", form)["enum"] = [*RULES, EVERY_RULE]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "ECR Governor policy"}
