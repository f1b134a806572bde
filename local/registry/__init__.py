"""The registry that clients push to and pull from: the OCI distribution protocol in front of the ECR of this process."""

from __future__ import annotations

import threading

from local.ecr.wiring import wiring
from local.registry.server import RegistryServer

__all__ = ["Registry"]

_STOP_POLL_SECONDS = 0.02


class Registry:
    """A `/v2/` endpoint on 127.0.0.1 for one account and Region; port 0 takes a free one."""

    def __init__(self, port: int = 0, *, account: str = "123456789012", region: str = "eu-west-1") -> None:
        self.account = account
        self.region = region
        self._port = port
        self._server: RegistryServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Host and port, as a client names the registry."""
        return f"127.0.0.1:{self._server.server_port if self._server is not None else self._port}"

    def start(self) -> None:
        """Listen, and be the `proxyEndpoint` of `GetAuthorizationToken` from now on."""
        self._server = RegistryServer(("127.0.0.1", self._port), account=self.account, region=self.region)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_STOP_POLL_SECONDS,), name="registry", daemon=True)
        self._thread.start()
        wiring.registries[self.account, self.region] = self.address

    def stop(self) -> None:
        """Stop listening."""
        if self._server is None or self._thread is None:
            return
        wiring.registries.pop((self.account, self.region), None)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server, self._thread = None, None
