"""What every way to Slack shares: the secret, time-outs, and how long Slack asks to wait."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3

from ecr_governor.adapters.secret import KeptSecret

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

TIMEOUT = urllib3.Timeout(connect=3, read=7)
LOOPBACK = "http://127.0.0.1:"
"""The one address without TLS that is taken: a Slack on this machine."""
API = "https://slack.com/api/"
_SHAPES = 'neither an https address, {"webhook_url": "https://..."} nor {"bot_token": "xoxb-..."}'


@dataclass(frozen=True, slots=True)
class Webhook:
    """An incoming webhook. Its address is a secret."""

    url: str

    def __repr__(self) -> str:
        return "Webhook(…)"


@dataclass(frozen=True, slots=True)
class Bot:
    """An app's bot. `channel` is where it posts if the policy file names no channel; `api` is Slack's address, ending in a slash.

    With `signing_secret` Slack signs what it sends us; "" where the secret has none.
    """

    token: str
    channel: str = ""
    api: str = API
    signing_secret: str = ""

    def __repr__(self) -> str:
        return "Bot(…)"


class SlackSecret(KeptSecret["Webhook | Bot"]):
    """What Slack gave us."""

    def __init__(self, secrets: "SecretsManagerClient", name: str) -> None:
        super().__init__(secrets, name, lambda text: _parse(text.strip()), _SHAPES)


def new_pool() -> urllib3.PoolManager:
    """Make the connections to Slack. What failed is tried again where it came from, never down here."""
    return urllib3.PoolManager(retries=False, timeout=TIMEOUT)


def _parse(secret: str) -> Webhook | Bot | None:
    if not secret.startswith("{"):
        return Webhook(secret) if is_address(secret) else None
    try:
        document = json.loads(secret)
    except ValueError:
        return None
    values: dict[str, Any] = {key: document.get(key, "") for key in ("bot_token", "webhook_url", "channel", "signing_secret")}
    api = document.get("api_url", API)
    if not all(isinstance(value, str) for value in (*values.values(), api)) or not is_address(api):
        return None
    if values["bot_token"]:
        return Bot(values["bot_token"], values["channel"], api.rstrip("/") + "/", values["signing_secret"])
    return Webhook(values["webhook_url"]) if is_address(values["webhook_url"]) else None


def is_address(text: str) -> bool:
    """Whether something may be sent there."""
    return text.startswith(("https://", LOOPBACK))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds Slack asks to wait; None if it does not say so in seconds."""
    try:
        seconds = float(headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
