"""The Slack on this machine refuses what Slack refuses, gets into trouble on demand and shows what it took."""

import http.client
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.slack.server import BOT_TOKEN, MAIN, Slack

Post = Callable[[Any], tuple[int, str]]


@pytest.fixture
def slack() -> Iterator[Slack]:
    slack = Slack(topic="What happens to our images")
    slack.start()
    yield slack
    slack.stop()


def request(slack: Slack, method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(slack.url.split("/")[2])
    connection.request(method, path, body, {"Content-Type": "application/json"})
    return connection.getresponse()


@pytest.fixture
def post(slack: Slack) -> Post:
    def _post(payload: Any) -> tuple[int, str]:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        answer = request(slack, "POST", "/services/T/B/x", text)
        return answer.status, answer.read().decode()

    return _post


def text(content: str, kind: str = "mrkdwn") -> dict[str, str]:
    return {"type": kind, "text": content}


def section(content: str = "x", **rest: Any) -> dict[str, Any]:
    return {"type": "section", "text": text(content), **rest}


def button(label: str = "Keep", **rest: Any) -> dict[str, Any]:
    return {"type": "button", "text": text(label, "plain_text"), **rest}


def test_takes_messages_in_order(slack: Slack, post: Post) -> None:
    assert post({"text": "one"}) == (200, "ok")
    assert post({"blocks": [section("two")]}) == (200, "ok")
    assert [message["payload"].get("text") for message in slack.messages] == ["one", None]
    assert json.loads(request(slack, "GET", "/messages").read())[0]["payload"] == {"text": "one"}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("{", "invalid_payload"),
        ("[]", "invalid_payload"),
        ({}, "no_text"),
        ({"text": ""}, "no_text"),
        ({"blocks": "x"}, "invalid_blocks"),
        ({"blocks": [section()] * 51}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": text("x" * 151, "plain_text")}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": text("x")}]}, "invalid_blocks"),
        ({"blocks": [section("")]}, "invalid_blocks"),
        ({"blocks": [section("x" * 3001)]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [text("x")] * 11}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [text("x" * 2001)]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "context", "elements": [text("x")] * 11}]}, "invalid_blocks"),
        ({"blocks": [{"type": "actions", "elements": [button("x" * 76)]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "actions", "elements": [button(style="loud")]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "actions", "elements": [button(action_id="a"), button(action_id="a")]}]}, "invalid_blocks"),
        ({"blocks": [section(block_id="b"), section(block_id="b")]}, "invalid_blocks"),
        ({"blocks": [{"type": "novel"}]}, "invalid_blocks"),
        ({"blocks": [section("x" * 2900)] * 5}, "msg_blocks_too_long"),
    ],
)
def test_refuses_what_slack_refuses(slack: Slack, post: Post, payload: Any, code: str) -> None:
    assert post(payload) == (400, code)
    assert not slack.messages
    assert slack.refused[0].reasons


def test_can_be_down_for_a_while(slack: Slack, post: Post) -> None:
    slack.behave("down", times=2)
    assert [post({"text": "x"})[0] for _ in range(3)] == [500, 500, 200]
    assert slack.attempts == 3


@pytest.mark.parametrize("value", ["30", "soon", None])
def test_can_limit_the_rate_with_any_retry_after(slack: Slack, value: str | None) -> None:
    slack.behave("rate_limited", retry_after=value)
    answer = request(slack, "POST", "/services/T/B/x", '{"text": "x"}')
    assert (answer.status, answer.getheader("Retry-After")) == (429, value)


def test_an_unknown_mode_is_an_error(slack: Slack) -> None:
    with pytest.raises(ValueError, match="mode must be one of"):
        slack.behave("odd")  # type: ignore[arg-type]


def test_the_page_shows_all_and_escapes_everything(slack: Slack, post: Post) -> None:
    hostile = "<script>alert(1)</script>"
    post(
        {
            "blocks": [
                {"type": "header", "text": text(f"Look {hostile}", "plain_text")},
                section(
                    "*bold* _it_ ~gone~ `a*b*` <https://example.com/?a=1&amp;b=2|link> :warning: <javascript:alert(1)|no> <!here> &lt;b&gt;"
                ),
                {"type": "section", "fields": [text("*Owner*\nteam-a")]},
                {"type": "actions", "elements": [button(hostile, style="danger")]},
            ]
        }
    )
    page = request(slack, "GET", "/").read().decode()
    assert "<script" not in page
    assert "javascript:" not in re.sub(r"&lt;.*?&gt;", "", page)
    for piece in (
        "<strong>bold</strong>",
        "<em>it</em>",
        "<del>gone</del>",
        "<code>a*b*</code>",
        '<a href="https://example.com/?a=1&amp;b=2"',
        "⚠️",
        "@here",
        "&lt;b&gt;",
        "&lt;script&gt;",
    ):
        assert piece in page
    assert not re.search(r'(src|href)="(?!https://example\.com|data:,|#)', page)
    assert slack.export_html() == page


def test_other_paths_are_not_webhooks(slack: Slack) -> None:
    assert request(slack, "POST", "/elsewhere", "{}").status == 404


# --- the bot ----------------------------------------------------------------------------------------------------------------------------

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(slack: Slack) -> Call:
    def _call(method: str, token: str | None = BOT_TOKEN, **arguments: Any) -> dict[str, Any]:
        headers = {"Content-Type": "application/json; charset=utf-8", **({"Authorization": f"Bearer {token}"} if token else {})}
        connection = http.client.HTTPConnection(slack.url.split("/")[2])
        connection.request("POST", f"/api/{method}", json.dumps(arguments), headers)
        answer = connection.getresponse()
        return {"status": answer.status, "retry_after": answer.getheader("Retry-After"), **json.loads(answer.read())}

    return _call


def test_a_bot_posts_answers_and_edits(slack: Slack, call: Call) -> None:
    posted = call("chat.postMessage", channel="#container-registry", text="one", blocks=[section("one")])
    assert (posted["ok"], posted["channel"]) == (True, MAIN)
    reply = call("chat.postMessage", channel=MAIN, text="and", thread_ts=posted["ts"])
    assert reply["ts"] != posted["ts"]
    assert call("chat.update", channel=MAIN, ts=posted["ts"], text="two")["ok"]
    (message,) = slack.posted
    assert (message["payload"]["text"], message["edits"]) == ("two", 1)
    assert message["payload"]["blocks"] == [section("one")], "an edit that says nothing of blocks keeps them"
    call("chat.update", channel=MAIN, ts=posted["ts"], text="three", blocks=[])
    assert slack.posted[0]["payload"]["blocks"] == []
    assert [each["payload"]["text"] for each in slack.replies_to(message)] == ["and"]
    page = request(slack, "GET", "/").read().decode()
    for piece in ("(edited)", "1 reply", "three", "and"):
        assert piece in page


def test_a_bot_is_told_what_is_wrong_as_slack_tells_it(slack: Slack, call: Call) -> None:
    ts = call("chat.postMessage", channel=MAIN, text="x")["ts"]
    slack.add_channel("C0OTHER0001", "other")
    slack.channels["C0OTHER0001"].member = False
    slack.add_channel("C0OLD000001", "old")
    slack.channels["C0OLD000001"].archived = True
    refusals = [
        (call("chat.postMessage", token=None, channel=MAIN, text="x"), "not_authed"),
        (call("chat.postMessage", token="xoxb-old", channel=MAIN, text="x"), "invalid_auth"),
        (call("chat.postMessage", channel="C0NOWHERE01", text="x"), "channel_not_found"),
        (call("chat.postMessage", channel="C0OTHER0001", text="x"), "not_in_channel"),
        (call("chat.postMessage", channel="C0OLD000001", text="x"), "is_archived"),
        (call("chat.postMessage", channel=MAIN), "no_text"),
        (call("chat.postMessage", channel=MAIN, text="x", blocks=[section("")]), "invalid_blocks"),
        (call("chat.postMessage", channel=MAIN, text="x", thread_ts="1.1"), "thread_not_found"),
        (call("chat.update", channel=MAIN, ts="1.1", text="x"), "message_not_found"),
        (call("chat.update", channel=MAIN, ts=ts, text="x" * 4001), "msg_too_long"),
        (call("chat.delete", channel=MAIN, ts=ts), "unknown_method"),
    ]
    for answer, error in refusals:
        assert (answer["status"], answer["ok"], answer["error"]) == (200, False, error)
    assert "1 to 3000 are allowed" in refusals[6][0]["response_metadata"]["messages"][0]
    slack.behave("refuse", error="token_revoked", times=1)
    assert call("chat.postMessage", channel=MAIN, text="x")["error"] == "token_revoked"
    slack.behave("rate_limited", retry_after="7", times=1)
    limited = call("chat.postMessage", channel=MAIN, text="x")
    assert (limited["status"], limited["error"], limited["retry_after"]) == (429, "ratelimited", "7")
    assert len(slack.posted) == 1


def test_what_a_person_deleted_can_be_neither_edited_nor_answered(slack: Slack, call: Call, post: Post) -> None:
    ts = call("chat.postMessage", channel=MAIN, text="x")["ts"]
    slack.delete(ts)
    assert call("chat.update", channel=MAIN, ts=ts, text="y")["error"] == "message_not_found"
    assert call("chat.postMessage", channel=MAIN, text="y", thread_ts=ts)["error"] == "thread_not_found"
    assert slack.posted == []
    assert "This message was deleted." in slack.export_html()
    with pytest.raises(LookupError):
        slack.delete("1.1")
    post({"text": "by webhook"})
    assert call("chat.update", channel=MAIN, ts=slack.posted[0]["ts"], text="y")["error"] == "cant_update_message"


def test_every_channel_is_on_the_page(slack: Slack, call: Call) -> None:
    slack.add_channel("C0PAYMENTS1", "payments-<b>", topic="Payments")
    call("chat.postMessage", channel="C0PAYMENTS1", text="for them")
    page = slack.export_html()
    assert 'href="#C0PAYMENTS1"' in page
    assert 'id="C0PAYMENTS1"' in page
    assert "payments-&lt;b&gt;" in page
