"""`ecr-governor policy show`: the effective policy, and where each of its values comes from."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from cli.policy.files import reading, refused
from cli.trouble import Trouble, check_output
from ecr_governor.core.documents.names import ROOT, is_repository_name
from ecr_governor.core.documents.problem import Path as Place
from ecr_governor.core.documents.problem import written
from ecr_governor.core.policy import presets
from ecr_governor.core.policy.lint.retirements import REACHED_FROM, reaches
from ecr_governor.core.policy.lint.rules import asks
from ecr_governor.core.policy.load import Reading
from ecr_governor.core.policy.model import EVERY_RULE, Mode, NamespaceSettings, Policy
from ecr_governor.core.policy.retirement import RetirementTerms
from ecr_governor.core.policy.yaml_text import Node, PolicyInvalid, holds, node_at, place
from ecr_governor.core.rules import RULES

OUTPUTS = ("yaml", "json")
DEFAULT = "default"
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_WIDTH = 120
# Their keys are told one by one; the values below them are replaced whole, and told so.
_OPEN = frozenset({"naming", "namespaces", "rules", "retirement", "templates", "limits", "notifications"})
_OPEN_BELOW = frozenset({("retirement", "caps"), ("retirement", "window"), ("notifications", "slack")})


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the effective policy, as a file would say it, and where it comes from."""

    at: Place
    value: Any
    source: str


def run(file: Path, output: str, name: str | None) -> None:
    """Print the effective policy, or what it expects of one repository name."""
    check_output(output, *OUTPUTS)
    try:
        read = reading(file)
    except PolicyInvalid as invalid:
        raise refused(file, invalid) from invalid
    if name is not None and not is_repository_name(name):
        raise Trouble(f"{name!r} is no repository name", "ECR takes a-z, 0-9 and single . _ - / between them", "--name payments/api")
    values = list(expected(read, name, datetime.now(UTC)) if name is not None else effective(read))
    if output == "json":
        rows = [{"path": written(each.at), "value": each.value, "source": each.source} for each in values]
        sys.stdout.write(json.dumps({"file": str(file), "policy_hash": read.policy.hash, "values": rows}, indent=2) + "\n")
        return
    about = f" of {name}" if name is not None else ""
    sys.stdout.write(f"# What {file} says{about}, policy hash {read.policy.hash}\n" + as_yaml(values))


def effective(read: Reading) -> Iterator[Value]:
    """Give every value of the policy, defaults included. What comes out as YAML is a policy file that says the same, and nothing in vain.

    So what a preset says of a rule that judges nothing here is left to the preset, and defaults of retirements that are none to themselves.
    """
    policy, sources = read.policy, Sources(read)
    yield Value(("version",), 1, sources.of(("version",)))
    left = [rule for rule in policy.rules if not holds(read.root, ("rules", rule)) and not asks(policy, rule)]
    if left and policy.preset is not None:
        yield Value(("preset",), policy.preset.value, f"{sources.of(('preset',))}, for {', '.join(f'rules.{rule}' for rule in left)}")
    for key in type(policy).model_fields:
        value = getattr(policy, key)
        if key in {"version", "preset"} or (key not in _OPEN and value is None) or (key == "naming" and value is None):
            continue
        if key == "namespaces":
            for prefix in {ROOT: None, **policy.namespaces}:
                yield from _namespace(policy, prefix, sources)
                yield from _rules_of(policy, prefix, sources)
        elif key == "rules":
            told = ((rule_id, setting) for rule_id, setting in value.items() if rule_id not in left)
            yield from (Value(("rules", rule_id), _plain(setting), sources.of_general(rule_id)) for rule_id, setting in told)
        else:
            idle = key == "retirement" and not holds(read.root, (key,)) and not _retiring(policy)
            yield from (each for each in _section((key,), value, sources) if not idle or each.source != DEFAULT)


def _section(at: Place, value: Any, sources: "Sources") -> Iterator[Value]:
    if isinstance(value, BaseModel) and (at[0] in _OPEN and (len(at) == 1 or at in _OPEN_BELOW)):
        for name, field in type(value).model_fields.items():
            yield from _section((*at, field.alias or name), getattr(value, name), sources)
    else:
        yield Value(at, _plain(value), sources.of(at))


def _namespace(policy: Policy, prefix: str, sources: "Sources") -> Iterator[Value]:
    settings = _settings_of(policy, prefix)
    for key in type(settings).model_fields:
        if key == "rules":
            continue  # told rule by rule
        value = getattr(settings, key)
        source = sources.of_setting(prefix, key)
        if key == "unused" and source == DEFAULT and value is not None:
            source = f"asked for by retirement, {sources.of_setting(prefix, 'retirement')}"
        elif key == "unused" and source == DEFAULT and _settings_of(policy, ROOT).unused is not None:
            # What ROOT has for its retirement is written out there, and would come down to a namespace that retires nothing.
            source = f"asked for by no retirement, {sources.of_setting(prefix, 'retirement')}"
        # `null` is said where it is not understood by itself.
        if value is not None or source != DEFAULT:
            yield Value(("namespaces", prefix, key), _plain(value), source)


def _retiring(policy: Policy) -> bool:
    return any(_settings_of(policy, prefix).retirement is not None for prefix in {ROOT: None, **policy.namespaces})


def _settings_of(policy: Policy, prefix: str) -> NamespaceSettings:
    return policy.expectation_for("any" if prefix == ROOT else f"{prefix}/any").settings


def _rules_of(policy: Policy, prefix: str, sources: "Sources") -> Iterator[Value]:
    # Its own: what it has from ROOT is told there, and would be in vain here.
    own = policy.namespaces[prefix].rules if prefix in policy.namespaces else {}
    for rule_id, setting in own.items():
        yield Value(("namespaces", prefix, "rules", rule_id), _plain(setting), sources.of_own(rule_id, prefix))


def expected(read: Reading, name: str, now: datetime) -> Iterator[Value]:
    """Give every value that the policy expects of the repository of a name."""
    policy, sources = read.policy, Sources(read)
    expectation = policy.expectation_for(name)
    if expectation.naming is not None:
        yield from _section(("naming",), expectation.naming, sources)
    yield from _namespace(policy, expectation.namespace, sources)
    for rule in RULES.values():
        mode = policy.mode_of(rule.id, expectation.namespace)
        if mode is not Mode.OFF and rule.applies(expectation):
            severity = policy.severity_of(rule.id, expectation.namespace) or rule.severity
            source = sources.of_rule(rule.id, expectation.namespace)
            yield Value(("rules", rule.id), {"mode": mode.value, "severity": severity.value}, source)
    holding = [
        (index, each)
        for index, each in enumerate(policy.exemptions)
        if now < each.ends and any(each.covers(name, rule) for rule in (*RULES, EVERY_RULE))
    ]
    if holding:
        where = ", ".join(sources.of(("exemptions", index)) for index, _ in holding)
        yield Value(("exemptions",), [_plain(each) for _, each in holding], where)


class Sources:
    """Where each value comes from: a line of the file, the preset, ROOT, or the default."""

    def __init__(self, read: Reading) -> None:
        self._read = read
        self._preset: Node | None = presets.root_of(read.policy.preset) if read.policy.preset else None

    def of(self, at: Place) -> str:
        """Say where a value comes from; several words where parts of it come from several places."""
        if holds(self._read.root, at):
            own = f"{self._read.source}:{place(self._read.root, at)[0]}"
            file = node_at(self._read.root, at).source
            return f"{own}, {file}" if file else own
        return self._beneath() if self._preset is not None and holds(self._preset, at) else DEFAULT

    def of_setting(self, prefix: str, key: str) -> str:
        """Say where a setting of a namespace comes from."""
        for spelt in (prefix, f"{prefix}/"):
            if (own := self.of(("namespaces", spelt, key))) != DEFAULT:
                return own
        root = self.of(("namespaces", ROOT, key)) if prefix != ROOT else DEFAULT
        return f"ROOT, {root}" if root != DEFAULT else DEFAULT

    def of_rule(self, rule_id: str, namespace: str) -> str:
        """Say where mode and severity of a rule in a namespace come from: from itself, from ROOT, from what holds for all."""
        return self._joined(rule_id, (*_own(namespace), _FOR_ALL))

    def of_own(self, rule_id: str, namespace: str) -> str:
        """The same, of what the namespace says itself."""
        return self._joined(rule_id, [place for place in _own(namespace) if not place[0]])

    def of_general(self, rule_id: str) -> str:
        """The same, of what holds for all namespaces."""
        return self._joined(rule_id, (_FOR_ALL,))

    def of_mode(self, rule_id: str, namespace: str) -> str:
        """Say what decides how far a rule goes in a namespace: a mode of its own, or that of the whole policy."""
        policy = self._read.policy
        if policy.setting_of(rule_id, namespace).mode is not policy.mode_of(rule_id, namespace):
            return self.of(("mode",))
        return next(words for words, said in self._rule(rule_id, (*_own(namespace), _FOR_ALL)) if "mode" in said)

    def _joined(self, rule_id: str, places: Sequence["_Speaking"]) -> str:
        sought, found = {"mode", "severity"}, list[str]()
        for words, said in self._rule(rule_id, places):
            if sought & said:
                found.append(words)
                sought -= said
        return ", over ".join(found) or DEFAULT

    def _rule(self, rule_id: str, places: Sequence["_Speaking"]) -> Iterator[tuple[str, set[str]]]:
        """Give each place that speaks of a rule, the nearest first, and what it says: mode, severity or both."""
        for before, at in places:
            for root in (self._read.root, self._preset):
                if root is not None and (said := _said(root, (*at, rule_id))):
                    own = root is self._read.root
                    yield before + (f"{self._read.source}:{place(root, (*at, rule_id))[0]}" if own else self._beneath()), said
                if root is not None and at != _FOR_ALL[1] and holds(root, at):
                    break  # a namespace's setting replaces the preset's whole

    def _beneath(self) -> str:
        return presets.source_of(self._read.policy.preset) if self._read.policy.preset else DEFAULT


_Speaking = tuple[str, Place]
_FOR_ALL: _Speaking = ("", ("rules",))


def _own(namespace: str) -> tuple[_Speaking, ...]:
    """Where a namespace's rules may stand, and those that it has from ROOT, with what is said before the line."""
    own = tuple[_Speaking, ...](("", ("namespaces", spelt, "rules")) for spelt in (namespace, f"{namespace}/"))
    return own if namespace == ROOT else (*own, ("ROOT, ", ("namespaces", ROOT, "rules")))


def _said(root: Node, at: Place) -> set[str]:
    """Give what a file says of a rule at a path: a plain word is its mode."""
    if not holds(root, at):
        return set()
    value = node_at(root, at).value
    return {key for key, each in value.items() if each is not None} if isinstance(value, dict) else {"mode"}


def _plain(value: Any) -> Any:
    """Give a value as a policy file says it."""
    if isinstance(value, BaseModel):
        shown = {field.alias or name: _plain(getattr(value, name)) for name, field in type(value).model_fields.items()}
        if isinstance(value, RetirementTerms):
            for key, stage in REACHED_FROM.items():
                if key not in value.model_fields_set and not reaches(value, stage):
                    del shown[key]  # a default without effect
        return {key: each for key, each in shown.items() if each is not None and each != []}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return _span(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _span(span: timedelta) -> str:
    if span % _DAY == timedelta(0):
        return f"{span // _DAY}d"
    return f"{span // _HOUR}h" if span % _HOUR == timedelta(0) else f"{span // timedelta(minutes=1)}m"


def as_yaml(values: list[Value]) -> str:
    """Write values as YAML, each with a comment that says where it comes from."""
    lines: list[str] = []
    above: Place = ()
    for each in values:
        *parents, key = each.at
        for depth, parent in enumerate(parents):
            if tuple(parents[: depth + 1]) != above[: depth + 1]:
                lines.append(f"{'  ' * depth}{_key(parent)}:")
        above = tuple(parents)
        lines += _lines(key, each, "  " * len(parents))
    return "".join(f"{line}\n" for line in lines)


def _lines(key: str | int, each: Value, indent: str) -> Iterator[str]:
    if isinstance(each.value, dict | list) and each.value:
        yield f"{indent}{_key(key)}:  # {each.source}"
        text = yaml.safe_dump(each.value, sort_keys=False, width=_WIDTH, allow_unicode=False)
        yield from (f"{indent}  {line}" for line in text.splitlines())
    else:
        yield f"{indent}{_key(key)}: {_scalar(each.value)}  # {each.source}"


def _key(key: str | int) -> str:
    return _scalar(str(key))


def _scalar(value: Any) -> str:
    text: str = yaml.safe_dump(value, width=10_000, allow_unicode=False)
    return text.removesuffix("\n").removesuffix("\n...")
