"""`ecr-governor policy schema` and `policy docs`: the policy file's keys, for editors and for readers."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from cli import generated
from ecr_governor.core.policy.lint import CHECKS
from ecr_governor.core.policy.presets import Preset, text_of
from ecr_governor.core.policy.reference import MATCHER, SECTIONS, TOP, table
from ecr_governor.core.policy.schema import described_schema, policy_schema

TITLES = {MATCHER: "Matchers", TOP: "Top level"}


def print_schema() -> None:
    """Print the JSON Schema."""
    sys.stdout.write(json.dumps(policy_schema(), indent=2, sort_keys=True) + "\n")


def print_docs() -> None:
    """Print all tables."""
    for name, text in parts().items():
        sys.stdout.write(f"## {TITLES.get(name, name)}\n\n{text}\n")


def write_into(file: Path) -> None:
    """Write each table anew that stands in a file between its marks. Raises Trouble if the marks are not as they should be."""
    generated.write_into(file, parts())


def renewed(text: str, name: str) -> str:
    """Give a page with what is generated in it written anew."""
    return generated.renewed(text, name, parts())


def parts() -> dict[str, str]:
    """Give what is generated, by its name."""
    schema = described_schema()
    tables = {section: table(schema, section) for section in (TOP, *SECTIONS)}
    return {**tables, "checks": "\n".join(_checks()) + "\n", "presets": "\n".join(_presets()) + "\n"}


def _checks() -> Iterator[str]:
    yield "| Check | Level | Finds | Why it matters |"
    yield "|---|---|---|---|"
    for code, check in CHECKS.items():
        yield f"| `{code}` | {check.level.value} | {check.finds} | {check.why[:1].upper()}{check.why[1:]} |"


def _presets() -> Iterator[str]:
    yield "| Preset | What it is for |"
    yield "|---|---|"
    for preset in Preset:
        about = " ".join(line.removeprefix("# ") for line in text_of(preset).splitlines()[2:] if line.startswith("# "))
        file = f"../layers/governor/python/ecr_governor/presets/{preset.value}.yaml"
        yield f"| [`{preset.value}`]({file}) | {about} |"
