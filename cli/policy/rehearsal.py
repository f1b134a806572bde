"""Play a repository's history against a policy day by day, as the deployed system would meet it, and see how far its retirement gets.

Every decision is made by `evaluate` and `decide`, as in the deployment. What lies beyond one repository is taken for granted: each step
succeeds, its notice is delivered at once, every source answers, no cap is exceeded, and deletion is enabled.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from cli.policy.cases import Happening, Kind
from ecr_governor.core.evaluate import evaluate
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.repository import Repository
from ecr_governor.core.retirement import asked
from ecr_governor.core.retirement.decide import Case, Decision, decide, mark_until
from ecr_governor.core.retirement.evidence import Evidence, Use
from ecr_governor.core.retirement.quarantine import quarantined, released
from ecr_governor.core.retirement.snapshot import ACTIVE, ARCHIVED, DELETE_AFTER, STATE, HeldImage, Snapshot
from ecr_governor.core.retirement.state import Retirement, Stage
from ecr_governor.core.rules import naming, unused
from ecr_governor.core.verdict import Violation

_DAY: Final = timedelta(days=1)
AT_BIRTH: Final = timedelta(hours=1)
"""How soon after a repository's creation it must have been seen to know that no push came before; as the deployed steps have it."""


@dataclass
class World:
    """One repository as it is at a time: what happened to it, and what its retirement did to it."""

    name: str
    arn: str
    created_at: datetime
    watched_since: datetime
    policy: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    images: tuple[HeldImage, ...] = ()
    running: bool = False
    pushed: bool = False
    retirement: Retirement | None = None
    delivered_at: datetime | None = None
    used_at: datetime | None = None

    @property
    def stage(self) -> Stage:
        """How far its retirement is."""
        return self.retirement.stage if self.retirement else Stage.OBSERVED

    def snapshot(self) -> Snapshot:
        """Give what ECR would show."""
        return Snapshot(self.name, self.arn, self.created_at, dict(self.tags), self.policy, self.images)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a retirement, and why it was taken."""

    at: datetime
    to: Stage
    decision: Decision


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far a retirement got, by which steps, what is decided at the end, and what withholds every step forward."""

    stage: Stage
    steps: tuple[Step, ...]
    decision: Decision
    withheld: tuple[str, ...]


def rehearse(
    world: World, happenings: Sequence[Happening], policy: Policy, now: datetime, repository: Callable[[datetime], Repository]
) -> Outcome:
    """Play until now. `repository` gives the repository's facts as of a time, for the rules."""
    steps: list[Step] = []
    pending = list(happenings)
    decision = Decision(None, ())
    for run_at in (*nights(world.created_at, now, policy.retirement.window.from_hour), now):
        while pending and pending[0].at <= run_at:
            steps += _happened(world, pending.pop(0))
        if world.stage is Stage.DELETED:
            break
        case = case_of(world, policy, run_at, repository)
        decision = decide(case, run_at)
        # The last look only asks: the step that it leads to is the next night's.
        if run_at < now:
            steps += step(world, case, decision, policy, run_at, repository)
    held_up = [*withheld(policy), *([] if looked_at(world, policy, now, repository) else ["the rule unused does not find it unused"])]
    return Outcome(world.stage, tuple(steps), decision, tuple(held_up))


def nights(begun: datetime, now: datetime, hour: int) -> Iterator[datetime]:
    """Give the times of the runs from `begun` until now, one each day at this hour."""
    night = begun.replace(hour=hour, minute=0, second=0, microsecond=0)
    while night < now:
        if night >= begun:
            yield night
        night += _DAY


def withheld(policy: Policy) -> Iterator[str]:
    """Say why a policy lets no retirement go forward, whatever becomes of its repositories."""
    yield from asked.withheld(policy)
    if not policy.notifications.slack.enabled:
        yield "nobody is told"


def _happened(world: World, event: Happening) -> Iterator[Step]:
    refused = world.stage in {Stage.QUARANTINED, Stage.ARCHIVED} and event.kind in {Kind.PUSHED, Kind.PULLED}
    if refused:
        # A refused call gives back at once; whoever made it tries again, and that is not a part of this history.
        world.used_at = event.at
        take_back(world, event.at)
        yield Step(event.at, Stage.OBSERVED, Decision(Stage.OBSERVED, ()))
        return
    match event.kind:
        case Kind.PUSHED:
            world.pushed = True
            digest = f"sha256:{sha256(f'{event.at.isoformat()} {event.pushed}'.encode()).hexdigest()}"
            kept = tuple(replace(image, tags=image.tags - {event.pushed or ""}) for image in world.images)
            world.images = (*kept, HeldImage(digest, frozenset({event.pushed or ""}), event.at))
        case Kind.PULLED if event.pulled:
            world.images = tuple(replace(image, pulled_at=event.at) for image in world.images)
        case Kind.TAGGED:
            world.tags |= event.tagged or {}
        case Kind.RUNNING:
            world.running = bool(event.running)
        case Kind.VETOED if event.vetoed:
            world.tags.pop(DELETE_AFTER, None)
        case _:
            pass


def case_of(world: World, policy: Policy, at: datetime, repository: Callable[[datetime], Repository]) -> Case:
    """Put together what a decision rests on."""
    snapshot = world.snapshot()
    asks = asked.asked_of(policy, world.name, at)
    uses = (Use("a running task", repository=world.name),) if world.running else ()
    sources = tuple(source.value for source in policy.retirement.sources)
    return Case(
        snapshot=snapshot,
        retirement=world.retirement,
        terms=asks.terms,
        watched_since=world.watched_since if world.watched_since <= at else None,
        evidence=tuple(Evidence(source, at, uses) for source in sources),
        sources=sources,
        exempt=asks.exempt,
        audited=asks.audited,
        owner=snapshot.tag(policy.owner_tag),
        delivered_at=world.delivered_at,
        used_at=world.used_at,
        never_pushed=not world.pushed and world.watched_since - world.created_at <= AT_BIRTH,
        misnamed=finds(naming.RULE.id, policy, at, repository),
    )


def finds(rule: str, policy: Policy, at: datetime, repository: Callable[[datetime], Repository]) -> bool:
    """Whether a rule finds something that nobody is exempt from."""
    return any(
        judgement.rule == rule and judgement.exemption is None and isinstance(judgement.verdict, Violation)
        for judgement in evaluate(repository(at), policy, at).judgements
    )


def step(
    world: World, case: Case, decision: Decision, policy: Policy, at: datetime, repository: Callable[[datetime], Repository]
) -> Iterator[Step]:
    """Take the step that was decided on, if nothing withholds it."""
    if decision.in_use and looked_at(world, policy, at, repository):
        world.used_at = at
    if decision.to is None:
        return
    if decision.to is Stage.OBSERVED:
        take_back(world, at, not_before=at + case.terms.after_days * _DAY if decision.vetoed and case.terms else None)
        yield Step(at, Stage.OBSERVED, decision)
        return
    if any(withheld(policy)) or not policy.retirement.window.contains(at) or not looked_at(world, policy, at, repository):
        return
    _go_on(world, case, decision.to, at)
    yield Step(at, decision.to, decision)


def looked_at(world: World, policy: Policy, at: datetime, repository: Callable[[datetime], Repository]) -> bool:
    """Whether a run would come to this repository: its retirement is under way, or a sweep found it unused, empty, or wrongly named."""
    if (world.retirement is not None and world.retirement.under_way) or not world.images:
        return True
    terms = policy.expectation_for(world.name).settings.retirement
    wanted = (unused.RULE.id, naming.RULE.id) if terms is not None and terms.misnamed_after_days is not None else (unused.RULE.id,)
    return any(finds(rule, policy, at, repository) for rule in wanted)


def _go_on(world: World, case: Case, to: Stage, at: datetime) -> None:
    if to is Stage.MARKED and case.terms is not None:
        day = mark_until(case.terms, case.owner, at).isoformat()
        world.retirement = Retirement(to, at, world.created_at, case.world, case.terms.hash, delete_after=day, notice=1)
        world.tags |= {DELETE_AFTER: day, STATE: to.value}
        world.delivered_at = at
        return
    if world.retirement is None:
        return
    world.retirement = replace(world.retirement, stage=to, since=at)
    world.tags[STATE] = to.value
    if to is Stage.QUARANTINED:
        world.retirement = replace(world.retirement, original_policy=world.policy)
        world.policy = quarantined(world.policy)
    elif to is Stage.ARCHIVED:
        world.images = tuple(replace(image, status=ARCHIVED, archived_at=at) for image in world.images)


def take_back(world: World, at: datetime, not_before: datetime | None = None) -> None:
    """Give the repository back as it was before its retirement."""
    former = world.retirement
    if former is not None:
        world.policy = released(world.policy, former.original_policy)
    world.images = tuple(replace(image, status=ACTIVE, activated_at=at) if image.status == ARCHIVED else image for image in world.images)
    world.tags.pop(DELETE_AFTER, None)
    world.tags.pop(STATE, None)
    world.delivered_at = None
    world.retirement = Retirement(Stage.OBSERVED, at, world.created_at, not_before=not_before or (former.not_before if former else None))
