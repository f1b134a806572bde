"""Where a repository came from and who pushed to it: a classification from weak signals, each kept as evidence.

No single CloudTrail field says that ECR made a repository by itself: `invokedBy: ecr.amazonaws.com` also marks calls that
ECR makes on behalf of a client. So each signal has a weight, contradictions are kept, and the answer may be `unknown`.
What a caller may choose, the user agent, a session's name, a role's name or path, never counts on its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

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
    """One piece of evidence: what was seen, which origins it speaks for, and how strongly (1 weak to 5 strong, 0 not at all).

    `cache_rules`: it is of the registry's pull through cache rules, that one covers the name or that they could not be read.
    `lasting`: it was told as a whole, by an inventory, and is kept when all else is weighed anew.
    """

    seen: str
    points_to: tuple[Origin, ...]
    weight: int
    cache_rules: bool = False
    lasting: bool = False


class Confidence(StrEnum):
    """How well an origin is founded."""

    CERTAIN = "certain"
    LIKELY = "likely"
    NONE = "none"


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

    @property
    def confidence(self) -> Confidence:
        """How well the origin is founded: by a record of the creation or its like, by several weak signals, or not at all."""
        if self.origin is Origin.UNKNOWN:
            return Confidence.NONE
        points = sum(signal.weight for signal in self.evidence if self.origin in signal.points_to)
        return Confidence.CERTAIN if points >= CERTAIN_FROM else Confidence.LIKELY

    @property
    def may_be_cache(self) -> bool:
        """Whether it is a pull through cache, or may be one for all that is known."""
        if self.origin in {Origin.API, Origin.CREATE_ON_PUSH}:
            return False
        return self.origin is Origin.PULL_THROUGH_CACHE or any(signal.cache_rules for signal in self.evidence)


NOTHING_KNOWN: Final = Provenance()


@dataclass(frozen=True, slots=True)
class News:
    """What events told of one repository: hints about its past, never about its present state."""

    creation: Creation | None = None
    pushes: tuple[Push, ...] = ()
    noticed: frozenset[tuple[Origin, datetime]] = frozenset()


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
        noticed=tuple(sorted({*known.noticed, *(origin for origin, _ in news.noticed)})),
    )


def milestones(provenance: Provenance) -> tuple[Creation | None, Push | None, tuple[Origin, ...]]:
    """Give what a classification rests on; a later push is no milestone."""
    return provenance.creation, provenance.first_push, provenance.noticed


def classify(provenance: Provenance, name: str, automatic: AutomaticCreation) -> Provenance:
    """Weigh the signals. The strongest origin wins if it reaches `CONVINCING` points and no other has as many; else `unknown`."""
    evidence = (*(signal for signal in provenance.evidence if signal.lasting), *_signals(provenance, name, automatic))
    points = {origin: sum(signal.weight for signal in evidence if origin in signal.points_to) for origin in Origin}
    best = max(points, key=lambda origin: points[origin])
    convinced = points[best] >= CONVINCING and sum(points[best] == other for other in points.values()) == 1
    return replace(provenance, origin=best if convinced else Origin.UNKNOWN, evidence=evidence)


CONVINCING = 3
CERTAIN_FROM = 5
PUSH_FOLLOWS_WITHIN = timedelta(minutes=10)
_ECR = "ecr.amazonaws.com"


def _signals(provenance: Provenance, name: str, automatic: AutomaticCreation) -> Iterable[Signal]:
    creation = provenance.creation
    if creation:
        yield from _creation_signals(creation)
    # Caches are refreshed and images replicated in old repositories too: activity tells of the beginning only where ECR began it.
    weight = 4 if creation and _ecr_services(creation) else 2
    for origin in provenance.noticed:
        yield Signal(f"ECR reported a {origin.value.replace('_', ' ')} action for the repository", (origin,), weight)
    if prefix := longest_prefix(automatic.create_on_push_prefixes or (), name):
        yield Signal(f"the creation template {prefix} with CREATE_ON_PUSH covers the name", (Origin.CREATE_ON_PUSH,), 1)
    if automatic.pull_through_cache_prefixes is None:
        yield Signal("the pull through cache rules could not be read", (Origin.PULL_THROUGH_CACHE,), 0, cache_rules=True)
    elif prefix := longest_prefix(automatic.pull_through_cache_prefixes, name):
        yield Signal(f"the pull through cache rule {prefix} covers the name", (Origin.PULL_THROUGH_CACHE,), 2, cache_rules=True)
    if (push := provenance.first_push) and creation and not _is_service(push.actor):
        gap = push.at - creation.at
        if timedelta(0) <= gap <= PUSH_FOLLOWS_WITHIN:
            seen = f"{push.actor.name} pushed {int(gap.total_seconds())} s after the creation"
            yield Signal(seen, (Origin.CREATE_ON_PUSH,), 2)


def _creation_signals(creation: Creation) -> Iterable[Signal]:
    actor, services, proxies = creation.actor, _ecr_services(creation), _proxies(creation)
    every_kind = tuple(sorted(AUTOMATIC))
    if f"replication.{_ECR}" in services:
        yield Signal("CreateRepository was made by ECR's replication role", (Origin.REPLICATION,), 5)
    if f"pullthroughcache.{_ECR}" in services or (proxies and actor.arn.endswith("/ECRPullThroughCacheWithTemplate")):
        yield Signal("CreateRepository was made by ECR's pull through cache", (Origin.PULL_THROUGH_CACHE,), 5)
    if _linked_service(actor) == _ECR and actor.session_issuer.endswith("/AWSServiceRoleForECRTemplate"):
        yield Signal("CreateRepository was made by ECR's creation template role", every_kind, 2)
    if proxies:
        # Also true of calls that ECR makes for a client, so it only says "not by hand", never which kind.
        yield Signal(f"CreateRepository came through {' and '.join(sorted({*proxies.values()}))} ({', '.join(proxies)})", every_kind, 2)
    elif creation.event_type == "AwsServiceEvent":
        yield Signal("CreateRepository was recorded as an event of the service, not as an API call", every_kind, 2)
    elif not _linked_service(actor):
        via = f" through {actor.invoked_by}" if actor.invoked_by else ""
        yield Signal(f"{actor.name} called CreateRepository{via}", (Origin.API,), 5)


def _proxies(creation: Creation) -> dict[str, str]:
    """The fields that name ECR as what the call came through. Both are set by AWS; `userAgent` is the caller's choice."""
    fields = {"invokedBy": creation.actor.invoked_by, "sourceIPAddress": creation.source_ip}
    return {field: value for field, value in fields.items() if _is_ecr(value)}


def _ecr_services(creation: Creation) -> frozenset[str]:
    """The names under which ECR itself was at work, as far as AWS vouches for them."""
    return frozenset(filter(_is_ecr, (*_proxies(creation).values(), _linked_service(creation.actor))))


def _is_ecr(host: str) -> bool:
    return host == _ECR or host.endswith(f".{_ECR}")


def _linked_service(actor: Actor) -> str:
    """The service whose service-linked role acted, or "". Only AWS makes roles right under this path; elsewhere the words are free."""
    match actor.session_issuer.rpartition(":")[2].split("/"):
        case ["role", "aws-service-role", service, _]:
            return service
        case _:
            return ""


def _is_service(actor: Actor) -> bool:
    return actor.type == "AWSService" or _linked_service(actor) != ""
