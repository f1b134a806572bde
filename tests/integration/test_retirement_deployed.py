"""The deployed retirement: the built functions under their own roles, a real client, the embedded AWS, months that pass by themselves."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli import entries, retirement
from cli.demo.stage import Refused, Stage
from cli.deployment import Deployment
from cli.embedded import REGION, STACK, running, upload_policy
from cli.trouble import Trouble
from ecr_governor.core.retirement.history import OUTCOME
from ecr_governor.core.retirement.state import Stage as Retired
from local.ecr import faults
from tests.integration.backtests import backtested, fate_of, found, found_by
from tests.integration.sweeps import summary, swept
from tests.using import put_everything

# A system deployed, and months of it: on a busy machine that takes longer than any other test may.
pytestmark = pytest.mark.timeout(400)

DAY = timedelta(days=1)
POLICY = b"""
version: 1
mode: enforce
limits: {calls_per_second: 1000}
namespaces:
  ROOT:
    retirement: {after_days: 60, empty_after_days: 30, grace_days: 7, unowned_grace_days: 3, quarantine_days: 3, archive_days: 10, then: delete}
retirement:
  caps: {per_run: 3, percent: 100, per_owner: 3, per_namespace: 3, per_day: 5, marks: 10}
  window: {days: [mon, tue, wed, thu, fri, sat, sun]}
notifications: {slack: {buttons: {approve: [U0LOCAL0002, U0LOCAL0003]}}}
"""
BOB, CAROL = "U0LOCAL0002", "U0LOCAL0003"
ALL_SOURCES = POLICY.replace(
    b"retirement:\n  caps", b"retirement:\n  sources: [ecs, lambda, apprunner, batch, codebuild, inspector, sagemaker]\n  caps"
)
ELSEWHERE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/search/web:v1"
"""An image that everybody uses, of another repository."""
NAME = "payments/api"
RULE = {
    "rulePriority": 1,
    "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 9},
    "action": {"type": "expire"},
}
LIFECYCLE = json.dumps({"rules": [RULE]})
TEAMS = {"Version": "2012-10-17", "Statement": [{"Sid": "Team", "Effect": "Allow", "Principal": "*", "Action": "ecr:DescribeImages"}]}


@pytest.fixture
def stage() -> Iterator[Stage]:
    with running(policy=POLICY, parameters={"EnableDelete": "true", "SweepSchedule": ""}) as aws:
        made = Stage(aws)
        made.client("ecr").create_repository(repositoryName=NAME)
        made.push(f"{NAME}:v1", "ci-build/build-1")
        made.client("ecr").tag_resource(resourceArn=arn(NAME), tags=[{"Key": "owner", "Value": "alice"}])
        made.client("ecr").set_repository_policy(repositoryName=NAME, policyText=json.dumps(TEAMS))
        made.settle()
        yield made


def arn(name: str) -> str:
    return f"arn:aws:ecr:eu-west-1:123456789012:repository/{name}"


def night(stage: Stage, days: float) -> Any:
    """Let so many days pass in which nothing happens, then sweep."""
    stage.aws.clock.move_by(days * DAY)
    execution = swept(stage, everything=True)
    assert summary(stage, execution)["complete"]
    return execution.output["retirement"]["done"]


def make_function(stage: Stage, uri: str) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    stage.client("iam").create_role(RoleName="any-role", AssumeRolePolicyDocument=json.dumps(trust))
    stage.client("lambda").create_function(
        FunctionName="api", Role="arn:aws:iam::123456789012:role/any-role", PackageType="Image", Code={"ImageUri": uri}
    )


def assert_it_may_do_what_it_does(stage: Stage, role: str, *, but: set[str]) -> None:
    """What a role may do is what it did here, `but` for what happens elsewhere; and it was refused nothing."""
    assert stage.aws.stack is not None
    assert stage.aws.roles is not None
    documents = stage.aws.roles.documents(stage.aws.stack.resources[role].attributes["Arn"])
    statements = [each for document in documents for each in document["Statement"] if each["Effect"] == "Allow"]
    granted = {action for each in statements for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])}
    assert granted - {action for action, _ in stage.aws.authorizations.used(role)} == but
    assert not [refused for refused in stage.aws.authorizations.denied() if refused.role == role]


def put_users(stage: Stage) -> None:
    """Let every source have one user of each kind to tell of."""
    put_everything(stage.aws, ELSEWHERE, f"search/web/sha256:{'0a' * 32}")
    make_function(stage, ELSEWHERE)
    ecs = stage.client("ecs")
    ecs.create_cluster(clusterName="one")
    container: Any = {"name": "web", "image": ELSEWHERE, "memory": 64, "cpu": 1}
    ecs.register_task_definition(family="web", containerDefinitions=[container], cpu="256", memory="512")
    ecs.create_service(cluster="one", serviceName="web", taskDefinition="web", desiredCount=0)
    ecs.run_task(cluster="one", taskDefinition="web", count=1, launchType="FARGATE")


def stage_of(stage: Stage, name: str = NAME) -> Retired:
    retirement = stage.record(name).retirement
    return retirement.stage if retirement else Retired.OBSERVED


def reap(stage: Stage) -> None:
    """Let the hour come at which what may go is deleted."""
    stage.aws.advance(timedelta(hours=1, minutes=1))
    stage.settle()


def quarantined(stage: Stage) -> None:
    night(stage, 62)
    assert stage_of(stage) is Retired.MARKED
    night(stage, 8)
    assert stage_of(stage) is Retired.QUARANTINED


def pull(stage: Stage, who: str = "ci-deploy/deploy-1") -> None:
    stage.pull(f"{NAME}:v1", who)


def policy_text(stage: Stage) -> str:
    return str(stage.client("ecr").get_repository_policy(repositoryName=NAME)["policyText"])


def test_what_nobody_uses_is_marked_told_quarantined_archived_and_deleted(stage: Stage) -> None:
    assert night(stage, 1)["looked_at"] == 0
    assert night(stage, 61) == {"looked_at": 1, "marked": 1, "not_completed": [], "withheld": []}
    tags = {each["Key"]: each["Value"] for each in stage.client("ecr").list_tags_for_resource(resourceArn=arn(NAME))["tags"]}
    assert tags["ecr-governor:state"] == "marked"
    assert tags["ecr-governor:delete-after"] == (stage.aws.clock.now() + 7 * DAY).date().isoformat()
    assert "Marked as unused" in json.dumps(stage.message_of(NAME))
    assert night(stage, 5).get("quarantined") is None
    assert night(stage, 3)["quarantined"] == 1
    with pytest.raises(Refused):
        stage.push(f"{NAME}:v2", "ci-build/build-1")
    stage.settle()


def check_backtest(stage: Stage, folder: Path) -> None:
    """A backtest of the records goes the same way, never later, and regrets what was wanted."""
    result = backtested(stage, POLICY, folder)
    fate = fate_of(result, NAME)
    done = [entry.body for entry in stage.ledger.entries(NAME) if entry.kind == OUTCOME]
    assert [each.to.value for each in fate.steps] == [body["to"] for body in done]
    assert all(each.at <= datetime.fromisoformat(body["at"]) for each, body in zip(fate.steps, done, strict=True))
    (regret,) = fate.regrets
    assert (regret.stage, regret.by, regret.at) == (Retired.QUARANTINED, "ci-deploy/deploy-1", fate.steps[-1].at)
    assert (result.regret.reached, result.regret.rate) == (1, 1.0)
    assert found(fate) == found_by(stage, NAME)


def test_a_pull_in_quarantine_is_refused_and_releases_it_and_the_policy_is_as_it_was(stage: Stage, tmp_path: Path) -> None:
    before = policy_text(stage)
    quarantined(stage)
    with pytest.raises(Refused):
        pull(stage)
    stage.settle()
    assert stage_of(stage) is Retired.OBSERVED
    assert policy_text(stage) == before
    pull(stage)
    told = json.dumps(stage.message_of(NAME))
    assert "Kept" in told
    assert "was refused BatchGetImage" in told
    # It had a policy before, nothing was archived, the event names a repository, and the policy file is valid.
    others = {"ecr:DeleteRepositoryPolicy", "ecr:UpdateImageStorageClass", "sqs:SendMessage", "s3:GetObjectVersion"}
    assert_it_may_do_what_it_does(stage, "ReleasesRole", but=others)
    check_backtest(stage, tmp_path)


def check_ledger(stage: Stage, here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """The ledger is whole until somebody changes a letter of it."""
    assert entries.verify(here, None, "table") == 0
    assert "nothing is wrong" in capsys.readouterr().out
    assert entries.show(here, NAME, "table") == 0
    told = capsys.readouterr().out
    assert "retirement-intent" in told
    assert "intends quarantined, from marked" in told
    assert "reached deleted, from archived" in told
    dynamodb, key = stage.client("dynamodb"), {"pk": {"S": f"repository#{NAME}"}, "sk": {"S": "entry#000000000002"}}
    body = dynamodb.get_item(TableName=stage.names["ledger"], Key=key)["Item"]["body"]["S"]
    for text, exit_code in ((body.replace("2026", "2025", 1), 1), (body, 0)):
        dynamodb.update_item(
            TableName=stage.names["ledger"], Key=key, UpdateExpression="SET body = :b", ExpressionAttributeValues={":b": {"S": text}}
        )
        assert entries.verify(here, NAME, "json") == exit_code
    assert "entry 2 was changed after it was written" in capsys.readouterr().out
    with pytest.raises(Trouble, match="does not know"):
        entries.verify(here, "payments/other", "table")
    lost = {"pk": {"S": "repository#@report"}, "sk": {"S": "record"}}
    dynamodb.put_item(TableName=stage.names["ledger"], Item={**lost, "version": {"N": "1"}, "head": {"S": "of an entry that is not there"}})
    assert entries.verify(here, None, "table") == 1
    assert "@report: the record counts 1 entries, and there are 0" in capsys.readouterr().out
    dynamodb.delete_item(TableName=stage.names["ledger"], Key=lost)


def test_it_ends_with_a_tombstone_from_which_all_but_the_images_comes_back(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    put_users(stage)
    upload_policy(stage.aws, ALL_SOURCES)
    before = policy_text(stage)
    stage.client("ecr").put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=LIFECYCLE)
    stage.settle()
    quarantined(stage)
    assert night(stage, 4)["archived"] == 1
    (image,) = stage.client("ecr").describe_images(repositoryName=NAME, filter={"imageStatus": "ANY"})["imageDetails"]
    assert image["imageStatus"] == "ARCHIVED"
    reap(stage)
    assert stage_of(stage) is Retired.ARCHIVED
    stage.aws.clock.move_by(11 * DAY)
    reap(stage)
    assert stage_of(stage) is Retired.DELETED
    assert stage.client("ecr").describe_repositories()["repositories"] == []
    stones = stage.client("s3").list_objects_v2(Bucket=stage.names["reports_bucket"], Prefix="tombstones/")["Contents"]
    assert len(stones) == 1
    assert "Deleted for good" in json.dumps(stage.messages())
    kinds = [(entry.kind, entry.body.get("to")) for entry in stage.ledger.entries(NAME) if entry.kind.startswith("retirement")]
    assert [to for kind, to in kinds if kind == "retirement"] == ["marked", "quarantined", "archived", "deleted"]
    assert [to for kind, to in kinds if kind == "retirement-intent"] == ["marked", "quarantined", "archived", "deleted"]
    # Nothing is taken back here, and the policy file is valid.
    back = {"ecr:UntagResource", "ecr:DeleteRepositoryPolicy"}
    assert_it_may_do_what_it_does(stage, "RetireRole", but={*back, "s3:GetObjectVersion"})
    assert_it_may_do_what_it_does(stage, "ReapRole", but={"s3:GetObjectVersion"})
    here = Deployment(STACK, stage.aws.endpoint, REGION, None)
    check_ledger(stage, here, capsys)
    retirement.restore(here, NAME, dry_run=True)
    told = capsys.readouterr().out
    assert image["imageDigest"] in told
    assert "What cannot come back: its 1 image" in told
    assert stage.client("ecr").describe_repositories()["repositories"] == []
    retirement.restore(here, NAME, dry_run=False)
    assert policy_text(stage) == before
    assert stage.client("ecr").get_lifecycle_policy(repositoryName=NAME)["lifecyclePolicyText"] == LIFECYCLE
    stage.settle()
    retirement.restore(here, NAME, dry_run=False)
    assert "nothing to restore" in capsys.readouterr().err


def test_a_veto_is_heard(stage: Stage) -> None:
    night(stage, 62)
    stage.client("ecr").untag_resource(resourceArn=arn(NAME), tagKeys=["ecr-governor:delete-after"])
    assert night(stage, 8)["observed"] == 1
    assert stage_of(stage) is Retired.OBSERVED
    assert night(stage, 30)["looked_at"] == 1
    assert stage_of(stage) is Retired.OBSERVED


def test_a_function_pinned_to_an_untagged_digest_keeps_it_and_so_does_not_being_allowed_to_ask(stage: Stage) -> None:
    ecr = stage.client("ecr")
    digest = ecr.describe_images(repositoryName=NAME)["imageDetails"][0]["imageDigest"]
    uri = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/{NAME}@{digest}"
    make_function(stage, uri)
    stage.push(f"{NAME}:v1", "ci-build/build-1", content="another")
    stage.settle()
    assert not any(
        each["imageDigest"] == digest and each.get("imageTags") for each in ecr.describe_images(repositoryName=NAME)["imageDetails"]
    )
    done = night(stage, 366)
    assert (done["looked_at"], done.get("marked")) == (1, None)
    faults.add("lambda:ListFunctions", "AccessDeniedException", times=None)
    done = night(stage, 30)
    faults.clear()
    assert (done["looked_at"], done.get("marked")) == (1, None)
    stage.client("lambda").delete_function(FunctionName="api")
    # It is remembered for as long as anything has to be unused.
    assert night(stage, 30).get("marked") is None
    assert night(stage, 62)["marked"] == 1


def test_without_deletion_there_is_nothing_that_could_delete() -> None:
    with running(policy=POLICY, parameters={"SweepSchedule": ""}) as aws:
        assert aws.stack is not None
        assert not [name for name in aws.stack.resources if name.startswith("Reap")]


@pytest.mark.parametrize("mode", ["deployed in audit", "policy in audit"])
def test_in_audit_there_is_a_plan_and_no_call_that_changes_anything(mode: str) -> None:
    policy = POLICY.replace(b"mode: enforce", b"mode: audit") if mode == "policy in audit" else POLICY
    deployed = "audit" if mode == "deployed in audit" else "enforce"
    with running(policy=policy, mode=deployed, parameters={"EnableDelete": "true", "SweepSchedule": ""}) as aws:
        stage = Stage(aws)
        stage.client("ecr").create_repository(repositoryName=NAME)
        stage.push(f"{NAME}:v1", "ci-build/build-1")
        stage.settle()
        done = night(stage, 62)
        assert (done["looked_at"], done["withheld"]) == (1, ["the mode is audit"])
        assert stage_of(stage) is Retired.OBSERVED
        ours = [event["detail"] for event in aws.trail.history if "ecr-governor" in json.dumps(event["detail"].get("userIdentity", {}))]
        assert [detail["eventName"] for detail in ours if not detail.get("readOnly")] == []
        document = json.loads(
            stage.client("s3").get_object(Bucket=stage.names["reports_bucket"], Key="retirement/plan.json")["Body"].read()
        )
        assert [(item["repository"], item["next"]) for item in document["items"]] == [(NAME, "marked")]


def quarantined_by_approval(stage: Stage, here: Deployment, approved: Path) -> None:
    """Let the caps be too low for the next step, and approve it."""
    night(stage, 62)
    narrow = POLICY.replace(b"percent: 100", b"percent: 1")
    stage.client("s3").put_object(Bucket=stage.names["policy_bucket"], Key=stage.names["policy_key"], Body=narrow)
    stage.settle()
    assert night(stage, 8)["withheld"] == ["1 of 1 repositories would go on, caps.percent is 1"]
    retirement.show_plan(here, None, approved, "table")
    with pytest.raises(Trouble, match="nothing was done") as unsure:
        retirement.apply(here, approved, [], delete=False, sure=False)
    assert unsure.value.why == "nobody confirmed it"
    with pytest.raises(Trouble, match="nothing to be done"):
        retirement.apply(here, approved, [], delete=True, sure=True)
    with pytest.raises(Trouble, match="not all of them") as missing:
        retirement.apply(here, approved, [NAME, "payments/other"], delete=False, sure=True)
    assert "payments/other" in missing.value.why
    assert stage_of(stage) is Retired.MARKED
    assert retirement.apply(here, approved, [NAME], delete=False, sure=True) == 0
    assert stage_of(stage) is Retired.QUARANTINED
    with pytest.raises(Trouble, match="does not hold any more") as again:
        retirement.apply(here, approved, [], delete=False, sure=True)
    assert NAME in again.value.why
    approved.write_bytes(approved.read_bytes()[:90])
    with pytest.raises(Trouble, match="no plan, or only a part"):
        retirement.apply(here, approved, [], delete=False, sure=True)


def test_the_command_line_shows_the_plan_the_calendar_and_what_would_come_back(
    stage: Stage, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    here = Deployment(STACK, stage.aws.endpoint, REGION, None)
    with pytest.raises(Trouble, match="no plan"):
        retirement.show_plan(here, None, None, "table")
    quarantined_by_approval(stage, here, tmp_path / "approved.json")
    assert capsys.readouterr().out == f"{NAME}: quarantined\n"
    retirement.show_plan(here, None, None, "table")
    assert NAME in capsys.readouterr().out
    retirement.show_plan(here, NAME, None, "table")
    told = capsys.readouterr().out
    assert "marked, then quarantined, withheld" in told
    assert "What saves it" in told
    with pytest.raises(Trouble, match="in no plan"):
        retirement.show_plan(here, "payments/other", None, "table")
    retirement.show_plan(here, None, tmp_path / "plan.json", "table")
    assert json.loads((tmp_path / "plan.json").read_text())["items"][0]["repository"] == NAME
    night(stage, 1)
    for output, expected in (("table", "archived"), ("json", '"to": "archived"'), ("ics", "SUMMARY:payments/api goes to the archive")):
        retirement.show_calendar(here, 30, output)
        assert expected in capsys.readouterr().out
    retirement.show_calendar(here, 1, "table")
    assert "nothing goes within 1 days" in capsys.readouterr().out
    retirement.restore(here, NAME, dry_run=True)
    assert "byte for byte" in capsys.readouterr().out
    assert stage_of(stage) is Retired.QUARANTINED
    retirement.restore(here, NAME, dry_run=False)
    stage.settle()
    assert stage_of(stage) is Retired.OBSERVED
    assert "asked for it" in json.dumps(stage.message_of(NAME))
    retirement.restore(here, NAME, dry_run=False)
    assert "nothing to restore" in capsys.readouterr().err
    with pytest.raises(Trouble, match="does not know"):
        retirement.restore(here, "payments/other", dry_run=True)
    kept_by_a_button(stage)


def kept_by_a_button(stage: Stage) -> None:
    """Once more the caps are too low: two people approve it in Slack, and somebody keeps the repository, there as well."""
    slack = stage.aws.slack
    night(stage, 62)
    assert night(stage, 8)["withheld"] == ["1 of 1 repositories would go on, caps.percent is 1"]
    stage.settle()
    question = next(each for each in reversed(slack.posted) if "wait for a person" in each["payload"]["text"])
    narrow = POLICY.replace(b"percent: 100", b"percent: 1")
    upload_policy(stage.aws, narrow.replace(b"retirement:\n  caps", b"retirement:\n  stop: true\n  caps"))
    stage.aws.clock.move_by(timedelta(minutes=1))
    for person in (BOB, CAROL):
        slack.press(question["ts"], "approve", person)
        stage.settle()
    assert stage_of(stage) is Retired.MARKED
    assert "nothing was done: the policy says stop" in slack.replies_to(question)[-1]["payload"]["text"]
    told = len(slack.replies_to(question))
    upload_policy(stage.aws, narrow)
    stage.aws.clock.move_by(timedelta(minutes=1))
    for person in (BOB, BOB, "U0LOCAL0001"):
        assert slack.press(question["ts"], "approve", person).status == 200
        stage.settle()
    assert stage_of(stage) is Retired.MARKED
    slack.press(question["ts"], "approve", CAROL)
    stage.settle()
    assert stage_of(stage) is Retired.QUARANTINED
    answers = [each["payload"]["text"] for each in slack.replies_to(question)[told:]]
    assert ["second person" in each for each in answers] == [False, True, False, False]
    assert "bob" in json.dumps(stage.message_of(NAME))
    before = json.loads(policy_text(stage))["Statement"]
    slack.press(stage.message_of(NAME)["ts"], "keep")
    stage.settle()
    assert stage_of(stage) is Retired.OBSERVED
    assert [each["Sid"] for each in json.loads(policy_text(stage))["Statement"]] == ["Team"] != [each["Sid"] for each in before]
    kept = stage.record(NAME).retirement
    assert kept is not None
    assert kept.not_before is not None
    assert timedelta(days=29) < kept.not_before - stage.aws.clock.now() < timedelta(days=31)
    assert night(stage, 20).get("marked") is None
    assert night(stage, 12)["marked"] == 1
    slack.press(stage.message_of(NAME)["ts"], "open_report", BOB)
    stage.settle()
    for role, seldom in (("SlackActionsRole", set()), ("PressesRole", {"s3:GetObjectVersion"})):
        used = {action for action, _ in stage.aws.authorizations.used(role)}
        assert granted_to(stage, role) - used == seldom, "granted, and not used"
    assert not [refused for refused in stage.aws.authorizations.denied() if refused.role in {"SlackActionsRole", "PressesRole"}]


def granted_to(stage: Stage, role: str) -> set[str]:
    """The actions of all statements of a role."""
    assert stage.aws.stack is not None
    assert stage.aws.roles is not None
    documents = stage.aws.roles.documents(stage.aws.stack.resources[role].attributes["Arn"])
    statements = [statement["Action"] for document in documents for statement in document["Statement"]]
    return {action for actions in statements for action in (actions if isinstance(actions, list) else [actions])}
