"""`ecr-governor ledger show` and `ledger verify`: what was decided over a repository, and whether the ledger can be relied on."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from cli.deployment import Deployment, refused
from cli.harmless import harmless
from cli.trouble import Exit, Trouble, check_output
from ecr_governor.adapters.ledger import POLICY, DynamoDbLedger
from ecr_governor.adapters.openings import REPORT
from ecr_governor.adapters.run_book import RETIREMENT
from ecr_governor.app.errors import GovernorError
from ecr_governor.app.retirement.cases import PEOPLE
from ecr_governor.core.messages.buttons import person
from ecr_governor.core.messages.text import counted
from ecr_governor.core.press import PRESS
from ecr_governor.core.record import Entry, RepositoryRecord, break_in
from ecr_governor.core.retirement.history import INTENT, OUTCOME, breaches
from ecr_governor.core.retirement.reported import REMINDER
from ecr_governor.core.sweep import LEDGER_NAME as SWEEPS

_OF_NO_FORM: Final = (KeyError, TypeError, ValueError)
"""What becomes of an item that nobody of us has written."""
CHAINS: Final = (SWEEPS, RETIREMENT, REPORT, POLICY)
"""What the ledger keeps beside the repositories' entries."""


def show(deployment: Deployment, name: str, output: str) -> Exit:
    """Print every entry of a repository, oldest first."""
    check_output(output, "table", "json")
    try:
        entries = list(deployment.ledger().entries(name))
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
    if not entries:
        raise _unknown(name)
    if output == "json":
        sys.stdout.write(json.dumps([asdict(entry) for entry in entries], indent=2, ensure_ascii=False) + "\n")
        return Exit.CLEAN
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    for entry in entries:
        at = str(entry.body.get("at", ""))[:16].replace("T", " ")
        console.print(harmless(f"{entry.number:>4}  {at:<16}  {entry.kind}", style="bold"))
        for line in _said(entry):
            console.print(harmless(f"      {line}"))
    return Exit.CLEAN


def verify(deployment: Deployment, name: str | None, output: str) -> Exit:
    """Check hash chains and the order of retirements, of everything or under one name; the exit code says whether anything is wrong."""
    check_output(output, "table", "json")
    ledger, found, repositories, checked = deployment.ledger(), list[dict[str, str]](), 0, 0
    try:
        for record in () if name in CHAINS else _records(ledger, name):
            entries, wrong = _checked(ledger, record)
            if wrong and (again := ledger.read(record.name)):
                # A look may have written between the two reads: the second time it counts.
                entries, wrong = _checked(ledger, again)
            repositories, checked = repositories + 1, checked + entries
            found += [{"repository": record.name, "what": what} for what in wrong]
        for chain in [each for each in CHAINS if name in {None, each}]:
            entries, broken = _unbroken(ledger, chain)
            if name and not entries and not broken:
                raise _unknown(name)
            checked += entries
            found += [{"repository": chain, "what": broken}] if broken else []
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
    if output == "json":
        document = {"repositories": repositories, "entries": checked, "breaches": found}
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    else:
        console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        for each in found:
            console.print(harmless(f"{each['repository']}: {each['what']}", style="red"))
        verdict = f"{len(found)} things are wrong" if found else "nothing is wrong"
        console.print(harmless(f"{repositories:,} repositories, {checked:,} entries: {verdict}"))
    return Exit.VIOLATIONS if found else Exit.CLEAN


def _checked(ledger: DynamoDbLedger, record: RepositoryRecord) -> tuple[int, list[str]]:
    """Count a repository's entries, and say what is wrong with them. One that cannot be understood keeps no other from being checked."""
    entries: list[Entry] = []
    try:
        entries += ledger.entries(record.name)
        return len(entries), list(breaches(record, entries, partial(ledger.told_at, record.name, channel=PEOPLE)))
    except _OF_NO_FORM as error:
        return len(entries), [_no_form(error)]


def _unbroken(ledger: DynamoDbLedger, name: str) -> tuple[int, str]:
    """Count the entries of a chain that is no repository's, and say where it is broken."""
    entries: list[Entry] = []
    broken = ""
    for _ in range(2):
        # As above: somebody may write between the two reads.
        entries.clear()
        try:
            known = ledger.chain(name)
            entries += ledger.entries(name)
            broken = break_in(known, entries)
        except _OF_NO_FORM as error:
            broken = _no_form(error)
        if not broken:
            break
    return len(entries), broken


def _no_form(error: Exception) -> str:
    return f"an entry is of no known form: {type(error).__name__}: {error}"


def _records(ledger: DynamoDbLedger, name: str | None) -> Iterator[RepositoryRecord]:
    if name is None:
        yield from ledger.all_records()
    elif record := ledger.read(name):
        yield record
    else:
        raise _unknown(name)


def _unknown(name: str) -> Trouble:
    return Trouble(f"the ledger does not know {name}", "no event of it has been seen, and no sweep found it", "check the name")


def _said(entry: Entry) -> Iterator[str]:
    body = entry.body
    if entry.kind in {INTENT, OUTCOME}:
        yield from _of_retirement(entry)
        return
    if entry.kind == PRESS:
        yield f"{person(body)} pressed {body['action']}, {body['result']}: {body['words']}"
    if trigger := body.get("trigger"):
        yield f"because of {trigger['event']}{' by ' + trigger['actor'] if trigger.get('actor') else ''}"
    if body.get("discovered"):
        yield "created" if body.get("created") else "first seen"
    if body.get("gone"):
        yield "gone"
    if entry.kind == REMINDER:
        yield f"{counted(body['working_days'], 'working day')} left, then {body['to']}, not before {body['delete_after']}"
    for key, word in (("opened", "opened"), ("changed", "changed"), ("exempted", "exempt"), ("resolved", "resolved")):
        yield from (f"{word} {finding['rule']} ({finding['severity']}): {finding['reason']}" for finding in _listed(body, key))
    for outcome in _listed(body, "outcomes"):
        yield f"{outcome['words']}: {outcome['status']}{', ' + outcome['why'] if outcome['why'] else ''}"
    for remedy in body.get("remedies", ()):
        yield f"intends {remedy['action']}"


def _of_retirement(entry: Entry) -> Iterator[str]:
    body = entry.body
    verb = "intends" if entry.kind == INTENT else "stays, intending" if body.get("intended") else "reached"
    yield f"{verb} {body.get('intended') or body['to']}, from {body['from']}{': ' + body['why'] if body.get('why') else ''}"
    for reason in body["reasons"]:
        yield f"  {reason['weight']:<9}{reason['check']}: {reason['seen']}"


def _listed(body: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    found = body.get(key, ())
    return found if isinstance(found, list) else ()
