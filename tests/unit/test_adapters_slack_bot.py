"""Slack's bot: what is waited for, what comes again, what is told to a person, and a token that nobody gets to see."""

import json
import traceback
from collections.abc import Mapping
from typing import Any

import pytest
import urllib3

from ecr_governor.adapters.slack.bot import (
    FAILURES,
    MARGIN,
    PAUSE_AFTER_FAILURES,
    PAUSE_AFTER_RATE,
    PAUSE_AFTER_REFUSED_CHANNEL,
    PAUSE_AFTER_REFUSED_TOKEN,
    PAUSE_AFTER_UNKNOWN_WORD,
    SlackBot,
)
from ecr_governor.adapters.slack.chat import SlackChat
from ecr_governor.adapters.slack.groups import KEPT_FOR, KeptGroups, SlackGroups
from ecr_governor.adapters.slack.webhook import SlackWebhook
from ecr_governor.adapters.slack.wire import SlackSecret
from ecr_governor.app.errors import ChannelRefused, ChannelWaits, Undeliverable, UploadRefused, Vanished
from ecr_governor.core.conversation import Attachment, Posted
from ecr_governor.core.press import Members

TOKEN = "xoxb-verysecret"
SECRET = json.dumps({"bot_token": TOKEN, "channel": "C0DEFAULT0"})
MESSAGE = {"text": "Nähe → 日本", "blocks": [{"type": "divider"}]}
POSTED = Posted("C0TEAM0001", "1.2")
PAGE = Attachment("report 1.html", "Weekly report", "<p>日本</p>".encode())
ADDRESS = "https://files.example/upload/v1/secret"


class Answer:
    def __init__(self, status: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.data = data
        self.headers = urllib3.HTTPHeaderDict(headers or {})


def ok(**more: Any) -> Answer:
    return Answer(200, json.dumps({"ok": True, "channel": "C0TEAM0001", "ts": "1.2", **more}).encode())


def no(error: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps({"ok": False, "error": error}).encode(), headers)


class World:
    """A bot, a Slack that answers in turn (the last answer for ever), and a clock that only moves by itself when the bot waits."""

    def __init__(self, *answers: Answer | Exception, secrets: tuple[str, ...] = (SECRET,), time_left: float = 60.0) -> None:
        self.answers = list(answers)
        self.secrets = list(secrets)
        self.time_left = time_left
        self.requests: list[tuple[str, Any, Mapping[str, str]]] = []
        self.slept: list[float] = []
        self.now = 1000.0
        self.refused: list[str] = []
        self.reads = 0
        secret = SlackSecret(self, "slack")  # type: ignore[arg-type]
        bot = SlackBot(secret, pool=self, sleep=self.sleep, clock=lambda: self.now, refused=self.refused.append)  # type: ignore[arg-type]
        self.bot = bot
        self.secret = secret
        self.chat = SlackChat(secret, SlackWebhook(secret, pool=self), bot, lambda: self.time_left)  # type: ignore[arg-type]

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803 - AWS's parameter
        self.reads += 1
        return {"SecretString": self.secrets.pop(0) if len(self.secrets) > 1 else self.secrets[0]}

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.time_left -= seconds

    def request(self, method: str, url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
        assert method == "POST"
        self.requests.append((url, json.loads(body) if headers["Content-Type"].startswith("application/json") else body, headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def undeliverable(self) -> Undeliverable:
        with pytest.raises(Undeliverable) as refused:
            self.chat.post(MESSAGE, "C0TEAM0001")
        return refused.value


def test_a_message_is_posted_with_the_token_in_a_header_and_says_where_it_is() -> None:
    world = World(ok())
    assert world.chat.editable()
    assert world.chat.post(MESSAGE, "C0TEAM0001") == POSTED
    ((url, body, headers),) = world.requests
    assert url == "https://slack.com/api/chat.postMessage"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert body == {"channel": "C0TEAM0001", "unfurl_links": False, "unfurl_media": False, **MESSAGE}
    assert TOKEN not in json.dumps(body)


def test_an_answer_goes_to_its_thread_and_an_edit_to_its_message() -> None:
    world = World(ok())
    world.chat.post(MESSAGE, POSTED.channel, POSTED.ts)
    world.chat.edit(POSTED, MESSAGE)
    (_, reply, _), (url, edit, _) = world.requests
    assert reply["thread_ts"] == "1.2"
    assert (url, edit) == ("https://slack.com/api/chat.update", {"channel": POSTED.channel, "ts": POSTED.ts, **MESSAGE})


def test_one_person_is_told_something_that_nobody_else_sees() -> None:
    world = World(ok())
    world.chat.whisper(MESSAGE, "C0TEAM0001", "U0ALICE0001")
    ((url, body, _),) = world.requests
    assert url == "https://slack.com/api/chat.postEphemeral"
    assert body == {"channel": "C0TEAM0001", "user": "U0ALICE0001", "unfurl_links": False, "unfurl_media": False, **MESSAGE}


def test_who_is_not_in_the_channel_is_no_trouble_of_slacks() -> None:
    world = World(*[no("user_not_in_channel")] * (FAILURES + 1), ok())
    for _ in range(FAILURES + 1):
        with pytest.raises(Undeliverable) as refused:
            world.chat.whisper(MESSAGE, "C0TEAM0001", "U0ALICE0001")
        assert refused.value.only_this_one
    with pytest.raises(Undeliverable, match="no channel"):
        world.chat.whisper(MESSAGE, "", "U0ALICE0001")
    world.chat.post(MESSAGE, "C0TEAM0001")
    assert world.refused == []


def test_where_the_policy_names_no_channel_the_secrets_counts() -> None:
    world = World(ok())
    world.chat.post(MESSAGE)
    assert world.requests[0][1]["channel"] == "C0DEFAULT0"
    nowhere = World(ok(), secrets=(json.dumps({"bot_token": TOKEN}),))
    with pytest.raises(Undeliverable, match=r"notifications\.slack\.channel"):
        nowhere.chat.post(MESSAGE)
    assert nowhere.requests == []


@pytest.mark.parametrize("refusal", [no("ratelimited", 429, {"Retry-After": "1"}), no("rate_limited", 200, {"Retry-After": "1"})])
def test_a_short_wait_is_waited_for_as_often_as_asked(refusal: Answer) -> None:
    world = World(refusal, refusal, ok())
    world.chat.post(MESSAGE, "C0TEAM0001")
    assert world.slept == [1.0, 1.0]
    assert len(world.requests) == 3


def test_a_wait_of_no_time_is_tried_again_at_once_but_not_for_ever() -> None:
    world = World(no("ratelimited", 429, {"Retry-After": "0"}))
    assert world.undeliverable().retry_after == PAUSE_AFTER_RATE
    assert 1 < len(world.requests) < 20


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "3600"}, 3600.0),
        ({"Retry-After": "NaN"}, PAUSE_AFTER_RATE),
        ({"Retry-After": "-1"}, PAUSE_AFTER_RATE),
        ({"Retry-After": "soon"}, PAUSE_AFTER_RATE),
        ({}, PAUSE_AFTER_RATE),
    ],
)
def test_a_long_or_unreadable_wait_sends_the_message_back_and_slack_is_let_alone(headers: dict[str, str], pause: float) -> None:
    world = World(no("ratelimited", 429, headers), ok())
    assert world.undeliverable().retry_after == pause
    assert world.slept == []
    world.now += pause - 1
    assert "left alone" in str(world.undeliverable())
    assert len(world.requests) == 1
    world.now += 1
    world.chat.post(MESSAGE, "C0TEAM0001")


def test_where_no_channel_is_named_a_person_is_told_and_those_that_a_route_names_go_on() -> None:
    world = World(ok(), secrets=(json.dumps({"bot_token": TOKEN}),))
    for _ in range(3):
        with pytest.raises(ChannelRefused, match="names a channel"):
            world.chat.post(MESSAGE)
    assert len(world.refused) == 1
    world.chat.post(MESSAGE, "C0TEAM0001")
    world.bot.open("1.2.3", {"type": "modal"}, lambda: 60.0)
    world.now += PAUSE_AFTER_REFUSED_CHANNEL
    with pytest.raises(ChannelRefused):
        world.chat.post(MESSAGE)
    assert len(world.refused) == 2


LIMITED = no("ratelimited", 429, {"Retry-After": "40"})


def test_a_channel_that_is_posted_to_too_often_is_let_alone_while_others_go_on() -> None:
    world = World(LIMITED, ok())
    assert isinstance(world.undeliverable(), ChannelWaits)
    world.chat.post(MESSAGE, "C0OTHER001")
    world.chat.edit(POSTED, MESSAGE)
    assert len(world.requests) == 3
    assert isinstance(world.undeliverable(), ChannelWaits)
    assert len(world.requests) == 3


def test_where_two_channels_are_posted_to_too_often_it_is_the_workspace() -> None:
    world = World(LIMITED, LIMITED, ok())
    world.undeliverable()
    with pytest.raises(Undeliverable) as refused:
        world.chat.post(MESSAGE, "C0OTHER001")
    assert not isinstance(refused.value, ChannelWaits)
    with pytest.raises(Undeliverable, match="left alone"):
        world.chat.post(MESSAGE, "C0THIRD001")
    world.now += 40
    world.chat.post(MESSAGE, "C0THIRD001")


def test_a_channel_that_waited_once_does_not_make_the_next_one_the_workspaces_trouble() -> None:
    world = World(LIMITED, ok(), LIMITED, ok())
    world.undeliverable()
    world.now += 40
    world.chat.post(MESSAGE, "C0TEAM0001")
    with pytest.raises(ChannelWaits):
        world.chat.post(MESSAGE, "C0OTHER001")
    world.chat.post(MESSAGE, "C0TEAM0001")


def test_the_rate_of_edits_is_the_workspaces() -> None:
    world = World(LIMITED, ok())
    with pytest.raises(Undeliverable) as refused:
        world.chat.edit(POSTED, MESSAGE)
    assert not isinstance(refused.value, ChannelWaits)
    assert "Slack is left alone" in str(world.undeliverable())


@pytest.mark.parametrize("error", ["external_channel_migrating", "some_word_of_tomorrow"])
def test_a_word_that_nobody_knows_is_about_its_channel(error: str) -> None:
    world = World(no(error))
    for _ in range(FAILURES - 1):
        assert isinstance(world.undeliverable(), ChannelWaits)
        assert "left alone" in str(world.undeliverable())
        world.now += PAUSE_AFTER_UNKNOWN_WORD
    assert world.refused == []
    assert isinstance(world.undeliverable(), ChannelRefused)
    assert world.refused == [f"chat.postMessage: {error}"]
    assert len(world.requests) == FAILURES
    world.answers = [ok()]
    world.chat.post(MESSAGE, "C0OTHER001")


def test_a_word_that_nobody_knows_is_forgiven_by_a_success() -> None:
    odd = no("some_word_of_tomorrow")
    world = World(*[odd, ok()] * FAILURES)
    for _ in range(FAILURES):
        assert isinstance(world.undeliverable(), ChannelWaits)
        world.now += PAUSE_AFTER_UNKNOWN_WORD
        world.chat.post(MESSAGE, "C0TEAM0001")


def test_no_more_is_waited_than_the_invocation_has_left() -> None:
    world = World(no("ratelimited", 429, {"Retry-After": "9"}), time_left=MARGIN + 8)
    assert world.undeliverable().retry_after == 9.0
    assert world.slept == []
    ending = World(ok(), time_left=MARGIN - 1)
    assert "no time left" in str(ending.undeliverable())
    assert ending.requests == []


@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked", "account_inactive", "missing_scope"])
def test_a_refused_token_is_told_and_not_tried_again_for_a_while(error: str) -> None:
    world = World(no(error))
    assert error in str(world.undeliverable())
    assert (world.reads, len(world.requests)) == (2, 1)
    assert world.refused == [f"chat.postMessage: {error}"]
    for _ in range(50):
        world.undeliverable()
    assert len(world.requests) == 1
    world.now += PAUSE_AFTER_REFUSED_TOKEN
    world.undeliverable()
    assert len(world.requests) == 2


def test_a_token_that_was_replaced_is_taken_at_once() -> None:
    new = SECRET.replace("verysecret", "new")
    world = World(no("token_revoked"), ok(), secrets=(SECRET, new))
    world.chat.post(MESSAGE, "C0TEAM0001")
    assert [headers["Authorization"] for _, _, headers in world.requests] == [f"Bearer {TOKEN}", "Bearer xoxb-new"]
    assert world.refused == []


@pytest.mark.parametrize("error", ["channel_not_found", "not_in_channel", "is_archived"])
def test_a_refused_channel_is_told_and_left_alone_while_others_go_on(error: str) -> None:
    world = World(no(error), ok())
    with pytest.raises(ChannelRefused, match=error):
        world.chat.post(MESSAGE, "C0TEAM0001")
    assert world.refused == [f"chat.postMessage: {error}"]
    world.chat.post(MESSAGE, "C0OTHER001")
    with pytest.raises(ChannelRefused):
        world.chat.post(MESSAGE, "C0TEAM0001")
    assert len(world.requests) == 2
    world.now += PAUSE_AFTER_REFUSED_CHANNEL + 1
    world.chat.post(MESSAGE, "C0TEAM0001")


@pytest.mark.parametrize("error", ["message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found", "is_archived"])
def test_what_cannot_be_edited_any_more_has_vanished(error: str) -> None:
    world = World(no(error))
    with pytest.raises(Vanished):
        world.chat.edit(POSTED, MESSAGE)


@pytest.mark.parametrize("error", ["invalid_blocks", "msg_too_long", "msg_blocks_too_long"])
def test_blocks_that_slack_refuses_are_left_out_and_a_person_is_told(error: str) -> None:
    world = World(no(error), ok())
    world.chat.post(MESSAGE, "C0TEAM0001")
    assert "blocks" not in world.requests[1][1]
    assert world.requests[1][1]["text"] == MESSAGE["text"]
    assert error in world.refused[0]
    edited = World(no(error), ok())
    edited.chat.edit(POSTED, MESSAGE)
    assert edited.requests[1][1]["blocks"] == []
    refused = World(no(error)).undeliverable()
    assert refused.only_this_one


@pytest.mark.parametrize("answer", [Answer(500, b"server_error"), Answer(200, b"not json"), Answer(200, b"[]"), no("internal_error")])
def test_a_slack_in_trouble_is_undeliverable_and_after_some_failures_left_alone(answer: Answer) -> None:
    world = World(answer)
    for _ in range(FAILURES):
        assert not world.undeliverable().only_this_one
    assert len(world.requests) == FAILURES
    assert "left alone" in str(world.undeliverable())
    world.now += PAUSE_AFTER_FAILURES
    world.answers = [ok()]
    world.chat.post(MESSAGE, "C0TEAM0001")
    world.answers = [answer]
    world.undeliverable()
    assert "left alone" not in str(world.undeliverable()), "a success counts failures anew"


@pytest.mark.parametrize(
    "trouble",
    [
        urllib3.exceptions.ReadTimeoutError(None, TOKEN, TOKEN),  # type: ignore[arg-type]
        urllib3.exceptions.ProtocolError(TOKEN),
        UnicodeEncodeError("latin-1", TOKEN, 0, 1, TOKEN),
    ],
)
def test_a_slack_that_hangs_is_undeliverable_and_the_token_stays_secret(trouble: Exception) -> None:
    world = World(trouble)
    for _ in range(FAILURES):
        refused = world.undeliverable()
        assert type(trouble).__name__ in str(refused)
        assert "verysecret" not in "".join(traceback.format_exception(refused))
    assert "left alone" in str(world.undeliverable())
    assert len(world.requests) == FAILURES


@pytest.mark.parametrize(
    "secret",
    [
        '{"bot_token": ""}',
        '{"bot_token": ["xoxb-verysecret"]}',
        '{"bot_token": "xoxb-verysecret", "api_url": "http://evil.example/"}',
    ],
)
def test_a_secret_of_another_shape_is_undeliverable_and_not_shown(secret: str) -> None:
    refused = World(ok(), secrets=(secret,)).undeliverable()
    assert "verysecret" not in "".join(traceback.format_exception(refused))


def test_a_secret_of_a_webhook_posts_there() -> None:
    world = World(Answer(200, b"ok"), secrets=("https://hooks.slack.com/services/T/B/x",))
    assert not world.chat.editable()
    assert world.chat.post(MESSAGE, "C0TEAM0001", "1.2") is None
    assert world.requests[0][:2] == ("https://hooks.slack.com/services/T/B/x", MESSAGE)


def test_what_the_secret_holds_is_in_no_repr() -> None:
    secret = SlackSecret(World(ok()), "slack")  # type: ignore[arg-type]
    assert "secret" not in repr(secret.current())


def test_a_form_is_opened_with_the_trigger_and_what_comes_too_late_says_nothing_of_slacks_health() -> None:
    world = World(no("expired_trigger_id"), no("exchanged_trigger_id"), no("expired_trigger_id"), ok())
    for _ in range(FAILURES):
        with pytest.raises(Undeliverable, match="trigger_id"):
            world.bot.open("1.2.3", {"type": "modal"}, lambda: 60.0)
    world.bot.open("1.2.4", {"type": "modal"}, lambda: 60.0)
    url, sent, _ = world.requests[-1]
    assert url.endswith("views.open")
    assert sent == {"trigger_id": "1.2.4", "view": {"type": "modal"}}


def test_a_form_that_slack_does_not_take_is_told() -> None:
    world = World(no("invalid_arguments"))
    with pytest.raises(Undeliverable, match="invalid_arguments"):
        world.bot.open("1.2.3", {"type": "modal"}, lambda: 60.0)
    assert world.refused == ["Slack refuses the message: invalid_arguments"]


@pytest.mark.parametrize(
    ("more", "answered", "pressable"),
    [({"signing_secret": "hush"}, True, True), ({"signing_secret": "hush"}, False, False), ({}, True, False)],
)
def test_a_button_can_be_pressed_where_somebody_answers_and_can_tell_slack_from_others(
    more: dict[str, str], answered: bool, pressable: bool
) -> None:
    world = World(ok(), secrets=(json.dumps({"bot_token": TOKEN, **more}),))
    chat = SlackChat(world.secret, SlackWebhook(world.secret, pool=world), world.bot, lambda: 60.0, answered=answered)  # type: ignore[arg-type]
    assert chat.pressable() is pressable
    assert "hush" not in repr(world.secret.current())


def test_under_a_webhooks_message_nothing_can_be_pressed() -> None:
    world = World(ok(), secrets=("https://hooks.slack.com/services/T/B/x",))
    chat = SlackChat(world.secret, SlackWebhook(world.secret, pool=world), world.bot, lambda: 60.0, answered=True)  # type: ignore[arg-type]
    assert not chat.pressable()


# --- files ----------------------------------------------------------------------------------------------------------------------------


def given(address: str = ADDRESS) -> Answer:
    return ok(upload_url=address, file_id="F1")


def test_a_file_is_announced_sent_without_the_token_and_shown_by_the_last_of_three_calls() -> None:
    world = World(given(), Answer(200, b"OK"), ok())
    world.chat.attach(PAGE, "the comment", "C0TEAM0001")
    (announce, form, by_token), (store, sent, by_nobody), (complete, shown, _) = world.requests
    assert (announce, form) == ("https://slack.com/api/files.getUploadURLExternal", b"filename=report+1.html&length=13")
    assert by_token["Content-Type"] == "application/x-www-form-urlencoded"
    assert (store, sent, "Authorization" in by_nobody) == (ADDRESS, PAGE.body, False)
    assert complete == "https://slack.com/api/files.completeUploadExternal"
    assert shown == {"files": [{"id": "F1", "title": "Weekly report"}], "channel_id": "C0TEAM0001", "initial_comment": "the comment"}


def refused_upload(world: World) -> str:
    with pytest.raises(UploadRefused) as refused:
        world.chat.attach(PAGE, "the comment", "")
    assert world.refused == [str(refused.value)], "a person has to do something about it"
    return str(refused.value)


def test_a_token_without_the_scope_is_told_as_that_and_goes_on_posting() -> None:
    lacking = Answer(200, json.dumps({"ok": False, "error": "missing_scope", "needed": "files:write", "provided": "chat:write"}).encode())
    world = World(lacking, ok())
    assert refused_upload(world) == "the bot's token has not the scope files:write"
    assert world.chat.post(MESSAGE, "C0TEAM0001") == POSTED


def test_a_scope_that_came_with_another_token_is_found() -> None:
    world = World(no("missing_scope"), given(), Answer(200, b"OK"), ok(), secrets=(SECRET, SECRET.replace("verysecret", "another")))
    world.chat.attach(PAGE, "the comment", "")
    assert world.requests[1][2]["Authorization"] == "Bearer xoxb-another"


@pytest.mark.parametrize("error", ["file_uploads_disabled", "file_type_not_allowed", "some_word_of_tomorrow"])
def test_where_slack_takes_no_files_it_says_so_before_anything_is_sent(error: str) -> None:
    world = World(no(error))
    assert refused_upload(world) == f"files.getUploadURLExternal: {error}"
    assert len(world.requests) == 1


@pytest.mark.parametrize("error", ["channel_not_found", "not_in_channel"])
def test_a_channel_that_takes_no_file_may_take_a_message(error: str) -> None:
    world = World(given(), Answer(200, b"OK"), no(error), ok())
    assert refused_upload(world) == f"files.completeUploadExternal: {error}"
    assert world.chat.post(MESSAGE, "") == POSTED


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ((given(), Answer(413, b"")), "Slack's store of files answered 413"),
        ((given(), Answer(503, b"")), "Slack's store of files answered 503"),
        ((given(), urllib3.exceptions.ProtocolError(ADDRESS)), "Slack's store of files could not be reached: ProtocolError"),
        ((given("http://files.example/x"),), "Slack named no address for a file"),
        ((ok(upload_url=ADDRESS),), "Slack named no address for a file"),
    ],
)
def test_messages_do_not_wait_for_the_store_of_files(answers: tuple[Answer | Exception, ...], why: str) -> None:
    world = World(*answers, ok())
    assert refused_upload(world) == why
    assert world.chat.post(MESSAGE, "C0TEAM0001") == POSTED


@pytest.mark.parametrize(
    "answers",
    [
        (no("internal_error"),),
        (given(), Answer(200, b"OK"), no("fatal_error")),
    ],
)
def test_what_passes_is_tried_again_and_the_address_is_told_to_nobody(answers: tuple[Answer | Exception, ...]) -> None:
    world = World(*answers)
    with pytest.raises(Undeliverable) as refused:
        world.chat.attach(PAGE, "the comment", "")
    assert not isinstance(refused.value, UploadRefused)
    assert "files.example" not in "".join(traceback.format_exception(refused.value))
    assert len(world.requests) == len(answers)
    assert world.refused == []


def test_a_file_waits_as_long_as_slack_asks() -> None:
    world = World(no("ratelimited", 429, {"Retry-After": "2"}), given(), Answer(200, b"OK"), ok())
    world.chat.attach(PAGE, "the comment", "")
    assert world.slept == [2.0]


# --- user groups ----------------------------------------------------------------------------------------------------------------------


def groups(world: World) -> SlackGroups:
    return SlackGroups(KeptGroups(world.bot, lambda: world.now), lambda: world.time_left)


@pytest.mark.parametrize("answer", [no("internal_error"), ok(), Answer(429, b"", {"Retry-After": "3600"})])
def test_what_will_pass_refuses_nobody_and_closes_nothing_else(answer: Answer) -> None:
    world = World(answer, ok())
    with pytest.raises(Undeliverable):
        groups(world).members("S0TEAM0001")
    assert world.chat.post(MESSAGE, "C0TEAM0001") == POSTED


def test_an_empty_group_is_believed_as_any_other() -> None:
    world = World(ok(users=[]))
    kept = groups(world)
    assert kept.members("S0TEAM0001") == kept.members("S0TEAM0001") == Members(frozenset())
    assert len(world.requests) == 1


def test_who_is_in_a_group_is_read_and_believed_for_a_few_minutes() -> None:
    world = World(ok(users=["U1", "U2"]), ok(users=["U2"]))
    kept = groups(world)
    assert kept.members("S0TEAM0001") == kept.members("S0TEAM0001") == Members(frozenset({"U1", "U2"}))
    ((url, body, _),) = world.requests
    assert (url, body) == ("https://slack.com/api/usergroups.users.list", b"usergroup=S0TEAM0001")
    world.now += KEPT_FOR
    assert kept.members("S0TEAM0001") == Members(frozenset({"U2"}))


@pytest.mark.parametrize(
    ("answer", "why", "alarm"),
    [
        (
            Answer(200, json.dumps({"ok": False, "error": "missing_scope", "needed": "usergroups:read"}).encode()),
            "the bot's token has not the scope usergroups:read",
            True,
        ),
        (no("no_such_subteam"), "usergroups.users.list: no_such_subteam", True),
        (no("no_permission"), "usergroups.users.list: no_permission", True),
    ],
)
def test_a_group_that_may_not_be_read_has_nobody_and_is_read_again(answer: Answer, why: str, alarm: bool) -> None:
    world = World(answer, ok(users=["U1"]), ok())
    kept = groups(world)
    assert kept.members("S0TEAM0001") == Members(unreadable=why)
    assert world.refused == ([why] if alarm else [])
    assert kept.members("S0TEAM0001") == Members(frozenset({"U1"}))
    assert world.chat.post(MESSAGE, "C0TEAM0001") == POSTED
