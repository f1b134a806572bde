"""An explanation for people and for programs."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.explanation.given import Recorded
from cli.explanation.making import Explanation, RuleTold, age_of, days, states
from cli.explanation.outlook import Outlook
from cli.explanation.seen import Seen
from cli.policy.showing import Value
from ecr_governor.core.documents.problem import written
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.policy.model import Exemption
from ecr_governor.core.record import finding_as_data
from ecr_governor.core.remedy import as_data, describe
from ecr_governor.core.repository import Unreadable
from ecr_governor.core.retirement.decide import Weight
from ecr_governor.core.rules import naming

STYLES: Final = {"violation": "bold red", "exempt": "yellow", "undetermined": "magenta", "compliant": "green"}
QUIET: Final = ("off", "not asked")
MARKS: Final = {Weight.CONTRARY: "against", Weight.DOUBT: "in doubt", Weight.WAIT: "not yet", Weight.FOR: "holds"}
_LONG: Final = 160

_LABEL: Final = 9
_ORDER: Final = ("critical", "high", "medium", "low")


@dataclass(frozen=True, slots=True)
class Line:
    """One line for people; a label stands before it in a column of its own."""

    text: str
    style: str = ""
    indent: int = 0
    label: str = ""


def print_table(explanation: Explanation) -> None:
    """Print it for people: what is worst first, then what is fine, then what the policy does not ask for."""
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    for line in _lines(explanation):
        before = " " * line.indent + (f"{line.label:<{_LABEL}}" if line.label else "")
        told = Text(tidy(line.text), style=line.style)
        if console.soft_wrap or not before:
            console.print(Text(before, style=line.style) + told)
        else:
            # Wrapped below itself, the label in a column of its own.
            grid = Table.grid()
            grid.add_column(width=len(before))
            grid.add_column()
            grid.add_row(Text(before, style=line.style), told)
            console.print(grid)


def _lines(explanation: Explanation) -> Iterator[Line]:
    given = explanation.given
    repository, policy = given.repository, given.read.policy
    yield Line(repository.name, "bold")
    where = f"account {repository.account}, {repository.region}; namespace {explanation.namespace}"
    yield Line(f"{where}; owner {explanation.owner or 'not known'}", indent=2)
    off = "" if given.policy is policy else ": judged as in audit"
    yield Line(f"policy {given.read.source}, hash {policy.hash}, mode {policy.mode.value}{off}", indent=2)
    yield from (Line(text, indent=2) for text in states(explanation))
    yield from _recorded(explanation)
    yield from (Line(f"could not be read: {why}", "magenta", 2) for why in explanation.incomplete_because)
    # Of what nobody has made yet, and ECR would not make, a name alone is known.
    named_only = given.foreseen is not None and given.foreseen.template is None
    for verdict in STYLES:
        told = [rule for rule in explanation.rules if rule.verdict == verdict and (not named_only or rule.rule == naming.RULE.id)]
        for rule in sorted(told, key=lambda each: _ORDER.index(each.severity)):
            yield Line("")
            yield from _rule(rule, given.now)
    if named_only:
        yield Line("")
        yield Line("all else depends on how it is made", "dim")
    for verdict in QUIET:
        if quiet := [rule.rule for rule in explanation.rules if rule.verdict == verdict]:
            yield Line("")
            yield Line(f"{verdict}: {', '.join(quiet)}", "dim")
    if explanation.outlook:
        yield Line("")
        yield from _outlook(explanation.outlook)
    yield from _twins(explanation)


def _recorded(explanation: Explanation) -> Iterator[Line]:
    recorded = explanation.given.recorded
    if recorded is None:
        return
    record = explanation.given.record
    if record is None:
        gone = recorded.record.gone_at if recorded.record else None
        known = f"one of this name is gone since {gone:%Y-%m-%d}" if gone else "it does not know the repository"
        yield Line(f"ledger of {recorded.stack}: {known}", indent=2)
        return
    watched = f", watched since {record.watched_since:%Y-%m-%d}" if record.watched_since else ""
    looked = f", last changed by a look at {record.looked_at:%Y-%m-%d %H:%M}" if record.looked_at else ""
    count = "1 entry" if record.entries == 1 else f"{record.entries:,} entries"
    yield Line(f"ledger of {recorded.stack}: {count}{watched}{looked}, in mode {record.mode.value}", indent=2)
    if record.policy_hash and record.policy_hash != explanation.given.read.policy.hash:
        yield Line(f"the deployment judged it last by another policy, {record.policy_hash}", "yellow", 2)


def _rule(rule: RuleTold, now: datetime) -> Iterator[Line]:
    yield Line(f"{rule.verdict} · {rule.rule} · {rule.severity} · mode {rule.mode} ({rule.mode_source})", STYLES[rule.verdict])
    if rule.reason:
        yield Line(rule.reason, indent=2)
    for value in rule.asked:
        # What is left out and comes from nowhere asks for nothing.
        if value.value not in (False, [], {}):
            yield Line(f"{written(value.at[-1:])}: {_short(value.value)} ({value.source})", "dim", 2, "asked")
    for seen in rule.seen:
        note = f"; {seen.note}" if seen.note else ""
        yield Line(f"{seen.what}: {seen.value} ({seen.source}{_as_of(seen, now)}{note})", "dim", 2, "seen")
    if rule.exemption is not None:
        exemption = rule.exemption
        words = f"{exemption.match} until {exemption.expires}, {exemption.owner}: {exemption.reason}"
        yield Line(f"{words} ({rule.exemption_source})", "yellow", 2, "exempt")
    yield from (Line(describe(remedy), indent=2, label="remedy") for remedy in rule.remedies)
    if rule.follows:
        yield Line(rule.follows, indent=2, label="then")
    if rule.finding is not None:
        yield Line(age_of(rule.finding, now), indent=2, label="ledger")
    yield from (Line(text, "cyan", 2, "if") for text in rule.what_if)
    if rule.fix and not rule.remedies:
        yield Line(rule.fix, indent=2, label="do")


def _as_of(seen: Seen, now: datetime) -> str:
    if seen.at is None:
        return ""
    return ", read now" if seen.at == now else f", {seen.at:%Y-%m-%d %H:%M}, {_ago(seen.at, now)}"


def _ago(at: datetime, now: datetime) -> str:
    # This machine's clock may be behind AWS's.
    age = max(now - at, timedelta(0))
    if age.days:
        return f"{days(age.days)} ago"
    hours, rest = divmod(int(age.total_seconds()), 3600)
    return f"{hours} h ago" if hours else f"{rest // 60} min ago"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def _outlook(outlook: Outlook) -> Iterator[Line]:
    ways = ", ".join(f"{stage.value} on {at:%Y-%m-%d}" for stage, at in outlook.to_come)
    ahead = f"at the earliest {ways}" if ways else "nothing comes next by time alone"
    yield Line(f"retirement · {outlook.stage.value} · as {outlook.kind} · {ahead}", "bold")
    for why in outlook.withheld:
        yield Line(f"nothing goes forward: {why}", "yellow", 2)
    for reason in outlook.decision.reasons:
        style = "dim" if reason.weight is Weight.FOR else "yellow"
        yield Line(f"{reason.check}: {reason.seen}", style, 2, MARKS[reason.weight])
    yield from (Line(text, "cyan", 2, "if") for text in outlook.saves)
    if ways:
        yield from (Line(f"taken for granted: {text}", "dim", 2) for text in outlook.granted)


def _twins(explanation: Explanation) -> Iterator[Line]:
    names = explanation.given.names
    if isinstance(names, Unreadable):
        yield Line("")
        yield Line(f"whether other names look like it is not known: {names.why}", "magenta")
    elif explanation.twins:
        yield Line("")
        yield Line("looks like", "bold yellow")
        for twin in explanation.twins:
            letters = "1 letter" if twin.letters == 1 else f"{twin.letters} letters"
            yield Line(f"{twin.name}, which there is: {letters} apart", indent=2)


# --- for programs ---------------------------------------------------------------------------------------------------------------------


def print_json(explanation: Explanation) -> None:
    """Print it as one JSON object."""
    sys.stdout.write(json.dumps(as_object(explanation), indent=2, ensure_ascii=False) + "\n")


def as_object(explanation: Explanation) -> dict[str, Any]:
    """Give it as a JSON object. Times are ISO 8601 in UTC; `null` is none, or not known."""
    given = explanation.given
    repository, foreseen, recorded = given.repository, given.foreseen, given.recorded
    names = given.names
    return {
        "repository": repository.name,
        "exists": given.exists,
        "account": repository.account,
        "region": repository.region,
        "at": given.now.isoformat(),
        "created_at": repository.created_at.isoformat() if given.exists else None,
        "push": None
        if foreseen is None
        else {
            "creates": foreseen.template is not None,
            "template": foreseen.template,
            "refused": foreseen.refused,
            "unsure": foreseen.unsure,
        },
        "policy": {"file": given.read.source, "hash": given.read.policy.hash, "mode": given.read.policy.mode.value},
        "namespace": explanation.namespace,
        "owner": explanation.owner,
        "settings": [_value(value) for value in explanation.settings],
        "rules": [_rule_as_data(rule) for rule in explanation.rules],
        "retirement": _outlook_as_data(explanation.outlook),
        "looks_like": None
        if isinstance(names, Unreadable)
        else [{"repository": twin.name, "letters": twin.letters} for twin in explanation.twins],
        "ledger": _recorded_as_data(recorded) if recorded else None,
        "incomplete_because": list(explanation.incomplete_because),
    }


def _recorded_as_data(recorded: Recorded) -> dict[str, Any]:
    from cli.ledger import record_as_data  # noqa: PLC0415 - boto3 is heavy, and loaded where a ledger was read

    return {"stack": recorded.stack, **record_as_data(recorded.record, recorded.noted)}


def _value(value: Value) -> dict[str, Any]:
    return {"path": written(value.at), "value": value.value, "source": value.source}


def _rule_as_data(rule: RuleTold) -> dict[str, Any]:
    return {
        "rule": rule.rule,
        "verdict": rule.verdict,
        "mode": rule.mode,
        "mode_source": rule.mode_source,
        "severity": rule.severity or None,
        "reason": rule.reason or None,
        "asked": [_value(value) for value in rule.asked],
        "seen": [
            {
                "what": seen.what,
                "value": seen.value,
                "source": seen.source,
                "at": seen.at.isoformat() if seen.at else None,
                "note": seen.note,
            }
            for seen in rule.seen
        ],
        "exemption": _exemption(rule.exemption, rule.exemption_source),
        "remedies": [{**as_data(remedy), "words": describe(remedy)} for remedy in rule.remedies],
        "then": rule.follows or None,
        "what_if": list(rule.what_if),
        "fix": rule.fix or None,
        "finding": finding_as_data(rule.finding) if rule.finding else None,
    }


def _exemption(exemption: Exemption | None, source: str) -> dict[str, Any] | None:
    if exemption is None:
        return None
    return {
        "match": exemption.match,
        "rules": list(exemption.rules),
        "reason": exemption.reason,
        "owner": exemption.owner,
        "expires": exemption.expires.isoformat(),
        "source": source,
    }


def _outlook_as_data(outlook: Outlook | None) -> dict[str, Any] | None:
    from ecr_governor.app.retirement.recording import reasons_as_data  # noqa: PLC0415 - it brings along what tells people

    if outlook is None:
        return None
    return {
        "stage": outlook.stage.value,
        "kind": outlook.kind,
        "withheld": list(outlook.withheld),
        "reasons": reasons_as_data(outlook.decision),
        "to_come": [{"to": stage.value, "not_before": at.isoformat()} for stage, at in outlook.to_come],
        "saves": list(outlook.saves),
        "taken_for_granted": list(outlook.granted),
    }


OUTPUTS: Mapping[str, Callable[[Explanation], None]] = {"table": print_table, "json": print_json}
KNOWN: Sequence[str] = tuple(OUTPUTS)
