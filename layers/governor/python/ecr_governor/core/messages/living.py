"""The living message of one repository: how it stands now, what is asked of people, and the last of what happened. Edited, never repeated."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ecr_governor.core.announcement import ORDER, Announcement, finding_from_data
from ecr_governor.core.finding import Finding, FindingState
from ecr_governor.core.messages import buttons
from ecr_governor.core.messages.news import provenance_fields
from ecr_governor.core.messages.steps import STEPS, named, what_it_means, working_days
from ecr_governor.core.messages.text import (
    SECTION_LIMIT,
    TEXT_LIMIT,
    code,
    cut,
    fields,
    finding_lines,
    header,
    in_header,
    listed,
    mention,
    moment,
    plain,
    section,
    where,
)
from ecr_governor.core.policy.notifications import Buttons
from ecr_governor.core.press import PRESS, Action, Result
from ecr_governor.core.record import Entry, RepositoryRecord
from ecr_governor.core.remedy import OutcomeStatus
from ecr_governor.core.retirement.reported import REMINDER, STEPS_OF, step, why
from ecr_governor.core.retirement.state import Stage
from ecr_governor.core.severity import Severity

EVENTS: Final = 6
"""Events of a repository's life that its message shows."""
LINE: Final = 220
"""Characters of foreign text in one line of the history."""
_LOOKS: Final = frozenset({"change", "swept"})
_TOLD: Final = _LOOKS | STEPS_OF | {PRESS}
_PRESSED: Final = {Action.KEEP: "Keep", Action.CLAIM: "Claimed", Action.EXEMPT: "Exemption asked for", Action.CONFIRM: "Exempt"}


@dataclass(frozen=True, slots=True)
class Life:
    """What a repository's message is made of. `entries` are the newest of its ledger, oldest first; `least` the severity that is told.

    `buttons` is who may press what; None where a press would reach nobody.
    """

    record: RepositoryRecord
    entries: Sequence[Entry]
    least: Severity
    mention: str
    account: str
    region: str
    buttons: Buttons | None = None

    @property
    def open(self) -> tuple[Finding, ...]:
        """What is wrong now and worth telling, the gravest first."""
        found = (finding for finding in self.record.open_findings() if _matters(finding.severity, self.least))
        return tuple(sorted(found, key=lambda finding: (ORDER.index(finding.severity), finding.rule)))

    @property
    def exempt(self) -> tuple[Finding, ...]:
        """What would be wrong if it was not exempt."""
        return tuple(finding for finding in self.record.findings if finding.state is FindingState.EXEMPT)

    @property
    def last_step(self) -> Mapping[str, Any] | None:
        """The body of the newest entry about its retirement, if that is among the entries at hand."""
        return next((entry.body for entry in reversed(self.entries) if entry.kind == "retirement"), None)


def living(life: Life) -> dict[str, Any]:
    """Show a repository as it stands."""
    record = life.record
    title = f"{' '.join(_title(life))}: {in_header(record.name)}"
    blocks: list[dict[str, Any]] = [
        header(title),
        *section(_standing(life)),
        *section(finding_lines(() if record.gone_at else life.open)),
        *section(listed("Not put right", ":no_entry:", () if record.gone_at else (*record.failing, *_paused(record)))),
        *section(listed("Exempt", ":shield:", () if record.gone_at else (f"{each.rule}: {each.resolution}" for each in life.exempt))),
        fields(_shown(life)),
        *buttons.of_repository(record, life.buttons),
        *section(_history(life)),
        where(f"{record.entries} entries in the ledger", life.account, life.region, record.policy_hash or "not known"),
    ]
    return {"text": cut(plain(_summary(life)), TEXT_LIMIT), "blocks": blocks}


def fingerprint(message: Mapping[str, Any]) -> str:
    """Identify what a message shows: an edit that changes nothing is not made."""
    return hashlib.sha256(json.dumps(message, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def moved(name: str, channel: str) -> dict[str, Any]:
    """What stands in place of a message that went on in another channel."""
    return {
        "text": plain(f"{name} is told of elsewhere now"),
        "blocks": section(f":arrow_right: {code(name)} is told of in <#{channel}> now"),
    }


def reply_to_change(announcement: Announcement, who: str) -> dict[str, Any]:
    """Say in the thread what is new and deserves attention."""
    name = announcement.repository
    words = "Deleted" if announcement.gone else "Needs attention" if announcement.opened else "Could not be put right"
    lines = listed("Not put right", ":no_entry:", (f"{remedy}: {reason}" for remedy, reason in announcement.not_put_right))
    by = f" by {code(announcement.actor)}" if announcement.actor and announcement.gone else ""
    parts = [f"{_called(who)}*{words}*: {code(name)}{by}", finding_lines(announcement.opened), lines]
    rules = ", ".join(finding.rule for finding in announcement.opened)
    text = f"{words}: {name}{f' ({rules})' if rules else ''}"
    return {"text": cut(f"{_called(who)}{plain(text)}", TEXT_LIMIT), "blocks": [block for part in parts for block in section(part)]}


def reply_to_step(name: str, body: Mapping[str, Any], who: str) -> dict[str, Any]:
    """Say in the thread that a retirement went on, or is about to, and what can be done about it."""
    mark, words = named(body)
    parts = [f"{_called(who)}{mark} *{words}*: {code(name)}", what_it_means(body), listed("Why", "•", why(body))]
    text = f"{words}: {name}. {'; '.join(why(body))}"
    # Shown in the channel as well: an answer alone reaches nobody who does not follow its thread, and a grace begins by it.
    return {
        "text": cut(f"{_called(who)}{plain(text)}", TEXT_LIMIT),
        "blocks": [block for part in parts for block in section(part)],
        "reply_broadcast": True,
    }


def _called(who: str) -> str:
    return f"{mention(who)} " if who else ""


# --- how it stands --------------------------------------------------------------------------------------------------------------------


def _title(life: Life) -> tuple[str, str]:
    record = life.record
    retirement = record.retirement
    if record.gone_at:
        return STEPS["deleted"] if retirement and retirement.stage is Stage.DELETED else (":wastebasket:", "Deleted")
    if retirement and retirement.under_way:
        return STEPS["held up"] if _held_up(life) else STEPS.get(retirement.stage.value, STEPS["held up"])
    if life.open:
        return ":warning:", "Needs attention"
    if record.failing or record.paused:
        return ":no_entry:", "Could not be put right"
    if life.last_step and life.last_step["to"] == "observed":
        return STEPS["observed"]
    return (":shield:", "Exempt") if life.exempt else (":white_check_mark:", "In good order")


def _held_up(life: Life) -> bool:
    return life.last_step is not None and step(life.last_step) == "held up"


def _standing(life: Life) -> str:
    """Say what its stage means for people; "" where it is not retiring and never was."""
    retirement, last = life.record.retirement, life.last_step
    if retirement is None or (life.record.gone_at and retirement.stage is not Stage.DELETED):
        return ""
    if last is not None and (retirement.under_way or life.record.gone_at):
        return "\n".join(part for part in (what_it_means(last), listed("Why", "•", why(last)[:EVENTS])) if part)
    if retirement.under_way and retirement.stage is not Stage.OBSERVED:
        return what_it_means({"to": retirement.stage.value, "delete_after": retirement.delete_after})
    return ""


def _paused(record: RepositoryRecord) -> Iterator[str]:
    for operation in record.paused:
        yield f"{operation}: something else keeps changing it back; tried again within the hour"


def _shown(life: Life) -> Iterator[tuple[str, str]]:
    record = life.record
    for label, value in provenance_fields(record.name, record):
        yield label, f"{value} {mention(life.mention)}".strip() if label == "Owner" else value
    retirement = record.retirement
    if retirement and retirement.stage is Stage.MARKED and retirement.delete_after and not record.gone_at:
        # A mark of which nobody was told at first is told again, with a later day than its tag names.
        yield "Not before", plain(str((life.last_step or {}).get("delete_after") or retirement.delete_after))


def _summary(life: Life) -> str:
    rules = "; ".join(f"{finding.rule}: {finding.reason}" for finding in life.open)
    return f"{_title(life)[1]}: {life.record.name}{f'. {rules}' if rules and not life.record.gone_at else ''}"


def _matters(severity: Severity, least: Severity) -> bool:
    return ORDER.index(severity) <= ORDER.index(least)


# --- what happened --------------------------------------------------------------------------------------------------------------------


def _history(life: Life) -> str:
    """The last events of this repository, newest first; of an earlier one of the same name nothing."""
    lines: list[str] = []
    for entry in reversed(life.entries):
        at = moment(datetime.fromisoformat(entry.body["at"])) if entry.kind in _TOLD else ""
        lines.extend(f"{at} · {words}" for words in reversed(list(_events(entry, life.least))))
        if entry.kind in _LOOKS and entry.body["discovered"]:
            break
    if not lines:
        return ""
    # A line is shown whole or not at all: half of a time would be shown as text.
    shown, size = ["*What happened*"], 0
    for line in lines[:EVENTS]:
        size += len(line) + 1
        if size > SECTION_LIMIT - 100:
            break
        shown.append(line)
    return "\n".join(shown)


def _events(entry: Entry, least: Severity) -> Iterator[str]:
    body = entry.body
    if entry.kind in _LOOKS:
        yield from _change(body, least)
    elif entry.kind == "retirement":
        mark, words = named(body)
        yield _line(mark, words, "; ".join(why(body)) if step(body) in {"observed", "held up"} else _until(body))
    elif entry.kind == PRESS and body["result"] in {Result.DONE, Result.WAITS}:
        yield _line(":bust_in_silhouette:", _PRESSED[Action(body["action"])], f"{buttons.person(body)} {body['words']}")
    elif entry.kind == REMINDER:
        yield _line(":bell:", "Reminded", f"{working_days(body)} left, not before {body['delete_after']}")


def _until(body: Mapping[str, Any]) -> str:
    return f"not before {body['delete_after']}" if step(body) == "marked" else ""


def _change(body: Mapping[str, Any], least: Severity) -> Iterator[str]:
    by = f"by {actor}" if (actor := body["trigger"]["actor"]) else ""
    if body["discovered"]:
        yield _line(":new:", "Created" if body.get("created", True) else "First seen", f"{body['origin'].replace('_', ' ')} {by}".strip())
    resolved = {data["rule"]: finding_from_data(data) for data in body["resolved"]}
    opened = [finding_from_data(data) for data in body["opened"] if data["rule"] not in resolved]
    # Told only if it is grave: a list of bad tags that grows by one is no news.
    changed = [finding for data in body.get("changed", ()) if _matters((finding := finding_from_data(data)).severity, Severity.HIGH)]
    for words, findings in (("Opened", opened), ("Changed", changed)):
        told = [finding for finding in findings if _matters(finding.severity, least)]
        if told:
            rules = ", ".join(f"{finding.rule} ({finding.severity.value})" for finding in told)
            yield _line(":warning:", words, f"{rules} {by}".strip())
    outcomes = body["outcomes"]
    if right := [outcome["words"] for outcome in outcomes if outcome["status"] == OutcomeStatus.APPLIED]:
        yield _line(":hammer_and_wrench:", "Put right", "; ".join(right))
    if wrong := [outcome["words"] for outcome in outcomes if outcome["status"] in {OutcomeStatus.FAILED, OutcomeStatus.REFUSED}]:
        yield _line(":no_entry:", "Not put right", "; ".join(wrong))
    if exempted := [finding for data in body.get("exempted", ()) if _matters((finding := finding_from_data(data)).severity, least)]:
        yield _line(":shield:", "Exempt", ", ".join(f"{finding.rule}: {finding.resolution}" for finding in exempted))
    elsewhere = {data["rule"] for data in body["opened"]}
    mended = [finding for rule, finding in resolved.items() if rule not in elsewhere and _matters(finding.severity, least)]
    if mended and not body["gone"]:
        yield _line(":white_check_mark:", "Resolved", ", ".join(f"{finding.rule}: {finding.resolution}" for finding in mended))
    if body["gone"]:
        yield _line(":wastebasket:", "Deleted", by)


def _line(mark: str, words: str, more: str) -> str:
    return f"{mark} *{words}*{f': {plain(more, LINE)}' if more else ''}"
