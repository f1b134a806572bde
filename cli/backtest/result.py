"""What a policy would have done to a registry, summed up: found, changed, retired, regretted, told, and what nobody can tell."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cli.backtest.history import Knowledge
from cli.backtest.playing import NOBODY, Fate, Regret
from cli.policy.rehearsal import Step
from ecr_governor.core.finding import FindingState
from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.retirement.caps import Step as Counted
from ecr_governor.core.retirement.caps import exceeded
from ecr_governor.core.retirement.decide import Weight
from ecr_governor.core.retirement.state import Stage

TAKING: Final = (Stage.QUARANTINED, Stage.ARCHIVED, Stage.DELETED)
"""The stages after which somebody can miss something."""
_DAY: Final = timedelta(days=1)


@dataclass
class RuleSum:
    """Of one rule: findings that opened, repositories that had one, findings still open at the end, exempt ones, verdicts not known."""

    opened: int = 0
    repositories: int = 0
    open_now: int = 0
    exempt: int = 0
    undetermined: int = 0


@dataclass
class StageSum:
    """Of one stage: how often it was reached, how often that was regretted, and how often nobody can tell."""

    reached: int = 0
    regretted: int = 0
    unknown: int = 0

    @property
    def rate(self) -> float | None:
        """The share that was regretted, of those of which it is known; None if there is none."""
        known = self.reached - self.unknown
        return self.regretted / known if known else None


@dataclass(frozen=True, slots=True)
class Held:
    """A night whose steps are over a cap, so that a person would have been asked first."""

    at: datetime
    steps: int
    over: tuple[str, ...]


@dataclass
class Result:
    """All of it. `fates` are the repositories of which there is something to tell."""

    policy: Policy
    place: tuple[str, str]
    knowledge: Knowledge
    records: int
    of_ecr: int
    left_out: dict[str, int]
    repositories: int = 0
    rules: dict[str, RuleSum] = field(default_factory=lambda: defaultdict(RuleSum))
    changes: Counter[str] = field(default_factory=Counter)
    stages: dict[Stage, StageSum] = field(default_factory=lambda: defaultdict(StageSum))
    regrets: list[tuple[Fate, Regret]] = field(default_factory=list)
    retired: list[Fate] = field(default_factory=list)
    unknown: list[Fate] = field(default_factory=list)
    told: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)

    @property
    def incomplete(self) -> bool:
        """Whether records are missing."""
        return bool(self.knowledge.gaps)

    @property
    def regret(self) -> StageSum:
        """All repositories that were taken out of reach: each counts once, however far it got."""
        return self.stages.get(Stage.QUARANTINED, StageSum())

    def add(self, fate: Fate) -> None:
        """Count one repository."""
        self.repositories += 1
        self._count_findings(fate)
        self.changes.update(operation for _, operation, _ in fate.changes)
        self._count_steps(fate)
        for (owner, channel), messages in fate.told.items():
            repositories, known = self.told.get((owner, channel), (0, 0))
            self.told[owner, channel] = (repositories + 1, known + messages)
        if fate.unknown:
            self.unknown.append(fate)
        if fate.findings or fate.changes or fate.steps or fate.unknown or fate.undetermined:
            self.fates.append(fate)

    def _count_findings(self, fate: Fate) -> None:
        for finding in fate.findings:
            found = self.rules[finding.rule]
            if finding.state is FindingState.EXEMPT:
                found.exempt += 1
            else:
                found.opened += 1
                found.open_now += finding.resolved_at is None
        for rule in {finding.rule for finding in fate.findings if finding.state is not FindingState.EXEMPT}:
            self.rules[rule].repositories += 1
        for rule in fate.undetermined:
            self.rules[rule].undetermined += 1

    def _count_steps(self, fate: Fate) -> None:
        if fate.steps:
            self.retired.append(fate)
        for each in fate.steps:
            self.stages[each.to].reached += 1
        for regret in fate.regrets:
            self.regrets.append((fate, regret))
        for reached in (each for each in fate.steps if each.to in TAKING):
            found = self.stages[reached.to]
            found.regretted += _is_regretted(reached, fate)
            found.unknown += reached in fate.untold_after and not _is_regretted(reached, fate)

    def close(self) -> None:
        """Work out what goes beyond one repository: nights on which the steps were over a cap."""
        by_night: dict[datetime, list[Counted]] = defaultdict(list)
        for fate in self.retired:
            for each in fate.steps:
                if each.to is not Stage.OBSERVED:
                    by_night[each.at].append(Counted(fate.name, each.to, fate.namespace, fate.owner))
        taken: list[datetime] = []
        for at, steps in sorted(by_night.items()):
            lately = sum(at - each < _DAY for each in taken)
            if over := exceeded(steps, self.policy.retirement.caps, self.repositories, lately):
                self.held.append(Held(at, len(steps), tuple(over)))
            taken += [at] * sum(each.takes_away for each in steps)


def _is_regretted(reached: Step, fate: Fate) -> bool:
    """Whether somebody wanted it at this stage or, before anything gave it back, at a later one."""
    back = next((each.at for each in fate.steps if each.at > reached.at and each.to is Stage.OBSERVED), None)
    return any(regret.at >= reached.at and (back is None or regret.at <= back) for regret in fate.regrets)


def summed_up(
    fates: Iterable[Fate], policy: Policy, place: tuple[str, str], knowledge: Knowledge, counts: tuple[int, int], left_out: dict[str, int]
) -> Result:
    """Sum up what became of every repository."""
    result = Result(policy, place, knowledge, *counts, left_out)
    for fate in fates:
        result.add(fate)
    result.close()
    return result


def as_data(result: Result) -> dict[str, Any]:
    """Give a result as a JSON object."""
    knowledge = result.knowledge
    return {
        "version": 1,
        "policy_hash": result.policy.hash,
        "mode": result.policy.mode.value,
        "account": result.place[0],
        "region": result.place[1],
        "from": knowledge.begin.isoformat(),
        "until": knowledge.end.isoformat(),
        "records": result.records,
        "records_of_ecr": result.of_ecr,
        "repositories": result.repositories,
        "complete": not result.incomplete,
        "gaps": [{"where": gap.where, "why": gap.why, "days": gap.days and list(gap.days)} for gap in knowledge.gaps],
        "left_out": dict(sorted(result.left_out.items())),
        "rules": {rule: vars(found) for rule, found in sorted(result.rules.items())},
        "changes": dict(sorted(result.changes.items())),
        "stages": {
            stage.value: {"reached": found.reached, **(_regret_as_data(found) if stage in TAKING else {})}
            for stage, found in sorted(result.stages.items(), key=lambda item: item[0].rank)
        },
        "caps": [{"at": held.at.isoformat(), "steps": held.steps, "over": list(held.over)} for held in result.held],
        "told": [
            {"owner": None if owner == NOBODY else owner, "channel": channel, "repositories": repositories, "messages": messages}
            for (owner, channel), (repositories, messages) in sorted(result.told.items())
        ],
        "fates": [_fate_as_data(fate) for fate in result.fates],
    }


def _regret_as_data(found: StageSum) -> dict[str, Any]:
    return {"regretted": found.regretted, "unknown": found.unknown, "rate": found.rate}


def _fate_as_data(fate: Fate) -> dict[str, Any]:
    return {
        "repository": fate.name,
        "namespace": fate.namespace,
        "owner": fate.owner,
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity.value,
                "state": finding.state.value,
                "reason": finding.reason,
                "opened_at": finding.opened_at.isoformat(),
                "resolved_at": finding.resolved_at.isoformat() if finding.resolved_at else None,
            }
            for finding in fate.findings
        ],
        "undetermined": dict(sorted(fate.undetermined.items())),
        "changes": [{"at": at.isoformat(), "action": action, "words": words} for at, action, words in fate.changes],
        "steps": [{"at": each.at.isoformat(), "to": each.to.value, "why": why_of(each, fate.regrets)} for each in fate.steps],
        "regrets": [
            {
                "stage": regret.stage.value,
                "since": regret.since.isoformat(),
                "at": regret.at.isoformat(),
                "what": regret.what,
                "by": regret.by,
            }
            for regret in fate.regrets
        ],
        "retirement_unknown": fate.unknown,
        "deleted_at": fate.gone_at.isoformat() if fate.gone_at else None,
    }


def why_of(taken: Step, regrets: Sequence[Regret]) -> str:
    """Say in a few words why a step was taken."""
    if taken.to is Stage.OBSERVED:
        against = "; ".join(reason.seen for reason in taken.decision.reasons if reason.weight is Weight.CONTRARY)
        return against or next(
            (f"{regret.what} by {regret.by}" if regret.by else regret.what for regret in regrets if regret.at == taken.at), ""
        )
    return next((reason.seen for reason in taken.decision.reasons if reason.check in {"unused", "the owner was told"} and reason.seen), "")


def plays_nothing(policy: Policy) -> str:
    """Why nothing would be changed or retired whatever happens; "" if something may be."""
    if policy.mode is Mode.ENFORCE:
        return ""
    return f"the policy's mode is {policy.mode.value}: nothing is changed or retired; --enforce plays it as if it were enforce"
