"""The webhook: signed by a secret that nobody else sees, to one address and nowhere else, and nothing of the answer but its status counts."""

import http.client
import json
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from ecr_governor.adapters.webhook import SignedWebhook, _connection_to, signature
from ecr_governor.app.errors import Undeliverable
from local.sink import Sink
from tests.architecture.test_docs import code_blocks

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DOCUMENT = {"version": 1, "id": "a#1", "events": [{"detail": {"reason": "Nähe → 日本"}}]}


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.stop()


class Secrets:
    """Gives its values in turn, the last one for ever."""

    def __init__(self, *values: str | Exception) -> None:
        self.values, self.reads = list(values), 0

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803 - AWS's parameter
        self.reads += 1
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        if isinstance(value, Exception):
            raise value
        return {"SecretString": value}


def webhook(*values: str | Exception) -> SignedWebhook:
    return SignedWebhook(Secrets(*values), "ecr-governor/webhook")  # type: ignore[arg-type]  # a stand-in


def is_ours(at: datetime = NOW) -> Any:
    """What the documentation shows for receivers, at a time of the test's."""
    (block,) = code_blocks((Path(__file__).parents[2] / "docs" / "channels.md").read_text(), "python")
    names: dict[str, Any] = {}
    exec(block.replace("time.time()", str(at.timestamp())), names)  # noqa: S102 - our own documentation
    return names["is_ours"]


def test_a_receiver_that_checks_as_the_documentation_says_knows_us_and_nobody_else(sink: Sink) -> None:
    webhook(sink.secret).post("a#1", DOCUMENT, NOW)
    (request,) = sink.requests
    body, headers = request["body"].encode(), request["headers"]
    assert json.loads(body) == DOCUMENT
    assert headers["X-Ecr-Governor-Id"] == "a#1"
    check = is_ours()
    assert check(sink.signing_secret, headers, body)
    assert not check("another secret, as long", headers, body)
    assert not check(sink.signing_secret, headers, body + b" ")
    assert not check(sink.signing_secret, {**headers, "X-Ecr-Governor-Timestamp": str(int(NOW.timestamp()) + 1)}, body)
    assert not is_ours(datetime(2026, 11, 23, 9, 6, tzinfo=UTC))(sink.signing_secret, headers, body)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_takes_it_whatever_else_it_says(sink: Sink, status: int) -> None:
    # Of so much nothing comes: whoever waited for it would run into the time-out.
    sink.status, sink.headers = status, {"Content-Length": str(10**12)} if status != 204 else {}
    webhook(sink.secret).post("a#1", DOCUMENT, NOW)
    assert len(sink.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_is_followed_elsewhere(sink: Sink, status: int) -> None:
    sink.status, sink.headers = status, {"Location": sink.url.replace("/hook", "/elsewhere"), "Content-Length": "0"}
    with pytest.raises(Undeliverable, match=f"answered {status}, and nobody is followed"):
        webhook(sink.secret).post("a#1", DOCUMENT, NOW)
    assert [request["path"] for request in sink.requests] == ["/hook"]


@pytest.mark.parametrize(("status", "alone"), [(400, True), (413, True), (422, True), (429, False), (500, False), (503, False)])
def test_what_is_not_taken_is_undeliverable_and_may_speak_of_this_one_alone(sink: Sink, status: int, *, alone: bool) -> None:
    sink.status, sink.headers = status, {"Content-Length": "0"}
    with pytest.raises(Undeliverable, match=f"answered {status}$") as refused:
        webhook(sink.secret).post("a#1", DOCUMENT, NOW)
    assert refused.value.only_this_one is alone
    assert len(sink.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_secret_that_was_replaced_is_read_again_once(sink: Sink, status: int) -> None:
    sink.status, sink.headers = status, {"Content-Length": "0"}
    with pytest.raises(Undeliverable, match=f"answered {status}$"):
        webhook(sink.secret).post("a#1", DOCUMENT, NOW)
    assert len(sink.requests) == 1
    replaced = json.dumps({"url": sink.url, "signing_secret": "a secret that replaces it"})
    with pytest.raises(Undeliverable, match=f"answered {status}$"):
        webhook(sink.secret, replaced).post("a#1", DOCUMENT, NOW)
    assert is_ours()("a secret that replaces it", sink.requests[-1]["headers"], sink.requests[-1]["body"].encode())


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "https://example.com/",
        "[]",
        '{"url": "https://example.com/"}',
        '{"url": "http://example.com/", "signing_secret": "sixteen characters"}',
        '{"url": "http://127.0.0.1.example.com/", "signing_secret": "sixteen characters"}',
        '{"url": "http://127.0.0.1:x@example.com/", "signing_secret": "sixteen characters"}',
        '{"url": "http://127.0.0.1:80@example.com/", "signing_secret": "sixteen characters"}',
        '{"url": "https://somebody@example.com/", "signing_secret": "sixteen characters"}',
        '{"url": "https://example.com:99999/", "signing_secret": "sixteen characters"}',
        '{"url": "https:///hook", "signing_secret": "sixteen characters"}',
        '{"url": "https://example.com/", "signing_secret": "sixteen characters \\ud800"}',
        '{"url": "https://example.com/ x", "signing_secret": "sixteen characters"}',
        '{"url": "https://example.com/\\r\\nX: y", "signing_secret": "sixteen characters"}',
        '{"url": "https://example.com/", "signing_secret": "too short"}',
        '{"url": "https://example.com/", "signing_secret": 12345678901234567}',
        ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetSecretValue"),
        EndpointConnectionError(endpoint_url="https://secrets"),
    ],
)
def test_what_is_no_secret_of_this_kind_sends_nothing_and_is_not_shown(secret: str | Exception) -> None:
    with pytest.raises(Undeliverable, match=r"^secret ecr-governor/webhook ") as refused:
        webhook(secret).post("a#1", DOCUMENT, NOW)
    assert "example.com" not in str(refused.value)
    assert "sixteen" not in str(refused.value)


def test_a_receiver_out_of_reach_is_undeliverable_and_its_address_is_not_shown() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/very/secret"
        hook = webhook(json.dumps({"url": address, "signing_secret": "sixteen characters"}))
        with pytest.raises(Undeliverable, match=r"^the webhook could not be reached: ConnectionRefusedError$") as refused:
            hook.post("a#1", DOCUMENT, NOW)
    shown = "".join(traceback.format_exception(refused.value)) + repr(hook._secret.current())
    assert "very/secret" not in shown
    assert "sixteen characters" not in shown


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_a_receiver_that_answers_bit_by_bit_has_no_more_time_than_others(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecr_governor.adapters.webhook.AT_MOST", 0.3)
    hung_up = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(first)
                for _ in range(100):
                    connection.sendall(b"X: y\r\n" if first else b"H")
                    time.sleep(0.05)
                return
            hung_up.set()

        threading.Thread(target=drip, daemon=True).start()
        hook = webhook(json.dumps({"url": f"http://127.0.0.1:{server.getsockname()[1]}/", "signing_secret": "sixteen characters"}))
        with pytest.raises(Undeliverable, match=r"^the webhook could not be reached: TimeoutError$"):
            hook.post("a#1", DOCUMENT, NOW)
        assert hung_up.wait(2), "nobody goes on listening"


def test_what_connects_too_late_sends_nothing(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecr_governor.adapters.webhook.AT_MOST", 0.1)
    connected, connect = threading.Event(), http.client.HTTPConnection.connect

    def slowly(connection: http.client.HTTPConnection) -> None:
        time.sleep(0.3)
        connect(connection)
        connected.set()

    monkeypatch.setattr(http.client.HTTPConnection, "connect", slowly)
    with pytest.raises(Undeliverable, match="TimeoutError"):
        webhook(sink.secret).post("a#1", DOCUMENT, NOW)
    assert connected.wait(2)
    time.sleep(0.1)
    assert sink.requests == []


def test_the_address_is_asked_as_it_stands_in_the_secret(sink: Sink) -> None:
    webhook(sink.secret.replace("/hook", "/hook/a%20b;c?d=e&f=%2F#part")).post("a#1", DOCUMENT, NOW)
    webhook(sink.secret.replace("/hook", "?d=e")).post("a#1", DOCUMENT, NOW)
    assert [request["path"] for request in sink.requests] == ["/hook/a%20b;c?d=e&f=%2F", "/?d=e"]


def test_nobody_is_asked_whose_certificate_nobody_vouches_for() -> None:
    connection = _connection_to("https://example.com:8443/")
    assert isinstance(connection, http.client.HTTPSConnection)
    assert (connection.host, connection.port) == ("example.com", 8443)
    trust: ssl.SSLContext = vars(connection)["_context"]
    assert (trust.check_hostname, trust.verify_mode) == (True, ssl.CERT_REQUIRED)


@given(st.text(), st.binary(), st.binary())
def test_another_body_is_signed_otherwise(secret: str, body: bytes, other: bytes) -> None:
    assert (signature(secret, "1", body) == signature(secret, "1", other)) is (body == other)
    assert signature(secret, "1", body) != signature(secret, "2", body)
