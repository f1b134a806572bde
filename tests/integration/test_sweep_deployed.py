"""The deployed sweep: the built functions, the transformed state machine, the embedded AWS."""

import json
import re
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import html5lib
import pytest

from cli.demo.stage import Stage
from cli.deployment import Deployment
from cli.embedded import STACK, running, upload_policy
from cli.report import write_report
from cli.trouble import Exit
from ecr_governor.rendering.report import CONTENT_TYPES
from local.ecr import faults
from tests.integration.sweeps import AUDITING, HOUR, QUICK, lines, populate, summary, swept, without_times

BOB = "U0LOCAL0002"


@pytest.fixture
def stage() -> Iterator[Stage]:
    """An account of its own for each test: a sweep sees everything that is in it."""
    with running(policy=QUICK) as aws:
        yield Stage(aws)


@pytest.fixture
def auditing() -> Iterator[Stage]:
    """The same under a policy that puts nothing right."""
    with running(policy=AUDITING) as aws:
        yield Stage(aws)


def comes_as_a_file(stage: Stage) -> None:
    """The same report once more, as if nobody had been told, now that the policy file wants it as a file."""
    upload_policy(stage.aws, QUICK.replace(b"  slack:\n", b"  slack:\n    report: upload\n"))
    stage.aws.clock.move_to(stage.aws.clock.now() + timedelta(minutes=1))
    day = f"{stage.aws.clock.now():%Y-%m-%d}"
    stage.client("s3").delete_object(Bucket=stage.names["reports_bucket"], Key=f"reports/{day}/weekly-told.json")
    stage.aws.lambdas.invoke(stage.aws.function_name("ReportFunction"), {"report": "weekly"})
    (file,) = stage.aws.slack.posted[-1]["payload"]["files"]
    with urllib.request.urlopen(f"{stage.aws.slack.url}files/{file['id']}/{file['name']}") as answer:
        assert answer.read() == stage.report()


def test_a_first_sweep_finds_everything_and_changes_nothing_and_can_be_reported(stage: Stage, tmp_path: Path) -> None:
    names = populate(stage, 8)
    execution = swept(stage)
    told = summary(stage, execution)
    assert told["complete"], told["incomplete_because"]
    assert told["first"]
    assert told["repositories"] == 8
    assert told["by_rule"]["naming"] == 3
    assert set(lines(stage, execution)) == set(names)
    assert stage.our_writes() == []
    assert set(stage.open_findings("payments/service_0")) >= {"naming", "lifecycle-policy"}
    # Who created them is known from CloudTrail's history, though no event arrived.
    assert lines(stage, execution)["payments/service_0"].origin == "api"
    assert json.dumps(stage.messages()).count("First sweep") == 2
    assert len(stage.messages()) == 1
    # And it can be reported: by the command line in every format, and on schedule as a page that a button opens for whoever presses it.
    deployment = Deployment(STACK, stage.aws.endpoint, None, None)
    for output in CONTENT_TYPES:
        assert write_report(deployment, output, tmp_path / output) is Exit.CLEAN
    document = json.loads((tmp_path / "json").read_text())
    assert {each["name"]: each["creator"] for each in document["repositories"] if each["findings"]} == dict.fromkeys(
        (each["name"] for each in document["repositories"] if each["findings"]), "operator"
    )
    # The sweep's own last step has kept it: the dashboard shows it, and answers a click.
    assert execution.output["run"] in stage.report().decode()
    dashboard = f"{stage.aws.endpoint}/_local/dashboard"
    with urllib.request.urlopen(f"{dashboard}?theme=dark") as answer:
        page = html5lib.parse(answer.read(), namespaceHTMLElements=False)
    shown = " ".join("".join(page.itertext()).split())
    assert document["verdict"].partition(": ")[0] in shown
    assert "CloudWatch takes out" not in shown
    action = next(each for each in page.iter("cwdb-action") if "payments/service_0" in each.text)
    click = {
        "widget": "ecr-governor-eu-west-1/0",
        "endpoint": action.get("endpoint"),
        "event": json.loads(action.text),
        "forms": {},
        "theme": "dark",
    }
    with urllib.request.urlopen(dashboard, json.dumps(click).encode()) as answer:
        assert "nearest allowed name: payments/service-0" in answer.read().decode()
    assert stage.aws.stack is not None
    home = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1"
    assert stage.aws.stack.outputs["DashboardAddress"] == f"{home}#dashboards/dashboard/ecr-governor-eu-west-1"
    stage.aws.lambdas.invoke(stage.aws.function_name("ReportFunction"), {"report": "weekly"})
    slack = stage.aws.slack
    message = slack.posted[-1]
    assert "http" not in json.dumps(message["payload"]), "a link in the message would soon be a dead one"
    slack.press(message["ts"], "open_report", BOB)
    stage.settle()
    (whisper,) = slack.whispers
    assert (whisper["user"], whisper["channel"]) == (BOB, message["channel"])
    link = re.findall(r"<(http[^|]+)\|Open it>", json.dumps(whisper["payload"]))[0].replace("&amp;", "&")
    with urllib.request.urlopen(link) as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.read() == stage.report()
    (press,) = stage.ledger.entries("@report")
    assert (press.body["by"]["id"], press.body["result"], "http" in json.dumps(press.body)) == (BOB, "done", False)
    assert slack.replies_to(message) == []
    comes_as_a_file(stage)


def test_with_a_third_of_all_events_lost_a_sweep_finds_every_violation_and_says_how_many_were_lost(stage: Stage) -> None:
    """Each repository is changed once, and each change breaks a convention that nobody puts right by himself."""
    ecr, account = stage.client("ecr"), "arn:aws:ecr:eu-west-1:123456789012:repository"
    # The sweep of the night, at two, would come between those of the test.
    if stage.aws.clock.now().hour < 3:
        stage.aws.advance(timedelta(hours=3))
    kept = [f"payments/service-{number}" for number in range(40)]
    for name in kept:
        ecr.create_repository(repositoryName=name, tags=[{"Key": "owner", "Value": "alice"}])
    stage.settle()
    assert summary(stage, swept(stage))["complete"]

    stage.aws.trail.losses.begin(0.3, 7)
    stranger = {"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
    for number, name in enumerate(kept):
        if number % 2:
            ecr.untag_resource(resourceArn=f"{account}/{name}", tagKeys=["owner"])
        else:
            present = json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"])
            ecr.set_repository_policy(
                repositoryName=name, policyText=json.dumps({**present, "Statement": [*present["Statement"], stranger]})
            )
    for number in range(20):
        ecr.create_repository(repositoryName=f"payments/service_{number}", tags=[{"Key": "owner", "Value": "bob"}])
    stage.settle()
    events = stage.aws.trail.losses.told()["events"]
    # What was lost of the events about our own remedies is no loss to us.
    lost = sum(event["event"] == "CreateRepository" or event["repository"] in kept for event in events)
    stage.aws.trail.losses.begin(0.0)
    assert 10 <= lost <= 26
    stage.aws.advance(HOUR)

    told = summary(stage, swept(stage, everything=True))
    assert told["complete"]
    assert (told["event_loss"]["unannounced"], told["event_loss"]["announced"]) == (lost, 60 - lost)
    assert told["event_loss"]["rate"] == pytest.approx(lost / 60, abs=1e-4)
    stage.settle()
    for number, name in enumerate(kept):
        assert set(stage.open_findings(name)) == ({"required-tags"} if number % 2 else {"repository-policy"})
    for number in range(20):
        assert set(stage.open_findings(f"payments/service_{number}")) == {"naming", "required-tags"}
    again = summary(stage, swept(stage, everything=True))
    assert (again["event_loss"]["unannounced"], again["opened"], again["to_be_put_right"]) == (0, {}, [])


def test_the_schedule_begins_it_every_night_and_a_quiet_night_is_no_news(stage: Stage) -> None:
    populate(stage, 3)
    stage.aws.advance(timedelta(days=2))
    ended = stage.sweep_book.last_sweep()
    assert ended is not None
    assert ended.complete
    entries = list(stage.ledger.entries("@sweep"))
    assert len(entries) == 2
    # The first one reports, the second one has put right what the first one may not.
    assert [entry.body["first"] for entry in entries] == [True, False]
    assert entries[1].body["to_be_put_right"]
    # The third one sees that it is done, and after that nothing happens.
    stage.aws.advance(timedelta(days=1))
    posted = len(stage.messages())
    stage.aws.advance(timedelta(days=1))
    assert [bool(entry.body["resolved"]) for entry in stage.ledger.entries("@sweep")] == [False, False, True, False]
    assert [message for message in stage.messages()[posted:] if "weep" in json.dumps(message)] == []


def test_a_second_sweep_is_refused_in_words_and_the_first_goes_on(stage: Stage) -> None:
    populate(stage, 2)
    now = stage.aws.clock.now()
    lease = stage.sweep_book.take_lease("somebody-else", "their-run", now, now + HOUR)
    refused = swept(stage)
    assert (refused.status, refused.error) == ("FAILED", "SweepRunning")
    assert "their-run" in refused.cause
    assert "its execution is somebody-else" in refused.cause
    stage.sweep_book.give_back(lease)
    assert summary(stage, swept(stage))["complete"]


def test_a_denied_operation_makes_the_sweep_incomplete_and_opens_nothing(auditing: Stage) -> None:
    populate(auditing, 2)
    assert summary(auditing, swept(auditing))["complete"]
    findings = {record.name: record.findings for record in auditing.ledger.all_records()}
    for operation in ("GetLifecyclePolicy", "GetRepositoryPolicy", "DescribeImages", "GetResources", "LookupEvents"):
        faults.add(operation, "AccessDeniedException", times=None)
        told = summary(auditing, swept(auditing, everything=True))
        faults.clear()
        assert not told["complete"], operation
        assert "AccessDenied" in json.dumps(told["incomplete_because"])
        assert told["repositories"] == 2
        assert told["opened"] == told["resolved"] == {}, operation
        assert {record.name: record.findings for record in auditing.ledger.all_records()} == findings
        assert "incomplete" in json.dumps(auditing.messages()[-1])
    assert summary(auditing, swept(auditing))["complete"]


def test_a_list_that_is_refused_fails_the_sweep_and_gives_the_lease_back(auditing: Stage) -> None:
    populate(auditing, 2)
    before = summary(auditing, swept(auditing))
    faults.add("DescribeRepositories", "AccessDeniedException", times=None)
    failed = swept(auditing)
    faults.clear()
    assert (failed.status, failed.error) == ("FAILED", "Denied")
    assert "ecr:DescribeRepositories" in failed.cause
    after = summary(auditing, swept(auditing))
    assert after["complete"]
    assert after["repositories"] == before["repositories"]
    assert after["compared_with"] == before["run"]


def test_throttling_slows_a_sweep_down_and_changes_nothing_of_what_it_finds(auditing: Stage) -> None:
    populate(auditing, 6)
    expected = lines(auditing, swept(auditing, everything=True))
    for operation in ("GetLifecyclePolicy", "DescribeImages", "GetResources", "DescribeRepositories"):
        faults.add(operation, "ThrottlingException", times=2)
    execution = swept(auditing, everything=True)
    faults.clear()
    assert summary(auditing, execution)["complete"]
    assert without_times(lines(auditing, execution)) == without_times(expected)
