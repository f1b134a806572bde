"""A deployed template works end to end: rule to queue to function to table to stream to function; roles are enforced."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from local.server import EmbeddedAws

Ask = Callable[..., Any]


def ref(aws: EmbeddedAws, logical_id: str) -> str:
    assert aws.stack is not None
    return aws.stack.ref(logical_id)


def test_a_created_repository_reaches_both_functions(aws: EmbeddedAws) -> None:
    aws.settle()
    aws.client("ecr").create_repository(repositoryName="end/to-end")
    report = aws.settle()
    assert report["idle"]
    assert report["invocations"] == {ref(aws, "Worker"): 1, ref(aws, "Watcher"): 1}
    assert (report["published"], report["delivered"], report["lost"], report["ecr_writes"]) == (1, 1, 0, 1)
    assert "saw INSERT repo#end/to-end" in aws.lambdas.get(ref(aws, "Watcher")).logs


def test_poison_goes_to_the_dead_letter_queue_and_its_neighbours_do_not(aws: EmbeddedAws) -> None:
    aws.settle()
    sqs, url = aws.client("sqs"), ref(aws, "Jobs")
    bodies = [{"name": "good/one"}, {"poison": True}, {"name": "good/two"}]
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": json.dumps(body)} for n, body in enumerate(bodies)])
    report = aws.settle()
    dead = ref(aws, "Dead").rsplit("/", 1)[-1]
    assert report["dlq"] == {dead: 1}
    message = sqs.receive_message(QueueUrl=ref(aws, "Dead"), MessageSystemAttributeNames=["All"])["Messages"][0]
    assert json.loads(message["Body"]) == {"poison": True}
    sqs.delete_message(QueueUrl=ref(aws, "Dead"), ReceiptHandle=message["ReceiptHandle"])
    logs = list(aws.lambdas.get(ref(aws, "Worker")).logs)
    assert logs.count("stored good/one") == logs.count("stored good/two") == 1


def test_a_role_may_do_what_its_policy_says_and_no_more(aws: EmbeddedAws, ask: Ask) -> None:
    bucket = ref(aws, "Reports")
    assert "ETag" in ask("s3.put_object", Bucket=bucket, Key="reports/a", Body="x")
    assert ask("s3.put_object", Bucket=bucket, Key="other/a", Body="x").startswith("AccessDenied")
    assert ask("dynamodb.put_item", TableName=ref(aws, "Rows"), Item={"pk": {"S": "direct"}}) == {}
    denied = ask("dynamodb.get_item", TableName=ref(aws, "Rows"), Key={"pk": {"S": "direct"}})
    assert denied.startswith("AccessDeniedException")
    assert "is not authorized to perform: dynamodb:GetItem on resource: arn:aws:dynamodb:eu-west-1:123456789012:table/" in denied
    assert ask("ssm.get_parameter", Name="/probe/setting")["Parameter"]["Value"] == "True"
    assert ask("ssm.get_parameter", Name="/else").startswith("AccessDeniedException")
    assert ask("secretsmanager.get_secret_value", SecretId=ref(aws, "Hook"))["SecretString"] == "hush"
    assert ask("sqs.send_message", QueueUrl=ref(aws, "Dead"), MessageBody="x").startswith("AccessDenied")
    assert ask("events.put_events", Entries=[{"Source": "x", "DetailType": "y", "Detail": "{}"}]).startswith("AccessDeniedException")
    assert ask("sts.get_caller_identity")["Arn"].startswith("arn:aws:sts::123456789012:assumed-role/probe-WorkerRole-")
    assert ask("cloudwatch.put_metric_data", Namespace="n", MetricData=[{"MetricName": "m", "Value": 1}]).startswith("AccessDenied")
    assert ask("sns.publish", TopicArn="arn:aws:sns:eu-west-1:123456789012:t", Message="m").startswith("AuthorizationError")


def test_a_missing_object_is_forbidden_without_the_right_to_list(aws: EmbeddedAws, ask: Ask) -> None:
    assert ask("s3.get_object", Bucket=ref(aws, "Reports"), Key="reports/none").startswith("AccessDenied")


def test_an_object_version_needs_its_own_action(aws: EmbeddedAws, ask: Ask) -> None:
    bucket = ref(aws, "Reports")
    version = ask("s3.put_object", Bucket=bucket, Key="reports/v", Body="x")["VersionId"]
    assert ask("s3.get_object", Bucket=bucket, Key="reports/v", VersionId=version).startswith("AccessDenied")
    assert any(entry.action == "s3:GetObjectVersion" for entry in aws.authorizations.denied())


def test_a_transaction_is_authorised_as_its_members(aws: EmbeddedAws, ask: Ask) -> None:
    table = ref(aws, "Rows")
    put = {"Put": {"TableName": table, "Item": {"pk": {"S": "t"}}}}
    assert "ConsumedCapacity" in ask("dynamodb.transact_write_items", TransactItems=[put])
    check = {"ConditionCheck": {"TableName": table, "Key": {"pk": {"S": "q"}}, "ConditionExpression": "attribute_not_exists(pk)"}}
    assert "dynamodb:ConditionCheckItem" in ask("dynamodb.transact_write_items", TransactItems=[put, check])


def test_conditions_on_tags_are_evaluated(aws: EmbeddedAws, ask: Ask) -> None:
    arn = aws.client("ecr").create_repository(repositoryName="tagged")["repository"]["repositoryArn"]
    assert ask("ecr.delete_repository", repositoryName="tagged").startswith("AccessDeniedException")
    assert ask("ecr.tag_resource", resourceArn=arn, tags=[{"Key": "mine", "Value": "1"}]).startswith("AccessDeniedException")
    assert ask("ecr.tag_resource", resourceArn=arn, tags=[{"Key": "governor:delete", "Value": "1"}]) == {}
    assert "repository" in ask("ecr.delete_repository", repositoryName="tagged")
    aws.settle()


def test_the_journal_compares_used_with_granted(aws: EmbeddedAws, ask: Ask) -> None:
    ask("sts.get_caller_identity")
    used = {action for action, _ in aws.authorizations.used("WorkerRole")}
    assert {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"} <= used
    stream = {action for action, _ in aws.authorizations.used("WatcherRole")}
    assert {"dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream", "dynamodb:ListStreams"} <= stream


def test_visitors_are_not_restricted(aws: EmbeddedAws) -> None:
    assert aws.client("s3").list_buckets()["Buckets"]


def test_boto_invokes_deployed_functions(aws: EmbeddedAws) -> None:
    answer = aws.client("lambda").invoke(FunctionName=ref(aws, "Worker"), Payload=b'{"do": "sts.get_caller_identity"}')
    assert json.loads(answer["Payload"].read())["Account"] == "123456789012"
    broken = aws.client("lambda").invoke(FunctionName=ref(aws, "Worker"), Payload=b'{"Records": [{}]}', LogType="Tail")
    assert broken["FunctionError"] == "Unhandled"
    assert json.loads(broken["Payload"].read())["errorType"] == "KeyError"
    assert (
        aws.client("lambda").invoke(FunctionName=ref(aws, "Watcher"), InvocationType="Event", Payload=b'{"Records": []}')["StatusCode"]
        == 202
    )
    with pytest.raises(aws.client("lambda").exceptions.ResourceNotFoundException):
        aws.client("lambda").invoke(FunctionName="nobody")
    aws.settle()


def test_schedules_fire_on_the_virtual_clock(aws: EmbeddedAws) -> None:
    aws.settle()
    before = len([line for line in aws.lambdas.get(ref(aws, "Worker")).logs if line.startswith("sweep ")])
    report = aws.advance(timedelta(days=3))
    sweeps = [line for line in aws.lambdas.get(ref(aws, "Worker")).logs if line.startswith("sweep ")][before:]
    assert report["idle"]
    assert len(sweeps) == 3
    assert all(line.endswith("T06:00:00Z") for line in sweeps)


def test_names_and_outputs_are_cloudformations(aws: EmbeddedAws) -> None:
    assert aws.stack is not None
    assert ref(aws, "Rows").startswith("probe-Rows-")
    assert ref(aws, "Reports").startswith("probe-reports-")
    assert aws.stack.outputs == {"JobsUrl": ref(aws, "Jobs")}
    assert "ExtraQueue" not in aws.stack.resources
    assert len(aws.client("cloudwatch").describe_alarms()["MetricAlarms"]) == 1
