"""Where whatever talks to Slack is put together."""

from collections.abc import Callable
from functools import cache

from ecr_governor.adapters.slack.bot import SlackBot
from ecr_governor.adapters.slack.chat import SlackChat
from ecr_governor.adapters.slack.webhook import SlackWebhook
from ecr_governor.adapters.slack.wire import SlackSecret, new_pool
from ecr_governor.bootstrap.parts import client
from ecr_governor.observability import count, logger


def chat(secret_name: str, time_left: Callable[[], float], *, answered: bool = False) -> SlackChat:
    """Slack for one invocation, of which `time_left` gives the seconds that are left. `answered`: presses of buttons reach us."""
    # What an invocation has learned of Slack's troubles, the next one in the same process need not learn anew.
    secret, webhook, bot = ways(secret_name)
    return SlackChat(secret, webhook, bot, time_left, answered=answered)


@cache
def ways(name: str) -> tuple[SlackSecret, SlackWebhook, SlackBot]:
    """The secret, and the two ways to Slack of which it holds one."""
    secret = SlackSecret(client("secretsmanager"), name)
    pool = new_pool()

    def refused(why: str) -> None:
        logger.error("Slack refuses", extra={"why": why})
        count("SlackRefused")

    return secret, SlackWebhook(secret, pool=pool), SlackBot(secret, pool=pool, refused=refused)
