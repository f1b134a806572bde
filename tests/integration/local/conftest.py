"""A small account with a rule, queues, a stream, a bucket, a parameter, a secret and functions that use them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.queues.mapping import Pace
from local.server import EmbeddedAws

QUICK = Pace(retry_delay=0.02, window_limit=0.02)

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Prefix: {Type: String, Default: team}
  WithExtra: {Type: String, Default: "no", AllowedValues: ["yes", "no"]}
Conditions:
  Extra: !Equals [!Ref WithExtra, "yes"]
Globals:
  Function: {Runtime: python3.11, Handler: app.handler, Timeout: 10, MemorySize: 256}
Resources:
  Shared:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: Shared, LayerName: shared}
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}
  Dead: {Type: AWS::SQS::Queue}
  JobsPolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Jobs, !Ref Dead]
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: sqs:SendMessage
            Resource: "*"
            Condition: {ArnEquals: {"aws:SourceArn": !GetAtt Pushes.Arn}}
  Pushes:
    Type: AWS::Events::Rule
    Properties:
      EventPattern:
        source: [aws.ecr]
        detail: {eventName: [CreateRepository], errorCode: [{exists: false}]}
      Targets: [{Id: jobs, Arn: !GetAtt Jobs.Arn, DeadLetterConfig: {Arn: !GetAtt Dead.Arn}}]
  Rows:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
      TimeToLiveSpecification: {AttributeName: ttl, Enabled: true}
      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
  Reports:
    Type: AWS::S3::Bucket
    Properties:
      VersioningConfiguration: {Status: Enabled}
      BucketEncryption: {ServerSideEncryptionConfiguration: [{ServerSideEncryptionByDefault: {SSEAlgorithm: AES256}}]}
      PublicAccessBlockConfiguration: {BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true}
  Setting: {Type: AWS::SSM::Parameter, Properties: {Type: String, Name: !Sub "/${AWS::StackName}/setting", Value: on}}
  Hook: {Type: AWS::SecretsManager::Secret, Properties: {SecretString: "hush"}}
  Log: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 30}}
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Namespace: AWS/SQS
      MetricName: ApproximateNumberOfMessagesVisible
      Dimensions: [{Name: QueueName, Value: !GetAtt Dead.QueueName}]
      Statistic: Maximum
      Period: 60
      EvaluationPeriods: 1
      Threshold: 0
      ComparisonOperator: GreaterThanThreshold
  ExtraQueue: {Type: AWS::SQS::Queue, Condition: Extra}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: Worker
      Layers: [!Ref Shared]
      Environment:
        Variables: {TABLE: !Ref Rows, BUCKET: !Ref Reports, SETTING: !Ref Setting, SECRET: !Ref Hook, PREFIX: !Ref Prefix}
      LoggingConfig: {LogGroup: !Ref Log, LogFormat: JSON}
      Events:
        Jobs:
          Type: SQS
          Properties: {Queue: !GetAtt Jobs.Arn, BatchSize: 10, MaximumBatchingWindowInSeconds: 1, FunctionResponseTypes: [ReportBatchItemFailures]}
        Daily:
          Type: ScheduleV2
          Properties: {ScheduleExpression: "cron(0 6 * * ? *)", FlexibleTimeWindow: {Mode: "OFF"}, Input: '{"sweep": "<aws.scheduler.scheduled-time>"}'}
      Policies:
        - Statement:
            - {Effect: Allow, Action: dynamodb:PutItem, Resource: !GetAtt Rows.Arn}
            - {Effect: Allow, Action: [s3:PutObject, s3:GetObject], Resource: !Sub "${Reports.Arn}/reports/*"}
            - {Effect: Allow, Action: ssm:GetParameter, Resource: !Sub "arn:aws:ssm:${AWS::Region}:${AWS::AccountId}:parameter/${AWS::StackName}/*"}
            - {Effect: Allow, Action: secretsmanager:GetSecretValue, Resource: !Ref Hook}
            - {Effect: Allow, Action: ecr:TagResource, Resource: !Sub "arn:aws:ecr:${AWS::Region}:${AWS::AccountId}:repository/*",
               Condition: {"ForAllValues:StringLike": {"aws:TagKeys": ["governor:*"]}}}
            - {Effect: Allow, Action: ecr:DeleteRepository, Resource: "*", Condition: {StringLike: {"aws:ResourceTag/governor:delete": "*"}}}
  Watcher:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: Watcher
      Events:
        Rows:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Rows.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: 10
            FunctionResponseTypes: [ReportBatchItemFailures]
            FilterCriteria: {Filters: [{Pattern: '{"eventName": ["INSERT", "MODIFY"]}'}]}
Outputs:
  JobsUrl: {Value: !Ref Jobs}
  ExtraUrl: {Condition: Extra, Value: !Ref ExtraQueue}
"""

WORKER = """
import json, os
import boto3
import shared

def act(order):
    kind, rest = order["do"], {k: v for k, v in order.items() if k != "do"}
    client, operation = kind.split(".")
    try:
        answer = getattr(boto3.client(client), operation)(**rest)
    except Exception as error:
        return getattr(error, "response", {}).get("Error", {}).get("Code", repr(error)) + ": " + str(error)
    answer.pop("ResponseMetadata", None)
    return json.loads(json.dumps(answer, default=str))

def handler(event, context):
    if "do" in event:
        return act(event)
    if "sweep" in event:
        print("sweep", event["sweep"])
        return None
    failures = []
    table = boto3.client("dynamodb")
    for record in event["Records"]:
        body = json.loads(record["body"])
        if body.get("poison"):
            failures.append({"itemIdentifier": record["messageId"]})
            continue
        name = body["detail"]["requestParameters"]["repositoryName"] if "detail" in body else body["name"]
        table.put_item(TableName=os.environ["TABLE"], Item={"pk": {"S": shared.label(name)}})
        print("stored", name)
    return {"batchItemFailures": failures}
"""
WATCHER = """
def handler(event, context):
    for record in event["Records"]:
        print("saw", record["eventName"], record["dynamodb"]["Keys"]["pk"]["S"])
"""


Build = Callable[..., Path]


@pytest.fixture(scope="session")
def boto_directory() -> Path:
    """Where the functions' boto3 comes from: the tests' own, as a built layer would bring it."""
    return Path(boto3.__file__).parents[1]


def write_project(folder: Path, boto: Path, template: str = TEMPLATE) -> Path:
    sources = {
        "Worker/app.py": WORKER,
        "Watcher/app.py": WATCHER,
        "Shared/python/shared.py": "def label(name):\n    return 'repo#' + name\n",
    }
    for path, text in sources.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for package in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py"):
        (folder / "Shared" / "python" / package).symlink_to(boto / package)
    (folder / "template.yaml").write_text(template)
    return folder / "template.yaml"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory, boto_directory: Path) -> Iterator[EmbeddedAws]:
    template = write_project(tmp_path_factory.mktemp("built"), boto_directory)
    with EmbeddedAws(pace=QUICK) as embedded:
        embedded.deploy(template, {}, "probe")
        yield embedded


@pytest.fixture
def ask(aws: EmbeddedAws) -> Callable[..., Any]:
    """Let the Worker, with its role, make one API call; a refusal comes back as text."""

    def _ask(operation: str, **arguments: Any) -> Any:
        assert aws.stack is not None
        result = aws.lambdas.invoke(aws.stack.ref("Worker"), {"do": operation, **arguments})
        assert result.error is None, result.payload
        return json.loads(result.payload)

    return _ask
