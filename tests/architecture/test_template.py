"""The transformed template: what CloudFormation would create, not what SAM's short forms look like."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint

from ecr_governor import settings
from ecr_governor.adapters.ecr import ACTION_OF, ACTION_OF_REMEDY
from ecr_governor.app.reporting import GLANCE
from ecr_governor.app.sweep.plan import CHECKS_AT_ONCE, LEASE
from ecr_governor.core.conversation import AGAIN
from ecr_governor.core.repository import Fact
from ecr_governor.core.rules import RULES
from local.events.pattern import matches
from local.stack.intrinsics import Resolver
from local.stack.transform import transform

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "RepositoryEventsFunction": (settings.JudgingSettings, settings.EventSettings),
    "ImageEventsFunction": (settings.JudgingSettings, settings.EventSettings, settings.AskingSettings),
    "DueChecksFunction": (settings.Settings, settings.AskingSettings),
    "NotifyFunction": (settings.NotifySettings,),
    "PublishFunction": (settings.PublishSettings,),
    "ChannelsFunction": (settings.ChannelsSettings,),
    "SlackActionsFunction": (settings.SlackActionsSettings,),
    "PressesFunction": (settings.PressesSettings,),
    "SweepListFunction": (settings.SweepSettings,),
    "SweepCheckFunction": (settings.SweepSettings,),
    "SweepDecideFunction": (settings.SweepSettings, settings.AskingSettings),
    "SweepReportFunction": (settings.SweepSettings,),
    "RetireFunction": (settings.RetireSettings,),
    "ReleasesFunction": (settings.SweepSettings, settings.EventSettings),
    "ReapFunction": (settings.SweepSettings,),
    "ReportFunction": (settings.ReportSettings,),
    "WidgetFunction": (settings.WidgetSettings,),
}
OPERATIONS = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL"}
FROM_LAMBDA = {"AWS_REGION"}


@cache
def template() -> dict[str, Any]:
    return transform(ROOT / "template.yaml", {"Architecture": "arm64"})


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: each.get("Properties", {}) for name, each in template()["Resources"].items() if each["Type"] == kind}


def actions(role: str) -> set[str]:
    found: set[str] = set()
    for policy in of_type("AWS::IAM::Role")[role]["Policies"]:
        document = policy["Fn::If"][1] if "Fn::If" in policy else policy
        for statement in document["PolicyDocument"]["Statement"]:
            listed = statement["Action"]
            found |= set(listed if isinstance(listed, list) else [listed])
    return found


def test_cfn_lint_finds_nothing_in_the_transformed_template() -> None:
    problems = [str(match) for match in lint(json.dumps(template(), default=str), regions=["eu-west-1"])]
    assert problems == []


def test_each_function_is_given_exactly_the_environment_that_its_settings_read() -> None:
    for name, properties in of_type("AWS::Lambda::Function").items():
        given = set(properties["Environment"]["Variables"]) - OPERATIONS
        read = {str(field.alias) for model in SETTINGS[name] for field in model.model_fields.values()} - FROM_LAMBDA
        assert given == read, name


def test_each_function_has_a_role_and_a_log_group_of_its_own() -> None:
    functions = of_type("AWS::Lambda::Function")
    assert set(functions) == set(SETTINGS)
    roles = [properties["Role"]["Fn::GetAtt"][0] for properties in functions.values()]
    logs = [properties["LoggingConfig"]["LogGroup"]["Ref"] for properties in functions.values()]
    assert len(set(roles)) == len(set(logs)) == len(functions)
    for properties in functions.values():
        assert properties["LoggingConfig"]["LogFormat"] == "JSON"
        assert properties["Runtime"] == "python3.13"
        assert properties["Architectures"] == [{"Ref": "Architecture"}]
    assert all("RetentionInDays" in properties for properties in of_type("AWS::Logs::LogGroup").values())


def test_a_queue_is_invisible_for_six_times_as_long_as_its_function_may_run() -> None:
    queues, functions = of_type("AWS::SQS::Queue"), of_type("AWS::Lambda::Function")
    checked = 0
    for mapping in of_type("AWS::Lambda::EventSourceMapping").values():
        source = mapping["EventSourceArn"]["Fn::GetAtt"][0]
        if source in queues:
            timeout = functions[mapping["FunctionName"]["Ref"]]["Timeout"]
            assert queues[source]["VisibilityTimeout"] >= 6 * timeout
            assert queues[source]["RedrivePolicy"]["maxReceiveCount"] == 10
            assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
            checked += 1
    assert checked == 5


def test_eventbridge_may_write_to_every_queue_that_a_rule_names_and_nobody_else_may() -> None:
    allowed: dict[str, set[str]] = {}
    for policy in of_type("AWS::SQS::QueuePolicy").values():
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "events.amazonaws.com"}
        sources = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
        rules = {source["Fn::GetAtt"][0] for source in (sources if isinstance(sources, list) else [sources])}
        for resource in statement["Resource"]:
            allowed[resource["Fn::GetAtt"][0]] = rules
    for rule, properties in of_type("AWS::Events::Rule").items():
        for target in properties["Targets"]:
            assert rule in allowed[target["Arn"]["Fn::GetAtt"][0]]
            assert rule in allowed[target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]]
            assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] == 86_400


def test_the_rule_for_changes_leaves_out_failed_calls_and_our_own_writes_and_nobody_else() -> None:
    pattern = of_type("AWS::Events::Rule")["RepositoryEventsRule"]["EventPattern"]
    issuer = pattern["detail"]["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"]
    assert issuer == [{"exists": False}, {"anything-but": [{"Fn::GetAtt": ["RepositoryEventsRole", "Arn"]}]}]
    assert pattern["detail"]["errorCode"] == [{"exists": False}]
    assert "CreateRepository" in pattern["detail"]["eventName"]


READING = ("ecr:Get", "ecr:Describe", "ecr:List", "ecr:BatchGetRepository")
UNDOING = {"ecr:SetRepositoryPolicy", "ecr:DeleteRepositoryPolicy", "ecr:UntagResource", "ecr:UpdateImageStorageClass"}
DELETING = {"ecr:BatchDeleteImage", "ecr:DeleteRepository"}


def test_each_role_may_change_what_its_function_is_for_and_nothing_else() -> None:
    per_role = {role: {action for action in actions(role) if action.startswith("ecr:")} for role in of_type("AWS::IAM::Role")}
    changing = {role: {action for action in granted if not action.startswith(READING)} for role, granted in per_role.items()}
    assert {role: granted for role, granted in changing.items() if granted} == {
        "RepositoryEventsRole": set(ACTION_OF_REMEDY.values()),
        "RetireRole": {*UNDOING, "ecr:TagResource"},
        "ReleasesRole": UNDOING,
        "ReapRole": DELETING,
    }
    assert {role for role, granted in per_role.items() if granted} == {*changing_roles(changing), "SweepListRole", "SweepCheckRole"}
    facts = {ACTION_OF[fact] for rule in RULES.values() for fact in rule.needs}
    always = {"ecr:DescribeRepositories", "ecr:DescribePullThroughCacheRules"}
    assert per_role["RepositoryEventsRole"] == facts | always | set(ACTION_OF_REMEDY.values())
    # What a listing and the tagging API tell for all at once, no shard asks for.
    in_bulk = {ACTION_OF[Fact.TAGS], ACTION_OF[Fact.CREATION_TEMPLATES]}
    assert per_role["SweepCheckRole"] == facts - in_bulk


def changing_roles(changing: dict[str, set[str]]) -> set[str]:
    return {role for role, granted in changing.items() if granted}


def test_what_deletes_exists_only_where_deletion_is_enabled_and_runs_alone() -> None:
    resources = template()["Resources"]
    ours = {name for name in resources if name.startswith("Reap")}
    assert {resources[name].get("Condition") for name in ours} == {"Delete"}
    assert resources["ReapFunction"]["Properties"]["ReservedConcurrentExecutions"] == 1
    assert template()["Parameters"]["EnableDelete"]["Default"] == "false"
    enabled = template()["Conditions"]["Delete"]["Fn::And"]
    assert {"Fn::Equals": [{"Ref": "Mode"}, "enforce"]} in enabled


def test_the_deleting_role_deletes_only_what_is_marked_and_never_what_is_protected() -> None:
    (policy,) = of_type("AWS::IAM::Role")["ReapRole"]["Policies"]
    deleting = [each for each in policy["PolicyDocument"]["Statement"] if DELETING & set(each["Action"])]
    allow, deny = sorted(deleting, key=lambda each: str(each["Effect"]))
    assert (allow["Effect"], deny["Effect"]) == ("Allow", "Deny")
    assert allow["Condition"] == {"StringEquals": {"aws:ResourceTag/ecr-governor:state": ["marked", "quarantined", "archived"]}}
    assert deny["Condition"] == {"Null": {"aws:ResourceTag/ecr-governor:protect": "false"}}
    assert set(deny["Action"]) >= DELETING
    assert deny["Resource"] == "*"


def statements(role: str) -> list[tuple[str, str]]:
    """Each action with each resource that a role may use; logging is left out."""
    found = [
        statement for policy in of_type("AWS::IAM::Role")[role]["Policies"] for statement in resolved(policy)["PolicyDocument"]["Statement"]
    ]

    def listed(value: Any) -> list[Any]:
        return value if isinstance(value, list) else [value]

    return [
        (action, json.dumps(resource))
        for statement in found
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if not action.startswith("logs:")
    ]


def resolved(policy: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = policy["Fn::If"][1] if "Fn::If" in policy else policy
    return document


def test_the_widget_reads_one_file_and_no_more_than_a_report_may() -> None:
    assert statements("WidgetRole") == [
        ("s3:ListBucket", json.dumps({"Fn::GetAtt": ["ReportsBucket", "Arn"]})),
        ("s3:GetObject", json.dumps({"Fn::Sub": f"${{ReportsBucket.Arn}}/{GLANCE}.json"})),
    ]
    wider = {(action, resource.replace("reports/*", f"{GLANCE}.json")) for action, resource in statements("ReportRole")}
    assert set(statements("WidgetRole")) <= wider
    resources = template()["Resources"]
    ours = {name for name in resources if name.startswith(("Widget", "Overview"))}
    assert {resources[name].get("Condition") for name in ours} == {"HasDashboard"}


@pytest.mark.parametrize("everything", [True, False])
def test_the_dashboard_shows_the_widget_metrics_that_there_are_and_every_alarm(everything: bool) -> None:
    chosen = {"EnableDelete": "true", "Mode": "enforce", "SlackButtons": "true", "SlackSecretName": "s", "SecurityHubFindings": "true"}
    parameters = chosen if everything else {"SweepSchedule": ""}
    source, pseudo = template(), {"AWS::StackName": "stack", "AWS::Region": "eu-west-1"}
    resolver = Resolver(source, parameters, pseudo, lambda name, attribute: f"{name}.{attribute}" if attribute else name)
    body = json.loads(resolver.resolve(source["Resources"]["Overview"]["Properties"])["DashboardBody"])
    kinds: dict[str, list[dict[str, Any]]] = {}
    for widget in body["widgets"]:
        kinds.setdefault(widget["type"], []).append(widget["properties"])
    assert kinds["custom"][0]["endpoint"] == "WidgetFunction.Arn"
    alarms = [name for name in of_type("AWS::CloudWatch::Alarm") if everything or not source["Resources"][name].get("Condition")]
    alarms += [] if everything else ["WidgetErrorsAlarm"]
    assert sorted(kinds["alarm"][0]["alarms"]) == sorted(f"{name}.Arn" for name in alarms)
    told = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "operations.md").read_text().partition("\n## Metrics\n")[2]))
    for namespace, metric, dimension, value, *_ in (metric for graph in kinds["metric"] for metric in graph["metrics"]):
        match namespace:
            case "EcrGovernor":
                assert metric in told
                assert (dimension, value) == ("service", "stack")
            case "AWS/SQS":
                assert value.partition(".")[0] in of_type("AWS::SQS::Queue")
            case _:
                assert (metric, value) == ("ExecutionTime", "Sweep")
    # No two lie on one another, and none is wider than the dashboard.
    places = [(x, y) for each in body["widgets"] for x in span(each, "x", "width") for y in span(each, "y", "height")]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) == 23


def span(widget: dict[str, Any], start: str, length: str) -> range:
    return range(widget[start], widget[start] + widget[length])


def test_what_anybody_can_call_exists_only_with_buttons_and_can_only_hand_on() -> None:
    resources = template()["Resources"]
    ours = {name for name in resources if name.startswith(("SlackActions", "Presses"))}
    assert {resources[name].get("Condition") for name in ours} == {"Buttons"}
    assert template()["Parameters"]["SlackButtons"]["Default"] == "false"
    ((url, address),) = of_type("AWS::Lambda::Url").items()
    assert (resources[url]["Condition"], address["AuthType"]) == ("Buttons", "NONE")
    anybody = [each for each in of_type("AWS::Lambda::Permission").values() if each["Principal"] == "*"]
    assert {(each["Action"], each.get("FunctionUrlAuthType"), each.get("InvokedViaFunctionUrl")) for each in anybody} == {
        ("lambda:InvokeFunctionUrl", "NONE", None),
        ("lambda:InvokeFunction", None, True),
    }
    assert {json.dumps(each["FunctionName"]) for each in anybody} == {json.dumps({"Ref": "SlackActionsFunction"})}
    assert resources["SlackActionsFunction"]["Properties"]["ReservedConcurrentExecutions"] > 0
    assert {each for each in actions("SlackActionsRole") if not each.startswith("logs:")} == {
        "secretsmanager:GetSecretValue",
        "sqs:SendMessage",
    }
    assert not [each for each in actions("PressesRole") if each.startswith("ecr:")]
    assert not actions("PressesRole") & {"s3:PutObject", "dynamodb:UpdateItem"}
    # A link that it signs may do what it may: of all reports that is reading the latest.
    (own,) = of_type("AWS::IAM::Role")["PressesRole"]["Policies"]
    read = [each["Resource"] for each in own["PolicyDocument"]["Statement"] if each["Action"] == "s3:GetObject"]
    assert [[place["Fn::Sub"] for place in places] for places in read] == [
        ["${ReportsBucket.Arn}/retirement/plan.json", "${ReportsBucket.Arn}/reports/latest.html"]
    ]


def test_other_channels_exist_only_where_they_are_wanted_and_can_only_tell() -> None:
    source = template()
    ours = {name for name in source["Resources"] if name.startswith(("Channels", "AlertTopic"))}
    assert {source["Resources"][name].get("Condition") for name in ours} == {"Channels", "HasAlerts"}
    assert source["Parameters"]["CriticalAlerts"]["Default"] == "off"
    assert source["Parameters"]["SecurityHubFindings"]["Default"] == "false"
    assert source["Parameters"]["WebhookSecretName"]["Default"] == ""
    telling = {
        "events:PutEvents",
        "sns:Publish",
        "sns:GetTopicAttributes",
        "securityhub:BatchImportFindings",
        "secretsmanager:GetSecretValue",
    }
    reading = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "dynamodb:GetItem", "dynamodb:UpdateItem"}
    assert {each for each in actions("ChannelsRole") if not each.startswith("logs:")} == telling | reading
    # What one channel may do is granted with that channel alone.
    optional = {policy["Fn::If"][0] for policy in of_type("AWS::IAM::Role")["ChannelsRole"]["Policies"] if "Fn::If" in policy}
    assert optional == {"HasAlerts", "HasSecurityHub", "HasWebhook"}


def test_at_most_two_functions_read_the_ledgers_stream() -> None:
    readers = [each for each in of_type("AWS::Lambda::EventSourceMapping").values() if "StartingPosition" in each]
    assert len(readers) == 2


def test_only_who_tells_people_is_called_again_where_there_is_no_news() -> None:
    def called(kind: str, event: str) -> set[str]:
        record = {"eventName": event, "dynamodb": {"NewImage": {"kind": {"S": kind}}}}
        return {
            mapping["FunctionName"]["Ref"]
            for mapping in of_type("AWS::Lambda::EventSourceMapping").values()
            if "StartingPosition" in mapping
            for each in mapping["FilterCriteria"]["Filters"]
            if matches(json.loads(each["Pattern"]), record)
        }

    assert called(AGAIN, "INSERT") == called(AGAIN, "MODIFY") == {"NotifyFunction"}
    assert called("change", "INSERT") == {"NotifyFunction", "PublishFunction"}
    assert called("change", "MODIFY") == called(AGAIN, "REMOVE") == set()


def test_as_many_shards_are_checked_at_once_as_share_the_rate() -> None:
    machine = of_type("AWS::StepFunctions::StateMachine")["Sweep"]["DefinitionString"]["Fn::Join"]
    definition = json.loads(machine[0].join(machine[1]))
    assert definition["States"]["Check"]["MaxConcurrency"] == CHECKS_AT_ONCE
    assert LEASE.total_seconds() >= 3 * of_type("AWS::Lambda::Function")["SweepCheckFunction"]["Timeout"]
    # Every step is tried again, and no trouble is left without a next step.
    tasks = {name: state for name, state in definition["States"].items() if state["Type"] == "Task"}
    tasks["CheckShard"] = definition["States"]["Check"]["ItemProcessor"]["States"]["CheckShard"]
    assert all("Retry" in state for state in tasks.values())
    assert {name for name, state in tasks.items() if "Catch" in state} == {"List", "CheckShard", "Decide", "Retire", "Keep"}


@pytest.mark.parametrize("role", ["RepositoryEventsRole", "RetireRole"])
def test_in_audit_there_is_no_right_to_change_anything_in_ecr(role: str) -> None:
    conditional = [policy["Fn::If"] for policy in of_type("AWS::IAM::Role")[role]["Policies"] if "Fn::If" in policy]
    ((condition, document, otherwise),) = conditional
    assert condition == "Enforce"
    assert otherwise == {"Ref": "AWS::NoValue"}
    changing = {action for statement in document["PolicyDocument"]["Statement"] for action in statement["Action"]}
    assert changing == {action for action in actions(role) if action.startswith("ecr:") and not action.startswith(READING)}
    assert template()["Parameters"]["Mode"]["Default"] == "audit"


def test_only_one_module_can_delete_and_nothing_is_ever_forced() -> None:
    granted = {role: {action for action in actions(role) if "Delete" in action} for role in of_type("AWS::IAM::Role")}
    others = {role: {each for each in found if not each.startswith("sqs:")} for role, found in granted.items() if role != "ReapRole"}
    assert set().union(*others.values()) == {"ecr:DeleteRepositoryPolicy"}
    for source in (ROOT / "layers" / "governor").rglob("*.py"):
        text = source.read_text()
        assert not re.search(r"\bforce\s*=|[\"']force[\"']|delete_lifecycle", text), source
        if source.name != "deleting.py":
            assert not re.search(r"\.delete_repository\((?!snapshot)|batch_delete_image", text), source


@pytest.mark.parametrize("name", ["Ledger", "PolicyBucket", "ReportsBucket"])
def test_what_must_not_be_lost_outlives_the_stack(name: str) -> None:
    resource = template()["Resources"][name]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_ledger_can_be_restored_to_a_point_in_time_and_streams_its_entries() -> None:
    ledger = of_type("AWS::DynamoDB::Table")["Ledger"]
    assert ledger["BillingMode"] == "PAY_PER_REQUEST"
    assert ledger["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert ledger["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


def test_the_policy_bucket_keeps_versions_and_refuses_plain_http() -> None:
    assert of_type("AWS::S3::Bucket")["PolicyBucket"]["VersioningConfiguration"] == {"Status": "Enabled"}
    for policy in ("PolicyBucketPolicy", "ReportsBucketPolicy"):
        (statement,) = of_type("AWS::S3::BucketPolicy")[policy]["PolicyDocument"]["Statement"]
        assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_every_dead_letter_queue_function_and_waiting_queue_has_an_alarm() -> None:
    watched = {
        json.dumps(dimension["Value"]) + alarm["MetricName"]
        for alarm in of_type("AWS::CloudWatch::Alarm").values()
        for dimension in alarm["Dimensions"]
    }
    for queue in of_type("AWS::SQS::Queue"):
        metric = "ApproximateNumberOfMessagesVisible" if queue.endswith("DeadLetters") else "ApproximateAgeOfOldestMessage"
        assert json.dumps({"Fn::GetAtt": [queue, "QueueName"]}) + metric in watched
    for function in of_type("AWS::Lambda::Function"):
        assert json.dumps({"Ref": function}) + "Errors" in watched


def test_every_text_parameter_is_checked_grouped_and_harmless_by_default() -> None:
    source = template()
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(source["Parameters"])
    for name, parameter in source["Parameters"].items():
        assert "Default" in parameter, name
        assert {"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter), name
        assert ("AllowedPattern" in parameter) == ("ConstraintDescription" in parameter), name


@pytest.mark.parametrize("secret", ["https://hooks.slack.com/services/T0/B0/x", "xoxb-1234 5678", "a:b"])
def test_a_webhook_address_is_refused_where_a_secrets_name_belongs(secret: str) -> None:
    for parameter in ("SlackSecretName", "WebhookSecretName"):
        assert not re.fullmatch(template()["Parameters"][parameter]["AllowedPattern"], secret)


def test_handlers_are_short_and_import_only_what_they_are_given() -> None:
    for handler in (ROOT / "functions").glob("*/app.py"):
        text = handler.read_text()
        assert len(text.splitlines()) <= 20, handler
        imports = set(re.findall(r"^from (\S+) import|^import (\S+)", text, re.MULTILINE))
        names = {first or second for first, second in imports}
        wiring = {name for name in names if name.startswith("ecr_governor.bootstrap.")}
        assert len(wiring) == 1, handler
        assert names - wiring <= {"typing", "aws_lambda_powertools.utilities.typing", "ecr_governor.observability"}
