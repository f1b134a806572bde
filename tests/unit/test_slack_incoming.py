"""What Slack sends: believed if Slack has signed it lately, read if it is what Slack sends, and without effect otherwise."""

import base64
import hashlib
import hmac
import json
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_governor.adapters.slack.incoming import (
    SIZE_LIMIT,
    Broken,
    FormUnfit,
    FormWanted,
    Gate,
    NotSlack,
    as_message,
    body_of,
    hidden_of,
    press_of,
    read,
    verify,
)
from ecr_governor.adapters.slack.wire import SlackSecret
from ecr_governor.app.errors import Rejected, Undeliverable
from ecr_governor.core.press import Action, Press, Subject, value_of
from tests.fakes import T0

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SENT = "1531420618"
BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
"""The example that Slack publishes (docs.slack.dev: verifying requests from Slack)."""
THEN = datetime.fromtimestamp(int(SENT), UTC)
HEADERS = {"x-slack-request-timestamp": SENT, "x-slack-signature": SIGNATURE}
SUBJECT = Subject("payments/api", T0, "0123456789abcdef", 30)


def test_slacks_own_example_is_believed() -> None:
    verify(SECRET, HEADERS, BODY, THEN + timedelta(seconds=299))
    verify(SECRET, HEADERS, BODY, THEN - timedelta(seconds=299))


@pytest.mark.parametrize(
    ("secret", "headers", "body", "later"),
    [
        (SECRET, HEADERS, BODY, 301),
        (SECRET, HEADERS, BODY, -301),
        (SECRET, HEADERS, BODY + b"x", 0),
        ("another", HEADERS, BODY, 0),
        ("", HEADERS, BODY, 0),
        (SECRET, {}, BODY, 0),
        (SECRET, {**HEADERS, "x-slack-signature": ""}, BODY, 0),
        (SECRET, {**HEADERS, "x-slack-signature": SIGNATURE[:-1]}, BODY, 0),
        (SECRET, {**HEADERS, "x-slack-signature": SIGNATURE.upper()}, BODY, 0),
        (SECRET, {**HEADERS, "x-slack-signature": "v0=ß\ud800"}, BODY, 0),
        (SECRET, {**HEADERS, "x-slack-request-timestamp": "soon"}, BODY, 0),
        (SECRET, {**HEADERS, "x-slack-request-timestamp": f"{SENT},{SENT}"}, BODY, 0),
        (SECRET, {**HEADERS, "x-slack-request-timestamp": "٣٤"}, BODY, 0),
        (SECRET, {**HEADERS, "x-slack-request-timestamp": "9" * 5000}, BODY, 0),
        (SECRET, {**HEADERS, "x-slack-request-timestamp": f"-{SENT}"}, BODY, 0),
        (SECRET, {"x-slack-request-timestamp": None, "x-slack-signature": [1]}, BODY, 0),
    ],
)
def test_what_slack_has_not_signed_lately_is_not_believed(secret: str, headers: dict[str, Any], body: bytes, later: int) -> None:
    with pytest.raises(NotSlack):
        verify(secret, headers, body, THEN + timedelta(seconds=later))


@settings(deadline=None)
@given(secret=st.text(min_size=1), signature=st.text(), sent=st.text(), body=st.binary())
def test_no_header_is_an_error(secret: str, signature: str, sent: str, body: bytes) -> None:
    with pytest.raises(NotSlack):
        verify("the secret", {"x-slack-request-timestamp": sent, "x-slack-signature": signature}, body, THEN)


def test_the_raw_body_is_what_was_sent() -> None:
    assert body_of({"body": base64.b64encode(BODY).decode(), "isBase64Encoded": True}) == BODY
    assert body_of({"body": BODY.decode(), "isBase64Encoded": False}) == BODY
    assert body_of({}) == b""


@pytest.mark.parametrize(
    "event",
    [
        {"body": "?", "isBase64Encoded": True},
        {"body": "ß", "isBase64Encoded": True},
        {"body": "\ud800"},
        {"body": ["x"]},
        {"body": "x" * (SIZE_LIMIT + 1)},
        {"body": base64.b64encode(bytes(SIZE_LIMIT + 1)).decode(), "isBase64Encoded": True},
    ],
)
def test_a_body_that_cannot_be_slacks_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(Broken):
        body_of(event)


def pressed(action: str = "keep", value: str = "", **more: Any) -> dict[str, Any]:
    """What Slack sends for a button."""
    return {
        "type": "block_actions",
        "user": {"id": "U0ALICE0001", "username": "alice", "team_id": "T1"},
        "container": {"type": "message", "channel_id": "C0MAIN00001", "message_ts": "1700000000.000100"},
        "trigger_id": "1.2.3",
        "actions": [{"action_id": action, "action_ts": "1700000001.0", "type": "button", "value": value or value_of(SUBJECT)}],
        **more,
    }


def filled_in(hidden: str, reason: str, until: str | None, ticket: str | None = None) -> dict[str, Any]:
    """What Slack sends for the form."""
    values = {
        "reason": {"reason": {"type": "plain_text_input", "value": reason}},
        "ticket": {"ticket": {"type": "plain_text_input", "value": ticket}},
        "until": {"until": {"type": "datepicker", "selected_date": until}},
    }
    view = {"id": "V1", "callback_id": "exempt", "private_metadata": hidden, "state": {"values": values}}
    return {"type": "view_submission", "user": {"id": "U0ALICE0001", "name": "alice"}, "view": view}


def sent(payload: Any) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


def test_a_press_says_who_pressed_what_where() -> None:
    press = read(sent(pressed()), T0)
    assert isinstance(press, Press)
    assert (press.action, press.by, press.name, press.subject) == (Action.KEEP, "U0ALICE0001", "alice", SUBJECT)
    assert (press.channel, press.ts, press.at) == ("C0MAIN00001", "1700000000.000100", T0)
    assert press_of(as_message(press)) == press
    again = read(sent(pressed()), T0 + timedelta(seconds=9))
    assert isinstance(again, Press)
    assert again.id == press.id, "the same press has the same identity"
    other = pressed()
    other["actions"][0]["action_ts"] = "1700000002.0"
    second = read(sent(other), T0)
    assert isinstance(second, Press)
    assert second.id != press.id


def test_in_a_thread_it_is_answered_in_the_thread() -> None:
    place = {"channel_id": "C0MAIN00001", "message_ts": "2.0", "thread_ts": "1.0"}
    press = read(sent(pressed("confirm", container=place)), T0)
    assert isinstance(press, Press)
    assert press.ts == "1.0"


def test_the_form_carries_what_the_button_was_shown_for() -> None:
    about = Subject("payments/api", T0, days=180, rules=("naming",))
    wanted = read(sent(pressed("exempt", value_of(about))), T0)
    assert isinstance(wanted, FormWanted)
    assert (wanted.trigger, wanted.press.subject) == ("1.2.3", about)
    hidden = hidden_of(wanted.press, value_of(wanted.press.subject))
    asked = read(sent(filled_in(hidden, "it is renamed in spring", "2027-03-31", "OPS-1")), T0)
    assert isinstance(asked, Press)
    assert (asked.action, asked.reason, asked.ticket, asked.until) == (
        Action.EXEMPT,
        "it is renamed in spring",
        "OPS-1",
        date(2027, 3, 31),
    )
    assert (asked.subject, asked.channel, asked.ts) == (about, wanted.press.channel, wanted.press.ts)
    assert press_of(as_message(asked)) == asked


@pytest.mark.parametrize(
    ("reason", "until", "wrong"),
    [
        ("no", "2027-03-31", {"reason"}),
        ("          x", "2027-03-31", {"reason"}),
        ("it is renamed in spring", "2026-11-01", {"until"}),
        ("it is renamed in spring", "2027-06-01", {"until"}),
        ("it is renamed in spring", None, {"until"}),
        ("it is renamed in spring", "soon", {"until"}),
        ("", None, {"reason", "until"}),
    ],
)
def test_a_form_that_cannot_be_taken_says_why_by_field(reason: str, until: str | None, wrong: set[str]) -> None:
    about = Subject("payments/api", T0, days=180, rules=("naming",))
    wanted = read(sent(pressed("exempt", value_of(about))), T0)
    assert isinstance(wanted, FormWanted)
    unfit = read(sent(filled_in(hidden_of(wanted.press, value_of(about)), reason, until)), T0)
    assert isinstance(unfit, FormUnfit)
    assert unfit.wrong.keys() == wrong


@pytest.mark.parametrize("payload", [{"type": "shortcut"}, {}, pressed("delete_now"), [], "x", 7, None])
def test_what_we_have_no_use_for_is_left_alone(payload: Any) -> None:
    assert read(sent(payload), T0) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=",
        b"payload={",
        b"\xff\xfe",
        b"payload=" + b"[" * 100_000,
        b"&".join(b"a=1" for _ in range(50)),
        sent({"type": "block_actions"}),
        sent(pressed(user={"id": "<!channel>"})),
        sent(pressed(actions=[])),
        sent(pressed(value="{}" * 2000)),
        sent(pressed(value="[]")),
        sent(pressed(value='{"r": "../x"}')),
        sent(pressed(value='{"r": "payments/api", "b": "2026-11-02T09:00:00"}')),
        sent(pressed(value='{"r": "payments/api", "d": 366}')),
        sent(pressed(value='{"r": "payments/api", "d": true}')),
        sent(pressed(value='{"r": 1}')),
        sent(filled_in("{}", "it is renamed in spring", "2027-01-01")),
        sent(filled_in("", "it is renamed in spring", "2027-01-01")),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(Broken):
        read(body, T0)


@settings(deadline=None)
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_no_payload_is_an_error(odd: Any) -> None:
    for payload in (odd, {"type": "block_actions", "user": odd}, {**pressed(), "actions": odd}, pressed(container=odd)):
        with suppress(Broken):
            read(sent(payload), T0)


@settings(deadline=None)
@given(name=st.text(), reason=st.text(min_size=10), ticket=st.text())
def test_any_text_of_a_person_reaches_the_queue_and_comes_back(name: str, reason: str, ticket: str) -> None:
    press = Press("1", Action.EXEMPT, "U0ALICE0001", name[:80], T0, SUBJECT, "C", "1.0", reason, ticket, date(2027, 1, 1))
    carried = as_message(press)
    assert carried.isascii(), "SQS refuses U+FFFE and U+FFFF"
    assert carried.isprintable()
    assert press_of(carried) == press


def test_half_a_character_is_replaced() -> None:
    press = read(sent(pressed(user={"id": "U0ALICE0001", "username": "a\ud800"})), T0)
    assert isinstance(press, Press)
    assert press_of(as_message(press)).name == "a?"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"id": 1}', "x" * 1000])
def test_what_is_no_press_is_rejected(text: str) -> None:
    with pytest.raises(Rejected):
        press_of(text)


def signed(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    mac = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={mac}"}


def test_any_change_of_the_body_breaks_the_signature() -> None:
    body = sent(pressed())
    headers = signed(body, SECRET, T0)
    verify(SECRET, headers, body, T0)
    for position in range(0, len(body), 40):
        with pytest.raises(NotSlack):
            verify(SECRET, headers, body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :], T0)


class Secrets:
    """A secret that somebody replaces."""

    def __init__(self, *held: str) -> None:
        self.held = list(held)
        self.reads = 0

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803 - AWS's parameter
        self.reads += 1
        return {"SecretString": self.held[0]}


def bot(signing: str) -> str:
    return json.dumps({"bot_token": "xoxb-x", "signing_secret": signing})


def test_a_signing_secret_that_was_replaced_is_read_again_and_not_for_every_stranger() -> None:
    secrets, body = Secrets(bot("old")), sent(pressed())
    gate = Gate(SlackSecret(secrets, "slack"))  # type: ignore[arg-type]
    gate.admit(signed(body, "old", T0), body, T0)
    assert secrets.reads == 1
    for second in range(50):
        with pytest.raises(NotSlack):
            gate.admit(signed(body, "a stranger's", T0), body, T0 + timedelta(seconds=second))
    assert secrets.reads == 2
    secrets.held = [bot("new")]
    later = T0 + timedelta(seconds=61)
    gate.admit(signed(body, "new", later), body, later)
    assert secrets.reads == 3
    with pytest.raises(NotSlack):
        gate.admit(signed(body, "old", later), body, later)


@pytest.mark.parametrize("held", [json.dumps({"bot_token": "xoxb-x"}), "https://hooks.slack.com/services/T/B/x", bot("")])
def test_without_a_signing_secret_nobody_is_believed(held: str) -> None:
    body = sent(pressed())
    gate = Gate(SlackSecret(Secrets(held), "slack"))  # type: ignore[arg-type]
    with pytest.raises(NotSlack):
        gate.admit(signed(body, "", T0), body, T0)


def test_a_secret_that_cannot_be_read_is_trouble_and_no_verdict() -> None:
    with pytest.raises(Undeliverable):
        Gate(SlackSecret(Secrets("{}"), "slack")).admit({}, b"", T0)  # type: ignore[arg-type]
