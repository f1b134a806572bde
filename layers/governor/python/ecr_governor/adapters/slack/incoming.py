"""What Slack sends when somebody presses a button or fills in a form, by way of a Lambda function URL.

Anybody can send anything there. What is not signed with the app's own secret within five minutes has no effect, and is told nothing.
(docs.slack.dev: verifying requests from Slack, interaction payloads; Lambda developer guide: urls-invocation, payload format 2.0.)
"""

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ecr_governor.adapters.invalid import first_problem
from ecr_governor.adapters.slack.wire import Bot, SlackSecret
from ecr_governor.app.errors import Rejected
from ecr_governor.core.messages.buttons import ASK, FIELDS, MAX_REASON, MAX_TICKET
from ecr_governor.core.press import Action, Press, subject_of, unfit

logger = logging.getLogger(__name__)

SIZE_LIMIT: Final = 262_144
"""Bytes of a request. Slack sends the message along in which the button is: a tenth of this at most."""
TOLERANCE: Final = timedelta(minutes=5)
LOOK_AGAIN: Final = timedelta(minutes=1)
"""How often the secret is read again at most because a signature is wrong: it may have been replaced."""
MAX_NAME: Final = 80
_DIGITS: Final = 12
_PRESS: Final = TypeAdapter(Press)


class NotSlack(Exception):
    """A request that Slack has not signed, or not lately."""


class Broken(Exception):
    """A request that cannot be read."""


@dataclass(frozen=True, slots=True)
class FormWanted:
    """Somebody wants to ask for an exemption: the form is to be shown, for which Slack gives `trigger` and three seconds."""

    trigger: str
    press: Press


@dataclass(frozen=True, slots=True)
class FormUnfit:
    """A form was filled in and cannot be taken: why not, by field."""

    wrong: Mapping[str, str]


Incoming = Press | FormWanted | FormUnfit | None


def body_of(event: Mapping[str, Any]) -> bytes:
    """Give a request's raw body, which is what is signed. Raises Broken."""
    body = event.get("body") or ""
    if not isinstance(body, str) or len(body) > SIZE_LIMIT * 2:
        raise Broken("no body, or one that is larger than any of Slack's")
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError as error:
        raise Broken("the body is not what its encoding says") from error
    if len(raw) > SIZE_LIMIT:
        raise Broken("the body is larger than any of Slack's")
    return raw


def verify(secret: str, headers: Mapping[str, Any], body: bytes, now: datetime) -> None:
    """Make sure that Slack has signed this within the last minutes. Raises NotSlack."""
    sent, signature = str(headers.get("x-slack-request-timestamp", "")), str(headers.get("x-slack-signature", ""))
    if not secret or not (sent.isascii() and sent.isdigit() and len(sent) <= _DIGITS):
        raise NotSlack
    if abs(now.timestamp() - int(sent)) > TOLERANCE.total_seconds():
        raise NotSlack
    signed = hmac.new(secret.encode(), b":".join((b"v0", sent.encode(), body)), hashlib.sha256).hexdigest()
    # By bytes: a signature of other characters is a wrong one and no error.
    if not hmac.compare_digest(f"v0={signed}".encode(), signature.encode("utf-8", "replace")):
        raise NotSlack


class Gate:
    """Lets through what the app's own secret has signed. A secret that was replaced is read again, once a minute at most."""

    def __init__(self, secret: SlackSecret) -> None:
        self._secret = secret
        self._read_at: datetime | None = None

    def admit(self, headers: Mapping[str, Any], body: bytes, now: datetime) -> None:
        """Let a request of Slack's pass. Raises NotSlack, Undeliverable if the secret cannot be read."""
        try:
            verify(self._signing_secret(), headers, body, now)
        except NotSlack:
            if self._read_at and now - self._read_at < LOOK_AGAIN:
                raise
            self._read_at = now
            self._secret.forget()
            verify(self._signing_secret(), headers, body, now)

    def _signing_secret(self) -> str:
        bot = self._secret.current()
        if isinstance(bot, Bot) and bot.signing_secret:
            return bot.signing_secret
        logger.error("the secret holds no bot_token with a signing_secret: nothing that comes can be believed")
        return ""


class _User(BaseModel):
    id: str = Field(pattern=r"^[UW][A-Z0-9]{2,20}$")
    username: str = ""
    name: str = ""


class _Container(BaseModel):
    channel_id: str = Field("", pattern=r"^[A-Z0-9]{0,40}$")
    message_ts: str = Field("", pattern=r"^[0-9.]{0,40}$")
    thread_ts: str = Field("", pattern=r"^[0-9.]{0,40}$")


class _Pressed(BaseModel):
    action_id: str = Field(max_length=255)
    action_ts: str = Field(min_length=1, max_length=40)
    value: str = Field("", max_length=2000)


class _BlockActions(BaseModel):
    user: _User
    container: _Container = Field(default_factory=_Container)
    actions: list[_Pressed] = Field(min_length=1)
    trigger_id: str = Field("", max_length=255)


class _View(BaseModel):
    id: str = Field(min_length=1, max_length=40)
    callback_id: str = ""
    private_metadata: str = Field("", max_length=3000)
    state: dict[str, Any] = Field(default_factory=dict)


class _Submission(BaseModel):
    user: _User
    view: _View


class _Hidden(BaseModel):
    """What a form carries from the button that it was opened by to the press that it becomes."""

    model_config = ConfigDict(extra="forbid")

    value: str = Field(max_length=2000)
    channel: str = Field(pattern=r"^[A-Z0-9]{0,40}$")
    ts: str = Field(pattern=r"^[0-9.]{0,40}$")


def read(body: bytes, now: datetime) -> Incoming:
    """Read what Slack has sent, None for what we have no use for. Raises Broken."""
    try:
        payload = json.loads(parse_qs(body.decode(), max_num_fields=20)["payload"][0])
        kind = payload.get("type") if isinstance(payload, dict) else None
        if kind == "block_actions":
            return _of_button(_BlockActions.model_validate(payload), now)
        if kind == "view_submission":
            return _of_form(_Submission.model_validate(payload), now)
    except ValidationError as error:
        raise Broken(first_problem(error)) from error
    except (KeyError, ValueError, RecursionError) as error:
        raise Broken("no payload of Slack's") from error
    return None


def _of_button(sent: _BlockActions, now: datetime) -> Incoming:
    (pressed, *_), place = sent.actions, sent.container
    if pressed.action_id not in set(Action):
        # A link, or a button of an earlier release.
        return None
    identity = _identity(sent.user.id, place.channel_id, place.message_ts, pressed.action_id, pressed.action_ts)
    press = Press(
        id=identity,
        action=Action(pressed.action_id),
        by=sent.user.id,
        name=_clean(sent.user.username or sent.user.name, MAX_NAME),
        at=now,
        subject=subject_of(pressed.value),
        channel=place.channel_id,
        # An answer in a thread is answered in the thread.
        ts=place.thread_ts or place.message_ts,
    )
    return FormWanted(sent.trigger_id, press) if press.action is Action.EXEMPT else press


def hidden_of(press: Press, value: str) -> str:
    """Give what a form carries along, of at most 3,000 characters."""
    return _Hidden(value=value, channel=press.channel, ts=press.ts).model_dump_json()


def _of_form(sent: _Submission, now: datetime) -> Incoming:
    if sent.view.callback_id != ASK:
        return None
    hidden = _Hidden.model_validate_json(sent.view.private_metadata)
    subject, values = subject_of(hidden.value), sent.view.state.get("values")
    reason, ticket, until = (_filled_in(values, name) for name in FIELDS)
    try:
        day = date.fromisoformat(until) if until else None
    except ValueError:
        day = None
    if wrong := unfit(reason, day, subject.days, now):
        return FormUnfit(wrong)
    return Press(
        id=_identity(sent.user.id, sent.view.id),
        action=Action.EXEMPT,
        by=sent.user.id,
        name=_clean(sent.user.username or sent.user.name, MAX_NAME),
        at=now,
        subject=subject,
        channel=hidden.channel,
        ts=hidden.ts,
        reason=_clean(reason, MAX_REASON),
        ticket=_clean(ticket, MAX_TICKET),
        until=day,
    )


def _filled_in(values: Any, name: str) -> str:
    """What was filled in under a name, as text; "" for nothing."""
    block = values.get(name) if isinstance(values, dict) else None
    element = block.get(name) if isinstance(block, dict) else None
    found = (element.get("value") or element.get("selected_date")) if isinstance(element, dict) else None
    return found if isinstance(found, str) else ""


def _clean(text: str, limit: int) -> str:
    """Foreign text that can be written down: half of a surrogate pair cannot."""
    return text[:limit].encode("utf-8", "replace").decode()


def _identity(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def as_message(press: Press) -> str:
    """Write a press as the queue carries it: in ASCII, since SQS refuses a message with U+FFFE or U+FFFF (API reference: SendMessage)."""
    return json.dumps(_PRESS.dump_python(press, mode="json"), separators=(",", ":"))


def press_of(text: str) -> Press:
    """Read a press from the queue. Raises Rejected."""
    try:
        press = _PRESS.validate_json(text)
    except ValidationError as error:
        raise Rejected(f"no press of a button: {first_problem(error)}") from error
    return replace(press, name=press.name[:MAX_NAME])
