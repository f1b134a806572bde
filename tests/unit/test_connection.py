"""One connection that stays open: every form of an answer is read, nothing of one answer gets into the next."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_governor.adapters import connection
from ecr_governor.adapters.connection import Answer, Connection, NotHttp, _read

REQUEST = b"POST / HTTP/1.1\r\nhost:x\r\ncontent-length:2\r\n\r\n{}"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Amzn-RequestId: 1\r\n\r\nhello"
HELLO = Answer(200, {"content-length": "5", "x-amzn-requestid": "1"}, b"hello")


def receiving(*parts: bytes) -> Callable[[int], bytes]:
    waiting = [part for part in parts if part]

    def receive(size: int) -> bytes:
        if not waiting:
            return b""
        part, waiting[0] = waiting[0][:size], waiting[0][size:]
        if not waiting[0]:
            waiting.pop(0)
        return part

    return receive


@pytest.mark.parametrize(
    ("sent", "body", "keep"),
    [
        (PLAIN, b"hello", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", b"hi", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", False),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b"", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + PLAIN, b"hello", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n6;x=y\r\npedia \r\n0\r\n\r\n", b"wikipedia ", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", b"0123456789", True),
        (PLAIN + b"HTTP/1.1 200 OK\r\n", b"hello", False),
    ],
)
def test_an_answer_is_read_whatever_pieces_it_comes_in(sent: bytes, body: bytes, keep: bool) -> None:
    for size in (len(sent), 1, 3, 7):
        pieces = [sent[start : start + size] for start in range(0, len(sent), size)]
        answer, kept = _read(receiving(*pieces))
        assert answer.body == body
        # What came too soon is only seen if it came along.
        assert kept is keep or (size < len(sent) and keep is False and sent.startswith(PLAIN))


@given(st.binary(max_size=300), st.lists(st.integers(1, 50), max_size=8), st.booleans())
def test_any_body_in_any_chunks_and_pieces_comes_whole(body: bytes, cuts: list[int], chunked: bool) -> None:
    if chunked:
        chunks, rest = list[bytes](), body
        for cut in cuts:
            chunks, rest = [*chunks, rest[:cut]], rest[cut:]
        coded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, rest] if chunk) + b"0\r\n\r\n"
        sent = b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n" + coded
    else:
        sent = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    pieces = [sent[start : start + 11] for start in range(0, len(sent), 11)]
    answer, keep = _read(receiving(*pieces))
    assert (answer.body, keep) == (body, True)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        PLAIN[:-1],
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwik",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+4\r\nwiki\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * connection.MAX_HEAD * 2,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * connection.MAX_HEAD * 2,
    ],
)
def test_what_is_no_answer_or_ends_too_early_is_refused(sent: bytes) -> None:
    with pytest.raises(NotHttp):
        _read(receiving(sent))


@contextmanager
def serving(*conversations: Sequence[bytes | None]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that takes one connection after the other and answers each request with the next bytes; None hangs up."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answers in conversations:
                taken, _ = listening.accept()
                with taken:
                    for answer in answers:
                        if not (request := taken.recv(65_536)):
                            break
                        heard.append(request)
                        if answer is None:
                            break
                        taken.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", heard
        thread.join(5)


def test_a_connection_serves_many_requests() -> None:
    with serving([PLAIN] * 5) as (url, heard):
        one = Connection(urlsplit(url), None)
        assert [one.exchange(REQUEST) for _ in range(5)] == [HELLO] * 5
        one.close()
    assert heard == [REQUEST] * 5


@pytest.mark.parametrize("last", [PLAIN.replace(b"X-Amzn-RequestId: 1", b"Connection: close"), PLAIN + b"more"])
def test_a_connection_that_ends_or_goes_on_unasked_is_not_used_again(last: bytes) -> None:
    with serving([last], [PLAIN]) as (url, _):
        one = Connection(urlsplit(url), None)
        assert one.exchange(REQUEST).body == b"hello"
        assert one.exchange(REQUEST) == HELLO
        one.close()


def test_after_trouble_the_next_request_goes_by_a_new_connection() -> None:
    with serving([PLAIN, None], [PLAIN]) as (url, _):
        one = Connection(urlsplit(url), None)
        assert one.exchange(REQUEST) == HELLO
        with pytest.raises((OSError, HTTPException)):
            one.exchange(REQUEST)
        assert one.exchange(REQUEST) == HELLO
        one.close()


def test_a_connection_that_was_closed_while_it_was_idle_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "IDLE", -1.0)
    with serving([PLAIN], [PLAIN]) as (url, heard):
        one = Connection(urlsplit(url), None)
        assert one.exchange(REQUEST) == HELLO
        waiting = one._socket
        assert waiting is not None
        waiting.settimeout(5)
        assert waiting.recv(1, socket.MSG_PEEK) == b""
        assert one.exchange(REQUEST) == HELLO
        one.close()
    assert len(heard) == 2


def test_whoever_says_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READ_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        one = Connection(urlsplit(f"http://127.0.0.1:{silent.getsockname()[1]}"), None)
        with pytest.raises(TimeoutError):
            one.exchange(REQUEST)


def test_a_proxy_is_asked_for_a_tunnel_with_its_login_and_tls_is_spoken_through_it() -> None:
    with serving([b"HTTP/1.1 200 Connection established\r\n\r\n", b"no TLS"]) as (url, heard):
        proxy = urlsplit(url.replace("http://", "http://user:p%40ss@"))
        one = Connection(urlsplit("https://api.ecr.eu-west-1.amazonaws.com"), ssl.create_default_context(), proxy)
        with pytest.raises(ssl.SSLError):
            one.exchange(REQUEST)
    asked = heard[0].decode()
    assert asked.startswith("CONNECT api.ecr.eu-west-1.amazonaws.com:443 HTTP/1.")
    assert "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in asked
    assert heard[1].startswith(b"\x16\x03"), "the record of a TLS handshake"


def test_a_proxy_that_refuses_is_trouble() -> None:
    with serving([b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"]) as (url, _):
        one = Connection(urlsplit("https://api.ecr.eu-west-1.amazonaws.com"), ssl.create_default_context(), urlsplit(url))
        with pytest.raises(OSError, match="407"):
            one.exchange(REQUEST)
