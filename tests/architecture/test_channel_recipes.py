"""The recipes for other services: their rules choose from the events that are really put, and make of them what those services take."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import lint

from ecr_governor.core.announcement import Told, bus_events
from local.events.inputs import PLACEHOLDER, input_for
from local.events.pattern import CompiledPattern
from local.events.rules import Rule, Target
from tests.architecture.test_docs import _Loader, text_of

FOLDER = Path(__file__).parents[2] / "docs" / "examples" / "channels"
RECIPES = sorted(path.name for path in FOLDER.glob("*.yml"))
ACCOUNT, REGION = "123456789012", "eu-west-1"
HOSTILE = 'said "[click](https://evil.example)" <reason> \\ </b>\n@everyone ünïcode'
OURS = {"account", "region", "kind", "repository", "rule", "severity", "step", "entry"}
"""Values of a vocabulary of ours, or of ECR's names: neither has quotation marks or backslashes."""


def recipe(name: str) -> dict[str, Any]:
    return dict(yaml.load((FOLDER / name).read_text(), Loader=_Loader))  # noqa: S506 - a SafeLoader


def of_type(name: str, kind: str) -> dict[str, Any]:
    return {key: each["Properties"] for key, each in recipe(name)["Resources"].items() if each["Type"] == kind}


def an_event(kind: str, severity: str = "high", step: str = "marked") -> dict[str, Any]:
    finding = {"repository": "payments/api", "rule": "naming", "severity": severity, "reason": HOSTILE}
    change = {
        "at": "t",
        "policy_hash": "p",
        "discovered": True,
        "origin": "api",
        "trigger": {},
        "outcomes": [],
        "opened": [],
        "resolved": [],
    }
    match kind:
        case "Finding Opened":
            told = Told("payments/api", 7, "change", {**change, "opened": [finding]})
        case "Finding Changed":
            told = Told("payments/api", 11, "change", {**change, "changed": [finding]})
        case "Finding Exempted":
            told = Told("payments/api", 12, "change", {**change, "exempted": [finding]})
        case "Finding Resolved":
            told = Told("payments/api", 8, "change", {**change, "resolved": [finding]})
        case "Retirement Step":
            body = {"at": "t", "to": step, "intended": "quarantined" if step == "held up" else None, "reasons": []}
            told = Told("payments/api", 9, "retirement", {**body, "why": HOSTILE})
        case _:
            told = Told("payments/api", 10, "change", change)
    detail = dict(bus_events(told, ACCOUNT, REGION))[kind]
    envelope = {"version": "0", "id": "e", "account": ACCOUNT, "time": "t", "region": REGION, "resources": []}
    return {**envelope, "source": "ecr-governor", "detail-type": kind, "detail": detail}


EVENTS = {
    **{f"opened {severity}": an_event("Finding Opened", severity) for severity in ("low", "medium", "high", "critical")},
    **{f"changed to {severity}": an_event("Finding Changed", severity) for severity in ("medium", "high")},
    "exempted": an_event("Finding Exempted"),
    "resolved": an_event("Finding Resolved"),
    "created": an_event("Repository Created"),
    **{step: an_event("Retirement Step", step=step) for step in ("marked", "quarantined", "archived", "observed", "held up")},
    "of another source": {**an_event("Finding Opened", "critical"), "source": "somebody"},
}


def sent(name: str) -> Iterator[tuple[str, str, Any]]:
    """What each rule of a recipe sends of each event: rule, event, body."""
    for rule, properties in of_type(name, "AWS::Events::Rule").items():
        pattern = CompiledPattern(properties["EventPattern"])
        (target,) = properties["Targets"]
        transformer = dict(target["InputTransformer"])
        transformer["InputTemplate"] = transformer["InputTemplate"].replace("${Project}", "OPS")
        for event, document in EVENTS.items():
            if pattern.matches(document):
                made = input_for(
                    document, Rule(rule, f"arn:aws:events:::rule/{rule}"), Target("t", "a", {"InputTransformer": transformer}), "now"
                )
                yield rule, event, json.loads(made)


def test_there_is_a_recipe_for_each_service_that_the_page_names() -> None:
    told = text_of("docs/channels.md")
    assert RECIPES == ["amazon-q.yml", "jira.yml", "pagerduty.yml", "teams.yml"]
    assert [name for name in RECIPES if f"(examples/channels/{name})" not in told] == []


@pytest.mark.parametrize("name", RECIPES)
def test_cloudformation_takes_it_and_what_is_not_delivered_is_kept(name: str) -> None:
    assert [str(match) for match in lint((FOLDER / name).read_text(), regions=[REGION])] == []
    rules = of_type(name, "AWS::Events::Rule")
    (policy,) = of_type(name, "AWS::SQS::QueuePolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"] == [f"{rule}.Arn" for rule in rules]
    assert all(target["DeadLetterConfig"] for rule in rules.values() for target in rule["Targets"])


@pytest.mark.parametrize("name", RECIPES)
def test_what_others_choose_stands_outside_quotation_marks(name: str) -> None:
    for properties in of_type(name, "AWS::Events::Rule").values():
        template = properties["Targets"][0]["InputTransformer"]["InputTemplate"]
        quoted = {hit[1] for text in re.findall(r'"[^"]*"', template) for hit in PLACEHOLDER.finditer(text)}
        assert quoted <= OURS
        paths = properties["Targets"][0]["InputTransformer"]["InputPathsMap"]
        assert {hit[1] for hit in PLACEHOLDER.finditer(template)} == set(paths)
        # EventBridge takes the dots of JSON paths, and no brackets.
        assert all(re.fullmatch(r"\$(\.[a-z_-]+)+", path) for path in paths.values())


@pytest.mark.parametrize("name", RECIPES)
def test_secrets_are_given_as_secrets(name: str) -> None:
    parameters = recipe(name)["Parameters"]
    assert all(parameters[each].get("NoEcho") for each in parameters.keys() & {"Signature", "RoutingKey", "Token"})
    for connection in of_type(name, "AWS::Events::Connection").values():
        given = connection["AuthParameters"].get("InvocationHttpParameters", {})
        sent_along = [each for kind in given.values() for each in kind]
        assert {each["Key"] for each in sent_along if each["IsValueSecret"]} == {
            "teams.yml": {"sig"},
            "pagerduty.yml": {"routing_key"},
        }.get(name, set())


def test_teams_gets_cards_whose_foreign_text_is_no_markdown() -> None:
    cards = list(sent("teams.yml"))
    assert [event for _, event, _ in cards] == ["opened high", "opened critical", "changed to high", "marked", "quarantined", "held up"]
    for _, _, body in cards:
        (attachment,) = body["attachments"]
        assert (body["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
        blocks = attachment["content"]["body"]
        # A TextBlock is read as Markdown; a run of text is not.
        assert {block["type"] for block in blocks} == {"RichTextBlock"}
        assert [run["text"] for block in blocks for run in block["inlines"]][1] == HOSTILE
    assert cards[0][2]["attachments"][0]["content"]["body"][0]["inlines"][0]["text"] == "high, naming: payments/api"


def test_pagerduty_opens_one_incident_for_a_finding_and_resolves_it() -> None:
    said = {event: body for _, event, body in sent("pagerduty.yml")}
    assert said.keys() == {"opened high", "opened critical", "changed to high", "exempted", "resolved"}
    assert {event: body["event_action"] for event, body in said.items()} == {
        "opened high": "trigger",
        "opened critical": "trigger",
        "changed to high": "trigger",
        "exempted": "resolve",
        "resolved": "resolve",
    }
    assert {body["dedup_key"] for body in said.values()} == {f"{ACCOUNT}/{REGION}/payments/api/naming"}
    assert {event: body["payload"]["severity"] for event, body in said.items() if "payload" in body} == {
        "opened high": "error",
        "opened critical": "critical",
        "changed to high": "error",
    }
    payload = said["opened high"]["payload"]
    # Of a summary PagerDuty takes 1,024 characters, and a reason may have more.
    assert (payload["summary"], payload["source"]) == ("naming: payments/api", "payments/api")
    assert (payload["custom_details"]["reason"], payload["custom_details"]["ledger_entry"]) == (HOSTILE, 7)


def test_jira_gets_an_issue_with_a_document() -> None:
    issues = list(sent("jira.yml"))
    assert [event for _, event, _ in issues] == ["opened high", "opened critical"]
    fields = issues[0][2]["fields"]
    assert (fields["project"], fields["summary"], fields["labels"]) == ({"key": "OPS"}, "naming: payments/api", ["ecr-governor", "high"])
    document = fields["description"]
    assert (document["type"], document["version"]) == ("doc", 1)
    assert document["content"] == [{"type": "paragraph", "content": [{"type": "text", "text": HOSTILE}]}]


def test_amazon_q_gets_custom_notifications() -> None:
    notes = list(sent("amazon-q.yml"))
    assert [event for _, event, _ in notes] == ["opened high", "opened critical", "changed to high", "marked", "quarantined", "held up"]
    for _, _, body in notes:
        assert (body["version"], body["source"]) == ("1.0", "custom")
        assert body["content"]["description"] == HOSTILE
        # Without a text type it is not asked to be read as Markdown.
        assert body["content"].keys() == {"title", "description"}
        assert body["metadata"]["threadId"] == "payments/api"
    assert {body["metadata"]["eventType"] for _, _, body in notes} == {"Finding Opened", "Finding Changed", "Retirement Step"}
