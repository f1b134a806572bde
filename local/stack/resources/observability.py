"""Log groups, alarms and dashboards: stored, so that they can be listed; moto evaluates no alarm."""

from __future__ import annotations

from local.stack.context import Build, Properties, Resource
from local.stack.resources import kind, tag_list, tags_of


@kind("AWS::Logs::LogGroup", "LogGroupName RetentionInDays Tags", "KmsKeyId LogGroupClass DataProtectionPolicy")
def log_group(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A log group."""
    logs = build.rooms.client("logs")
    name = properties.get("LogGroupName") or build.name(logical_id)
    logs.create_log_group(logGroupName=name, **({"tags": tags} if (tags := tags_of(properties)) else {}))
    if days := properties.get("RetentionInDays"):
        logs.put_retention_policy(logGroupName=name, retentionInDays=int(days))
    return Resource(logical_id, "AWS::Logs::LogGroup", name, {"Arn": build.rooms.arn("logs", f"log-group:{name}:*")})


ALARM = (
    "AlarmName AlarmDescription MetricName Namespace Statistic ExtendedStatistic Period EvaluationPeriods DatapointsToAlarm Threshold "
    "ComparisonOperator TreatMissingData Dimensions Metrics AlarmActions OKActions InsufficientDataActions ActionsEnabled Unit "
    "ThresholdMetricId Tags"
)
INTEGERS = {"Period", "EvaluationPeriods", "DatapointsToAlarm"}


@kind("AWS::CloudWatch::Alarm", ALARM, "EvaluateLowSampleCountPercentile")
def alarm(build: Build, logical_id: str, properties: Properties) -> Resource:
    """An alarm on a metric."""
    name = properties.get("AlarmName") or build.name(logical_id)
    arguments = {
        key: int(value) if key in INTEGERS else value
        for key, value in properties.items()
        if key in ALARM.split() and key not in {"AlarmName", "Tags"}
    }
    if "Threshold" in arguments:
        arguments["Threshold"] = float(arguments["Threshold"])
    build.rooms.client("cloudwatch").put_metric_alarm(AlarmName=name, Tags=tag_list(properties), **arguments)
    return Resource(logical_id, "AWS::CloudWatch::Alarm", name, {"Arn": build.rooms.arn("cloudwatch", f"alarm:{name}")})


@kind(
    "AWS::CloudWatch::CompositeAlarm",
    "AlarmName AlarmRule AlarmDescription AlarmActions OKActions InsufficientDataActions ActionsEnabled",
    "Tags",
)
def composite_alarm(build: Build, logical_id: str, properties: Properties) -> Resource:
    """An alarm on alarms."""
    name = properties.get("AlarmName") or build.name(logical_id)
    arguments = {key: value for key, value in properties.items() if key not in {"AlarmName", "Tags"}}
    build.rooms.client("cloudwatch").put_composite_alarm(AlarmName=name, **arguments)
    return Resource(logical_id, "AWS::CloudWatch::CompositeAlarm", name, {"Arn": build.rooms.arn("cloudwatch", f"alarm:{name}")})


@kind("AWS::CloudWatch::Dashboard", "DashboardName DashboardBody")
def dashboard(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A dashboard."""
    name = properties.get("DashboardName") or build.name(logical_id)
    build.rooms.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=properties["DashboardBody"])
    return Resource(logical_id, "AWS::CloudWatch::Dashboard", name)
