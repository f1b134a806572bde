"""Plan one run: what each candidate's next step is, whether the run as a whole is within its caps, and then take the steps."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ecr_governor.app.errors import Contended, Denied, Refused, Throttled, Unintelligible
from ecr_governor.app.retirement.carrying_out import carry_out, tell_again
from ecr_governor.app.retirement.cases import Hearing, Services, case_of, hear
from ecr_governor.app.retirement.ports import DeletingRegistry
from ecr_governor.app.retirement.recording import Done, reasons_as_data
from ecr_governor.app.retirement.taking_back import note_use
from ecr_governor.core.policy.model import Mode
from ecr_governor.core.retirement.approval import ApprovedStep, list_identity
from ecr_governor.core.retirement.asked import withheld
from ecr_governor.core.retirement.caps import Step, exceeded
from ecr_governor.core.retirement.decide import Case, Decision, Weight, decide, next_stage
from ecr_governor.core.retirement.state import Stage

logger = logging.getLogger(__name__)

DAY: Final = timedelta(days=1)
PLAN_VERSION: Final = 1
"""Of a plan's document: a reader of another one must not guess."""


@dataclass(frozen=True, slots=True)
class Item:
    """One repository of a plan."""

    case: Case
    decision: Decision
    namespace: str

    @property
    def name(self) -> str:
        """The repository."""
        return self.case.snapshot.name

    @property
    def stage(self) -> Stage:
        """How far it is now."""
        return self.case.retirement.stage if self.case.retirement else Stage.OBSERVED

    @property
    def untold_since(self) -> datetime | None:
        """Since when a mark's newest notice waits to reach somebody; None where nothing is waited for."""
        marked = self.case.retirement
        if marked is None or marked.stage is not Stage.MARKED or marked.intended or self.decision.to or self.case.delivered_at:
            return None
        return marked.noticed_at or marked.since


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do. `withheld` are the reasons why it takes no step forward, whatever its items say.

    `over` are those of the reasons that are caps, which a person's approval lifts.
    `gone` are repositories that are not there any more although their retirement is under way, `unread` those that could not be read, by
    why.
    """

    at: datetime
    hearing: Hearing
    items: tuple[Item, ...]
    withheld: tuple[str, ...]
    gone: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    over: tuple[str, ...] = ()

    @property
    def question(self) -> dict[str, Any] | None:
        """What a person is to be asked: the whole list of steps that nothing but caps withholds. None if there is nothing to be asked."""
        if not self.over or len(self.over) < len(self.withheld):
            return None
        wanted = ((item, item.decision.to) for item in self.items)
        waiting = [(item, to) for item, to in wanted if to and to not in {Stage.OBSERVED, Stage.DELETED}]
        return {
            "at": self.at.isoformat(),
            "over": list(self.over),
            "policy_hash": self.hearing.policy.hash,
            "approves": list_identity(ApprovedStep(item.name, to, item.case.world) for item, to in waiting),
            "steps": [{"repository": item.name, "to": to.value, "owner": item.case.owner} for item, to in waiting],
        }

    @property
    def backward(self) -> tuple[Item, ...]:
        """What is to be taken back: nothing withholds that."""
        return tuple(item for item in self.items if item.decision.to is Stage.OBSERVED)

    def forward(self, stages: Iterable[Stage]) -> tuple[Item, ...]:
        """What is to be taken a step further, to one of these stages."""
        wanted = frozenset(stages) - {Stage.OBSERVED}
        return () if self.withheld else tuple(item for item in self.items if item.decision.to in wanted)


def plan(
    names: Iterable[str],
    repositories: int,
    stages: Iterable[Stage],
    services: Services,
    now: datetime,
    doubts: Sequence[str] = (),
    *,
    approved_by: str = "",
) -> Plan:
    """Decide over each of these repositories. Raises Throttled.

    `repositories` is how many the registry has: a cap is a share of them. `stages` are those that the run may lead to: no other step
    counts against a cap. `doubts` are further reasons to take no step forward. `approved_by` is who has approved all of it.
    """
    hearing = hear(services, now, approved_by=approved_by)
    items: list[Item] = []
    gone: list[str] = []
    unread: dict[str, str] = {}
    for name in sorted(set(names)):
        try:
            # The record first: whoever takes the repository back meanwhile has written it again by the time anything is intended.
            record, snapshot = services.ledger.read(name), services.registry.snapshot(name)
            if snapshot is not None:
                case = case_of(snapshot, record, hearing, services, now)
                items.append(Item(case, decide(case, now), hearing.policy.namespace_of(name)))
            elif record is not None and record.retirement is not None and record.retirement.under_way:
                gone.append(name)
        except (Denied, Throttled, Unintelligible) as error:
            # One that nobody may look at does not keep the others from being given back.
            logger.exception("not planned", extra={"repository": name})
            unread[name] = str(error)
    over = tuple(_over(items, frozenset(stages), repositories, hearing, services, now))
    return Plan(now, hearing, tuple(items), (*doubts, *_withheld(hearing, now), *over), tuple(gone), unread, over)


def _withheld(hearing: Hearing, now: datetime) -> Iterable[str]:
    policy = hearing.policy
    if hearing.in_force.problem:
        yield "the policy file is invalid: nothing is taken away by the last good one"
    yield from withheld(policy)
    if not policy.retirement.window.contains(now):
        yield "it is outside of the policy's window"


def _over(
    items: Sequence[Item], stages: frozenset[Stage], repositories: int, hearing: Hearing, services: Services, now: datetime
) -> Iterable[str]:
    caps = hearing.policy.retirement.caps
    steps = [Step(item.name, item.decision.to, item.namespace, item.case.owner) for item in items if item.decision.to in stages]
    approved = bool(hearing.approved_by)
    return exceeded(steps, caps, repositories, services.book.taken_since(now - DAY), approved=approved)


def carry_out_plan(
    made: Plan,
    stages: Iterable[Stage],
    services: Services,
    now: datetime,
    deleting: DeletingRegistry | None = None,
) -> Sequence[Done]:
    """Take the steps of a plan that lead to these stages: all back first, then forward, one repository after another.

    The first deletion goes alone: unless it ends well, no other follows. Trouble with one repository does not stop the others,
    except of deletions. Who was seen to use what is remembered.
    """
    stages, policy = frozenset(stages), made.hearing.policy
    tells = Stage.MARKED in stages and services.tells_people and policy.notifications.slack.enabled and policy.mode is Mode.ENFORCE
    back = (*(item.name for item in made.backward), *made.gone) if Stage.OBSERVED in stages else ()
    done = [_one(name, Stage.OBSERVED, made.hearing, services, now, None) for name in back]
    for item in made.items:
        used = item.decision.in_use and item.decision.to is None
        untold = tells and item.untold_since is not None and now - item.untold_since >= DAY
        if not (used or untold):
            continue
        with _alone(item):
            if used:
                note_use(item.name, services, now)
            if untold:
                tell_again(item.case, item.decision, services, now)
    for item in made.forward(stages):
        to = item.decision.to
        if to is None:
            continue
        if not services.may_go_on():
            done.append(Done(item.name, None, "there was no time left: the next run goes on"))
            continue
        ended = _one(item.name, to, made.hearing, services, now, deleting, item.case.world if made.hearing.approved_by else "")
        done.append(ended)
        if to is Stage.DELETED and ended.stage is not Stage.DELETED:
            done += (Done(other.name, None, f"not begun, since {item.name} did not end well") for other in _after(item, made, stages))
            break
    return done


@contextmanager
def _alone(item: Item) -> Iterator[None]:
    """Let trouble with what is noted of one repository keep nothing else: the next run sees it again."""
    try:
        yield
    except (Contended, Denied, Throttled, Unintelligible):
        logger.exception("not noted", extra={"repository": item.name})


def _after(item: Item, made: Plan, stages: Iterable[Stage]) -> Sequence[Item]:
    following = made.forward(stages)
    return following[following.index(item) + 1 :]


def _one(
    name: str, to: Stage, hearing: Hearing, services: Services, now: datetime, deleting: DeletingRegistry | None, approved: str = ""
) -> Done:
    try:
        done = carry_out(name, to, hearing, services, now, deleting, approved=approved)
    except (Contended, Denied, Refused, Throttled, Unintelligible) as error:
        # What was intended is in the ledger: the next run goes on from there.
        logger.exception("step not completed", extra={"repository": name, "to": to.value})
        return Done(name, None, str(error))
    logger.info("step", extra={"repository": name, "to": to.value, "reached": done.stage.value if done.stage else None, "why": done.why})
    return done


def following(item: Item) -> Stage | None:
    """The stage that comes next if nothing speaks against it."""
    terms = item.case.terms
    return next_stage(item.stage, terms, empty=item.case.empty) if terms else None


def plan_as_data(made: Plan, *, deletes: bool) -> dict[str, Any]:
    """Give a plan as a JSON object: each repository with its stage, its `next` step if one is due, and the one that is `then` to come.

    `next_at` is when the policy's window lets that step be taken at the earliest; None where it is due and may be, and where time is not
    all that is missing.
    Where nothing `deletes`, the last step is none, whatever the policy says.
    """
    return {
        "version": PLAN_VERSION,
        "at": made.at.isoformat(),
        "policy_hash": made.hearing.policy.hash,
        "withheld": list(made.withheld),
        "unread": dict(made.unread),
        "items": [_item_as_data(item, made, deletes=deletes) for item in made.items],
    }


def _item_as_data(item: Item, made: Plan, *, deletes: bool) -> dict[str, Any]:
    due, comes, reasons = item.decision.to, following(item), reasons_as_data(item.decision)
    if comes is Stage.DELETED and not deletes:
        due, comes = (None if due is Stage.DELETED else due), None
        reasons.append(
            {"check": "something deletes", "seen": "the stack was deployed with EnableDelete=false", "weight": Weight.WAIT.value}
        )
    at = _not_before(item.decision.next_at, due, made)
    return {
        "repository": item.name,
        "kind": item.case.kind.value,
        "stage": item.stage.value,
        "next": due.value if due else None,
        "then": comes.value if comes else None,
        "next_at": at.isoformat() if at else None,
        "owner": item.case.owner,
        "namespace": item.namespace,
        "images": len(item.case.snapshot.held),
        "size_bytes": item.case.snapshot.size_bytes,
        "fingerprint": item.case.world,
        "reasons": reasons,
    }


def _not_before(next_at: datetime | None, due: Stage | None, made: Plan) -> datetime | None:
    window = made.hearing.policy.retirement.window
    if due not in {None, Stage.OBSERVED} and not window.contains(made.at):
        return window.opens(made.at)
    return window.opens(next_at) if next_at else None
