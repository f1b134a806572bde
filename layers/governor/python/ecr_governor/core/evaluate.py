"""The one evaluation: whatever makes us look at a repository, its verdicts come from here."""

from dataclasses import dataclass
from datetime import datetime

from ecr_governor.core.policy.model import Exemption, Mode, Policy
from ecr_governor.core.remedy import Remedy
from ecr_governor.core.repository import Fact, Repository
from ecr_governor.core.rules import RULES
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Verdict, Violation


@dataclass(frozen=True, slots=True)
class Judgement:
    """One rule's verdict on one repository, with the mode and severity that the policy gives the rule."""

    rule: str
    severity: Severity
    mode: Mode
    verdict: Verdict
    exemption: Exemption | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All verdicts on one repository under one policy at one time."""

    repository: str
    policy_hash: str
    judgements: tuple[Judgement, ...]

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What may be put right: the remedies of enforced violations that nobody is exempt from."""
        return tuple(
            remedy
            for judgement in self.judgements
            if judgement.mode is Mode.ENFORCE and judgement.exemption is None and isinstance(judgement.verdict, Violation)
            for remedy in judgement.verdict.remedies
        )


def facts_needed(policy: Policy, name: str) -> frozenset[Fact]:
    """The facts that the policy's rules need for this name; nothing else is worth a call."""
    expectation = policy.expectation_for(name)
    return frozenset(
        fact for rule in RULES.values() if policy.mode_of(rule.id) is not Mode.OFF and rule.applies(expectation) for fact in rule.needs
    )


def evaluate(repository: Repository, policy: Policy, now: datetime) -> Evaluation:
    """Judge a repository by every rule that the policy turns on and that has something to say about it."""
    expectation = policy.expectation_for(repository.name)
    return Evaluation(
        repository=repository.name,
        policy_hash=policy.hash,
        judgements=tuple(
            Judgement(
                rule=rule.id,
                severity=policy.severity_of(rule.id) or rule.severity,
                mode=policy.mode_of(rule.id),
                verdict=rule.check(repository, expectation, now),
                exemption=policy.exemption_for(repository.name, rule.id, now),
            )
            for rule in RULES.values()
            if policy.mode_of(rule.id) is not Mode.OFF and rule.applies(expectation)
        ),
    )
