"""Every key is described once, and schema and tables say it in the same words."""

import json
from collections.abc import Iterator
from typing import Any

from ecr_governor.core.policy.model import Policy
from ecr_governor.core.policy.reference import _MORE, _TYPES, MEANINGS, SECTIONS, TOP, keys_of, table
from ecr_governor.core.policy.schema import described_schema, policy_schema


def properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for below in schema.values():
            yield from properties(below)
    elif isinstance(schema, list):
        for below in schema:
            yield from properties(below)


def test_an_editor_can_tell_what_each_key_means() -> None:
    found = list(properties(policy_schema()))

    assert len(found) > 70
    assert [name for name, schema in found if not schema.get("description", "").endswith(".")] == []


def test_every_key_is_described_in_one_place() -> None:
    keys = {key.path: key for key in keys_of(Policy.model_json_schema())}

    assert [path for path, key in keys.items() if ("description" in key.schema) == (path in MEANINGS)] == []
    assert MEANINGS.keys() <= keys.keys()
    assert _TYPES.keys() <= keys.keys()
    assert _MORE.keys() <= keys.keys()


def test_each_key_stands_in_one_table() -> None:
    schema = described_schema()
    rows = [line for section in (TOP, *SECTIONS) for line in table(schema, section).splitlines() if line.startswith("| `")]

    assert len(rows) == len({row.split("`")[1] for row in rows})
    assert {row.split("`")[1] for row in rows} == {key.path for key in keys_of(schema)}


def test_a_table_says_type_bounds_and_default_of_the_schema() -> None:
    schema = described_schema()

    assert "| `limits.calls_per_second` | 1 to 10,000; default `20` |" in table(schema, "limits")
    assert "| `naming.convention` | text, at most 256 characters; required |" in table(schema, "naming")
    assert "| `rules.<rule>.severity` | `low`, `medium`, `high`, `critical` |" in table(schema, "rules")
    assert (
        "| `retirement.sources` | list of `ecs`, `lambda`, `apprunner`, `batch`, `codebuild`, `inspector`, `sagemaker`, `files`; default `[ecs, lambda]` |"
        in table(schema, "retirement")
    )


def test_no_description_breaks_a_table() -> None:
    assert "|" not in json.dumps([key.schema["description"] for key in keys_of(described_schema())])
