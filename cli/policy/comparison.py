"""What another policy would change, repository by repository: both are asked the same question by the same evaluation.

Where the inventory lacks a fact, what was recorded counts if the rule asks the same of the repository as the policy that it was
recorded by. Otherwise the answer is not known, and is counted as that.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from cli.policy.inventory import Line
from cli.policy.rehearsal import withheld
from cli.policy.routing import NOT_KNOWN, Where, owner_by, where
from ecr_governor.core.evaluate import evaluate
from ecr_governor.core.facts_as_data import NOT_KEPT
from ecr_governor.core.policy.model import Expectation, Mode, Policy
from ecr_governor.core.policy.retirement import RetirementTerms, Then
from ecr_governor.core.remedy import describe
from ecr_governor.core.repository import Repository, Usage
from ecr_governor.core.retirement.asked import asked_of
from ecr_governor.core.rules import RULES, naming, unused
from ecr_governor.core.severity import Severity
from ecr_governor.core.verdict import Undetermined, Violation

NOBODY: Final = "no known owner"
_ORDER: Final = tuple(Severity)
_OF_ROUTES: Final = {"enabled", "channel", "routes", "unowned"}

# What each rule asks of a repository. A rule that is not here is taken to ask by all of its namespace's settings.
_ASKS: Final[Mapping[str, Callable[[Expectation], Any]]] = {
    "auto-created": lambda expected: (expected.settings.auto_created, expected.owner_tag, expected.namespace),
    "encryption": lambda expected: expected.settings.encryption,
    "image-tag": lambda expected: expected.settings.image_tags,
    "lifecycle-policy": lambda expected: (expected.settings.lifecycle_policy, expected.settings.replace_lifecycle_policy),
    "naming": lambda expected: expected.naming,
    "repository-policy": lambda expected: (
        expected.settings.repository_policy,
        expected.settings.trusted_accounts,
        expected.settings.trusted_organizations,
    ),
    "required-tags": lambda expected: (expected.settings.required_tags, expected.settings.auto_created, expected.naming),
    "scanning": lambda expected: expected.settings.scan_frequency,
    "tag-mutability": lambda expected: expected.settings.tag_mutability,
    "unused": lambda expected: expected.settings.unused,
}


@dataclass(frozen=True, slots=True)
class Said:
    """What one policy says of one repository: reasons of open and of exempt findings by rule, and the rules that cannot be decided."""

    open: Mapping[str, str]
    exempt: Mapping[str, str]
    unknown: frozenset[str]
    remedies: tuple[str, ...]
    may_retire: bool
    """Whether the policy lets such a repository be retired at all, whatever is known of its use."""
    retires: Then | None
    """The last stage that it may come to, now that it is unused; None if it is not to be retired."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One repository of which the new policy says another thing.

    `owner` is who owns it by the new policy. `severities` are those of what opens; `told` is where somebody is told of it, None if nobody is told of this change.
    """

    name: str
    account: str
    region: str
    owner: str
    opens: Mapping[str, str]
    closes: Mapping[str, str]
    unknown: frozenset[str]
    remedies: tuple[str, ...]
    retires: Then | None
    spared: Then | None
    severities: Mapping[str, Severity]
    told: Where | None


@dataclass
class Comparison:
    """What changes in a registry.

    `told` counts by owner, and by where the old and the new policy send it, the repositories that a message would be about. `routed` names
    the repositories whose messages go elsewhere from now on, by where they went and where they go; `unrouted` counts those of which the
    inventory does not tell that.
    """

    repositories: int = 0
    changed: list[Changed] = field(default_factory=list)
    unknown: int = 0
    told: Counter[tuple[str, Where, Where]] = field(default_factory=Counter)
    routed: dict[tuple[Where, Where], list[str]] = field(default_factory=dict)
    unrouted: int = 0

    @property
    def messages(self) -> Mapping[str, int]:
        """Count by owner the repositories that a message would be about."""
        counted = Counter[str]()
        for (owner, _, _), repositories in self.told.items():
            counted[owner] += repositories
        return counted

    @property
    def violating(self) -> list[Changed]:
        """Repositories with a finding that the old policy has not."""
        return [each for each in self.changed if each.opens]

    @property
    def freed(self) -> list[Changed]:
        """Repositories without a finding that the old policy has."""
        return [each for each in self.changed if each.closes]

    @property
    def retiring(self) -> list[Changed]:
        """Repositories that would begin to be retired."""
        return [each for each in self.changed if each.retires]

    @property
    def put_right(self) -> list[Changed]:
        """Repositories that would be changed."""
        return [each for each in self.changed if each.remedies]


def compare(lines: Iterable[Line], old: Policy, new: Policy, now: datetime) -> Comparison:
    """Judge every repository of an inventory by both policies."""
    found = Comparison()
    for line in lines:
        found.repositories += 1
        before, after = said_of(line, old, (old, new), now), said_of(line, new, (new, old), now)
        # Where nothing says by which policy the inventory was made, it is the old one, which was in force.
        owner_tag = next((each.owner_tag for each in (old, new) if each.hash == line.judged_by), old.owner_tag)
        was, goes = where(line, old, owner_tag), where(line, new, owner_tag)
        changed = _changed(line, before, after, (old, new), owner_by(line, new, owner_tag), goes)
        found.unknown += bool(changed.unknown)
        if changed.opens or changed.closes or changed.unknown or changed.remedies or changed.retires or changed.spared:
            found.changed.append(changed)
        if changed.told is not None:
            found.told[changed.owner, was, goes] += 1
        if NOT_KNOWN in (was, goes):
            found.unrouted += not _routes_alike(old, new)
        elif was != goes:
            found.routed.setdefault((was, goes), []).append(line.repository.name)
    return found


def _routes_alike(old: Policy, new: Policy) -> bool:
    """Whether the same routes are asked the same."""
    one, other = ({"owner_tag": each.owner_tag, **each.notifications.slack.model_dump(include=_OF_ROUTES)} for each in (old, new))
    return one == other


def said_of(line: Line, policy: Policy, known: tuple[Policy, ...], now: datetime) -> Said:
    """Tell what a policy says of a repository. `known` are policies that what was recorded may be of."""
    open_, exempt, unknown = dict[str, str](), dict[str, str](), set[str]()
    repository = _as_far_as_known(line, policy, now)
    evaluation = evaluate(repository, policy, now)
    expectation = policy.expectation_for(repository.name)
    for judgement in evaluation.judgements:
        into = exempt if judgement.exemption else open_
        match judgement.verdict:
            case Violation(reason):
                into[judgement.rule] = reason
            case Undetermined():
                recorded = _recorded(line, judgement.rule, expectation, known)
                if recorded is None:
                    unknown.add(judgement.rule)
                elif recorded:
                    into[judgement.rule] = recorded
    asks = asked_of(policy, repository.name, now)
    terms = None if asks.exempt or asks.audited or any(withheld(policy)) else asks.terms
    retires = _retires(repository, terms, open_) if terms else None
    return Said(open_, exempt, frozenset(unknown), tuple(map(describe, evaluation.remedies)), terms is not None, retires)


def _retires(repository: Repository, terms: RetirementTerms, open_: Mapping[str, str]) -> Then | None:
    """Give the last stage that a run would take it to sooner or later, if nothing speaks against it by then; None for none."""
    blank = repository.holds_image is False and (terms.empty_after_days or terms.blank_after_days) is not None
    misnamed = terms.misnamed_after_days is not None and naming.RULE.id in open_
    return terms.then if unused.RULE.id in open_ or blank or misnamed else None


def _as_far_as_known(line: Line, policy: Policy, now: datetime) -> Repository:
    """Take the use as not known where not all images were looked at and what was seen of it is not enough to say that it is used."""
    repository = line.repository
    since = unused.idle_since(policy.expectation_for(repository.name), now)
    if line.counted or since is None or not isinstance(repository.usage, Usage) or repository.usage.active_after(since):
        return repository
    return replace(repository, usage=NOT_KEPT)


def _recorded(line: Line, rule: str, expectation: Expectation, known: tuple[Policy, ...]) -> str | None:
    """Give the reason that was recorded, "" for no finding; None where it does not answer what this policy asks."""
    by = next((policy for policy in known if policy.hash == line.judged_by), None)
    if by is None or rule in line.undetermined:
        return None
    asked = by.expectation_for(line.repository.name)
    if by.mode_of(rule, asked.namespace) is Mode.OFF or not _asks_the_same(rule, asked, expectation):
        return None
    return str(line.recorded[rule]["reason"]) if rule in line.recorded else ""


def _everything(expected: Expectation) -> Any:
    return expected.settings


def _asks_the_same(rule: str, one: Expectation, other: Expectation) -> bool:
    asks = _ASKS.get(rule, _everything)
    return RULES[rule].applies(one) and RULES[rule].applies(other) and bool(asks(one) == asks(other))


def _changed(line: Line, before: Said, after: Said, policies: tuple[Policy, Policy], owner: str | None, goes: Where) -> Changed:
    old, new = policies
    asked, asks = old.expectation_for(line.repository.name), new.expectation_for(line.repository.name)
    opens = {rule: reason for rule, reason in after.open.items() if rule not in before.open}
    closes = {rule: reason for rule, reason in before.open.items() if rule not in after.open and rule not in after.unknown}
    # What neither can decide is the same under both where both ask the same.
    unknown = frozenset(rule for rule in after.unknown if rule not in before.unknown or not _asks_the_same(rule, asked, asks))
    retires = after.retires if before.retires is None else None
    severities = {rule: new.severity_of(rule, asks.namespace) or RULES[rule].severity for rule in opens}
    return Changed(
        name=line.repository.name,
        account=line.repository.account,
        region=line.repository.region,
        owner=owner or NOBODY,
        opens=opens,
        closes=closes,
        unknown=unknown,
        remedies=tuple(words for words in after.remedies if words not in before.remedies),
        retires=retires,
        spared=before.retires if after.retires is None and not (after.may_retire and unused.RULE.id in after.unknown) else None,
        severities=severities,
        told=goes if _is_told(severities, retires, new) else None,
    )


def _is_told(severities: Mapping[str, Severity], retires: Then | None, new: Policy) -> bool:
    slack = new.notifications.slack
    loud = any(_ORDER.index(severity) >= _ORDER.index(slack.min_severity) for severity in severities.values())
    return slack.enabled and (loud or retires is not None)
