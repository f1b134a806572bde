"""Rules and notifications whose settings have no effect."""

from collections.abc import Iterator
from typing import Final

from ecr_governor.core.documents.names import ROOT
from ecr_governor.core.documents.problem import KEY, Path
from ecr_governor.core.policy.lint.remark import Found
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.model import Mode, Policy, weaker
from ecr_governor.core.policy.yaml_text import holds
from ecr_governor.core.rules import RULES
from ecr_governor.core.severity import Severity

WITH_REMEDY: Final = frozenset({"lifecycle-policy", "repository-policy", "required-tags", "tag-mutability"})
"""The rules that can put something right."""
_ORDER: Final = tuple(Severity)


def found(reading: Reading) -> Iterator[Found]:
    """Tell which settings of rules have no effect."""
    policy = reading.policy
    for rule_id, setting in policy.rules.items():
        at: Path = ("rules", rule_id)
        if not holds(reading.root, at):
            continue  # a preset's
        if setting.mode is not Mode.OFF and not any(RULES[rule_id].applies(policy.expectation_for(name)) for name in _names(policy)):
            what = f"no namespace asks for anything that {rule_id} judges"
            yield Found("rule-asks-nothing", (*at, KEY), what, "say in a namespace what is expected, or remove the rule's setting")
        if setting.mode is Mode.ENFORCE and rule_id not in WITH_REMEDY:
            what = f"{rule_id} has nothing to put right by"
            yield Found("rule-has-no-remedy", (*at, "mode"), what, f"write audit; what can be put right is judged by {_or(WITH_REMEDY)}")
        elif setting.mode is Mode.ENFORCE and weaker(policy.mode, Mode.ENFORCE) is not Mode.ENFORCE:
            what = f"{rule_id} goes no farther than mode, which is {policy.mode.value}"
            yield Found("rule-held-back", (*at, "mode"), what, "write mode: enforce at the top, and hold other rules back by audit")
    yield from _loudness(policy)
    if policy.mode is Mode.ENFORCE and policy.limits.remedies_per_sweep == 0:
        at = ("limits", "remedies_per_sweep")
        yield Found("sweep-puts-nothing-right", at, "a sweep has nothing put right", "write how many it may, or mode: audit")


def _names(policy: Policy) -> Iterator[str]:
    yield "any"
    yield from (f"{prefix}/any" for prefix in policy.namespaces if prefix != ROOT)


def _loudness(policy: Policy) -> Iterator[Found]:
    slack = policy.notifications.slack
    on = [rule for rule in RULES.values() if policy.mode_of(rule.id) is not Mode.OFF]
    worst = max((_ORDER.index(policy.severity_of(rule.id) or rule.severity) for rule in on), default=None)
    if slack.enabled and worst is not None and worst < _ORDER.index(slack.min_severity):
        what = f"no rule is above {_ORDER[worst].value}, and nothing below {slack.min_severity.value} is announced"
        do = "lower min_severity, or raise the severity of what matters"
        yield Found("nobody-told", ("notifications", "slack", "min_severity"), what, do)


def _or(words: frozenset[str]) -> str:
    *most, last = sorted(words)
    return f"{', '.join(most)} and {last}"
