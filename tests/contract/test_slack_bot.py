"""The bot on the Slack of this machine, which refuses what Slack refuses: files, groups, and what one person alone is told."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from ecr_governor.adapters.slack.bot import SlackBot
from ecr_governor.adapters.slack.chat import SlackChat
from ecr_governor.adapters.slack.webhook import SlackWebhook
from ecr_governor.adapters.slack.wire import SlackSecret
from ecr_governor.app.errors import Undeliverable, UploadRefused
from ecr_governor.core.conversation import Attachment
from local.slack.server import MAIN, Slack

PAGE = Attachment('the "report".html', "<b>Weekly</b> report", "<!doctype html><p>日本".encode() * 1000)


class Secrets:
    """Secrets Manager, with one secret."""

    def __init__(self, text: str) -> None:
        self.text = text

    def get_secret_value(self, **_: Any) -> dict[str, str]:
        return {"SecretString": self.text}


@pytest.fixture
def slack() -> Iterator[Slack]:
    slack = Slack()
    slack.start()
    yield slack
    slack.stop()


@pytest.fixture
def bot(slack: Slack) -> SlackBot:
    return SlackBot(SlackSecret(Secrets(slack.secret), "slack"))  # type: ignore[arg-type]


@pytest.fixture
def chat(slack: Slack, bot: SlackBot) -> SlackChat:
    secret = SlackSecret(Secrets(slack.secret), "slack")  # type: ignore[arg-type]
    return SlackChat(secret, SlackWebhook(secret), bot, lambda: 60.0)


def get(address: str) -> Any:
    return urllib.request.urlopen(address)


def test_a_file_stands_in_the_channel_with_its_comment_and_can_be_downloaded(slack: Slack, chat: SlackChat) -> None:
    slack.interaction.request_url = "http://127.0.0.1:9/"
    chat.attach(PAGE, "*Weekly* report")
    (message,) = slack.posted
    assert (message["channel"], message["payload"]["text"]) == (MAIN, "*Weekly* report")
    (file,) = message["payload"]["files"]
    with get(f"{slack.url}files/{file['id']}/x") as answer:
        assert answer.read() == PAGE.body
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["Content-Type"] == "application/octet-stream"
    with get(slack.url) as answer:
        page = answer.read().decode()
    assert f'href="/files/{file["id"]}/the%20%22report%22.html"' in page
    assert "&lt;b&gt;Weekly&lt;/b&gt; report" in page
    assert "href" not in slack.export_html().partition('class="file"')[2].partition("</div>")[0]


def test_without_the_scope_nothing_is_to_be_seen_and_messages_are_taken(slack: Slack, chat: SlackChat) -> None:
    slack.scopes.discard("files:write")
    with pytest.raises(UploadRefused, match="has not the scope files:write"):
        chat.attach(PAGE, "x")
    assert chat.post({"text": "a link"})
    assert [message["payload"]["text"] for message in slack.posted] == ["a link"]


def test_a_file_for_a_channel_that_is_not_there_is_refused_and_not_downloaded(slack: Slack, chat: SlackChat) -> None:
    with pytest.raises(UploadRefused, match="channel_not_found"):
        chat.attach(PAGE, "x", "C0NOBODY001")
    assert slack.posted == []
    with pytest.raises(urllib.error.HTTPError):
        get(f"{slack.url}files/{next(iter(slack.files.by_id))}/x")


def test_an_address_takes_one_file_of_the_length_that_was_said(slack: Slack, chat: SlackChat) -> None:
    chat.attach(PAGE, "x")
    (sent,) = slack.files.by_id.values()
    for address in (f"{slack.url}upload/v1/{sent.key}", f"{slack.url}upload/v1/nobody"):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(address, data=b"again")
    assert slack.files.read(f"/files/{sent.id}/x") is sent
    assert sent.body == PAGE.body
    assert slack.files.announce({"filename": "x", "length": 0}, slack.url) == "missing_argument"
    assert slack.files.finish({"files": [{"id": sent.id}]}) == "file_not_found"


def test_a_group_is_its_members_and_without_the_scope_it_is_not_known(slack: Slack, bot: SlackBot) -> None:
    assert bot.members("S0LOCAL0001", lambda: 60.0) == {"U0LOCAL0002", "U0LOCAL0003"}
    with pytest.raises(Undeliverable, match="no_such_subteam"):
        bot.members("S0NOBODY001", lambda: 60.0)
    slack.scopes.discard("usergroups:read")
    with pytest.raises(Undeliverable, match="has not the scope usergroups:read"):
        bot.members("S0LOCAL0001", lambda: 60.0)


def test_one_person_is_told_and_who_is_not_there_is_not(slack: Slack, chat: SlackChat) -> None:
    chat.whisper({"text": "for bob"}, MAIN, "U0LOCAL0002")
    assert [(each["user"], each["payload"]) for each in slack.whispers] == [("U0LOCAL0002", {"text": "for bob"})]
    with pytest.raises(Undeliverable, match="user_not_in_channel"):
        chat.whisper({"text": "for bob"}, MAIN, "U0NOBODY001")
    assert "for bob" not in json.dumps(slack.messages)
