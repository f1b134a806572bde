"""Retirements that contradict themselves, or that never come about."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

import re2

from ecr_governor.core.documents.lifecycle import Action, StorageClass, TagStatus, is_wider
from ecr_governor.core.documents.names import ROOT
from ecr_governor.core.documents.problem import KEY, Path
from ecr_governor.core.policy.lint.exemptions import FOR_EVER
from ecr_governor.core.policy.lint.lifecycles import Documents, takes_all
from ecr_governor.core.policy.lint.names import key_of
from ecr_governor.core.policy.lint.remark import Found
from ecr_governor.core.policy.lint.settings import effective
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.model import EVERY_RULE, Mode, NamespaceSettings, Policy
from ecr_governor.core.policy.retirement import RetirementTerms, Then
from ecr_governor.core.policy.yaml_text import holds
from ecr_governor.core.rules import naming, unused

_ROLE: Final = re2.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/.+")
_STAGES: Final = tuple(Then)
REACHED_FROM: Final = {"quarantine_days": Then.QUARANTINE, "archive_days": Then.ARCHIVE}


def found(reading: Reading, now: datetime, documents: Documents) -> Iterator[Found]:
    """Look at the retirement of each namespace, and at what holds for all of them. `documents` are the lifecycle policies."""
    policy = reading.policy
    retiring = {prefix: terms for prefix in {ROOT: None, **policy.namespaces} if (terms := effective(policy, prefix).retirement)}
    for index, arn in enumerate(policy.retirement.pull_time_exclusions):
        if not (arn.isascii() and _ROLE.fullmatch(arn)):
            at: Path = ("retirement", "pull_time_exclusions", index)
            yield Found("no-role-arn", at, f"{arn!r} is no role's ARN", "write it as arn:aws:iam::123456789012:role/NAME")
    if not retiring:
        section = reading.root.value.get("retirement")
        if section and section.keys() != {"stop"}:
            what = "no namespace says how its repositories are retired"
            yield Found("retirement-nowhere", ("retirement", KEY), what, "add retirement to a namespace, or remove this section")
        return
    yield from _never(reading, retiring)
    for prefix in retiring:
        yield from _exempt(reading, prefix, now)
        yield from _terms(reading, prefix, documents)


def _never(reading: Reading, retiring: dict[str, RetirementTerms]) -> Iterator[Found]:
    """Tell what keeps every retirement from going on."""
    policy, beyond_mark = reading.policy, any(terms.then is not Then.MARK for terms in retiring.values())
    where = _retired(retiring)
    off: dict[Path, list[str]] = {}
    for prefix in retiring:
        if policy.mode is not Mode.OFF and policy.mode_of(unused.RULE.id, prefix) is Mode.OFF:
            off.setdefault(_where_off(reading, prefix), []).append(prefix)
    for at, prefixes in off.items():
        do = "turn the rule on, or remove retirement"
        yield Found("retirement-unused-off", at, f"the rule unused is off, and {_retired(prefixes)}", do)
    if not policy.notifications.slack.enabled:
        at = ("notifications", "slack", "enabled")
        yield Found("retirement-nobody-told", at, f"nobody is told, and {where}", "let Slack be told")
    caps = policy.retirement.caps
    for cap in ("per_run", "percent", "per_owner", "per_namespace", "per_day"):
        if beyond_mark and getattr(caps, cap) == 0:
            do = "write how many, or stop: true if nothing is to go"
            yield Found("retirement-capped", ("retirement", "caps", cap), f"{cap} is 0, so nothing goes beyond the mark", do)
    if caps.marks == 0:
        do = "write how many, or stop: true if nothing is to go"
        yield Found("retirement-capped", ("retirement", "caps", "marks"), "marks is 0, so nothing is marked", do)


def reaches(terms: RetirementTerms, stage: Then) -> bool:
    """Whether a retirement may come to a stage."""
    return _STAGES.index(terms.then) >= _STAGES.index(stage)


def _retired(prefixes: Collection[str]) -> str:
    return " and ".join(prefixes) + (" is" if len(prefixes) == 1 else " are") + " to be retired"


def _where_off(reading: Reading, prefix: str) -> Path:
    """Where the rule `unused` is turned off for a namespace: in itself, in ROOT, or for all."""
    for one in (prefix, ROOT):
        settings = reading.policy.namespaces.get(one)
        said = settings.rules.get(unused.RULE.id) if settings else None
        if said is not None and said.mode is not None:
            return (*key_of(reading, one), "rules", unused.RULE.id)
    return ("rules", unused.RULE.id)


def _exempt(reading: Reading, prefix: str, now: datetime) -> Iterator[Found]:
    whole = "*" if prefix == ROOT else f"{prefix}/*"
    for index, exemption in enumerate(reading.policy.exemptions):
        speaks = EVERY_RULE in exemption.rules or unused.RULE.id in exemption.rules
        if speaks and exemption.ends - now > FOR_EVER and "?" not in exemption.match and is_wider(exemption.match, whole):
            what = f"{exemption.match!r} exempts all of {prefix} until {exemption.expires}, and {prefix} is to be retired"
            yield Found("retirement-unused-exempt", ("exemptions", index, "match"), what, f"write retirement: null for {prefix} instead")


def _terms(reading: Reading, prefix: str, documents: Documents) -> Iterator[Found]:
    settings, own = effective(reading.policy, prefix), reading.policy.namespaces.get(prefix, NamespaceSettings.model_construct())
    terms = settings.retirement
    # What it has from ROOT is told there, unless the namespace itself says a part of the contradiction.
    if terms is None or (prefix != ROOT and not own.model_fields_set & {"retirement", "unused", "lifecycle_policy"}):
        return
    at = key_of(reading, prefix)
    asked = settings.unused.after.days if settings.unused else 0
    if asked > terms.after_days:
        what = f"asks for {asked} days without use, retirement for {terms.after_days}"
        said = (*at, "unused", "after") if "unused" in own.model_fields_set else (*at, "retirement")
        yield Found(
            "retirement-waits", said, what, f"write {terms.after_days}d or less, or unused: null: retirement then asks for it by itself"
        )
    if "retirement" in own.model_fields_set:
        for key, stage in REACHED_FROM.items():
            if holds(reading.root, (*at, "retirement", key)) and not reaches(terms, stage):
                what = f"has no effect with then: {terms.then.value}"
                yield Found("retirement-key-unused", (*at, "retirement", key), what, f"remove it, or write then: {stage.value}")
        yield from _misnamed(reading.policy, prefix, terms, (*at, "retirement", "misnamed_after_days"))
    said = (*at, "lifecycle_policy" if "lifecycle_policy" in own.model_fields_set else "retirement", KEY)
    yield from _emptied(settings, terms, said, documents)


def _misnamed(policy: Policy, prefix: str, terms: RetirementTerms, at: Path) -> Iterator[Found]:
    """Tell where the days for wrongly named repositories make no difference."""
    if terms.misnamed_after_days is None:
        return
    if policy.naming is None or policy.mode_of(naming.RULE.id, prefix) is Mode.OFF:
        what = "has no effect: no name is judged"
        yield Found("retirement-key-unused", at, what, "write a naming convention and turn the rule naming on, or remove it")
    elif terms.misnamed_after_days >= terms.after_days:
        what = f"has no effect: after_days is {terms.after_days}, and the shorter counts"
        yield Found("retirement-key-unused", at, what, f"write less than {terms.after_days}, or remove it")


def _emptied(settings: NamespaceSettings, terms: RetirementTerms, at: Path, documents: Documents) -> Iterator[Found]:
    """Tell where ECR itself is quicker than the retirement."""
    if settings.lifecycle_policy is None:
        return
    document = documents.of(settings.lifecycle_policy, settings.image_tags)
    emptied, rules = document.emptied, document.rules
    if emptied is not None and emptied.days < terms.after_days and terms.empty_after_days is None:
        what = f"every {'tagged image' if emptied.tagged_only else 'image'} expires {emptied.days} days after its push, retirement waits for {terms.after_days} days without use"
        yield Found("retirement-emptied-first", at, what, f"write empty_after_days as well, or let images stay {terms.after_days} days")
    for order, rule in enumerate(rules):
        if rule.action is not Action.EXPIRE or not takes_all(rule):
            continue
        spared = any(other.tag_status is TagStatus.TAGGED and other.storage_class is rule.storage_class for other in rules[:order])
        archived = terms.then in {Then.ARCHIVE, Then.DELETE} and rule.storage_class is StorageClass.ARCHIVE
        if archived and not spared and rule.count_number <= terms.archive_days:
            what = f"archived images expire after {rule.count_number} days, archive_days is {terms.archive_days}"
            yield Found(
                "retirement-archive-expires", at, what, f"write archive_days below {rule.count_number}, or let archived images stay"
            )
