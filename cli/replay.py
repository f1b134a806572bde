"""`ecr-governor replay`: what one event would lead to. It goes through the use cases of the deployed functions, and writes nothing."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from cli.deployment import Deployment, refused
from cli.options import POLICY_HERE
from cli.policy import files, inventory
from cli.policy.inventory import Line
from cli.trouble import Exit, Trouble, check_output
from ecr_governor.adapters.ecr import EcrRegistry
from ecr_governor.adapters.policy_store import S3PolicySource
from ecr_governor.app.errors import GovernorError, Rejected
from ecr_governor.app.ports import Ledger, PolicyInForce, PolicySource
from ecr_governor.app.pushes import take_note
from ecr_governor.app.reconcile import Services, reconcile
from ecr_governor.app.sighting import judging
from ecr_governor.core.evaluate import Evaluation, evaluate
from ecr_governor.core.foreign_text import tidy
from ecr_governor.core.origin import AutomaticCreation, Origin, Provenance, Push, Signal
from ecr_governor.core.policy.model import Mode, Policy
from ecr_governor.core.record import RELEASE_ASKED, Change, Entry, RepositoryRecord, change_as_data
from ecr_governor.core.remedy import (
    Outcome,
    OutcomeStatus,
    Remedy,
    after,
    describe,
)
from ecr_governor.core.repository import Fact, Repository, Unreadable
from ecr_governor.core.verdict import Compliant, Undetermined, Violation
from ecr_governor.events import API_CALL, NATIVE_ORIGIN, REFUSALS, SIZE_LIMIT, Happening, parse, parse_refusal

WIDTH: Final = 80
OF_IMAGES: Final = frozenset({"PutImage", "BatchDeleteImage", *NATIVE_ORIGIN})
"""Events that `image_events` takes first; it hands on what needs a look."""
RELEASES: Final = "releases"
REFUSED: Final = frozenset(
    {
        "BatchCheckLayerAvailability",
        "BatchGetImage",
        "CompleteLayerUpload",
        "GetDownloadUrlForLayer",
        "InitiateLayerUpload",
        "PutImage",
        "UploadLayerPart",
    }
)
"""Calls whose refusal the function `releases` takes, as the template's rule has them."""
_DECIDED: Final = "the inventory says so"
_OUTWEIGHS: Final = 100
"""An inventory's origin was weighed when all was known of it; one event alone tells less."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What an event would lead to. `looked`: the repository would be looked at; without it a push is only noted.

    `place` is where it was asked what is known of the repository.
    """

    happening: Happening
    function: str
    looked: bool
    repository: Repository | None = None
    evaluation: Evaluation | None = None
    change: Change | None = None
    place: str = "the ledger"

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What would be put right."""
        return tuple(outcome.remedy for outcome in self.change.outcomes) if self.change else ()


# --- a world that takes nothing -------------------------------------------------------------------------------------------------------


class _Readable(Protocol):
    """As much of a registry as is read."""

    def read(self, name: str, facts: frozenset[Fact], idle_since: datetime | None = None) -> Repository | None:
        """Read a repository; None if there is none."""

    def automatic_creation(self) -> AutomaticCreation:
        """Tell how the registry makes repositories by itself."""


@dataclass
class _Untouched:
    """A registry that is read, and in which remedies are only imagined."""

    real: _Readable
    seen: Repository | None = None
    done: list[Remedy] = field(default_factory=list)

    def read(self, name: str, facts: frozenset[Fact], idle_since: datetime | None = None) -> Repository | None:
        found = self.real.read(name, facts, idle_since)
        self.seen = self.seen or found
        if found is None:
            return None
        for remedy in self.done:
            found = after(found, remedy)
        return found

    def automatic_creation(self) -> AutomaticCreation:
        return self.real.automatic_creation()

    def apply(self, repository: Repository, remedy: Remedy) -> Outcome:  # noqa: ARG002 - the port's form
        self.done.append(remedy)
        return Outcome(remedy, OutcomeStatus.APPLIED)


class _Notebook:
    """A ledger that is read, and whose pages are written on a sheet that is thrown away."""

    def __init__(self, real: "Ledger | None", *records: RepositoryRecord) -> None:
        self._real = real
        self._records = {record.name: record for record in records}
        self._pushes: dict[str, Push] = {}

    def read(self, name: str) -> RepositoryRecord | None:
        if name in self._records or self._real is None:
            return self._records.get(name)
        return self._real.read(name)

    def write(self, record: RepositoryRecord, entry: Entry | None = None) -> RepositoryRecord:  # noqa: ARG002 - the port's form
        self._records[record.name] = replace(record, version=record.version + 1)
        return self._records[record.name]

    def note_push(self, name: str, push: Push) -> None:
        self._pushes[name] = push

    def noted_push(self, name: str) -> Push | None:
        return self._pushes.get(name) or (self._real.noted_push(name) if self._real else None)

    def note_policy(self, version: str, problem: str | None, at: datetime) -> bool:  # noqa: ARG002 - the port's form
        return False

    def last_good_policy(self) -> str | None:
        return self._real.last_good_policy() if self._real else None


@dataclass(frozen=True, slots=True)
class _OfInventory:
    """A registry as an inventory has it, for one repository's sake."""

    lines: Mapping[str, Line]
    name: str

    def read(self, name: str, facts: frozenset[Fact], idle_since: datetime | None = None) -> Repository | None:  # noqa: ARG002 - the port's form
        line = self.lines.get(name)
        return line.repository if line else None

    def automatic_creation(self) -> AutomaticCreation:
        templates = next((line.repository.creation_templates for line in self.lines.values()), Unreadable("the inventory is empty"))
        prefixes = None
        if not isinstance(templates, Unreadable):
            prefixes = tuple(each.prefix for each in templates if "CREATE_ON_PUSH" in each.applied_for)
        # Of the cache rules an inventory tells of each repository whether it may come from one, and not by which.
        line = self.lines.get(self.name)
        caches = None if line is None or line.repository.provenance.may_be_cache else ()
        return AutomaticCreation(prefixes, caches)


@dataclass(frozen=True, slots=True)
class _OneFile:
    """A policy file from disk."""

    policy: Policy

    def current(self, now: datetime) -> PolicyInForce:  # noqa: ARG002 - the port's form
        return PolicyInForce(self.policy, self.policy.hash)


# --- the use case ---------------------------------------------------------------------------------------------------------------------


def replay(
    body: str,
    account: str,
    region: str,
    registry: _Readable,
    ledger: Ledger,
    policies: PolicySource,
    now: datetime,
    *,
    pushed: frozenset[str] = frozenset(),
) -> Replayed | None:
    """Take one event as the functions would; None if it tells of nothing that happened. Raises Rejected, Throttled, Denied.

    `pushed` are repositories whose first push came before, although the ledger does not know it.
    """
    if asked := _of_releases(body, account, region):
        return Replayed(asked, RELEASES, looked=False)
    happening = parse(body, account, region)
    if happening is None:
        return None
    if happening.repository in pushed:
        happening = replace(happening, news=replace(happening.news, pushes=()))
    of_images = happening.trigger.event in OF_IMAGES
    if of_images and take_note(happening.repository, happening.news, ledger, policies, now):
        return Replayed(happening, "image_events", looked=False)
    untouched = _Untouched(registry)
    change = reconcile(happening.repository, happening.news, happening.trigger, Services(untouched, ledger, policies), now)
    function = "image_events, then repository_events" if of_images else "repository_events"
    if untouched.seen is None:
        return Replayed(happening, function, looked=True, change=change)
    written = ledger.read(happening.repository)
    repository = replace(untouched.seen, provenance=written.provenance if written else untouched.seen.provenance)
    policy = policies.current(now).policy
    evaluation = evaluate(repository, judging(policy, written) if written else policy, now)
    return Replayed(happening, function, True, repository, evaluation, change)


def _of_releases(body: str, account: str, region: str) -> Happening | None:
    """Read an event that another function takes: a refused pull or push, or that somebody asks for a release. Raises Rejected."""
    envelope = _envelope(body)
    detail = envelope.get("detail")
    refusal = isinstance(detail, dict) and detail.get("errorCode") in REFUSALS and detail.get("eventName") in REFUSED
    asked = envelope.get("detail-type") == RELEASE_ASKED or (envelope.get("detail-type") == API_CALL and refusal)
    return parse_refusal(body, account, region) if asked else None


def run(deployment: Deployment, path: Path, output: str, inventory_path: Path | None, policy_path: Path | None) -> Exit:
    """Show what an event would lead to. Exit code 1 if a finding would stay open, or the event would be set aside."""
    check_output(output, "table", "json")
    body = _text_of(path)
    try:
        if inventory_path is not None:
            replayed = _on_inventory(body, inventory_path, policy_path)
        else:
            replayed = _on_stack(body, deployment, policy_path)
    except Rejected as rejected:
        return _set_aside(str(rejected), output)
    except (ClientError, BotoCoreError, GovernorError) as error:
        raise refused(error) from error
    if replayed is None:
        return _nothing(output)
    if output == "json":
        sys.stdout.write(json.dumps(_as_data(replayed), indent=2, ensure_ascii=False) + "\n")
    else:
        _print(replayed)
    return Exit.VIOLATIONS if _stays_open(replayed) else Exit.CLEAN


def _text_of(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise Trouble(
            f"{path} cannot be read", error.strerror or str(error), "give the path of an event, for example events/put-image.json"
        ) from error
    except UnicodeDecodeError as error:
        raise Trouble(
            f"{path} is no event", str(error), "give an event as EventBridge delivers it, for example events/put-image.json"
        ) from error
    if len(text) <= SIZE_LIMIT and not _envelope(text):
        why = f"it is no JSON object{' but empty' if not text.strip() else ''}"
        raise Trouble(f"{path} is no event", why, "give an event as EventBridge delivers it, for example events/put-image.json")
    return text


def _on_inventory(body: str, inventory_path: Path, policy_path: Path | None) -> Replayed | None:
    path = files.chosen(policy_path)
    if path is None:
        raise Trouble(
            "it is not known what to judge by", f"an inventory has no policy, and there is no {POLICY_HERE} here", "add --policy FILE"
        )
    lines = list(inventory.read(inventory_path))
    places = {line.place for line in lines}
    if len(places) > 1:
        what = ", ".join(sorted(f"{account} in {region}" for account, region in places))
        raise Trouble(f"{inventory_path} is of more than one registry", f"of {what}", "make one by an audit of one Region")
    envelope = _envelope(body)
    account, region = next(iter(places), ("", ""))
    if not account:
        account, region = str(envelope.get("account", "")), str(envelope.get("region", ""))
    known = {line.repository.name: line for line in lines}
    policy = files.read(path, files.OPTION)
    ledger: Any = _Notebook(None, *(_record_of(line, policy) for line in lines))
    # Who pushed first an inventory does not tell; only what holds no image was surely not pushed to.
    pushed = frozenset(name for name, line in known.items() if line.repository.holds_image is not False)
    happening = _of_releases(body, account, region) or parse(body, account, region)
    registry = _OfInventory(known, happening.repository if happening else "")
    replayed = replay(body, account, region, registry, ledger, _OneFile(policy), _time_of(envelope), pushed=pushed)
    return replace(replayed, place="the inventory") if replayed else None


def _envelope(body: str) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _time_of(envelope: Mapping[str, Any]) -> datetime:
    """When an event is played on what was recorded: at its own time."""
    try:
        at = datetime.fromisoformat(str(envelope.get("time")))
    except ValueError:
        return datetime.now(UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _record_of(line: Line, policy: Policy) -> RepositoryRecord:
    """What a ledger would know of a repository of an inventory."""
    repository = line.repository
    origin = repository.provenance.origin
    decided = (Signal(_DECIDED, (origin,), _OUTWEIGHS, lasting=True),)
    evidence = decided if origin is not Origin.UNKNOWN else repository.provenance.evidence
    return RepositoryRecord(
        repository.name,
        created_at=repository.created_at,
        provenance=Provenance(origin, evidence),
        owner=line.owner,
        policy_hash=line.judged_by,
        mode=policy.mode,
    )


def _on_stack(body: str, deployment: Deployment, policy_path: Path | None) -> Replayed | None:
    names, ecr = deployment.names(), deployment.client("ecr")
    account, now = deployment.account_and_time()
    ledger: Any = _Notebook(deployment.ledger())
    policies: PolicySource = (
        _OneFile(files.read(policy_path, files.OPTION))
        if policy_path is not None
        else S3PolicySource(
            deployment.client("s3"),
            names["policy_bucket"],
            names["policy_key"],
            ceiling=Mode.ENFORCE,
            ledger=ledger,
            on_problem=lambda _: None,
        )
    )
    return replay(body, account, str(ecr.meta.region_name), EcrRegistry(lambda: ecr), ledger, policies, now, pushed=frozenset())


# --- what is told ---------------------------------------------------------------------------------------------------------------------


def _stays_open(replayed: Replayed) -> bool:
    """Whether a finding is open that nothing puts right."""
    if replayed.evaluation is None:
        return False
    mended = {finding.rule for finding in replayed.change.resolved} if replayed.change else set()
    return any(
        isinstance(each.verdict, Violation) and each.exemption is None and each.rule not in mended
        for each in replayed.evaluation.judgements
    )


def _verdicts(evaluation: Evaluation) -> Iterator[tuple[str, str, str]]:
    for each in evaluation.judgements:
        match each.verdict:
            case Violation(reason):
                yield each.rule, "exempt" if each.exemption else "violated", reason
            case Undetermined(why):
                yield each.rule, "not known", why
            case Compliant():
                yield each.rule, "kept", ""


def _led_to(replayed: Replayed) -> str:
    """Say in a few words what comes of it."""
    if replayed.function == RELEASES:
        return "the repository is given back, if it is retiring and may be; replay does not play that"
    if not replayed.looked:
        return "the push is noted; nothing makes a look necessary"
    if replayed.repository is None:
        gone = replayed.change is not None and replayed.change.gone
        return (
            "the repository is gone, and its findings are resolved"
            if gone
            else f"there is no such repository, and {replayed.place} knows none"
        )
    if replayed.change is None:
        return "the repository is looked at, and nothing is new"
    change = replayed.change
    counts = [
        f"{len(listed)} {word}"
        for listed, word in (
            (change.opened, "opened"),
            (change.exempted, "exempt"),
            (change.resolved, "resolved"),
            (change.outcomes, "put right"),
        )
        if listed
    ]
    return f"the repository is looked at: {', '.join(counts) or 'nothing is new'}"


def _print(replayed: Replayed) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    happening = replayed.happening
    by = f" by {tidy(happening.trigger.actor)}" if happening.trigger.actor else ""
    console.print(Text(f"{tidy(happening.trigger.event)} of {happening.repository}{by}, {happening.at:%Y-%m-%d %H:%M}", style="bold"))
    console.print(Text(f"{replayed.function}: {_led_to(replayed)}"))
    if replayed.repository is not None:
        console.print(Text(f"origin: {replayed.repository.provenance.origin.value}"))
    if replayed.evaluation is not None:
        _section(
            console,
            "Judged",
            [(f"{state:<10}", f"{rule}{f': {tidy(words)}' if words else ''}") for rule, state, words in _verdicts(replayed.evaluation)],
        )
    _section(console, "Would be put right", [("", tidy(describe(remedy))) for remedy in replayed.remedies])
    if replayed.change is not None:
        for title, listed in (
            ("opened", replayed.change.opened),
            ("exempt", replayed.change.exempted),
            ("resolved", replayed.change.resolved),
        ):
            _section(console, f"Would be {title}", [("", finding.rule) for finding in listed])
    console.print(Text("\nNothing was written."))


def _section(console: Console, title: str, lines: Sequence[tuple[str, str]]) -> None:
    """Print a label and what is said for each line; what is said wraps below itself."""
    if not lines:
        return
    console.print()
    console.print(Text(title, style="bold"))
    for label, said in lines:
        before = f"  {label}"
        for part in Text(said).wrap(console, max(console.width - len(before), 1)):
            part.rstrip()
            console.print(Text(before) + part)
            before = " " * len(before)


def _as_data(replayed: Replayed) -> dict[str, Any]:
    happening = replayed.happening
    return {
        "event": happening.trigger.event,
        "actor": happening.trigger.actor,
        "repository": happening.repository,
        "at": happening.at.isoformat(),
        "function": replayed.function,
        "looked": replayed.looked,
        "leads_to": _led_to(replayed),
        "origin": replayed.repository.provenance.origin.value if replayed.repository else None,
        "judgements": [
            {"rule": rule, "verdict": state, "reason": words}
            for rule, state, words in (_verdicts(replayed.evaluation) if replayed.evaluation else ())
        ],
        "remedies": [describe(remedy) for remedy in replayed.remedies],
        "change": change_as_data(replayed.change) if replayed.change else None,
    }


def _set_aside(why: str, output: str) -> Exit:
    if output == "json":
        sys.stdout.write(json.dumps({"rejected": why}) + "\n")
    else:
        sys.stdout.write(f"it would be set aside for a person, in a dead-letter queue: {tidy(why)}\n")
    return Exit.VIOLATIONS


def _nothing(output: str) -> Exit:
    sys.stdout.write("null\n" if output == "json" else "it tells of a call that failed, or of nothing that counts: nothing is looked at\n")
    return Exit.CLEAN
