"""`ecr-governor policy show` and `policy docs`: what comes out says the same as what went in."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.policy.showing import as_yaml, effective
from ecr_governor.core.policy.load import load, read
from ecr_governor.core.policy.model import NamespaceSettings
from ecr_governor.core.policy.presets import Preset
from tests.commands import Ended, run

EXAMPLES = Path(__file__).parents[3]
Command = Callable[..., Ended]

TEXT = """\
version: 1
preset: strict
mode: enforce
naming: {convention: "{team}/{service}", segments: {team: [a, "off"], service: "svc-*"}, ignore: ["docker-hub/*"]}
namespaces:
  ROOT: {required_tags: {team: {set: "{team}"}, "2027-01-31": {one_of: ["1", "no"]}}}
  a/: {tag_mutability: null, image_tags: [{regex: 'v\\d+'}, "b*"], auto_created: {grace: 90m}}
  b: {encryption: {type: KMS, kms_key: "arn:aws:kms:eu-west-1:123456789012:key/1"}, unused: {after: 36h}, retirement: null}
  c: {rules: {naming: {severity: low}, scanning: enforce}}
rules: {naming: audit}
exemptions:
  - {match: "a/*", rules: [naming, unused], reason: "moves with the cluster: #7", owner: me, expires: 2097-01-31}
  - {match: "b/*", rules: "*", reason: moves with the cluster, owner: me, expires: 2026-01-31}
retirement: {caps: {per_run: 3, percent: 2.5}}
"""


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)

    def ran(text: str, *arguments: str) -> Ended:
        (tmp_path / "policy.yaml").write_text(text)
        return run(capsys, monkeypatch, "policy", *arguments)

    return ran


@pytest.mark.parametrize("text", [TEXT, "version: 1\n", *(f"version: 1\npreset: {preset.value}\n" for preset in Preset)])
def test_what_is_shown_is_a_policy_file_that_says_the_same(command: Command, text: str) -> None:
    ended = command(text, "show", "policy.yaml")

    assert ended.code == 0
    assert load(ended.out, "shown").hash == load(text, "policy.yaml").hash


OF_THE_PROJECT = [
    EXAMPLES / "docs/examples/policy.yaml", EXAMPLES / "cli/demo/policy.yaml", EXAMPLES / "layers/governor/python/ecr_governor/default_policy.yaml",
]  # fmt: skip
SECTIONS = [key for key, field in NamespaceSettings.model_fields.items() if field.default is None]
ROOT_SAYS = """\
    lifecycle_policy:
      rules: [{rulePriority: 1, selection: {tagStatus: any, countType: imageCountMoreThan, countNumber: 9}, action: {type: expire}}]
    repository_policy:
      Version: "2012-10-17"
      Statement: [{Sid: Pull, Effect: Allow, Principal: {AWS: "arn:aws:iam::123456789012:root"}, Action: "ecr:BatchGetImage"}]
    tag_mutability: IMMUTABLE
    scan_frequency: SCAN_ON_PUSH
    required_tags: {team: {one_of: [a, b]}}
    encryption: KMS
    image_tags: "v*"
    auto_created: {grace: 24h}
    retirement: {after_days: 120}
"""
ROOTS = {
    "nothing of ROOT": "",
    "retirement alone": "  ROOT:\n    retirement: {after_days: 120}\n",
    "all but unused": f"  ROOT:\n{ROOT_SAYS}",
    "all": f"  ROOT:\n{ROOT_SAYS}    unused: {{after: 90d}}\n",
}


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("preset", [None, *Preset])
def test_what_a_namespace_does_without_it_does_without_in_what_is_shown(preset: Preset | None, root: str) -> None:
    head = "version: 1\n" + (f"preset: {preset.value}\n" if preset else "")
    without = {f"without-{key.replace('_', '-')}": key for key in SECTIONS}
    text = f"{head}namespaces:\n{ROOTS[root]}" + "".join(f"  {prefix}: {{{key}: null}}\n" for prefix, key in without.items())
    one = read(text, "policy.yaml")
    shown = read(as_yaml(list(effective(one))), "shown").policy

    assert shown.hash == one.policy.hash
    for prefix in without:
        assert shown.expectation_for(f"{prefix}/a").settings == one.policy.expectation_for(f"{prefix}/a").settings


@pytest.mark.parametrize("path", OF_THE_PROJECT, ids=lambda path: path.parent.name)
def test_the_same_of_a_whole_file(path: Path) -> None:
    text = path.read_text().replace("namespaces:\n", "namespaces:\n  without: {retirement: null, tag_mutability: null}\n")
    one = read(text, str(path))

    assert "without" in one.policy.namespaces
    assert read(as_yaml(list(effective(one))), "shown").policy.hash == one.policy.hash


def test_a_use_that_only_the_retirement_of_root_asks_for_is_taken_back_beside_it(command: Command) -> None:
    ended = command(f"version: 1\nnamespaces:\n{ROOTS['retirement alone']}  mirror:\n    retirement: null\n", "show", "policy.yaml")

    lines = [
        "    unused:  # asked for by retirement, policy.yaml:4\n      after: 120d\n",
        "    unused: null  # asked for by no retirement, policy.yaml:6\n    retirement: null  # policy.yaml:6\n",
    ]
    assert all(each in ended.out for each in lines)


RULES_OF_NAMESPACES = """\
version: 1
mode: enforce
rules: {encryption: off, tag-mutability: audit}
namespaces:
  ROOT: {encryption: KMS, tag_mutability: IMMUTABLE, rules: {tag-mutability: {severity: high}}}
  payments: {rules: {tag-mutability: enforce, encryption: {mode: audit, severity: critical}}}
  sandbox: {retirement: {then: quarantine}}
"""


@pytest.mark.parametrize(
    "text",
    [
        RULES_OF_NAMESPACES,
        *(f"version: 1\npreset: {preset.value}\n" for preset in Preset),
        *(path.read_text() for path in OF_THE_PROJECT),
    ],
)
def test_what_is_shown_says_nothing_in_vain_that_the_file_does_not(command: Command, tmp_path: Path, text: str) -> None:
    shown = command(text, "show", "policy.yaml").out
    assert command(text, "validate", "policy.yaml", "--strict").code == 0
    again = command(shown, "validate", "policy.yaml", "--strict")

    assert (again.code, again.out) == (0, "")
    assert load(shown, "shown").hash == load(text, "policy.yaml").hash


def test_each_value_says_where_it_comes_from(command: Command) -> None:
    rows = {row["path"]: row for row in json.loads(command(TEXT, "show", "policy.yaml", "--output", "json").out)["values"]}

    assert {path: rows[path]["source"] for path in SOURCES} == SOURCES
    assert rows["namespaces.a.auto_created"]["value"]["grace"] == "90m"
    assert rows["namespaces.b.unused"]["value"] == {"after": "36h"}
    assert rows["namespaces.ROOT.unused"]["value"] == {"after": "90d"}


SOURCES = {
    "mode": "policy.yaml:3",
    "owner_tag": "default",
    "naming.ignore": "policy.yaml:4",
    "namespaces.ROOT.required_tags": "policy.yaml:6",
    "namespaces.ROOT.encryption": "preset strict",
    "namespaces.ROOT.unused": "asked for by retirement, preset strict",
    "namespaces.a.tag_mutability": "policy.yaml:7",
    "namespaces.a.scan_frequency": "ROOT, preset strict",
    "namespaces.a.required_tags": "ROOT, policy.yaml:6",
    "namespaces.a.trusted_accounts": "default",
    "namespaces.b.unused": "policy.yaml:8",
    "namespaces.b.retirement": "policy.yaml:8",
    "namespaces.c.rules.naming": "policy.yaml:9",
    "rules.naming": "policy.yaml:10, over preset strict",
    "rules.encryption": "preset strict",
    "exemptions": "policy.yaml:11",
    "retirement.caps.per_run": "policy.yaml:14",
    "retirement.caps.per_day": "default",
    "notifications.slack.min_severity": "default",
}


def test_of_one_name_only_what_is_expected_of_it_is_shown(command: Command) -> None:
    data = json.loads(command(TEXT, "show", "policy.yaml", "--name", "a/svc-1", "--output", "json").out)
    rows = {row["path"]: row for row in data["values"]}

    assert {path.split(".")[1] for path in rows if path.startswith("namespaces.")} == {"a"}
    assert rows["rules.naming"]["value"] == {"mode": "audit", "severity": "high"}
    assert rows["rules.required-tags"]["value"] == {"mode": "enforce", "severity": "medium"}
    assert "rules.tag-mutability" not in rows
    assert [each["match"] for each in rows["exemptions"]["value"]] == ["a/*"]

    data = json.loads(command(TEXT, "show", "policy.yaml", "--name", "c/svc-1", "--output", "json").out)
    rules = {row["path"]: row for row in data["values"] if row["path"].startswith("rules.")}
    assert rules["rules.naming"]["value"] == {"mode": "audit", "severity": "low"}
    assert rules["rules.naming"]["source"] == "policy.yaml:9, over policy.yaml:10"
    assert rules["rules.scanning"] == {
        "path": "rules.scanning",
        "value": {"mode": "enforce", "severity": "high"},
        "source": "policy.yaml:9",
    }
    assert "exemptions" not in {
        row["path"] for row in json.loads(command(TEXT, "show", "policy.yaml", "--name", "b/x", "--output", "json").out)["values"]
    }


def test_what_cannot_be_shown_is_told(command: Command) -> None:
    assert "is no valid policy file" in command("version: 2", "show", "policy.yaml").err
    told = command("version: 1", "show", "policy.yaml", "--name", "A b")
    assert (told.code, told.err.splitlines()[0]) == (2, "error: 'A b' is no repository name")


def test_docs_print_every_table_and_write_them_anew_between_their_marks(command: Command, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A\n\n<!-- generated: limits -->\nold\n<!-- end of what is generated -->\n\nafter\n")

    assert "| `limits.pull_metrics` |" in command("", "docs").out
    assert command("", "docs", "--into", str(page)).code == 0
    text = page.read_text()
    assert text.startswith("# A\n\n<!-- generated: limits -->\n| Key |")
    assert "old" not in text
    assert text.endswith("<!-- end of what is generated -->\n\nafter\n")

    page.write_text("<!-- generated: limits -->\nold\n")
    assert command("", "docs", "--into", str(page)).err.startswith("error: page.md does not end what is generated\n")
    assert "cannot be written" in command("", "docs", "--into", str(tmp_path / "none" / "page.md")).err
