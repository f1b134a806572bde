"""The Slack on this machine refuses what Slack refuses, gets into trouble on demand and shows what it took."""

import http.client
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.slack.server import Slack

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
