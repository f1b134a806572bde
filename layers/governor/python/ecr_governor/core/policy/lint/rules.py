"""Rules and notifications whose settings have no effect, at the top or in a namespace."""

from collections.abc import Iterator
from typing import Final

from ecr_governor.core.documents.names import ROOT
from ecr_governor.core.documents.problem import KEY, Path
from ecr_governor.core.policy.lint.names import key_of
from ecr_governor.core.policy.lint.remark import Found
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.model import Mode, Policy, RuleSetting, weaker
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
        if setting.mode is not Mode.OFF and not asks(policy, rule_id):
            what = f"no namespace asks for anything that {rule_id} judges"
            yield Found("rule-asks-nothing", (*at, KEY), what, "say in a namespace what is expected, or remove the rule's setting")
        yield from _too_far(policy, rule_id, setting, at)
        yield from _overruled(policy, rule_id, setting, at)
    for prefix, settings in policy.namespaces.items():
        for rule_id, setting in settings.rules.items():
            at = (*key_of(reading, prefix), "rules", rule_id)
            if holds(reading.root, at):
                yield from _of_namespace(policy, prefix, rule_id, setting, at)
    yield from _loudness(policy)
    if policy.mode is Mode.ENFORCE and policy.limits.remedies_per_sweep == 0:
        at = ("limits", "remedies_per_sweep")
        yield Found("sweep-puts-nothing-right", at, "a sweep has nothing put right", "write how many it may, or mode: audit")


def _names(policy: Policy) -> Iterator[str]:
    yield "any"
    yield from (f"{prefix}/any" for prefix in policy.namespaces if prefix != ROOT)


def _too_far(policy: Policy, rule_id: str, setting: RuleSetting, at: Path) -> Iterator[Found]:
    """Tell where enforce enforces nothing."""
    if setting.mode is Mode.ENFORCE and rule_id not in WITH_REMEDY:
        what = f"{rule_id} has nothing to put right by"
        yield Found("rule-has-no-remedy", (*at, "mode"), what, f"write audit; what can be put right is judged by {_or(WITH_REMEDY)}")
    elif setting.mode is Mode.ENFORCE and weaker(policy.mode, Mode.ENFORCE) is not Mode.ENFORCE:
        what = f"{rule_id} goes no farther than mode, which is {policy.mode.value}"
        yield Found("rule-held-back", (*at, "mode"), what, "write mode: enforce at the top, and hold other rules back by audit")


def _overruled(policy: Policy, rule_id: str, setting: RuleSetting, at: Path) -> Iterator[Found]:
    """Tell what is said for all namespaces and said anew by ROOT, from which all have it."""
    root = policy.namespaces[ROOT].rules.get(rule_id) if ROOT in policy.namespaces else None
    for key in ("mode", "severity"):
        if root is not None and getattr(setting, key) and getattr(root, key):
            what = f"counts nowhere: ROOT says {getattr(root, key).value}, for every namespace that says nothing"
            yield Found("rule-without-effect", (*at, key), what, "remove one of the two")


def _of_namespace(policy: Policy, prefix: str, rule_id: str, setting: RuleSetting, at: Path) -> Iterator[Found]:
    """Look at what a namespace says of a rule."""
    general = policy.rules.get(rule_id, RuleSetting.model_construct())
    root = policy.namespaces[ROOT].rules.get(rule_id) if ROOT in policy.namespaces and prefix != ROOT else None
    without = root.over(general) if root else general
    too_far, remove = tuple(_too_far(policy, rule_id, setting, at)), "remove it, or write what is to be otherwise"
    yield from too_far
    if setting.mode is None and setting.severity is None:
        yield Found("rule-without-effect", (*at, KEY), "says nothing", "write a mode or a severity, or remove it")
    elif setting.mode is not Mode.OFF and not asks(policy, rule_id, prefix):
        what = f"nothing is asked for in {prefix} that {rule_id} judges"
        yield Found("rule-asks-nothing", (*at, KEY), what, f"say in {prefix} what is expected, or remove the rule's setting")
    else:
        # What holds anyway whatever `mode` says. Plain audit under audit is another thing: it holds the rule back for later.
        if not too_far and setting.mode is not None and setting.mode is (without.mode or Mode.ENFORCE):
            yield Found("rule-without-effect", (*at, "mode"), f"{rule_id} is {setting.mode.value} in {prefix} anyway", remove)
        if setting.severity is not None and policy.mode_of(rule_id, prefix) is Mode.OFF:
            yield Found("rule-without-effect", (*at, "severity"), f"{rule_id} is off in {prefix}", "remove it, or turn the rule on")
        elif setting.severity is not None and setting.severity is (without.severity or RULES[rule_id].severity):
            yield Found("rule-without-effect", (*at, "severity"), f"{rule_id} is {setting.severity.value} in {prefix} anyway", remove)


def asks(policy: Policy, rule_id: str, prefix: str = ROOT) -> bool:
    """Whether the rule judges anything in the namespace. Of ROOT all the others have what they leave out."""
    names = _names(policy) if prefix == ROOT else (f"{prefix}/any",)
    return any(RULES[rule_id].applies(policy.expectation_for(name)) for name in names)


def _loudness(policy: Policy) -> Iterator[Found]:
    slack = policy.notifications.slack
    on = [
        (rule, prefix)
        for rule in RULES.values()
        for prefix in {ROOT, *policy.namespaces}
        if policy.mode_of(rule.id, prefix) is not Mode.OFF
    ]
    worst = max((_ORDER.index(policy.severity_of(rule.id, prefix) or rule.severity) for rule, prefix in on), default=None)
    if slack.enabled and worst is not None and worst < _ORDER.index(slack.min_severity):
        what = f"no rule is above {_ORDER[worst].value}, and nothing below {slack.min_severity.value} is announced"
        do = "lower min_severity, or raise the severity of what matters"
        yield Found("nobody-told", ("notifications", "slack", "min_severity"), what, do)


def _or(words: frozenset[str]) -> str:
    *most, last = sorted(words)
    return f"{', '.join(most)} and {last}"
