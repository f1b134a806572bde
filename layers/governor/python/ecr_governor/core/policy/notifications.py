"""What a policy file may say of notifications: who is told of what, and where."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import re2
from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr, model_validator

from ecr_governor.core.documents.names import ROOT, is_template_prefix
from ecr_governor.core.documents.problem import DocumentProblem
from ecr_governor.core.policy.patterns import Glob, glob_matches
from ecr_governor.core.policy.strict import Strict, fault, problems_error
from ecr_governor.core.severity import Severity

MAX_TAG_KEY: Final = 128
_CHANNEL: Final = re2.compile(r"[CG][A-Z0-9]{8,20}")
_MENTION: Final = re2.compile(r"[UWS][A-Z0-9]{6,20}")


def _channel(text: str) -> str:
    if not (text.isascii() and _CHANNEL.fullmatch(text)):
        raise fault(f"{text!r} is no id of a Slack channel", "copy it from the channel's details in Slack, for example C0123456789")
    return text


def _mention(text: str) -> str:
    if not (text.isascii() and _MENTION.fullmatch(text)):
        raise fault(f"{text!r} is no id of a Slack user or user group", "copy it from the profile in Slack, for example U0123456789")
    return text


def _namespace(text: str) -> str:
    if not is_template_prefix(text):
        raise fault(f"{text!r} is neither ROOT nor a prefix of ECR repository names", "write whole path parts in lower case")
    return text.removesuffix("/")


Channel = Annotated[StrictStr, AfterValidator(_channel)]
Mention = Annotated[StrictStr, AfterValidator(_mention)]
People = tuple[Mention, ...]
"""Ids of users, and of user groups, whose members are meant."""


def is_group(identity: str) -> bool:
    """Whether an id is that of a user group."""
    return identity.startswith("S")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one repository's messages go, and who is mentioned in those that deserve attention. "" where the file says nothing."""

    channel: str = ""
    mention: str = ""


class Queue(Strict):
    """A channel, and who is mentioned there."""

    channel: Channel | None = None
    mention: Mention | None = None

    def over(self, default: str) -> Place:
        """Where that is, if `default` is the channel of whatever is not said."""
        return Place(self.channel or default, self.mention or "")


class Route(Queue):
    """Where the messages of some repositories go: of those that are all that it says."""

    owner: Glob | None = None
    namespace: Annotated[StrictStr, AfterValidator(_namespace)] | None = None
    tags: Annotated[dict[Annotated[StrictStr, Field(min_length=1, max_length=MAX_TAG_KEY)], Glob], Field(default_factory=dict)]
    actor: Glob | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Route":
        problems = []
        if self.owner is None and self.namespace is None and self.actor is None and not self.tags:
            do = "give one of owner, namespace, tags or actor, or write its channel above"
            problems.append(DocumentProblem((), "is a route for everything", do, lacks=("owner", "namespace", "tags", "actor")))
        if self.channel is None and self.mention is None:
            do = "give a channel, a mention, or both"
            problems.append(DocumentProblem(("channel",), "the route leads nowhere", do, lacks=("channel", "mention")))
        if problems:
            raise problems_error(*problems)
        return self

    def takes(self, name: str, owner: str, tags: Mapping[str, str], actors: tuple[str, ...]) -> bool:
        """Whether a repository's messages go this way."""
        if self.namespace not in {None, ROOT} and not name.startswith(f"{self.namespace}/"):
            return False
        if self.owner is not None and not (owner and glob_matches(self.owner, _vouched_for(owner))):
            return False
        if any(key not in tags or not glob_matches(glob, tags[key]) for key, glob in self.tags.items()):
            return False
        return self.actor is None or any(glob_matches(self.actor, actor) for actor in actors)


def _vouched_for(owner: str) -> str:
    """An owner, of one who has claimed it in Slack the id alone: what stands behind it in brackets that person chooses."""
    return owner.partition(" (")[0] if owner.startswith("slack:") else owner


class ReportBy(StrEnum):
    """How a report reaches people in Slack: by a link to it, or as a file."""

    LINK = "link"
    UPLOAD = "upload"


class Buttons(Strict):
    """Who may press what in Slack, and for how long it holds. Nobody approves who is not named."""

    enabled: StrictBool = True
    keep_days: Annotated[StrictInt, Field(ge=1, le=365)] = 30
    exempt_days: Annotated[StrictInt, Field(ge=1, le=365)] = 180
    keep: People | None = None
    claim: People | None = None
    exempt: People | None = None
    approve: People = ()
    open_report: People | None = None

    @property
    def lifts_caps(self) -> bool:
        """Whether two people may approve, as far as the file tells: how many are in a user group it does not say."""
        return self.enabled and (len(self.approve) > 1 or any(is_group(each) for each in self.approve))

    @property
    def opens_report(self) -> bool:
        """Whether a button opens the report: not where the file lets nobody press it."""
        return self.enabled and self.open_report != ()


class SlackNotifications(Strict):
    """What Slack is told, where a Slack is configured."""

    enabled: StrictBool = True
    digest_above: Annotated[StrictInt, Field(ge=1, le=1000)] = 5
    min_severity: Severity = Severity.LOW
    channel: Channel | None = None
    routes: tuple[Route, ...] = ()
    unowned: Queue | None = None
    buttons: Buttons = Field(default_factory=Buttons)
    report: ReportBy = ReportBy.LINK

    @property
    def tag_keys(self) -> frozenset[str]:
        """The tags that routes look at."""
        return frozenset(key for route in self.routes for key in route.tags)

    def place_of(self, name: str, owner: str | None, tags: Mapping[str, str], actors: tuple[str, ...]) -> Place:
        """Where a repository's messages go: by the first route that takes it, else to the unowned ones' queue, else to the channel."""
        default = self.channel or ""
        for route in self.routes:
            if route.takes(name, owner or "", tags, actors):
                return route.over(default)
        return self.unowned.over(default) if self.unowned and not owner else Place(default)


class Notifications(Strict):
    """Who is told of what."""

    slack: SlackNotifications = Field(default_factory=SlackNotifications.model_construct)
