"""The JSON Schema and the bundled policy."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import ecr_governor
from ecr_governor.core.policy.load import PolicyInvalid, load_bytes, read
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.policy.schema import policy_schema
from ecr_governor.core.policy.yaml_text import compose
from ecr_governor.core.rules import RULES

ROOT = Path(__file__).parents[3]
SCHEMA = ROOT / "docs" / "policy.schema.json"
DEFAULT = Path(ecr_governor.__file__).with_name("default_policy.yaml")


def test_the_checked_in_schema_is_fresh() -> None:
    fresh = json.dumps(policy_schema(), indent=2, sort_keys=True) + "\n"

    assert SCHEMA.read_text() == fresh, "run: ecr-governor policy schema > docs/policy.schema.json"


def test_the_schema_offers_every_section_and_refuses_others() -> None:
    schema = policy_schema()

    assert set(schema["properties"]) == {
        "version", "preset", "mode", "naming", "namespaces", "owner_tag", "rules", "exemptions", "retirement",
        "templates", "limits", "notifications",
    }  # fmt: skip
    assert schema["required"] == ["version"]
    assert schema["additionalProperties"] is False


def test_the_schema_offers_the_short_forms() -> None:
    kinds = {name: definition["anyOf"] for name, definition in policy_schema()["$defs"].items() if "anyOf" in definition}

    assert set(kinds) == {"Matcher", "RequiredTag", "RuleSetting", "TagMutabilityModel", "EncryptionModel"}
    assert [kind.get("type", kind.get("$ref")) for kind in kinds["Matcher"]] == ["string", "array", "object"]


POLICIES = [
    *(ROOT / "layers").rglob("presets/*.yaml"), DEFAULT, ROOT / "docs" / "examples" / "policy.yaml", ROOT / "cli" / "demo" / "policy.yaml",
]  # fmt: skip
WRITTEN = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "policy.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("text", [*(path.read_text() for path in POLICIES), *WRITTEN])
def test_what_is_a_policy_is_one_by_the_schema(text: str) -> None:
    jsonschema.validate(compose(text, "policy.yaml")[0].value, policy_schema())


RULE = {
    "rulePriority": 1,
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5},
    "action": {"type": "expire"},
}
STATEMENT = {"Sid": "Pull", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        ({"lifecycle_policy": {"file": "documents/a.json"}, "repository_policy": {"file": "b.yaml"}}, True),
        ({"lifecycle_policy": {"rules": [RULE]}}, True),
        ({"lifecycle_policy": None, "repository_policy": None}, True),
        ({"repository_policy": {"Version": "2012-10-17", "Statement": [STATEMENT]}}, True),
        ({"lifecycle_policy": {"fiel": "a.json"}}, False),
        ({"lifecycle_policy": {"file": "a.json", "rules": [RULE]}}, False),
        ({"lifecycle_policy": {"rules": []}}, False),
        ({"lifecycle_policy": {"rules": [{**RULE, "priority": 1}]}}, False),
        ({"lifecycle_policy": {"rules": [{**RULE, "action": {"type": "delete"}}]}}, False),
        ({"repository_policy": {"Version": "2012-10-17", "Statement": [{**STATEMENT, "Resource": "*"}]}}, False),
        ({"repository_policy": {"Version": "2012-10-17", "Statement": [{**STATEMENT, "Action": "s3:GetObject"}]}}, False),
        ({"repository_policy": {"Statement": [STATEMENT]}}, False),
        ({"rules": {"naming": "off"}}, True),
        ({"rules": {"nmaing": "off"}}, False),
    ],
)
def test_loader_and_schema_agree_on_documents_and_rules(settings: dict[str, Any], taken: bool) -> None:
    content = {"version": 1, "namespaces": {"ROOT": settings}}
    by_schema = not list(jsonschema.Draft202012Validator(policy_schema()).iter_errors(content))
    try:
        read(json.dumps(content), "policy.yaml", Beside())
        by_loader = True
    except PolicyInvalid:
        by_loader = False

    assert (by_schema, by_loader) == (taken, taken)


class Beside:
    """Files beside the policy file, all of the right kind."""

    def read(self, path: str) -> tuple[str, bytes]:
        document = {"rules": [RULE]} if path.endswith("a.json") else {"Version": "2012-10-17", "Statement": [STATEMENT]}
        return path, json.dumps(document).encode()


def test_the_schema_offers_the_rules_by_name() -> None:
    schema = policy_schema()

    assert list(schema["properties"]["rules"]["properties"]) == list(RULES)
    assert schema["$defs"]["Exemption"]["properties"]["rules"]["anyOf"][0]["enum"] == [*RULES, "*"]


def test_the_schema_refers_to_nothing_that_is_not_there() -> None:
    text = json.dumps(policy_schema())
    referred = {piece.partition('"')[0] for piece in text.split('"#/$defs/')[1:]}

    assert referred <= set(policy_schema()["$defs"])


def test_the_bundled_policy_loads_and_changes_nothing() -> None:
    policy = load_bytes(DEFAULT.read_bytes(), DEFAULT.name)

    assert policy.mode is Mode.AUDIT
    settings = policy.expectation_for("any/name").settings
    assert settings.lifecycle_policy is not None
    assert settings.tag_mutability is not None
    assert settings.scan_frequency == "SCAN_ON_PUSH"
    assert set(settings.required_tags or {}) == {"owner"}
    assert settings.auto_created is not None
    assert not settings.replace_lifecycle_policy


def test_the_bundled_policy_points_editors_to_the_schema() -> None:
    first = DEFAULT.read_text().splitlines()[0]

    assert first.startswith("# yaml-language-server: $schema=")
    assert (DEFAULT.parent / first.partition("=")[2]).resolve() == SCHEMA
