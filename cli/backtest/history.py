"""What CloudTrail's records tell of each repository, kept small: a pull is eight bytes, and only what can change a decision is kept.

Pure: records in, in any order and however often; what they cannot tell is kept as that.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from ecr_governor.app.errors import Rejected
from ecr_governor.core.origin import Actor
from ecr_governor.events import REFUSALS, Recorded, recorded

ECR: Final = "ecr.amazonaws.com"
HOUR: Final = 3600
MOST_GAPS: Final = 1_000
DIGEST: Final = 23
"""Characters of a digest that are kept: `sha256:` and 64 bits."""
_ACTOR_BITS: Final = 20
_NOT_FOUND: Final = frozenset({"RepositoryNotFoundException", "ImageNotFoundException"})
_PULLS: Final = frozenset({"BatchGetImage", "GetDownloadUrlForLayer"})
_WISHES: Final = _PULLS | {"PutImage", "InitiateLayerUpload"}
"""Calls by which somebody wants an image, whatever comes of them."""


AT_REQUEST: Final = "at somebody's request"
"""How images come back from the archive where it was ourselves who brought them back."""


class What(StrEnum):
    """What may happen to a repository."""

    CREATED = "created"
    DELETED = "deleted"
    REAPED = "reaped"
    """Deleted by ourselves."""
    PUSHED = "pushed"
    PULLED = "pulled"
    REFUSED = "refused"
    """Somebody wanted it and had no permission."""
    NOT_FOUND = "not found"
    """Somebody wanted it, and it was not there."""
    EXPIRED = "images deleted"
    LIFECYCLE = "lifecycle policy"
    POLICY = "repository policy"
    MUTABILITY = "tag mutability"
    TAGGED = "tagged"
    UNTAGGED = "untagged"
    ACTIVATED = "brought back from the archive"
    TEMPLATE = "creation template"
    NO_TEMPLATE = "creation template deleted"
    CACHE = "pull through cache rule"
    NO_CACHE = "pull through cache rule deleted"
    SCANNING = "scanning rules"


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that a record tells, at a time in whole seconds since 1970. `value` is what there is to know of it, as JSON."""

    at: int
    what: What
    actor: int
    value: Any = None

    @property
    def moment(self) -> datetime:
        """When it happened."""
        return datetime.fromtimestamp(self.at, UTC)


@dataclass(frozen=True, slots=True)
class Gap:
    """Where the records are not whole, why, and the days of which anything may be missing; None is all of them."""

    where: str
    why: str
    days: tuple[str, ...] | None = ()


class Elsewhere(Exception):
    """Records of a second registry, where nobody said which one is meant."""


_IN_VAIN: Final = frozenset({What.NOT_FOUND, What.REFUSED})


@dataclass(slots=True)
class Past:
    """What is told of one repository. `pulls` are times with the number of who pulled, one for each hour and puller."""

    told: list[Told] = field(default_factory=list)
    pulls: "array[int]" = field(default_factory=lambda: array("Q"))

    @property
    def existed(self) -> bool:
        """Whether anything tells that the repository was ever there: somebody who asks in vain does not."""
        return bool(self.pulls) or any(each.what not in _IN_VAIN for each in self.told)

    def in_order(self) -> list[Told]:
        """Give all of it in the order of time, each thing once."""
        mask = (1 << _ACTOR_BITS) - 1
        pulls = (Told(each >> _ACTOR_BITS, What.PULLED, each & mask) for each in set(self.pulls))
        found = sorted((*self.told, *pulls), key=_place)
        return [each for index, each in enumerate(found) if not index or each != found[index - 1]]


_ORDER: Final = {what: rank for rank, what in enumerate(What)}


def _place(told: Told) -> tuple[int, int, str]:
    # CloudTrail knows whole seconds only: a creation comes before what was done to it within the same one.
    return told.at, _ORDER[told.what], str(told.value)


@dataclass
class History:
    """All that was read of one registry. `ours` says of a role's name whether it is one of the deployed system's own.

    `days` are those of which there is anything, `read_days` those of which there is a read event; as `2026-11-02`.
    """

    ours: Callable[[str], bool]
    place: tuple[str, str] | None = None
    chosen: bool = False
    pasts: dict[str, Past] = field(default_factory=dict)
    registry: list[Told] = field(default_factory=list)
    actors: list[Actor] = field(default_factory=list)
    days: set[str] = field(default_factory=set)
    read_days: set[str] = field(default_factory=set)
    silent_days: set[str] = field(default_factory=set)
    gaps: list[Gap] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    records: int = 0
    of_ecr: int = 0
    first: str = ""
    last: str = ""
    _numbers: dict[Actor, int] = field(default_factory=dict)
    _pullers: dict[tuple[str, str, str], int] = field(default_factory=dict, compare=False)

    def see(self, moment: str, *, read_only: bool) -> None:
        """Take note that something of any service was recorded at a time, as CloudTrail writes it."""
        self.records += 1
        if moment[:10] not in self.days:
            self.days.add(moment[:10])
        if read_only:
            self.read_days.add(moment[:10])
        if not self.first or moment < self.first:
            self.first = moment
        self.last = max(self.last, moment)

    def take(self, record: Mapping[str, Any]) -> None:
        """Take a record in. Raises Rejected for what is none, and Elsewhere."""
        moment = record.get("eventTime")
        if not isinstance(moment, str) or len(moment) < len("2026-11-02T09:14:07Z"):
            raise Rejected("not a CloudTrail record: it has no eventTime")
        source = record.get("eventSource")
        here = self._here(record, of_ecr=source == ECR)
        if here is None:
            return
        self.see(moment, read_only=record.get("readOnly") is True)
        if source != ECR:
            return
        self.of_ecr += 1
        event = str(record.get("eventName"))
        read = _READ.get(event)
        if read is not None and not (event in _PULLS and self._is_known_pull(record, moment)):
            self._keep(recorded(record, here), read)

    def _is_known_pull(self, record: Mapping[str, Any], moment: str) -> bool:
        """Take note of a pull of a known repository by a known puller: most records are such, and need not be read as a whole."""
        request, identity = record.get("requestParameters"), record.get("userIdentity")
        if record.get("errorCode") is not None or not isinstance(request, dict) or not isinstance(identity, dict):
            return False
        past = self.pasts.get(str(request.get("repositoryName")))
        puller = self._pullers.get(_identity(identity))
        if past is None or puller is None or not str(record.get("eventVersion")).startswith("1."):
            return False
        if puller >= 0:
            self._note_pull(past, int(datetime.fromisoformat(moment).timestamp()), puller)
        return True

    def _here(self, record: Mapping[str, Any], *, of_ecr: bool) -> str | None:
        """The account, if the record is of the registry that is meant."""
        request = record.get("requestParameters")
        account, region = str(record.get("recipientAccountId") or ""), str(record.get("awsRegion") or "")
        owner = str((request.get("registryId") if isinstance(request, dict) else None) or account)
        if of_ecr and not (account and region):
            raise Rejected("not a CloudTrail record: it does not say of which account and Region")
        if self.place is None:
            if not of_ecr:
                return account or None
            self.place = (account, region)
        if (owner, region) == self.place:
            return owner
        if of_ecr and not self.chosen and (account, region) != self.place:
            raise Elsewhere(f"{' in '.join(self.place)}, and {account} in {region}")
        # Our own accounts' calls on a registry of somebody else are recorded here as well.
        self.left_out[f"{owner} in {region}"] += 1
        return None

    def _keep(self, found: Recorded, read: "_Reader") -> None:
        issuer = found.actor.session_issuer.rpartition("/")[2]
        ours = bool(issuer) and self.ours(issuer)
        at = int(found.at.timestamp())
        key = (found.actor.arn, found.actor.invoked_by, found.actor.session_issuer)
        self._pullers[key] = -1 if ours else self._number(found.actor)
        for told, value in read(found):
            # What we did ourselves is no event of the registry's people.
            what = _OF_OURS.get(told) if ours else told
            if what is None:
                continue
            if what is What.ACTIVATED and ours:
                value = AT_REQUEST  # noqa: PLW2901 - we bring back only what somebody asks for
            if not found.repository:
                if what in _OF_REGISTRY:
                    self.registry.append(Told(at, what, self._number(found.actor), value))
                continue
            past = self.pasts.setdefault(found.repository, Past())
            if what is What.PULLED:
                self._note_pull(past, at, self._number(found.actor))
            else:
                past.told.append(Told(at, what, self._number(found.actor), value))

    def _note_pull(self, past: Past, at: int, actor: int) -> None:
        last = past.pulls[-1] if past.pulls else 0
        # Steps are taken at full hours, so that pulls within one hour are alike.
        if (last >> _ACTOR_BITS) // HOUR != at // HOUR or last & ((1 << _ACTOR_BITS) - 1) != actor:
            past.pulls.append(at << _ACTOR_BITS | actor)

    def _number(self, actor: Actor) -> int:
        number = self._numbers.get(actor)
        if number is None:
            # Beyond a million of them the rest share a name.
            number = min(len(self.actors), (1 << _ACTOR_BITS) - 1)
            if number == len(self.actors):
                self.actors.append(actor)
            self._numbers[actor] = number
        return number

    def doubt(self, where: str, why: str, days: Iterable[str] | None) -> None:
        """Take note that something is missing. Of very many the last are told as one."""
        gap = Gap(where, why, None if days is None else tuple(sorted(days)))
        if len(self.gaps) < MOST_GAPS:
            self.gaps.append(gap)
            return
        last = self.gaps[-1]
        both = None if last.days is None or gap.days is None else tuple(sorted({*last.days, *gap.days}))
        self.gaps[-1] = Gap("and elsewhere", f"more than {MOST_GAPS:,} things are missing or cannot be read", both)

    def as_data(self) -> dict[str, Any]:
        """Give all of it as a JSON object, to go on from later."""
        return {
            "place": self.place,
            "pasts": {name: [[_told_as_data(each) for each in past.told], past.pulls.tolist()] for name, past in self.pasts.items()},
            "registry": [_told_as_data(each) for each in self.registry],
            "actors": [[each.arn, each.account, each.type, each.invoked_by, each.session_issuer] for each in self.actors],
            "days": sorted(self.days),
            "read_days": sorted(self.read_days),
            "silent_days": sorted(self.silent_days),
            "gaps": [[gap.where, gap.why, gap.days] for gap in self.gaps],
            "left_out": dict(self.left_out),
            "counts": [self.records, self.of_ecr],
            "span": [self.first, self.last],
        }

    def go_on_from(self, data: Mapping[str, Any]) -> None:
        """Take up what `as_data` gave. Raises KeyError, TypeError or ValueError for what it did not."""
        self.place = (str(data["place"][0]), str(data["place"][1])) if data["place"] else self.place
        for name, (told, pulls) in data["pasts"].items():
            self.pasts[name] = Past([_told_from_data(each) for each in told], array("Q", pulls))
        self.registry = [_told_from_data(each) for each in data["registry"]]
        self.actors = [Actor(*map(str, each)) for each in data["actors"]]
        self._numbers = {actor: number for number, actor in enumerate(self.actors)}
        self.days, self.read_days, self.silent_days = set(data["days"]), set(data["read_days"]), set(data["silent_days"])
        self.gaps = [Gap(where, why, None if days is None else tuple(days)) for where, why, days in data["gaps"]]
        self.left_out = Counter(data["left_out"])
        self.records, self.of_ecr = map(int, data["counts"])
        self.first, self.last = map(str, data["span"])


def _identity(identity: Mapping[str, Any]) -> tuple[str, str, str]:
    """What tells one caller from another in a `userIdentity`."""
    context = identity.get("sessionContext")
    issuer = context.get("sessionIssuer") if isinstance(context, dict) else None
    return (
        str(identity.get("arn") or ""),
        str(identity.get("invokedBy") or ""),
        str(issuer.get("arn") or "") if isinstance(issuer, dict) else "",
    )


def _told_as_data(told: Told) -> list[Any]:
    return [told.at, told.what.value, told.actor, told.value]


def _told_from_data(data: list[Any]) -> Told:
    at, what, actor, value = data
    return Told(int(at), What(what), int(actor), value)


# --- what is known of the time -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dark:
    """A span of which the records do not tell all. `writes`: changes may be missing as well, not only pulls."""

    begin: datetime
    end: datetime
    why: str
    writes: bool = True


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Of which time the records tell, all that is missing, and the spans of which something may be. `pulls`: they are recorded at all."""

    begin: datetime
    end: datetime
    gaps: tuple[Gap, ...]
    dark: tuple[Dark, ...]
    pulls: bool


NO_RECORD: Final = "there is no record at all"
NO_READS: Final = "there is not one read event: without them nobody knows who pulls"
NO_READS_THEN: Final = "there are records, but not one read event"


def knowledge_of(history: History, *, complete: bool) -> Knowledge:
    """Work out what is missing. `complete`: a day without any record is a day on which nothing happened."""
    first, last = (datetime.fromisoformat(each) for each in (history.first, history.last))
    pulls = bool(history.read_days)
    gaps = list(history.gaps)
    if not complete:
        missing = [day for day in _days(first.date(), last.date()) if day not in history.days | history.silent_days]
        gaps += (Gap(span, NO_RECORD, days) for span, days in _spans(missing))
        unread = history.days - history.read_days if pulls else ()
        gaps += (Gap(span, NO_READS_THEN, days) for span, days in _spans(unread))
    if not pulls:
        gaps.append(Gap("all records", NO_READS, None))
    # Of one day one gap is as dark as many.
    dark: dict[tuple[datetime, datetime, bool], Dark] = {}
    for gap in gaps:
        why, writes = f"{gap.where}: {gap.why}", gap.why not in {NO_READS, NO_READS_THEN}
        spans = [(first, last)] if gap.days is None else [(_begin(day), _begin(day) + timedelta(days=1)) for day in gap.days]
        for begin, end in spans:
            dark.setdefault((begin, end, writes), Dark(begin, end, why, writes))
    return Knowledge(first, last, tuple(gaps), tuple(dark[span] for span in sorted(dark)), pulls)


def _days(first: date, last: date) -> Iterator[str]:
    while first <= last:
        yield first.isoformat()
        first += timedelta(days=1)


def _begin(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)


def _spans(days: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Put days that follow one another together, in words."""
    run: list[str] = []
    for day in sorted(days):
        if run and date.fromisoformat(day) - date.fromisoformat(run[-1]) > timedelta(days=1):
            yield _span(run)
            run = []
        run.append(day)
    if run:
        yield _span(run)


def _span(run: list[str]) -> tuple[str, tuple[str, ...]]:
    return run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}", tuple(run)


# --- what a record tells --------------------------------------------------------------------------------------------------------------

_Reader = Callable[[Recorded], Iterator[tuple[What, Any]]]


def _wanted(record: Recorded) -> Iterator[tuple[What, Any]]:
    """What a call tells by which somebody wants an image, if it failed."""
    if record.error in REFUSALS:
        yield What.REFUSED, record.event
    elif record.error in _NOT_FOUND:
        yield What.NOT_FOUND, record.event


def _pull(record: Recorded) -> Iterator[tuple[What, Any]]:
    if record.error:
        yield from _wanted(record)
    else:
        yield What.PULLED, None


def _push(record: Recorded) -> Iterator[tuple[What, Any]]:
    if record.error:
        yield from _wanted(record)
    else:
        push = record.news.pushes[0]
        yield What.PUSHED, [push.tag, (push.digest or "")[:DIGEST], push.event_id]


def _done(what: What, value: Callable[[Recorded], Any]) -> _Reader:
    """Read a call that counts only if it succeeded."""

    def read(record: Recorded) -> Iterator[tuple[What, Any]]:
        if not record.error:
            yield what, value(record)

    return read


def _creation(record: Recorded) -> dict[str, Any]:
    creation, described = record.news.creation, record.response.get("repository")
    answer = described if isinstance(described, dict) else {}
    request = record.request

    def said(key: str) -> Any:
        return answer.get(key) if answer.get(key) is not None else request.get(key)

    return {
        "event_id": record.event_id,
        "type": creation.event_type if creation else "",
        "source_ip": creation.source_ip if creation else "",
        "user_agent": creation.user_agent if creation else "",
        "mutability": [said("imageTagMutability"), _filters(said("imageTagMutabilityExclusionFilters"))],
        "encryption": said("encryptionConfiguration"),
        "tags": _tags(request["tags"]) if "tags" in request else None,
    }


def _template(record: Recorded) -> dict[str, Any]:
    request = record.request
    answer = record.response.get("repositoryCreationTemplate")
    whole = {**request, **(answer if isinstance(answer, dict) else {})}
    return {
        "prefix": str(whole.get("prefix", "")),
        "applied_for": [str(each) for each in _listed(whole.get("appliedFor"))],
        "tags": _tags(whole.get("resourceTags")),
        "lifecycle_policy": whole.get("lifecyclePolicy") or None,
        "repository_policy": whole.get("repositoryPolicy") or None,
    }


def _deleted_images(record: Recorded) -> list[list[str | None]]:
    if record.event == "BatchDeleteImage":
        listed = _listed(record.response.get("imageIds")) or _listed(record.request.get("imageIds"))
        return [[_digest(each.get("imageDigest")), each.get("imageTag")] for each in listed if isinstance(each, dict)]
    actions = (
        each.get("lifecycleEventImage") for each in _listed(record.details.get("lifecycleEventImageActions")) if isinstance(each, dict)
    )
    return [[_digest(each.get("digest")), None] for each in actions if isinstance(each, dict)]


def _activation(record: Recorded) -> Iterator[tuple[What, Any]]:
    if not record.error and record.request.get("targetStorageClass") == "STANDARD":
        yield What.ACTIVATED, record.event


def _digest(value: Any) -> str | None:
    return value[:DIGEST] if isinstance(value, str) and value else None


def _filters(value: Any) -> list[str]:
    return sorted(str(each.get("filter", "")) if isinstance(each, dict) else str(each) for each in _listed(value))


def _tags(value: Any) -> dict[str, str]:
    """Read tags; CloudTrail shows API members as they are (`Key`) or with a small first letter."""
    pairs = (each for each in _listed(value) if isinstance(each, dict))
    return {str(each.get("Key", each.get("key", ""))): str(each.get("Value", each.get("value", ""))) for each in pairs}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


_READ: Final[Mapping[str, _Reader]] = {
    **dict.fromkeys(_PULLS, _pull),
    "PutImage": _push,
    "InitiateLayerUpload": _wanted,
    "CreateRepository": _done(What.CREATED, _creation),
    "DeleteRepository": _done(What.DELETED, lambda _: None),
    "BatchDeleteImage": _done(What.EXPIRED, _deleted_images),
    "PolicyExecutionEvent": _done(What.EXPIRED, _deleted_images),
    "PutLifecyclePolicy": _done(What.LIFECYCLE, lambda record: _text(record.request.get("lifecyclePolicyText"))),
    "DeleteLifecyclePolicy": _done(What.LIFECYCLE, lambda _: None),
    "SetRepositoryPolicy": _done(What.POLICY, lambda record: _text(record.request.get("policyText"))),
    "DeleteRepositoryPolicy": _done(What.POLICY, lambda _: None),
    "PutImageTagMutability": _done(
        What.MUTABILITY,
        lambda record: [record.request.get("imageTagMutability"), _filters(record.request.get("imageTagMutabilityExclusionFilters"))],
    ),
    "TagResource": _done(What.TAGGED, lambda record: _tags(record.request.get("tags"))),
    "UntagResource": _done(What.UNTAGGED, lambda record: [str(each) for each in _listed(record.request.get("tagKeys"))]),
    "UpdateImageStorageClass": _activation,
    "CreateRepositoryCreationTemplate": _done(What.TEMPLATE, _template),
    "UpdateRepositoryCreationTemplate": _done(What.TEMPLATE, _template),
    "DeleteRepositoryCreationTemplate": _done(What.NO_TEMPLATE, lambda record: str(record.request.get("prefix", ""))),
    "CreatePullThroughCacheRule": _done(What.CACHE, lambda record: str(record.request.get("ecrRepositoryPrefix", ""))),
    "DeletePullThroughCacheRule": _done(What.NO_CACHE, lambda record: str(record.request.get("ecrRepositoryPrefix", ""))),
    "PutRegistryScanningConfiguration": _done(What.SCANNING, lambda _: None),
}
_OF_REGISTRY: Final = frozenset({What.TEMPLATE, What.NO_TEMPLATE, What.CACHE, What.NO_CACHE, What.SCANNING})
_OF_OURS: Final = {What.DELETED: What.REAPED, What.ACTIVATED: What.ACTIVATED, **{what: what for what in _OF_REGISTRY}}
"""Of what the deployed system did itself: only its deletions, and that somebody had it bring images back."""
EVENTS: Final = frozenset(_READ)
