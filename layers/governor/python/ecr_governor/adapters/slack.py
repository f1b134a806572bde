"""Slack by incoming webhook."""

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import urllib3
from botocore.exceptions import BotoCoreError, ClientError

from ecr_governor.adapters.aws import code_of
from ecr_governor.app.errors import Undeliverable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

TIMEOUT = urllib3.Timeout(connect=3, read=7)
LOOPBACK = "http://127.0.0.1:"
"""The one address without TLS that is taken: a Slack on this machine."""
PATIENCE = 5.0
"""Seconds to wait for Slack within one invocation; a longer `Retry-After` sends the message back to where it came from."""


class SlackWebhook:
    """One channel's incoming webhook. Its address is a secret: it is in no log and no error."""

    def __init__(
        self,
        secrets: "SecretsManagerClient",
        secret_name: str,
        *,
        pool: urllib3.PoolManager | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._secrets = secrets
        self._secret_name = secret_name
        self._pool = pool or urllib3.PoolManager(retries=False, timeout=TIMEOUT)
        self._sleep = sleep
        self._url: str | None = None

    def post(self, message: Mapping[str, Any]) -> None:
        """Post one message. Raises Undeliverable; a message whose blocks Slack refuses is sent as its text alone."""
        answer = self._send(message)
        if answer.status == 429 and (wait := _retry_after(answer.headers)) is not None and wait <= PATIENCE:  # noqa: PLR2004
            self._sleep(wait)
            answer = self._send(message)
        if answer.status == 400:  # noqa: PLR2004
            # Too long, or blocks that Slack does not like: the text alone says what matters.
            answer = self._send({"text": message["text"]})
        if answer.status in {401, 403, 404, 410}:
            # The webhook may have been revoked and replaced: read the secret again, once.
            self._url = None
            answer = self._send(message)
        if answer.status != 200:  # noqa: PLR2004
            word = answer.data[:80].decode("ascii", "replace").strip()
            refused = answer.status == 400  # noqa: PLR2004
            raise Undeliverable(f"Slack answered {answer.status} {word}", _retry_after(answer.headers), only_this_one=refused)

    def _send(self, message: Mapping[str, Any]) -> urllib3.BaseHTTPResponse:
        body = json.dumps(message, ensure_ascii=False).encode()
        try:
            return self._pool.request("POST", self._webhook(), body=body, headers={"Content-Type": "application/json; charset=utf-8"})
        except urllib3.exceptions.HTTPError as error:
            # The error's text holds the webhook's address, so only its kind is told and the cause is cut off.
            raise Undeliverable(f"Slack could not be reached: {type(error).__name__}") from None

    def _webhook(self) -> str:
        if self._url is None:
            try:
                value = self._secrets.get_secret_value(SecretId=self._secret_name).get("SecretString", "").strip()
            except ClientError as error:
                raise Undeliverable(f"secret {self._secret_name} cannot be read: {code_of(error)}") from error
            except BotoCoreError as error:
                raise Undeliverable(f"secret {self._secret_name} cannot be read: {type(error).__name__}") from error
            self._url = _address(value)
            if self._url is None:
                # Whatever it holds instead may be a secret too.
                raise Undeliverable(f'secret {self._secret_name} is neither an https address nor {{"webhook_url": "https://..."}}')
        return self._url


def _address(secret: str) -> str | None:
    if secret.startswith("{"):
        try:
            secret = json.loads(secret).get("webhook_url", "")
        except ValueError:
            return None
    return secret if isinstance(secret, str) and secret.startswith(("https://", LOOPBACK)) else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        seconds = float(headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
