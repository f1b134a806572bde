"""What would make a verdict another one: each sentence was tried by judging the repository as it would then be."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ecr_governor.core.evaluate import Judgement, evaluate
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.remedy import (
    after,
    describe,
)
from ecr_governor.core.repository import Repository, Unreadable
from ecr_governor.core.rules import auto_created, naming, required_tags, unused
from ecr_governor.core.verdict import Compliant, Undetermined, Verdict, Violation


def what_if(judgement: Judgement, repository: Repository, policy: Policy, names: Sequence[str], now: datetime) -> Iterator[str]:
    """Say what would change a verdict: another name, a remedy, time, a push or a pull, the end of an exemption."""
    rule, verdict = judgement.rule, judgement.verdict
    if isinstance(verdict, Violation):
        if rule == naming.RULE.id:
            yield from _renamed(repository, policy, names, now)
        if verdict.remedies:
            yield _put_right(rule, verdict, repository, policy, now)
        if rule == unused.RULE.id and (asked := policy.expectation_for(repository.name).settings.unused):
            yield f"compliant for {_span(asked.after)} after the next push or pull"
        if judgement.exemption is not None:
            yield f"open from {judgement.exemption.ends:%Y-%m-%d} on, when the exemption has ended"
    else:
        yield from _in_time(rule, repository, policy, now)


def _renamed(repository: Repository, policy: Policy, names: Sequence[str], now: datetime) -> Iterator[str]:
    convention = policy.naming.compiled if policy.naming is not None else None
    nearest = convention.nearest(repository.name) if convention is not None else None
    if nearest is None or not isinstance(_verdict(naming.RULE.id, replace(repository, name=nearest), policy, now), Compliant | None):
        return
    namespace = policy.namespace_of(nearest)
    moves = "" if namespace == policy.namespace_of(repository.name) else f", where it would be in the namespace {namespace}"
    there = ", which there is already" if nearest in names else ""
    yield f"compliant if renamed {nearest}{there}{moves}; ECR cannot rename: push there, move who pulls, delete this one"


def _put_right(rule: str, verdict: Violation, repository: Repository, policy: Policy, now: datetime) -> str:
    mended = repository
    for remedy in verdict.remedies:
        mended = after(mended, remedy)
    words = "; ".join(describe(remedy) for remedy in verdict.remedies)
    match _verdict(rule, mended, policy, now):
        case Violation(reason):
            return f"a violation also after this: {words}. Then it {reason}"
        case Undetermined(why):
            return f"undetermined after this: {words}. {why}"
        case _:
            return f"compliant after this: {words}"


def _in_time(rule: str, repository: Repository, policy: Policy, now: datetime) -> Iterator[str]:
    expectation = policy.expectation_for(repository.name)
    if rule == unused.RULE.id and not isinstance(repository.usage, Unreadable):
        at = unused.due(repository, expectation, now)
        if at and isinstance(_verdict(rule, repository, policy, at), Violation):
            yield f"unused from {at:%Y-%m-%d} on, if nothing is pushed or pulled before"
    if rule == required_tags.RULE.id and (at := required_tags.due(repository, expectation, now)):
        yield f"the tags that name the pusher are asked for from {at:%Y-%m-%d %H:%M} UTC on: a push may still tell them"
    if rule == auto_created.RULE.id and (at := auto_created.due(repository, expectation, now)):
        yield f"an owner and an image are asked for from {at:%Y-%m-%d %H:%M} UTC on"


def _verdict(rule: str, repository: Repository, policy: Policy, now: datetime) -> Verdict | None:
    """Judge by one rule; None if the policy asks for nothing there."""
    return next((each.verdict for each in evaluate(repository, policy, now).judgements if each.rule == rule), None)


def _span(span: timedelta) -> str:
    return f"{span.days} days" if span >= timedelta(days=2) else f"{int(span.total_seconds()) // 3600} hours"
