"""The Slack webhook: what is tried again, what is sent otherwise, and an address that nobody gets to see."""

import json
import traceback
from collections.abc import Mapping
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from ecr_governor.adapters.slack.webhook import PATIENCE, SlackWebhook
from ecr_governor.adapters.slack.wire import SlackSecret
from ecr_governor.app.errors import Undeliverable

URL = "https://hooks.slack.com/services/T000/B000/verysecret"
MESSAGE = {"text": "Nähe → 日本", "blocks": [{"type": "divider"}]}


class Answer:
    def __init__(self, status: int, data: bytes = b"ok", headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.data = data
        self.headers = urllib3.HTTPHeaderDict(headers or {})


class Pool:
    """Answers in turn, the last one for ever."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, str, bytes, Mapping[str, str]]] = []

    def request(self, method: str, url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
        self.requests.append((method, url, body, headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, _, body, _ in self.requests]


class Secrets:
    def __init__(self, *values: str | ClientError) -> None:
        self.values = list(values)
        self.reads = 0

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803 - AWS's parameter
        self.reads += 1
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        if isinstance(value, ClientError):
            raise value
        return {"SecretString": value}


class World:
    def __init__(self, *answers: Answer | Exception, secrets: Secrets | None = None) -> None:
        self.pool = Pool(*answers)
        self.secrets = secrets or Secrets(URL)
        self.slept: list[float] = []
        self.webhook = SlackWebhook(SlackSecret(self.secrets, "slack"), pool=self.pool, sleep=self.slept.append)  # type: ignore[arg-type]  # stand-ins

    def refused(self) -> Undeliverable:
        with pytest.raises(Undeliverable) as refused:
            self.webhook.post(MESSAGE)
        return refused.value


def test_a_message_is_posted_once_as_utf_8_json() -> None:
    world = World(Answer(200))
    world.webhook.post(MESSAGE)
    ((method, url, body, headers),) = world.pool.requests
    assert (method, url) == ("POST", URL)
    assert body.decode("utf-8") == json.dumps(MESSAGE, ensure_ascii=False)
    assert headers["Content-Type"] == "application/json; charset=utf-8"


def test_the_secret_is_read_once_for_many_messages() -> None:
    world = World(Answer(200))
    for _ in range(3):
        world.webhook.post(MESSAGE)
    assert world.secrets.reads == 1


@pytest.mark.parametrize("secret", [URL, f"  {URL}\n", json.dumps({"webhook_url": URL}), json.dumps({"other": 1, "webhook_url": URL})])
def test_the_secret_is_the_address_itself_or_json_that_holds_it(secret: str) -> None:
    world = World(Answer(200), secrets=Secrets(secret))
    world.webhook.post(MESSAGE)
    assert world.pool.requests[0][1] == URL


@pytest.mark.parametrize("wait", ["0", "1", str(PATIENCE)])
def test_a_short_wait_is_waited_for(wait: str) -> None:
    world = World(Answer(429, b"rate_limited", {"retry-after": wait}), Answer(200))
    world.webhook.post(MESSAGE)
    assert world.slept == [float(wait)]
    assert len(world.pool.requests) == 2


@pytest.mark.parametrize(
    ("headers", "retry_after"),
    [
        ({"Retry-After": "3600"}, 3600.0),
        ({"Retry-After": "NaN"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_a_long_or_unreadable_wait_sends_the_message_back(headers: dict[str, str], retry_after: float | None) -> None:
    world = World(Answer(429, b"rate_limited", headers))
    refused = world.refused()
    assert refused.retry_after == retry_after
    assert "429" in str(refused)
    assert world.slept == []
    assert len(world.pool.requests) == 1


def test_whoever_is_refused_again_after_the_wait_does_not_wait_twice() -> None:
    world = World(Answer(429, b"rate_limited", {"Retry-After": "1"}))
    assert world.refused().retry_after == 1.0
    assert world.slept == [1.0]


@pytest.mark.parametrize("status", [302, 400, 500, 503])
def test_what_slack_does_not_take_is_undeliverable_with_its_word(status: int) -> None:
    refused = World(Answer(status, b"no_text\xff" + b"x" * 500)).refused()
    assert str(refused).startswith(f"Slack answered {status} no_text")
    assert len(str(refused)) < 120


@pytest.mark.parametrize(
    "trouble",
    [
        urllib3.exceptions.ConnectTimeoutError(None, f"Connection to {URL} timed out"),  # no pool is at hand
        urllib3.exceptions.ReadTimeoutError(None, URL, f"Read timed out: {URL}"),  # type: ignore[arg-type]
        urllib3.exceptions.MaxRetryError(None, URL, Exception(URL)),  # type: ignore[arg-type]
        urllib3.exceptions.ProtocolError(f"Connection aborted: {URL}"),
        urllib3.exceptions.SSLError(URL),
        urllib3.exceptions.LocationParseError(URL),
    ],
)
def test_a_slack_that_cannot_be_reached_is_undeliverable_and_the_address_stays_secret(trouble: Exception) -> None:
    refused = World(trouble).refused()
    assert type(trouble).__name__ in str(refused)
    shown = "".join(traceback.format_exception(refused))
    assert "verysecret" not in shown
    assert "verysecret" not in repr(refused)
    assert refused.__cause__ is None


def test_blocks_that_slack_refuses_are_left_out_and_the_text_is_sent() -> None:
    world = World(Answer(400, b"invalid_blocks\n"), Answer(200))
    world.webhook.post(MESSAGE)
    assert world.pool.bodies == [MESSAGE, {"text": MESSAGE["text"]}]


def test_blocks_that_slack_refuses_again_are_undeliverable() -> None:
    world = World(Answer(400, b"invalid_blocks"))
    assert "invalid_blocks" in str(world.refused())
    assert len(world.pool.requests) == 2


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_revoked_webhook_is_looked_up_again_once(status: int) -> None:
    new = URL.replace("T000", "T111")
    world = World(Answer(status, b"no_service"), Answer(200), secrets=Secrets(URL, new))
    world.webhook.post(MESSAGE)
    assert [url for _, url, _, _ in world.pool.requests] == [URL, new]
    world = World(Answer(status, b"no_service"))
    assert str(status) in str(world.refused())
    assert world.secrets.reads == 2
    assert len(world.pool.requests) == 2


def test_a_secret_that_cannot_be_read_is_undeliverable_and_named() -> None:
    error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetSecretValue")
    world = World(Answer(200), secrets=Secrets(error, URL))
    assert str(world.refused()) == "secret slack cannot be read: AccessDeniedException"
    assert world.pool.requests == []
    world.webhook.post(MESSAGE)
    assert len(world.pool.requests) == 1


@pytest.mark.parametrize("secret", ['{"url": "https://hooks.slack.com/services/verysecret"}', '{"webhook_url": verysecret'])
def test_a_secret_of_another_shape_is_undeliverable_and_not_shown(secret: str) -> None:
    refused = World(Answer(200), secrets=Secrets(secret)).refused()
    assert "verysecret" not in "".join(traceback.format_exception(refused))
