"""EventBridge: buses, rules, schedules."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.access.policy import Access
from local.clock.expression import InvalidSchedule, parse
from local.clock.scheduler import Schedule
from local.events.bus import EventsError
from local.queues import store
from local.stack.context import Build, Properties, Resource, Rooms
from local.stack.errors import StackError
from local.stack.resources import kind

if TYPE_CHECKING:
    from collections.abc import Callable


@kind("AWS::Events::EventBus", "Name", "Description Tags")
def event_bus(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A custom bus."""
    name = properties["Name"]
    build.rooms.bus.buses.add(name)
    return Resource(logical_id, "AWS::Events::EventBus", name, {"Arn": build.rooms.arn("events", f"event-bus/{name}"), "Name": name})


@kind("AWS::Events::Rule", "Name EventPattern ScheduleExpression State Targets EventBusName RoleArn", "Description Tags")
def rule(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A rule with its targets; a schedule is fired by the scheduler."""
    bus = build.rooms.bus
    pattern = properties.get("EventPattern")
    name = properties.get("Name") or build.name(logical_id, 64)
    expression = properties.get("ScheduleExpression")
    try:
        made = bus.put_rule(
            name,
            bus=properties.get("EventBusName"),
            pattern=None if pattern is None else pattern if isinstance(pattern, str) else json.dumps(pattern),
            schedule=expression,
            state=properties.get("State", "ENABLED"),
            role_arn=properties.get("RoleArn"),
        )
        bus.put_targets(name, properties.get("Targets", []), properties.get("EventBusName"))
        if expression:
            parsed = parse(expression)
            schedule = Schedule(made.arn, parsed, lambda due: bus.send(made, _scheduled(build.rooms, made.arn, due, "aws.events")))
            schedule.enabled = made.state != "DISABLED"
            build.rooms.scheduler.add(schedule)
    except EventsError as error:
        raise StackError(f"{logical_id}: {error.code}: {error}") from None
    except InvalidSchedule as error:
        raise StackError(f"{logical_id}: not a schedule: {error}") from None
    return Resource(logical_id, "AWS::Events::Rule", name, {"Arn": made.arn})


def _scheduled(rooms: Rooms, arn: str, due: datetime, source: str) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": source,
        "account": rooms.account,
        "time": due.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": rooms.region,
        "resources": [arn],
        "detail": {},
    }


@kind(
    "AWS::Scheduler::Schedule",
    "Name GroupName ScheduleExpression ScheduleExpressionTimezone FlexibleTimeWindow State StartDate EndDate Target",
    "Description KmsKeyArn",
)
def schedule(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A schedule of EventBridge Scheduler; with a flexible window it fires at the window's start."""
    name = properties.get("Name") or build.name(logical_id, 64)
    arn = build.rooms.arn("scheduler", f"schedule/{properties.get('GroupName', 'default')}/{name}")
    window = properties["FlexibleTimeWindow"].get("Mode")
    if window not in {"OFF", "FLEXIBLE"}:
        raise StackError(f"{logical_id}: FlexibleTimeWindow.Mode is {window!r}, not OFF or FLEXIBLE (unquoted OFF is YAML's false)")
    state = properties.get("State", "ENABLED")
    if state not in {"ENABLED", "DISABLED"}:
        raise StackError(f"{logical_id}: unknown State {state!r}")
    try:
        expression = parse(properties["ScheduleExpression"], properties.get("ScheduleExpressionTimezone", "UTC"))
    except (InvalidSchedule, LookupError) as error:
        raise StackError(f"{logical_id}: not a schedule: {error}") from None
    build.rooms.scheduler.add(
        Schedule(
            arn,
            expression,
            _firing(build.rooms, logical_id, arn, properties["Target"]),
            enabled=state == "ENABLED",
            start=_moment(properties.get("StartDate")),
            end=_moment(properties.get("EndDate")),
        )
    )
    return Resource(logical_id, "AWS::Scheduler::Schedule", name, {"Arn": arn})


@kind("AWS::Scheduler::ScheduleGroup", "Name", "Tags")
def schedule_group(build: Build, logical_id: str, properties: Properties) -> Resource:
    """A group of schedules: a name."""
    name = properties.get("Name") or build.name(logical_id, 64)
    return Resource(logical_id, "AWS::Scheduler::ScheduleGroup", name, {"Arn": build.rooms.arn("scheduler", f"schedule-group/{name}")})


def _moment(text: Any) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(str(text))
    return moment.replace(tzinfo=moment.tzinfo or UTC)


ACTIONS = {"lambda": "lambda:InvokeFunction", "sqs": "sqs:SendMessage", "states": "states:StartExecution"}
"""What a schedule's role must be allowed, by the service of its target."""
TARGET_PROPERTIES = {"Arn", "RoleArn", "Input", "RetryPolicy", "DeadLetterConfig", "SqsParameters"}


def _firing(rooms: Rooms, logical_id: str, schedule_arn: str, target: Properties) -> Callable[[datetime], None]:
    arn, role = target["Arn"], target["RoleArn"]
    if unknown := target.keys() - TARGET_PROPERTIES:
        raise StackError(f"{logical_id}: the embedded AWS does not know these target properties: {', '.join(sorted(unknown))}")
    service = arn.split(":")[2]
    if service not in ACTIONS:
        raise StackError(f"{logical_id}: the embedded AWS has no schedule target of this type: {arn}")
    dead_letter = target.get("DeadLetterConfig", {}).get("Arn")

    def fire(due: datetime) -> None:
        text = _input(rooms, schedule_arn, target, due)
        access = Access(ACTIONS[service], arn)
        error = None
        if not rooms.roles.decide(role, access).allowed:
            error = ("AccessDenied", f"{role} may not {access.action} on {arn}")
        else:
            try:
                if service == "lambda":
                    rooms.lambdas.invoke_async(arn, json.loads(text))
                elif service == "states":
                    rooms.states.start(arn, text)
                else:
                    store.send(arn, text)
            except LookupError as missing:
                error = ("ResourceNotFound", str(missing))
        if error and dead_letter and rooms.roles.decide(role, Access("sqs:SendMessage", dead_letter)).allowed:
            attributes = {
                "ERROR_CODE": error[0],
                "ERROR_MESSAGE": error[1],
                "SCHEDULE_ARN": schedule_arn,
                "TARGET_ARN": arn,
                "SCHEDULED_TIME": due.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            store.send(dead_letter, text, attributes)

    return fire


def _input(rooms: Rooms, schedule_arn: str, target: Properties, due: datetime) -> str:
    # docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    if "Input" not in target:
        return json.dumps({**_scheduled(rooms, schedule_arn, due, "aws.scheduler"), "detail": "{}"})
    text = str(target["Input"])
    for name, value in {
        "schedule-arn": schedule_arn,
        "scheduled-time": due.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "execution-id": str(uuid.uuid4()),
        "attempt-number": "1",
    }.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text
