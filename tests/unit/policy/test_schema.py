"""The JSON Schema and the bundled policy."""

import json
from pathlib import Path

import ecr_governor
from ecr_governor.core.policy.load import load_bytes
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.policy.schema import policy_schema

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
