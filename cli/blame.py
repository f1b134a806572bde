"""`ecr-governor ledger blame`: who last set each setting of a repository, when, and by which event or remedy of ours."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.backtest.history import ECR, History
from cli.backtest.reading import Progress, files_below, read_files
from cli.deployment import Deployment, refused
from cli.trouble import Exit, Trouble, check_output
from ecr_governor.adapters.creation_history import CloudTrailHistory
from ecr_governor.adapters.ecr import EcrRegistry
from ecr_governor.app.errors import GovernorError, Rejected
from ecr_governor.core.documents.names import is_repository_name
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.record import Entry, RepositoryRecord
from ecr_governor.core.repository import Fact, Unreadable
from ecr_governor.core.retirement.history import OUTCOME
from ecr_governor.core.retirement.snapshot import DELETE_AFTER, STATE
from ecr_governor.core.retirement.state import Stage
from ecr_governor.events import Recorded, creation_in_record, recorded

LIFECYCLE, POLICY, MUTABILITY, SCANNING = "lifecycle policy", "repository policy", "tag mutability", "scanning"
SETTINGS: Final = (LIFECYCLE, POLICY, MUTABILITY, SCANNING)
"""What every repository has; each of its tags is a setting of its own."""
TAG: Final = "tag "
US: Final = "ECR Governor"
LOOKED_UP: Final = timedelta(days=90)
"""How far back CloudTrail's event history goes (CloudTrail user guide)."""
WIDTH: Final = 80
_OF_EVENT: Final = {
    "PutLifecyclePolicy": LIFECYCLE,
    "DeleteLifecyclePolicy": LIFECYCLE,
    "SetRepositoryPolicy": POLICY,
    "DeleteRepositoryPolicy": POLICY,
    "PutImageTagMutability": MUTABILITY,
    "PutImageScanningConfiguration": SCANNING,
}
_TAGGING: Final = frozenset({"TagResource", "UntagResource"})
CREATE: Final = "CreateRepository"
_EVENT: Final = "event "
EVENTS: Final = (CREATE, *_OF_EVENT, *sorted(_TAGGING))
_NOT_OURS: Final = "not known: no entry of the ledger tells of it; --events or --lookup may"


@dataclass(frozen=True, slots=True)
class Doing:
    """Somebody set something. `source` is the entry of the ledger or the event that tells of it.

    `rank` orders what has the same time: a creation first, then what others did, then what we made of it.
    """

    setting: str
    at: datetime
    by: str
    what: str
    source: str
    rank: int = 0


def of_ledger(record: RepositoryRecord | None, entries: Iterable[Entry]) -> Iterator[Doing]:
    """Give all that the ledger tells: what caused a look, what was put right, and what a retirement did."""
    creation = record.provenance.creation if record else None
    if creation is not None:
        yield from _at_creation(creation.at, creation.actor.name, f"{_EVENT}{creation.event_id}")
    for entry in entries:
        at, source = _moment(entry.body.get("at")), f"ledger entry {entry.number}"
        if at is None:
            continue
        if entry.kind == OUTCOME:
            yield from _of_retirement(entry, at, source)
            continue
        trigger = entry.body.get("trigger") or {}
        event, actor = str(trigger.get("event", "")), str(trigger.get("actor", ""))
        if event in _OF_EVENT and actor:
            # The event came before the look, and what the look put right after it.
            yield Doing(_OF_EVENT[event], at, actor, event, source)
        for outcome in entry.body.get("outcomes", ()):
            if outcome.get("status") == "applied":
                because = f", because of {event}{f' by {actor}' if actor else ''}" if event else ""
                yield from _of_remedy(outcome["remedy"], at, f"{outcome['words']}{because}", source)


def _at_creation(at: datetime, by: str, source: str) -> Iterator[Doing]:
    yield from (Doing(setting, at, by, CREATE, source, -1) for setting in SETTINGS)


def _of_remedy(remedy: Mapping[str, Any], at: datetime, words: str, source: str) -> Iterator[Doing]:
    if setting := _OF_EVENT.get(str(remedy.get("action"))):
        yield Doing(setting, at, US, words, source, 1)
        return
    after = remedy.get("after")
    yield from (Doing(f"{TAG}{key}", at, US, words, source, 1) for key in (after if isinstance(after, dict) else ()))


def _of_retirement(entry: Entry, at: datetime, source: str) -> Iterator[Doing]:
    """A mark and its end are tags of ours, a quarantine and its end change the repository policy."""
    to, before = str(entry.body.get("to", "")), str(entry.body.get("from", ""))
    if entry.body.get("intended"):
        return
    words = f"retirement, from {before} to {to}"
    if to != Stage.DELETED.value:
        yield Doing(f"{TAG}{STATE}", at, US, words, source, 1)
    if to in {Stage.MARKED.value, Stage.OBSERVED.value}:
        yield Doing(f"{TAG}{DELETE_AFTER}", at, US, words, source, 1)
    was_in_quarantine = before in {Stage.QUARANTINED.value, Stage.ARCHIVED.value}
    if to == Stage.QUARANTINED.value or (to == Stage.OBSERVED.value and was_in_quarantine):
        yield Doing(POLICY, at, US, words, source, 1)


def of_record(found: Recorded, stack: str) -> Iterator[Doing]:
    """Give what a CloudTrail record tells; nothing if the call failed. The roles of the stack are ourselves."""
    if found.error:
        return
    source = f"{_EVENT}{found.event_id}"
    ours = found.actor.session_issuer.rpartition("/")[2].startswith(f"{stack}-")
    by = US if ours else found.actor.name
    if found.event == CREATE:
        yield from _at_creation(found.at, by, source)
        yield from (Doing(f"{TAG}{key}", found.at, by, CREATE, source, -1) for key in _keys(found.request.get("tags")))
    elif found.event in _TAGGING:
        keys = found.request.get("tagKeys") if found.event == "UntagResource" else None
        named = [str(key) for key in keys] if isinstance(keys, list) else _keys(found.request.get("tags"))
        yield from (Doing(f"{TAG}{key}", found.at, by, found.event, source) for key in named)
    elif found.event in _OF_EVENT:
        yield Doing(_OF_EVENT[found.event], found.at, by, found.event, source)


def _keys(tags: Any) -> list[str]:
    return [str(each.get("Key", each.get("key", ""))) for each in tags if isinstance(each, dict)] if isinstance(tags, list) else []


def last_of(doings: Iterable[Doing]) -> dict[str, Doing]:
    """Give for each setting what was done to it last. Of what we did ourselves the ledger tells more than an event does."""
    known = tuple(doings)
    ours = {each.setting for each in known if each.by == US and not each.source.startswith(_EVENT)}
    told = (each for each in known if not (each.by == US and each.source.startswith(_EVENT) and each.setting in ours))
    last: dict[str, Doing] = {}
    for each in sorted(told, key=lambda doing: (doing.at, doing.rank)):
        last[each.setting] = each
    return last


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
    except ValueError:
        return None


# --- CloudTrail's records -------------------------------------------------------------------------------------------------------------


@dataclass
class _OfOne(History):
    """Reads records for what they tell of one repository, and keeps nothing else."""

    name: str = ""
    stack: str = ""
    doings: list[Doing] = field(default_factory=list)

    def take(self, record: Mapping[str, Any]) -> None:
        """Take a record in. Raises Rejected for what is none."""
        if record.get("eventName") not in EVENTS or record.get("eventSource") != ECR:
            return
        account = self._here(record, of_ecr=True)
        if account is not None and (found := recorded(record, account)).repository == self.name:
            self.doings += of_record(found, self.stack)


def _from_files(path: Path, name: str, stack: str, place: tuple[str, str]) -> _OfOne:
    """Read a trail's files."""
    found = _OfOne(ours=lambda _: False, place=place, chosen=True, name=name, stack=stack)
    read_files(files_below(path), found, set(), Progress(), lambda: None)
    return found


def _looked_up(client: Any, name: str, stack: str, account: str, now: datetime) -> Iterator[Doing]:
    """Ask the event history for each kind of event, newest first, until each has told of the repository."""
    history = CloudTrailHistory(lambda: client, partial(creation_in_record, account=account))
    for event in EVENTS:
        for page in history.pages("EventName", event, now - LOOKED_UP, now):
            told = [doing for text in page for doing in _of_text(text, name, stack, account)]
            yield from told
            if told and event not in _TAGGING:
                break


def _of_text(text: str, name: str, stack: str, account: str) -> Iterator[Doing]:
    try:
        record = json.loads(text)
        if record.get("eventSource") != ECR:
            return
        found = recorded(record, account)
    except (ValueError, AttributeError, Rejected):
        # What cannot be read tells nothing of this repository.
        return
    if found.repository == name:
        yield from of_record(found, stack)


# --- the command ----------------------------------------------------------------------------------------------------------------------


def run(deployment: Deployment, name: str, output: str, events: Path | None = None, *, lookup: bool = False) -> Exit:
    """Print who last set what. Exit code 3 if records could not be read."""
    check_output(output, "table", "json")
    if not is_repository_name(name):
        raise Trouble(f"{name!r} is no repository name", "ECR takes a-z, 0-9 and single . _ - / between them", "check the name")
    gaps: list[str] = []
    try:
        ledger = deployment.ledger()
        record, entries = ledger.read(name), list(ledger.entries(name))
        doings = list(of_ledger(record, entries))
        present = EcrRegistry(lambda: deployment.client("ecr")).read(name, frozenset({Fact.TAGS}))
        if events is not None or lookup:
            trail = deployment.client("cloudtrail")
            account, now = deployment.account_and_time()
        if events is not None:
            read = _from_files(events, name, deployment.stack, (account, str(trail.meta.region_name)))
            doings += read.doings
            gaps = [f"{gap.where}: {gap.why}" for gap in read.gaps]
        if lookup:
            doings += _looked_up(trail, name, deployment.stack, account, now)
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
    if record is None and not doings:
        raise Trouble(f"the ledger does not know {name}", "no event of it has been seen, and no sweep found it", "check the name")
    tags = present.tags if present else {}
    if isinstance(tags, Unreadable):
        gaps.append(f"the tags that {name} has: {tags.why}")
        tags = {}
    last: dict[str, Doing | None] = {f"{TAG}{key}": None for key in tags} | last_of(doings)
    if output == "json":
        sys.stdout.write(json.dumps(_as_data(name, last, gaps), indent=2, ensure_ascii=False) + "\n")
    else:
        _print(name, last)
    for gap in gaps:
        sys.stderr.write(f"not read: {tidy(gap)}\n")
    return Exit.INCOMPLETE if gaps else Exit.CLEAN


def _rows(last: Mapping[str, Doing | None]) -> list[tuple[str, Doing | None]]:
    tags = sorted(setting for setting in last if setting not in SETTINGS)
    return [(setting, last.get(setting)) for setting in (*SETTINGS, *tags)]


def _as_data(name: str, last: Mapping[str, Doing | None], gaps: list[str]) -> dict[str, Any]:
    settings = [
        {"setting": setting, "at": doing.at.isoformat(), "by": doing.by, "what": doing.what, "source": doing.source}
        if doing
        else {"setting": setting, "at": None, "by": None, "what": None, "source": None}
        for setting, doing in _rows(last)
    ]
    return {"repository": name, "settings": settings, "gaps": gaps}


def _print(name: str, last: Mapping[str, Doing | None]) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    console.print(Text(name, style="bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in ("Setting", "Last set", "By", "How"):
        table.add_column(column, overflow="fold")
    for setting, doing in _rows(last):
        if doing is None:
            table.add_row(Text(tidy(setting)), "", "", Text(_NOT_OURS, style="dim"))
        else:
            how = f"{tidy(doing.what)} ({tidy(doing.source)})"
            table.add_row(Text(tidy(setting)), Text(f"{doing.at:%Y-%m-%d %H:%M}"), Text(tidy(doing.by)), Text(how))
    console.print(table)
