"""The embedded AWS: every part of it in one process, on 127.0.0.1."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import boto3.session
from botocore.config import Config
from moto.core.base_backend import BackendDict
from werkzeug.serving import BaseWSGIServer, make_server

from local import containers, ecr, security_hub
from local.access import enforcement
from local.access.journal import Journal
from local.access.policy import Access
from local.access.roles import Roles
from local.activity import Activity
from local.clock.scheduler import Scheduler
from local.clock.virtual import VirtualClock
from local.control import Control
from local.dashboard.page import ADDRESS, Dashboards
from local.events import responses as events_api
from local.events.bus import Bus, Ports
from local.gateway import Gateway, RequestHandler
from local.lambdas import responses as lambda_api
from local.lambdas.function import FunctionConfig, Host
from local.lambdas.killing import Killing
from local.lambdas.runtime_directory import runtime_directory
from local.lambdas.service import Lambdas
from local.mail import Mail
from local.queues import store
from local.queues.mapping import Pace
from local.queues.sqs_poller import SqsPoller
from local.registry import Registry
from local.sink import Sink
from local.slack.server import Slack
from local.stack.context import Rooms
from local.stack.stack import Stack, may_invoke
from local.stack.transform import transform
from local.states import responses as states_api
from local.states.service import States
from local.trail import Trail
from local.trail import responses as trail_api
from local.workloads import Workloads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.access.journal import Authorization

HOST = "127.0.0.1"
CreateOnPushRecord = Literal["service_linked_role", "caller", "custom_role"]
SETTLE_POLL = 0.004
POLL = 0.1
"""Seconds within which the HTTP server notices that it is to stop."""


@cache
def _session() -> boto3.session.Session:
    """Give one session for all accounts of this process: it keeps the descriptions of services, which take a second to read."""
    return boto3.session.Session()


class EmbeddedAws:
    """An AWS account on this machine. There is one in a process, since moto's store and the clock are the process's.

    Clients use `endpoint` with any dummy credentials. `state_dir` keeps the Lambda runtime between runs. `concurrency` is how many
    processes a function has; `untyped_timeouts` is explained at `States`.
    """

    def __init__(
        self,
        port: int = 0,
        start_time: datetime | None = None,
        account: str = "123456789012",
        region: str = "eu-west-1",
        *,
        create_on_push_record: CreateOnPushRecord = "service_linked_role",
        state_dir: Path | None = None,
        strict_sources: bool = False,
        pace: Pace | None = None,
        concurrency: int = 1,
        recycle_on_jump: bool = False,
        untyped_timeouts: bool = False,
    ) -> None:
        self.account = account
        self.region = region
        self.pace = pace or Pace()
        self._port = port
        self._state_dir = state_dir or Path(__file__).resolve().parents[1] / ".build"
        self._recycle_on_jump = recycle_on_jump
        self.activity = Activity()
        self.clock = VirtualClock(start_time)
        self.authorizations = Journal()
        self.lambdas = Lambdas(self.activity, retry_delay=self.pace.retry_delay, concurrency=concurrency)
        self.killing = Killing(self.lambdas)
        self.states = States(
            account,
            region,
            self.activity,
            self.lambdas,
            self._decide_for_role,
            longest_pause=self.pace.retry_delay,
            untyped_timeouts=untyped_timeouts,
        )
        self.scheduler = Scheduler(self.activity)
        ports = Ports(self.lambdas.invoke_async, self._may_invoke, self._allowed_by_role)
        self.bus = Bus(account, region, self.activity, ports, strict_sources=strict_sources)
        self.trail = Trail(self._publish, create_on_push_record=create_on_push_record)
        self.registry = Registry(0, account=account, region=region)
        self.slack = Slack()
        self.mail = Mail(account, region, self.clock)
        self.sink = Sink()
        self.workloads = Workloads(account, region)
        self.stack: Stack | None = None
        self.stopped = threading.Event()
        self._moving = threading.Lock()
        self._function_writes = 0
        self._clients: dict[str, Any] = {}
        self._session = _session()
        self._server: BaseWSGIServer | None = None
        self._rooms: Rooms | None = None
        self._undo: list[Callable[[], None]] = []
        self._reported: dict[str, Any] = {}
        self.roles: Roles | None = None

    @property
    def endpoint(self) -> str:
        """Where the account's APIs answer."""
        if self._server is None:
            raise RuntimeError("not started")
        return f"http://{HOST}:{self._server.server_address[1]}"

    @property
    def registry_address(self) -> str:
        """`host:port` of the container registry."""
        return str(self.registry.address)

    def start(self) -> EmbeddedAws:
        """Start with an empty account."""
        for name in ("werkzeug", "moto", "botocore", "boto3"):
            logging.getLogger(name).setLevel(logging.ERROR)
        store.install()
        BackendDict.reset()
        self.clock.start()
        self.roles = Roles(self.account, self.region, self.authorizations)
        self.workloads.roles = self.roles
        self._undo.append(enforcement.install(self.roles))
        ecr.install(self.trail)
        ecr.faults.clear()
        self._undo += [
            containers.install(),
            self.mail.install(),
            security_hub.install(),
            events_api.install(self.bus),
            lambda_api.install(self.lambdas),
            states_api.install(self.states),
            trail_api.install(self.trail),
        ]
        self._server = make_server(
            HOST,
            self._port,
            Gateway(Control(self), Dashboards(self), self.killing, self.workloads),
            threaded=True,
            request_handler=RequestHandler,
        )
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        threading.Thread(target=self._server.serve_forever, args=(POLL,), name="aws-endpoint", daemon=True).start()
        self.registry.start()
        self.slack.start()
        self.bus.start()
        self.scheduler.start()
        self.clock.on_jump(self.scheduler.wake)
        self.clock.on_jump(store.announce)
        if self._recycle_on_jump:
            self.clock.on_jump(self.lambdas.recycle)
        return self

    def stop(self) -> None:
        """Stop everything; no process is left behind."""
        if self.stopped.is_set():
            return
        self.stopped.set()
        self.scheduler.stop()
        if self.stack:
            self.stack.stop()
        self.bus.stop()
        self.states.close()
        self.lambdas.close()
        self.slack.stop()
        self.sink.stop()
        self.registry.stop()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        for undo in reversed(self._undo):
            undo()
        self.clock.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def client(self, service: str) -> Any:
        """A boto3 client of a visitor: dummy credentials, no restrictions, no retries."""
        if service not in self._clients:
            connect: Any = self._session.client
            self._clients[service] = connect(
                service,
                endpoint_url=self.endpoint,
                region_name=self.region,
                aws_access_key_id="AKIALOCALVISITOR0000",
                aws_secret_access_key="local",  # noqa: S106 -- a dummy
                config=Config(retries={"total_max_attempts": 1}, inject_host_prefix=False),
            )
        return self._clients[service]

    def deploy(self, built_template: Path, parameters: Mapping[str, str] | None = None, stack_name: str = "ecr-governor") -> Stack:
        """Deploy a template that `sam build` wrote."""
        document = transform(built_template, dict(parameters or {}), self.region)
        return self.deploy_transformed(document, parameters, stack_name)

    def deploy_transformed(
        self, template: Mapping[str, Any], parameters: Mapping[str, str] | None = None, stack_name: str = "ecr-governor"
    ) -> Stack:
        """Deploy a template without SAM resources."""
        if self.stack is not None:
            raise RuntimeError("a stack is deployed already; start another embedded AWS for the next")
        if self.roles is None:
            raise RuntimeError("not started")
        rooms = Rooms(
            account=self.account,
            region=self.region,
            endpoint=self.endpoint,
            client=self.client,
            bus=self.bus,
            lambdas=self.lambdas,
            states=self.states,
            host=Host(runtime_directory(self._state_dir), self.endpoint, self.region, self._credentials, lambda: self.clock.offset),
            roles=self.roles,
            scheduler=self.scheduler,
            activity=self.activity,
            pace=self.pace,
        )
        self._rooms = rooms
        self.lambdas.send = self._send
        self.lambdas.on_logged = self._note_logging
        stack = Stack(stack_name, rooms)
        self.stack = stack
        return stack.deploy(template, parameters or {})

    # Time

    def advance(self, delta: timedelta, *, timeout: float = 60) -> dict[str, Any]:
        """Let time pass: stop at each due schedule and delayed message, let what it causes settle, go on."""
        with self._moving:
            return self._advance(delta, timeout)

    def _advance(self, delta: timedelta, timeout: float) -> dict[str, Any]:
        target = self.clock.now() + delta
        begun = time.monotonic()
        idle = self._wait_idle(timeout)
        while idle:
            due = self._next_due()
            if due is None or due > target:
                break
            self.clock.move_to(due)
            self.scheduler.fire_due(self.clock.now())
            idle = self._wait_idle(timeout)
        if idle:
            self.clock.move_to(target)
            idle = self._wait_idle(timeout)
        return self._report(begun, idle=idle)

    def _next_due(self) -> datetime | None:
        now = self.clock.now()
        times = [self.scheduler.next_due()]
        for source in self.stack.sources if self.stack else []:
            if isinstance(source, SqsPoller) and source.config.enabled and (moment := source.next_due()):
                due = datetime.fromtimestamp(moment, UTC) + timedelta(milliseconds=2)
                times.append(due if due > now else None)
        return min((moment for moment in times if moment is not None), default=None)

    # Rest

    def settle(self, timeout: float = 60) -> dict[str, Any]:
        """Wait until nothing is under way, and say what happened since the last report; `idle` is False after the timeout."""
        begun = time.monotonic()
        # While the clock is being moved there is always more to come.
        if not self._moving.acquire(timeout=timeout):
            return self._report(begun, idle=False)
        try:
            return self._report(begun, idle=self._wait_idle(timeout))
        finally:
            self._moving.release()

    def _wait_idle(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while not self._at_rest():
            if time.monotonic() > end:
                return False
            time.sleep(SETTLE_POLL)
        return True

    def _at_rest(self) -> bool:
        before = self.activity.begun
        if self.activity.running or any(source.pending() for source in (self.stack.sources if self.stack else [])):
            return False
        return self.activity.running == 0 and self.activity.begun == before

    def _busy(self) -> list[str]:
        """Say who has work under way, and before whom something waits."""
        waiting = {
            source.name: f"{source.name} ({count} in {source.config.source_arn.split(':', 5)[-1].partition('/stream/')[0]})"
            for source in (self.stack.sources if self.stack else [])
            if (count := source.pending())
        }
        return sorted({*waiting.values(), *(name for name in self.activity.busy if name not in waiting)})

    def _counters(self) -> dict[str, Any]:
        counts = self.bus.counts
        return {
            "invocations": {function.config.name: function.invocations for function in self.lambdas},
            "errors": {function.config.name: function.errors for function in self.lambdas},
            "killed": len(self.killing.done),
            "executions": dict(self.states.executions),
            "published": counts.published,
            "delivered": counts.delivered,
            "dead_lettered": counts.dead_lettered,
            "lost": len(self.bus.lost),
            "lost_on_purpose": len(self.trail.losses),
            "ecr_writes": self.trail.writes(),
            "function_writes": self._function_writes,
        }

    def _report(self, begun: float, *, idle: bool) -> dict[str, Any]:
        before, after = self._reported, self._counters()
        self._reported = after
        difference: dict[str, Any] = {}
        for key, value in after.items():
            if isinstance(value, dict):
                difference[key] = {name: count - before.get(key, {}).get(name, 0) for name, count in value.items()}
            else:
                difference[key] = value - before.get(key, 0)
        return {
            "idle": idle,
            "busy": [] if idle else self._busy(),
            **difference,
            "dlq": self._dead_letters(),
            "duration": round(time.monotonic() - begun, 3),
        }

    def _dead_letters(self) -> dict[str, int]:
        queues = store.all_queues(self.account, self.region)
        dead = {queue.dead_letter_queue.name for queue in queues.values() if queue.dead_letter_queue}
        for rule in self.bus.rules.values():
            dead |= {target.dead_letter.rsplit(":", 1)[-1] for target in rule.targets.values() if target.dead_letter}
        for function in self.lambdas:
            config: FunctionConfig = function.config
            dead |= {arn.rsplit(":", 1)[-1] for arn in (config.on_failure, config.dead_letter) if arn and ":sqs:" in arn}
        for source in self.stack.sources if self.stack else []:
            if source.config.on_failure:
                dead.add(source.config.on_failure.rsplit(":", 1)[-1])
        return {name: store.depth(queues[name]) for name in sorted(dead) if name in queues}

    def status(self) -> dict[str, Any]:
        """Everything at a glance."""
        counters = self._counters()
        return {
            "aws_endpoint": self.endpoint,
            "registry": self.registry_address,
            "slack": self.slack.url,
            "dashboard": self.endpoint + ADDRESS,
            "account": self.account,
            "region": self.region,
            "time": self.clock.now().isoformat(),
            "stack": None if self.stack is None else {"name": self.stack.name, "outputs": self.stack.outputs},
            "idle": self._at_rest(),
            **counters,
            "dlq": self._dead_letters(),
            "denied": [f"{entry.role}: {entry.action} on {entry.resource} ({entry.reason})" for entry in self.authorizations.denied()],
        }

    def function_name(self, name: str) -> str:
        """The physical name of a function, which may be given by its logical id, its name or its ARN. Raises LookupError."""
        resource = self.stack.resources.get(name) if self.stack else None
        return str(self.lambdas.get(resource.ref if resource else name).config.name)

    # What the parts need of each other

    def _publish(self, event: dict[str, Any]) -> None:
        detail = event["detail"]
        issuer = detail.get("userIdentity", {}).get("sessionContext", {}).get("sessionIssuer", {}).get("arn")
        changed = detail.get("readOnly") is False and "errorCode" not in detail
        if changed and self.stack and any(function.config.role_arn == issuer for function in self.lambdas):
            self._function_writes += 1
        self.bus.publish(event)

    def _credentials(self, config: FunctionConfig) -> Mapping[str, str]:
        if self.roles is None:
            raise RuntimeError("not started")
        return self.roles.credentials(config.role_arn, config.name)

    def _may_invoke(self, function_arn: str, service: str, source_arn: str) -> bool:
        return self._rooms is not None and may_invoke(self._rooms, function_arn, service, source_arn)

    def _allowed_by_role(self, role_arn: str, access: Access) -> bool:
        return self.roles is not None and self.roles.decide(role_arn, access).allowed

    def _decide_for_role(self, role_arn: str, access: Access) -> Authorization | None:
        return self.roles.decide(role_arn, access) if self.roles is not None and self.roles.knows(role_arn) else None

    def _send(self, arn: str, document: str, attributes: Mapping[str, str]) -> None:
        service = arn.split(":")[2]
        if service == "sqs":
            store.send(arn, document, dict(attributes))
        elif service == "lambda":
            self.lambdas.invoke_async(arn, document.encode())
        elif service == "sns":
            self.client("sns").publish(TopicArn=arn, Message=document)
        else:
            raise ValueError(f"the embedded AWS has no destination of this type: {arn}")

    def _note_logging(self, config: FunctionConfig) -> None:
        group = f"arn:aws:logs:{self.region}:{self.account}:log-group:{config.log_group}"
        if self.roles is not None:
            for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
                self.roles.decide(config.role_arn, Access(action, f"{group}:log-stream:local"))
