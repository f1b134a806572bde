"""Play one repository's past against a policy: every rule at each moment at which its verdict can change, and its retirement night by night.

Every decision is made by `evaluate` and `decide`, as in the deployment, and a retirement goes on as in a rehearsal. What the records do not
tell stays unknown: a rule is undetermined, and a retirement stands still.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from cli.backtest.history import AT_REQUEST, Dark, Knowledge, Past, Told, What
from cli.backtest.registry import Registry
from cli.policy.inventory import Line
from cli.policy.rehearsal import Step, World, case_of, looked_at, step, take_back, withheld
from ecr_governor.core.due import next_look
from ecr_governor.core.evaluate import Evaluation, evaluate
from ecr_governor.core.finding import Finding, FindingState, follow
from ecr_governor.core.origin import (
    AUTOMATIC,
    Actor,
    Creation,
    News,
    Origin,
    Provenance,
    Push,
    classify,
    learn,
    milestones,
)
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.remedy import (
    PutImageTagMutability,
    PutLifecyclePolicy,
    Remedy,
    SetRepositoryPolicy,
    TagResource,
    describe,
    operation_of,
)
from ecr_governor.core.repository import (
    Encryption,
    EncryptionType,
    Fact,
    Image,
    Repository,
    TagMutability,
    TagMutabilitySetting,
    Unreadable,
    Usage,
)
from ecr_governor.core.retirement.decide import Decision, Weight, decide
from ecr_governor.core.retirement.quarantine import is_ours
from ecr_governor.core.retirement.snapshot import DELETE_AFTER, OURS, PROTECT, STACK, HeldImage, Snapshot
from ecr_governor.core.retirement.state import Stage
from ecr_governor.core.rules import RULES, unused
from ecr_governor.core.rules.image_tag import violating_tags
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Undetermined

NOBODY: Final = "no known owner"
NOT_TOLD: Final = Unreadable("the records do not tell")
_NOT_WHOLE: Final = Unreadable("ECR made it, and the records do not hold the creation template")
_CLOUDFORMATION: Final = "cloudformation.amazonaws.com"
_DAY: Final = timedelta(days=1)
_SEVERITIES: Final = tuple(Severity)
_IMAGE_RULES: Final = frozenset(rule.id for rule in RULES.values() if rule.needs & {Fact.IMAGES, Fact.HOLDS_IMAGE})
_IN_DENIAL: Final = frozenset({Stage.QUARANTINED, Stage.ARCHIVED})
_WISHES: Final = frozenset({What.PUSHED, What.PULLED, What.REFUSED, What.NOT_FOUND, What.ACTIVATED, What.CREATED})
"""What somebody does who wants the repository."""


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


@dataclass(frozen=True, slots=True)
class Regret:
    """Somebody wanted what was taken to this stage at `since`. `by` is a name that people know, "" where nobody knows."""

    stage: Stage
    since: datetime
    at: datetime
    what: str
    by: str


@dataclass
class Fate:
    """What would have become of one repository. `unknown` is why its retirement cannot be told, "" if it can.

    `untold_after` are the steps of which nobody can tell whether they were regretted. `told` counts messages by owner and channel.
    """

    name: str
    namespace: str
    owner: str | None = None
    findings: list[Finding] = field(default_factory=list)
    changes: list[tuple[datetime, str, str]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    regrets: list[Regret] = field(default_factory=list)
    untold_after: list[Step] = field(default_factory=list)
    undetermined: dict[str, str] = field(default_factory=dict)
    unknown: str = ""
    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    gone_at: datetime | None = None

    @property
    def stage(self) -> Stage:
        """How far its retirement got."""
        return self.steps[-1].to if self.steps else Stage.OBSERVED


@dataclass
class _Remembered(World):
    """A repository as the records tell it. `doubt` and `tags_doubt` say what they do not tell."""

    doubt: str = ""
    tags_doubt: str = ""

    def snapshot(self) -> Snapshot:
        """Give what ECR would show, as far as the records tell it."""
        tags = Unreadable(self.tags_doubt) if self.tags_doubt else dict(self.tags)
        return Snapshot(self.name, self.arn, self.created_at, tags, self.policy, Unreadable(self.doubt) if self.doubt else self.images)


def play(name: str, past: Past | None, line: Line | None, setting: Setting) -> Fate:
    """Play one repository from its beginning, or the records', to the records' end. `line` is what an inventory says of it afterwards."""
    return _Play(name, past.in_order() if past else [], line, setting).played()


class _Play:
    def __init__(self, name: str, told: list[Told], line: Line | None, setting: Setting) -> None:
        self.name, self.told, self.line, self.setting = name, told, line, setting
        self.policy, self.knowledge = setting.policy, setting.knowledge
        self.expectation = self.policy.expectation_for(name)
        self.fate = Fate(name, self.policy.namespace_of(name))
        self.arn = f"arn:aws:ecr:{setting.region}:{setting.account}:repository/{name}"
        self.told_kinds = {each.what for each in told}
        self.tag_keys = {
            key for each in told if each.what in {What.TAGGED, What.UNTAGGED} for key in each.value if not key.startswith(OURS)
        }
        self.stands_still = any(withheld(self.policy))
        # Everything below belongs to one repository of the name; `_begin` sets it.
        self.alive = False
        self.world = _Remembered(name, self.arn, self.knowledge.begin, self.knowledge.begin)
        self.record = RepositoryRecord(name)
        self.findings: tuple[Finding, ...] = ()
        self.provenance = Provenance()
        self.mutability: TagMutabilitySetting | Unreadable = NOT_TOLD
        self.encryption: Encryption | Unreadable = NOT_TOLD
        self.tags: dict[str, str] | Unreadable = NOT_TOLD
        self.lifecycle: str | Unreadable | None = NOT_TOLD
        self.document: str | Unreadable | None = NOT_TOLD
        self.held: dict[str, set[str]] = {}
        self.all_held_known = False
        self.bad_tags: dict[str, str] = {}
        self.other_tags: tuple[Image, ...] | Unreadable = ()
        self.last_push: datetime | None = None
        self.last_pull: datetime | None = None
        self.look_at: datetime | None = None
        self.due_at: datetime | None = None
        self.decide_from: datetime | None = None
        self.tags_so_far: dict[str, str | None] = {}
        self.frozen = ""
        self.in_dark: datetime | None = None
        self.assumed: tuple[datetime, datetime | None, str] | None = None
        self.rounds = 0

    # --- the course of time ---

    def played(self) -> Fate:
        """Go from moment to moment."""
        first = next((each.what for each in self.told if each.what not in {What.NOT_FOUND, What.REFUSED}), None)
        if first is not What.CREATED:
            self._begin_before_the_records()
        for at, happenings in self._happenings():
            self._until(at)
            for each in happenings:
                if isinstance(each, Dark):
                    self._dark(each, at)
                else:
                    self._happened(each)
        self._until(self.knowledge.end)
        return self._concluded()

    def _happenings(self) -> Iterator[tuple[datetime, list[Told | Dark]]]:
        """What happens, and where the dark begins and ends, by its time."""
        listed: list[tuple[datetime, Told | Dark]] = [(each.moment, each) for each in self.told]
        for dark in self._dark_spans():
            listed += [(dark.begin, dark), (dark.end, dark)]
        listed.sort(key=lambda pair: pair[0])
        for at, pairs in groupby(listed, key=lambda pair: pair[0]):
            yield at, [each for _, each in pairs]

    def _dark_spans(self) -> Iterator[Dark]:
        """The spans in which something may have happened that nobody can tell of: where ECR's own times do not tell either."""
        last_use = self._last_use_told()
        for dark in self.knowledge.dark:
            if last_use is None or dark.writes:
                yield dark
            elif last_use > dark.begin:
                yield replace(dark, end=min(dark.end, last_use))

    def _last_use_told(self) -> datetime | None:
        """The last push or pull, if the inventory tells it."""
        usage = self.line.repository.usage if self.line and self.line.counted else NOT_TOLD
        if isinstance(usage, Unreadable) or self.line is None:
            return None
        return max(each for each in (self.line.repository.created_at, usage.last_push, usage.last_pull) if each)

    def _until(self, at: datetime) -> None:
        """Let time pass: looks that are due, and nights at which a decision may be another one."""
        while self.alive:
            look = min((each for each in (self.look_at, self.due_at) if each), default=None)
            night = self._next_night()
            moment = min((each for each in (look, night) if each), default=None)
            if moment is None or moment > at:
                return
            if moment == look:
                self._look(moment)
            else:
                self._decide(moment)

    def _next_night(self) -> datetime | None:
        if self.decide_from is None or self.frozen or self.world.stage is Stage.DELETED or self.expectation.settings.retirement is None:
            return None
        begun = max(self.decide_from, self.in_dark or self.decide_from)
        night = begun.replace(hour=self.policy.retirement.window.from_hour, minute=0, second=0, microsecond=0)
        return night if night >= begun else night + _DAY

    # --- beginnings and ends ---

    def _begin_before_the_records(self) -> None:
        """The repository was there before the records begin: of its settings only that is known which nothing in the records changes."""
        line, begin = self.line, self.knowledge.begin
        facts = line.repository if line else None
        born = facts.created_at if facts else begin
        if facts is None:
            self.provenance = classify(Provenance(), self.name, self.setting.registry.automatic(begin, self.name))
        else:
            self.provenance = facts.provenance
        self.mutability = facts.tag_mutability if facts and What.MUTABILITY not in self.told_kinds else NOT_TOLD
        self.encryption = facts.encryption if facts else NOT_TOLD
        self.lifecycle = facts.lifecycle_policy if facts and What.LIFECYCLE not in self.told_kinds else NOT_TOLD
        self.document = facts.repository_policy if facts and What.POLICY not in self.told_kinds else NOT_TOLD
        if facts is not None and not isinstance(facts.tags, Unreadable) and not self.tag_keys:
            self.tags = {key: value for key, value in facts.tags.items() if not key.startswith(OURS) or key == PROTECT}
        start = max(begin, born)
        self._use_before(line, start)
        watched = self.setting.wish.watched_since or begin
        self._live(born if facts else begin, watched if facts is None else max(watched, born), start)

    def _use_before(self, line: Line | None, start: datetime) -> None:
        """Take what is not known of the use before the records begin as use up to there: that can only keep."""
        facts = line.repository if line else None
        usage = facts.usage if facts else NOT_TOLD
        touched = bool(self.told_kinds & {What.PUSHED, What.EXPIRED})
        self.held, self.all_held_known = {}, False
        if facts is not None and not isinstance(usage, Unreadable) and line is not None and line.counted:
            pushed, pulled = usage.last_push, usage.last_pull
            self.last_push = pushed if pushed is None or pushed <= start else start
            self.last_pull = pulled if pulled is None or pulled <= start else start
        else:
            self.last_pull = start
        if facts is not None and not touched and not isinstance(facts.holds_image, Unreadable):
            self.held, self.all_held_known = ({"": set()} if facts.holds_image else {}), True
        self.other_tags = facts.images if facts is not None and not touched else NOT_TOLD

    def _begin(self, told: Told) -> None:
        """A repository of this name was created."""
        value: Mapping[str, Any] = told.value
        actor = self.setting.actors[told.actor]
        creation = Creation(value["event_id"], told.moment, actor, value["type"] or "AwsApiCall", value["source_ip"], value["user_agent"])
        self.provenance = self._classified(learn(Provenance(), News(creation=creation)), told.moment)
        self.mutability, self.encryption = _mutability(value["mutability"]), _encryption(value["encryption"])
        self.tags, self.lifecycle, self.document = dict(value["tags"] or {}), None, None
        if self.provenance.origin in {*AUTOMATIC, Origin.UNKNOWN}:
            self._set_up_by_template(value["tags"], told.moment)
        # What a cache or a replication brings leaves no record of a push.
        self.held, self.all_held_known = {}, self.provenance.origin in {Origin.API, Origin.CREATE_ON_PUSH}
        self.bad_tags, self.other_tags = {}, ()
        self.last_push = self.last_pull = None
        self._live(told.moment, told.moment, told.moment)
        if actor.invoked_by == _CLOUDFORMATION:
            self.world.tags[STACK] = _CLOUDFORMATION

    def _set_up_by_template(self, tags: Mapping[str, str] | None, at: datetime) -> None:
        template = self.setting.registry.template_of(self.name, self.provenance.origin, at)
        if template is None:
            self.lifecycle = self.document = _NOT_WHOLE
            self.tags = dict(tags) if tags is not None else _NOT_WHOLE
            return
        self.lifecycle, self.document = template["lifecycle_policy"], template["repository_policy"]
        self.tags = dict(tags if tags is not None else template["tags"])

    def _live(self, born: datetime, watched: datetime, start: datetime) -> None:
        self.world = _Remembered(self.name, self.arn, born, watched)
        self.record = replace(RepositoryRecord(self.name), created_at=born)
        self.findings = ()
        self.alive, self.look_at, self.due_at, self.decide_from = True, start, None, start
        self.frozen, self.assumed, self.tags_so_far = "", None, {}
        self._tell_world()

    def _end(self, at: datetime) -> None:
        if self.alive:
            self._close(at)
            self.alive, self.fate.gone_at = False, at

    def _close(self, at: datetime) -> None:
        """It is gone, and whatever was found with it."""
        self.fate.findings += (replace(each, resolved_at=at) for each in self.findings if each.state is not FindingState.RESOLVED)
        self.findings, self.look_at, self.due_at, self.decide_from = (), None, None, None

    def _classified(self, known: Provenance, at: datetime) -> Provenance:
        return classify(known, self.name, self.setting.registry.automatic(at, self.name))

    # --- what happens ---

    def _happened(self, told: Told) -> None:
        at = told.moment
        if told.what in _WISHES:
            self._wanted(told, at)
        if told.what is What.CREATED:
            if self.world.stage is not Stage.DELETED or not self.alive:
                self._end(at)
                self._begin(told)
                self.look_at = at + self.setting.wish.delay
            return
        if told.what in {What.DELETED, What.REAPED}:
            self._end(at)
            return
        if not self.alive or self.world.stage is Stage.DELETED:
            return
        before = (self.world.doubt, self.world.tags_doubt, bool(self.world.images))
        look = self._changed(told, at)
        self._tell_world()
        under_way = self.world.retirement is not None and self.world.retirement.under_way
        if told.what not in _WISHES or under_way or before != (self.world.doubt, self.world.tags_doubt, bool(self.world.images)):
            # Use alone only puts off what waits for the end of use.
            self.decide_from = min(self.decide_from or at, at)
        if look:
            self.look_at = min(self.look_at or at + self.setting.wish.delay, at + self.setting.wish.delay)

    def _changed(self, told: Told, at: datetime) -> bool:
        """Follow a change; give whether the deployed system would look at the repository for it."""
        value = told.value
        match told.what:
            case What.PUSHED:
                return self._pushed(told, at)
            case What.PULLED:
                if not self.held:
                    # Whatever was pulled was there.
                    self.held = {"": set()}
                if self.setting.actors[told.actor].session_issuer not in self.policy.retirement.pull_time_exclusions:
                    self.last_pull = at
                    self.world.used_at = max(self.world.used_at or at, at)
                return any(finding.rule == unused.RULE.id and finding.state is not FindingState.RESOLVED for finding in self.findings)
            case What.REFUSED | What.ACTIVATED:
                self.world.used_at = max(self.world.used_at or at, at)
                return False
            case What.EXPIRED:
                self._images_deleted(value)
                return any(finding.rule in _IMAGE_RULES and finding.state is FindingState.OPEN for finding in self.findings)
            case What.LIFECYCLE:
                self.lifecycle = value
            case What.POLICY if not is_ours(value):
                self.document = value
                self.world.policy = value
            case What.MUTABILITY:
                self.mutability = _mutability(value)
            case What.TAGGED:
                self._tagged({key: text for key, text in value.items() if not key.startswith(OURS) or key == PROTECT})
            case What.UNTAGGED:
                self._untagged(value)
            case _:
                return False
        return True

    def _pushed(self, told: Told, at: datetime) -> bool:
        tag, digest, event_id = told.value
        for tags in self.held.values():
            tags.discard(tag)
        self.held.setdefault(digest, set())
        self.last_push = at
        self.world.pushed = True
        self.world.used_at = max(self.world.used_at or at, at)
        bad = bool(tag) and tag not in self.bad_tags and bool(violating_tags([tag], self.expectation))
        if tag:
            self.held[digest].add(tag)
            if bad or tag in self.bad_tags:
                self.bad_tags[tag] = digest
        known = self.provenance
        learned = learn(known, News(pushes=(Push(event_id, at, self.setting.actors[told.actor], tag, digest),)))
        if milestones(learned) != milestones(known):
            self.provenance = self._classified(learned, at)
            return True
        self.provenance = learned
        return bad or any(
            finding.rule in {*_IMAGE_RULES, unused.RULE.id} and finding.state is FindingState.OPEN for finding in self.findings
        )

    def _images_deleted(self, images: Sequence[Sequence[str | None]]) -> None:
        for digest, tag in images:
            if tag is not None:
                # A tag that is deleted takes its image along only if it was the last one.
                owner = next((one for one, tags in self.held.items() if tag in tags), digest)
                self.bad_tags.pop(tag, None)
                self.held.get(owner or "", set()).discard(tag)
                if owner in self.held and not self.held[owner]:
                    del self.held[owner]
            elif digest is not None:
                self.held.pop(digest, None)
                self.bad_tags = {one: of for one, of in self.bad_tags.items() if of != digest}
        self.rounds += 1

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
        self.tags_so_far |= tags
        if not isinstance(self.tags, Unreadable) or self.tag_keys - self.tags_so_far.keys() or self.line is None:
            return
        if not isinstance(kept := self.line.repository.tags, Unreadable):
            self.tags = {key: value for key, value in kept.items() if not key.startswith(OURS) and key not in self.tags_so_far}
            self.tags |= {key: value for key, value in self.tags_so_far.items() if value is not None and not key.startswith(OURS)}

    def _wanted(self, told: Told, at: datetime) -> None:
        """Somebody wants it. What was taken from him is regretted, and given back if it still can be."""
        stage = self.world.stage
        if not self.alive or stage not in {*_IN_DENIAL, Stage.DELETED}:
            return
        if stage is Stage.DELETED and any(
            regret.stage is Stage.DELETED and regret.since == self.fate.steps[-1].at for regret in self.fate.regrets
        ):
            return
        words = {What.PUSHED: "pushed", What.PULLED: "pulled", What.CREATED: "created anew", What.ACTIVATED: What.ACTIVATED.value}
        since = next((each.at for each in reversed(self.fate.steps) if each.to is stage), at)
        by = "" if told.value == AT_REQUEST else self.setting.actors[told.actor].name
        if told.value == AT_REQUEST:
            words[What.ACTIVATED] = f"{What.ACTIVATED.value} {AT_REQUEST}"
        self.fate.regrets.append(Regret(stage, since, at, words.get(told.what, f"was refused {told.value}"), by))
        if stage is not Stage.DELETED:
            self.world.used_at = at
            take_back(self.world, at)
            self.decide_from = at
            self.fate.steps.append(Step(at, Stage.OBSERVED, Decision(Stage.OBSERVED, ())))
            self._tell_people()

    def _dark(self, dark: Dark, at: datetime) -> None:
        """The records stop telling all, or tell it again. What may have happened meanwhile keeps, and takes nothing back."""
        if at == dark.begin and dark.end > at:
            self.in_dark = max(self.in_dark or dark.end, dark.end)
            if self.world.retirement is not None and self.world.retirement.under_way:
                self.frozen = dark.why
            return
        if not self.alive:
            return
        if dark.writes:
            self._settings_after(dark.why)
        last_use = self._last_use_told()
        if last_use is None or last_use > dark.begin:
            self.assumed = (at, self.assumed[1] if self.assumed else self.world.used_at, dark.why)
            self.world.used_at = max(self.world.used_at or at, at)
        self.decide_from = min(self.decide_from or at, at)

    def _settings_after(self, why: str) -> None:
        """Whatever may have been changed unseen is unknown, unless the inventory tells it and nothing changes it any more."""
        facts = self.line.repository if self.line else None
        unseen = Unreadable(why)
        self.mutability = facts.tag_mutability if facts and What.MUTABILITY not in self.told_kinds else unseen
        self.lifecycle = facts.lifecycle_policy if facts and What.LIFECYCLE not in self.told_kinds else unseen
        self.document = facts.repository_policy if facts and What.POLICY not in self.told_kinds else unseen
        keeps_tags = facts is not None and not isinstance(facts.tags, Unreadable) and not (self.told_kinds & {What.TAGGED, What.UNTAGGED})
        if not keeps_tags:
            self.tags = unseen
        if not (self.line and self.line.counted):
            self.all_held_known = False
        self._tell_world()

    # --- what is decided ---

    def _repository(self, at: datetime) -> Repository:
        """The facts as of a time."""
        registry = self.setting.registry
        return Repository(
            name=self.name,
            arn=self.arn,
            account=self.setting.account,
            region=self.setting.region,
            created_at=self.world.created_at,
            tag_mutability=self.mutability,
            encryption=self.encryption,
            tags=self.tags,
            lifecycle_policy=self.lifecycle,
            repository_policy=self.document,
            scan_frequency=registry.scanning(self.line),
            images=self._images(at),
            holds_image=self._holds_image(),
            creation_templates=registry.templates(self.name, self.provenance.origin, at, self.line),
            usage=self._usage(),
            provenance=self.provenance,
        )

    def _images(self, at: datetime) -> tuple[Image, ...] | Unreadable:
        """The images as far as their tags matter: only what breaks the form of tags is kept."""
        bad = tuple(Image(digest, (tag,), at) for tag, digest in self.bad_tags.items())
        if isinstance(self.other_tags, Unreadable):
            return bad or self.other_tags
        return (*self.other_tags, *bad)

    def _holds_image(self) -> bool | Unreadable:
        if self.held:
            return True
        return False if self.all_held_known else Unreadable("the records do not tell whether it holds an image")

    def _usage(self) -> Usage | Unreadable:
        if not self.knowledge.pulls and not (self.line and self.line.counted):
            return Unreadable("there is not one read event, so that pulls are not known")
        return Usage(self.last_push, self.last_pull)

    def _tell_world(self) -> None:
        """Show the retirement what it would see."""
        world, holds = self.world, self._holds_image()
        world.doubt = holds.why if isinstance(holds, Unreadable) else ""
        world.tags_doubt = self.tags.why if isinstance(self.tags, Unreadable) else ""
        if not isinstance(self.tags, Unreadable):
            marks = {key: value for key, value in world.tags.items() if key == STACK or (key.startswith(OURS) and key != PROTECT)}
            world.tags = {**self.tags, **marks}
            self.fate.owner = self.tags.get(self.policy.owner_tag)
        if holds is not True:
            world.images = ()
            return
        status = world.images[0].status if world.images else "ACTIVE"
        pushed = self.last_push or world.created_at
        digest = f"sha256:{len(self.held):032x}{self.rounds:032x}"
        world.images = (HeldImage(digest, frozenset(), pushed, self.last_pull, status),)

    def _look(self, at: datetime) -> None:
        """Judge it by every rule, and put right what may be put right, as the deployed system does when an event comes."""
        self.look_at = None
        before = self.findings
        evaluation = self._judged(at)
        opened = follow(before, evaluation, at)
        remedies = [remedy for remedy in evaluation.remedies if self.record.budget_left(operation_of(remedy), at)]
        if remedies:
            rounds = {each: (*self.record.recent_rounds(each, at), at) for each in {operation_of(remedy) for remedy in remedies}}
            self.record = replace(self.record, write_rounds={**self.record.write_rounds, **rounds})
            for remedy in remedies:
                self._put_right(remedy)
                self.fate.changes.append((at, operation_of(remedy), describe(remedy)))
            self._tell_world()
            evaluation = self._judged(at)
        left = follow(opened, evaluation, at)
        self._note(before, opened, left)
        self.findings = left
        self.fate.undetermined = {each.rule: each.verdict.why for each in evaluation.judgements if isinstance(each.verdict, Undetermined)}
        if remedies or self._is_loud(before, opened):
            self._tell_people()
        repository = self._repository(at)
        moments = (next_look(self.record, repository, self.policy, at, waiting=False), unused.due(repository, self.expectation, at))
        self.due_at = min((each for each in moments if each and each > at), default=None)

    def _judged(self, at: datetime) -> Evaluation:
        return evaluate(self._repository(at), self.policy, at)

    def _put_right(self, remedy: Remedy) -> None:
        match remedy:
            case PutLifecyclePolicy(after=text):
                self.lifecycle = text
            case SetRepositoryPolicy(after=text):
                self.document = self.world.policy = text
            case PutImageTagMutability(after=setting):
                self.mutability = setting
            case TagResource(after=tags) if not isinstance(self.tags, Unreadable):
                self.tags = {**self.tags, **tags}
            case _:
                pass

    def _note(self, before: Sequence[Finding], opened: Sequence[Finding], left: Sequence[Finding]) -> None:
        """Keep every finding that ends: those that a look opens and has put right at once as well."""
        after = {finding.rule: finding for finding in left}
        for finding in {each.rule: each for each in (*before, *opened) if each.state is not FindingState.RESOLVED}.values():
            now = after.get(finding.rule)
            if now is None or now.state is FindingState.RESOLVED:
                self.fate.findings.append(replace(finding, resolved_at=now.resolved_at if now else None))

    def _is_loud(self, before: Sequence[Finding], opened: Sequence[Finding]) -> bool:
        known = {finding.rule for finding in before if finding.state is FindingState.OPEN}
        least = _SEVERITIES.index(self.policy.notifications.slack.min_severity)
        return any(
            finding.state is FindingState.OPEN and finding.rule not in known and _SEVERITIES.index(finding.severity) >= least
            for finding in opened
        )

    def _tell_people(self) -> None:
        slack = self.policy.notifications.slack
        if not slack.enabled:
            return
        tags = {} if isinstance(self.tags, Unreadable) else self.tags
        owner, pusher = tags.get(self.policy.owner_tag), self.provenance.pusher
        place = slack.place_of(self.name, owner, tags, (pusher.name,) if pusher else ())
        self.fate.told[owner or NOBODY, place.channel] += 1

    def _decide(self, at: datetime) -> None:
        """What the run of one night makes of it."""
        case = case_of(self.world, self.policy, at, self._repository)
        decision = decide(case, at)
        taken = list(step(self.world, case, decision, self.policy, at, self._repository))
        self.fate.steps += taken
        if taken:
            self._tell_people()
        if self.world.stage is Stage.DELETED:
            self._close(at)
            return
        self.decide_from = self._again(decision, at, taken=bool(taken))

    def _again(self, decision: Decision, at: datetime, *, taken: bool) -> datetime | None:
        """When a decision may be another one although nothing happens."""
        later: list[datetime | None] = (
            [at + timedelta(seconds=1)] if taken else [decision.next_at] if decision.next_at and decision.next_at > at else []
        )
        if decision.to is not None and not taken and not self.stands_still:
            candidate = looked_at(self.world, self.policy, at, self._repository)
            later.append(at + timedelta(seconds=1) if candidate else unused.due(self._repository(at), self.expectation, at))
        later.append(self.policy.next_expiry(self.name, at))
        return min((each for each in later if each), default=None)

    # --- the end ---

    def _concluded(self) -> Fate:
        fate, end = self.fate, self.knowledge.end
        if self.alive:
            fate.findings += (finding for finding in self.findings if finding.state is not FindingState.RESOLVED)
            fate.unknown = self._unknown(end)
        fate.untold_after = [each for each in fate.steps if each.to in {*_IN_DENIAL, Stage.DELETED} and self._is_untold(each)]
        return fate

    def _unknown(self, end: datetime) -> str:
        """Why nobody can tell how far its retirement would be."""
        if self.expectation.settings.retirement is None or self.world.stage is Stage.DELETED:
            return ""
        if self.frozen:
            return self.frozen
        decision = decide(case_of(self.world, self.policy, end, self._repository), end)
        if any(reason.weight is Weight.CONTRARY for reason in decision.reasons):
            return ""
        if doubts := [reason.seen for reason in decision.reasons if reason.weight is Weight.DOUBT]:
            return doubts[0]
        if self.assumed and decision.to is None and self.world.stage is Stage.OBSERVED:
            # It stands where it is only because something may have happened of which the records do not tell.
            at, before, why = self.assumed
            if self.world.used_at == at:
                self.world.used_at = before
                if decide(case_of(self.world, self.policy, end, self._repository), end).to is not None:
                    return why
        return ""

    def _is_untold(self, taken: Step) -> bool:
        """Whether somebody may have wanted it after a step without a record of it."""
        if any(regret.stage is taken.to and regret.since == taken.at for regret in self.fate.regrets):
            return False
        until = next((each.at for each in self.fate.steps if each.at > taken.at), self.knowledge.end)
        return any(dark.begin < until and dark.end > taken.at for dark in self._dark_spans())


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
