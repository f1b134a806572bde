"""An AWS endpoint on this machine that counts every call, and can delay and refuse them. One process, one event loop.

Run it alone with `python -m benchmarks.server --repositories 1000 --port 5600`. Under /yardstick/ on the same port:

    counts       the calls since the last reset, by operation; how many were refused; what would have been changed
    reset        begin to count anew
    truth        the names of the repositories that break each rule
    change       let something happen to every fiftieth repository; `truth` changes with them
    restore      undo that
    configure    {"latency_ms": 20, "quota": 20}: from now on; a quota of 0 is none
"""

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import parse_qs

from benchmarks import account, cbor, rules
from benchmarks.answers import Refused, Registry, is_change, written

TARGETS = {
    b"AmazonEC2ContainerRegistry_V20150921": "ecr",
    b"ResourceGroupsTaggingAPI_20170126": "tagging",
    b"GraniteServiceVersion20100801": "monitoring",
}
"""Services by the name that stands in a request's header or path."""
THROTTLED = {"tagging": "ThrottledException", "sts": "Throttling"}
"""What a service calls it, if not ThrottlingException."""
JSON, CBOR, XML = b"application/x-amz-json-1.1", b"application/cbor", b"text/xml"
CONTROL = b"/yardstick/"
CALLER = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>\
<Arn>arn:aws:iam::{rules.ACCOUNT}:user/benchmark</Arn><UserId>AIDAEXAMPLE</UserId><Account>{rules.ACCOUNT}</Account>\
</GetCallerIdentityResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></GetCallerIdentityResponse>""".encode()


class Quota:
    """A bucket of calls that fills again with `rate` calls a second and holds as many as one second brings."""

    __slots__ = ("_at", "_left", "_rate")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = self._left = rate
        self._at = now

    def take(self, now: float) -> bool:
        """Take one call, if one is left."""
        self._left = min(self._rate, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Endpoint:
    """Answers requests, and knows what it was asked."""

    def __init__(self, size: int, seed: int, today: float) -> None:
        self._today = today
        self._original = account.account(size, seed, today)
        self._present = self._original
        self._registry = Registry.holding(self._original)
        self._operations = self._registry.operations()
        self.latency = 0.0
        self._rate = 0.0
        self.reset()

    def reset(self) -> None:
        """Begin to count anew; quotas are full again."""
        self._calls: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._quotas: dict[str, Quota] = {}
        self._registry.changes.clear()

    def control(self, what: str, body: bytes) -> dict[str, Any]:
        """Do what /yardstick/ is asked for. Raises LookupError for anything else."""
        if what == "counts":
            counters = {"calls": self._calls, "refused": self._refused, "unknown": self._unknown}
            return {**{name: dict(counter) for name, counter in counters.items()}, "changes": self._registry.changes}
        if what == "truth":
            return account.truth(self._present, self._today)
        if what == "reset":
            self.reset()
        elif what in {"change", "restore"}:
            self._present = account.changed(self._original, self._today) if what == "change" else self._original
            self._registry.put(self._present)
        elif what == "configure":
            wanted = json.loads(body)
            self.latency, self._rate = wanted["latency_ms"] / 1000, wanted["quota"]
            self.reset()
        else:
            raise LookupError(what)
        return {}

    def answer(self, path: bytes, target: bytes, head: bytes, body: bytes) -> bytes:
        """Answer a call with a whole HTTP response."""
        if target:
            prefix, _, operation = target.rpartition(b".")
            service, kind = TARGETS.get(prefix, ""), JSON
        elif path.startswith(b"/service/"):
            _, _, prefix, _, operation = path.split(b"/", 4)
            service, kind = TARGETS.get(prefix, ""), CBOR
        else:
            service, kind, operation = "sts", XML, b"".join(parse_qs(body).get(b"Action", [b"?"])[:1])
        name = f"{service}.{operation.decode()}"
        self._calls[name] += 1
        try:
            self._admit(name, service, head)
            return _response(b"200 OK", kind, self._body(name, kind, body))
        except Refused as refused:
            return _response(b"400 Bad Request", kind, _refusal(refused, kind))

    def _admit(self, name: str, service: str, head: bytes) -> None:
        if b"/aws4_request" not in head:
            raise Refused("MissingAuthenticationTokenException", "the request is not signed")
        if self._rate:
            now = time.monotonic()
            quota = self._quotas.get(name)
            if quota is None:
                quota = self._quotas[name] = Quota(self._rate, now)
            if not quota.take(now):
                self._refused[name] += 1
                raise Refused(THROTTLED.get(service, "ThrottlingException"), "Rate exceeded")

    def _body(self, name: str, kind: bytes, body: bytes) -> bytes:
        if kind is JSON:
            answer = self._operations.get(name)
            if answer is not None:
                return answer(json.loads(body))
            service, _, operation = name.partition(".")
            if service == "ecr" and is_change(operation):
                return self._registry.change(operation, json.loads(body))
        elif name == "monitoring.GetMetricData":
            return cbor.dump(self._registry.metric_data(cbor.load(body)))
        elif name == "sts.GetCallerIdentity":
            return CALLER
        self._unknown[name] += 1
        raise Refused("UnknownOperationException", f"this server does not know {name}")


class Connection(asyncio.Protocol):
    """One client's connection; requests on it are answered one after the other."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._received = b""
        self._later = asyncio.get_running_loop().call_later
        self._transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that has come in whole."""
        received = self._received + data if self._received else data
        while (end := received.find(b"\r\n\r\n")) >= 0:
            head = received[:end]
            lowered = head.lower()
            length = int(_header(head, lowered, b"content-length") or 0)
            if len(received) < end + 4 + length:
                break
            body = received[end + 4 : end + 4 + length]
            received = received[end + 4 + length :]
            path = head[head.index(b" ") + 1 :].partition(b" ")[0]
            if path.startswith(CONTROL):
                self._send(_controlled(self._endpoint, path, body))
                continue
            response = self._endpoint.answer(path, _header(head, lowered, b"x-amz-target"), head, body)
            if self._endpoint.latency:
                self._later(self._endpoint.latency, self._send, response)
            else:
                self._send(response)
        self._received = received

    def _send(self, response: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(response)


def _header(head: bytes, lowered: bytes, name: bytes) -> bytes:
    begin = lowered.find(b"\r\n" + name + b":")
    if begin < 0:
        return b""
    begin += len(name) + 3
    end = head.find(b"\r\n", begin)
    return head[begin : end if end >= 0 else len(head)].strip()


def _controlled(endpoint: Endpoint, path: bytes, body: bytes) -> bytes:
    try:
        return _response(b"200 OK", b"application/json", written(endpoint.control(path.removeprefix(CONTROL).decode(), body)))
    except LookupError:
        return _response(b"404 Not Found", b"application/json", b"{}")


def _response(status: bytes, kind: bytes, body: bytes) -> bytes:
    extra = b"smithy-protocol: rpc-v2-cbor\r\n" if kind is CBOR else b""
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status, kind, len(body), extra, body)


def _refusal(refused: Refused, kind: bytes) -> bytes:
    if kind is XML:
        error = f"<Error><Type>Sender</Type><Code>{refused.code}</Code><Message>{refused.message}</Message></Error>"
        return f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>".encode()
    document = {"__type": refused.code, "message": refused.message}
    return cbor.dump(document) if kind is CBOR else written(document)


async def serve(endpoint: Endpoint, port: int, *, until_eof: bool) -> None:
    """Answer on the loopback interface until cancelled, or until standard input ends. Prints one line of JSON when ready."""
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", port, backlog=1024)
    sys.stdout.write(json.dumps({"endpoint": f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"}) + "\n")
    sys.stdout.flush()
    async with listening:
        if until_eof:
            await loop.run_in_executor(None, sys.stdin.read)
        else:
            await listening.serve_forever()


def main() -> None:
    """Read the options and serve."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repositories", type=int, default=1000)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--latency-ms", type=float, default=0)
    options.add_argument("--quota", type=float, default=0, help="calls a second of each operation; 0 is none")
    options.add_argument("--until-eof", action="store_true", help="end when standard input does")
    given = options.parse_args()
    endpoint = Endpoint(given.repositories, given.seed, account.midnight())
    endpoint.control("configure", written({"latency_ms": given.latency_ms, "quota": given.quota}))
    # Nothing of the account is ever freed: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    try:
        asyncio.run(serve(endpoint, given.port, until_eof=given.until_eof))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
