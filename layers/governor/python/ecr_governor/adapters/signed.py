"""A thin, signed caller of AWS's JSON services, for the reads that an audit makes once for every repository.

Why not a botocore client: its machinery for one call costs 0.8 ms of CPU that no setting takes away, and turning timestamps into
datetimes is another third of a DescribeImages call. Over an account's sweep a call made here costs a quarter of one through boto3
(0.35 against 1.50 ms). Timestamps therefore stay the numbers that AWS sends. Credentials, error types and the names of endpoints
remain botocore's.
"""

import hashlib
import hmac
import json
import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import urllib3
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.utils import get_environ_proxies

from ecr_governor.adapters.aws import THROTTLES
from ecr_governor.app.errors import Throttled

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

ALGORITHM = "AWS4-HMAC-SHA256"
TIMEOUT: Final = urllib3.Timeout(connect=3, read=10)
ATTEMPTS = 3
FIRST_DELAY = 0.2
SERVER_TROUBLE = frozenset({500, 502, 503, 504})


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


@dataclass(frozen=True, slots=True)
class _Door:
    """Where a service answers: its open connections, the host as it is signed, and the path."""

    pool: urllib3.HTTPConnectionPool
    host: str
    path: str


class SignedClient:
    """Calls of any number of threads at once, over connections that stay open.

    `calls` counts every request by "service:Operation". Without `endpoint_url` the endpoints are those of the Region's partition.
    """

    def __init__(
        self,
        session: Session,
        region: str,
        endpoint_url: str | None = None,
        user_agent: str = "ecr-governor",
        *,
        concurrency: int = 16,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.calls: Counter[str] = Counter()
        self._session = session
        self._credentials = session.get_credentials()
        self._region = region
        self._endpoint_url = endpoint_url
        self._user_agent = user_agent
        self._concurrency = concurrency
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._managers: dict[str | None, urllib3.PoolManager] = {}
        self._doors: dict[str, _Door] = {}
        self._keys: dict[str, tuple[str, str | None, bytes]] = {}

    def call(self, service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Make one call. Raises botocore's ClientError for what AWS refuses, Throttled when AWS cannot be reached."""
        door = self._doors.get(service) or self._open(service)
        body = json.dumps(params).encode()
        for attempt in range(ATTEMPTS):
            with self._lock:
                self.calls[f"{service}:{operation}"] += 1
            # Signed anew each time: a signature is good for five minutes, credentials may have been refreshed.
            headers = self._headers(service, operation, door, body)
            try:
                answer = door.pool.urlopen("POST", door.path, body=body, headers=headers, retries=False, redirect=False, timeout=TIMEOUT)
            except urllib3.exceptions.HTTPError as error:
                if isinstance(error.args[0], ssl.SSLCertVerificationError):
                    # A certificate that is not trusted now will not be trusted after a pause.
                    raise
                if attempt == ATTEMPTS - 1:
                    raise Throttled(f"{service}:{operation}: {type(error).__name__}: {error}") from error
                self._sleep(FIRST_DELAY * 2**attempt * (0.5 + random.random() / 2))  # noqa: S311 -- spreads retries, keeps no secret
            else:
                return _result(operation, answer)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the connections."""
        for manager in self._managers.values():
            manager.clear()

    def _open(self, service: str) -> _Door:
        with self._lock:
            if service not in self._doors:
                url = self._endpoint_url or f"https://{self._host_name(service)}"
                parts = urlsplit(url)
                manager = self._manager(get_environ_proxies(url).get(parts.scheme) if parts.scheme == "https" else None)
                self._doors[service] = _Door(manager.connection_from_url(url), parts.netloc, parts.path or "/")
            return self._doors[service]

    def _host_name(self, service: str) -> str:
        prefix = SERVICES[service].endpoint
        found = self._session.get_component("endpoint_resolver").construct_endpoint(
            prefix, self._region, use_fips_endpoint=bool(self._session.get_config_variable("use_fips_endpoint"))
        )
        return str(found["hostname"]) if found else f"{prefix}.{self._region}.amazonaws.com"

    def _manager(self, proxy: str | None) -> urllib3.PoolManager:
        if proxy not in self._managers:
            options: dict[str, Any] = {"maxsize": self._concurrency, "ca_certs": self._session.get_config_variable("ca_bundle")}
            if proxy is None:
                self._managers[proxy] = urllib3.PoolManager(**options)
            else:
                login = urllib3.util.make_headers(proxy_basic_auth=urllib3.util.parse_url(proxy).auth)
                self._managers[proxy] = urllib3.ProxyManager(proxy, proxy_headers=login, **options)
        return self._managers[proxy]

    def _headers(self, service: str, operation: str, door: _Door, body: bytes) -> dict[str, str]:
        if self._credentials is None:
            raise NoCredentialsError
        credentials: ReadOnlyCredentials = self._credentials.get_frozen_credentials()
        known = SERVICES[service]
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        signed = {"content-type": known.content_type, "host": door.host, "x-amz-date": stamp}
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        signed["x-amz-target"] = f"{known.target}.{operation}"
        names = ";".join(signed)
        scope = f"{stamp[:8]}/{self._region}/{service}/aws4_request"
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        canonical = f"POST\n{door.path}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._key(service, stamp[:8], credentials.secret_key), to_sign.encode(), "sha256").hex()
        return {
            **signed,
            "authorization": f"{ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}",
            "user-agent": self._user_agent,
        }

    def _key(self, service: str, day: str, secret: str | None) -> bytes:
        kept = self._keys.get(service)
        if kept and kept[0] == day and kept[1] == secret:
            return kept[2]
        key = f"AWS4{secret}".encode()
        for part in (day, self._region, service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._keys[service] = (day, secret, key)
        return key


def _result(operation: str, answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    try:
        document = json.loads(answer.data or b"{}")
    except ValueError:
        # Something in between answered, such as a load balancer with a page of HTML.
        document = {}
    if answer.status == 200:  # noqa: PLR2004 -- the only success that these services have
        return dict(document)
    # "namespace#Code" in the body, "Code:address" in the header.
    told = str(document.get("__type") or answer.headers.get("x-amzn-errortype") or answer.status)
    code, message = told.rpartition("#")[2].partition(":")[0], str(document.get("message") or document.get("Message") or "")
    if answer.status in SERVER_TROUBLE and code not in THROTTLES:
        code, message = "ServiceUnavailable", f"{code}: {message}"
    raise ClientError({"Error": {"Code": code, "Message": message}}, operation)
