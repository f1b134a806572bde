"""Channels that nobody has made: refused as Slack does, or made when the bot comes, as `local up` has it."""

import json
from typing import Any

from local.slack.server import BOT_TOKEN, MAIN, Slack


def called(slack: Slack, method: str, **arguments: Any) -> dict[str, Any]:
    _, text, _ = slack.call(method, json.dumps(arguments).encode(), "application/json", f"Bearer {BOT_TOKEN}")
    return dict(json.loads(text))


def test_a_channel_that_nobody_made_is_refused() -> None:
    slack = Slack()
    assert called(slack, "chat.postMessage", channel="C0NIMBUS001", text="x")["error"] == "channel_not_found"
    assert list(slack.channels) == [MAIN]


def test_a_welcoming_slack_makes_it_and_no_other() -> None:
    slack = Slack()
    slack.welcoming = True
    posted = called(slack, "chat.postMessage", channel="C0NIMBUS001", text="x")
    assert (posted["ok"], posted["channel"]) == (True, "C0NIMBUS001")
    assert called(slack, "chat.update", channel="C0NIMBUS001", ts=posted["ts"], text="y")["ok"]
    for wrong in ("nimbus", "U0NIMBUS001", "C0nimbus001", ""):
        assert called(slack, "chat.postMessage", channel=wrong, text="x")["error"] == "channel_not_found"
    assert list(slack.channels) == [MAIN, "C0NIMBUS001"]
    slack.behave("refuse", error="channel_not_found")
    assert called(slack, "chat.postMessage", channel="C0NIMBUS001", text="x")["error"] == "channel_not_found"
