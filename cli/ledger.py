"""Findings and repositories, as the ledger of a deployment knows them."""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from cli.deployment import Deployment, refused
from cli.harmless import harmless
from cli.trouble import Exit, Trouble, check_output
from ecr_governor.adapters.ecr import EcrRegistry
from ecr_governor.app.errors import GovernorError
from ecr_governor.core.origin import Actor, Provenance, Push
from ecr_governor.core.record import RepositoryRecord, finding_as_data
from ecr_governor.core.repository import Fact, Repository, Unreadable
from ecr_governor.core.retirement.state import Retirement

STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "blue"}
STATES = ("open", "resolved", "exempt", "all")
SHOWN = frozenset({Fact.TAGS, Fact.LIFECYCLE_POLICY, Fact.REPOSITORY_POLICY, Fact.SCAN_FREQUENCY})


def list_findings(deployment: Deployment, repository: str | None, state: str, output: str) -> Exit:
    """Print findings; the exit code says whether any is open."""
    if state not in STATES:
        raise Trouble(f"there is no state {state}", f"a finding is {', '.join(STATES[:-1])}", f"--state {'|'.join(STATES)}")
    check_output(output, "table", "json")
    ledger = deployment.ledger()
    try:
        records = [ledger.read(repository)] if repository else list(ledger.all_records())
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
    if records == [None]:
        raise Trouble(f"the ledger does not know {repository}", "no event of it has been seen", "check the name")
    known = [finding_as_data(finding) for record in records if record for finding in record.findings]
    rows = sorted((row for row in known if state in ("all", row["state"])), key=lambda row: (row["repository"], row["rule"]))
    if output == "json":
        _print_json(rows)
    else:
        _findings_table(rows)
    if unknown := sum(len(record.undetermined) for record in records if record):
        sys.stderr.write(f"{unknown} verdicts are undetermined: a fact could not be read; see ecr-governor repository NAME\n")
    return Exit.VIOLATIONS if any(row["state"] == "open" for row in known) else Exit.CLEAN


def show_repository(deployment: Deployment, name: str, output: str) -> None:
    """Print what is known of one repository: facts as ECR has them now, the rest from the ledger."""
    check_output(output, "table", "json")
    try:
        ledger = deployment.ledger()
        record, noted = ledger.read(name), ledger.noted_push(name)
        facts = EcrRegistry(lambda: deployment.client("ecr")).read(name, SHOWN)
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
    if record is None and facts is None:
        raise Trouble(f"there is no repository {name}", "neither ECR nor the ledger knows it", "check the name", Exit.USAGE)
    shown = _as_data(name, record, noted, facts)
    if output == "json":
        _print_json(shown)
    else:
        _repository_page(shown)


def _as_data(name: str, record: RepositoryRecord | None, noted: Push | None, facts: Repository | None) -> dict[str, Any]:
    return {
        "repository": name,
        "exists": facts is not None,
        "facts": _facts(facts) if facts else None,
        **record_as_data(record, noted),
    }


def record_as_data(record: RepositoryRecord | None, noted: Push | None) -> dict[str, Any]:
    """Give what the ledger knows of one repository: where it came from, who pushed, whose it is, and what was found."""
    provenance = record.provenance if record else Provenance()
    pushes = [push.at for push in (provenance.last_push, noted) if push and record and not record.gone_at]
    return {
        "gone_at": _time(record.gone_at) if record else None,
        "origin": provenance.origin.value,
        "evidence": [
            {"seen": signal.seen, "points_to": [origin.value for origin in signal.points_to], "weight": signal.weight}
            for signal in provenance.evidence
        ],
        "creator": _actor(provenance.creation.actor if provenance.creation else None),
        "pusher": _actor(provenance.pusher),
        "first_push": _time(provenance.first_push.at) if provenance.first_push else None,
        "last_push": _time(max(pushes, default=None)),
        "owner": record.owner if record else None,
        "retirement": _retirement(record.retirement if record else None),
        "findings": [finding_as_data(finding) for finding in record.findings] if record else [],
        "undetermined": dict(record.undetermined) if record else {},
        "paused": {operation: at.isoformat() for operation, at in record.paused.items()} if record else {},
        "policy_hash": record.policy_hash if record else None,
        "ledger_entries": record.entries if record else 0,
    }


def _retirement(retirement: Retirement | None) -> dict[str, Any] | None:
    if retirement is None:
        return None
    until = retirement.not_before
    return {
        "stage": retirement.stage.value,
        "since": retirement.since.isoformat(),
        "delete_after": retirement.delete_after or None,
        "intended": retirement.intended.value if retirement.intended else None,
        "not_before": until.isoformat() if until else None,
    }


def _facts(facts: Repository) -> dict[str, Any]:
    return {
        "arn": facts.arn,
        "created_at": _time(facts.created_at),
        **_settings(facts),
        "tags": _readable(facts.tags),
        "lifecycle_policy": _document(facts.lifecycle_policy),
        "repository_policy": _document(facts.repository_policy),
        "scan_frequency": _readable(facts.scan_frequency),
    }


def _settings(facts: Repository) -> dict[str, Any]:
    mutability, encryption = facts.tag_mutability, facts.encryption
    return {
        "tag_mutability": _readable(mutability) if isinstance(mutability, Unreadable) else mutability.mutability.value,
        "tag_mutability_exclusion_filters": [] if isinstance(mutability, Unreadable) else sorted(mutability.exclusion_filters),
        "encryption": _readable(encryption) if isinstance(encryption, Unreadable) else encryption.type.value,
        "kms_key": None if isinstance(encryption, Unreadable) else encryption.kms_key,
    }


def _document(value: str | Unreadable | None) -> Any:
    if value is None or isinstance(value, Unreadable):
        return _readable(value)
    try:
        return json.loads(value)
    except ValueError:
        return value


def _readable(value: Any) -> Any:
    if isinstance(value, Unreadable):
        return {"unreadable": value.why}
    return dict(value) if isinstance(value, Mapping) else value


def _actor(actor: Actor | None) -> dict[str, str] | None:
    return {"name": actor.name, "arn": actor.arn, "account": actor.account, "type": actor.type} if actor else None


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _findings_table(rows: Sequence[Mapping[str, Any]]) -> None:
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if not rows:
        console.print("no findings")
        return
    for name, found in groupby(rows, key=lambda row: row["repository"]):
        console.print(harmless(name, style="bold"))
        for row in found:
            until = f" until {_minute(row['resolved_at'])}" if row["resolved_at"] else ""
            head = f"{row['severity']:<9}{row['rule']:<18}{row['state']} since {_minute(row['opened_at'])}{until}"
            _indented(console, harmless(head, style=STYLES.get(row["severity"], "") if row["state"] == "open" else "dim"), 2)
            _indented(console, harmless(row["reason"]), 11)
            if row["state"] == "exempt" and row["resolution"]:
                _indented(console, harmless(f"exempt {row['resolution']}"), 11)
    states = Counter(row["state"] for row in rows)
    console.print(Text("\n" + ", ".join(f"{count} {state}" for state, count in sorted(states.items()))))


def _indented(console: Console, text: Text, columns: int) -> None:
    """Print with an indent: wrapped below itself on a terminal, as one whole line elsewhere, where padding would crop it."""
    console.print(Text(" " * columns) + text if console.soft_wrap else Padding(text, (0, 0, 0, columns)))


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def _repository_page(shown: Mapping[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    console.print(harmless(shown["repository"], style="bold"))
    for label in ("origin", "creator", "pusher", "owner", "first_push", "last_push"):
        value = shown[label]
        text = value["arn"] if isinstance(value, dict) else value or "not known"
        console.print(harmless(f"  {label.replace('_', ' '):<12}{text}"))
    if retirement := shown["retirement"]:
        more = f", intends {retirement['intended']}" if retirement["intended"] else ""
        console.print(harmless(f"  retirement  {retirement['stage']} since {_minute(retirement['since'])}{more}"))
    if shown["evidence"]:
        console.print(Text("  evidence of the origin, by weight"))
    for signal in shown["evidence"]:
        console.print(harmless(f"    {signal['weight']} for {', '.join(signal['points_to'])}: {signal['seen']}", style="dim"))
    for label, value in (shown["facts"] or {"in ECR": "does not exist"}).items():
        text = json.dumps(value, ensure_ascii=False) if value and isinstance(value, dict | list) else str(value or "none")
        console.print(harmless(f"  {label.replace('_', ' '):<34}{text}"))
    for operation, since in shown["paused"].items():
        console.print(harmless(f"  {operation} is paused since {_minute(since)}: something else keeps changing it back"))
    for finding in shown["findings"]:
        console.print(harmless(f"  {finding['state']:<9}{finding['rule']} ({finding['severity']}): {finding['reason']}"))
        if finding["state"] == "exempt" and finding["resolution"]:
            console.print(harmless(f"           {finding['resolution']}"))
