"""`ecr-governor policy backtest`: what a policy would have done to a registry in the time of which CloudTrail's records tell."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from cli.backtest.history import NO_READS, NO_READS_THEN, NO_RECORD, Gap, History, Knowledge, knowledge_of
from cli.backtest.objects import Address, ahead, objects_at
from cli.backtest.playing import Fate, play
from cli.backtest.printing import OUTPUTS, headline, show
from cli.backtest.reading import Progress, files_below, read_files, read_pages
from cli.backtest.registry import Registry
from cli.backtest.repository import Setting, Wish
from cli.backtest.result import Result, plays_nothing, summed_up
from cli.policy import files, inventory
from cli.policy.inventory import Line
from cli.trouble import Exit, Trouble, check_output
from cli.whole_file import write_whole
from ecr_governor.core.policy.model import Mode, Policy

STATE_VERSION: Final = 1
SAVE_EVERY: Final = 30.0
"""Seconds between two times at which what was read is kept."""
LOOKED_UP: Final = timedelta(days=90)
"""How far back CloudTrail's event history goes (CloudTrail user guide)."""
HUNDRED: Final = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for on the command line. `events` is None to look records up in the event history."""

    policy_path: Path
    events: Path | Address | None
    inventory_path: Path | None = None
    account: str | None = None
    region: str | None = None
    stack: str = "ecr-governor"
    state: Path | None = None
    enforce: bool = False
    complete: bool = False
    delay: int = 60
    watched_since: datetime | None = None
    max_regret: float | None = None
    output: str = "table"
    quiet: bool = False
    endpoint_url: str | None = None
    profile: str | None = None


def run(asked: Asked) -> Exit:
    """Play the past and print what came of it. Exit code 1 if more was regretted than may be, 3 if the records are not whole."""
    check_output(asked.output, *OUTPUTS)
    if asked.account is not None and not re.fullmatch(r"[0-9]{12}", asked.account):
        raise Trouble(f"{asked.account!r} is no account id", "it has twelve digits", "--account 123456789012")
    policy = files.read(asked.policy_path)
    if asked.enforce:
        policy = policy.in_mode(Mode.ENFORCE)
    result = backtest(asked, policy)
    if asked.output == "table" and sys.stdout.isatty():
        show(result, Console(highlight=False))
    else:
        sys.stdout.write(OUTPUTS[asked.output](result))
    if asked.output == "json":
        sys.stderr.write(f"{headline(result)}\n")
        sys.stderr.write(f"{note}\n" if (note := plays_nothing(policy)) else "")
    return _exit_code(asked, result)


def _exit_code(asked: Asked, result: Result) -> Exit:
    rate = result.regret.rate
    if asked.max_regret is not None and rate is not None and rate * HUNDRED > asked.max_regret:
        sys.stderr.write(f"{rate:.1%} of what went into quarantine was wanted later, --max-regret is {asked.max_regret:g}\n")
        return Exit.VIOLATIONS
    if result.incomplete:
        gaps = len(result.knowledge.gaps)
        counted = "1 gap" if gaps == 1 else f"{gaps:,} gaps"
        sys.stderr.write(f"the records are not whole: {counted}; what they hide is not known, and not taken as fine\n")
        sys.stderr.write(f"  do:  {'; '.join(_filled_by(result.knowledge.gaps))}\n")
        return Exit.INCOMPLETE
    return Exit.CLEAN


def _filled_by(gaps: Iterable[Gap]) -> Iterator[str]:
    """Say what would fill the gaps."""
    why = {gap.why for gap in gaps}
    if why & {NO_RECORD, NO_READS_THEN}:
        yield "--complete, if on days of which nothing is told nothing happened"
    if NO_READS in why:
        yield "have the trail log read events, which tell who pulls"
    if why - {NO_RECORD, NO_READS_THEN, NO_READS}:
        yield "bring what is missing, as the gaps name it"


def backtest(asked: Asked, policy: Policy) -> Result:
    """Read all records, and play every repository. Raises Trouble."""
    history = History(ours=partial(_is_ours, asked.stack))
    lines = _lines(asked)
    _choose(history, asked, lines)
    source = str(asked.events) if asked.events else f"the event history of {asked.region or 'the Region'}"
    _read(history, asked, source)
    if not history.first or history.place is None:
        if history.gaps and not history.records and not history.left_out:
            gap, do = history.gaps[0], "give what a trail puts into S3, what LookupEvents answers, or events as EventBridge delivers them"
            raise Trouble(f"{source} holds no records of CloudTrail's", f"{gap.where}: {gap.why}", do)
        what = f"of {history.place[0]} in {history.place[1]}" if history.place else "of Amazon ECR"
        others = f"; there are records of {', '.join(sorted(history.left_out))}" if history.left_out else ""
        raise Trouble(
            f"there is no record {what}", f"{history.records:,} records were read{others}", "check --events, --account and --region"
        )
    knowledge = knowledge_of(history, complete=asked.complete or asked.events is None)
    known = {line.repository.name: line for line in lines if line.place in {history.place, ("", "")}}
    fates = _fates(history, knowledge, known, policy, asked)
    counts = (history.records, history.of_ecr)
    return summed_up(fates, policy, history.place, knowledge, counts, dict(history.left_out))


def _is_ours(stack: str, role: str) -> bool:
    """Whether a role is one of the deployed system's: CloudFormation begins its name with the stack's."""
    return role.startswith(f"{stack}-")


def _lines(asked: Asked) -> list[Line]:
    return list(inventory.read(asked.inventory_path)) if asked.inventory_path else []


def _choose(history: History, asked: Asked, lines: list[Line]) -> None:
    """Say which registry is meant, if that is known before anything is read."""
    places = {line.place for line in lines} - {("", "")}
    if asked.account and asked.region:
        history.place, history.chosen = (asked.account, asked.region), True
    elif len(places) == 1 and not asked.account:
        history.place, history.chosen = next(iter(places)), True
    elif asked.account:
        raise Trouble("--account alone names no registry", "there is one for each Region", f"--account {asked.account} --region eu-west-1")


def _fates(history: History, knowledge: Knowledge, known: dict[str, Line], policy: Policy, asked: Asked) -> Iterator[Fate]:
    account, region = history.place or ("", "")
    since = asked.watched_since.replace(tzinfo=UTC) if asked.watched_since else None
    wish = Wish(timedelta(seconds=asked.delay), since)
    setting = Setting(account, region, policy, knowledge, Registry(history.registry), history.actors, wish)
    names = sorted({*(name for name, past in history.pasts.items() if past.existed), *known})
    progress = Progress(len(names))
    with _shown(progress, "playing", quiet=asked.quiet):
        for name in names:
            progress.done += 1
            # What was played is not needed any more.
            yield play(name, history.pasts.pop(name, None), known.get(name), setting)


# --- reading, and going on from where it was interrupted ------------------------------------------------------------------------------


def _read(history: History, asked: Asked, source: str) -> None:
    read: set[str] = set()
    done = _go_on(history, read, asked, source)
    keep = _Keeper(history, read, asked.state, source)
    progress = Progress()
    try:
        with _shown(progress, "reading", quiet=asked.quiet):
            if isinstance(asked.events, Address):
                _read_bucket(asked.events, history, read, asked, progress, keep.now_and_then)
            elif asked.events is not None:
                read_files(files_below(asked.events), history, read, progress, keep.now_and_then)
            elif not done:
                _look_up(history, asked, progress, keep.now_and_then)
    except KeyboardInterrupt:
        keep.now(done=False)
        do = f"run it again, it goes on from {asked.state}" if asked.state else "give --state FILE, and it can go on where it was"
        raise Trouble("it was interrupted", f"{history.records:,} records were read", do, Exit.INCOMPLETE) from None
    except Trouble:
        keep.now(done=False)
        raise
    keep.now(done=True)


def _read_bucket(address: Address, history: History, read: set[str], asked: Asked, progress: Progress, saved: Callable[[], None]) -> None:
    """Read a trail's files from where the trail puts them."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy, and only here

    from cli.deployment import Deployment, refused  # noqa: PLC0415 - boto3 is heavy
    from ecr_governor.adapters.trail_bucket import TrailBucket  # noqa: PLC0415 - only here
    from ecr_governor.app.errors import GovernorError, Throttled  # noqa: PLC0415 - only here

    client = Deployment(asked.stack, asked.endpoint_url, asked.region, asked.profile).client("s3")
    try:
        read_files(objects_at(address, TrailBucket(client, address.bucket)), history, read, progress, saved, ahead)
    except (ClientError, BotoCoreError, GovernorError) as error:
        if isinstance(error, Throttled):
            do = "run it again; with --state FILE it goes on where it was"
            raise Trouble(f"{address} could not be read to its end", str(error), do, Exit.INCOMPLETE) from error
        if isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchBucket":
            raise Trouble(f"there is no bucket {address.bucket}", "S3 knows none of that name", "check --events") from error
        raise refused(error) from error


def _look_up(history: History, asked: Asked, progress: Progress, saved: Callable[[], None]) -> None:
    """Read the event history, newest first; what was read already is not asked for again."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy, and only here

    from cli.deployment import Deployment, refused  # noqa: PLC0415 - boto3 is heavy
    from ecr_governor.adapters.creation_history import CloudTrailHistory  # noqa: PLC0415 - only here
    from ecr_governor.app.errors import GovernorError  # noqa: PLC0415 - only here
    from ecr_governor.events import creation_in_record  # noqa: PLC0415 - only here

    deployment = Deployment(asked.stack, asked.endpoint_url, asked.region, asked.profile)
    try:
        client = deployment.client("cloudtrail")
        account, now = deployment.account_and_time()
        history.place, history.chosen = (account, str(client.meta.region_name)), True
        until = datetime.fromisoformat(history.first) if history.first else now
        looked = CloudTrailHistory(lambda: client, partial(creation_in_record, account=account))
        read_pages(looked.pages("EventSource", "ecr.amazonaws.com", now - LOOKED_UP, until), history, progress, saved)
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error


class _Keeper:
    """Keeps what was read in a file, so that it can go on from there."""

    def __init__(self, history: History, read: set[str], path: Path | None, source: str) -> None:
        self._history, self._read, self._path, self._source = history, read, path, source
        self._last = time.monotonic()

    def now_and_then(self) -> None:
        """Keep it, if that was not done lately."""
        if time.monotonic() - self._last >= SAVE_EVERY:
            self.now(done=False)

    def now(self, *, done: bool) -> None:
        """Keep it."""
        self._last = time.monotonic()
        if self._path is None:
            return
        state = {
            "version": STATE_VERSION,
            "source": self._source,
            "done": done,
            "read": sorted(self._read),
            "history": self._history.as_data(),
        }
        write_whole(self._path, json.dumps(state, separators=(",", ":"), ensure_ascii=False))


def _go_on(history: History, read: set[str], asked: Asked, source: str) -> bool:
    """Take up what an earlier run has kept; give whether it had come to its end."""
    path = asked.state
    if path is None or not path.exists():
        return False
    do = f"remove {path}, or name another file"
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, kept = state["version"], state["source"]
        if version == STATE_VERSION and kept == source:
            chosen = history.place if history.chosen else None
            history.go_on_from(state["history"])
            if chosen is None or chosen == history.place:
                read |= set(state["read"])
                return bool(state["done"])
            kept = f"{source} for {' in '.join(history.place or ())}"
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise Trouble(f"{path} keeps no state of a backtest", str(error), do) from error
    if version != STATE_VERSION:
        raise Trouble(f"{path} is of another release", f"its version is {version}, not {STATE_VERSION}", do)
    raise Trouble(f"{path} is of other records", f"it was read from {kept}", do)


@contextmanager
def _shown(progress: Progress, doing: str, *, quiet: bool) -> Iterator[None]:
    """Show on a terminal how far it is."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[where]}"),
    )
    with _Live(progress, columns, doing):
        yield


class _Live(Bar):
    """A bar that asks how far it is whenever it is drawn, and vanishes in the end."""

    def __init__(self, progress: Progress, columns: tuple[Any, ...], doing: str) -> None:
        self._progress = progress
        super().__init__(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False)
        self._bar = self.add_task(doing, total=None, where="")

    def get_renderables(self) -> Any:
        """Draw it as it is now."""
        if self.task_ids:
            progress = self._progress
            where = progress.where[-40:] if progress.total else f"{progress.done:,} records"
            self.update(self._bar, total=progress.total, completed=progress.done, where=where)
        yield from super().get_renderables()
