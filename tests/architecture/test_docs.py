"""The documentation says what the code, the template and the policy models say."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

import cli.generated
import cli.reference
from cli.main import app
from cli.policy.cases import Case, CaseFile, Expect, Given, Happening
from cli.policy.reference import parts, renewed
from cli.trouble import Exit
from ecr_governor.adapters.ecr import ACTION_OF, ACTION_OF_REMEDY
from ecr_governor.core.announcement import Told, bus_events
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.origin import Origin, Provenance
from ecr_governor.core.policy.load import load
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.policy.schema import described_schema
from ecr_governor.core.record import Change, Trigger, change_as_data
from ecr_governor.core.remedy import (
    Outcome,
    OutcomeStatus,
    PutImageTagMutability,
    PutLifecyclePolicy,
    SetRepositoryPolicy,
    TagResource,
)
from ecr_governor.core.repository import CreationTemplate, Image, ScanFrequency, TagMutability, TagMutabilitySetting, Usage
from ecr_governor.core.rules import RULES
from ecr_governor.core.severity import Severity
from ecr_governor.core.templates.lint import CHECKS
from ecr_governor.core.verdict import Violation
from tests.fakes import a_repository

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")],
    key=str,
)
FORBIDDEN = ("TODO", "FIXME", "coming soon", "roadmap")
NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def headings(text: str) -> list[str]:
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", outside, re.MULTILINE)


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of all table rows between a heading and the next one, table headers left out."""
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith(("| `", "| ["))]


class _Loader(yaml.SafeLoader):
    """Reads a template; an intrinsic function stands for its argument."""


def _intrinsic(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _intrinsic)


@pytest.fixture(scope="module")
def template() -> Mapping[str, Any]:
    return dict(yaml.load(text_of("template.yaml"), Loader=_Loader))  # noqa: S506 - a SafeLoader


# --- pages ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_relative_links_resolve(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for target in targets:
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} leads nowhere"
        if fragment:
            assert fragment in map(anchor, headings(file.read_text())), f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_pages_promise_nothing(page: Path) -> None:
    text = page.read_text().lower()
    assert [word for word in FORBIDDEN if re.search(rf"\b{re.escape(word.lower())}\b", text)] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_policy_examples_are_valid(page: Path) -> None:
    for block in code_blocks(page.read_text(), "yaml"):
        load(block, named(page))


def test_a_picture_asks_nobody_for_anything() -> None:
    pictures = sorted((ROOT / "docs" / "images").glob("*.svg"))
    assert pictures
    for picture in pictures:
        addresses = re.findall(r"https?://[^\s\"'<)]+", picture.read_text())
        assert set(addresses) <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}, picture.name
        assert not re.search(r"@import|@font-face|<image|<script", picture.read_text()), picture.name


def test_the_readme_and_the_policy_page_show_policies() -> None:
    assert code_blocks(text_of("README.md"), "yaml")
    assert code_blocks(text_of("docs/policy.md"), "yaml")


def test_every_decision_has_its_three_parts() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        parts = re.findall(r"^\*\*(\w+)\.\*\*", page.read_text(), re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences"], page.name


# --- commands -------------------------------------------------------------------------------------------------------------------------


def commands() -> dict[str, frozenset[str]]:
    """Every command with its options."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, frozenset[str]]]:
        yield " ".join(path), frozenset(option for parameter in command.params for option in parameter.opts)
        for name, below in getattr(command, "commands", {}).items():
            yield from walk(below, (*path, name))

    return dict(walk(typer.main.get_command(app), ()))


def code_of(page: Path) -> Iterator[str]:
    text = page.read_text()
    yield from (line for block in re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) for line in block.splitlines())
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_exist(page: Path) -> None:
    known = commands()
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    for line in code_of(page):
        for words in re.findall(r"(?:^|\s|/)ecr-governor ((?:[a-z][a-z-]* ?)+)", line):
            first, *rest = words.split()
            if first not in known:
                assert " " not in line, f"{line}: there is no command {first}"
                continue
            path = " ".join((first, *rest[:1])) if any(name.startswith(f"{first} ") for name in known) else first
            assert path in known, f"{line}: there is no command {path}"
            used = set(re.findall(r"(?<!\S)(--[a-z-]+)", line.partition("ecr-governor ")[2].partition(" #")[0]))
            assert used <= known[path] | {"--help"}, line
        for target in re.findall(r"(?:^|\s)make ([a-z-]+)", line):
            assert target in targets, f"{line}: there is no target {target}"


def test_every_command_is_in_the_readme() -> None:
    told = text_of("README.md")
    leaves = [name for name in commands() if name and not any(other.startswith(f"{name} ") for other in commands())]
    assert [name for name in leaves if f"ecr-governor {name}" not in told] == []


def test_the_reference_of_the_commands_is_theirs() -> None:
    made, text = cli.reference.parts(), text_of("docs/cli.md")
    assert set(re.findall(r"^<!-- generated: (.+) -->$", text, re.MULTILINE)) == made.keys()
    assert cli.generated.renewed(text, "docs/cli.md", made) == text, "run: .venv/bin/python -m cli.reference docs/cli.md"


@pytest.mark.parametrize("command", cli.reference.commands(), ids=lambda command: command.path)
def test_every_command_shows_an_example_and_says_what_it_takes(command: cli.reference.Command) -> None:
    assert command.paragraphs[0].endswith(".")
    assert command.examples, "its help has no paragraph that begins with Example:"
    for example in command.examples:
        assert example.startswith(f"ecr-governor {command.path}")
        assert set(re.findall(r"(?<!\S)(--[a-z-]+)", example)) <= commands()[command.path]
    assert [option.spelt for option in (*command.arguments, *command.options) if not option.meaning or option.meaning.startswith(";")] == []


def test_every_option_of_local_up_is_described() -> None:
    described = {row[0].strip("`") for row in rows("\n## Options\n" + text_of("docs/local.md"), "Options")}
    assert described == commands()["local up"] - {"--help"}


def test_the_exit_codes_are_those_of_the_command_line() -> None:
    section = text_of("README.md").partition("### Exit codes")[2].partition("\n## ")[0]
    told = {int(code) for code in re.findall(r"^\| (\d) \|", section, re.MULTILINE)}
    sources = "\n".join(path.read_text() for path in (ROOT / "cli").rglob("*.py") if path.name != "trouble.py")
    used = {member.value for member in Exit if f"Exit.{member.name}" in sources} | {Exit.USAGE}
    assert told == used


# --- examples -------------------------------------------------------------------------------------------------------------------------


def test_the_example_of_a_cronjob_fits_together_and_calls_a_command_that_there_is() -> None:
    manifests = {each["kind"]: each for each in yaml.safe_load_all(text_of("docs/examples/evidence-cronjob.yaml"))}
    account = {"name": manifests["ServiceAccount"]["metadata"]["name"], "namespace": manifests["Namespace"]["metadata"]["name"]}
    assert manifests["ServiceAccount"]["metadata"]["namespace"] == account["namespace"]
    assert manifests["ClusterRoleBinding"]["subjects"] == [{"kind": "ServiceAccount", **account}]
    assert manifests["ClusterRoleBinding"]["roleRef"]["name"] == manifests["ClusterRole"]["metadata"]["name"]
    assert manifests["CronJob"]["metadata"]["namespace"] == account["namespace"]
    pod = manifests["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["name"]
    (container,) = pod["containers"]
    group, command, *rest = container["args"]
    assert {word for word in rest if word.startswith("--")} <= commands()[f"{group} {command}"]
    # The stack's default name is the one that the page's permissions are for.
    assert f"parameter/{rest[rest.index('--stack') + 1]}/names" in text_of("docs/retirement.md")
    capitals = set(re.findall(r"\b[A-Z]{3,}\b", json.dumps([manifests["ServiceAccount"], container["image"], rest])))
    assert capitals == {"ACCOUNT", "CLUSTER", "REGION", "REPOSITORY", "ROLE", "TAG"}


# --- template -------------------------------------------------------------------------------------------------------------------------


def granted(template: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    """Function, action and when, for every statement of the functions' roles. Logging is left out."""
    channels = {"Channels": "Channels", "HasAlerts": "Alerts", "HasSecurityHub": "Security Hub", "HasWebhook": "Webhook"}
    conditions = {"Enforce": "Enforce", "HasSlack": "Slack", "HasDashboard": "Dashboard", **channels}
    found: set[tuple[str, str, str]] = set()
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        function = resource["Properties"]["CodeUri"].removeprefix("functions/")
        role = template["Resources"][resource["Properties"]["Role"].removesuffix(".Arn")]
        for policy in role["Properties"]["Policies"]:
            always = conditions.get(role.get("Condition"), role.get("Condition", "always"))
            when, document = (conditions[policy[0]], policy[1]) if isinstance(policy, list) else (always, policy)
            for statement in document["PolicyDocument"]["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                found |= {(function, action, when) for action in actions if not action.startswith("logs:")}
    return found


def test_the_table_of_permissions_is_the_templates(template: Mapping[str, Any]) -> None:
    told = {
        (function.strip("`"), action, when)
        for function, actions, _on, when, _why in rows(text_of("README.md"), "Permissions")
        for action in re.findall(r"`([^`]+)`", actions)
    }
    assert told == granted(template)


def test_every_alarm_has_its_section(template: Mapping[str, Any]) -> None:
    alarms = [resource for resource in template["Resources"].values() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    known = set(map(anchor, headings(text_of("docs/operations.md"))))
    wanted = {
        match.group(1) for alarm in alarms if (match := re.search(r"docs/operations\.md#([\w-]+)", alarm["Properties"]["AlarmDescription"]))
    }
    assert len(alarms) == sum("docs/operations.md#" in alarm["Properties"]["AlarmDescription"] for alarm in alarms)
    assert wanted <= known


def test_the_number_of_alarms_in_the_cost_table_is_the_templates(template: Mapping[str, Any]) -> None:
    alarms = [resource for resource in template["Resources"].values() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    assert f"| CloudWatch alarms | 0.10 each | {len(alarms)} |" in text_of("README.md")


def test_names_in_the_operations_page_are_resources(template: Mapping[str, Any]) -> None:
    named_there = {
        name
        for row in rows(text_of("docs/operations.md").replace("# Operations\n", "\n## Names\n", 1), "Names")
        for name in re.findall(r"`(\w+)`", row[0])
    }
    assert named_there
    assert named_there <= template["Resources"].keys()


# --- policy file ----------------------------------------------------------------------------------------------------------------------

_NAMED = {"namespaces": "<prefix>", "segments": "<segment>", "required_tags": "<key>", "rules": "<rule>", "tags": "<key>"}
_MATCHER = {"one_of", "glob", "regex"}


def keys_of(schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str = "", name: str = "") -> Iterator[str]:
    """Every key that the schema allows, as a dotted path; what a matcher takes is told once."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    for form in schema.get("anyOf", ()):
        yield from keys_of(form, definitions, path, name)
    for key, below in schema.get("properties", {}).items():
        if schema["properties"].keys() >= _MATCHER and key in _MATCHER:
            yield f"<matcher>.{key}"
            continue
        yield f"{path}{key}"
        yield from keys_of(below, definitions, f"{path}{key}.", key)
    if isinstance(below := schema.get("additionalProperties"), dict):
        yield from keys_of(below, definitions, f"{path}{_NAMED[name]}.", name)
    if isinstance(below := schema.get("items"), dict):
        # Lists that may be written as their only entry are no level of their own.
        yield from keys_of(below, definitions, f"{path.removesuffix('.')}[].", name)


def test_every_key_of_the_policy_file_is_described() -> None:
    schema = described_schema()
    wanted = set(keys_of(schema, schema["$defs"]))
    told = set(re.findall(r"^\| `([^`]+)` \|", text_of("docs/policy.md"), re.MULTILINE))
    assert told == wanted


@pytest.mark.parametrize("page", ["docs/policy.md", "docs/policy-as-code.md"])
def test_what_is_generated_in_the_documentation_is_fresh(page: str) -> None:
    text = text_of(page)
    marked = set(re.findall(r"^<!-- generated: (.+) -->$", text, re.MULTILINE))
    assert marked
    assert marked <= parts().keys()
    assert renewed(text, page) == text, f"run: ecr-governor policy docs --into {page}"


def test_every_part_that_is_generated_stands_somewhere() -> None:
    pages = "\n".join(page.read_text() for page in PAGES)
    assert [part for part in parts() if f"<!-- generated: {part} -->" not in pages] == []


def test_the_choices_of_the_policy_file_are_told() -> None:
    told = text_of("docs/policy.md")
    choices = {choice for definition in described_schema()["$defs"].values() for choice in definition.get("enum", ())}
    assert choices
    assert [choice for choice in sorted(choices) if f"`{choice}`" not in told] == []


# --- rules ----------------------------------------------------------------------------------------------------------------------------


def test_every_rule_has_its_section() -> None:
    assert [heading for heading in headings(text_of("docs/rules.md")) if heading != "Rules"] == list(RULES)


def test_the_table_of_rules_is_the_codes() -> None:
    remedies = {
        "lifecycle-policy": PutLifecyclePolicy,
        "repository-policy": SetRepositoryPolicy,
        "required-tags": TagResource,
        "tag-mutability": PutImageTagMutability,
    }
    overview = text_of("docs/rules.md").replace("# Rules\n", "\n## Overview\n", 1)
    told = {row[0].partition("]")[0].strip("["): row[1:] for row in rows(overview, "Overview")}
    assert told.keys() == RULES.keys()
    for rule_id, (severity, facts, remedy) in told.items():
        rule = RULES[rule_id]
        assert severity == rule.severity
        assert set(re.findall(r"`([^`]+)`", facts)) == {ACTION_OF[fact] for fact in rule.needs}
        assert re.findall(r"`([^`]+)`", remedy) == ([ACTION_OF_REMEDY[remedies[rule_id]]] if rule_id in remedies else [])


@pytest.mark.parametrize("rule_id", RULES)
def test_a_rules_section_says_why_in_the_rules_own_words(rule_id: str) -> None:
    section = text_of("docs/rules.md").partition(f"\n## {rule_id}\n")[2].partition("\n## ")[0]
    assert RULES[rule_id].why in section
    for part in ("**What.**", "**Why.**", "**Parameters.**", "**Remedy.**"):
        assert part in section


WORST = {
    "auto-created": {
        "provenance": Provenance(origin=Origin.PULL_THROUGH_CACHE),
        "images": (),
        "creation_templates": (CreationTemplate("ROOT", frozenset({"PULL_THROUGH_CACHE"})),),
    },
    "encryption": {},
    "image-tag": {"images": (Image(f"sha256:{0:064}", ("latest",), NOW),)},
    "lifecycle-policy": {
        "lifecycle_policy": json.dumps(
            {
                "rules": [
                    {
                        "rulePriority": 1,
                        "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 30},
                        "action": {"type": "expire"},
                    }
                ]
            }
        )
    },
    "naming": {"name": "paymets/api"},
    "repository-policy": {
        "repository_policy": json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Sid": "Anyone", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}],
            }
        )
    },
    "required-tags": {"tags": {"stage": "test"}},
    "scanning": {"scan_frequency": ScanFrequency.MANUAL},
    "tag-mutability": {"tag_mutability": TagMutabilitySetting(TagMutability.MUTABLE)},
    "unused": {"usage": Usage(last_pull=NOW + timedelta(days=3530))},
}


@pytest.mark.parametrize("rule_id", RULES)
def test_the_example_of_a_rule_says_what_the_rule_says(rule_id: str) -> None:
    section = text_of("docs/rules.md").partition(f"\n## {rule_id}\n")[2].partition("\n## ")[0]
    policy = load(code_blocks(section, "yaml")[0], rule_id)
    repository = a_repository(**WORST[rule_id])
    verdict = RULES[rule_id].check(repository, policy.expectation_for(repository.name), NOW + timedelta(days=3650))
    assert isinstance(verdict, Violation)
    assert f"\n> {verdict.reason}\n" in f"{section}\n"


# --- events ---------------------------------------------------------------------------------------------------------------------------


def put_on_the_bus() -> dict[str, dict[str, Any]]:
    finding = Finding("payments/api", "naming", Severity.HIGH, FindingState.OPEN, Mode.AUDIT, "reason", (), NOW)
    before, after = TagMutabilitySetting(TagMutability.MUTABLE), TagMutabilitySetting(TagMutability.IMMUTABLE)
    change = Change(
        repository="payments/api",
        at=NOW,
        trigger=Trigger("CreateRepository", "alice"),
        policy_hash="0" * 12,
        discovered=True,
        created=True,
        origin=Origin.CREATE_ON_PUSH,
        opened=(finding,),
        changed=(finding,),
        exempted=(finding,),
        resolved=(finding,),
        outcomes=(Outcome(PutImageTagMutability(before, after), OutcomeStatus.APPLIED),),
    )
    both = (change, replace(change, created=False))
    marked = {"at": NOW.isoformat(), "to": "marked", "reasons": [], "owner": "payments", "delete_after": "2026-12-07", "policy_hash": "0"}
    told = [*(Told("payments/api", 1, "change", change_as_data(each)) for each in both), Told("payments/api", 2, "retirement", marked)]
    return dict(event for each in told for event in bus_events(each, "123456789012", "eu-west-1"))


def test_the_events_in_the_documentation_have_the_keys_of_those_on_the_bus() -> None:
    examples = [json.loads(block) for block in code_blocks(text_of("docs/events.md"), "json")]
    told = {example["detail-type"]: example["detail"] for example in examples if isinstance(example["detail-type"], str)}
    real = put_on_the_bus()
    assert told.keys() == real.keys()
    for detail_type, detail in real.items():
        assert told[detail_type].keys() == detail.keys()
        for key, value in detail.items():
            if isinstance(value, dict):
                assert told[detail_type][key].keys() == value.keys(), f"{detail_type}: {key}"


def test_the_page_on_events_names_every_key_and_action() -> None:
    told = text_of("docs/events.md")
    keys = {
        key
        for detail in put_on_the_bus().values()
        for key in (*detail, *(below for value in detail.values() if isinstance(value, dict) for below in value))
    }
    actions = {action.removeprefix("ecr:") for action in ACTION_OF_REMEDY.values()}
    assert [word for word in sorted(keys | actions) if f"`{word}`" not in told] == []


# --- cases ----------------------------------------------------------------------------------------------------------------------------


def test_every_key_of_a_file_of_cases_is_told() -> None:
    told = set(re.findall(r"`([^`]+)`", "\n".join(re.findall(r"^\| (`.*?) \|", text_of("docs/policy-as-code.md"), re.MULTILINE))))
    keys = {
        *(key for key in CaseFile.model_fields if key != "cases"),
        *(f"cases[].{key}" for key in Case.model_fields),
        *(key for model in (Given, Happening, Expect) for key in model.model_fields if key != "by"),
    }
    assert keys - told == set()


def test_every_option_of_the_policy_commands_is_told() -> None:
    told = set(re.findall(r"--[a-z-]+", text_of("docs/policy-as-code.md")))
    options = {option for name, known in commands().items() if name.startswith("policy ") or name == "check-name" for option in known}
    assert {option for option in options if option.startswith("--")} - {"--help"} - told == set()


# --- templates ------------------------------------------------------------------------------------------------------------------------


def test_every_option_and_every_check_of_templates_is_told() -> None:
    text = text_of("docs/templates.md")
    told = set(re.findall(r"--[a-z-]+", text))
    options = {option for name, known in commands().items() if name.startswith("templates ") for option in known}
    of_every_command = {"--help", "--output", "--endpoint-url", "--profile"}
    assert {option for option in options if option.startswith("--")} - of_every_command - told == set()
    assert {row[0].strip("`"): row[1] for row in rows(text, "Checks")} == {code: check.level.value for code, check in CHECKS.items()}
