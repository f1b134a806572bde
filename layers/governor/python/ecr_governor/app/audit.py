"""Look at every repository once, from outside and without a ledger: what a policy says of a registry, and nothing is changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from ecr_governor.app.errors import Denied, Throttled
from ecr_governor.app.ports import Inventory
from ecr_governor.core.audit import AuditedRepository, AuditFinding
from ecr_governor.core.evaluate import evaluate, facts_needed
from ecr_governor.core.origin import AutomaticCreation, Provenance, classify
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.repository import Fact, Repository, Unreadable, Usage
from ecr_governor.core.verdict import Compliant, Undetermined, Violation

REASONS_KEPT = 20


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


def audit(
    inventory: Inventory, automatic: AutomaticCreation, policy: Policy, now: datetime, progress: Progress, *, count_images: bool = False
) -> Iterator[AuditedRepository]:
    """Judge every repository, page by page; `progress` tells how far it got.

    What AWS denies or keeps throttling is no finding and no absence: it makes the audit incomplete.
    """
    try:
        for page in inventory.pages():
            for repository in _complete(inventory, page, policy, now, progress, count_images=count_images):
                audited = _judge(repository, automatic, policy, now)
                for why in audited.undetermined.values():
                    progress.missing(why)
                progress.looked_at += 1
                progress.violating += any(finding.state == "open" for finding in audited.findings)
                yield audited
    except (Denied, Throttled) as trouble:
        progress.missing(f"not every repository was looked at: {trouble}")


def _complete(
    inventory: Inventory, page: Sequence[Repository], policy: Policy, now: datetime, progress: Progress, *, count_images: bool
) -> Iterator[Repository]:
    """Read for each repository the facts that its own namespace's rules need, and no others."""
    groups: dict[tuple[frozenset[Fact], timedelta | None], list[Repository]] = {}
    for repository in page:
        unused = policy.expectation_for(repository.name).settings.unused
        facts = facts_needed(policy, repository.name) | ({Fact.USAGE} if count_images else set())
        groups.setdefault((facts, unused.after if unused and not count_images else None), []).append(repository)
    for (facts, after), group in groups.items():
        try:
            yield from inventory.complete(group, facts, now - after if after else None)
        except Throttled as trouble:
            progress.missing(str(trouble))
            unreadable = Unreadable(str(trouble))
            yield from (replace(repository, **dict.fromkeys((fact.value for fact in facts), unreadable)) for repository in group)


def _judge(repository: Repository, automatic: AutomaticCreation, policy: Policy, now: datetime) -> AuditedRepository:
    provenance = classify(Provenance(), repository.name, automatic)
    evaluation = evaluate(replace(repository, provenance=provenance), policy, now)
    findings: list[AuditFinding] = []
    undetermined: dict[str, str] = {}
    unused: bool | None = None
    for judgement in evaluation.judgements:
        match judgement.verdict:
            case Violation(reason):
                state: Literal["open", "exempt"] = "exempt" if judgement.exemption else "open"
                findings.append(AuditFinding(judgement.rule, judgement.severity, reason, state))
            case Undetermined(why):
                undetermined[judgement.rule] = why
            case Compliant():
                pass
        if judgement.rule == "unused":
            unused = None if isinstance(judgement.verdict, Undetermined) else isinstance(judgement.verdict, Violation)
    usage = repository.usage if isinstance(repository.usage, Usage) else Usage()
    tags = repository.tags
    return AuditedRepository(
        name=repository.name,
        origin=provenance.origin.value,
        owner=None if isinstance(tags, Unreadable) else tags.get(policy.owner_tag),
        findings=tuple(findings),
        undetermined=undetermined,
        images=usage.images,
        size_bytes=usage.size_bytes,
        last_push=usage.last_push,
        last_pull=usage.last_pull,
        unused=unused,
    )
