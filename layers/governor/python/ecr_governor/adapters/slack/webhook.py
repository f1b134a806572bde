"""Slack by incoming webhook: one channel, and what was posted stays as it is."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import urllib3

from ecr_governor.adapters.slack.wire import SlackSecret, Webhook, new_pool, retry_after
from ecr_governor.app.errors import Undeliverable

PATIENCE = 5.0
"""Seconds to wait for Slack within one invocation; a longer `Retry-After` sends the message back to where it came from."""


class SlackWebhook:
    """One channel's incoming webhook. Its address is a secret: it is in no log and no error."""

    def __init__(
        self,
        secret: SlackSecret,
        *,
        pool: urllib3.PoolManager | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._secret = secret
        self._pool = pool or new_pool()
        self._sleep = sleep

    def post(self, message: Mapping[str, Any]) -> None:
        """Post one message. Raises Undeliverable; a message whose blocks Slack refuses is sent as its text alone."""
        answer = self._send(message)
        if answer.status == 429 and (wait := retry_after(answer.headers)) is not None and wait <= PATIENCE:  # noqa: PLR2004
            self._sleep(wait)
            answer = self._send(message)
        if answer.status == 400:  # noqa: PLR2004
            # Too long, or blocks that Slack does not like: the text alone says what matters.
            answer = self._send({"text": message["text"]})
        if answer.status in {401, 403, 404, 410}:
            # The webhook may have been revoked and replaced: read the secret again, once.
            self._secret.forget()
            answer = self._send(message)
        if answer.status != 200:  # noqa: PLR2004
            word = answer.data[:80].decode("ascii", "replace").strip()
            refused = answer.status == 400  # noqa: PLR2004
            raise Undeliverable(f"Slack answered {answer.status} {word}", retry_after(answer.headers), only_this_one=refused)

    def _send(self, message: Mapping[str, Any]) -> urllib3.BaseHTTPResponse:
        body = json.dumps(message, ensure_ascii=False).encode()
        webhook = self._secret.current()
        if not isinstance(webhook, Webhook):
            raise Undeliverable("the secret was replaced by a bot's token while a message was under way")
        try:
            return self._pool.request("POST", webhook.url, body=body, headers={"Content-Type": "application/json; charset=utf-8"})
        except urllib3.exceptions.HTTPError as error:
            # The error's text holds the webhook's address, so only its kind is told and the cause is cut off.
            raise Undeliverable(f"Slack could not be reached: {type(error).__name__}") from None
