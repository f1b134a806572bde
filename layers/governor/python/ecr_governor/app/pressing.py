"""Answer a press of a button in Slack: what it comes to is decided by what is true now, and stands in the ledger with who pressed.

Nothing here changes anything in ECR. What is to be given back is asked of `releases`, what is to be judged anew of `repository_events`,
approved steps of `retire`: each does it with its own rights, as if a command or an event had asked.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from ecr_governor.app.errors import Contended, GovernorError, Undeliverable
from ecr_governor.app.ports import Ledger, PolicySource
from ecr_governor.core.messages.buttons import APPROVERS
from ecr_governor.core.policy.notifications import Buttons
from ecr_governor.core.press import (
    PRESS,
    Action,
    Answer,
    Groups,
    Members,
    Press,
    Result,
    allowed,
    answer,
    entry_body,
    groups_to_ask,
    is_among,
    kept_until,
    mark_of,
    may,
    refusal_body,
    remembered,
    unreadable,
)
from ecr_governor.core.record import RepositoryRecord, append
from ecr_governor.core.report.message import LATEST, Kept, not_opened, opened
from ecr_governor.core.retirement.approval import GOOD_FOR, Approval, list_identity
from ecr_governor.core.rules import unused

logger = logging.getLogger(__name__)

ATTEMPTS: Final = 4


class Looks(Protocol):
    """Where a look at a repository is asked for."""

    def ask(self, repositories: Sequence[str], at: datetime) -> None:
        """Ask for a look. Raises Throttled, Denied."""


class Releases(Protocol):
    """Where it is asked for that a repository be taken out of retirement."""

    def ask(self, repository: str, by: str, keep_until: datetime, at: datetime) -> None:
        """Ask for a repository to be given back, and let alone until then. Raises Throttled, Denied."""


@dataclass(frozen=True, slots=True)
class Approvers:
    """Who has approved a list of steps so far: the names by their ids in Slack, in the order in which they pressed.

    `since` is when the first of them did. `answered` says what came of the last presses, also of those that approved nothing, by the id
    of each. `version` counts the writes of the item that it stands in, and guards each of them.
    """

    approves: str = ""
    people: Mapping[str, str] | None = None
    since: datetime | None = None
    answered: Mapping[str, str] = field(default_factory=dict)
    version: int = 0

    @property
    def names(self) -> Mapping[str, str]:
        """The names by id."""
        return self.people or {}


class ApprovalBook(Protocol):
    """Who has approved what. Raises Throttled, Denied throughout."""

    def read(self) -> Approvers:
        """Who has approved the list that people were last asked about."""

    def write(self, approvers: Approvers, body: Mapping[str, Any]) -> None:
        """Keep who has approved, over what was read, with an entry that says so. Raises Contended."""


class OpeningBook(Protocol):
    """Who has opened the report. Raises Throttled, Denied, Contended."""

    def note(self, press: str, body: Mapping[str, Any]) -> str | None:
        """Keep an entry that says who pressed, and what came of it. If this press stands there already, give what came of it then."""


class Reports(Protocol):
    """Where reports are kept."""

    def made_at(self, key: str) -> datetime | None:
        """When a report was made; None if there is none. Raises Throttled, Denied."""

    def address(self, key: str) -> str:
        """Give a report's address, by which only those may read it who may read the place."""

    def link(self, key: str, hours: int) -> str:
        """Give an address by which anybody may read a report for so many hours at most."""


class Aside(Protocol):
    """Where one person is told something that nobody else sees."""

    def whisper(self, message: Mapping[str, Any], channel: str, person: str) -> None:
        """Show a message in a channel to one person alone. Raises Undeliverable."""


class UserGroups(Protocol):
    """Who is in a user group of Slack."""

    def members(self, group: str) -> Members:
        """Read who is in a group, as it was some minutes ago at most; why not, if that cannot be read."""


@dataclass(frozen=True, slots=True)
class Services:
    """What it takes to answer. `last_plan` gives the steps of the last run's plan, approved by nobody.

    `approve` has a list taken; should it be refused, that is said where the press was. A link to a report lasts for `link_hours` at most;
    with 0 there are no links.
    """

    ledger: Ledger
    policies: PolicySource
    looks: Looks
    releases: Releases
    approvals: ApprovalBook
    last_plan: Callable[[], Approval | None]
    approve: Callable[[Approval, Press], None]
    openings: OpeningBook
    reports: Reports
    aside: Aside
    groups: UserGroups
    link_hours: int


def take(press: Press, services: Services, now: datetime) -> Result | None:
    """Answer one press; None where there is nothing that it could be about, or where it was answered before.

    What was answered before is not decided again, whatever has changed since: who may press, and what is to be pressed, are as they were
    when the press came. Only what follows from it is asked for once more, since that may not have come about.

    Raises Throttled, Denied, Contended, Undeliverable.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if press.action is Action.OPEN_REPORT:
                return _open_report(press, services, now)
            return _take(press, services, now) if press.subject.repository else _approve(press, services, now)
        except Contended:
            if attempt == ATTEMPTS:
                raise
            logger.info("record changed meanwhile, deciding again", extra={"repository": press.subject.repository, "attempt": attempt})
    raise AssertionError("unreachable")


def _take(press: Press, services: Services, now: datetime) -> Result | None:
    policy, name = services.policies.current(now).policy, press.subject.repository
    buttons, record = policy.notifications.slack.buttons, services.ledger.read(name)
    if record is None:
        logger.warning("pressed for what the ledger does not know", extra={"repository": name, "by": press.by})
        return None
    if press.id in record.answered:
        if record.answered[press.id] == Result.DONE:
            _ask_others(press, record, allowed(press, record, now), services, now)
        return None
    found = answer(press, record, buttons, _groups(press.action, buttons, {press.by}, services), now)
    owner = {"looked_at": now, "swept_by": ""} if "owner" in found.changes else {}
    body = entry_body(press, found, policy.hash, now)
    updated, entry = append(record, PRESS, body, **found.changes, **owner, answered=remembered(record.answered, press.id, found.result))
    services.ledger.write(updated, entry)
    logger.info("pressed", extra={"repository": name, "by": press.by, "action": press.action.value, "result": found.result.value})
    if found.result is Result.DONE:
        _ask_others(press, updated, found, services, now)
    return found.result


def _ask_others(press: Press, record: RepositoryRecord, found: Answer, services: Services, now: datetime) -> None:
    """Ask for what follows from a press. Asking twice is harmless: who is asked looks at what is true then."""
    match press.action:
        case Action.KEEP if found.result is Result.DONE:
            services.releases.ask(record.name, press.person, kept_until(press), now)
        case Action.CLAIM if record.claimed_by == press.person:
            services.looks.ask([record.name], now)
        case Action.CONFIRM:
            confirmed = next((each for each in record.exemptions if each.id == press.subject.proposal), None)
            if confirmed is None or confirmed.confirmed_by != press.person:
                return
            services.looks.ask([record.name], now)
            if unused.RULE.id in confirmed.rules and mark_of(record.retirement):
                services.releases.ask(record.name, press.person, confirmed.exemption(record.name).ends, now)
        case _:
            return


def _approve(press: Press, services: Services, now: datetime) -> Result | None:
    """Count one person's word on a list of steps; with the second one it is taken, caps or not."""
    policy, known, plan = services.policies.current(now).policy, services.approvals.read(), services.last_plan()
    if press.id in known.answered:
        still = plan is not None and list_identity(plan.steps) == known.approves == press.subject.state and len(known.names) >= APPROVERS
        if plan and still and known.answered[press.id] == Result.DONE:
            services.approve(_approved(plan, known), press)
        return None
    buttons = policy.notifications.slack.buttons
    standing = _so_far(known, press.subject.state, now)
    groups = _groups(Action.APPROVE, buttons, {press.by, *standing.names}, services)
    approvers = replace(standing, people={by: name for by, name in standing.names.items() if is_among(by, buttons.approve, groups)})
    forbidden = may(press, buttons, groups)
    if not forbidden and len(approvers.names) < len(standing.names) and (why := unreadable(groups)):
        # Nobody's word is forgotten because Slack does not answer.
        forbidden = f"whether all may who approved it is not known, since {why}"
    found = _answer(press, forbidden, plan, approvers, now)
    if found.result in {Result.DONE, Result.WAITS}:
        approvers = replace(approvers, people={**approvers.names, press.by: press.person})
    else:
        approvers = known
    approvers = replace(approvers, answered=remembered(known.answered, press.id, found.result))
    services.approvals.write(approvers, entry_body(press, found, policy.hash, now))
    logger.info("pressed", extra={"by": press.by, "action": press.action.value, "result": found.result.value})
    if found.result is Result.DONE and plan:
        services.approve(_approved(plan, approvers), press)
    return found.result


def take_approved(
    steps: Callable[[], dict[str, Any]], by: str, answer: Mapping[str, Any], approvals: ApprovalBook, now: datetime
) -> dict[str, Any]:
    """Take the steps that people approved in Slack; if they are not taken, say so and why where that was. Raises Throttled, Denied.

    They were told that the steps are taken now. What keeps them from it, such as a run that is at work, is told as a refusal is.
    """
    try:
        done = steps()
    except GovernorError as trouble:
        logger.exception("approved steps not taken")
        done = {"refused": [str(trouble)]}
    if refused := done.get("refused"):
        _refuse(answer, by, refused, approvals, now)
    return done


def _refuse(answer: Mapping[str, Any], by: str, reasons: Sequence[str], approvals: ApprovalBook, now: datetime) -> None:
    """Forget who approved: whoever still wants it approves it once more, when what stood against it has passed."""
    body = refusal_body(by, reasons, str(answer["channel"]), str(answer["ts"]), now)
    for attempt in range(1, ATTEMPTS + 1):
        known = approvals.read()
        try:
            approvals.write(Approvers(version=known.version, answered=known.answered), body)
        except Contended:
            # Somebody has pressed at the same moment.
            if attempt == ATTEMPTS:
                raise
        else:
            return


def _so_far(known: Approvers, approves: str, now: datetime) -> Approvers:
    """Who has approved this list: a word is good for a day."""
    if known.approves != approves or known.since is None or now - known.since > GOOD_FOR:
        return Approvers(approves, since=now, version=known.version)
    return known


def _groups(action: Action, buttons: Buttons, people: Collection[str], services: Services) -> Groups:
    """Read who is in the user groups that decide whether these people may do this."""
    return {group: services.groups.members(group) for group in groups_to_ask(action, buttons, people)}


def _answer(press: Press, forbidden: str, plan: Approval | None, approvers: Approvers, now: datetime) -> Answer:
    if forbidden or press.action is not Action.APPROVE:
        return Answer(Result.FORBIDDEN, forbidden or "this button is of a repository")
    if plan is None or not plan.steps or list_identity(plan.steps) != press.subject.state:
        return Answer(Result.STALE, "the list has changed since; whatever still waits is asked about anew")
    if now - plan.plan_at > GOOD_FOR:
        return Answer(Result.STALE, f"the list is from {plan.plan_at:%Y-%m-%d}; the next run makes a new one")
    if press.by in approvers.names:
        return Answer(Result.ALREADY, "a second person has to approve it as well")
    if len(approvers.names) >= APPROVERS:
        return Answer(Result.ALREADY, f"{' and '.join(approvers.names.values())} have approved it")
    steps = f"{len(plan.steps)} step{'' if len(plan.steps) == 1 else 's'}"
    if len(approvers.names) + 1 < APPROVERS:
        return Answer(Result.WAITS, f"approves {steps}")
    return Answer(Result.DONE, f"approves {steps} as well: they are taken now, if all is still as it was")


def _open_report(press: Press, services: Services, now: datetime) -> Result | None:
    """Give whoever pressed a link to the latest report, and nobody else; who that was stands in the ledger before.

    A link that were in the message would have ended with the credentials that signed it, long before the message is read.
    """
    policy, made_at = services.policies.current(now).policy, services.reports.made_at(LATEST)
    buttons = policy.notifications.slack.buttons
    if why := may(press, buttons, _groups(press.action, buttons, {press.by}, services)):
        found = Answer(Result.FORBIDDEN, why)
    elif made_at is None:
        found = Answer(Result.UNFIT, "none has been made yet")
    else:
        found = Answer(Result.DONE, _given(press, made_at, services.link_hours))
    noted = services.openings.note(press.id, entry_body(press, found, policy.hash, now))
    if noted not in {None, found.result}:
        said = not_opened("what decides it has changed since you pressed; press again")
    elif found.result is Result.DONE and made_at:
        link = services.reports.link(LATEST, services.link_hours) if services.link_hours else ""
        kept = Kept(services.reports.address(LATEST), link, services.link_hours)
        said = opened(kept, made_at, press.subject.repository)
    else:
        said = not_opened(found.words)
    logger.info("pressed", extra={"by": press.by, "action": press.action.value, "result": found.result.value, "again": noted is not None})
    try:
        services.aside.whisper(said, press.channel, press.by)
    except Undeliverable as trouble:
        if not trouble.only_this_one:
            raise
        # Who has left the channel meanwhile, or was never in it, cannot be told there.
        logger.warning("whoever pressed could not be answered", extra={"by": press.by, "why": str(trouble)})
    return found.result if noted is None else None


def _given(press: Press, made_at: datetime, hours: int) -> str:
    """Say what somebody was given who opened the report: these are the words that the ledger keeps."""
    about = f" at {press.subject.repository}" if press.subject.repository else ""
    what = f"a link of {hours} h at most to" if hours else "the place of"
    return f"was given {what} the report of {made_at.astimezone(UTC):%Y-%m-%d}{about}"


def _approved(plan: Approval, approvers: Approvers) -> Approval:
    return replace(plan, by=" and ".join(approvers.names.values()))
