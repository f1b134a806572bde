"""One repository as its records and an inventory tell it: its settings, tags, images and use, at the moment up to which they were followed.

What they do not tell stays unknown, and says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cli.backtest.history import Knowledge, Told, What
from cli.backtest.registry import Registry
from cli.policy.inventory import Line
from cli.policy.rehearsal import World
from ecr_governor.core.origin import AUTOMATIC, Actor, Creation, News, Origin, Provenance, Push, classify, learn, milestones
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.remedy import PutImageTagMutability, PutLifecyclePolicy, Remedy, SetRepositoryPolicy, TagResource
from ecr_governor.core.repository import (
    Encryption,
    EncryptionType,
    Image,
    Repository,
    TagMutability,
    TagMutabilitySetting,
    Unreadable,
    Usage,
)
from ecr_governor.core.retirement.quarantine import is_ours
from ecr_governor.core.retirement.snapshot import DELETE_AFTER, OURS, PROTECT, STACK, HeldImage, Snapshot
from ecr_governor.core.rules.image_tag import violating_tags

NOT_TOLD: Final = Unreadable("the records do not tell")
_NOT_WHOLE: Final = Unreadable("ECR made it, and the records do not hold the creation template")
_CLOUDFORMATION: Final = "cloudformation.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Wish:
    """How to play. `delay` is how long an event takes to arrive; `watched_since` is since when the system had watched."""

    delay: timedelta = timedelta(minutes=1)
    watched_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for all repositories."""

    account: str
    region: str
    policy: Policy
    knowledge: Knowledge
    registry: Registry
    actors: Sequence[Actor]
    wish: Wish = Wish()


@dataclass
class ToldWorld(World):
    """What a retirement sees of it. `doubt` and `tags_doubt` say what they do not tell."""

    doubt: str = ""
    tags_doubt: str = ""

    def snapshot(self) -> Snapshot:
        """Give what ECR would show, as far as the records tell it."""
        tags = Unreadable(self.tags_doubt) if self.tags_doubt else dict(self.tags)
        return Snapshot(self.name, self.arn, self.created_at, tags, self.policy, Unreadable(self.doubt) if self.doubt else self.images)


class ToldRepository:
    """What is known of the repository that has a name. There may have been several, one after another.

    `owner` is the last that its tags named.
    """

    def __init__(self, name: str, told: Sequence[Told], line: Line | None, setting: Setting) -> None:
        self._name, self._line, self._setting = name, line, setting
        self._expectation = setting.policy.expectation_for(name)
        self._arn = f"arn:aws:ecr:{setting.region}:{setting.account}:repository/{name}"
        self._told_kinds = {each.what for each in told}
        self._tag_keys = {
            key for each in told if each.what in {What.TAGGED, What.UNTAGGED} for key in each.value if not key.startswith(OURS)
        }
        self.owner: str | None = None
        # Everything below belongs to one repository of the name; `begin` sets it.
        self.world = ToldWorld(name, self._arn, setting.knowledge.begin, setting.knowledge.begin)
        self.provenance = Provenance()
        self.tags: dict[str, str] | Unreadable = NOT_TOLD
        self._mutability: TagMutabilitySetting | Unreadable = NOT_TOLD
        self._encryption: Encryption | Unreadable = NOT_TOLD
        self._lifecycle: str | Unreadable | None = NOT_TOLD
        self._document: str | Unreadable | None = NOT_TOLD
        self._held: dict[str, set[str]] = {}
        self._all_held_known = False
        self._bad_tags: dict[str, str] = {}
        self._other_tags: tuple[Image, ...] | Unreadable = ()
        self._last_push: datetime | None = None
        self._last_pull: datetime | None = None
        self._tags_so_far: dict[str, str | None] = {}
        self._rounds = 0

    @property
    def last_use(self) -> datetime | None:
        """The last push or pull, if the inventory tells it."""
        usage = self._line.repository.usage if self._line and self._line.counted else NOT_TOLD
        if isinstance(usage, Unreadable) or self._line is None:
            return None
        return max(each for each in (self._line.repository.created_at, usage.last_push, usage.last_pull) if each)

    # --- beginnings ---

    def begin_before_the_records(self) -> datetime:
        """The repository was there before the records begin: of its settings only that is known which nothing in the records changes.

        Gives from when on it is known.
        """
        line, begin = self._line, self._setting.knowledge.begin
        facts = line.repository if line else None
        born = facts.created_at if facts else begin
        if facts is None:
            self.provenance = classify(Provenance(), self._name, self._setting.registry.automatic(begin, self._name))
        else:
            self.provenance = facts.provenance
        self._mutability = facts.tag_mutability if facts and What.MUTABILITY not in self._told_kinds else NOT_TOLD
        self._encryption = facts.encryption if facts else NOT_TOLD
        self._lifecycle = facts.lifecycle_policy if facts and What.LIFECYCLE not in self._told_kinds else NOT_TOLD
        self._document = facts.repository_policy if facts and What.POLICY not in self._told_kinds else NOT_TOLD
        if facts is not None and not isinstance(facts.tags, Unreadable) and not self._tag_keys:
            self.tags = {key: value for key, value in facts.tags.items() if not key.startswith(OURS) or key == PROTECT}
        start = max(begin, born)
        self._use_before(line, start)
        watched = self._setting.wish.watched_since or begin
        self._is(born if facts else begin, watched if facts is None else max(watched, born))
        return start

    def _use_before(self, line: Line | None, start: datetime) -> None:
        """Take what is not known of the use before the records begin as use up to there: that can only keep."""
        facts = line.repository if line else None
        usage = facts.usage if facts else NOT_TOLD
        touched = bool(self._told_kinds & {What.PUSHED, What.EXPIRED})
        self._held, self._all_held_known = {}, False
        if facts is not None and not isinstance(usage, Unreadable) and line is not None and line.counted:
            pushed, pulled = usage.last_push, usage.last_pull
            self._last_push = pushed if pushed is None or pushed <= start else start
            self._last_pull = pulled if pulled is None or pulled <= start else start
        else:
            self._last_pull = start
        if facts is not None and not touched and not isinstance(facts.holds_image, Unreadable):
            self._held, self._all_held_known = ({"": set()} if facts.holds_image else {}), True
        self._other_tags = facts.images if facts is not None and not touched else NOT_TOLD

    def begin(self, told: Told) -> None:
        """A repository of this name was created."""
        value: Mapping[str, Any] = told.value
        actor = self._setting.actors[told.actor]
        creation = Creation(value["event_id"], told.moment, actor, value["type"] or "AwsApiCall", value["source_ip"], value["user_agent"])
        self.provenance = self._classified(learn(Provenance(), News(creation=creation)), told.moment)
        self._mutability, self._encryption = _mutability(value["mutability"]), _encryption(value["encryption"])
        self.tags, self._lifecycle, self._document = dict(value["tags"] or {}), None, None
        if self.provenance.origin in {*AUTOMATIC, Origin.UNKNOWN}:
            self._set_up_by_template(value["tags"], told.moment)
        # What a cache or a replication brings leaves no record of a push.
        self._held, self._all_held_known = {}, self.provenance.origin in {Origin.API, Origin.CREATE_ON_PUSH}
        self._bad_tags, self._other_tags = {}, ()
        self._last_push = self._last_pull = None
        self._is(told.moment, told.moment)
        if actor.invoked_by == _CLOUDFORMATION:
            self.world.tags[STACK] = _CLOUDFORMATION

    def _set_up_by_template(self, tags: Mapping[str, str] | None, at: datetime) -> None:
        template = self._setting.registry.template_of(self._name, self.provenance.origin, at)
        if template is None:
            self._lifecycle = self._document = _NOT_WHOLE
            self.tags = dict(tags) if tags is not None else _NOT_WHOLE
            return
        self._lifecycle, self._document = template["lifecycle_policy"], template["repository_policy"]
        self.tags = dict(tags if tags is not None else template["tags"])

    def _is(self, born: datetime, watched: datetime) -> None:
        self.world = ToldWorld(self._name, self._arn, born, watched)
        self._tags_so_far = {}
        self._show()

    def _classified(self, known: Provenance, at: datetime) -> Provenance:
        return classify(known, self._name, self._setting.registry.automatic(at, self._name))

    # --- what happens ---

    def follow(self, told: Told) -> bool:
        """Follow what happened; give whether it is news by itself, so that the deployed system would look at the repository for it."""
        news = self._changed(told, told.moment)
        self._show()
        return news

    def _changed(self, told: Told, at: datetime) -> bool:
        value = told.value
        match told.what:
            case What.PUSHED:
                return self._pushed(told, at)
            case What.PULLED:
                self._pulled(told, at)
                return False
            case What.REFUSED | What.ACTIVATED:
                self.world.used_at = max(self.world.used_at or at, at)
                return False
            case What.EXPIRED:
                self._images_deleted(value)
                return False
            case What.LIFECYCLE:
                self._lifecycle = value
            case What.POLICY if not is_ours(value):
                self._document = value
                self.world.policy = value
            case What.MUTABILITY:
                self._mutability = _mutability(value)
            case What.TAGGED:
                self._tagged({key: text for key, text in value.items() if not key.startswith(OURS) or key == PROTECT})
            case What.UNTAGGED:
                self._untagged(value)
            case _:
                return False
        return True

    def _pulled(self, told: Told, at: datetime) -> None:
        if not self._held:
            # Whatever was pulled was there.
            self._held = {"": set()}
        if self._setting.actors[told.actor].session_issuer not in self._setting.policy.retirement.pull_time_exclusions:
            self._last_pull = at
            self.world.used_at = max(self.world.used_at or at, at)

    def _pushed(self, told: Told, at: datetime) -> bool:
        tag, digest, event_id = told.value
        for tags in self._held.values():
            tags.discard(tag)
        self._held.setdefault(digest, set())
        self._last_push = at
        self.world.pushed = True
        self.world.used_at = max(self.world.used_at or at, at)
        bad = bool(tag) and tag not in self._bad_tags and bool(violating_tags([tag], self._expectation))
        if tag:
            self._held[digest].add(tag)
            if bad or tag in self._bad_tags:
                self._bad_tags[tag] = digest
        known = self.provenance
        learned = learn(known, News(pushes=(Push(event_id, at, self._setting.actors[told.actor], tag, digest),)))
        if milestones(learned) != milestones(known):
            self.provenance = self._classified(learned, at)
            return True
        self.provenance = learned
        return bad

    def _images_deleted(self, images: Sequence[Sequence[str | None]]) -> None:
        for digest, tag in images:
            if tag is not None:
                # A tag that is deleted takes its image along only if it was the last one.
                owner = next((one for one, tags in self._held.items() if tag in tags), digest)
                self._bad_tags.pop(tag, None)
                self._held.get(owner or "", set()).discard(tag)
                if owner in self._held and not self._held[owner]:
                    del self._held[owner]
            elif digest is not None:
                self._held.pop(digest, None)
                self._bad_tags = {one: of for one, of in self._bad_tags.items() if of != digest}
        self._rounds += 1

    def _tagged(self, tags: Mapping[str, str]) -> None:
        if not isinstance(self.tags, Unreadable):
            self.tags = {**self.tags, **tags}
        self._tags_told(dict(tags))

    def _untagged(self, keys: Sequence[str]) -> None:
        if not isinstance(self.tags, Unreadable):
            self.tags = {key: value for key, value in self.tags.items() if key not in keys}
        if DELETE_AFTER in keys:
            self.world.tags.pop(DELETE_AFTER, None)
        self._tags_told(dict.fromkeys(keys))

    def _tags_told(self, tags: Mapping[str, str | None]) -> None:
        """From when every key that is ever changed was told once, all tags are known: the others are as the inventory has them."""
        self._tags_so_far |= tags
        if not isinstance(self.tags, Unreadable) or self._tag_keys - self._tags_so_far.keys() or self._line is None:
            return
        if not isinstance(kept := self._line.repository.tags, Unreadable):
            self.tags = {key: value for key, value in kept.items() if not key.startswith(OURS) and key not in self._tags_so_far}
            self.tags |= {key: value for key, value in self._tags_so_far.items() if value is not None and not key.startswith(OURS)}

    def miss(self, why: str) -> None:
        """After a time of which nothing is told: whatever may have been changed unseen is unknown, unless the inventory tells it and nothing changes it any more."""
        facts = self._line.repository if self._line else None
        unseen = Unreadable(why)
        self._mutability = facts.tag_mutability if facts and What.MUTABILITY not in self._told_kinds else unseen
        self._lifecycle = facts.lifecycle_policy if facts and What.LIFECYCLE not in self._told_kinds else unseen
        self._document = facts.repository_policy if facts and What.POLICY not in self._told_kinds else unseen
        keeps_tags = facts is not None and not isinstance(facts.tags, Unreadable) and not (self._told_kinds & {What.TAGGED, What.UNTAGGED})
        if not keeps_tags:
            self.tags = unseen
        if not (self._line and self._line.counted):
            self._all_held_known = False
        self._show()

    def put_right(self, remedy: Remedy) -> None:
        """Take a remedy as carried out."""
        match remedy:
            case PutLifecyclePolicy(after=text):
                self._lifecycle = text
            case SetRepositoryPolicy(after=text):
                self._document = self.world.policy = text
            case PutImageTagMutability(after=setting):
                self._mutability = setting
            case TagResource(after=tags) if not isinstance(self.tags, Unreadable):
                self.tags = {**self.tags, **tags}
            case _:
                pass
        self._show()

    # --- what it is ---

    def as_of(self, at: datetime) -> Repository:
        """Give the facts as of a time."""
        registry = self._setting.registry
        return Repository(
            name=self._name,
            arn=self._arn,
            account=self._setting.account,
            region=self._setting.region,
            created_at=self.world.created_at,
            tag_mutability=self._mutability,
            encryption=self._encryption,
            tags=self.tags,
            lifecycle_policy=self._lifecycle,
            repository_policy=self._document,
            scan_frequency=registry.scanning(self._line),
            images=self._images(at),
            holds_image=self._holds_image(),
            creation_templates=registry.templates(self._name, self.provenance.origin, at, self._line),
            usage=self._usage(),
            provenance=self.provenance,
        )

    def _images(self, at: datetime) -> tuple[Image, ...] | Unreadable:
        """The images as far as their tags matter: only what breaks the form of tags is kept."""
        bad = tuple(Image(digest, (tag,), at) for tag, digest in self._bad_tags.items())
        if isinstance(self._other_tags, Unreadable):
            return bad or self._other_tags
        return (*self._other_tags, *bad)

    def _holds_image(self) -> bool | Unreadable:
        if self._held:
            return True
        return False if self._all_held_known else Unreadable("the records do not tell whether it holds an image")

    def _usage(self) -> Usage | Unreadable:
        if not self._setting.knowledge.pulls and not (self._line and self._line.counted):
            return Unreadable("there is not one read event, so that pulls are not known")
        return Usage(self._last_push, self._last_pull)

    def _show(self) -> None:
        """Show the retirement what it would see."""
        world, holds = self.world, self._holds_image()
        world.doubt = holds.why if isinstance(holds, Unreadable) else ""
        world.tags_doubt = self.tags.why if isinstance(self.tags, Unreadable) else ""
        if not isinstance(self.tags, Unreadable):
            marks = {key: value for key, value in world.tags.items() if key == STACK or (key.startswith(OURS) and key != PROTECT)}
            world.tags = {**self.tags, **marks}
            self.owner = self.tags.get(self._setting.policy.owner_tag)
        if holds is not True:
            world.images = ()
            return
        status = world.images[0].status if world.images else "ACTIVE"
        pushed = self._last_push or world.created_at
        digest = f"sha256:{len(self._held):032x}{self._rounds:032x}"
        world.images = (HeldImage(digest, frozenset(), pushed, self._last_pull, status),)


def _mutability(value: Sequence[Any]) -> TagMutabilitySetting | Unreadable:
    mode, filters = value
    try:
        return TagMutabilitySetting(TagMutability(mode), frozenset(filters))
    except ValueError:
        return Unreadable("the record does not say it in words that are known")


def _encryption(value: Any) -> Encryption | Unreadable:
    if not isinstance(value, dict):
        return NOT_TOLD
    try:
        return Encryption(EncryptionType(str(value.get("encryptionType"))), value.get("kmsKey"))
    except ValueError:
        return Unreadable("the record does not say it in words that are known")
