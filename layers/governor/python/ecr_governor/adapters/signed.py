"""A thin, signed caller of AWS's JSON services, for the reads that a look at everything makes once for every repository.

Why not a botocore client: its machinery for one call costs 0.8 ms of CPU that no setting takes away, and turning timestamps into
datetimes is another third of a DescribeImages call; a call made here costs a tenth of that. Timestamps therefore stay the numbers
that AWS sends. Credentials, error types and the names of endpoints remain botocore's.
"""

import hashlib
import hmac
import json
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import SplitResult, urlsplit

from botocore.exceptions import ClientError, NoCredentialsError, ProxyConnectionError, SSLError
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies
from pydantic_core import from_json

from ecr_governor.adapters.aws import THROTTLES
from ecr_governor.adapters.connection import Answer, Connection
from ecr_governor.app.errors import Throttled

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

ALGORITHM = "AWS4-HMAC-SHA256"
OK = 200
SERVER_TROUBLE = frozenset({500, 502, 503, 504})


class Unreached(Throttled):
    """No answer came: the connection failed, or broke before the answer was whole. It may be tried again."""


@dataclass(frozen=True, slots=True)
class _Service:
    endpoint: str
    target: str
    content_type: str = "application/x-amz-json-1.1"


SERVICES: Final[Mapping[str, _Service]] = {
    "ecr": _Service("api.ecr", "AmazonEC2ContainerRegistry_V20150921"),
    "tagging": _Service("tagging", "ResourceGroupsTaggingAPI_20170126"),
    "monitoring": _Service("monitoring", "GraniteServiceVersion20100801", "application/x-amz-json-1.0"),
}
"""By the name that a service's calls are signed for."""


class Session(Protocol):
    """As much of a botocore session as is used."""

    def get_credentials(self) -> Any:
        """Give the credentials, which refresh themselves, or None."""

    def get_component(self, name: str, /) -> Any:
        """Give a component such as the endpoint resolver."""

    def get_config_variable(self, name: str, /) -> Any:
        """Give a setting of the environment or the configuration file."""


@dataclass(slots=True)
class _Door:
    """Where a service answers: address, proxy, TLS, the host as it is signed, the path, and the connections that nobody uses now."""

    address: SplitResult
    proxy: SplitResult | None
    tls: ssl.SSLContext | None
    host: str
    path: str
    idle: deque[Connection] = field(default_factory=deque)

    def exchange(self, request: bytes) -> Answer:
        try:
            connection = self.idle.pop()
        except IndexError:
            connection = Connection(self.address, self.tls, self.proxy)
        # After an error it is closed, and opened anew when it is used again.
        try:
            return connection.exchange(request)
        finally:
            self.idle.append(connection)


class SignedClient:
    """Makes signed calls in one Region, from any number of threads. `calls` counts them by service and operation."""

    def __init__(
        self,
        session: Session,
        region: str,
        endpoint_url: str | None = None,
        user_agent: str = "ecr-governor",
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.calls: Counter[str] = Counter()
        self._session = session
        self._credentials = session.get_credentials()
        self._region = region
        self._endpoint_url = endpoint_url
        self._user_agent = user_agent
        self._clock = clock
        self._lock = threading.Lock()
        self._doors: dict[str, _Door] = {}
        self._keys: dict[str, tuple[str, str | None, bytes]] = {}

    def call(self, service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Make one call, once. Raises botocore's ClientError for what AWS refuses, Unreached where no whole answer came.

        Raises botocore's SSLError for a certificate that is not trusted, and what botocore raises where there are no credentials.
        """
        door = self._doors.get(service) or self._open(service)
        request = self._request(service, operation, door, json.dumps(params).encode())
        with self._lock:
            self.calls[f"{service}:{operation}"] += 1
        try:
            answer = door.exchange(request)
        except ssl.SSLCertVerificationError as error:
            # It will not be trusted after a pause either.
            raise SSLError(endpoint_url=door.address.geturl(), error=error) from error
        except (OSError, HTTPException) as error:
            raise Unreached(f"{service}:{operation}: {type(error).__name__}: {error}") from error
        return _result(operation, answer)

    def close(self) -> None:
        """Close the connections that are not in use."""
        for door in self._doors.values():
            for connection in door.idle:
                connection.close()

    def _open(self, service: str) -> _Door:
        with self._lock:
            if service not in self._doors:
                address = urlsplit(self._endpoint_url or f"https://{self._host_name(service)}")
                secure = address.scheme == "https"
                proxy = get_environ_proxies(address.geturl()).get("https") if secure else None
                self._doors[service] = _Door(
                    address, _proxy(proxy) if proxy else None, self._tls() if secure else None, address.netloc, address.path or "/"
                )
            return self._doors[service]

    def _host_name(self, service: str) -> str:
        prefix = SERVICES[service].endpoint
        found = self._session.get_component("endpoint_resolver").construct_endpoint(
            prefix, self._region, use_fips_endpoint=bool(self._session.get_config_variable("use_fips_endpoint"))
        )
        return str(found["hostname"]) if found else f"{prefix}.{self._region}.amazonaws.com"

    def _tls(self) -> ssl.SSLContext:
        trusted = Path(str(self._session.get_config_variable("ca_bundle") or get_cert_path(verify=True)))
        try:
            context = ssl.create_default_context(capath=trusted) if trusted.is_dir() else ssl.create_default_context(cafile=trusted)
        except OSError as error:
            raise SSLError(endpoint_url=f"{self._region}, with the certificates {trusted}:", error=error) from error
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _request(self, service: str, operation: str, door: _Door, body: bytes) -> bytes:
        if self._credentials is None:
            raise NoCredentialsError
        # Signed anew each time: a signature is good for five minutes, credentials may have been refreshed.
        credentials: ReadOnlyCredentials = self._credentials.get_frozen_credentials()
        known = SERVICES[service]
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        token = f"x-amz-security-token:{credentials.token}\n" if credentials.token else ""
        target = f"{known.target}.{operation}"
        names = f"content-type;host;x-amz-date;{'x-amz-security-token;' if token else ''}x-amz-target"
        signed = f"content-type:{known.content_type}\nhost:{door.host}\nx-amz-date:{stamp}\n{token}x-amz-target:{target}\n"
        scope = f"{stamp[:8]}/{self._region}/{service}/aws4_request"
        canonical = f"POST\n{door.path}\n\n{signed}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._key(service, stamp[:8], credentials.secret_key), to_sign.encode(), "sha256").hex()
        head = signed.replace("\n", "\r\n")
        return (
            f"POST {door.path} HTTP/1.1\r\n{head}content-length:{len(body)}\r\nuser-agent:{self._user_agent}\r\n"
            f"authorization:{ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}\r\n\r\n"
        ).encode() + body

    def _key(self, service: str, day: str, secret: str | None) -> bytes:
        kept = self._keys.get(service)
        if kept and kept[0] == day and kept[1] == secret:
            return kept[2]
        key = f"AWS4{secret}".encode()
        for part in (day, self._region, service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._keys[service] = (day, secret, key)
        return key


def _proxy(url: str) -> SplitResult:
    proxy = urlsplit(url if "://" in url else f"http://{url}")
    if proxy.scheme != "http":
        raise ProxyConnectionError(proxy_url=f"{proxy.scheme}://{proxy.hostname}", error="only http:// proxies can be used")
    return proxy


def _result(operation: str, answer: Answer) -> dict[str, Any]:
    try:
        document = from_json(answer.body or b"{}")
    except ValueError:
        # Something in between answered, such as a load balancer with a page of HTML.
        document = None
    if not isinstance(document, dict):
        document = {}
        if answer.status == OK:
            raise Unreached(f"{operation}: an answer that is no JSON object")
    if answer.status == OK:
        return document
    # "namespace#Code" in the body, "Code:address" in the header.
    told = str(document.get("__type") or answer.headers.get("x-amzn-errortype") or answer.status)
    code, message = told.rpartition("#")[2].partition(":")[0], str(document.get("message") or document.get("Message") or "")
    if answer.status in SERVER_TROUBLE and code not in THROTTLES:
        code, message = "ServiceUnavailable", f"{code}: {message}"
    raise ClientError({"Error": {"Code": code, "Message": message}}, operation)
