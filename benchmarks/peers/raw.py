"""Calls of AWS's JSON services with the standard library alone: signed here, many under way at once. A floor, not a client to use."""

import asyncio
import hashlib
import hmac
import json
import os
import time
from typing import Any
from urllib.parse import urlsplit

from benchmarks import rules

TARGETS = {
    "ecr": "AmazonEC2ContainerRegistry_V20150921",
    "tagging": "ResourceGroupsTaggingAPI_20170126",
    "monitoring": "GraniteServiceVersion20100801",
}
SIGNED = "content-type;host;x-amz-date;x-amz-target"
LARGEST_HEAD = 65_536


class Signer:
    """Signs for one Region with the credentials of the environment (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html)."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._key_id = os.environ["AWS_ACCESS_KEY_ID"]
        self._secret = os.environ["AWS_SECRET_ACCESS_KEY"]
        self._keys: dict[str, bytes] = {}

    def head(self, service: str, operation: str, body: bytes, seconds: float) -> bytes:
        """Give the request line and the headers of a call."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
        scope = f"{stamp[:8]}/{rules.REGION}/{service}/aws4_request"
        kind = f"application/x-amz-json-1.{0 if service == 'monitoring' else 1}"
        target = f"{TARGETS[service]}.{operation}"
        lines = f"content-type:{kind}\nhost:{self._host}\nx-amz-date:{stamp}\nx-amz-target:{target}\n"
        request = f"POST\n/\n\n{lines}\n{SIGNED}\n{hashlib.sha256(body).hexdigest()}"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._key(scope), text.encode(), "sha256").hex()
        authorization = f"AWS4-HMAC-SHA256 Credential={self._key_id}/{scope}, SignedHeaders={SIGNED}, Signature={signature}"
        return f"POST / HTTP/1.1\n{lines}authorization:{authorization}\ncontent-length:{len(body)}\n\n".replace("\n", "\r\n").encode()

    def _key(self, scope: str) -> bytes:
        key = self._keys.get(scope)
        if key is None:
            key = f"AWS4{self._secret}".encode()
            for part in scope.split("/"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._keys[scope] = key
        return key


class RawClient:
    """Any number of calls at once over connections that stay open, each operation at most `rate` times a second; 0 is no limit."""

    def __init__(self, endpoint: str, rate: float) -> None:
        parts = urlsplit(endpoint)
        self._host, self._port = parts.hostname, parts.port
        self._signer = Signer(parts.netloc)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._rate = rate
        self._next: dict[str, float] = {}

    async def call(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Make a call. AWS's refusal is the answer, with its code as `__type`."""
        if self._rate:
            await self._wait(operation)
        body = json.dumps(params).encode()
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port, limit=LARGEST_HEAD)
        writer.write(self._signer.head(service, operation, body, time.time()) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        begin = head.index(b"Content-Length: ") + 16
        answer: dict[str, Any] = json.loads(await reader.readexactly(int(head[begin : head.index(b"\r", begin)])))
        self._idle.append((reader, writer))
        return answer

    async def _wait(self, operation: str) -> None:
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next.get(operation, 0.0))
        self._next[operation] = turn + 1 / self._rate
        if turn > now:
            await asyncio.sleep(turn - now)

    async def close(self) -> None:
        """Close the connections."""
        for _, writer in self._idle:
            writer.close()
