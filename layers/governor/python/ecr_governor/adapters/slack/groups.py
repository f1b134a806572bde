"""Who is in Slack's user groups, as far as the bot may read it: docs.slack.dev, usergroups.users.list."""

import time
from collections.abc import Callable
from typing import Final

from ecr_governor.adapters.slack.bot import SlackBot
from ecr_governor.app.errors import Undeliverable
from ecr_governor.core.press import Members

KEPT_FOR: Final = 300.0
"""Seconds for which it is believed who is in a group: who was taken out may press for so long."""


class KeptGroups:
    """Groups that were read, for as long as the process lives. What could not be read is not kept."""

    def __init__(self, bot: SlackBot, clock: Callable[[], float] = time.monotonic) -> None:
        self._bot = bot
        self._clock = clock
        self._read: dict[str, tuple[float, Members]] = {}

    def members(self, group: str, time_left: Callable[[], float]) -> Members:
        """Give who is in a group; why not, if Slack does not let that be read. Raises Undeliverable for what will pass."""
        kept = self._read.get(group)
        if kept and self._clock() - kept[0] < KEPT_FOR:
            return kept[1]
        try:
            members = Members(self._bot.members(group, time_left))
        except Undeliverable as trouble:
            if not trouble.only_this_one:
                # It will pass: who pressed must not be refused for it.
                raise
            return Members(unreadable=str(trouble))
        self._read[group] = (self._clock(), members)
        return members


class SlackGroups:
    """The groups for the time of one invocation, of which `time_left` gives the seconds that are left."""

    def __init__(self, kept: KeptGroups, time_left: Callable[[], float]) -> None:
        self._kept = kept
        self._time_left = time_left

    def members(self, group: str) -> Members:
        """Give who is in a group; why not, if Slack does not let that be read. Raises Undeliverable for what will pass."""
        return self._kept.members(group, self._time_left)
