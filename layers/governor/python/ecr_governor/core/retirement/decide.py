"""What is to be done about one repository now, and all the reasons: a function of what was read, the policy, and the time.

Three kinds of reason stand against going on. Contrary evidence takes a retirement back. Doubt, what could not be read or is stale, lets
it stand where it is: not knowing is neither fine nor guilty. Waiting is only a matter of time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from ecr_governor.core.policy.retirement import LEAST_QUARANTINE, RetirementTerms, Then
from ecr_governor.core.retirement import evidence as witnesses
from ecr_governor.core.retirement.evidence import Evidence
from ecr_governor.core.retirement.quarantine import is_in_force, is_ours
from ecr_governor.core.retirement.snapshot import ACTIVE, ARCHIVED, DELETE_AFTER, PROTECT, STACK, Snapshot, fingerprint
from ecr_governor.core.retirement.state import Retirement, Stage
from ecr_governor.core.rules.unused import SLACK

_DAY: Final = timedelta(days=1)
_SATURDAY: Final = 5


class Kind(StrEnum):
    """What sort of repository it is: each has days of its own in the policy."""

    UNUSED = "unused"
    EMPTY = "empty"
    BLANK = "blank"
    MISNAMED = "misnamed"


class Weight(StrEnum):
    """What a reason means for the next step."""

    FOR = "for"
    CONTRARY = "contrary"
    DOUBT = "doubt"
    WAIT = "wait"


class Reason(NamedTuple):
    """One thing that was looked at: what was asked, what was seen, and what it means."""

    check: str
    seen: str
    weight: Weight = Weight.FOR
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """All that a decision rests on. `terms` is None where the policy asks for no retirement.

    `watched_since` is when we first saw this repository; `delivered_at` when the notice of its mark reached somebody. `owner` is None
    where nobody is known to own it. `trusted_pulls`: nobody's pulls go unrecorded. `noted_push` is the newest push that an event told of:
    ECR itself does not show that a tag was moved to an old image. `judged` is what an interrupted deletion had judged. `used_at` is when
    somebody was last seen to use it by other signs than ECR's times. `never_pushed`: watched since it was created, and no push was ever
    seen. `misnamed`: its name breaks the rule `naming`, and nothing exempts it. `kept_until` is until when somebody keeps it by a button.
    """

    snapshot: Snapshot
    retirement: Retirement | None
    terms: RetirementTerms | None
    watched_since: datetime | None
    evidence: Sequence[Evidence]
    sources: Sequence[str]
    exempt: str = ""
    owner: str | None = None
    delivered_at: datetime | None = None
    trusted_pulls: bool = True
    noted_push: datetime | None = None
    judged: Snapshot | None = None
    used_at: datetime | None = None
    never_pushed: bool = False
    misnamed: bool = False
    audited: bool = False
    kept_until: datetime | None = None

    @property
    def empty(self) -> bool:
        """Whether there was no image when it was judged: what an interrupted deletion took was there."""
        return not self.snapshot.held and (self.judged is None or not self.judged.held)

    @property
    def kind(self) -> Kind:
        """What sort of repository it is."""
        if self.empty:
            return Kind.BLANK if self.never_pushed else Kind.EMPTY
        return Kind.MISNAMED if self.misnamed else Kind.UNUSED

    @property
    def world(self) -> str:
        """The fingerprint of what was read. It takes every image, so that it is made only where it is asked for."""
        return world_of(self.snapshot, self.judged)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do: go on to `to`, go back to `observed`, or neither (None); and every reason that was looked at."""

    to: Stage | None
    reasons: tuple[Reason, ...]

    @property
    def against(self) -> tuple[Reason, ...]:
        """What stands against going on."""
        return tuple(reason for reason in self.reasons if reason.weight is not Weight.FOR)

    @property
    def next_at(self) -> datetime | None:
        """When the next step may be taken, where only time is missing."""
        against = self.against
        moments = [reason.until for reason in against if reason.weight is Weight.WAIT and reason.until]
        return max(moments, default=None) if len(moments) == len(against) else None

    @property
    def in_use(self) -> bool:
        """Whether somebody was seen to use it by other signs than ECR's own times, which nobody would remember."""
        return any(reason.check == USERS and reason.weight is Weight.CONTRARY for reason in self.reasons)

    @property
    def vetoed(self) -> bool:
        """Whether somebody objected, so that the repository is let alone for a while."""
        return any(reason.check == VETO and reason.weight is Weight.CONTRARY for reason in self.reasons)


USERS: Final = "nobody uses it"
KEPT: Final = "nobody keeps it"
"""The check that fails where somebody has asked for it to be let alone for a while."""
VETO: Final = "no veto"
"""The check that a removed mark fails."""


def decide(case: Case, now: datetime) -> Decision:
    """Decide over one repository. The same case and time give the same decision, wherever it is asked for."""
    reasons = tuple([reason for check in CHECKS for reason in check(case, now)])
    stage = case.retirement.stage if case.retirement else Stage.OBSERVED
    weights = [reason.weight for reason in reasons]
    if Weight.CONTRARY in weights:
        return Decision(Stage.OBSERVED if _left_traces(case) else None, reasons)
    if Weight.DOUBT in weights or Weight.WAIT in weights or case.terms is None:
        return Decision(None, reasons)
    return Decision(next_stage(stage, case.terms, empty=case.empty), reasons)


def next_stage(stage: Stage, terms: RetirementTerms, *, empty: bool) -> Stage | None:
    """Give the stage after this one; None where the policy ends. What holds no image has nothing to be quarantined or archived."""
    if terms.then is Then.MARK:
        ways: tuple[Stage, ...] = (Stage.MARKED,)
    elif empty:
        ways = (Stage.MARKED, Stage.DELETED) if terms.then is Then.DELETE else (Stage.MARKED,)
    else:
        ways = (Stage.MARKED, Stage.QUARANTINED)
        if terms.then in {Then.ARCHIVE, Then.DELETE} and terms.archive_days:
            ways += (Stage.ARCHIVED,)
        if terms.then is Then.DELETE:
            ways += (Stage.DELETED,)
    return next((way for way in ways if way.rank > stage.rank), None)


def after_business_days(moment: datetime, days: int) -> datetime:
    """Give the same time so many days from Monday to Friday later."""
    while days:
        moment += _DAY
        days -= moment.weekday() < _SATURDAY
    return moment


def mark_until(terms: RetirementTerms, owner: str | None, now: datetime) -> date:
    """Give the day that a mark names: the grace's end, if the owner is told at once."""
    return _grace_ends(terms, owner, now).date()


def _grace_ends(terms: RetirementTerms, owner: str | None, begun: datetime) -> datetime:
    days = terms.grace_days if owner else terms.unowned_grace_days
    return after_business_days(begun, days) if terms.business_days else begun + days * _DAY


def world_of(snapshot: Snapshot, judged: Snapshot | None) -> str:
    """Identify what was read. `judged` is what an interrupted deletion had judged: the images that it took are no change by others."""
    if judged is None or judged.created_at != snapshot.created_at:
        return fingerprint(snapshot)
    there = {image.digest for image in snapshot.held}
    taken = [image for image in judged.held if image.digest not in there]
    return fingerprint(replace(snapshot, images=(*snapshot.held, *taken)))


def _left_traces(case: Case) -> bool:
    """Whether there is anything to be undone: known to the ledger, or seen in the policy although the ledger knows nothing of it."""
    policy = case.snapshot.policy
    return (case.retirement is not None and case.retirement.under_way) or (isinstance(policy, str) and is_ours(policy))


# --- the checks -----------------------------------------------------------------------------------------------------------------------


_AS: Final = {
    Kind.UNUSED: "one that is unused",
    Kind.EMPTY: "one without images",
    Kind.BLANK: "one that never got an image",
    Kind.MISNAMED: "one that is wrongly named",
}


def _policy_asks(case: Case, _now: datetime) -> Iterator[Reason]:
    if case.terms is None:
        yield Reason("the policy asks for it", "it names no retirement for this namespace", Weight.CONTRARY)
    elif case.empty and not case.snapshot.unreadable and _without_images(case, case.terms) is None:
        yield Reason("the policy asks for it", "it lets repositories without images alone", Weight.CONTRARY)
    else:
        yield Reason("the policy asks for it", f"up to {case.terms.then.value}, as {_AS[case.kind]}")


def _enforced(case: Case, _now: datetime) -> Iterator[Reason]:
    if case.audited:
        yield Reason("the rule is enforced", "here it audits: nothing is taken further", Weight.WAIT)


def _not_exempt(case: Case, _now: datetime) -> Iterator[Reason]:
    if case.exempt:
        yield Reason("no exemption", case.exempt, Weight.CONTRARY)
    if case.snapshot.tag(PROTECT) is not None:
        yield Reason("no exemption", f"it carries the tag {PROTECT}", Weight.CONTRARY)
    if stack := case.snapshot.tag(STACK):
        yield Reason("nobody else manages it", f"CloudFormation does, in {stack}", Weight.CONTRARY)


def _nobody_keeps_it(case: Case, now: datetime) -> Iterator[Reason]:
    if case.kept_until is None or now >= case.kept_until:
        return
    seen = f"somebody keeps it until {_day(case.kept_until)}"
    under_way = case.retirement is not None and case.retirement.under_way
    yield Reason(KEPT, seen, Weight.CONTRARY if under_way else Weight.WAIT, case.kept_until)


def _readable(case: Case, _now: datetime) -> Iterator[Reason]:
    for why in case.snapshot.unreadable:
        yield Reason("everything can be read", why, Weight.DOUBT)


def _clock(case: Case, now: datetime) -> Iterator[Reason]:
    retirement = case.retirement
    if retirement and retirement.since > now:
        yield Reason("the clock goes forward", f"its stage began at {retirement.since.isoformat()}, later than now", Weight.DOUBT)
    if case.snapshot.last_activity > now:
        yield Reason(
            "the clock goes forward", f"something happened at {case.snapshot.last_activity.isoformat()}, later than now", Weight.CONTRARY
        )


def _watched(case: Case, now: datetime) -> Iterator[Reason]:
    if case.terms is None:
        return
    days = _idle_days(case, case.terms)
    if case.watched_since is None:
        yield Reason("watched long enough", "we have not seen it before", Weight.WAIT, now + days * _DAY)
        return
    ends = max(case.watched_since, case.snapshot.created_at) + days * _DAY
    weight = Weight.FOR if now >= ends else Weight.WAIT
    yield Reason("watched long enough", f"since {_day(case.watched_since)}, {days} days are asked for", weight, ends)


def _idle(case: Case, now: datetime) -> Iterator[Reason]:
    if case.terms is None or case.snapshot.unreadable:
        return
    if not case.trusted_pulls:
        yield Reason("pulls are recorded", "some roles' pulls are not, and the policy does not name them", Weight.DOUBT)
    days = _idle_days(case, case.terms)
    remembered = witnesses.last_used(case.snapshot, case.evidence)
    last = max(at for at in (case.snapshot.last_activity, case.noted_push, case.used_at, remembered) if at)
    ends = last + days * _DAY + SLACK
    if now >= ends:
        yield Reason("unused", f"nothing happened since {_day(last)}, {days} days are asked for")
    elif case.retirement and case.retirement.under_way:
        yield Reason("unused", f"it was used on {_day(last)}", Weight.CONTRARY)
    else:
        yield Reason("unused", f"it was used on {_day(last)}", Weight.WAIT, ends)


def _idle_days(case: Case, terms: RetirementTerms) -> int:
    days = (_without_images(case, terms) if case.empty else None) or terms.after_days
    return min(days, terms.misnamed_after_days) if case.misnamed and terms.misnamed_after_days else days


def _without_images(case: Case, terms: RetirementTerms) -> int | None:
    """The days for what holds no image; None where such are let alone."""
    return (terms.blank_after_days if case.kind is Kind.BLANK else None) or terms.empty_after_days


def _nobody_uses_it(case: Case, now: datetime) -> Iterator[Reason]:
    for source in witnesses.missing(case.sources, case.evidence):
        yield Reason(USERS, f"{source} was not asked", Weight.DOUBT)
    for each in case.evidence:
        if doubt := each.doubt(now):
            yield Reason(USERS, doubt, Weight.DOUBT)
    users = sorted(set(witnesses.users_of(case.snapshot, case.evidence)))
    for user in users[:5]:
        yield Reason(USERS, user, Weight.CONTRARY)
    if not users:
        yield Reason(USERS, f"{', '.join(case.sources) or 'no source'} named nobody")


def _no_way_back_begun(case: Case, _now: datetime) -> Iterator[Reason]:
    if case.retirement and case.retirement.intended is Stage.OBSERVED:
        # What called for it, such as a refused pull, may have left no trace: it is ended before anything else is thought of.
        yield Reason("no way back begun", "it was being taken back, and that was interrupted", Weight.CONTRARY)


def _same_world(case: Case, _now: datetime) -> Iterator[Reason]:
    retirement = case.retirement
    if retirement is None or not retirement.under_way or case.snapshot.unreadable:
        return
    if retirement.birth != case.snapshot.created_at:
        yield Reason("as it was judged", "it is another repository of the same name", Weight.CONTRARY)
    if retirement.fingerprint != case.world:
        yield Reason("as it was judged", "images, their tags or times, or the repository's tags have changed since", Weight.CONTRARY)
    if case.terms is not None and retirement.terms != case.terms.hash:
        yield Reason("as it was judged", "the policy's terms have changed since", Weight.CONTRARY)


def _as_we_left_it(case: Case, _now: datetime) -> Iterator[Reason]:
    """Each stage's own traces must be there as we left them: they are how others see it, and how they object."""
    retirement, snapshot = case.retirement, case.snapshot
    if retirement is None or retirement.stage is Stage.OBSERVED or snapshot.unreadable:
        return
    mark = snapshot.tag(DELETE_AFTER)
    if mark != retirement.delete_after:
        seen = f"the tag {DELETE_AFTER} was removed" if mark is None else f"the tag {DELETE_AFTER} was set to {mark}"
        yield Reason(VETO, seen, Weight.CONTRARY)
    if retirement.stage.rank >= Stage.QUARANTINED.rank and snapshot.held and not _quarantine_stands(case):
        yield Reason(VETO, "the quarantine's statement was taken out of the repository policy", Weight.CONTRARY)
    if any(image.status not in {ACTIVE, ARCHIVED} for image in snapshot.held):
        yield Reason(VETO, "images are on their way back from the archive", Weight.CONTRARY)
    if retirement.stage is Stage.ARCHIVED:
        active = [image for image in snapshot.held if image.status != ARCHIVED]
        if active:
            yield Reason(VETO, f"{len(active)} images were brought back from the archive", Weight.CONTRARY)


def _quarantine_stands(case: Case) -> bool:
    policy = case.snapshot.policy
    return isinstance(policy, str) and is_in_force(policy)


def _no_stranger_in_quarantine(case: Case, _now: datetime) -> Iterator[Reason]:
    policy = case.snapshot.policy
    under_way = case.retirement is not None and case.retirement.under_way
    if not under_way and isinstance(policy, str) and is_ours(policy):
        yield Reason("our own traces", "a quarantine stands in the policy of which the ledger knows nothing", Weight.CONTRARY)


def _time_has_come(case: Case, now: datetime) -> Iterator[Reason]:
    retirement, terms = case.retirement, case.terms
    if terms is None:
        return
    if retirement is None or retirement.stage is Stage.OBSERVED:
        if retirement and retirement.not_before and now < retirement.not_before:
            yield Reason("not vetoed lately", f"somebody objected: until {_day(retirement.not_before)}", Weight.WAIT, retirement.not_before)
        return
    if case.delivered_at is None:
        # Asked at every stage: a row of the ledger may be missing by now.
        yield Reason("the owner was told", "no notice was delivered yet", Weight.WAIT)
        return
    match retirement.stage:
        case Stage.MARKED:
            ends = max(_grace_ends(terms, case.owner, max(case.delivered_at, retirement.since)), _named_day(retirement))
            what = f"on {_day(case.delivered_at)}, grace runs until {_day(ends)}"
            yield Reason("the owner was told", what, Weight.FOR if now >= ends else Weight.WAIT, ends)
        case Stage.QUARANTINED:
            ends = retirement.since + max(terms.quarantine_days, LEAST_QUARANTINE) * _DAY
            yield Reason("quarantined long enough", f"until {_day(ends)}", Weight.FOR if now >= ends else Weight.WAIT, ends)
        case Stage.ARCHIVED:
            ends = retirement.since + terms.archive_days * _DAY
            yield Reason("archived long enough", f"until {_day(ends)}", Weight.FOR if now >= ends else Weight.WAIT, ends)


def _day(moment: datetime) -> str:
    # What `%Y-%m-%d` gives, in a fifth of the time.
    return moment.date().isoformat()


def _named_day(retirement: Retirement) -> datetime:
    """The day that the mark names, at its beginning: nothing goes before what its owner reads there."""
    try:
        return datetime.combine(date.fromisoformat(retirement.delete_after), datetime.min.time(), retirement.since.tzinfo)
    except ValueError:
        return retirement.since


CHECKS: Final[Sequence[Callable[[Case, datetime], Iterator[Reason]]]] = (
    _policy_asks,
    _enforced,
    _not_exempt,
    _nobody_keeps_it,
    _readable,
    _clock,
    _watched,
    _idle,
    _nobody_uses_it,
    _no_way_back_begun,
    _same_world,
    _as_we_left_it,
    _no_stranger_in_quarantine,
    _time_has_come,
)
"""In the order in which they are told. Every one of them is asked each time: a person sees all that stands against, not the first."""
