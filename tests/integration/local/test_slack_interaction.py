"""Buttons and forms of the Slack on this machine: signed as Slack signs, and with Slack's limits."""

import hashlib
import hmac
import http.client
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from local.slack.server import BOT_TOKEN, MAIN, Slack

ALICE, BOB = "U0LOCAL0001", "U0LOCAL0002"
FORM = {
    "type": "modal",
    "callback_id": "ask",
    "private_metadata": "kept",
    "title": {"type": "plain_text", "text": "Ask"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {"type": "input", "block_id": name, "label": {"type": "plain_text", "text": name}, "element": {"action_id": name, **element}}
        for name, element in (("why", {"type": "plain_text_input"}), ("until", {"type": "datepicker", "initial_date": "2027-01-01"}))
    ],
}


class App:
    """Somebody's app: keeps what it is sent, and answers what a test wants."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.status, self.answer = 200, b""
        app = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                app.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(app.status)
                self.send_header("Content-Length", str(len(app.answer)))
                self.end_headers()
                self.wfile.write(app.answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def payload(self) -> dict[str, Any]:
        return dict(json.loads(parse_qs(self.received[-1][1].decode())["payload"][0]))


@pytest.fixture
def app() -> Iterator[App]:
    app = App()
    yield app
    app.server.shutdown()
    app.server.server_close()


@pytest.fixture
def slack(app: App) -> Iterator[Slack]:
    slack = Slack()
    slack.start()
    slack.interaction.request_url = f"http://127.0.0.1:{app.server.server_address[1]}/"
    yield slack
    slack.stop()


def request(slack: Slack, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(slack.url.split("/")[2])
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.getheader("Location") or ""


def call(slack: Slack, method: str, **arguments: Any) -> dict[str, Any]:
    _, text, _ = request(
        slack, "POST", f"/api/{method}", json.dumps(arguments), Content_Type="application/json", Authorization=f"Bearer {BOT_TOKEN}"
    )
    return dict(json.loads(text))


def post(slack: Slack, **more: Any) -> str:
    button = {"type": "button", "action_id": "keep", "text": {"type": "plain_text", "text": "Keep <b>"}, "value": "v", **more}
    return str(call(slack, "chat.postMessage", channel=MAIN, text="x", blocks=[{"type": "actions", "elements": [button]}])["ts"])


def test_a_press_is_signed_over_its_raw_body_and_names_button_and_person(slack: Slack, app: App) -> None:
    ts = post(slack)
    sent = slack.press(ts, "keep", BOB)
    assert (sent.status, sent.answer) == (200, None)
    headers, body = app.received[0]
    base = f"v0:{headers['x-slack-request-timestamp']}:".encode() + body
    assert headers["x-slack-signature"] == f"v0={hmac.new(slack.interaction.signing_secret.encode(), base, hashlib.sha256).hexdigest()}"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    (action,) = app.payload["actions"]
    assert (app.payload["type"], app.payload["user"]["username"], action["value"]) == ("block_actions", "bob", "v")
    assert app.payload["container"]["message_ts"] == ts
    with pytest.raises(LookupError):
        slack.press(ts, "other")


def test_a_form_opens_once_for_whoever_pressed_and_within_the_time(slack: Slack, app: App) -> None:
    slack.press(post(slack), "keep")
    trigger = app.payload["trigger_id"]
    assert call(slack, "views.open", trigger_id="1.2.3", view=FORM)["error"] == "invalid_trigger_id"
    wrong = call(slack, "views.open", trigger_id=trigger, view={**FORM, "title": {"type": "plain_text", "text": "x" * 25}})
    assert wrong["error"] == "invalid_arguments"
    assert "1 to 24 are allowed" in wrong["response_metadata"]["messages"][0]
    assert call(slack, "views.open", trigger_id=trigger, view=FORM)["ok"]
    assert call(slack, "views.open", trigger_id=trigger, view=FORM)["error"] == "exchanged_trigger_id"
    assert slack.interaction.of(ALICE)
    assert slack.interaction.of(BOB) is None
    slack.interaction.patience = 0.3
    slack.press(post(slack), "keep")
    time.sleep(0.4)
    assert call(slack, "views.open", trigger_id=app.payload["trigger_id"], view=FORM)["error"] == "expired_trigger_id"


def test_the_page_presses_shows_the_form_with_what_is_wrong_and_closes_it(slack: Slack, app: App) -> None:
    ts = post(slack)
    page = request(slack, "GET", f"/?as={BOB}")[1]
    assert 'action="/press"' in page
    assert "<script" not in page
    assert "Keep &lt;b&gt;" in page
    pressed = request(slack, "POST", "/press", urlencode({"ts": ts, "action_id": "keep", "user": BOB}))
    assert (pressed[0], pressed[2]) == (303, f"/?as={BOB}&again=1")
    call(slack, "views.open", trigger_id=app.payload["trigger_id"], view=FORM)
    page = request(slack, "GET", f"/?as={BOB}")[1]
    assert '<dialog open class="modal">' in page
    assert 'value="2027-01-01"' in page
    assert "<dialog" not in request(slack, "GET", f"/?as={ALICE}")[1]
    view = slack.interaction.of(BOB)
    assert view is not None
    app.answer = json.dumps({"response_action": "errors", "errors": {"why": "Say <more>"}}).encode()
    request(slack, "POST", "/submit", urlencode({"view": view.id, "user": BOB, "why": "a", "until": "2027-02-03"}))
    values = app.payload["view"]["state"]["values"]
    assert (values["why"]["why"]["value"], values["until"]["until"]["selected_date"]) == ("a", "2027-02-03")
    assert app.payload["view"]["private_metadata"] == "kept"
    page = request(slack, "GET", f"/?as={BOB}")[1]
    assert "Say &lt;more&gt;" in page
    app.answer = b""
    request(slack, "POST", "/submit", urlencode({"view": view.id, "user": BOB, "why": "", "until": ""}))
    assert app.payload["view"]["state"]["values"]["why"]["why"]["value"] is None
    assert "<dialog" not in request(slack, "GET", f"/?as={BOB}")[1]


def test_what_one_person_is_told_nobody_else_sees(slack: Slack) -> None:
    told = {
        "channel": MAIN,
        "text": "for you",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "<https://a.example/x|Open it>"}}],
    }
    assert call(slack, "chat.postEphemeral", user=BOB, **told)["message_ts"]
    page = request(slack, "GET", f"/?as={BOB}")[1]
    assert "Only visible to you" in page
    assert 'href="https://a.example/x"' in page
    for other in (request(slack, "GET", f"/?as={ALICE}")[1], slack.export_html(), json.dumps(slack.messages)):
        assert "a.example" not in other
    assert call(slack, "chat.postEphemeral", user="U0NOBODY001", **told)["error"] == "user_not_in_channel"
    assert call(slack, "chat.postEphemeral", user=BOB, channel=MAIN)["error"] == "no_text"


def test_a_button_that_asks_back_does_so_before_it_presses(slack: Slack) -> None:
    plain = {"type": "plain_text", "text": "Sure?"}
    post(slack, confirm={"title": plain, "text": plain, "confirm": plain, "deny": plain})
    assert '<details class="confirm">' in request(slack, "GET", "/")[1]


def test_what_is_saved_has_nothing_to_press(slack: Slack) -> None:
    post(slack)
    assert "<form" not in slack.export_html()
    slack.interaction.request_url = ""
    assert "<form" not in request(slack, "GET", "/")[1]
    assert request(slack, "POST", "/press", urlencode({"ts": "1.1", "action_id": "keep", "user": BOB}))[0] == 404


@pytest.mark.parametrize("given", [{}, {"user": "U0NOBODY001"}, {"user": BOB, "ts": "1.1", "action_id": "keep"}])
def test_what_the_page_did_not_send_is_refused(slack: Slack, given: dict[str, str]) -> None:
    assert request(slack, "POST", "/press", urlencode(given))[0] == 404


def test_an_app_that_does_not_answer_in_time_is_no_answer(slack: Slack, app: App) -> None:
    app.status = 500
    assert slack.press(post(slack), "keep").status == 500
    slack.interaction.request_url = "http://127.0.0.1:9/"
    assert slack.press(post(slack), "keep").status == 0
