"""Each role has exactly the actions that its function uses: the whole system under enforcement, compared both ways."""

import json
from datetime import timedelta
from fnmatch import fnmatchcase

import pytest

from cli.demo.stage import Stage
from cli.embedded import running, upload_policy
from ecr_governor.adapters.state_machine import StateMachine
from ecr_governor.app.notify import HANDED_ON
from local.ecr import faults
from tests.integration.conftest import POLICY

# A system deployed, and months of it: on a busy machine that takes longer than any other test may.
pytestmark = pytest.mark.timeout(400)

CI = "ci-payments/build-1"
READER = "platform@example.com"
CHANNELS = {"CriticalAlerts": "fallback", "SecurityHubFindings": "true", "WebhookSecretName": "ecr-governor/webhook"}
ROLES = (
    "RepositoryEventsRole",
    "ImageEventsRole",
    "DueChecksRole",
    "DueChecksScheduleRole",
    "NotifyRole",
    "PublishRole",
    "ChannelsRole",
    "SweepRole",
    "SweepNightlyRole",
    "SweepListRole",
    "SweepCheckRole",
    "SweepDecideRole",
    "SweepReportRole",
    "ReportRole",
    "ReportScheduleRole",
    "WidgetRole",
)
Use = tuple[str, str, str]


def everything_happens(stage: Stage) -> None:
    """Use every feature once: what no line here reaches, no role needs."""
    ecr, aws = stage.client("ecr"), stage.aws
    assert aws.stack is not None
    stage.client("sns").subscribe(TopicArn=aws.stack.outputs["AlertTopicArn"], Protocol="email", Endpoint=READER)
    assert aws.mail.confirm(READER) == 1
    stage.client("securityhub").enable_security_hub()
    stage.client("secretsmanager").create_secret(Name=CHANNELS["WebhookSecretName"], SecretString=aws.sink.secret)
    stage.push("payments/api:v1.0.0", CI)
    stage.settle()
    stage.push("payments/api:v1.0.1", CI)
    stage.push("payments/api:latest", CI)
    stage.settle()
    ecr.delete_lifecycle_policy(repositoryName="payments/api")
    stage.settle()
    # Events that name no repository: one for each queue.
    for name in ("DeleteRepository", "PutImage"):
        detail = {
            "eventVersion": "1.11",
            "eventSource": "ecr.amazonaws.com",
            "eventName": name,
            "eventTime": "2026-11-02T09:00:00Z",
            "eventID": "e",
        }
        stage.client("events").put_events(
            Entries=[{"Source": "aws.ecr", "DetailType": "AWS API Call via CloudTrail", "Detail": json.dumps(detail)}]
        )
    stage.settle()
    # An invalid policy file makes each function that judges read the last good version.
    upload_policy(aws, POLICY.read_bytes().replace(b"mode: enforce", b"mode: enforced"))
    aws.advance(timedelta(minutes=1))
    stage.push("payments/check_out:v1.0.0", CI)
    stage.settle()
    assert "Nothing has been reported yet" in step(stage, "WidgetFunction", {})
    sweep(stage)
    assert "need somebody" in step(stage, "WidgetFunction", {})
    step(stage, "ReportFunction", {"report": "daily"})
    # The sweep is the first to see the mended one.
    upload_policy(aws, everything())
    aws.advance(timedelta(minutes=1))
    sweep(stage)
    # A shard that is not finished: the steps after it find nothing of it.
    laid = json.loads(step(stage, "SweepListFunction", {"execution": "by-hand", "input": {"everything": True}}))
    for name in ("Decide", "Report"):
        report = step(stage, f"Sweep{name}Function", {"run": laid["run"]})
    assert "was not finished" in report
    nobody_can_be_told_for_a_day(stage)
    # Of this one no rule reads the images, so that CloudWatch may tell of its pulls.
    ecr.create_repository(repositoryName="docker-hub/library/nginx")
    # A push that never finishes leaves a blank repository; time passes, its grace period ends, schedules fire.
    stage.begin_push("payments/blank", CI)
    stage.settle()
    aws.advance(timedelta(hours=30))
    # A repository is made anew, and no event tells of it; months later the sweep asks CloudWatch who was pulled from.
    ecr.create_repository(repositoryName="payments/again")
    stage.settle()
    ecr.delete_repository(repositoryName="payments/again")
    stage.settle()
    aws.trail.losses.begin(1.0)
    ecr.create_repository(repositoryName="payments/again")
    stage.settle()
    aws.trail.losses.begin(0.0)
    aws.clock.move_to(aws.clock.now() + timedelta(days=100))
    aws.advance(timedelta(minutes=1))
    ended = stage.sweep_book.last_sweep()
    assert ended is not None
    assert ended.ended_at > aws.clock.now() - timedelta(days=1)


def nobody_can_be_told_for_a_day(stage: Stage) -> None:
    """Slack stays down for longer than the stream keeps records, and so does the event bus."""
    aws = stage.aws
    aws.slack.behave("down")
    aws.bus.refuse_puts = True
    stage.client("ecr").create_repository(repositoryName="payments/left_over")
    wait_until_handed_on(stage, "payments/left_over")
    aws.clock.move_to(aws.clock.now() + timedelta(hours=24))
    stage.aws.settle(10)
    aws.slack.behave("ok")
    aws.bus.refuse_puts = False
    # The process that was refused so often would ask again after a minute only.
    aws.lambdas.recycle(aws.function_name("NotifyFunction"))
    stage.settle()
    # What Slack had not taken came by e-mail; what it had, did not.
    assert [each["to"] for each in aws.mail.messages] == [READER]
    assert "payments/left_over: critical, naming" in aws.mail.messages[0]["text"]
    assert "payments/check_out" not in aws.mail.messages[0]["text"]
    held = {each["Title"]: each["RecordState"] for each in stage.client("securityhub").get_findings(MaxResults=100)["Findings"]}
    assert held["naming: payments/left_over"] == "ACTIVE"
    assert held["tag-mutability: payments/left_over"] == "ARCHIVED"
    (sent,) = [each for each in aws.sink.requests if each["headers"]["X-Ecr-Governor-Id"].endswith("/payments/left_over#2")]
    assert [each["detail-type"] for each in json.loads(sent["body"])["events"]].count("Finding Resolved") == 3


def wait_until_handed_on(stage: Stage, name: str) -> None:
    """Wait until an entry over a repository waits for the channels beside Slack and the bus: what these refuse does not come to rest."""
    for _ in range(60):
        if any(HANDED_ON in stage.ledger.delivered(name, entry.number) for entry in stage.ledger.entries(name)):
            return
        stage.aws.settle(0.5)


def step(stage: Stage, name: str, event: object) -> str:
    """One function by itself; give what it answers."""
    result = stage.aws.lambdas.invoke(stage.aws.function_name(name), event)
    assert result.error is None, result.payload
    return result.payload.decode()


def sweep(stage: Stage) -> None:
    """Sweep once, and see it end well."""
    machine = StateMachine(stage.client("stepfunctions"), stage.names["sweep"])
    arn = machine.start({"everything": True})
    stage.settle()
    assert machine.execution(arn).status == "SUCCEEDED", machine.execution(arn)


def everything() -> bytes:
    """The demo's policy, and every setting that it leaves out."""
    settings = b"  ROOT:\n    scan_frequency: SCAN_ON_PUSH\n    encryption: KMS\n    unused: {after: 90d}\n"
    policy = POLICY.read_bytes().replace(b"  ROOT:\n", settings).replace(b"naming: {severity: high}", b"naming: {severity: critical}")
    return policy + b"limits: {calls_per_second: 1000, pull_metrics: true}\n"


@pytest.fixture(scope="module")
def journal() -> tuple[set[Use], set[Use], set[Use]]:
    """What the roles may do, what they did, and what they were refused: (role, action, resource)."""
    with running(policy=everything(), parameters=CHANNELS) as aws:
        stage = Stage(aws)
        stage.client("ecr").create_repository_creation_template(prefix="payments", appliedFor=["CREATE_ON_PUSH"])
        everything_happens(stage)
        faults.clear()
        assert aws.stack is not None
        assert aws.roles is not None
        arns = {role: aws.stack.resources[role].attributes["Arn"] for role in ROLES}
        granted = {
            (role, action, resource)
            for role, arn in arns.items()
            for document in aws.roles.documents(arn)
            for statement in document["Statement"]
            for action in as_list(statement["Action"])
            for resource in as_list(statement["Resource"])
        }
        used = {(entry.role, entry.action, entry.resource) for entry in aws.authorizations if entry.allowed}
        refused = {(entry.role, entry.action, entry.resource) for entry in aws.authorizations if not entry.allowed}
    return granted, used, refused


def as_list(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def test_no_call_is_refused(journal: tuple[set[Use], set[Use], set[Use]]) -> None:
    assert journal[2] == set()


def test_no_role_may_do_what_it_never_does(journal: tuple[set[Use], set[Use], set[Use]]) -> None:
    granted, used, _ = journal
    idle = {grant for grant in granted if not any(use[:2] == grant[:2] and fnmatchcase(use[2], grant[2]) for use in used)}
    assert idle == set()


def test_no_role_uses_wildcards_where_a_resource_can_be_named(journal: tuple[set[Use], set[Use], set[Use]]) -> None:
    everywhere = {(role, action) for role, action, resource in journal[0] if resource == "*"}
    assert everywhere == {
        ("RepositoryEventsRole", "ecr:DescribePullThroughCacheRules"),
        ("RepositoryEventsRole", "ecr:DescribeRepositoryCreationTemplates"),
        ("NotifyRole", "dynamodb:ListStreams"),
        ("PublishRole", "dynamodb:ListStreams"),
        ("SweepListRole", "cloudtrail:LookupEvents"),
        ("SweepListRole", "ecr:DescribePullThroughCacheRules"),
        ("SweepListRole", "ecr:DescribeRepositoryCreationTemplates"),
        ("SweepListRole", "ecr:GetRegistryScanningConfiguration"),
        ("SweepListRole", "tag:GetResources"),
        ("SweepCheckRole", "cloudwatch:GetMetricData"),
    }
    assert not any("*" in action for _, action, _ in journal[0])
