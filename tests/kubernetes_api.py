"""A small Kubernetes API server on loopback: lists in pages, refusals and pages that are gone, as the real one answers them.

The paths, `limit` and `continue`, Status objects and the token that comes with `410 Gone` follow Kubernetes' "API Concepts". As the real one it
lists nothing in a namespace that is not there, and says nothing of that.
"""

import base64
import json
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

TOKEN = "collectors-token"
DAY = timedelta(days=1)
GONE = "The provided continue parameter is too old to display a consistent list result."


@dataclass
class Fault:
    """What happens to requests for a resource instead of an answer, so many times; `continued`: only to those for a further page."""

    status: int
    body: bytes | None = None
    times: int = 1_000
    continued: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class KubernetesApi:
    """What is in the cluster, what was asked of it, and what goes wrong. `objects` by plural, in the order of their creation."""

    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    namespaces: list[str] = field(default_factory=lambda: ["default", "kube-system"])
    page: int = 500
    faults: dict[str, Fault] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def add(self, plural: str, name: str, content: Mapping[str, Any], namespace: str = "default") -> None:
        self.objects.setdefault(plural, []).append({"metadata": {"name": name, "namespace": namespace}, **content})

    def kubeconfig(self, path: Path, **changes: Any) -> Path:
        user = changes.pop("user", {"token": TOKEN})
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "eks-production", "cluster": {"server": self.address}}],
            "users": [{"name": "collector", "user": user}],
            "contexts": [{"name": "production", "context": {"cluster": "eks-production", "user": "collector"}}],
            "current-context": "production",
            **changes,
        }
        path.write_text(yaml.safe_dump(content))
        return path

    def answer(self, target: str, authorization: str | None) -> tuple[int, Mapping[str, str], bytes]:
        """Answer one GET."""
        parts = urlsplit(target)
        path = [unquote(part) for part in parts.path.strip("/").split("/")]
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        scheme, _, token = (authorization or "").partition(" ")
        if (scheme.lower(), token) != ("bearer", TOKEN):
            return 401, {}, status(401, "Unauthorized", "Unauthorized")
        rest = path[2:] if path[0] == "api" else path[3:]
        namespace = rest[1] if len(rest) == 3 else None
        plural = rest[-1] if rest[0] != "namespaces" or len(rest) == 3 else "namespaces"
        group = "" if path[0] == "api" else path[1]
        self.asked.append(f"{'get' if plural == 'namespaces' else 'list'} {plural}.{group}".rstrip("."))
        if fault := self._fault(plural, query):
            said = status(fault.status, "Trouble", f"{plural} is in trouble") if fault.body is None else fault.body
            return fault.status, fault.headers, said
        if plural == "namespaces":
            found = rest[1] in self.namespaces
            return (200, {}, b'{"kind": "Namespace"}') if found else (404, {}, status(404, "NotFound", f'namespaces "{rest[1]}" not found'))
        return 200, {}, self._list(plural, namespace, query)

    def _fault(self, plural: str, query: Mapping[str, str]) -> Fault | None:
        fault = self.faults.get(plural)
        if fault is None or fault.times == 0 or (fault.continued and "continue" not in query):
            return None
        fault.times -= 1
        return fault

    def _list(self, plural: str, namespace: str | None, query: Mapping[str, str]) -> bytes:
        items: Sequence[Any] = [
            each for each in self.objects.get(plural, ()) if namespace is None or each["metadata"]["namespace"] == namespace
        ]
        start = int(base64.b64decode(query["continue"])) if "continue" in query else 0
        end = start + min(self.page, int(query.get("limit", 1_000_000)))
        more = {"continue": token_of(end), "remainingItemCount": len(items) - end} if end < len(items) else {}
        # The items of a list carry neither kind nor version.
        return json.dumps(
            {"kind": f"{plural.title()}List", "metadata": {"resourceVersion": "7", **more}, "items": items[start:end]}
        ).encode()


def token_of(start: int) -> str:
    return base64.b64encode(str(start).encode()).decode()


def status(code: int, reason: str, message: str, **metadata: str) -> bytes:
    return json.dumps(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        }
    ).encode()


def gone(times: int) -> Fault:
    """A page that is asked for is too old, so many times; the token would go on with a list of another time."""
    return Fault(410, status(410, "Expired", GONE, **{"continue": token_of(1)}), times, continued=True)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that signs itself; give its path, and that of it together with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - DAY, now + DAY)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    signed = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, SHA256())
    public = signed.public_bytes(Encoding.PEM)
    (folder / "ca.crt").write_bytes(public)
    (folder / "chain.pem").write_bytes(public + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "ca.crt", folder / "chain.pem"


@contextmanager
def serving(api: KubernetesApi, chain: Path | None = None) -> Iterator[KubernetesApi]:
    """Serve it, over TLS if there is a certificate with its key."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            code, headers, body = api.answer(self.path, self.headers["Authorization"])
            self.send_response(code)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of who hangs up, either."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if chain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    api.address = f"http{'s' if chain else ''}://127.0.0.1:{server.server_port}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
