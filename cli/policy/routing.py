"""Where a policy's routes would send a repository's messages, as far as an inventory tells."""

from typing import Any, Final, Literal

from cli.policy.inventory import Line
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.policy.notifications import Place, Route
from ecr_governor.core.repository import Unreadable

NOWHERE: Final = "nowhere"
NOT_KNOWN: Final = "not known"

Where = Place | Literal["nowhere", "not known"]
"""A place, or nowhere because Slack is told nothing, or not known because a route asks for what the inventory does not tell."""


def owner_by(line: Line, policy: Policy, owner_tag: str) -> str | None:
    """Tell who owns a repository by a policy; None where nobody is known to. `owner_tag` names the tag that the line's owner was read from."""
    read = line.repository.tags
    if not isinstance(read, Unreadable):
        return read.get(policy.owner_tag)
    return line.owner if policy.owner_tag == owner_tag else None


def where(line: Line, policy: Policy, owner_tag: str) -> Where:
    """Tell where messages about a repository of an inventory go. `owner_tag` names the tag that the line's owner was read from.

    Who pushed is in no inventory: a route by actor that would take it but for that leaves the answer open, and all routes behind it.
    """
    slack = policy.notifications.slack
    if not slack.enabled:
        return NOWHERE
    name, read = line.repository.name, line.repository.tags
    tags = {} if isinstance(read, Unreadable) else read
    owner = owner_by(line, policy, owner_tag)
    # Without its tags, no owner in the inventory may be one whose tag could not be read.
    open_ends: dict[str, Any] = {"actor": None}
    if isinstance(read, Unreadable):
        open_ends |= {"tags": {}} | ({} if owner else {"owner": None})
    for route in slack.routes:
        if route.takes(name, owner or "", tags, ()):
            return route.over(slack.channel or "")
        if _changed(route, open_ends).takes(name, owner or "", tags, ()):
            return NOT_KNOWN
    if slack.unowned and not owner and isinstance(read, Unreadable):
        return NOT_KNOWN
    return slack.place_of(name, owner, tags, ())


def _changed(route: Route, open_ends: dict[str, Any]) -> Route:
    """The route, without what nobody knows."""
    return route.model_copy(update=open_ends)


def in_words(at: Where) -> str:
    """Say where that is."""
    if not isinstance(at, Place):
        return at
    channel = at.channel or "the secret's channel"
    return f"{channel}, mentioning {at.mention}" if at.mention else channel


def as_data(at: Where) -> dict[str, str] | str | None:
    """Give it to programs: null where it is not known, "nowhere", or channel and mention; the channel "" is the secret's."""
    if isinstance(at, Place):
        return {"channel": at.channel, "mention": at.mention}
    return None if at == NOT_KNOWN else at
