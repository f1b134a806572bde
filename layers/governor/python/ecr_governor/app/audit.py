"""Look at every repository once, from outside and without a ledger: what a policy says of a registry, and nothing is changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Final, Literal, Protocol, TypeAlias

from ecr_governor.app.errors import Denied, Throttled
from ecr_governor.app.ports import Inventory
from ecr_governor.core.audit import AuditedRepository, AuditFinding
from ecr_governor.core.documents.names import ROOT
from ecr_governor.core.evaluate import evaluate, facts_in_question
from ecr_governor.core.facts_as_data import facts_as_data
from ecr_governor.core.origin import AutomaticCreation, Provenance, classify
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.repository import NOT_FETCHED, Fact, Repository, Unreadable, Usage
from ecr_governor.core.rules import unused
from ecr_governor.core.verdict import Compliant, Undetermined, Violation

REASONS_KEPT: Final = 20
AT_ONCE: Final = 100
"""Repositories that are read before the first of them is told of."""
AT_ONCE_WITH_PULL_METRICS: Final = 500
"""As many as one call to CloudWatch can ask for."""
AT_ONCE_WITH_IMAGES: Final = 25
"""Few, since each may hold 10,000 images that are all kept until it is judged."""
IN_VAIN: Final = 3
"""Attempts in a row to read repositories after which AWS is asked no more."""
AGES: Final = timedelta(days=3650)
"""Longer than any rule waits."""


class Source(Inventory, Protocol):
    """An inventory that also knows the registry's rules, and reads while others are judged."""

    def begin(self, page: Sequence[Repository], facts: frozenset[Fact], idle_since: datetime | None) -> Callable[[], Sequence[Repository]]:
        """Begin to read facts as `complete` does; what is given waits for them."""

    def automatic_creation(self) -> tuple[AutomaticCreation, Sequence[str]]:
        """Read the rules that make ECR create repositories, None for what may not be read, and why it may not. Raises Throttled."""


@dataclass
class Progress:
    """How far an audit is, and what it could not find out. `incomplete_because` holds distinct reasons, the first twenty."""

    looked_at: int = 0
    violating: int = 0
    incomplete_because: dict[str, None] = field(default_factory=dict)

    def missing(self, why: str) -> None:
        """Note that something is not known."""
        if len(self.incomplete_because) < REASONS_KEPT:
            self.incomplete_because[why] = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read of a repository: facts, and of its use only whether there was any after `idle_since`, or all if that is None."""

    facts: frozenset[Fact]
    idle_since: datetime | None


_Begun: TypeAlias = tuple[Sequence[tuple[Repository, Wanted]], Callable[[], Sequence[Repository]]]


def audit(
    inventory: Source, policy: Policy, now: datetime, progress: Progress, *, count_images: bool = False, keep_facts: bool = False
) -> Iterator[AuditedRepository]:
    """Judge every repository, in the order in which they are listed; `progress` tells how far it got.

    `count_images`: list all images of every repository, to tell how many there are and how large, whatever the rules need.
    `keep_facts`: tell all that was read of each, so that another policy can be tried on it.
    What AWS denies or keeps throttling is no finding and no absence: it makes the audit incomplete.
    """
    wanted = wanted_by(policy, now, count_images=count_images)
    in_vain = 0
    try:
        automatic = _automatic_creation(inventory, progress)
        for group, ended in _one_ahead(_begun(inventory, automatic, policy, wanted)):
            try:
                read, in_vain = {found.name: found for found in ended()}, 0
            except Throttled as trouble:
                read, in_vain = _unread(group, str(trouble)), in_vain + 1
            for repository, what in group:
                if found := read.get(repository.name):
                    judged = _judged(found, what, policy, now, progress)
                    yield replace(judged, facts=facts_as_data(found)) if keep_facts else judged
            if in_vain == IN_VAIN:
                progress.missing("not every repository was looked at: AWS kept throttling, or could not be reached")
                return
    except (Denied, Throttled) as trouble:
        progress.missing(f"not every repository was looked at: {trouble}")


def _begun(inventory: Source, automatic: AutomaticCreation, policy: Policy, wanted: Mapping[str, Wanted]) -> Iterator[_Begun]:
    """Begin to read of each repository what is wanted of it, group by group."""
    at_once = _at_once(policy, wanted)
    for page in inventory.pages():
        listed = (replace(repository, provenance=classify(Provenance(), repository.name, automatic)) for repository in page)
        while group := [(repository, wanted[policy.namespace_of(repository.name)]) for repository in islice(listed, at_once)]:
            alike: dict[Wanted, list[Repository]] = {}
            for repository, what in group:
                alike.setdefault(what, []).append(repository)
            reads = [inventory.begin(repositories, what.facts, what.idle_since) for what, repositories in alike.items()]
            yield group, partial(_ended, reads)


def _ended(reads: Sequence[Callable[[], Sequence[Repository]]]) -> Sequence[Repository]:
    return [found for read in reads for found in read()]


def _one_ahead(groups: Iterator[_Begun]) -> Iterator[_Begun]:
    """Give each only when the next has begun, so that AWS is asked for one while the other is judged."""
    before = next(groups, None)
    while before:
        try:
            following = next(groups, None)
        except (Denied, Throttled):
            # What was listed before the trouble is told all the same.
            yield before
            raise
        yield before
        before = following


def wanted_by(policy: Policy, now: datetime, *, count_images: bool = False) -> Mapping[str, Wanted]:
    """Tell what an audit by this policy reads of the repositories of each namespace: what is in question of an old one."""
    wanted: dict[str, Wanted] = {}
    for namespace in {ROOT, *policy.namespaces}:
        name = "any" if namespace == ROOT else f"{namespace}/any"
        provenance = classify(Provenance(), name, AutomaticCreation())
        unread = Repository(name, "", "", "", now - AGES, NOT_FETCHED, NOT_FETCHED, provenance=provenance)
        facts = facts_in_question(unread, policy, now)
        idle_since = unused.idle_since(policy.expectation_for(name), now) if Fact.USAGE in facts and not count_images else None
        wanted[namespace] = Wanted(facts | {Fact.USAGE} if count_images else facts, idle_since)
    return wanted


def _at_once(policy: Policy, wanted: Mapping[str, Wanted]) -> int:
    if any(Fact.IMAGES in each.facts for each in wanted.values()):
        return AT_ONCE_WITH_IMAGES
    return AT_ONCE_WITH_PULL_METRICS if policy.limits.pull_metrics else AT_ONCE


def _automatic_creation(inventory: Source, progress: Progress) -> AutomaticCreation:
    try:
        automatic, unread = inventory.automatic_creation()
    except Throttled as trouble:
        automatic, unread = AutomaticCreation(), [str(trouble)]
    for why in unread:
        progress.missing(why)
    return automatic


def _unread(group: Sequence[tuple[Repository, Wanted]], why: str) -> dict[str, Repository]:
    unread: dict[str, Repository] = {}
    for repository, wanted in group:
        facts: dict[str, Any] = dict.fromkeys((fact.value for fact in wanted.facts), Unreadable(why))
        unread[repository.name] = replace(repository, **facts)
    return unread


def _judged(repository: Repository, wanted: Wanted, policy: Policy, now: datetime, progress: Progress) -> AuditedRepository:
    findings: list[AuditFinding] = []
    undetermined: dict[str, str] = {}
    for judgement in evaluate(repository, policy, now).judgements:
        match judgement.verdict:
            case Violation(reason):
                state: Literal["open", "exempt"] = "exempt" if judgement.exemption else "open"
                findings.append(AuditFinding(judgement.rule, judgement.severity, reason, state))
            case Undetermined(why):
                undetermined[judgement.rule] = why
            case Compliant():
                pass
    for why in _missing(repository, wanted, undetermined):
        progress.missing(why)
    progress.looked_at += 1
    progress.violating += any(finding.state == "open" for finding in findings)
    usage = repository.usage if isinstance(repository.usage, Usage) else Usage()
    tags = repository.tags
    return AuditedRepository(
        name=repository.name,
        origin=repository.provenance.origin.value,
        owner=None if isinstance(tags, Unreadable) else tags.get(policy.owner_tag),
        findings=tuple(findings),
        undetermined=undetermined,
        images=usage.images,
        size_bytes=usage.size_bytes,
        last_push=usage.last_push,
        last_pull=usage.last_pull,
        unused=any(finding.rule == unused.RULE.id for finding in findings),
    )


def _missing(repository: Repository, wanted: Wanted, undetermined: Mapping[str, str]) -> Iterator[str]:
    """Tell what could not be read. A verdict that stays open although every fact is known is no gap in the audit."""
    for fact in wanted.facts:
        value = getattr(repository, fact.value)
        if isinstance(value, Unreadable):
            yield value.why
    # These come with the list, so that they matter only where a rule asks for them.
    for listed in (repository.tag_mutability, repository.encryption):
        if isinstance(listed, Unreadable) and any(listed.why in why for why in undetermined.values()):
            yield listed.why
