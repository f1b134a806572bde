"""Slack by whatever its secret holds."""

from collections.abc import Callable, Mapping
from typing import Any

from ecr_governor.adapters.slack.bot import SlackBot
from ecr_governor.adapters.slack.webhook import SlackWebhook
from ecr_governor.adapters.slack.wire import Bot, SlackSecret
from ecr_governor.core.conversation import Attachment, Posted


class SlackChat:
    """People's channel for the time of one invocation, of which `time_left` gives the seconds that are left.

    `answered` is whether the deployment takes what Slack sends when somebody presses a button.
    """

    def __init__(
        self, secret: SlackSecret, webhook: SlackWebhook, bot: SlackBot, time_left: Callable[[], float], *, answered: bool = False
    ) -> None:
        self._secret = secret
        self._webhook = webhook
        self._bot = bot
        self._time_left = time_left
        self._answered = answered

    def editable(self) -> bool:
        """Whether what was posted can be edited and answered. Raises Undeliverable."""
        return isinstance(self._secret.current(), Bot)

    def pressable(self) -> bool:
        """Whether a press of a button reaches us, and we can tell that it is Slack's. Raises Undeliverable."""
        bot = self._secret.current()
        return self._answered and isinstance(bot, Bot) and bool(bot.signing_secret)

    def post(self, message: Mapping[str, Any], channel: str = "", thread: str = "") -> Posted | None:
        """Post a message; a webhook has one channel, knows no threads, and does not say where the message is."""
        if self.editable():
            return self._bot.post(message, channel, thread, self._time_left)
        self._webhook.post(message)
        return None

    def attach(self, file: Attachment, comment: str, channel: str = "") -> None:
        """Post a file with a comment. Raises UploadRefused, Undeliverable."""
        self._bot.upload(file, comment, channel, self._time_left)

    def whisper(self, message: Mapping[str, Any], channel: str, person: str) -> None:
        """Show a message in a channel to one person alone. Raises ChannelRefused, Undeliverable."""
        self._bot.whisper(message, channel, person, self._time_left)

    def edit(self, posted: Posted, message: Mapping[str, Any]) -> None:
        """Put another message in the place of one. Raises Vanished, Undeliverable."""
        self._bot.edit(posted, message, self._time_left)
