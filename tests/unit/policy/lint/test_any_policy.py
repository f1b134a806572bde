"""No policy file that can be read makes the checks stumble, and no name that exists is called impossible."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.policy.lint import Level, remarks
from ecr_governor.core.policy.load import PolicyInvalid, read

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ROOT = Path(__file__).parents[4]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FILES = sorted([*ROOT.glob("docs/examples/policy.yaml"), *ROOT.glob("cli/demo/policy.yaml"), *ROOT.glob("layers/**/default_policy.yaml")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_policy_in_the_documentation_says_what_it_cannot_mean(page: Path) -> None:
    for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        assert [remark for remark in remarks(read(block, page.name), NOW) if remark.level is Level.ERROR] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_policies_to_start_from_are_without_a_remark(file: Path) -> None:
    assert remarks(read(file.read_text(), file.name), NOW) == ()


PATTERNS = st.text(alphabet="ab-/.*+?()[]{}|^$\\d01,:iP<>", max_size=14)
NAMES = st.lists(st.sampled_from(["payments", "a", "b-0", "a/b", "legacy", "a1"]), min_size=1, max_size=3).map("/".join)


@given(PATTERNS, PATTERNS, NAMES, st.lists(NAMES, max_size=3))
def test_what_a_name_proves_possible_is_never_called_impossible(team: str, service: str, name: str, prefixes: list[str]) -> None:
    content = {
        "version": 1,
        "naming": {"convention": "{team}/{service...}", "segments": {"team": {"regex": team}, "service": {"regex": service}}},
        "namespaces": {prefix: {"scan_frequency": "MANUAL"} for prefix in prefixes},
        "exemptions": [
            {"match": service or "a", "rules": "naming", "reason": "moves with the cluster", "owner": "me", "expires": "2027-01-31"}
        ],
    }
    try:
        reading = read(json.dumps(content), "policy.yaml")
    except PolicyInvalid:
        return
    found = remarks(reading, NOW)
    naming = reading.policy.naming
    assert naming is not None
    if is_repository_name(name) and naming.compiled.match(name) is not None:
        assert "naming-impossible" not in {remark.code for remark in found}
        unreachable = {remark.path.removeprefix("namespaces.") for remark in found if remark.code == "namespace-unreachable"}
        assert reading.policy.namespace_of(name) not in unreachable
    if is_repository_name(name) and reading.policy.exemptions[0].covers(name, "naming"):
        assert "exemption-matches-nothing" not in {remark.code for remark in found}
