"""Buttons and forms: what Slack sends to an app when somebody presses one, signed as Slack signs it, and the forms that the app opens.

docs.slack.dev: verifying requests from Slack; block_actions and view_submission payloads; views.open; modals.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from local.slack.validation import view_problems

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = 3.0
"""Seconds that Slack waits for an app, and that a trigger lasts."""
SIGNING_SECRET = "local0signing0secret0of0embedded"  # noqa: S105 -- a dummy
USERS = {"U0LOCAL0001": "alice", "U0LOCAL0002": "bob", "U0LOCAL0003": "carol"}


@dataclass
class View:
    """A form that is open for somebody. `errors` are what the app has against what was filled in, by block."""

    id: str
    user: str
    document: Mapping[str, Any]
    errors: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Trigger:
    user: str
    ends: float
    used: bool = False


@dataclass(frozen=True)
class Sent:
    """One request to the app: its body and headers as they were sent, and the app's answer; status 0 for none in time."""

    body: bytes
    headers: Mapping[str, str]
    status: int
    answer: Any


class Interaction:
    """The interactive side of one app. Without a `request_url` there is none: buttons do nothing.

    `patience` may be longer than Slack's, for a machine that is slower than Lambda.
    """

    def __init__(self) -> None:
        self.request_url = ""
        self.signing_secret = SIGNING_SECRET
        self.patience = PATIENCE
        self.users = dict(USERS)
        self.views: dict[str, View] = {}
        self.sent: list[Sent] = []
        self._triggers: dict[str, _Trigger] = {}
        self._number = 0
        self._lock = threading.Lock()

    def press(self, message: Mapping[str, Any], element: Mapping[str, Any], block_id: str, user: str) -> Sent:
        """Send the press of a button by a person to the app."""
        number = self._next()
        trigger = f"{number}.0.local"
        self._triggers[trigger] = _Trigger(user, time.monotonic() + self.patience)
        thread = {"thread_ts": message["thread_ts"]} if message["thread_ts"] else {}
        place = {"type": "message", "message_ts": message["ts"], "channel_id": message["channel"], "is_ephemeral": False}
        pressed = {name: element[name] for name in ("action_id", "text", "value", "style", "type") if name in element}
        return self._send(
            {
                "type": "block_actions",
                "user": self._user(user),
                "api_app_id": "A0LOCAL000",
                "container": {**place, **thread},
                "trigger_id": trigger,
                "team": {"id": "T0LOCAL000", "domain": "embedded"},
                "is_enterprise_install": False,
                "channel": {"id": message["channel"], "name": "channel"},
                "message": {"type": "message", "ts": message["ts"], **thread, **message["payload"]},
                "state": {"values": {}},
                "response_url": "https://hooks.slack.com/actions/T0LOCAL000/0/0",
                "actions": [{**pressed, "block_id": block_id, "action_ts": f"{int(time.time())}.{number:06}"}],
            }
        )

    def open(self, arguments: Mapping[str, Any]) -> str | dict[str, Any]:
        """Answer `views.open`: the view, or Slack's word for what is wrong."""
        trigger = self._triggers.get(str(arguments.get("trigger_id")))
        if trigger is None:
            # UNCONFIRMED: by which word Slack refuses a trigger that it never gave.
            return "invalid_trigger_id"
        if trigger.used:
            return "exchanged_trigger_id"
        if time.monotonic() > trigger.ends:
            return "expired_trigger_id"
        if view_problems(arguments.get("view")):
            return "invalid_arguments"
        trigger.used = True
        view = View(f"V{self._next():010}", trigger.user, arguments["view"])
        self.views[view.id] = view
        return {"view": {"id": view.id, **view.document}}

    def submit(self, view_id: str, values: Mapping[str, str]) -> Sent:
        """Send what was filled in to the app; the form closes unless the app has something against it. Raises LookupError."""
        view = self.views[view_id]
        view.values = dict(values)
        filled: dict[str, Any] = {}
        for block in view.document["blocks"]:
            if block["type"] == "input":
                element, text = block["element"], values.get(block["block_id"]) or None
                key = "selected_date" if element["type"] == "datepicker" else "value"
                filled[block["block_id"]] = {element["action_id"]: {"type": element["type"], key: text}}
        held = {name: view.document.get(name, "") for name in ("type", "callback_id", "private_metadata", "title")}
        sent = self._send(
            {
                "type": "view_submission",
                "user": self._user(view.user),
                "api_app_id": "A0LOCAL000",
                "team": {"id": "T0LOCAL000", "domain": "embedded"},
                "trigger_id": f"{self._next()}.0.local",
                "view": {"id": view.id, **held, "state": {"values": filled}, "hash": f"{int(time.time())}.local"},
                "response_urls": [],
            }
        )
        view.errors = {}
        if isinstance(sent.answer, dict) and sent.answer.get("response_action") == "errors":
            view.errors = sent.answer["errors"]
        elif sent.status == 200:  # noqa: PLR2004
            del self.views[view.id]
        return sent

    def of(self, user: str) -> View | None:
        """The form that a person looks at."""
        return next((view for view in reversed(list(self.views.values())) if view.user == user), None)

    def _user(self, user: str) -> dict[str, str]:
        name = self.users.get(user, user.lower())
        return {"id": user, "username": name, "name": name, "team_id": "T0LOCAL000"}

    def _next(self) -> int:
        with self._lock:
            self._number += 1
            return self._number

    def _send(self, payload: Mapping[str, Any]) -> Sent:
        body = urlencode({"payload": json.dumps(payload)}).encode()
        stamp = str(int(time.time()))
        signature = hmac.new(self.signing_secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={signature}",
        }
        request = urllib.request.Request(self.request_url, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=self.patience) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        except OSError:
            status, text = 0, b""
        try:
            document = json.loads(text) if text else None
        except ValueError:
            document = None
        sent = Sent(body, headers, status, document)
        self.sent.append(sent)
        return sent
