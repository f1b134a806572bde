"""A Slack for one app: takes its webhook and its bot, checks them as Slack does, keeps messages in order, and can be in trouble."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import parse_qs, parse_qsl

from local.slack.files import DOWNLOAD, UPLOAD, Files
from local.slack.forms import Live
from local.slack.interaction import Interaction, Sent
from local.slack.page import render
from local.slack.validation import MAX_MESSAGE, refusal, view_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Answer = TypeVar("Answer")
Mode = Literal["ok", "slow", "down", "rate_limited", "refuse"]
MODES = ("ok", "slow", "down", "rate_limited", "refuse")
WEBHOOK = "/services/T0LOCAL000/B0LOCAL000/embeddedaws"
SERVICES = "/services/"
API = "/api/"
BOT_TOKEN = "xoxb-local-embedded-aws"  # noqa: S105 -- a dummy
SCOPES = {
    "chat.postMessage": "chat:write",
    "chat.postEphemeral": "chat:write",
    "chat.update": "chat:write",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
    "usergroups.users.list": "usergroups:read",
}
"""What a method asks of the token."""
_CHANNEL_ID = re.compile("[CG][A-Z0-9]{8,20}")
MAIN = "C0LOCAL0001"
"""The channel of the webhook."""
DEFAULT_DELAY = 2.0
POLL = 0.1
"""Seconds within which the server notices that it is to stop."""


@dataclass
class Behaviour:
    """How the next requests are met."""

    mode: Mode = "ok"
    delay: float = DEFAULT_DELAY
    retry_after: str | None = "1"
    times: int | None = None
    error: str = "internal_error"


@dataclass(frozen=True)
class Refused:
    """A message that was not taken."""

    time: str
    code: str
    reasons: list[str] = field(default_factory=list)
    body: str = ""


@dataclass
class Channel:
    """One channel. `member`: whether the bot was invited."""

    id: str
    name: str
    topic: str = ""
    member: bool = True
    archived: bool = False


class _Refusal(Exception):
    """Slack says no, by this code."""

    def __init__(self, code: str, reasons: list[str] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.reasons = reasons or [code]


class Slack:
    """One workspace with one app. `url` is the page; `webhook_url` is where messages are posted, `api_url` where its bot calls.

    With an `interaction.request_url` the page's buttons can be pressed. `scopes` are what the token may, `user_groups` who is in which.
    `welcoming`: a channel that nobody has made is made, with the bot in it, when the bot first posts to its id.
    """

    def __init__(self, port: int = 0, *, channel: str = "container-registry", app_name: str = "ECR Governor", topic: str = "") -> None:
        self.app_name = app_name
        self.channels = {MAIN: Channel(MAIN, channel, topic)}
        self.bot_token = BOT_TOKEN
        self.scopes = set(SCOPES.values())
        self.interaction = Interaction()
        self.files = Files()
        self.welcoming = False
        self.user_groups = {"S0LOCAL0001": ["U0LOCAL0002", "U0LOCAL0003"]}
        self.messages: list[dict[str, Any]] = []
        self.whispers: list[dict[str, Any]] = []
        self.refused: list[Refused] = []
        self.attempts = 0
        self._number = 0
        self._behaviour = Behaviour()
        self._lock = threading.Lock()
        self._port = port
        self._server: ThreadingHTTPServer | None = None
        self._methods: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "auth.test": lambda _: {"team": "Embedded", "user": "ecr_governor", "bot_id": "B0LOCAL000"},
            "chat.postMessage": self._post_message,
            "chat.postEphemeral": self._post_ephemeral,
            "chat.update": self._update,
            "files.getUploadURLExternal": lambda arguments: self._or_refused(self.files.announce(arguments, self.url)),
            "files.completeUploadExternal": self._complete_upload,
            "views.open": self._open,
            "usergroups.users.list": self._users_of_group,
        }

    def start(self) -> None:
        """Begin to serve on 127.0.0.1."""
        slack = self

        class Handler(_Handler):
            workspace = slack

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(POLL,), name="slack", daemon=True).start()

    def stop(self) -> None:
        """Stop serving; the messages stay."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        """The page."""
        if self._server is None:
            raise RuntimeError("not started")
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    @property
    def webhook_url(self) -> str:
        """Where messages are posted; any path below `/services/` does."""
        return self.url.rstrip("/") + WEBHOOK

    @property
    def api_url(self) -> str:
        """Where the bot calls Slack's methods."""
        return self.url.rstrip("/") + API

    @property
    def secret(self) -> str:
        """What the app is told: its token, what Slack signs with, and where Slack is."""
        signing = self.interaction.signing_secret
        return json.dumps({"bot_token": self.bot_token, "signing_secret": signing, "channel": MAIN, "api_url": self.api_url})

    @property
    def posted(self) -> list[dict[str, Any]]:
        """Messages that are no answers, as they stand now."""
        with self._lock:
            return [message for message in self.messages if message["thread_ts"] is None and not message["deleted"]]

    def replies_to(self, message: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What was answered to a message."""
        with self._lock:
            return [each for each in self.messages if each["thread_ts"] == message["ts"] and each["channel"] == message["channel"]]

    def add_channel(self, channel_id: str, name: str, topic: str = "") -> None:
        """Make a channel to which the bot is invited."""
        with self._lock:
            self.channels[channel_id] = Channel(channel_id, name, topic)

    def delete(self, ts: str) -> None:
        """Have a person delete a message. Raises LookupError."""
        with self._lock:
            found = next((message for message in self.messages if message["ts"] == ts), None)
            if found is None:
                raise LookupError(f"there is no message {ts}")
            found["deleted"] = True

    def behave(
        self,
        mode: Mode = "ok",
        *,
        delay: float = DEFAULT_DELAY,
        retry_after: str | float | None = "1",
        times: int | None = None,
        error: str = "internal_error",
    ) -> None:
        """Meet the next requests in another way: all, or as many as `times`.

        `slow` answers after `delay` seconds, `down` answers 500, `rate_limited` answers 429 with `Retry-After` as given
        (Slack sends seconds; clients have met dates, nonsense and nothing at all), `refuse` answers `ok: false` with the `error`.
        """
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}")
        with self._lock:
            self._behaviour = Behaviour(
                mode, float(delay), None if retry_after is None else str(retry_after), None if times is None else int(times), error
            )

    def clear(self) -> None:
        """Forget all messages and behave well."""
        with self._lock:
            self.messages.clear()
            self.whispers.clear()
            self.refused.clear()
            self.attempts = 0
            self._behaviour = Behaviour()

    def press(self, ts: str, action_id: str, user: str = "U0LOCAL0001") -> Sent:
        """Have a person press a button of a message or an answer; give what was sent to the app, with its answer. Raises LookupError."""
        with self._lock:
            message = next((dict(each) for each in self.messages if each["ts"] == ts and not each["deleted"]), None)
        blocks = message["payload"].get("blocks") or [] if message else []
        for number, block in enumerate(blocks):
            for element in block.get("elements", ()) if block.get("type") == "actions" else ():
                if message and element.get("action_id") == action_id:
                    return self.interaction.press(message, element, str(block.get("block_id", number)), user)
        raise LookupError(f"message {ts} has no button {action_id}")

    def export_html(self, user: str = "", *, again: bool = False) -> str:
        """The page as it is now, to be saved; as a `user` sees it with buttons to press, if the app answers them."""
        with self._lock:
            channels = [(channel.id, channel.name, channel.topic) for channel in self.channels.values()]
            messages = [dict(message) for message in self.messages]
            whispers = [dict(message) for message in self.whispers if message["user"] == user]
        live = Live(user, self.interaction.users, self.interaction.of(user)) if user and self.interaction.request_url else None
        return render(messages, channels=channels, app_name=self.app_name, live=live, again=again, whispers=whispers if live else ())

    def submitted(self, path: str, body: bytes) -> str | None:
        """Take what the page sends: a press, a form, or that one is closed. Give who did it; None for anything else."""
        given = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        user = given.get("user", "")
        if not self.interaction.request_url or user not in self.interaction.users:
            return None
        try:
            if path == "/press":
                self.press(given["ts"], given["action_id"], user)
            elif path == "/submit":
                self.interaction.submit(given["view"], given)
            elif path == "/close":
                del self.interaction.views[given["view"]]
            else:
                return None
        except LookupError:
            return None
        return user

    def receive(self, path: str, body: bytes, content_type: str) -> tuple[int, str, dict[str, str]]:
        """Take one post to a webhook: status, text and headers of the answer."""
        behaviour = self._meet()
        if behaviour.mode == "down":
            return 500, "server_error", {}
        if behaviour.mode == "rate_limited":
            return 429, "rate_limited", {} if behaviour.retry_after is None else {"Retry-After": behaviour.retry_after}
        if behaviour.mode == "refuse":
            return 403, behaviour.error, {}
        payload = _payload(body, content_type)
        with self._lock:
            if refused := refusal(payload):
                self.refused.append(Refused(_now(), refused[0], refused[1], body.decode(errors="replace")))
                return 400, refused[0], {}
            self._keep(MAIN, payload, None, webhook=path)
        return 200, "ok", {}

    def call(self, method: str, body: bytes, content_type: str, authorization: str) -> tuple[int, str, dict[str, str]]:
        """Take one call of the bot: status, JSON and headers of the answer. What is wrong with a call is told with status 200, as Slack does."""
        behaviour = self._meet()
        if behaviour.mode == "down":
            return 500, "server_error", {}
        if behaviour.mode == "rate_limited":
            headers = {} if behaviour.retry_after is None else {"Retry-After": behaviour.retry_after}
            return 429, json.dumps({"ok": False, "error": "ratelimited"}), headers
        try:
            answer = self._answer(method, body, content_type, authorization, behaviour)
        except _Refusal as refused:
            self.refused.append(Refused(_now(), refused.code, refused.reasons, body.decode(errors="replace")))
            answer = {"ok": False, "error": refused.code}
            if refused.code == "missing_scope":
                answer |= {"needed": SCOPES[method], "provided": ",".join(sorted(self.scopes))}
            if refused.reasons != [refused.code]:
                answer["response_metadata"] = {"messages": [f"[ERROR] {reason}" for reason in refused.reasons]}
        return 200, json.dumps(answer), {}

    def _answer(self, method: str, body: bytes, content_type: str, authorization: str, behaviour: Behaviour) -> dict[str, Any]:
        refused = behaviour.error if behaviour.mode == "refuse" else self._unknown(method, authorization)
        if refused:
            raise _Refusal(refused)
        arguments = _arguments(body, content_type)
        with self._lock:
            return {"ok": True, **self._methods[method](arguments)}

    def _unknown(self, method: str, authorization: str) -> str:
        """The code for a caller or a method that Slack does not know; "" for those that it knows."""
        if not authorization.startswith("Bearer "):
            return "not_authed"
        if authorization.removeprefix("Bearer ") != self.bot_token:
            return "invalid_auth"
        if method not in self._methods:
            return "unknown_method"
        return "" if SCOPES.get(method) in {None, *self.scopes} else "missing_scope"

    def _meet(self) -> Behaviour:
        with self._lock:
            self.attempts += 1
            behaviour = self._behaviour
            if behaviour.times is not None:
                behaviour.times -= 1
                if behaviour.times <= 0:
                    self._behaviour = Behaviour()
        if behaviour.mode == "slow":
            time.sleep(behaviour.delay)
        return behaviour

    def _post_message(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._channel(arguments)
        if not channel.member:
            raise _Refusal("not_in_channel")
        if channel.archived:
            raise _Refusal("is_archived")
        thread = arguments.get("thread_ts")
        if thread is not None:
            # UNCONFIRMED: by which word Slack refuses an answer to what is not there.
            self._find(str(thread), channel.id, "thread_not_found")
        payload = _message(arguments)
        message = self._keep(channel.id, payload, thread)
        return {"channel": channel.id, "ts": message["ts"], "message": payload}

    def _post_ephemeral(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        channel, user = self._channel(arguments), str(arguments.get("user", ""))
        if not channel.member:
            raise _Refusal("not_in_channel")
        if channel.archived:
            raise _Refusal("is_archived")
        if user not in self.interaction.users:
            raise _Refusal("user_not_in_channel")
        message = {**self._made(channel.id, _message(arguments), None), "user": user}
        self.whispers.append(message)
        return {"message_ts": message["ts"]}

    def _update(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        channel = self.channels.get(str(arguments.get("channel")))
        if channel is None:
            raise _Refusal("channel_not_found")
        if channel.archived:
            raise _Refusal("is_archived")
        message = self._find(str(arguments.get("ts")), channel.id)
        if message["webhook"]:
            raise _Refusal("cant_update_message")
        payload = _message(arguments, edit=True)
        if "blocks" not in payload:
            # An edit that says nothing of blocks keeps them.
            payload = {**payload, "blocks": message["payload"].get("blocks", [])}
        message["payload"], message["edited"] = payload, _now()
        message["edits"] += 1
        return {"channel": channel.id, "ts": message["ts"], "text": payload.get("text", "")}

    def _complete_upload(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        files = self._or_refused(self.files.finish(arguments))
        wanted = str(arguments.get("channel_id", ""))
        if wanted and wanted not in self.channels and not self._welcomed(wanted):
            # By its id alone: a name is none.
            raise _Refusal("channel_not_found")
        if wanted and not self.channels[wanted].member:
            raise _Refusal("not_in_channel")
        if (thread := arguments.get("thread_ts")) is not None:
            self._find(str(thread), wanted, "thread_not_found")
        for file in files:
            file.complete = True
        shown = [{"id": file.id, "name": file.name, "title": file.title, "size": file.length} for file in files]
        if wanted:
            comment = str(arguments.get("initial_comment") or "")[:MAX_MESSAGE]
            self._keep(wanted, {"text": comment, "files": shown}, thread)
        return {"files": [{"id": file.id, "title": file.title} for file in files]}

    @staticmethod
    def _or_refused(answer: Answer | str) -> Answer:
        if isinstance(answer, str):
            raise _Refusal(answer)
        return answer

    def _users_of_group(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        group = str(arguments.get("usergroup", ""))
        if group not in self.user_groups:
            raise _Refusal("no_such_subteam")
        return {"users": list(self.user_groups[group])}

    def _open(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.interaction.open(arguments)
        if isinstance(answer, str):
            raise _Refusal(answer, view_problems(arguments.get("view")) if answer == "invalid_arguments" else None)
        return answer

    def _channel(self, arguments: Mapping[str, Any]) -> Channel:
        wanted = str(arguments.get("channel", ""))
        for channel in self.channels.values():
            if wanted in {channel.id, channel.name, f"#{channel.name}"}:
                return channel
        if self._welcomed(wanted):
            return self.channels[wanted]
        raise _Refusal("channel_not_found")

    def _welcomed(self, wanted: str) -> bool:
        """Make the channel of this id if the workspace makes those that are asked for."""
        if self.welcoming and _CHANNEL_ID.fullmatch(wanted):
            self.channels[wanted] = Channel(wanted, wanted.lower())
            return True
        return False

    def _find(self, ts: str, channel: str | None = None, otherwise: str = "message_not_found") -> dict[str, Any]:
        for message in self.messages:
            if message["ts"] == ts and channel in {None, message["channel"]} and not message["deleted"]:
                return message
        raise _Refusal(otherwise)

    def _keep(self, channel: str, payload: Mapping[str, Any], thread: Any, webhook: str = "") -> dict[str, Any]:
        message = self._made(channel, payload, thread, webhook)
        self.messages.append(message)
        return message

    def _made(self, channel: str, payload: Mapping[str, Any], thread: Any, webhook: str = "") -> dict[str, Any]:
        self._number += 1
        now = datetime.now(UTC)
        return {
            "time": now.isoformat(timespec="seconds"),
            "channel": channel,
            "ts": f"{int(now.timestamp())}.{self._number:06}",
            "thread_ts": None if thread is None else str(thread),
            "payload": dict(payload),
            "edited": None,
            "edits": 0,
            "deleted": False,
            "webhook": webhook,
        }


def _message(arguments: Mapping[str, Any], *, edit: bool = False) -> dict[str, Any]:
    """What a call says, if Slack has nothing against it."""
    payload = {name: arguments[name] for name in ("text", "blocks", "attachments", "username") if name in arguments}
    if refused := refusal(payload, edit=edit):
        raise _Refusal(*refused)
    if isinstance(payload.get("text"), str):
        payload["text"] = payload["text"][:MAX_MESSAGE]
    return payload


def _arguments(body: bytes, content_type: str) -> Mapping[str, Any]:
    try:
        text = body.decode()
        if content_type.startswith("application/x-www-form-urlencoded"):
            flat: dict[str, Any] = {name: values[-1] for name, values in parse_qs(text).items()}
            return {name: json.loads(value) if name in {"blocks", "attachments", "view"} else value for name, value in flat.items()}
        arguments = json.loads(text)
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise _Refusal("invalid_json")
    return arguments


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _payload(body: bytes, content_type: str) -> Any:
    try:
        text = body.decode()
        if content_type.startswith("application/x-www-form-urlencoded"):
            text = parse_qs(text)["payload"][0]
        return json.loads(text)
    except (ValueError, KeyError):
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    workspace: Slack

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/":
            asked, users = dict(parse_qsl(query)), self.workspace.interaction.users
            user = asked.get("as") if asked.get("as") in users else next(iter(users), "")
            self._send(200, self.workspace.export_html(user or "", again="again" in asked), "text/html; charset=utf-8")
        elif path.startswith(DOWNLOAD) and (file := self.workspace.files.read(path)) and file.body is not None:
            # Never shown as a page of this address: whatever the file holds, it is somebody else's.
            name = file.name.replace('"', "")
            self._send(200, file.body, "application/octet-stream", {"Content-Disposition": f'attachment; filename="{name}"'})
        elif self.path == "/messages":
            self._send(200, json.dumps(self.workspace.messages), "application/json")
        else:
            self._send(404, "not found")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type", "")
        if self.path.startswith(API):
            status, text, headers = self.workspace.call(self.path.removeprefix(API), body, kind, self.headers.get("Authorization", ""))
            self._send(status, text, "application/json; charset=utf-8", headers)
        elif self.path.startswith(UPLOAD):
            status = self.workspace.files.take(self.path, body)
            self._send(status, f"OK - {len(body)}" if status == 200 else "no such upload")  # noqa: PLR2004
        elif self.path.startswith(SERVICES):
            status, text, headers = self.workspace.receive(self.path, body, kind)
            self._send(status, text, "text/html; charset=utf-8", headers)
        elif user := self.workspace.submitted(self.path, body):
            self._send(303, "", headers={"Location": f"/?as={user}&again=1"})
        else:
            self._send(404, "no_service")

    def _send(
        self, status: int, text: str | bytes, kind: str = "text/plain; charset=utf-8", headers: Mapping[str, str] | None = None
    ) -> None:
        body = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""
