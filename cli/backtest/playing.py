"""Play one repository's past against a policy: every rule at each moment at which its verdict can change, and its retirement night by night.

Every decision is made by `evaluate` and `decide`, as in the deployment, and a retirement goes on as in a rehearsal. Of what the records do not
tell a rule is undetermined, and a retirement stands still.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from cli.backtest.history import AT_REQUEST, Dark, Past, Told, What
from cli.backtest.repository import Setting, ToldRepository, ToldWorld
from cli.policy.inventory import Line
from cli.policy.rehearsal import Step, case_of, looked_at, step, take_back, withheld
from ecr_governor.core.due import next_look
from ecr_governor.core.evaluate import Evaluation, evaluate
from ecr_governor.core.finding import Finding, FindingState, follow
from ecr_governor.core.record import RepositoryRecord
from ecr_governor.core.remedy import describe, operation_of
from ecr_governor.core.repository import Fact, Unreadable
from ecr_governor.core.retirement.decide import Decision, Weight, decide
from ecr_governor.core.retirement.state import Stage
from ecr_governor.core.rules import RULES, unused
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Undetermined

NOBODY: Final = "no known owner"
_DAY: Final = timedelta(days=1)
_SEVERITIES: Final = tuple(Severity)
_IMAGE_RULES: Final = frozenset(rule.id for rule in RULES.values() if rule.needs & {Fact.IMAGES, Fact.HOLDS_IMAGE})
_IN_DENIAL: Final = frozenset({Stage.QUARANTINED, Stage.ARCHIVED})
_WISHES: Final = frozenset({What.PUSHED, What.PULLED, What.REFUSED, What.NOT_FOUND, What.ACTIVATED, What.CREATED})
"""What somebody does who wants the repository."""


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


def play(name: str, past: Past | None, line: Line | None, setting: Setting) -> Fate:
    """Play one repository from its beginning, or the records', to the records' end. `line` is what an inventory says of it afterwards."""
    return _Play(name, past.in_order() if past else [], line, setting).played()


class _Play:
    def __init__(self, name: str, told: list[Told], line: Line | None, setting: Setting) -> None:
        self.name, self.told, self.setting = name, told, setting
        self.policy, self.knowledge = setting.policy, setting.knowledge
        self.expectation = self.policy.expectation_for(name)
        self.repository = ToldRepository(name, told, line, setting)
        self.fate = Fate(name, self.policy.namespace_of(name))
        self.stands_still = any(withheld(self.policy))
        # Everything below belongs to one repository of the name; `_live` sets it.
        self.alive = False
        self.record = RepositoryRecord(name)
        self.findings: tuple[Finding, ...] = ()
        self.look_at: datetime | None = None
        self.due_at: datetime | None = None
        self.decide_from: datetime | None = None
        self.frozen = ""
        self.in_dark: datetime | None = None
        self.assumed: tuple[datetime, datetime | None, str] | None = None

    @property
    def world(self) -> ToldWorld:
        """What the retirement sees."""
        return self.repository.world

    # --- the course of time ---

    def played(self) -> Fate:
        """Go from moment to moment."""
        first = next((each.what for each in self.told if each.what not in {What.NOT_FOUND, What.REFUSED}), None)
        if first is not What.CREATED:
            self._live(self.repository.begin_before_the_records())
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
        last_use = self.repository.last_use
        for dark in self.knowledge.dark:
            if last_use is None or dark.writes:
                yield dark
            elif last_use > dark.begin:
                yield replace(dark, end=min(dark.end, last_use))

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

    def _live(self, start: datetime) -> None:
        self.record = replace(RepositoryRecord(self.name), created_at=self.world.created_at)
        self.findings = ()
        self.alive, self.look_at, self.due_at, self.decide_from = True, start, None, start
        self.frozen, self.assumed = "", None

    def _end(self, at: datetime) -> None:
        if self.alive:
            self._close(at)
            self.alive, self.fate.gone_at = False, at

    def _close(self, at: datetime) -> None:
        """It is gone, and whatever was found with it."""
        self.fate.findings += (replace(each, resolved_at=at) for each in self.findings if each.state is not FindingState.RESOLVED)
        self.findings, self.look_at, self.due_at, self.decide_from = (), None, None, None

    # --- what happens ---

    def _happened(self, told: Told) -> None:
        at = told.moment
        if told.what in _WISHES:
            self._wanted(told, at)
        if told.what is What.CREATED:
            if self.world.stage is not Stage.DELETED or not self.alive:
                self._end(at)
                self.repository.begin(told)
                self._live(at)
                self.look_at = at + self.setting.wish.delay
            return
        if told.what in {What.DELETED, What.REAPED}:
            self._end(at)
            return
        if not self.alive or self.world.stage is Stage.DELETED:
            return
        before = (self.world.doubt, self.world.tags_doubt, bool(self.world.images))
        look = self.repository.follow(told) or self._is_awaited(told.what)
        under_way = self.world.retirement is not None and self.world.retirement.under_way
        if told.what not in _WISHES or under_way or before != (self.world.doubt, self.world.tags_doubt, bool(self.world.images)):
            # Use alone only puts off what waits for the end of use.
            self.decide_from = min(self.decide_from or at, at)
        if look:
            self.look_at = min(self.look_at or at + self.setting.wish.delay, at + self.setting.wish.delay)

    def _is_awaited(self, what: What) -> bool:
        """Whether the deployed system would look at the repository since this may resolve what is found of it."""
        awaited = {What.PUSHED: {*_IMAGE_RULES, unused.RULE.id}, What.PULLED: {unused.RULE.id}, What.EXPIRED: _IMAGE_RULES}.get(what, ())
        states = {FindingState.OPEN, FindingState.EXEMPT} if what is What.PULLED else {FindingState.OPEN}
        return any(finding.rule in awaited and finding.state in states for finding in self.findings)

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
            self.repository.miss(dark.why)
        last_use = self.repository.last_use
        if last_use is None or last_use > dark.begin:
            self.assumed = (at, self.assumed[1] if self.assumed else self.world.used_at, dark.why)
            self.world.used_at = max(self.world.used_at or at, at)
        self.decide_from = min(self.decide_from or at, at)

    # --- what is decided ---

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
                self.repository.put_right(remedy)
                self.fate.changes.append((at, operation_of(remedy), describe(remedy)))
            evaluation = self._judged(at)
        left = follow(opened, evaluation, at)
        self._note(before, opened, left)
        self.findings = left
        self.fate.undetermined = {each.rule: each.verdict.why for each in evaluation.judgements if isinstance(each.verdict, Undetermined)}
        if remedies or self._is_loud(before, opened):
            self._tell_people()
        repository = self.repository.as_of(at)
        moments = (next_look(self.record, repository, self.policy, at, waiting=False), unused.due(repository, self.expectation, at))
        self.due_at = min((each for each in moments if each and each > at), default=None)

    def _judged(self, at: datetime) -> Evaluation:
        return evaluate(self.repository.as_of(at), self.policy, at)

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
        tags = {} if isinstance(self.repository.tags, Unreadable) else self.repository.tags
        owner, pusher = tags.get(self.policy.owner_tag), self.repository.provenance.pusher
        place = slack.place_of(self.name, owner, tags, (pusher.name,) if pusher else ())
        self.fate.told[owner or NOBODY, place.channel] += 1

    def _decide(self, at: datetime) -> None:
        """What the run of one night makes of it."""
        case = case_of(self.world, self.policy, at, self.repository.as_of)
        decision = decide(case, at)
        taken = list(step(self.world, case, decision, self.policy, at, self.repository.as_of))
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
            candidate = looked_at(self.world, self.policy, at, self.repository.as_of)
            later.append(at + timedelta(seconds=1) if candidate else unused.due(self.repository.as_of(at), self.expectation, at))
        later.append(self.policy.next_expiry(self.name, at))
        return min((each for each in later if each), default=None)

    # --- the end ---

    def _concluded(self) -> Fate:
        fate, end = self.fate, self.knowledge.end
        fate.owner = self.repository.owner
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
        decision = decide(case_of(self.world, self.policy, end, self.repository.as_of), end)
        if any(reason.weight is Weight.CONTRARY for reason in decision.reasons):
            return ""
        if doubts := [reason.seen for reason in decision.reasons if reason.weight is Weight.DOUBT]:
            return doubts[0]
        if self.assumed and decision.to is None and self.world.stage is Stage.OBSERVED:
            # It stands where it is only because something may have happened of which the records do not tell.
            at, before, why = self.assumed
            if self.world.used_at == at:
                self.world.used_at = before
                if decide(case_of(self.world, self.policy, end, self.repository.as_of), end).to is not None:
                    return why
        return ""

    def _is_untold(self, taken: Step) -> bool:
        """Whether somebody may have wanted it after a step without a record of it."""
        if any(regret.stage is taken.to and regret.since == taken.at for regret in self.fate.regrets):
            return False
        until = next((each.at for each in self.fate.steps if each.at > taken.at), self.knowledge.end)
        return any(dark.begin < until and dark.end > taken.at for dark in self._dark_spans())
