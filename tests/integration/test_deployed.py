"""The main job on the deployed system: pushed, created on push, judged, put right, announced."""

import json
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from cli.demo.stage import Refused, Stage
from ecr_governor.adapters.conversations import DynamoDbConversations
from ecr_governor.app.living import EDITS_AT_ONCE
from ecr_governor.core.finding import FindingState
from ecr_governor.core.origin import Origin
from local.slack.interaction import Sent
from tests.integration.backtests import backtested, fate_of, found, found_by, put_right_by
from tests.integration.conftest import POLICY

CI = "ci-payments/build-812"
ALICE, BOB = "U0LOCAL0001", "U0LOCAL0002"


def deliver(stage: Stage, *details: dict[str, Any], detail_type: str = "AWS API Call via CloudTrail") -> None:
    entries = [{"Source": "aws.ecr", "DetailType": detail_type, "Detail": json.dumps(detail)} for detail in details]
    assert stage.client("events").put_events(Entries=entries)["FailedEntryCount"] == 0


def record_of(stage: Stage, event: str, repository: str) -> dict[str, Any]:
    """The CloudTrail record of the last call of that name."""
    return next(
        dict(each["detail"])
        for each in reversed(stage.aws.trail.history)
        if each["detail"].get("eventName") == event and (each["detail"].get("requestParameters") or {}).get("repositoryName") == repository
    )


def test_a_push_creates_the_repository_and_within_seconds_it_is_as_the_policy_wants_it(stage: Stage, name: str) -> None:
    stage.push(f"{name}:v1.0.0", CI)
    stage.settle()
    ecr = stage.client("ecr")
    (found,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert json.loads(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])["rules"][0]["selection"]["countNumber"] == 14
    assert [each["Sid"] for each in json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"])["Statement"]] == [
        "ProductionMayPull"
    ]
    tags = {tag["Key"]: tag["Value"] for tag in ecr.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]}
    assert tags == {"owner": CI, "team": "payments"}
    record = stage.record(name)
    assert record.provenance.origin is Origin.CREATE_ON_PUSH
    assert record.provenance.pusher is not None
    assert record.provenance.pusher.arn == "arn:aws:sts::123456789012:assumed-role/ci-payments/build-812"
    assert stage.open_findings(name) == {}


def test_a_push_to_a_name_without_template_fails_as_ecrs_does(stage: Stage) -> None:
    with pytest.raises(Refused, match="The repository with name 'nobody/api' does not exist in the registry"):
        stage.push("nobody/api:v1.0.0", CI)
    assert stage.ledger.read("nobody/api") is None


def test_a_push_to_a_misnamed_repository_is_one_finding_and_one_message(stage: Stage, misnamed: str) -> None:
    before = len(stage.messages())
    stage.push(f"{misnamed}:v1.0.0", CI)
    stage.settle()
    findings = stage.open_findings(misnamed)
    assert f"nearest allowed name: {misnamed.replace('_', '-')}" in findings["naming"].reason
    (message,) = stage.messages()[before:]
    assert misnamed in message["text"]
    assert CI in json.dumps(message)


def test_overwriting_an_immutable_tag_fails_as_ecrs_does(stage: Stage, name: str) -> None:
    stage.push(f"{name}:v1.0.0", CI)
    stage.settle()
    with pytest.raises(Refused, match=r"already exists in the .* repository and cannot be overwritten because the tag is immutable"):
        stage.push(f"{name}:v1.0.0", CI, "something else")


def test_the_same_event_five_times_is_one_finding_one_message_and_the_same_ledger(stage: Stage, misnamed: str) -> None:
    stage.push(f"{misnamed}:v1.0.0", CI)
    stage.settle()
    before, messages = stage.record(misnamed), len(stage.messages())
    for event in ("CreateRepository", "PutImage"):
        deliver(stage, *[record_of(stage, event, misnamed)] * 5)
    stage.settle()
    assert stage.record(misnamed) == before
    assert len(stage.messages()) == messages


def test_what_was_left_for_later_is_done_without_any_news(stage: Stage, misnamed: str) -> None:
    stage.push(f"{misnamed}:v1.0.0", CI)
    stage.settle()
    conversations = DynamoDbConversations(stage.client("dynamodb"), stage.names["ledger"])
    kept = conversations.read(misnamed)
    assert kept is not None
    conversations.write(misnamed, replace(kept, shown="what it showed before"))
    # Two rounds: of names without a message there are more than one takes.
    conversations.note_stale([misnamed, *(f"nobody/service-{number}" for number in range(EDITS_AT_ONCE))])
    conversations.ask_again()
    stage.settle()
    assert conversations.stale(1) == []
    assert conversations.read(misnamed) == replace(kept, version=kept.version + 2)


@pytest.mark.parametrize("order", [("PutImage", "CreateRepository"), ("CreateRepository", "PutImage")])
def test_whichever_event_comes_first_the_ledger_ends_the_same(stage: Stage, misnamed: str, order: tuple[str, str]) -> None:
    # The events of the real push are held back: the rules sleep, as if EventBridge were late, and then wake in the other order.
    events = stage.client("events")
    rules = [rule["Name"] for rule in events.list_rules()["Rules"]]
    for rule in rules:
        events.disable_rule(Name=rule)
    stage.push(f"{misnamed}:v1.0.0", CI)
    for rule in rules:
        events.enable_rule(Name=rule)
    messages = len(stage.messages())
    for event in order:
        deliver(stage, *[record_of(stage, event, misnamed)] * 5)
        stage.settle()
    record = stage.record(misnamed)
    assert record.provenance.origin is Origin.CREATE_ON_PUSH
    assert record.provenance.pusher is not None
    assert record.provenance.pusher.name == CI
    assert [finding.rule for finding in record.open_findings()] == ["naming", "required-tags"]
    told = [message for message in stage.messages()[messages:] if "naming" in message["text"]]
    assert len(told) == 1


def test_drift_is_put_back_with_one_write_and_our_own_write_wakes_nobody(stage: Stage, name: str) -> None:
    stage.push(f"{name}:v1.0.0", CI)
    stage.settle()
    writes = len(stage.our_writes())
    stage.client("ecr", "bob").delete_lifecycle_policy(repositoryName=name)
    counts = stage.settle()
    assert stage.client("ecr").get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
    assert stage.our_writes()[writes:] == ["PutLifecyclePolicy"]
    assert next(number for function, number in counts["invocations"].items() if "RepositoryEvents" in function) == 1


def test_a_forged_account_and_a_nameless_record_end_in_the_dead_letter_queue_with_the_reason(stage: Stage, name: str) -> None:
    stage.push(f"{name}:v1.0.0", CI)
    stage.settle()
    record = record_of(stage, "CreateRepository", name)
    forged = {**record, "eventName": "DeleteRepository", "recipientAccountId": "999999999999"}
    nameless = {**record, "requestParameters": None, "resources": None}
    unknown = {**record, "eventVersion": "2.0"}
    deliver(stage, forged, nameless, unknown)
    stage.settle()
    reasons = {reason for _, reason in stage.dead_letters()}
    assert "record is of registry 999999999999, but this is 123456789012" in reasons
    assert "CreateRepository names no repository: neither requestParameters nor resources[].ARN" in reasons
    assert "CloudTrail record version 2.0 is unknown; supported: 1.x" in reasons
    assert stage.record(name).gone_at is None


def test_a_truncated_push_is_named_by_its_resource(stage: Stage, misnamed: str) -> None:
    stage.push(f"{misnamed}:v1.0.0", CI)
    stage.settle()
    record = record_of(stage, "PutImage", misnamed)
    deliver(stage, {**record, "eventID": "truncated", "requestParameters": None, "responseElements": None})
    counts = stage.settle()
    assert sum(counts["errors"].values()) == 0
    assert stage.record(misnamed).provenance.pusher is not None


def test_a_repository_that_is_gone_before_we_look_is_no_error(stage: Stage, name: str) -> None:
    ecr = stage.client("ecr")
    ecr.create_repository(repositoryName=name)
    stage.settle()
    ecr.delete_repository(repositoryName=name)
    counts = stage.settle()
    assert sum(counts["errors"].values()) == 0
    assert stage.record(name).gone_at is not None
    deliver(stage, record_of(stage, "CreateRepository", name))
    assert sum(stage.settle()["errors"].values()) == 0


def test_throttling_brings_the_event_back_and_nothing_is_lost(stage: Stage, misnamed: str) -> None:
    from local.ecr import faults  # noqa: PLC0415 - only here

    faults.add("GetLifecyclePolicy", "ThrottlingException", times=6, role="RepositoryEventsRole")
    try:
        stage.client("ecr").create_repository(repositoryName=misnamed)
        stage.settle()
    finally:
        faults.clear()
    stage.settle()
    assert "naming" in stage.open_findings(misnamed)


def test_a_fact_that_may_not_be_read_is_undetermined(stage: Stage, name: str) -> None:
    from local.ecr import faults  # noqa: PLC0415 - only here

    faults.add("GetLifecyclePolicy", "AccessDeniedException", times=None, repository=name)
    try:
        stage.client("ecr").create_repository(repositoryName=name)
        stage.settle()
    finally:
        faults.clear()
    record = stage.record(name)
    assert "AccessDeniedException" in record.undetermined["lifecycle-policy"]
    assert "lifecycle-policy" not in stage.open_findings(name)


def test_every_change_is_on_the_bus_as_documented(stage: Stage, misnamed: str) -> None:
    stage.push(f"{misnamed}:v1.0.0", CI)
    stage.settle()
    ours = [event for event in stage.aws.bus.history if event["source"] == "ecr-governor" and event["detail"]["repository"] == misnamed]
    kinds = {event["detail-type"] for event in ours}
    assert kinds == {"Repository Created", "Finding Opened", "Finding Resolved", "Remedy Applied"}
    opened = next(
        event["detail"] for event in ours if event["detail-type"] == "Finding Opened" and event["detail"]["finding"]["rule"] == "naming"
    )
    assert opened["finding"]["state"] == "open"
    assert opened["account"] == "123456789012"


def test_a_backtest_of_the_records_finds_and_puts_right_what_was_found_and_put_right(
    stage: Stage, name: str, misnamed: str, tmp_path: Path
) -> None:
    stage.push(f"{name}:v1.0.0", CI)
    stage.push(f"{misnamed}:latest", CI)
    stage.settle()
    bob = stage.client("ecr", "bob")
    bob.delete_lifecycle_policy(repositoryName=name)
    stage.settle()
    everybody = {"Version": "2012-10-17", "Statement": [{"Sid": "A", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]}
    bob.set_repository_policy(repositoryName=name, policyText=json.dumps(everybody))
    stage.settle()
    bob.delete_repository(repositoryName=misnamed, force=True)
    stage.settle()
    result = backtested(stage, POLICY.read_bytes(), tmp_path)
    assert result.knowledge.gaps == ()
    for each in (name, misnamed):
        fate = fate_of(result, each)
        assert found(fate) == found_by(stage, each)
        assert {action for _, action, _ in fate.changes} == put_right_by(stage, each)
    assert found(fate_of(result, misnamed)) >= {"naming", "image-tag"}
    assert [finding.rule for finding in fate_of(result, name).findings if finding.resolved_at is None] == ["repository-policy"]
    assert fate_of(result, misnamed).gone_at is not None


def page(stage: Stage, path: str, **form: str) -> str:
    """Slack's page as somebody sees it, after a form of it was sent if there is one."""
    body = urlencode(form).encode() if form else None
    with urllib.request.urlopen(f"{stage.aws.slack.url}{path}", data=body) as answer:
        return str(answer.read().decode())


def again(sent: Sent, url: str, **headers: str) -> int:
    """Send to the function's URL what Slack has sent there before, with other headers; give the status."""
    request = urllib.request.Request(url, data=sent.body, headers={**sent.headers, **headers})
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_an_exemption_is_asked_for_on_slacks_page_confirmed_by_another_and_stands_in_the_ledger(stage: Stage, misnamed: str) -> None:
    stage.push(f"{misnamed}:v1.0.0", CI)
    stage.settle()
    message, slack = stage.message_of(misnamed), stage.aws.slack
    asking = page(stage, "press", ts=message["ts"], action_id="exempt", user=ALICE)
    assert '<dialog open class="modal">' in asking
    view = slack.interaction.of(ALICE)
    assert view is not None
    until = (stage.aws.clock.now() + timedelta(days=30)).date().isoformat()
    form = {"view": view.id, "user": ALICE, "ticket": "OPS-1", "until": until}
    assert "in at least 10 characters" in page(stage, "submit", reason="no", **form)
    assert "<dialog" not in page(stage, "submit", reason="renamed in <b>spring</b>", **form)
    stage.settle()
    (asked,) = [each for each in slack.replies_to(message) if "asks to exempt it" in each["payload"]["text"]]
    assert stage.open_findings(misnamed), "asking for it changes nothing"
    page(stage, "press", ts=asked["ts"], action_id="confirm", user=ALICE)
    stage.settle()
    assert stage.open_findings(misnamed), "who asks does not confirm"
    page(stage, "press", ts=asked["ts"], action_id="confirm", user=BOB)
    stage.settle()
    record = stage.record(misnamed)
    assert record.open_findings() == ()
    (exempt,) = [each for each in record.findings if each.rule == "naming"]
    assert exempt.state is FindingState.EXEMPT
    assert f"until {until}, slack:{ALICE} (alice): renamed in <b>spring</b> (OPS-1)" == exempt.resolution
    presses = [entry.body for entry in stage.ledger.entries(misnamed) if entry.kind == "press"]
    assert [(each["action"], each["result"], each["by"]["name"]) for each in presses] == [
        ("exempt", "waits", "alice"),
        ("confirm", "forbidden", "alice"),
        ("confirm", "done", "bob"),
    ]
    assert "*Exempt*" in json.dumps(stage.message_of(misnamed))
    assert "bob" in slack.replies_to(message)[-1]["payload"]["text"]
    # Nobody has swept yet, so there is no report to open.
    page(stage, "press", ts=message["ts"], action_id="open_report", user=BOB)
    stage.settle()
    assert "none has been made yet" in page(stage, f"?as={BOB}")
    assert "none has been made yet" not in page(stage, f"?as={ALICE}")
    # What Slack has signed comes again, and others try what Slack has not signed.
    url, last = slack.interaction.request_url, slack.interaction.sent[-1]
    assert [again(last, url), again(last, url)] == [200, 200]
    stamp, signature = last.headers["X-Slack-Request-Timestamp"], last.headers["X-Slack-Signature"]
    wrong = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    for headers in (
        {"X-Slack-Signature": wrong},
        {"X-Slack-Signature": "v0=\u00df"},
        {"X-Slack-Signature": ""},
        {"X-Slack-Request-Timestamp": "soon"},
        {"X-Slack-Request-Timestamp": str(int(stamp) - 301)},
    ):
        assert again(last, url, **headers) == 401
    assert again(Sent(b"x" * 300_000, last.headers, 0, None), url) == 400
    errors = stage.settle()["errors"]
    assert not any(count for name, count in errors.items() if "SlackActions" in name or "Presses" in name)
    assert len([entry for entry in stage.ledger.entries(misnamed) if entry.kind == "press"]) == len(presses)
