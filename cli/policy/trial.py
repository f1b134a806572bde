"""Try a case: make the repository that it describes, judge it as everywhere else, and compare."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cli.policy.cases import EXPECTED, Case, Given, Happening, Kind
from cli.policy.rehearsal import Outcome, World, rehearse
from ecr_governor.core.documents import json_text
from ecr_governor.core.evaluate import Evaluation, evaluate
from ecr_governor.core.origin import Actor, Creation, Origin, Provenance, Push
from ecr_governor.core.policy.model import Policy
from ecr_governor.core.remedy import as_data
from ecr_governor.core.repository import CreationTemplate, Image, Repository, Unreadable, Usage
from ecr_governor.core.verdict import Compliant, Undetermined, Violation

UNKNOWN = Unreadable("the case does not say")


@dataclass(frozen=True, slots=True)
class Tried:
    """How a case came out: what is not as expected, each in words; nothing if all is."""

    case: Case
    namespace: str
    failures: tuple[str, ...]


def try_case(case: Case, policy: Policy, now: datetime, account: str) -> Tried:
    """Judge what a case describes, and compare it with what the case expects."""
    made = _Made(case, policy, account, now)
    evaluation = evaluate(made.repository(now), policy, now)
    failures = [*_compared(case, evaluation), *_namespace(case, policy), *_retirement(case, made, policy, now)]
    return Tried(case, policy.namespace_of(case.repository), tuple(failures))


# --- what is expected -----------------------------------------------------------------------------------------------------------------


def _compared(case: Case, evaluation: Evaluation) -> Iterator[str]:
    expect, said = case.expect, _Said(evaluation)
    for what, expected, found in (
        ("findings", expect.findings, said.open),
        ("exempt", expect.exempt, said.exempt),
        ("undetermined", expect.undetermined, said.undetermined),
    ):
        if expected is not None and set(expected) != found.keys():
            yield from _difference(what, expected, found)
    for rule in expect.compliant or ():
        if rule not in said.compliant:
            yield f"compliant: {rule} is not; {said.of(rule)}"
    for rule, text in expect.reasons.items():
        if text not in said.of(rule):
            yield f"reasons: {rule} should say {text!r}; {said.of(rule)}"
    if expect.remedies is not None:
        remedies = [str(as_data(remedy)["action"]) for remedy in evaluation.remedies]
        if sorted(expect.remedies) != sorted(remedies):
            yield f"remedies: expected {_words(sorted(expect.remedies))}; there is {_words(sorted(remedies))}"


class _Said:
    """What was said of each rule."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.open: dict[str, str] = {}
        self.exempt: dict[str, str] = {}
        self.undetermined: dict[str, str] = {}
        self.compliant: set[str] = set()
        for judgement in evaluation.judgements:
            match judgement.verdict:
                case Violation(reason):
                    (self.exempt if judgement.exemption else self.open)[judgement.rule] = reason
                case Undetermined(why):
                    self.undetermined[judgement.rule] = why
                case Compliant():
                    self.compliant.add(judgement.rule)

    def of(self, rule: str) -> str:
        """Say in words what was said of a rule."""
        for words, said in (("it is a finding", self.open), ("it is exempt", self.exempt), ("it is undetermined", self.undetermined)):
            if rule in said:
                return f"{words}: {said[rule]}"
        return "it is compliant" if rule in self.compliant else "the policy does not ask for it"


def _difference(what: str, expected: Sequence[str], found: Mapping[str, str]) -> Iterator[str]:
    missing = sorted(set(expected) - found.keys())
    more = sorted(found.keys() - set(expected))
    if missing:
        yield f"{what}: expected {_words(missing)} as well; there is {_words(sorted(found))}"
    yield from (f"{what}: {rule} was not expected: {found[rule]}" for rule in more)


def _words(some: Sequence[str]) -> str:
    return ", ".join(some) or "none"


def _namespace(case: Case, policy: Policy) -> Iterator[str]:
    namespace = policy.namespace_of(case.repository)
    if case.expect.namespace not in {None, namespace}:
        yield f"namespace: expected {case.expect.namespace}; it is in {namespace}"


def _retirement(case: Case, made: "_Made", policy: Policy, now: datetime) -> Iterator[str]:
    expect = case.expect
    if expect.retirement is None and not expect.because:
        return
    outcome = made.rehearsed(policy, now)
    if outcome is None:
        asked = "retirement" if expect.retirement is not None else "because"
        yield f"{asked}: the case does not say when it was used; give history, or created_at and last_push"
        return
    if expect.retirement is not None and outcome.stage is not expect.retirement:
        steps = ", ".join(f"{step.to.value} on {step.at:%Y-%m-%d}" for step in outcome.steps) or "no step was taken"
        against = "; ".join((*outcome.withheld, *(reason.seen for reason in outcome.decision.against)))
        yield f"retirement: expected {expect.retirement.value}; it is {outcome.stage.value} ({steps}{f'; {against}' if against else ''})"
    told = [*outcome.withheld, *(f"{reason.check}: {reason.seen}" for reason in outcome.decision.reasons)]
    yield from (f"because: nothing says {text!r}; {'; '.join(told)}" for text in expect.because if not any(text in each for each in told))


# --- what is given --------------------------------------------------------------------------------------------------------------------


class _Made:
    """The repository of a case, at any time of its history."""

    def __init__(self, case: Case, policy: Policy, account: str, now: datetime) -> None:
        self._case = case
        self._given = case.given
        self._account = account
        self._settings = policy.expectation_for(case.repository).settings
        self._events = case.history or tuple(_as_history(case.given, now))
        self._arn = f"arn:aws:ecr:eu-west-1:{account}:repository/{case.repository}"

    @property
    def _created_at(self) -> datetime:
        return self._events[0].at

    def repository(self, now: datetime) -> Repository:
        """Give the facts as of a time."""
        given, past = self._given, [event for event in self._events if event.at <= now]
        pushes = [event for event in past if event.kind is Kind.PUSHED]
        pulls = [event for event in past if event.kind is Kind.PULLED and event.pulled]
        return Repository(
            name=self._case.repository,
            arn=self._arn,
            account=self._account,
            region="eu-west-1",
            created_at=self._created_at,
            tag_mutability=given.tag_mutability.setting if given.tag_mutability else UNKNOWN,
            encryption=given.encryption.wanted if given.encryption else UNKNOWN,
            tags=self._tags(past),
            lifecycle_policy=self._text("lifecycle_policy"),
            repository_policy=self._text("repository_policy"),
            scan_frequency=given.scan_frequency or UNKNOWN,
            images=self._images(pushes),
            holds_image=self._holds_image(pushes),
            creation_templates=self._templates(),
            usage=self._usage(pushes, pulls),
            provenance=self._provenance(past, pushes),
        )

    def rehearsed(self, policy: Policy, now: datetime) -> Outcome | None:
        """Play the history; None if it is not known how the repository was used."""
        if not self._use_is_known:
            return None
        text = self._text("repository_policy")
        world = World(
            self._case.repository,
            self._arn,
            self._created_at,
            self._given.watched_since or self._created_at,
            policy=text if isinstance(text, str) else None,
            tags=dict(self._given.tags or {}),
        )
        return rehearse(world, self._events, policy, now, self.repository)

    @property
    def _use_is_known(self) -> bool:
        said = self._given.model_fields_set & {"last_push", "last_pull", "image_tags"}
        return bool(self._case.history) or (bool(said) and self._given.created_at is not None)

    def _tags(self, past: Sequence[Happening]) -> Mapping[str, str] | Unreadable:
        if self._given.tags is None and not self._case.history:
            return UNKNOWN if "tags" not in self._given.model_fields_set else {}
        tags = dict(self._given.tags or {})
        for event in past:
            tags |= event.tagged or {}
        return tags

    def _text(self, fact: str) -> str | Unreadable | None:
        document: Any = getattr(self._given, fact)
        if fact not in self._given.model_fields_set:
            return UNKNOWN
        if document == EXPECTED:
            document = getattr(self._settings, fact)
        return json_text.write(document) if document is not None else None

    def _images(self, pushes: Sequence[Happening]) -> tuple[Image, ...] | Unreadable:
        if self._given.image_tags is None and not self._case.history:
            return UNKNOWN if "image_tags" not in self._given.model_fields_set else ()
        tags = [*(self._given.image_tags or ()), *(event.pushed for event in pushes if event.pushed)]
        return tuple(Image(f"sha256:{index:064x}", (tag,), self._created_at) for index, tag in enumerate(dict.fromkeys(tags)))

    def _holds_image(self, pushes: Sequence[Happening]) -> bool | Unreadable:
        if self._case.history or "image_tags" in self._given.model_fields_set or self._given.last_push is not None:
            return bool(pushes or self._given.image_tags)
        return UNKNOWN

    def _usage(self, pushes: Sequence[Happening], pulls: Sequence[Happening]) -> Usage | Unreadable:
        if not self._use_is_known:
            return UNKNOWN
        last_push = max((event.at for event in pushes), default=None)
        last_pull = max((event.at for event in pulls), default=None)
        return Usage(last_push, last_pull, len(pushes))

    def _templates(self) -> tuple[CreationTemplate, ...] | Unreadable:
        if self._given.creation_templates is None:
            return UNKNOWN
        return tuple(CreationTemplate(each.prefix, frozenset(each.applied_for)) for each in self._given.creation_templates)

    def _provenance(self, past: Sequence[Happening], pushes: Sequence[Happening]) -> Provenance:
        origin = next((event.created for event in past if event.created), None) or self._given.origin or Origin.UNKNOWN
        creation = None
        if origin is not Origin.UNKNOWN:
            creation = Creation("case", self._created_at, self._actor("creator"))
        seen = [Push(f"case-{index}", event.at, self._actor(event.by), event.pushed) for index, event in enumerate(pushes) if event.by]
        if not seen and self._given.pusher is not None:
            seen = [Push("case", self._created_at, self._actor(self._given.pusher))]
        return Provenance(origin, creation=creation, first_push=seen[0] if seen else None, last_push=seen[-1] if seen else None)

    def _actor(self, name: str | None) -> Actor:
        # The name that people know: a user's, or a role's with its session.
        kind = "sts" if name and "/" in name else "iam"
        resource = f"assumed-role/{name}" if kind == "sts" else f"user/{name}"
        return Actor(f"arn:aws:{kind}::{self._account}:{resource}", self._account, "AssumedRole" if kind == "sts" else "IAMUser")


def _as_history(given: Given, now: datetime) -> Iterator[Happening]:
    """Tell as a history what is given of a repository's use."""
    created_at = given.created_at or given.last_push or now
    yield Happening(at=created_at, created=given.origin or Origin.UNKNOWN)
    events: list[Happening] = []
    if given.last_push is not None or given.image_tags:
        tags = given.image_tags or ("latest",)
        events += [Happening(at=given.last_push or created_at, pushed=tag, by=given.pusher) for tag in tags]
    if given.last_pull is not None:
        events.append(Happening(at=given.last_pull, pulled=True))
    yield from sorted(events, key=lambda event: event.at)
