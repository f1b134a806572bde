"""Make an explanation of what was read: every rule with what it saw, what it says, what follows from it, and what would change it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cli.explanation.given import Given
from cli.explanation.outlook import Outlook, outlook_of
from cli.explanation.seen import Seen, owner_of, seen_by
from cli.explanation.twins import Twin, twins_of
from cli.explanation.what_if import what_if
from cli.policy.showing import Sources, Value, expected
from ecr_governor.core.evaluate import Judgement, evaluate, facts_needed
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.policy.model import Exemption, Mode
from ecr_governor.core.remedy import Remedy, operation_of
from ecr_governor.core.repository import Unreadable
from ecr_governor.core.rules import RULES
from ecr_governor.core.verdict import Compliant, Undetermined, Violation

SETTINGS: Mapping[str, Sequence[str]] = {
    "auto-created": ("auto_created",),
    "encryption": ("encryption",),
    "image-tag": ("image_tags",),
    "lifecycle-policy": ("lifecycle_policy", "replace_lifecycle_policy"),
    "naming": (),
    "repository-policy": ("repository_policy", "trusted_accounts", "trusted_organizations"),
    "required-tags": ("required_tags",),
    "scanning": ("scan_frequency",),
    "tag-mutability": ("tag_mutability",),
    "unused": ("unused",),
}
"""The settings of a namespace that each rule asks by; the naming convention is a section of its own."""


CONFIRMED: Final = "the ledger, confirmed in Slack"
"""Where an exemption comes from that does not stand in the policy file."""


@dataclass(frozen=True, slots=True)
class RuleTold:
    """What one rule says.

    `verdict` is compliant, violation, exempt, undetermined, off or not asked; `asked` are the settings that it asks by, with their source.
    `remedies` are what would mend it, `follows` says whether that is done, and why not. `finding` is the ledger's, with its age.
    """

    rule: str
    verdict: str
    mode: str
    severity: str
    reason: str
    mode_source: str
    asked: Sequence[Value]
    seen: Sequence[Seen]
    exemption: Exemption | None
    exemption_source: str
    remedies: Sequence[Remedy]
    follows: str
    what_if: Sequence[str]
    fix: str
    finding: Finding | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is to be told of a repository."""

    given: Given
    namespace: str
    settings: Sequence[Value]
    rules: Sequence[RuleTold]
    outlook: Outlook | None
    twins: Sequence[Twin]
    incomplete_because: Sequence[str]

    @property
    def owner(self) -> str | None:
        """Who owns it, by its tag, or by the ledger."""
        tagged = owner_of(self.given.repository, self.given.policy.owner_tag)
        return tagged or (self.given.record.owner if self.given.record else None)

    @property
    def violates(self) -> bool:
        """Whether a finding is open, or would be, or ECR would refuse the push."""
        return any(each.verdict == "violation" for each in self.rules) or bool(self.given.foreseen and self.given.foreseen.refused)


def explain(given: Given) -> Explanation:
    """Explain a repository, or a name that there is none of yet."""
    name, policy = given.repository.name, given.policy
    names = () if isinstance(given.names, Unreadable) else given.names
    settings = tuple(expected(given.told, name, given.now))
    judged = {each.rule: each for each in evaluate(given.repository, policy, given.now).judgements}
    by_path = {value.at: value for value in settings}
    return Explanation(
        given,
        policy.namespace_of(name),
        settings,
        tuple(_rule(rule_id, judged.get(rule_id), by_path, names, given) for rule_id in RULES),
        outlook_of(given),
        tuple(twins_of(name, names)),
        tuple(given.missing(facts_needed(policy, name))),
    )


def _rule(
    rule_id: str, judgement: Judgement | None, settings: Mapping[tuple[str | int, ...], Value], names: Sequence[str], given: Given
) -> RuleTold:
    policy, sources = given.policy, Sources(given.told)
    namespace = policy.namespace_of(given.repository.name)
    wanted = [("namespaces", namespace, key) for key in SETTINGS[rule_id]]
    asked = [value for at, value in settings.items() if at in wanted or (rule_id == "naming" and at[0] == "naming")]
    mode, ruled = policy.mode_of(rule_id, namespace), sources.of_mode(rule_id, namespace)
    finding = next((each for each in given.record.findings if each.rule == rule_id), None) if given.record else None
    if judgement is None:
        off = mode is Mode.OFF
        verdict = "off" if off else "not asked"
        return RuleTold(rule_id, verdict, mode.value, "", "", ruled, () if off else asked, (), None, "", (), "", (), "", finding)
    said, reason, remedies = _said(judgement)
    exemption = judgement.exemption if isinstance(judgement.verdict, Violation) else None
    index = next((index for index, each in enumerate(given.read.policy.exemptions) if each is exemption), None)
    granted = CONFIRMED if exemption is not None else ""
    return RuleTold(
        rule=rule_id,
        verdict=said,
        mode=judgement.mode.value,
        severity=judgement.severity.value,
        reason=reason,
        mode_source=ruled,
        asked=asked,
        seen=tuple(seen_by(rule_id, given)),
        exemption=exemption,
        exemption_source=sources.of(("exemptions", index)) if index is not None else granted,
        remedies=remedies,
        follows=_follows(judgement, remedies, ruled, given),
        what_if=tuple(what_if(judgement, given.repository, policy, names, given.now)),
        fix=RULES[rule_id].fix if said == "violation" else "",
        finding=finding,
    )


def _said(judgement: Judgement) -> tuple[str, str, Sequence[Remedy]]:
    match judgement.verdict:
        case Violation(reason, remedies):
            return "exempt" if judgement.exemption else "violation", reason, remedies
        case Undetermined(why):
            return "undetermined", why, ()
        case Compliant():
            return "compliant", "", ()


def _follows(judgement: Judgement, remedies: Sequence[Remedy], source: str, given: Given) -> str:
    """Say what is done about a violation."""
    if not isinstance(judgement.verdict, Violation):
        return ""
    if judgement.exemption is not None:
        return "nothing, as long as it is exempt"
    if not remedies:
        return "a finding: only people can mend it"
    if judgement.mode is not Mode.ENFORCE:
        return f"a finding: nothing is put right in mode {judgement.mode.value} ({source})"
    paused = [operation for remedy in remedies if (operation := operation_of(remedy)) in (given.record.paused if given.record else {})]
    if paused:
        return f"a finding: {', '.join(paused)} is paused, since something else keeps changing it back"
    when = "when it is pushed" if given.foreseen else "with the next event or sweep"
    return f"it is put right {when}, if the stack is deployed with Mode=enforce"


def age_of(finding: Finding, now: datetime) -> str:
    """Say how old a finding is, by the ledger."""
    if finding.state is FindingState.RESOLVED and finding.resolved_at:
        return f"resolved on {finding.resolved_at:%Y-%m-%d}: {finding.resolution}"
    return f"{finding.state.value} since {finding.opened_at:%Y-%m-%d %H:%M}, {days(days_since(finding.opened_at, now))}"


def days_since(at: datetime, now: datetime) -> int:
    """Count whole days; none where this machine's clock is behind AWS's."""
    return max(0, (now - at).days)


def days(count: int) -> str:
    """Say a number of days."""
    return "1 day" if count == 1 else f"{count:,} days"


def states(explanation: Explanation) -> Iterator[str]:
    """Say how it stands, one sentence after another."""
    given = explanation.given
    repository, foreseen = given.repository, given.foreseen
    if foreseen is None:
        yield f"created {repository.created_at:%Y-%m-%d %H:%M}, {days(days_since(repository.created_at, given.now))} ago"
        return
    if foreseen.refused:
        yield f"there is no such repository, and ECR would refuse a push: {foreseen.refused}"
        yield "below: what would be said of its name if it were created by hand"
    elif foreseen.template:
        yield f"there is no such repository; a push would create it by the template {foreseen.template}"
        yield "below: what would be said of it right after that push"
    else:
        yield "there is no such repository"
    if foreseen.unsure:
        yield foreseen.unsure
