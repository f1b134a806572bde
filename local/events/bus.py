"""Event buses: from an event to the rules that want it and on to their targets."""

from __future__ import annotations

import json
import queue
import threading
import uuid
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.access.policy import Access, evaluate, parsed
from local.events.inputs import input_for
from local.events.pattern import CompiledPattern, InvalidEventPattern
from local.events.rules import DEFAULT_BUS, MAX_TARGETS, STATES, Rule, Target
from local.queues import store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.activity import Activity

HISTORY = 10_000
BUSY = "the event bus"
"""Whose work a delivery is."""
SERVICE = "events.amazonaws.com"
PERMISSION = "NO_PERMISSIONS"
MISSING = "RESOURCE_NOT_FOUND"


class EventsError(Exception):
    """A refusal with the code that the service gives it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Lost:
    """An event that reached neither its target nor a dead-letter queue."""

    rule: str
    target: str
    code: str
    event: Mapping[str, Any]


class Failure(Exception):
    """A hand-over that did not succeed."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable


@dataclass
class Ports:
    """What delivery needs of the other services."""

    invoke_async: Callable[[str, Any], None]
    may_invoke: Callable[[str, str, str], bool]
    """(function ARN, service, source ARN): whether the function's resource policy lets the service invoke it."""
    allowed_by_role: Callable[[str, Access], bool]


@dataclass
class Delivery:
    """One event on its way from one rule to one target."""

    rule: Rule
    target: Target
    event: dict[str, Any]
    attempts: int = 0


@dataclass
class Counts:
    """What went through the bus."""

    published: int = 0
    delivered: int = 0
    dead_lettered: int = 0
    by_rule: Counter[str] = field(default_factory=Counter)


class Bus:
    """All event buses of one account and Region.

    `aws.*` sources are accepted from anybody, because whoever tests against the embedded AWS must be able to send what
    CloudTrail sends; `strict_sources` gives AWS's refusal (`NotAuthorizedForSourceException` for the entry).
    A failed hand-over that may be retried is retried after `retry_delay` seconds.
    """

    def __init__(
        self, account: str, region: str, activity: Activity, ports: Ports, *, strict_sources: bool = False, retry_delay: float = 0.05
    ) -> None:
        self.account = account
        self.region = region
        self.strict_sources = strict_sources
        self.refuse_puts = False
        self.history: deque[dict[str, Any]] = deque(maxlen=HISTORY)
        self.lost: deque[Lost] = deque(maxlen=HISTORY)
        self.counts = Counts()
        self.buses = {DEFAULT_BUS}
        self.rules: dict[tuple[str, str], Rule] = {}
        self._activity = activity
        self._ports = ports
        self._retry_delay = retry_delay
        self._faults: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self._deliveries: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-bus", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Stop delivering."""
        self._stopping.set()
        self._deliveries.put(None)

    # Rules

    def bus_name(self, name_or_arn: str | None) -> str:
        """The bus that a name or ARN means; ResourceNotFoundException if there is none."""
        name = (name_or_arn or DEFAULT_BUS).rsplit("/", 1)[-1]
        if name not in self.buses:
            raise EventsError("ResourceNotFoundException", f"Event bus {name} does not exist.")
        return name

    def rule_arn(self, bus: str, name: str) -> str:
        """A rule's ARN; the default bus is not named in it."""
        path = name if bus == DEFAULT_BUS else f"{bus}/{name}"
        return f"arn:aws:events:{self.region}:{self.account}:rule/{path}"

    def put_rule(
        self,
        name: str,
        *,
        bus: str | None = None,
        pattern: str | None = None,
        schedule: str | None = None,
        state: str = "ENABLED",
        description: str | None = None,
        role_arn: str | None = None,
    ) -> Rule:
        """Make a rule or change it, keeping its targets."""
        where = self.bus_name(bus)
        if state not in STATES:
            raise EventsError("ValidationException", f"Value '{state}' at 'state' failed to satisfy constraint: one of {list(STATES)}")
        if not pattern and not schedule:
            raise EventsError("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
        if schedule and where != DEFAULT_BUS:
            raise EventsError("ValidationException", "ScheduleExpression is supported only on the default event bus.")
        compiled = None
        if pattern:
            try:
                compiled = CompiledPattern(json.loads(pattern))
            except ValueError as error:
                raise EventsError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {error}") from None
            except InvalidEventPattern as error:
                raise EventsError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {error.reason}") from None
        existing = self.rules.get((where, name))
        rule = Rule(
            name,
            self.rule_arn(where, name),
            where,
            pattern,
            compiled,
            schedule,
            state,
            description,
            role_arn,
            existing.targets if existing else {},
        )
        self.rules[where, name] = rule
        return rule

    def rule(self, name: str, bus: str | None = None) -> Rule:
        """The rule of that name."""
        try:
            return self.rules[self.bus_name(bus), name]
        except KeyError:
            raise EventsError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus {bus or DEFAULT_BUS}.") from None

    def delete_rule(self, name: str, bus: str | None = None) -> None:
        """Remove a rule without targets; deleting what is not there is no error."""
        where = self.bus_name(bus)
        rule = self.rules.get((where, name))
        if rule and rule.targets:
            raise EventsError("ValidationException", "Rule can't be deleted since it has targets.")
        self.rules.pop((where, name), None)

    def put_targets(self, rule_name: str, targets: list[Mapping[str, Any]], bus: str | None = None) -> None:
        """Add or replace targets."""
        rule = self.rule(rule_name, bus)
        added = {}
        for settings in targets:
            arn = str(settings["Arn"])
            if not arn.startswith(("arn:aws:sqs:", "arn:aws:lambda:")):
                raise EventsError("ValidationException", f"the embedded AWS has no target of this type: {arn}")
            rest = {key: value for key, value in settings.items() if key not in {"Id", "Arn"}}
            if unknown := rest.keys() - TARGET_SETTINGS:
                raise EventsError("ValidationException", f"the embedded AWS does not know these target settings: {sorted(unknown)}")
            if sum(key in rest for key in ("Input", "InputPath", "InputTransformer")) > 1:
                raise EventsError(
                    "ValidationException",
                    f"Only one of Input, InputPath, or InputTransformer must be provided for target {settings['Id']}.",
                )
            added[str(settings["Id"])] = Target(str(settings["Id"]), arn, rest)
        merged = {**rule.targets, **added}
        if len(merged) > MAX_TARGETS:
            raise EventsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
        rule.targets = merged

    def remove_targets(self, rule_name: str, ids: list[str], bus: str | None = None) -> None:
        """Take targets off a rule."""
        rule = self.rule(rule_name, bus)
        rule.targets = {name: target for name, target in rule.targets.items() if name not in ids}

    # Events

    def publish(self, event: Mapping[str, Any], bus: str | None = None) -> str:
        """Put a whole event on a bus, as AWS services do; what the envelope lacks is added. Returns its id."""
        where = self.bus_name(bus)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        envelope: dict[str, Any] = {
            "version": event.get("version", "0"),
            "id": event.get("id") or str(uuid.uuid4()),
            "detail-type": event["detail-type"],
            "source": event["source"],
            "account": event.get("account", self.account),
            "time": event.get("time") or now,
            "region": event.get("region", self.region),
            "resources": list(event.get("resources") or []),
            "detail": event["detail"],
            **({"replay-name": event["replay-name"]} if "replay-name" in event else {}),
        }
        self.counts.published += 1
        for rule in list(self.rules.values()):
            if rule.bus == where and rule.wants(envelope):
                self.send(rule, envelope)
        return str(envelope["id"])

    def send(self, rule: Rule, event: dict[str, Any]) -> None:
        """Send an event to all targets of a rule, whether or not it matches (schedules do)."""
        rule.matched += 1
        self.counts.by_rule[rule.name] += 1
        for target in rule.targets.values():
            self._activity.begin(BUSY)
            self._deliveries.put(Delivery(rule, target, event))

    def put_events(self, entries: list[Mapping[str, Any]]) -> list[dict[str, str]]:
        """The `PutEvents` of a client: one result for each entry; none is taken while `refuse_puts` is set, as in a bad minute of AWS."""
        if self.refuse_puts:
            return [{"ErrorCode": "InternalFailure", "ErrorMessage": "Unexpected error occurred"} for _ in entries]
        return [self._put_entry(entry) for entry in entries]

    def _put_entry(self, entry: Mapping[str, Any]) -> dict[str, str]:
        for name in ("Source", "DetailType", "Detail"):
            if not entry.get(name):
                return {
                    "ErrorCode": "InvalidArgument",
                    "ErrorMessage": f"Parameter {name} is not valid. Reason: {name} is a required argument.",
                }
        source = str(entry["Source"])
        if self.strict_sources and source.startswith("aws."):
            return {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
        try:
            detail = json.loads(str(entry["Detail"]))
        except ValueError:
            detail = None
        if not isinstance(detail, dict):
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
        moment = entry.get("Time")
        event = {
            "detail-type": entry["DetailType"],
            "source": source,
            "resources": entry.get("Resources", []),
            "detail": detail,
            "time": datetime.fromtimestamp(float(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None,
        }
        try:
            identifier = self.publish(event, entry.get("EventBusName"))
        except EventsError as error:
            # PutEvents accepts events for a bus that is not there and drops them.
            if error.code != "ResourceNotFoundException":
                raise
            identifier = str(uuid.uuid4())
        self.history.append({**event, "id": identifier, "bus": entry.get("EventBusName") or DEFAULT_BUS})
        return {"EventId": identifier}

    # Delivery

    def fail_deliveries(self, target_arn: str, times: int, code: str = "THROTTLING") -> None:
        """Let the next hand-overs to a target fail in a way that is retried."""
        with self._lock:
            self._faults.setdefault(target_arn, []).extend([code] * times)

    def _run(self) -> None:
        while (delivery := self._deliveries.get()) is not None:
            try:
                again = self._deliver(delivery)
            except Exception as error:  # noqa: BLE001 -- the bus goes on whatever one delivery does
                self.lost.append(Lost(delivery.rule.name, delivery.target.arn, repr(error), delivery.event))
                again = False
            if again:
                threading.Timer(self._retry_delay, self._deliveries.put, [delivery]).start()
            else:
                self._activity.end(BUSY)

    def _deliver(self, delivery: Delivery) -> bool:
        """Try once; True if it is to be tried again."""
        rule, target = delivery.rule, delivery.target
        try:
            with self._lock:
                faults = self._faults.get(target.arn)
                fault = faults.pop(0) if faults else None
            if fault:
                raise Failure(fault, "injected", retryable=True)  # noqa: TRY301 -- injected failures take the way of real ones
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            self._hand_over(rule, target, input_for(delivery.event, rule, target, now))
        except Failure as failure:
            if failure.retryable and delivery.attempts < target.max_retries and not self._stopping.is_set():
                delivery.attempts += 1
                return True
            self._dead_letter(delivery, failure)
        else:
            self.counts.delivered += 1
        return False

    def _hand_over(self, rule: Rule, target: Target, text: str) -> None:
        role = target.settings.get("RoleArn")
        if target.arn.startswith("arn:aws:lambda:"):
            if not (
                self._ports.allowed_by_role(role, Access("lambda:InvokeFunction", target.arn))
                if role
                else self._ports.may_invoke(target.arn, SERVICE, rule.arn)
            ):
                raise Failure(PERMISSION, f"{SERVICE} may not invoke {target.arn} for {rule.arn}")
            try:
                self._ports.invoke_async(target.arn, json.loads(text))
            except LookupError:
                raise Failure(MISSING, f"Function not found: {target.arn}") from None
            except ValueError:
                raise Failure("INVALID_JSON", "the input for the target is not JSON") from None
            return
        if role:
            if not self._ports.allowed_by_role(role, Access("sqs:SendMessage", target.arn)):
                raise Failure(PERMISSION, f"{role} may not send to {target.arn}")
        else:
            self._require_queue_policy(target.arn, rule.arn)
        try:
            store.send(target.arn, text)
        except KeyError:
            raise Failure(MISSING, f"Queue not found: {target.arn}") from None

    def _require_queue_policy(self, queue_arn: str, rule_arn: str) -> None:
        try:
            policy = store.queue_of(queue_arn).policy
        except KeyError:
            raise Failure(MISSING, f"Queue not found: {queue_arn}") from None
        access = Access(
            "sqs:SendMessage",
            queue_arn,
            {
                "aws:SourceArn": (rule_arn,),
                "aws:SourceAccount": (self.account,),
                "aws:SecureTransport": ("true",),
                "aws:PrincipalIsAWSService": ("true",),
            },
            frozenset({f"Service:{SERVICE}"}),
        )
        if policy is None or not evaluate([parsed(policy)], access).allowed:
            raise Failure(PERMISSION, f"the policy of {queue_arn} does not let {SERVICE} send for {rule_arn}")

    def _dead_letter(self, delivery: Delivery, failure: Failure) -> None:
        rule, target = delivery.rule, delivery.target
        attributes = {
            "RULE_ARN": rule.arn,
            "TARGET_ARN": target.arn,
            "ERROR_CODE": failure.code,
            "ERROR_MESSAGE": failure.message,
        }
        if failure.retryable:
            attributes |= {"EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts", "RETRY_ATTEMPTS": str(delivery.attempts)}
        code = failure.code
        if target.dead_letter:
            try:
                self._require_queue_policy(target.dead_letter, rule.arn)
                store.send(target.dead_letter, json.dumps(delivery.event), attributes)
            except Failure as second:
                code = f"{code}, then {second.code} at the dead-letter queue"
            else:
                self.counts.dead_lettered += 1
                return
        self.lost.append(Lost(rule.name, target.arn, code, delivery.event))


TARGET_SETTINGS = {"Input", "InputPath", "InputTransformer", "RetryPolicy", "DeadLetterConfig", "RoleArn", "SqsParameters"}
