"""Where a repository came from and who pushed to it: a classification from weak signals, each kept as evidence.

No single CloudTrail field says that ECR made a repository by itself: `invokedBy: ecr.amazonaws.com` also marks calls that
ECR makes on behalf of a client. So each signal has a weight, contradictions are kept, and the answer may be `unknown`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

PRINCIPAL_FALLBACK = "unknown"


class Origin(StrEnum):
    """How a repository came to be."""

    API = "api"
    CREATE_ON_PUSH = "create_on_push"
    PULL_THROUGH_CACHE = "pull_through_cache"
    REPLICATION = "replication"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a call, from CloudTrail's `userIdentity`."""

    arn: str
    account: str
    type: str
    invoked_by: str = ""
    session_issuer: str = ""

    @property
    def name(self) -> str:
        """The short name a person knows: the user, or the role and its session."""
        last = self.arn.rsplit(":", 1)[-1]
        kind, _, rest = last.partition("/")
        if kind == "assumed-role":
            role, _, session = rest.rpartition("/")
            return f"{role}/{session}" if role else session
        return rest.rsplit("/", 1)[-1] or last or PRINCIPAL_FALLBACK


@dataclass(frozen=True, slots=True)
class Creation:
    """What CloudTrail recorded of one `CreateRepository`."""

    event_id: str
    at: datetime
    actor: Actor
    event_type: str = "AwsApiCall"
    source_ip: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Push:
    """One successful `PutImage`. `tag` is None for a push by digest; `digest` is None where CloudTrail left it out."""

    event_id: str
    at: datetime
    actor: Actor
    tag: str | None = None
    digest: str | None = None


AUTOMATIC = frozenset({Origin.CREATE_ON_PUSH, Origin.PULL_THROUGH_CACHE, Origin.REPLICATION})


@dataclass(frozen=True, slots=True)
class Signal:
    """One piece of evidence: what was seen, which origins it speaks for, and how strongly (1 weak to 5 strong)."""

    seen: str
    points_to: tuple[Origin, ...]
    weight: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is known of a repository's beginnings: the classification, its evidence, and the first and last push seen.

    `noticed` holds the origins that ECR's own events named (`ECR Pull Through Cache Action`, `ECR Replication Action`).
    """

    origin: Origin = Origin.UNKNOWN
    evidence: tuple[Signal, ...] = ()
    creation: Creation | None = None
    first_push: Push | None = None
    last_push: Push | None = None
    noticed: tuple[Origin, ...] = ()

    @property
    def pusher(self) -> Actor | None:
        """The principal of the first push that was seen: with create on push, the real author of the repository."""
        return self.first_push.actor if self.first_push else None


@dataclass(frozen=True, slots=True)
class News:
    """What events told of one repository: hints about its past, never about its present state."""

    creation: Creation | None = None
    pushes: tuple[Push, ...] = ()
    noticed: frozenset[Origin] = frozenset()


@dataclass(frozen=True, slots=True)
class AutomaticCreation:
    """The registry's rules that make ECR create repositories; None where they could not be read."""

    create_on_push_prefixes: tuple[str, ...] | None = None
    pull_through_cache_prefixes: tuple[str, ...] | None = None


def under(prefix: str, name: str) -> bool:
    """Whether a template or cache prefix covers a name: by whole path segments, never the bare prefix itself; `ROOT` covers all."""
    return prefix == "ROOT" or name.startswith(prefix.rstrip("/") + "/")


def longest_prefix(prefixes: Iterable[str], name: str) -> str | None:
    """Return the most specific of the prefixes that cover a name, as ECR picks a creation template; `ROOT` is the fallback."""
    covering = [prefix for prefix in prefixes if under(prefix, name)]
    return max(covering, key=lambda prefix: 0 if prefix == "ROOT" else len(prefix.rstrip("/")), default=None)


def learn(known: Provenance, news: News) -> Provenance:
    """Add what events told. The result is the same in whatever order, and however often, the events arrive."""
    creations = [creation for creation in (known.creation, news.creation) if creation]
    pushes = [push for push in (known.first_push, known.last_push, *news.pushes) if push]
    return replace(
        known,
        creation=min(creations, key=lambda creation: (creation.at, creation.event_id), default=None),
        first_push=min(pushes, key=lambda push: (push.at, push.event_id), default=None),
        last_push=max(pushes, key=lambda push: (push.at, push.event_id), default=None),
        noticed=tuple(sorted({*known.noticed, *news.noticed})),
    )


def milestones(provenance: Provenance) -> tuple[Creation | None, Push | None, tuple[Origin, ...]]:
    """Give what a classification rests on; a later push is no milestone."""
    return provenance.creation, provenance.first_push, provenance.noticed


def classify(provenance: Provenance, name: str, automatic: AutomaticCreation) -> Provenance:
    """Weigh the signals. The strongest origin wins if it reaches `CONVINCING` points and no other has as many; else `unknown`."""
    evidence = tuple(_signals(provenance, name, automatic))
    points = {origin: sum(signal.weight for signal in evidence if origin in signal.points_to) for origin in Origin}
    best = max(points, key=lambda origin: points[origin])
    convinced = points[best] >= CONVINCING and sum(points[best] == other for other in points.values()) == 1
    return replace(provenance, origin=best if convinced else Origin.UNKNOWN, evidence=evidence)


CONVINCING = 3
PUSH_FOLLOWS_WITHIN = timedelta(minutes=10)
_ECR = "ecr.amazonaws.com"


def _signals(provenance: Provenance, name: str, automatic: AutomaticCreation) -> Iterable[Signal]:
    if creation := provenance.creation:
        yield from _creation_signals(creation)
    for origin in provenance.noticed:
        yield Signal(f"ECR reported a {origin.value.replace('_', ' ')} action for the repository", (origin,), 4)
    if prefix := longest_prefix(automatic.create_on_push_prefixes or (), name):
        yield Signal(f"the creation template {prefix} with CREATE_ON_PUSH covers the name", (Origin.CREATE_ON_PUSH,), 1)
    if prefix := longest_prefix(automatic.pull_through_cache_prefixes or (), name):
        yield Signal(f"the pull through cache rule {prefix} covers the name", (Origin.PULL_THROUGH_CACHE,), 2)
    if (push := provenance.first_push) and provenance.creation and not _is_service(push.actor):
        gap = push.at - provenance.creation.at
        if timedelta(0) <= gap <= PUSH_FOLLOWS_WITHIN:
            seen = f"{push.actor.name} pushed {int(gap.total_seconds())} s after the creation"
            yield Signal(seen, (Origin.CREATE_ON_PUSH,), 2)


def _creation_signals(creation: Creation) -> Iterable[Signal]:
    actor = creation.actor
    services = {actor.invoked_by, *(part for part in actor.session_issuer.split("/") if part.endswith("amazonaws.com"))}
    every_kind = tuple(sorted(AUTOMATIC))
    if any(service.startswith("replication.ecr.") for service in services):
        yield Signal("CreateRepository was made by ECR's replication role", (Origin.REPLICATION,), 5)
    if any(service.startswith("pullthroughcache.ecr.") for service in services) or actor.arn.endswith("/ECRPullThroughCacheWithTemplate"):
        yield Signal("CreateRepository was made by ECR's pull through cache", (Origin.PULL_THROUGH_CACHE,), 5)
    if actor.session_issuer.endswith("/AWSServiceRoleForECRTemplate"):
        yield Signal("CreateRepository was made by ECR's creation template role", every_kind, 2)
    proxied = [what for what, value in _proxies(creation) if value == _ECR]
    if proxied:
        # Also true of calls that ECR makes for a client, so it only says "not by hand", never which kind.
        yield Signal(f"CreateRepository came through {_ECR} ({', '.join(proxied)})", every_kind, 2)
    elif creation.event_type == "AwsServiceEvent":
        yield Signal("CreateRepository was recorded as an event of the service, not as an API call", every_kind, 2)
    elif not _is_service(actor):
        via = f" through {actor.invoked_by}" if actor.invoked_by else ""
        yield Signal(f"{actor.name} called CreateRepository{via}", (Origin.API,), 5)


def _proxies(creation: Creation) -> tuple[tuple[str, str], ...]:
    return ("invokedBy", creation.actor.invoked_by), ("sourceIPAddress", creation.source_ip), ("userAgent", creation.user_agent)


def _is_service(actor: Actor) -> bool:
    return actor.type == "AWSService" or "/aws-service-role/" in actor.session_issuer or "ecr.amazonaws.com" in actor.session_issuer
