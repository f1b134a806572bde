"""The one evaluation: whatever makes us look at a repository, its verdicts come from here."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ecr_governor.core.policy.model import Exemption, Expectation, Mode, Policy
from ecr_governor.core.remedy import Remedy
from ecr_governor.core.repository import Fact, Repository
from ecr_governor.core.rule import Rule
from ecr_governor.core.rules import RULES
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Compliant, Verdict, Violation


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
    return frozenset(fact for rule, _ in _asked(policy, expectation) for fact in rule.needs)


def facts_in_question(repository: Repository, policy: Policy, now: datetime) -> frozenset[Fact]:
    """The facts that may still change a verdict on a repository of which little is known yet, such as one of a list.

    A rule that is kept without a fact is kept whatever the fact says: a young repository is not unused, one that people made is not
    judged as one that ECR made.
    """
    expectation = policy.expectation_for(repository.name)
    return frozenset(
        fact
        for rule, _ in _asked(policy, expectation)
        if rule.needs and not isinstance(rule.check(repository, expectation, now), Compliant)
        for fact in rule.needs
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
                severity=policy.severity_of(rule.id, expectation.namespace) or rule.severity,
                mode=mode,
                verdict=rule.check(repository, expectation, now),
                exemption=policy.exemption_for(repository.name, rule.id, now),
            )
            for rule, mode in _asked(policy, expectation)
        ),
    )


def _asked(policy: Policy, expectation: Expectation) -> list[tuple[Rule, Mode]]:
    """The rules that have something to say, each with how far it goes."""
    asked: list[tuple[Rule, Mode]] = []
    for rule in _RULES:
        mode = policy.mode_of(rule.id, expectation.namespace)
        if mode is not Mode.OFF and rule.applies(expectation):
            asked.append((rule, mode))
    return asked


_RULES: Final = tuple(RULES.values())
