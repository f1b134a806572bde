"""What can go wrong, by what the caller should do about it."""


class GovernorError(Exception):
    """Base of every expected trouble."""


class Throttled(GovernorError):
    """AWS refused for the rate of calls, and kept refusing within the time there was: try again later."""


class Denied(GovernorError):
    """AWS refused a call for lack of permission. It is neither an empty answer nor a reason to act."""


class Contended(GovernorError):
    """Somebody else wrote the same ledger record first: read again and decide again."""


class Overtaken(Contended):
    """Somebody else took a retirement another way while a step of it was under way: what the step did has to be undone."""


class Full(GovernorError):
    """The ledger's table has no room for more of one kind of notes."""


class Unintelligible(GovernorError):
    """A ledger record holds what this release does not know. It is left as it is."""


class Undeliverable(GovernorError):
    """A message was not delivered. It must be tried again: `retry_after` seconds from now where the receiver said so.

    `only_this_one`: the receiver takes messages, but not this one, so that the others need not wait for it.
    """

    def __init__(self, why: str, retry_after: float | None = None, *, only_this_one: bool = False) -> None:
        super().__init__(why)
        self.retry_after = retry_after
        self.only_this_one = only_this_one


class ChannelRefused(Undeliverable):
    """The receiver takes messages, but none in this channel: it is not there, or we are not in it."""

    def __init__(self, why: str) -> None:
        super().__init__(why, only_this_one=True)


class ChannelWaits(Undeliverable):
    """The receiver takes messages, but none in this channel for now. What goes elsewhere need not wait for it."""


class UploadRefused(Undeliverable):
    """The receiver takes messages, but not this file: it has to be sent in another way."""

    def __init__(self, why: str) -> None:
        super().__init__(why, only_this_one=True)


class Vanished(Undeliverable):
    """A message cannot be edited or answered any more: somebody has deleted it, or its channel is closed to us."""

    def __init__(self, why: str) -> None:
        super().__init__(why, only_this_one=True)


class Rejected(GovernorError):
    """An event that can never be decided, however often it is tried: it belongs in the dead-letter queue with the reason."""


class SweepRunning(GovernorError):
    """Another sweep holds the lease: this one must not begin."""


class LeaseLost(GovernorError):
    """The sweep took longer than its lease, and another one has begun: this one must not act any more."""


class PolicyChanged(GovernorError):
    """The policy version that the sweep began with cannot be read any more, or is another one."""


class Refused(GovernorError):
    """ECR refused a change for a reason that does not pass by itself."""
