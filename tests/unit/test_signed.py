"""The signed caller signs as botocore does, keeps connections, and tells trouble in botocore's words."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, NoCredentialsError, ProxyConnectionError, SSLError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ecr_governor.adapters.aws import code_of
from ecr_governor.adapters.signed import SERVICES, SignedClient, Unreached
from ecr_governor.app.errors import Throttled

NOON = 1793620800.0
STAMP = "20261102T120000Z"
OK: tuple[int, dict[str, str], bytes] = (200, {}, b'{"createdAt": 1793620800.123}')


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], bytes] | None] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        answer = self.server.answers.pop(0) if self.server.answers else OK
        if answer is None:
            self.close_connection = True
            return
        status, headers, content = answer
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


class Session:
    def __init__(self, token: str | None = None, *, fips: bool = False, without_credentials: bool = False) -> None:
        self.credentials = None if without_credentials else Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", token)
        self.fips = fips
        self.ca_bundle: str | None = None

    def get_credentials(self) -> Any:
        return self.credentials

    def get_component(self, name: str, /) -> Any:
        return botocore.session.Session().get_component(name)

    def get_config_variable(self, name: str, /) -> Any:
        return {"use_fips_endpoint": self.fips, "ca_bundle": self.ca_bundle}.get(name)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def client_of(server: Server, token: str | None = None) -> SignedClient:
    return SignedClient(Session(token), "eu-west-1", server.url, "ecr-governor audit", clock=lambda: NOON)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("token", [None, "session/token=="])
@pytest.mark.parametrize("params", [{}, {"repositoryName": "päyments/api", "filter": {"imageStatus": "ANY"}}])
def test_a_request_is_signed_as_botocore_signs_it(server: Server, service: str, token: str | None, params: dict[str, Any]) -> None:
    client_of(server, token).call(service, "DescribeImages", params)
    ((path, headers, body),) = server.requests
    assert path == "/"
    assert json.loads(body) == params
    assert headers["user-agent"] == "ecr-governor audit"
    assert headers["x-amz-date"] == STAMP
    assert headers.get("x-amz-security-token") == token
    assert headers["x-amz-target"] == f"{SERVICES[service].target}.DescribeImages"

    auth = SigV4Auth(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", token), service, "eu-west-1")
    algorithm, _, rest = headers["authorization"].partition(" ")
    parts = dict(part.split("=", 1) for part in rest.split(", "))
    names = parts["SignedHeaders"].split(";")
    request = AWSRequest("POST", server.url + path, {name: headers[name] for name in names}, body)
    request.context["timestamp"] = STAMP
    assert algorithm == "AWS4-HMAC-SHA256"
    assert parts["Credential"] == auth.scope(request)
    assert parts["SignedHeaders"] == auth.signed_headers(auth.headers_to_sign(request))
    assert parts["Signature"] == auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


def test_the_services_are_called_as_botocores_model_says() -> None:
    session = botocore.session.Session()
    for name, model in {"ecr": "ecr", "tagging": "resourcegroupstaggingapi", "monitoring": "cloudwatch"}.items():
        metadata: Any = session.get_service_model(model).metadata
        assert SERVICES[name].target == metadata["targetPrefix"]
        assert SERVICES[name].endpoint == metadata["endpointPrefix"]
        assert SERVICES[name].content_type == f"application/x-amz-json-{metadata['jsonVersion']}"
        assert name == metadata.get("signingName", metadata["endpointPrefix"])
        assert "json" in metadata["protocols"]


@pytest.mark.parametrize(
    ("region", "fips", "host"),
    [
        ("eu-west-1", False, "api.ecr.eu-west-1.amazonaws.com"),
        ("cn-north-1", False, "api.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", False, "api.ecr.us-gov-west-1.amazonaws.com"),
        ("eusc-de-east-1", False, "api.ecr.eusc-de-east-1.amazonaws.eu"),
        ("us-east-1", True, "ecr-fips.us-east-1.amazonaws.com"),
    ],
)
def test_without_an_endpoint_it_is_that_of_the_regions_partition(region: str, fips: bool, host: str) -> None:
    door = SignedClient(Session(fips=fips), region)._open("ecr")
    assert (door.host, door.path, door.address.geturl()) == (host, "/", f"https://{host}")
    assert door.tls is not None
    assert (door.tls.check_hostname, door.tls.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_https_goes_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:pass@127.0.0.1:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    proxy = SignedClient(Session(), "eu-west-1")._open("ecr").proxy
    assert proxy is not None
    assert (proxy.hostname, proxy.port, proxy.username) == ("127.0.0.1", 3128, "user")
    assert SignedClient(Session(), "eu-west-1", "https://127.0.0.1:1")._open("ecr").proxy is None


def test_a_proxy_without_a_scheme_is_one_of_http_and_one_by_tls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    proxy = SignedClient(Session(), "eu-west-1")._open("ecr").proxy
    assert proxy is not None
    assert (proxy.hostname, proxy.port) == ("proxy.example", 3128)
    monkeypatch.setenv("HTTPS_PROXY", "https://proxy.example:3128")
    with pytest.raises(ProxyConnectionError):
        SignedClient(Session(), "eu-west-1")._open("ecr")


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_certificates_that_cannot_be_used_are_told_in_botocores_words(tmp_path: Path, kind: str) -> None:
    bundle = tmp_path / "bundle.pem"
    if kind == "empty":
        bundle.touch()
    session = Session()
    session.ca_bundle = str(bundle)
    with pytest.raises(SSLError, match="bundle"):
        SignedClient(session, "eu-west-1")._open("ecr")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 with its key, which nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


def test_tls_is_spoken_with_whom_the_bundle_trusts_and_with_nobody_else(server: Server, certificate: Path) -> None:
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(certificate)
    server.socket = secure.wrap_socket(server.socket, server_side=True)
    url, session = server.url.replace("http:", "https:"), Session()
    session.ca_bundle = str(certificate)
    client = SignedClient(session, "eu-west-1", url)
    for _ in range(3):
        assert client.call("ecr", "DescribeImages", {}) == {"createdAt": 1793620800.123}
    assert server.connections == 1
    client.close()
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        SignedClient(Session(), "eu-west-1", url).call("ecr", "DescribeImages", {})
    with pytest.raises(SSLError, match="Hostname mismatch"):
        SignedClient(session, "eu-west-1", url.replace("127.0.0.1", "localhost")).call("ecr", "DescribeImages", {})


def test_timestamps_stay_numbers_and_connections_stay_open(server: Server) -> None:
    client = client_of(server)
    for _ in range(5):
        assert client.call("ecr", "DescribeRepositories", {}) == {"createdAt": 1793620800.123}
    assert server.connections == 1
    assert client.calls == {"ecr:DescribeRepositories": 5}
    client.close()


def test_many_threads_call_at_once_and_none_is_miscounted(server: Server) -> None:
    client = client_of(server)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: client.call("ecr", "DescribeImages", {"number": number}), range(200)))
    assert sorted(json.loads(body)["number"] for _, _, body in server.requests) == list(range(200))
    assert client.calls == {"ecr:DescribeImages": 200}
    assert server.connections <= 8


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (
            (400, {}, b'{"__type":"com.amazonaws.ecr#RepositoryNotFoundException","message":"no such"}'),
            "RepositoryNotFoundException",
            "no such",
        ),
        ((400, {}, b'{"__type":"AccessDeniedException","Message":"not you"}'), "AccessDeniedException", "not you"),
        ((400, {"x-amzn-ErrorType": "ThrottlingException:http://internal.amazon.com/x/"}, b"{}"), "ThrottlingException", ""),
        ((403, {}, b""), "403", ""),
        ((400, {}, b'{"__type":"ServerException","message":"sorry"}'), "ServerException", "sorry"),
        ((500, {}, b'{"__type":"InternalServerError"}'), "InternalServerError", ""),
        ((502, {}, b"<html>Bad Gateway</html>"), "ServiceUnavailable", "502: "),
        ((500, {}, b'{"__type":"Surprise","message":"!"}'), "ServiceUnavailable", "Surprise: !"),
    ],
)
def test_a_refusal_is_a_client_error_with_awss_code(server: Server, answer: Any, code: str, message: str) -> None:
    server.answers = [answer]
    client = client_of(server)
    with pytest.raises(ClientError) as caught:
        client.call("ecr", "GetLifecyclePolicy", {})
    assert code_of(caught.value) == code
    assert caught.value.response["Error"]["Message"] == message
    assert caught.value.operation_name == "GetLifecyclePolicy"
    assert client.calls.total() == 1


def test_a_lost_connection_is_passing_trouble_and_the_next_call_makes_a_new_one(server: Server) -> None:
    server.answers = [OK, None, OK]
    client = client_of(server)
    assert client.call("ecr", "DescribeImages", {})
    with pytest.raises(Unreached, match="ecr:DescribeImages: "):
        client.call("ecr", "DescribeImages", {})
    assert client.call("ecr", "DescribeImages", {})
    assert (client.calls.total(), server.connections) == (3, 2)


def test_whoever_cannot_be_reached_is_passing_trouble() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = SignedClient(Session(), "eu-west-1", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(Unreached, match="ecr:DescribeImages: ConnectionRefusedError"):
            client.call("ecr", "DescribeImages", {})
    assert issubclass(Unreached, Throttled)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'"x"', b"{"])
def test_success_without_an_object_is_no_answer(server: Server, body: bytes) -> None:
    server.answers = [(200, {}, body)]
    if body:
        with pytest.raises(Unreached):
            client_of(server).call("ecr", "DescribeImages", {})
    else:
        assert client_of(server).call("ecr", "DescribeImages", {}) == {}


def test_credentials_that_change_are_used_from_the_next_call(server: Server) -> None:
    session = Session()
    client = SignedClient(session, "eu-west-1", server.url, clock=lambda: NOON)
    client.call("ecr", "DescribeImages", {})
    assert session.credentials is not None
    session.credentials.access_key, session.credentials.secret_key, session.credentials.token = "AKIDNEXT", "other", "t"
    client.call("ecr", "DescribeImages", {})
    first, second = (headers["authorization"] for _, headers, _ in server.requests)
    assert "AKIDEXAMPLE" in first
    assert "AKIDNEXT" in second
    assert first.rpartition("=")[2] != second.rpartition("=")[2]


def test_without_credentials_nothing_is_sent(server: Server) -> None:
    with pytest.raises(NoCredentialsError):
        SignedClient(Session(without_credentials=True), "eu-west-1", server.url).call("ecr", "DescribeImages", {})
    assert server.requests == []
