"""Queues, topics, tables, buckets, parameters and secrets."""

from __future__ import annotations

import json
import secrets
import string
from typing import Any

from local.stack.context import Build, Properties, Resource
from local.stack.errors import StackError
from local.stack.resources import as_text, kind, tag_list, tags_of

QUEUE_NAME_LIMIT = 80
BUCKET_NAME_LIMIT = 63


@kind(
    "AWS::SQS::Queue",
    "QueueName VisibilityTimeout MessageRetentionPeriod RedrivePolicy DelaySeconds FifoQueue ContentBasedDeduplication "
    "ReceiveMessageWaitTimeSeconds MaximumMessageSize KmsMasterKeyId SqsManagedSseEnabled Tags",
    "KmsDataKeyReusePeriodSeconds RedriveAllowPolicy",
)
def queue(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A queue; moto itself redrives to the dead-letter queue."""
    name = properties.get("QueueName")
    if not name:
        suffix = ".fifo" if properties.get("FifoQueue") else ""
        name = build.name(logical_id, QUEUE_NAME_LIMIT - len(suffix)) + suffix
    attributes = {key: as_text(value) for key, value in properties.items() if key not in {"QueueName", "Tags", "RedriveAllowPolicy"}}
    url = build.rooms.client("sqs").create_queue(QueueName=name, Attributes=attributes, tags=tags_of(properties))["QueueUrl"]
    return Resource(logical_id, "AWS::SQS::Queue", url, {"Arn": build.rooms.arn("sqs", name), "QueueName": name, "QueueUrl": url})


@kind("AWS::SQS::QueuePolicy", "Queues PolicyDocument")
def queue_policy(build: Build, logical_id: str, properties: Properties) -> Resource:
    """Who may use queues; a queue has one policy."""
    sqs = build.rooms.client("sqs")
    for url in properties["Queues"]:
        current = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"]).get("Attributes", {}).get("Policy")
        if current:
            raise StackError(f"{logical_id}: {url.rsplit('/', 1)[-1]} has a policy already, and the second would replace it")
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(properties["PolicyDocument"])})
    return Resource(logical_id, "AWS::SQS::QueuePolicy", build.name(logical_id))


@kind("AWS::SNS::Topic", "TopicName DisplayName Subscription KmsMasterKeyId Tags")
def topic(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A topic."""
    sns = build.rooms.client("sns")
    name = properties.get("TopicName") or build.name(logical_id)
    attributes = {key: properties[key] for key in ("DisplayName", "KmsMasterKeyId") if properties.get(key)}
    arn = sns.create_topic(Name=name, Attributes=attributes, Tags=tag_list(properties))["TopicArn"]
    for one in properties.get("Subscription", []):
        sns.subscribe(TopicArn=arn, Protocol=one["Protocol"], Endpoint=one["Endpoint"])
    return Resource(logical_id, "AWS::SNS::Topic", arn, {"TopicArn": arn, "TopicName": name})


@kind("AWS::SNS::Subscription", "TopicArn Protocol Endpoint FilterPolicy FilterPolicyScope RawMessageDelivery")
def subscription(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A subscription."""
    attributes = {key: as_text(properties[key]) for key in ("FilterPolicy", "FilterPolicyScope", "RawMessageDelivery") if key in properties}
    arn = build.rooms.client("sns").subscribe(
        TopicArn=properties["TopicArn"], Protocol=properties["Protocol"], Endpoint=properties["Endpoint"], Attributes=attributes
    )["SubscriptionArn"]
    return Resource(logical_id, "AWS::SNS::Subscription", arn, {"Arn": arn})


@kind("AWS::SNS::TopicPolicy", "Topics PolicyDocument")
def topic_policy(build: Build, logical_id: str, properties: Properties) -> Resource:
    """Who may use topics."""
    for arn in properties["Topics"]:
        document = json.dumps(properties["PolicyDocument"])
        build.rooms.client("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=document)
    return Resource(logical_id, "AWS::SNS::TopicPolicy", build.name(logical_id))


@kind(
    "AWS::DynamoDB::Table",
    "TableName AttributeDefinitions KeySchema BillingMode ProvisionedThroughput GlobalSecondaryIndexes LocalSecondaryIndexes "
    "StreamSpecification TimeToLiveSpecification PointInTimeRecoverySpecification SSESpecification DeletionProtectionEnabled Tags",
    "TableClass OnDemandThroughput ContributorInsightsSpecification WarmThroughput",
)
def table(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A table. moto does not delete what is past its time to live; AWS does so within days, not promptly either."""
    dynamodb = build.rooms.client("dynamodb")
    name = properties.get("TableName") or build.name(logical_id)
    direct = (
        "AttributeDefinitions",
        "KeySchema",
        "BillingMode",
        "ProvisionedThroughput",
        "GlobalSecondaryIndexes",
        "LocalSecondaryIndexes",
        "DeletionProtectionEnabled",
    )
    arguments: dict[str, Any] = {key: properties[key] for key in direct if key in properties}
    if "StreamSpecification" in properties:
        arguments["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": properties["StreamSpecification"]["StreamViewType"]}
    if "SSESpecification" in properties:
        sse = dict(properties["SSESpecification"])
        arguments["SSESpecification"] = {"Enabled": sse.pop("SSEEnabled"), **sse}
    made = dynamodb.create_table(TableName=name, Tags=tag_list(properties), **arguments)["TableDescription"]
    if "TimeToLiveSpecification" in properties:
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=properties["TimeToLiveSpecification"])
    if "PointInTimeRecoverySpecification" in properties:
        dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=properties["PointInTimeRecoverySpecification"])
    attributes = {"Arn": made["TableArn"]}
    if made.get("LatestStreamArn"):
        attributes["StreamArn"] = made["LatestStreamArn"]
    return Resource(logical_id, "AWS::DynamoDB::Table", name, attributes)


@kind(
    "AWS::S3::Bucket",
    "BucketName VersioningConfiguration BucketEncryption PublicAccessBlockConfiguration LifecycleConfiguration ObjectLockEnabled Tags",
    "OwnershipControls LoggingConfiguration IntelligentTieringConfigurations ObjectLockConfiguration MetricsConfigurations",
)
def bucket(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A bucket; lifecycle rules are kept out of moto, which never runs them."""
    s3 = build.rooms.client("s3")
    name = properties.get("BucketName") or build.name(logical_id, BUCKET_NAME_LIMIT).lower()
    region = build.rooms.region
    optional: dict[str, Any] = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=bool(properties.get("ObjectLockEnabled")), **optional)
    if versioning := properties.get("VersioningConfiguration"):
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning["Status"]})
    if block := properties.get("PublicAccessBlockConfiguration"):
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    if encryption := properties.get("BucketEncryption"):
        rules = [
            {
                "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
                **({"BucketKeyEnabled": rule["BucketKeyEnabled"]} if "BucketKeyEnabled" in rule else {}),
            }
            for rule in encryption["ServerSideEncryptionConfiguration"]
        ]
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    if tags := tag_list(properties):
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    attributes = {
        "Arn": f"arn:aws:s3:::{name}",
        "DomainName": f"{name}.s3.amazonaws.com",
        "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
    }
    return Resource(logical_id, "AWS::S3::Bucket", name, attributes)


@kind("AWS::S3::BucketPolicy", "Bucket PolicyDocument")
def bucket_policy(build: Build, logical_id: str, properties: Properties) -> Resource:
    """Who may use a bucket; its denials are enforced."""
    build.rooms.client("s3").put_bucket_policy(Bucket=properties["Bucket"], Policy=json.dumps(properties["PolicyDocument"]))
    return Resource(logical_id, "AWS::S3::BucketPolicy", properties["Bucket"])


@kind("AWS::SSM::Parameter", "Name Type Value Tags", "Description Tier AllowedPattern DataType Policies")
def parameter(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A parameter."""
    name = properties.get("Name") or build.name(logical_id)
    tags = [{"Key": key, "Value": value} for key, value in tags_of(properties).items()]
    build.rooms.client("ssm").put_parameter(
        Name=name, Type=properties["Type"], Value=str(properties["Value"]), **({"Tags": tags} if tags else {})
    )
    return Resource(logical_id, "AWS::SSM::Parameter", name, {"Type": properties["Type"], "Value": properties["Value"]})


@kind("AWS::SecretsManager::Secret", "Name SecretString GenerateSecretString Tags KmsKeyId", "Description")
def secret(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A secret."""
    arguments: dict[str, Any] = {"Name": properties.get("Name") or build.name(logical_id)}
    if "SecretString" in properties:
        arguments["SecretString"] = properties["SecretString"]
    elif "GenerateSecretString" in properties:
        arguments["SecretString"] = _generated(properties["GenerateSecretString"])
    arn = build.rooms.client("secretsmanager").create_secret(Tags=tag_list(properties), **arguments)["ARN"]
    return Resource(logical_id, "AWS::SecretsManager::Secret", arn, {"Id": arn})


def _generated(settings: Properties) -> str:
    excluded = settings.get("ExcludeCharacters", "")
    letters = [char for char in string.ascii_letters + string.digits if char not in excluded]
    password = "".join(secrets.choice(letters) for _ in range(int(settings.get("PasswordLength", 32))))
    if "SecretStringTemplate" in settings:
        return json.dumps({**json.loads(settings["SecretStringTemplate"]), settings["GenerateStringKey"]: password})
    return password
